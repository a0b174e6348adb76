#include "trace/search.h"

#include "base/check.h"
#include "base/err.h"
#include "base/netaddr.h"
#include "base/text.h"
#include "codec/pin.h"
#include "route/route.h"
#include "trace/event.h"

#define KEY_SHOWN 40 /* bytes of an unknown key in a message about it */

static const struct {
	const char *name;
	int kind;
} keys[] = {
	{"id", WORD_ID},
	{"sender", WORD_SENDER},
	{"recipient", WORD_RECIPIENT},
	{"client", WORD_CLIENT},
	{"user", WORD_USER},
	{"auth", WORD_AUTH},
	{"relay", WORD_RELAY},
	{"listener", WORD_LISTENER},
	{"protocol", WORD_PROTOCOL},
	{"tls", WORD_TLS},
	{"event", WORD_EVENT},
	{"transport", WORD_TRANSPORT},
	{"destination", WORD_DESTINATION},
};

/* ---- words ---------------------------------------------------------------------------------- */

/* One word of the query: its key, if it has one, and its value without the quotes around it. */
struct word {
	struct span key;
	struct span value;
	bool has_key, quoted;
};

static int wrong(struct buf *problem, const struct word *word, const char *what)
{
	if (word->has_key)
		buf_printf(problem, "%.*s=: ", (int)word->key.n, word->key.p);
	buf_add_str(problem, what);
	buf_add_char(problem, '\n');
	return ERR_SYNTAX;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span skip_blanks(struct span in)
{
	while (in.n && is_blank(in.p[0]))
		in = span_skip(in, 1);
	return in;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* How long a quoted string is, from its first quote to its last one; 0: it does not end. */
static size_t quoted_length(struct span in)
{
	for (size_t at = 1; at < in.n; at++) {
		if (in.p[at] == '\\')
			at++;
		else if (in.p[at] == '"')
			return at + 1;
	}
	return 0;
}

/* Takes the quotes off, in place, which `text` can be changed for. */
static struct span unquote(char *text, size_t n)
{
	size_t to = 0;

	for (size_t at = 1; at + 1 < n; at++) {
		if (text[at] == '\\')
			at++;
		text[to++] = text[at];
	}
	return span_of(text, to);
}

static int read_quoted(struct search *s, struct span *rest, struct word *word, struct buf *problem)
{
	size_t n = quoted_length(*rest);

	if (!n)
		return wrong(problem, word, "the closing quote is missing");
	if (n < rest->n && rest->p[n] == '@') {
		/* A local part, and its domain. */
		while (n < rest->n && !is_blank(rest->p[n]))
			n++;
		word->value = span_of(rest->p, n);
	} else if (n < rest->n && !is_blank(rest->p[n])) {
		return wrong(problem, word, "a blank belongs after the closing quote");
	} else {
		word->value = unquote(s->text + (rest->p - s->text), n);
		word->quoted = true;
	}
	*rest = span_skip(*rest, n);
	return 0;
}

static int read_plain(struct span *rest, struct word *word, struct buf *problem)
{
	size_t n = 0;

	while (n < rest->n && !is_blank(rest->p[n]))
		if (rest->p[n++] == '"')
			return wrong(problem, word,
				"put the whole value in quotes, with \\\" for each quote in it");
	word->value = span_of(rest->p, n);
	*rest = span_skip(*rest, n);
	return 0;
}

static int read_word(struct search *s, struct span *rest, struct word *word, struct buf *problem)
{
	size_t n = 0;

	*word = (struct word){0};
	while (n < rest->n && is_letter(rest->p[n]))
		n++;
	if (n && n < rest->n && rest->p[n] == '=') {
		word->key = span_of(rest->p, n);
		word->has_key = true;
		*rest = span_skip(*rest, n + 1);
	}
	int err = rest->n && rest->p[0] == '"' ? read_quoted(s, rest, word, problem)
					       : read_plain(rest, word, problem);

	if (err)
		return err;
	if (word->value.n)
		return 0;
	if (span_equal(word->key, SPAN("sender")))
		return wrong(problem, word,
			"a value is missing; for mail without a sender write sender=<>");
	return wrong(problem, word, "a value is missing");
}

/* ---- what they mean ------------------------------------------------------------------------- */

/* A point in time, or so long ago. */
static int parse_when(struct span value, int64_t now_ms, int64_t *out)
{
	uint64_t ago_ms;

	if (!text_parse_time(value, out))
		return 0;
	int err = text_parse_duration(value, 60000, &ago_ms);

	if (!err)
		*out = now_ms - (int64_t)ago_ms;
	return err;
}

static int add_when(struct search *s, const struct word *word, int64_t now_ms, struct buf *problem)
{
	bool since = span_equal(word->key, SPAN("since"));

	if (!parse_when(word->value, now_ms, since ? &s->since_ms : &s->until_ms))
		return 0;
	buf_add_str(problem,
		"since and until take a time (2026-11-21T08:00:00Z), a date, or how long ago "
		"(2h)\n");
	return ERR_SYNTAX;
}

static int unknown_key(const struct word *word, struct buf *problem)
{
	buf_add_str(problem, "unknown: ");
	buf_add_escaped(problem, word->key, KEY_SHOWN);
	buf_add_str(problem, "=; there are");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		buf_printf(problem, " %s=", keys[i].name);
	buf_add_str(problem, " since= until=; for that very text write \"");
	buf_add_escaped(problem, word->key, KEY_SHOWN);
	buf_add_char(problem, '=');
	buf_add_escaped(problem, word->value, KEY_SHOWN);
	buf_add_str(problem, "\", with the quotes\n");
	return ERR_SYNTAX;
}

static int check_event(struct span value, struct buf *problem)
{
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		if (span_equal_nocase(value, span_str(event_name((enum event_kind)kind))))
			return 0;
	buf_add_str(problem, "event: one of");
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		buf_printf(problem, "%s %s", kind ? "," : "", event_name((enum event_kind)kind));
	buf_add_char(problem, '\n');
	return ERR_SYNTAX;
}

/* The name of a right, or the fingerprint of a certificate. */
static int check_relay(struct span value, struct buf *problem)
{
	uint8_t pin[PIN_BYTES];

	if (pin_parse(value, pin) == 0)
		return 0;
	for (int i = ROUTE_RIGHT_NONE + 1; i < ROUTE_RIGHTS; i++)
		if (span_equal(value, span_str(route_right_name((enum route_right)i))))
			return 0;
	buf_add_str(problem, "relay: one of");
	for (int i = ROUTE_RIGHT_NONE + 1; i < ROUTE_RIGHTS; i++)
		if (i != ROUTE_RIGHT_KEY) /* a certificate's, too */
			buf_printf(problem, " %s,", route_right_name((enum route_right)i));
	buf_add_str(problem, " or the fingerprint of a certificate (sha256:...)\n");
	return ERR_SYNTAX;
}

/* An address, or one and how many bits of it count. */
static bool is_network(struct span value)
{
	size_t slash = span_find(value, '/');
	struct netaddr ip;
	uint64_t bits;

	if (netaddr_parse_ip(span_of(value.p, slash), &ip))
		return false;
	return slash == value.n || text_parse_u64(span_skip(value, slash + 1),
					   ip.family == NETADDR_V4 ? 32 : 128, &bits) == 0;
}

static int check_value(const struct search_word *word, struct buf *problem)
{
	uint64_t id;

	switch (word->kind) {
	case WORD_ID:
		if (!text_parse_id(word->value, &id))
			return 0;
		buf_add_str(problem, "id: not a message's id (13 letters and digits)\n");
		return ERR_SYNTAX;
	case WORD_CLIENT:
		if (is_network(word->value))
			return 0;
		buf_add_str(problem,
			"client: an IP address, or a network such as 192.0.2.0/24, is needed\n");
		return ERR_SYNTAX;
	case WORD_EVENT: return check_event(word->value, problem);
	case WORD_RELAY: return check_relay(word->value, problem);
	default: return 0;
	}
}

/* A word without a key. */
static int kind_of(const struct word *word)
{
	uint64_t id;
	struct span value = word->value;

	if (value.n == TEXT_ID_LENGTH && !text_parse_id(value, &id))
		return WORD_ID;
	if (is_network(value))
		return WORD_IP;
	/* A sentence that speaks of an address is none; but see RFC 5321, Quoted-string. */
	bool sentence = word->quoted && value.p[0] != '"' && span_find(value, ' ') < value.n;

	return !sentence && span_find(value, '@') < value.n ? WORD_ADDRESS : WORD_TEXT;
}

static int add_word(struct search *s, const struct word *word, int64_t now_ms, struct buf *problem)
{
	struct search_word *to = &s->words[s->count];
	size_t i = 0;

	if (span_equal(word->key, SPAN("since")) || span_equal(word->key, SPAN("until")))
		return add_when(s, word, now_ms, problem);
	if (s->count == SEARCH_WORDS) {
		buf_printf(problem, "a query has at most %u words\n", SEARCH_WORDS);
		return ERR_SYNTAX;
	}
	while (i < ARRAY_SIZE(keys) && !span_equal(word->key, span_str(keys[i].name)))
		i++;
	if (word->has_key && i == ARRAY_SIZE(keys))
		return unknown_key(word, problem);
	to->kind = word->has_key ? keys[i].kind : kind_of(word);
	to->value = word->value;
	int err = check_value(to, problem);
	if (!err)
		s->count++;
	return err;
}

int search_parse(
	struct span query, uint32_t most, int64_t now_ms, struct search *out, struct buf *problem)
{
	struct search s = {.most = most && most < SEARCH_MESSAGES ? most : SEARCH_MESSAGES};
	struct word word;

	if (query.n >= sizeof(s.text)) {
		buf_printf(problem, "a query has at most %zu bytes\n", sizeof(s.text) - 1);
		return ERR_SYNTAX;
	}
	*out = s;
	if (query.n)
		memcpy(out->text, query.p, query.n);
	struct span rest = skip_blanks(span_of(out->text, query.n));
	while (rest.n) {
		int err = read_word(out, &rest, &word, problem);

		if (!err)
			err = add_word(out, &word, now_ms, problem);
		if (err)
			return err;
		rest = skip_blanks(rest);
	}
	if (!out->count && !out->since_ms && !out->until_ms) {
		buf_add_str(problem,
			"what to look for? An id, an address, @domain, an IP address, or "
			"key=value words\n");
		return ERR_SYNTAX;
	}
	return 0;
}
