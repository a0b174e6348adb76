#include "codec/mime_encode.h"

#include "base/base64.h"

void mime_encode_init(struct mime_encode *encode)
{
	*encode = (struct mime_encode){0};
}

/* One column stays free for the "=" of a soft line break. */
static void qp_token(struct mime_encode *encode, struct buf *out, const char *token, uint32_t n)
{
	if (encode->column + n > MIME_ENCODED_LINE - 1) {
		buf_add(out, "=\r\n", 3);
		encode->column = 0;
	}
	buf_add(out, token, n);
	encode->column += n;
}

static void qp_escape(struct mime_encode *encode, struct buf *out, unsigned char c)
{
	static const char hex[16] = "0123456789ABCDEF";
	char token[3] = {'=', hex[c >> 4], hex[c & 15]};

	qp_token(encode, out, token, 3);
}

/* A blank at the end of a line would be lost on the way: it goes as it is only once something
 * follows it. */
static void qp_blank(struct mime_encode *encode, struct buf *out, bool ends_line)
{
	char c = encode->blank;

	if (!c)
		return;
	encode->blank = 0;
	if (ends_line)
		qp_escape(encode, out, (unsigned char)c);
	else
		qp_token(encode, out, &c, 1);
}

void mime_qp_add(struct mime_encode *encode, struct buf *out, struct span in)
{
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		qp_blank(encode, out, false);
		if (c == ' ' || c == '\t')
			encode->blank = c;
		else if (c < ' ' || c == '=' || c == 0x7f || (unsigned char)c > 0x7f)
			qp_escape(encode, out, (unsigned char)c);
		else
			qp_token(encode, out, &c, 1);
	}
}

void mime_qp_line(struct mime_encode *encode, struct buf *out)
{
	qp_blank(encode, out, true);
	buf_add(out, "\r\n", 2);
	encode->column = 0;
}

void mime_qp_end(struct mime_encode *encode, struct buf *out, bool joined)
{
	qp_blank(encode, out, true);
	if (!joined && encode->column)
		buf_add(out, "=\r\n", 3);
	encode->column = 0;
}

static void add_group(struct mime_encode *encode, struct buf *out)
{
	char token[4];

	base64_group(encode->group, encode->held, token);
	buf_add(out, token, sizeof(token));
	encode->held = 0;
	encode->column += sizeof(token);
	if (encode->column == MIME_ENCODED_LINE) {
		buf_add(out, "\r\n", 2);
		encode->column = 0;
	}
}

void mime_base64_add(struct mime_encode *encode, struct buf *out, struct span in)
{
	for (size_t i = 0; i < in.n; i++) {
		encode->group[encode->held++] = (unsigned char)in.p[i];
		if (encode->held == 3)
			add_group(encode, out);
	}
}

void mime_base64_end(struct mime_encode *encode, struct buf *out)
{
	if (encode->held)
		add_group(encode, out);
	if (encode->column)
		buf_add(out, "\r\n", 2);
	encode->column = 0;
}
