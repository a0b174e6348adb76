/* The client's side of SCRAM (RFC 5802 sections 5 to 7). */
#include "base/base64.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/fixed_buf.h"
#include "codec/scram_private.h"

#include <openssl/crypto.h>

/* The first letter says what the client knows of channel bindings (RFC 5802 section 6). */
static struct span gs2_of(const struct scram_client *c)
{
	if (c->plus)
		return SPAN("p=" SCRAM_CHANNEL ",,");
	return c->can_bind ? SPAN("y,,") : SPAN("n,,");
}

int scram_client_first(struct scram_client *c, struct span user, const uint8_t *exporter, bool plus,
	const uint8_t nonce[SCRAM_NONCE], struct arena *arena, struct buf *out)
{
	struct scram_client begun = {.plus = plus, .can_bind = exporter != NULL};
	char name[SCRAM_PREPARED];
	struct buf prepared = fixed_buf(name, sizeof(name));
	int err = plus && !exporter ? ERR_UNSUPPORTED : scram_prepare(user, &prepared);

	if (err)
		return err;
	if (prepared.n > SCRAM_USER)
		return ERR_LIMIT;
	if (exporter)
		memcpy(begun.exporter, exporter, SCRAM_HASH);
	/* Three bytes for each of the name at most, and "n=", ",r=". */
	const size_t room = (size_t)3 * SCRAM_USER + 5 + SCRAM_NONCE_CHARACTERS;
	void *memory = arena_alloc(arena, room);
	if (!memory)
		return ERR_NOMEM;
	struct buf bare = fixed_buf(memory, room);
	buf_add_str(&bare, "n=");
	scram_add_name(&bare, buf_span(&prepared));
	buf_add_str(&bare, ",r=");
	size_t nonce_at = bare.n;
	base64_add(&bare, span_of(nonce, SCRAM_NONCE));
	begun.first_bare = buf_span(&bare);
	begun.nonce = span_skip(begun.first_bare, nonce_at);
	buf_add_span(out, gs2_of(&begun));
	buf_add_span(out, begun.first_bare);
	if (!buf_ok(&bare) || !buf_ok(out))
		return ERR_NOMEM;
	*c = begun;
	return 0;
}

struct challenge {
	struct span nonce;
	uint8_t salt[SCRAM_SALT_MOST];
	size_t salt_bytes;
	uint32_t iterations;
};

static int take_salt(struct span text, struct challenge *out)
{
	struct buf salt = fixed_buf(out->salt, sizeof(out->salt));

	if (text.n > ((size_t)SCRAM_SALT_MOST + 2) / 3 * 4)
		return ERR_LIMIT;
	if (!base64_decode(text, &salt))
		return buf_ok(&salt) ? ERR_SYNTAX : ERR_LIMIT;
	out->salt_bytes = salt.n;
	return salt.n ? 0 : ERR_SYNTAX;
}

static int take_iterations(struct span text, struct challenge *out)
{
	uint64_t count = 0;
	/* posit-number has no leading zero. */
	int err =
		text.p[0] == '0' ? ERR_SYNTAX : text_parse_u64(text, SCRAM_ITERATIONS_MOST, &count);

	if (!err && count < SCRAM_ITERATIONS_LEAST)
		err = ERR_LIMIT;
	out->iterations = (uint32_t)count;
	return err;
}

static int parse_challenge(struct span in, struct challenge *out)
{
	struct span salt, iterations;
	char name;
	int err = scram_well_formed(in);

	if (err)
		return err;
	if (!scram_next(&in, &name, &out->nonce))
		return ERR_SYNTAX;
	if (name == 'm')
		return ERR_UNSUPPORTED;
	if (name != 'r' || !scram_next(&in, &name, &salt) || name != 's' ||
		!scram_next(&in, &name, &iterations) || name != 'i')
		return ERR_SYNTAX;
	err = scram_extensions(in);
	if (!err)
		err = take_salt(salt, out);
	if (!err)
		err = take_iterations(iterations, out);
	return err;
}

/* Of this message, which has no proof yet: adds it, and keeps what the server has to answer. */
static int add_proof(struct scram_client *c, const struct scram_keys *keys,
	struct span server_first, struct arena *arena, struct buf *message)
{
	uint8_t signature[SCRAM_HASH], proof[SCRAM_HASH], answer[SCRAM_HASH];
	struct span auth_message;
	int err = scram_auth_message(
		c->first_bare, server_first, buf_span(message), arena, &auth_message);

	if (!err)
		err = scram_hmac(keys->stored, auth_message, signature);
	if (!err)
		err = scram_hmac(keys->server, auth_message, answer);
	if (err)
		return err;
	for (size_t i = 0; i < SCRAM_HASH; i++)
		proof[i] = keys->client[i] ^ signature[i];
	buf_add_str(message, ",p=");
	base64_add(message, span_of(proof, sizeof(proof)));
	if (!buf_ok(message))
		return ERR_LIMIT;
	memcpy(c->server_signature, answer, sizeof(answer));
	return 0;
}

static int derive(struct span password, const struct challenge *challenge, struct scram_keys *out)
{
	char text[SCRAM_PREPARED];
	struct buf prepared = fixed_buf(text, sizeof(text));
	int err = scram_prepare(password, &prepared);

	if (!err)
		err = scram_derive(buf_span(&prepared),
			span_of(challenge->salt, challenge->salt_bytes), challenge->iterations,
			out);
	OPENSSL_cleanse(text, sizeof(text));
	return err;
}

int scram_client_final(struct scram_client *c, struct span password, struct span server_first,
	struct arena *arena, struct buf *out)
{
	struct challenge challenge;
	struct scram_keys keys;
	char text[SCRAM_MESSAGE + 256];
	struct buf message = fixed_buf(text, sizeof(text));
	int err = parse_challenge(server_first, &challenge);

	if (err)
		return err;
	/* Ours, and something of the server's (RFC 5802 section 5.1, "r"). */
	if (challenge.nonce.n <= c->nonce.n ||
		!span_equal(span_of(challenge.nonce.p, c->nonce.n), c->nonce))
		return ERR_DENIED;
	err = derive(password, &challenge, &keys);
	if (err)
		return err;
	buf_add_str(&message, "c=");
	scram_add_binding(&message, gs2_of(c), c->plus ? c->exporter : NULL);
	buf_add_str(&message, ",r=");
	buf_add_span(&message, challenge.nonce);
	err = add_proof(c, &keys, server_first, arena, &message);
	OPENSSL_cleanse(&keys, sizeof(keys));
	if (err)
		return err;
	buf_add_span(out, buf_span(&message));
	return buf_ok(out) ? 0 : ERR_NOMEM;
}

int scram_client_verify(const struct scram_client *c, struct span server_final)
{
	uint8_t said[SCRAM_HASH];
	struct span value;
	char name;
	int err = scram_well_formed(server_final);

	if (err)
		return err;
	if (!scram_next(&server_final, &name, &value))
		return ERR_SYNTAX;
	if (name == 'e')
		return ERR_DENIED;
	if (name != 'v' || !scram_decode(value, said, sizeof(said)))
		return ERR_SYNTAX;
	err = scram_extensions(server_final);
	if (err)
		return err;
	return CRYPTO_memcmp(said, c->server_signature, sizeof(said)) == 0 ? 0 : ERR_DENIED;
}
