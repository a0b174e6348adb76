#include "smtpd/received.h"

#include "base/text.h"
#include "io/tls.h"

#define WORD_MOST 1024 /* bytes of one word: more than any address has */

struct span received_protocol(const struct received_how *how)
{
	static const struct span names[2][4] = {
		{SPAN("ESMTP"), SPAN("ESMTPS"), SPAN("ESMTPA"), SPAN("ESMTPSA")},
		{SPAN("UTF8SMTP"), SPAN("UTF8SMTPS"), SPAN("UTF8SMTPA"), SPAN("UTF8SMTPSA")},
	};

	if (!how->extended && !how->utf8)
		return SPAN("SMTP");
	return names[how->utf8][how->tls | how->user << 1];
}

/* A word after a space, or on a new line where it does not fit on this one. */
static void add_word(struct buf *buf, size_t *column, const struct buf *word)
{
	if (*column + 1 + word->n > RECEIVED_LINE) {
		buf_add_str(buf, "\r\n\t");
		*column = 8;
	} else {
		buf_add_char(buf, ' ');
		*column += 1;
	}
	buf_add_span(buf, buf_span(word));
	*column += word->n;
}

static void new_line(struct buf *buf, size_t *column, const char *text)
{
	buf_add_str(buf, "\r\n\t");
	buf_add_str(buf, text);
	*column = 8 + strlen(text);
}

/* What a host name or an address literal may hold, and nothing that ends a comment or a line. */
static void add_name(struct buf *buf, struct span name)
{
	for (size_t i = 0; i < name.n && i < RECEIVED_HELO; i++) {
		char c = name.p[i];
		bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || (c != '\0' && strchr(".-_:[]", c) != NULL);

		buf_add_char(buf, fits ? c : '?');
	}
}

static void add_address(struct buf *buf, struct span address)
{
	buf_add_char(buf, '<');
	for (size_t i = 0; i < address.n; i++) {
		unsigned char c = (unsigned char)address.p[i];

		buf_add_char(buf, c < ' ' || c == 0x7f ? '?' : (char)c);
	}
	buf_add_char(buf, '>');
}

void received_add(struct buf *buf, const struct received *r)
{
	struct buf word;
	size_t column = strlen("Received: from");

	buf_init(&word, WORD_MOST);
	buf_add_str(buf, "Received: from");
	if (r->helo.n)
		add_name(&word, r->helo);
	else
		buf_add_str(&word, "unknown");
	add_word(buf, &column, &word);

	buf_clear(&word);
	buf_add_char(&word, '(');
	netaddr_add_literal(&word, &r->client);
	buf_add_char(&word, ')');
	add_word(buf, &column, &word);

	new_line(buf, &column, "by ");
	buf_add_span(buf, r->hostname);
	column += r->hostname.n;
	buf_clear(&word);
	buf_add_str(&word, "(Postern)");
	add_word(buf, &column, &word);
	buf_clear(&word);
	buf_add_str(&word, "with ");
	buf_add_span(&word, r->protocol);
	add_word(buf, &column, &word);
	if (r->tls) {
		buf_clear(&word);
		buf_add_char(&word, '(');
		add_name(&word, r->tls->version);
		buf_add_char(&word, ' ');
		add_name(&word, r->tls->cipher);
		buf_add_char(&word, ')');
		add_word(buf, &column, &word);
	}
	buf_clear(&word);
	buf_add_str(&word, "id ");
	text_add_id(&word, r->id);
	if (!r->recipient.n)
		buf_add_char(&word, ';');
	add_word(buf, &column, &word);

	buf_clear(&word);
	if (r->recipient.n) {
		new_line(buf, &column, "for ");
		add_address(&word, r->recipient);
		buf_add_char(&word, ';');
		buf_add_span(buf, buf_span(&word));
		column += word.n;
		buf_clear(&word);
	}
	text_add_date(&word, r->wall_ms);
	add_word(buf, &column, &word);
	buf_add_str(buf, "\r\n");
	if (!buf_ok(&word))
		buf->overflow = true;
	buf_done(&word);
}
