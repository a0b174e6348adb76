/* Does an event match a query? */
#include "base/netaddr.h"
#include "base/text.h"
#include "codec/pin.h"
#include "route/priority.h"
#include "trace/search_impl.h"

static bool contains_nocase(struct span in, struct span what)
{
	if (!what.n || what.n > in.n)
		return !what.n;
	char low = ascii_lower(what.p[0]);
	char high = low >= 'a' && low <= 'z' ? (char)(low - 32) : low;
	const char *end = in.p + in.n - what.n + 1;

	for (const char *p = in.p; p < end; p++) {
		const char *a = memchr(p, low, (size_t)(end - p));
		const char *b = high == low ? NULL : memchr(p, high, (size_t)((a ? a : end) - p));

		p = b ? b : a;
		if (!p)
			return false;
		if (span_equal_nocase(span_of(p, what.n), what))
			return true;
	}
	return false;
}

/* RFC 5321 section 2.4: the local part's case is the receiver's; people do not care. */
static bool address_matches(struct span address, struct span wanted)
{
	if (span_equal(wanted, SPAN("<>")))
		return address.n == 0;
	if (wanted.n && wanted.p[0] == '@')
		return span_ends_nocase(address, wanted);
	return span_equal_nocase(address, wanted);
}

struct span json_text(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return span_of(json_string_value(value), json_string_length(value));
}

static bool any_recipient(const json_t *object, struct span wanted)
{
	const json_t *list = json_object_get(object, "recipients");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		if (address_matches(
			    span_of(json_string_value(one), json_string_length(one)), wanted))
			return true;
	}
	return false;
}

static bool sender_matches(const json_t *object, struct span wanted)
{
	return json_object_get(object, "sender") &&
	       address_matches(json_text(object, "sender"), wanted);
}

static bool ip_matches(struct span text, struct span wanted)
{
	struct netaddr a;

	return text.n && !netaddr_parse(text, 0, &a) && priority_network_matches(wanted, &a);
}

/* "login"; "certificate sha256:…" is found by either part. */
static bool relay_matches(struct span relay, struct span wanted)
{
	size_t blank = span_find(relay, ' ');
	uint8_t a[PIN_BYTES], b[PIN_BYTES];

	if (span_equal(span_of(relay.p, blank), wanted))
		return true;
	return pin_parse(wanted, a) == 0 && blank < relay.n &&
	       pin_parse(span_skip(relay, blank + 1), b) == 0 && memcmp(a, b, PIN_BYTES) == 0;
}

/* "TLSv1.3 TLS_AES_256_GCM_SHA384", and behind a comma what was checked: "verified" is not found in
 * "not verified". */
static bool tls_matches(const json_t *object, struct span wanted)
{
	struct span tls = json_text(object, "tls"), event = json_text(object, "event");
	struct span link = span_of(tls.p, span_find(tls, ','));

	if (span_equal(wanted, SPAN("none")))
		return !tls.n && (span_equal(event, SPAN("Reception")) ||
					 span_equal(event, SPAN("Delivery")));
	return tls.n && (contains_nocase(link, wanted) || span_equal_nocase(tls, wanted) ||
				(tls.n > link.n + 2 &&
					span_equal_nocase(span_skip(tls, link.n + 2), wanted)));
}

/* A quote or a backslash is written otherwise in JSON. */
static bool needs_escape(struct span value)
{
	return span_find(value, '"') < value.n || span_find(value, '\\') < value.n;
}

static bool string_contains(const json_t *value, struct span wanted)
{
	return json_is_string(value) &&
	       contains_nocase(
		       span_of(json_string_value(value), json_string_length(value)), wanted);
}

static bool any_contains(const json_t *object, struct span wanted)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		if (string_contains(value, wanted))
			return true;
		for (size_t i = 0; i < json_array_size(value); i++)
			if (string_contains(json_array_get(value, i), wanted))
				return true;
	}
	return false;
}

static bool word_matches(const struct search_word *word, const json_t *object, struct span line)
{
	struct span value = word->value;
	uint64_t a, b;

	switch (word->kind) {
	case WORD_ID:
		return !text_parse_id(json_text(object, "id"), &a) && !text_parse_id(value, &b) &&
		       a == b;
	case WORD_SENDER: return sender_matches(object, value);
	case WORD_RECIPIENT: return any_recipient(object, value);
	case WORD_ADDRESS: return sender_matches(object, value) || any_recipient(object, value);
	case WORD_USER:
		return json_object_get(object, "user") &&
		       address_matches(json_text(object, "user"), value);
	case WORD_AUTH: return span_equal_nocase(json_text(object, "auth"), value);
	case WORD_CLIENT: return ip_matches(json_text(object, "client"), value);
	case WORD_IP:
		return ip_matches(json_text(object, "client"), value) ||
		       ip_matches(json_text(object, "peer"), value);
	case WORD_RELAY: return relay_matches(json_text(object, "relay"), value);
	case WORD_LISTENER: return span_equal(json_text(object, "listener"), value);
	case WORD_PROTOCOL: return span_equal_nocase(json_text(object, "protocol"), value);
	case WORD_TLS: return tls_matches(object, value);
	case WORD_EVENT: return span_equal_nocase(json_text(object, "event"), value);
	case WORD_TRANSPORT: return span_equal_nocase(json_text(object, "transport"), value);
	case WORD_DESTINATION: return span_equal_nocase(json_text(object, "destination"), value);
	case WORD_TEXT:
		return needs_escape(value) ? any_contains(object, value)
					   : contains_nocase(line, value);
	}
	return false;
}

bool search_may_match(const struct search *s, struct span line)
{
	for (uint32_t i = 0; i < s->count; i++) {
		const struct search_word *word = &s->words[i];

		/* Addresses of hosts and fingerprints have several spellings, and what is not there
		 * has none. */
		if (word->kind == WORD_CLIENT || word->kind == WORD_IP || word->kind == WORD_ID ||
			word->kind == WORD_RELAY || word->kind == WORD_TLS ||
			span_equal(word->value, SPAN("<>")) || needs_escape(word->value))
			continue;
		if (!contains_nocase(line, word->value))
			return false;
	}
	return true;
}

bool search_matches(const struct search *s, const json_t *object, struct span line)
{
	int64_t when;

	for (uint32_t i = 0; i < s->count; i++)
		if (!word_matches(&s->words[i], object, line))
			return false;
	if (!s->since_ms && !s->until_ms)
		return true;
	return !text_parse_time(json_text(object, "time"), &when) && when >= s->since_ms &&
	       (!s->until_ms || when <= s->until_ms);
}

bool search_is_event(const json_t *object)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return false;
	json_object_foreach((json_t *)object, key, value)
	{
		if (json_is_object(value))
			return false;
		for (size_t i = 0; i < json_array_size(value); i++)
			if (json_is_object(json_array_get(value, i)) ||
				json_is_array(json_array_get(value, i)))
				return false;
	}
	return true;
}
