#include "trace/search.h"

#include "base/err.h"
#include "base/netaddr.h"
#include "base/text.h"

/* ---- the query ------------------------------------------------------------------------------ */

static bool split_key(struct span word, const char *key, struct span *value)
{
	size_t n = strlen(key);

	if (word.n <= n || memcmp(word.p, key, n) != 0 || word.p[n] != '=')
		return false;
	*value = span_skip(word, n + 1);
	return true;
}

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

static int add_word(struct search *s, struct span word, int64_t now_ms, struct buf *problem)
{
	static const struct {
		const char *key;
		int kind;
	} keys[] = {
		{"id", WORD_ID},
		{"sender", WORD_SENDER},
		{"recipient", WORD_RECIPIENT},
		{"client", WORD_CLIENT},
		{"event", WORD_EVENT},
		{"transport", WORD_TRANSPORT},
		{"destination", WORD_DESTINATION},
	};
	struct search_word *to = &s->words[s->count];
	struct netaddr ip;
	uint64_t id;
	struct span value;

	for (int until = 0; until < 2; until++) {
		if (!split_key(word, until ? "until" : "since", &value))
			continue;
		if (!parse_when(value, now_ms, until ? &s->until_ms : &s->since_ms))
			return 0;
		buf_add_str(problem,
			"since and until take a time (2026-11-21T08:00:00Z), a date, or how long "
			"ago (2h)\n");
		return ERR_SYNTAX;
	}
	if (s->count == SEARCH_WORDS) {
		buf_printf(problem, "a query has at most %u words\n", SEARCH_WORDS);
		return ERR_SYNTAX;
	}
	to->kind = WORD_TEXT;
	to->value = word;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (split_key(word, keys[i].key, &value)) {
			to->kind = keys[i].kind;
			to->value = value;
		}
	}
	if (to->kind == WORD_ID && text_parse_id(to->value, &id)) {
		buf_add_str(problem, "id: not a message's id (13 letters and digits)\n");
		return ERR_SYNTAX;
	}
	if (to->kind == WORD_TEXT) {
		if (word.n == TEXT_ID_LENGTH && !text_parse_id(word, &id))
			to->kind = WORD_ID;
		else if (!netaddr_parse_ip(word, &ip))
			to->kind = WORD_IP;
		else if (span_find(word, '@') < word.n)
			to->kind = WORD_ADDRESS;
	}
	s->count++;
	return 0;
}

int search_parse(
	struct span query, uint32_t most, int64_t now_ms, struct search *out, struct buf *problem)
{
	struct search s = {.most = most && most < SEARCH_MESSAGES ? most : SEARCH_MESSAGES};

	if (query.n >= sizeof(s.text)) {
		buf_printf(problem, "a query has at most %zu bytes\n", sizeof(s.text) - 1);
		return ERR_SYNTAX;
	}
	*out = s;
	if (query.n)
		memcpy(out->text, query.p, query.n);
	struct span rest = span_trim(span_of(out->text, query.n));
	while (rest.n) {
		size_t n = span_find(rest, ' ');
		int err = add_word(out, span_of(rest.p, n), now_ms, problem);

		if (err)
			return err;
		rest = span_trim(span_skip(rest, n));
	}
	if (!out->count && !out->since_ms && !out->until_ms) {
		buf_add_str(problem,
			"what to look for? An id, an address, @domain, an IP address, or "
			"key=value words\n");
		return ERR_SYNTAX;
	}
	return 0;
}
