#include "codec/header_scan.h"

void header_scan_init(struct header_scan *scan, struct span section)
{
	scan->left = section;
}

/* Bytes of the first line with its line end. */
static size_t line_length(struct span in)
{
	size_t lf = span_find(in, '\n');

	return lf < in.n ? lf + 1 : in.n;
}

static bool is_empty_line(struct span line)
{
	return (line.n == 1 && line.p[0] == '\n') ||
	       (line.n == 2 && line.p[0] == '\r' && line.p[1] == '\n');
}

static struct span trim_value(struct span s)
{
	while (s.n && strchr(" \t\r\n", s.p[0]) && s.p[0])
		s = span_skip(s, 1);
	while (s.n && strchr(" \t\r\n", s.p[s.n - 1]) && s.p[s.n - 1])
		s.n--;
	return s;
}

bool header_name_valid(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f || name.p[i] == ':')
			return false;
	return name.n > 0;
}

bool header_scan_next(struct header_scan *scan, struct header_field *out)
{
	struct span left = scan->left;
	size_t n = line_length(left);

	if (!n || is_empty_line(span_of(left.p, n)))
		return false;
	/* RFC 5322 section 2.2.3: lines that begin with white space go on with the field. */
	while (n < left.n && (left.p[n] == ' ' || left.p[n] == '\t'))
		n += line_length(span_skip(left, n));

	struct header_field field = {.raw = span_of(left.p, n)};
	size_t colon = span_find(field.raw, ':');
	/* RFC 5322 section 4.5 knows white space before the colon, from older days. */
	struct span name = span_trim(span_of(left.p, colon));
	if (colon < n && name.p == left.p && header_name_valid(name)) {
		field.name = name;
		field.value = trim_value(span_skip(field.raw, colon + 1));
	} else {
		field.value = trim_value(field.raw);
	}
	scan->left = span_skip(left, n);
	*out = field;
	return true;
}

struct span header_scan_body(const struct header_scan *scan)
{
	size_t n = line_length(scan->left);

	return is_empty_line(span_of(scan->left.p, n)) ? span_skip(scan->left, n) : SPAN_NONE;
}

bool header_find(struct span section, struct span name, struct header_field *out)
{
	struct header_scan scan;
	struct header_field field;

	header_scan_init(&scan, section);
	while (header_scan_next(&scan, &field)) {
		if (field.name.n && span_equal_nocase(field.name, name)) {
			*out = field;
			return true;
		}
	}
	return false;
}

void header_add_unfolded(struct buf *buf, struct span value)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		if (c == '\r' && i + 1 < value.n && value.p[i + 1] == '\n')
			continue;
		if (c == '\n' && i + 1 < value.n &&
			(value.p[i + 1] == ' ' || value.p[i + 1] == '\t'))
			continue;
		buf_add_char(buf, c == '\r' || c == '\n' || !c ? ' ' : c);
	}
}
