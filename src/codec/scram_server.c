/* The server's half of SCRAM that needs no verifier (RFC 5802 sections 5 to 7). */
#include "base/base64.h"
#include "base/err.h"
#include "codec/fixed_buf.h"
#include "codec/scram_private.h"

#include <openssl/crypto.h>

/* saslname: "=2C" and "=3D" are the only ones with a "=". */
static int take_name(struct span in, struct arena *arena, struct span *out)
{
	char *name = arena_alloc(arena, in.n);
	size_t n = 0;

	if (!name)
		return ERR_NOMEM;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (c == '=') {
			struct span code = span_of(in.p + i, in.n - i < 3 ? in.n - i : 3);
			if (span_equal(code, SPAN("=2C")))
				c = ',';
			else if (!span_equal(code, SPAN("=3D")))
				return ERR_SYNTAX;
			i += 2;
		}
		name[n++] = c;
	}
	if (n > SCRAM_USER)
		return ERR_LIMIT;
	*out = span_of(name, n);
	return 0;
}

static int take_binding(struct span flag, bool plus, enum scram_binding *out)
{
	enum scram_binding binding = SCRAM_UNBOUND;

	if (flag.n > 2 && flag.p[0] == 'p' && flag.p[1] == '=') {
		if (!span_equal(span_skip(flag, 2), SPAN(SCRAM_CHANNEL)))
			return ERR_UNSUPPORTED;
		binding = SCRAM_BOUND;
	} else if (span_equal(flag, SPAN("y"))) {
		binding = SCRAM_NOT_OFFERED;
	} else if (!span_equal(flag, SPAN("n"))) {
		return ERR_SYNTAX;
	}
	if (plus != (binding == SCRAM_BOUND))
		return ERR_SYNTAX;
	*out = binding;
	return 0;
}

/* gs2-header: takes it off the front of *rest. */
static int take_gs2(struct span *rest, bool plus, struct arena *arena, struct scram_server *s)
{
	const char *begin = rest->p;
	size_t comma = span_find(*rest, ',');
	int err = take_binding(span_of(begin, comma), plus, &s->binding);

	if (err)
		return err;
	*rest = span_skip(*rest, comma + 1);
	comma = span_find(*rest, ',');
	if (comma == rest->n)
		return ERR_SYNTAX;
	struct span authzid = span_of(rest->p, comma);
	if (authzid.n) {
		if (authzid.n < 3 || authzid.p[0] != 'a' || authzid.p[1] != '=')
			return ERR_SYNTAX;
		err = take_name(span_skip(authzid, 2), arena, &s->authzid);
	}
	*rest = span_skip(*rest, comma + 1);
	s->gs2 = span_of(begin, (size_t)(rest->p - begin));
	return err;
}

/* c-nonce: printable, but no comma. */
static bool nonce_valid(struct span nonce)
{
	for (size_t i = 0; i < nonce.n; i++)
		if (nonce.p[i] <= ' ' || nonce.p[i] > '~')
			return false;
	return nonce.n > 0;
}

/* client-first-message-bare. */
static int take_bare(struct span rest, struct arena *arena, struct scram_server *s)
{
	struct span user, nonce;
	char name;

	s->first_bare = rest;
	if (!scram_next(&rest, &name, &user))
		return ERR_SYNTAX;
	if (name == 'm')
		return ERR_UNSUPPORTED;
	if (name != 'n' || !scram_next(&rest, &name, &nonce) || name != 'r' || !nonce_valid(nonce))
		return ERR_SYNTAX;
	int err = scram_extensions(rest);
	if (err)
		return err;
	s->nonce = nonce;
	return take_name(user, arena, &s->user);
}

int scram_server_first(struct scram_server *s, struct span message, bool plus, struct arena *arena)
{
	struct scram_server parsed = {.binding = SCRAM_UNBOUND};
	int err = scram_well_formed(message);

	if (err)
		return err;
	struct span rest = arena_copy(arena, message);
	if (!rest.p)
		return ERR_NOMEM;
	err = take_gs2(&rest, plus, arena, &parsed);
	if (!err)
		err = take_bare(rest, arena, &parsed);
	if (!err)
		*s = parsed;
	return err;
}

