#include "base/err.h"
#include "base/text.h"
#include "codec/sasl.h"
#include "transport/client_private.h"

static const struct {
	struct span keyword;
	uint32_t can;
} keywords[] = {
	{{"PIPELINING", 10}, CLIENT_PIPELINING},
	{{"SIZE", 4}, CLIENT_SIZE},
	{{"8BITMIME", 8}, CLIENT_8BITMIME},
	{{"SMTPUTF8", 8}, CLIENT_SMTPUTF8},
	{{"DSN", 3}, CLIENT_DSN},
	{{"CHUNKING", 8}, CLIENT_CHUNKING},
	{{"BINARYMIME", 10}, CLIENT_BINARYMIME},
	{{"LIMITS", 6}, CLIENT_LIMITS},
	{{"ENHANCEDSTATUSCODES", 19}, CLIENT_ENHANCED},
	{{"REQUIRETLS", 10}, CLIENT_REQUIRETLS},
	{{"STARTTLS", 8}, CLIENT_STARTTLS},
};

/* The first word, which is taken off. */
static struct span word(struct span *line)
{
	*line = span_trim(*line);

	struct span out = {line->p, 0};
	while (out.n < line->n && line->p[out.n] != ' ' && line->p[out.n] != '\t')
		out.n++;
	*line = span_skip(*line, out.n);
	return out;
}

/* RFC 9422 section 4: name=value pairs; those that we do not know are ignored. A limit of zero
 * would leave no mail at all: it is not believed. */
static void limits(struct span line, struct client_caps *out)
{
	for (struct span pair; (pair = word(&line)).n != 0;) {
		size_t at = span_find(pair, '=');
		struct span name = span_of(pair.p, at);
		uint64_t value;

		if (text_parse_u64(span_skip(pair, at + 1), UINT32_MAX, &value) || !value)
			continue;
		if (span_equal_nocase(name, SPAN("RCPTMAX")))
			out->rcpt_most = (uint32_t)value;
		else if (span_equal_nocase(name, SPAN("MAILMAX")))
			out->mail_most = (uint32_t)value;
	}
}

/* "AUTH PLAIN LOGIN" (RFC 4954 section 3), and "AUTH=PLAIN LOGIN", as it was before RFC 2554 and
 * some servers still say beside it. */
static bool mechanisms(struct span name, struct span line, struct client_caps *out)
{
	static const struct span old = {"AUTH=", 5};

	if (span_starts_nocase(name, old))
		out->mechanisms |= sasl_parse_names(span_skip(name, old.n));
	else if (!span_equal_nocase(name, SPAN("AUTH")))
		return false;
	out->mechanisms |= sasl_parse_names(line);
	if (out->mechanisms)
		out->can |= CLIENT_AUTH;
	return true;
}

static void keyword_line(struct span line, struct client_caps *out)
{
	struct span name = word(&line);
	uint32_t can = 0;

	if (mechanisms(name, line, out))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++)
		if (span_equal_nocase(name, keywords[i].keyword))
			can = keywords[i].can;
	out->can |= can;
	if (can == CLIENT_LIMITS)
		limits(line, out);
	/* "SIZE" alone and "SIZE 0" name no limit (RFC 1870 section 4). */
	if (can == CLIENT_SIZE && text_parse_u64(word(&line), UINT64_MAX, &out->size_most))
		out->size_most = 0;
}

void client_caps_parse(struct span text, struct client_caps *out)
{
	*out = (struct client_caps){.can = CLIENT_ESMTP};
	for (bool first = true; text.n; first = false) {
		struct span line = span_of(text.p, span_find(text, '\n'));

		text = span_skip(text, line.n + 1);
		if (!first) /* which is the greeting with the server's name */
			keyword_line(line, out);
	}
	/* BINARYMIME without CHUNKING is meaningless: only BDAT can carry it (RFC 3030 section
	 * 3). */
	if (!(out->can & CLIENT_CHUNKING))
		out->can &= ~(uint32_t)CLIENT_BINARYMIME;
}
