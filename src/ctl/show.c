#include "ctl/ctl.h"

#include "base/check.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELL_MOST      120 /* bytes of a cell that are shown, but for the last of a row */
#define LAST_CELL_MOST 4096

struct table {
	size_t columns, rows, room;
	char **cells; /* the titles first */
};

/* How many bytes at p, of a text that ends at `end`, a terminal must not see as they are; 0: the
 * next one is harmless. The text is valid UTF-8; p may be inside a character. */
static size_t harmful(const char *p, const char *end, bool lines)
{
	if ((*p >= ' ' && *p < 0x7f) || (lines && *p == '\n'))
		return 0;
	return text_hidden_length(span_of(p, (size_t)(end - p)));
}

void add_safe(struct buf *out, const char *text, bool lines)
{
	const char *end = text + strlen(text);

	for (const char *p = text; p < end;) {
		size_t n = harmful(p, end, lines);

		if (!n)
			buf_add_char(out, *p++);
		for (; n; n--)
			buf_printf(out, "\\x%02x", (unsigned char)*p++);
	}
}

/* Straight out, without a copy: a whole directory may be one text. */
void show_text_on(FILE *file, const char *text, bool lines)
{
	const char *plain = text, *p = text, *end = text + strlen(text);

	while (p < end) {
		size_t n = harmful(p, end, lines);

		if (!n) {
			p++;
			continue;
		}
		fwrite(plain, 1, (size_t)(p - plain), file);
		for (; n; n--)
			fprintf(file, "\\x%02x", (unsigned char)*p++);
		plain = p;
	}
	fwrite(plain, 1, (size_t)(p - plain), file);
}

void show_text(const char *text, bool lines)
{
	show_text_on(stdout, text, lines);
}

/* A character of UTF-8 of two or three bytes, as JSON escapes it. */
static void put_escaped(const char *text, size_t n, FILE *to)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned c = n == 1   ? p[0]
		     : n == 2 ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu)
			      : (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);

	fprintf(to, "\\u%04x", c);
}

/* Characters come whole; control characters of ASCII are escaped already, but for DEL. */
static int put_piece(const char *piece, size_t n, void *to)
{
	const char *p = piece, *end = p + n;

	while (p < end) {
		size_t bytes = harmful(p, end, true);

		if (bytes)
			put_escaped(p, bytes, to);
		else
			putc(*p, to);
		p += bytes ? bytes : 1;
	}
	return 0;
}

/* What is harmless stays as it is: then it is YAML as well, which has no pairs of surrogates. */
static bool put_json(FILE *to, const json_t *value, size_t flags)
{
	return json_dump_callback(value, put_piece, to, flags | JSON_ENCODE_ANY) == 0;
}

void show_value(const json_t *value)
{
	if (!put_json(stdout, value, JSON_COMPACT))
		ctl_no_memory(NULL);
}

void show_json(const struct ctl *ctl, const json_t *value)
{
	if (!put_json(stdout, value, JSON_INDENT(2)))
		ctl_no_memory(ctl);
	putchar('\n');
}

void show_error_json(const json_t *value)
{
	put_json(stderr, value, JSON_COMPACT);
	fputc('\n', stderr);
}

const char *member_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

json_int_t member_int(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

const char *size_text(json_int_t bytes, char out[32])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1024;
		unit++;
	}
	snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return out;
}

const char *age_text(json_int_t seconds, char out[32])
{
	if (seconds < 60)
		snprintf(out, 32, "%llds", (long long)seconds);
	else if (seconds < 3600)
		snprintf(out, 32, "%lldm", (long long)seconds / 60);
	else if (seconds < 48 * 3600ll)
		snprintf(out, 32, "%lldh%02lldm", (long long)seconds / 3600,
			(long long)seconds / 60 % 60);
	else
		snprintf(out, 32, "%lldd%02lldh", (long long)seconds / 86400,
			(long long)seconds / 3600 % 24);
	return out;
}

/* ---- tables --------------------------------------------------------------------------------- */

struct table *table_new(size_t columns, const char *const *titles)
{
	struct table *table = calloc(1, sizeof(*table));

	CHECK(columns <= TABLE_COLUMNS);
	if (!table)
		ctl_no_memory(NULL);
	table->columns = columns;
	table_add(table, titles);
	return table;
}

static char *safe_cell(const char *text, size_t most)
{
	size_t n = strnlen(text, most + 1);
	bool cut = n > most;
	char *part;

	/* Not in the middle of a character. */
	for (n = MIN(n, most); cut && n && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
		;
	part = strndup(text, n);
	if (!part)
		ctl_no_memory(NULL);
	struct buf out;

	buf_init(&out, 12 * n + 16);
	add_safe(&out, part, false);
	free(part);
	if (cut)
		buf_add_str(&out, "...");
	buf_add_char(&out, '\0');
	if (!buf_ok(&out))
		ctl_no_memory(NULL);
	return out.p;
}

/* Columns on a terminal: characters, not bytes. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

void table_add(struct table *table, const char *const *cells)
{
	if ((table->rows + 1) * table->columns > table->room) {
		table->room = table->room ? table->room * 2 : 32 * table->columns;
		table->cells = realloc(table->cells, table->room * sizeof(*table->cells));
		if (!table->cells)
			ctl_no_memory(NULL);
	}
	for (size_t i = 0; i < table->columns; i++)
		table->cells[table->rows * table->columns + i] = safe_cell(cells[i] ? cells[i] : "",
			i + 1 < table->columns ? CELL_MOST : LAST_CELL_MOST);
	table->rows++;
}

void table_print(struct table **at)
{
	struct table *table = *at;
	size_t widths[TABLE_COLUMNS] = {0};

	for (size_t i = 0; i < table->rows * table->columns; i++)
		widths[i % table->columns] =
			MAX(widths[i % table->columns], width(table->cells[i]));
	for (size_t row = 0; row < table->rows; row++) {
		char **cells = &table->cells[row * table->columns];
		size_t last = table->columns;

		while (last > 1 && !*cells[last - 1])
			last--;
		for (size_t i = 0; i + 1 < last; i++)
			printf("%s%*s  ", cells[i], (int)(widths[i] - width(cells[i])), "");
		puts(cells[last - 1]);
	}
	table_free(at);
}

void table_free(struct table **at)
{
	struct table *table = *at;

	if (!table)
		return;
	for (size_t i = 0; i < table->rows * table->columns; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
	*at = NULL;
}