int scram_server_challenge(struct scram_server *s, const uint8_t nonce[SCRAM_NONCE],
	const uint8_t *salt, uint32_t salt_bytes, uint32_t iterations, struct arena *arena,
	struct buf *out)
{
	const size_t room = SCRAM_MESSAGE + SCRAM_NONCE_CHARACTERS + 2 * SCRAM_SALT_MOST + 32;

	if (!salt_bytes || salt_bytes > SCRAM_SALT_MOST)
		return ERR_LIMIT;
	void *memory = arena_alloc(arena, room);
	if (!memory)
		return ERR_NOMEM;
	struct buf text = fixed_buf(memory, room);
	buf_add_str(&text, "r=");
	buf_add_span(&text, s->nonce);
	base64_add(&text, span_of(nonce, SCRAM_NONCE));
	size_t nonce_end = text.n;
	buf_add_str(&text, ",s=");
	base64_add(&text, span_of(salt, salt_bytes));
	buf_add_str(&text, ",i=");
	buf_add_u64(&text, iterations);
	/* The nonce is a part of a message that was no longer than SCRAM_MESSAGE. */
	buf_add_span(out, buf_span(&text));
	if (!buf_ok(&text) || !buf_ok(out))
		return ERR_NOMEM;
	s->server_first = buf_span(&text);
	s->nonce = span_of(text.p + 2, nonce_end - 2);
	return 0;
}

/* Are GS2 header and channel what "c=" says? The header was sent in the clear before, so somebody
 * between who took "y" for "n" in it is found here. */
static bool binding_right(const struct scram_server *s, struct span said, const uint8_t *exporter)
{
	char text[(SCRAM_MESSAGE + SCRAM_HASH) / 3 * 4 + 8];
	struct buf ours = fixed_buf(text, sizeof(text));

	if (s->binding == SCRAM_BOUND && !exporter)
		return false;
	scram_add_binding(&ours, s->gs2, s->binding == SCRAM_BOUND ? exporter : NULL);
	return buf_ok(&ours) && said.n == ours.n && CRYPTO_memcmp(said.p, ours.p, ours.n) == 0;
}

int scram_server_final(struct scram_server *s, struct span message, const uint8_t *exporter,
	struct arena *arena, struct span *auth_message, uint8_t proof[SCRAM_HASH])
{
	const struct span mark = SPAN(",p=");
	uint8_t bytes[SCRAM_HASH];
	struct span binding, nonce, rest;
	char name;
	int err = scram_well_formed(message);

	if (err)
		return err;
	/* The proof is the last attribute, and has one length. */
	if (message.n < mark.n + SCRAM_PROOF_CHARACTERS)
		return ERR_SYNTAX;
	struct span before = span_of(message.p, message.n - mark.n - SCRAM_PROOF_CHARACTERS);
	rest = span_skip(message, before.n);
	if (!span_equal(span_of(rest.p, mark.n), mark) ||
		!scram_decode(span_skip(rest, mark.n), bytes, sizeof(bytes)))
		return ERR_SYNTAX;
	rest = before;
	if (!scram_next(&rest, &name, &binding) || name != 'c' ||
		!scram_next(&rest, &name, &nonce) || name != 'r')
		return ERR_SYNTAX;
	err = scram_extensions(rest);
	if (err)
		return err;
	if (!span_equal(nonce, s->nonce) || !binding_right(s, binding, exporter))
		return ERR_DENIED;
	err = scram_auth_message(s->first_bare, s->server_first, before, arena, auth_message);
	if (!err)
		memcpy(proof, bytes, sizeof(bytes));
	return err;
}

void scram_server_success(const uint8_t signature[SCRAM_HASH], struct buf *out)
{
	buf_add_str(out, "v=");
	base64_add(out, span_of(signature, SCRAM_HASH));
}
