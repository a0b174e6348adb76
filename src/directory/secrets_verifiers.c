/* What is kept of an account's password, as text. Pure. */
#include "directory/secrets.h"

#include "base/base64.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/fixed_buf.h"

#include <string.h>

#define CRYPT_PREFIX SPAN("crypt:")
#define SCRAM_PREFIX SPAN("scram-sha-256:")

static bool starts(struct span text, struct span prefix)
{
	return text.n >= prefix.n && memcmp(text.p, prefix.p, prefix.n) == 0;
}

/* crypt(5): printable ASCII, and none of those that mean something in a file of passwords, or that
 * a hash failed. */
static bool is_crypt(struct span hash)
{
	if (hash.n == 0 || hash.n > SECRET_CRYPT)
		return false;
	for (size_t i = 0; i < hash.n; i++)
		if (hash.p[i] <= ' ' || hash.p[i] > '~' || strchr(":;*!\\", hash.p[i]))
			return false;
	return true;
}

/* Takes what stands before the next colon. */
static struct span part(struct span *rest)
{
	struct span out = span_of(rest->p, span_find(*rest, ':'));

	*rest = span_skip(*rest, out.n + 1);
	return out;
}

static bool bytes(struct span text, uint8_t *out, size_t least, size_t most, uint32_t *n)
{
	struct buf to = fixed_buf(out, most);

	if (!base64_decode(text, &to) || to.n < least)
		return false;
	*n = (uint32_t)to.n;
	return true;
}

static bool parse_scram(struct span text, struct scram_verifier *out)
{
	uint64_t iterations;
	uint32_t n;

	if (text_parse_u64(part(&text), SCRAM_ITERATIONS_MOST, &iterations) < 0 ||
		iterations < SCRAM_ITERATIONS_LEAST)
		return false;
	out->iterations = (uint32_t)iterations;
	/* The last one has no colon behind it: one more part makes it no base64. */
	return bytes(part(&text), out->salt, 1, sizeof(out->salt), &out->salt_bytes) &&
	       bytes(part(&text), out->stored_key, SCRAM_HASH, SCRAM_HASH, &n) &&
	       bytes(text, out->server_key, SCRAM_HASH, SCRAM_HASH, &n);
}

static bool parse_one(struct span word, struct password_verifiers *out)
{
	if (starts(word, CRYPT_PREFIX)) {
		struct span hash = span_skip(word, CRYPT_PREFIX.n);
		bool ok = !out->crypt.n && is_crypt(hash);
		out->crypt = hash;
		return ok;
	}
	if (!starts(word, SCRAM_PREFIX) || out->has_scram)
		return false;
	out->has_scram = true;
	return parse_scram(span_skip(word, SCRAM_PREFIX.n), &out->scram);
}

int verifiers_parse(struct span value, struct password_verifiers *out)
{
	struct password_verifiers v = {.has_scram = false};
	bool ok = value.n > 0 && value.n <= SECRET_BYTES && value.p[value.n - 1] != ' ';

	while (ok && value.n) {
		struct span word = span_of(value.p, span_find(value, ' '));
		value = span_skip(value, word.n + 1);
		ok = parse_one(word, &v);
	}
	if (ok)
		*out = v;
	explicit_bzero(&v, sizeof(v));
	return ok ? 0 : ERR_SYNTAX;
}

void verifiers_add(struct buf *out, const struct password_verifiers *verifiers)
{
	const struct scram_verifier *scram = &verifiers->scram;

	if (verifiers->crypt.n) {
		buf_add_span(out, CRYPT_PREFIX);
		buf_add_span(out, verifiers->crypt);
	}
	if (!verifiers->has_scram)
		return;
	if (verifiers->crypt.n)
		buf_add_char(out, ' ');
	buf_add_span(out, SCRAM_PREFIX);
	buf_add_u64(out, scram->iterations);
	buf_add_char(out, ':');
	base64_add(out, span_of(scram->salt, scram->salt_bytes));
	buf_add_char(out, ':');
	base64_add(out, span_of(scram->stored_key, SCRAM_HASH));
	buf_add_char(out, ':');
	base64_add(out, span_of(scram->server_key, SCRAM_HASH));
}
