#include "ctl/ctl.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

#define COLUMNS_MOST 16
#define CELL_MOST    120 /* bytes of a cell that are shown, but for the last of a row */

struct table {
	size_t columns, rows, room;
	char **cells; /* the titles first */
};

void show_text(const char *text, bool lines)
{
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if ((c < ' ' && !(lines && c == '\n')) || c == 0x7f)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

void show_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
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

/* ---- tables --------------------------------------------------------------------------------- */

struct table *table_new(size_t columns, const char *const *titles)
{
	struct table *table = calloc(1, sizeof(*table));

	CHECK(table && columns <= COLUMNS_MOST);
	table->columns = columns;
	table_add(table, titles);
	return table;
}

static char *safe_cell(const char *text, size_t most)
{
	size_t n = strlen(text);
	bool cut = n > most;
	struct buf out;

	buf_init(&out, 4 * MIN(n, most) + 16);
	for (size_t i = 0; i < MIN(n, most); i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < ' ' || c == 0x7f)
			buf_printf(&out, "\\x%02x", c);
		else
			buf_add_char(&out, (char)c);
	}
	if (cut)
		buf_add_str(&out, "...");
	buf_add_char(&out, '\0');
	CHECK(buf_ok(&out));
	return out.p;
}

void table_add(struct table *table, const char *const *cells)
{
	if ((table->rows + 1) * table->columns > table->room) {
		table->room = table->room ? table->room * 2 : 32 * table->columns;
		table->cells = realloc(table->cells, table->room * sizeof(*table->cells));
		CHECK(table->cells);
	}
	for (size_t i = 0; i < table->columns; i++)
		table->cells[table->rows * table->columns + i] = safe_cell(
			cells[i] ? cells[i] : "", i + 1 < table->columns ? CELL_MOST : SIZE_MAX);
	table->rows++;
}

void table_print(struct table **at)
{
	struct table *table = *at;
	size_t widths[COLUMNS_MOST] = {0};

	for (size_t i = 0; i < table->rows * table->columns; i++)
		widths[i % table->columns] =
			MAX(widths[i % table->columns], strlen(table->cells[i]));
	for (size_t row = 0; row < table->rows; row++) {
		for (size_t i = 0; i < table->columns; i++) {
			const char *cell = table->cells[row * table->columns + i];

			if (i + 1 == table->columns)
				printf("%s\n", cell);
			else
				printf("%-*s  ", (int)widths[i], cell);
		}
	}
	for (size_t i = 0; i < table->rows * table->columns; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
	*at = NULL;
}
