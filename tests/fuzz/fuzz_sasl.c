/* What comes from the other side of an AUTH: PLAIN, base64, lists of mechanisms, the messages of
 * SCRAM to both sides, and names to prepare. No crash, and nobody gets in who does not know the
 * password. The first byte says which. */
#include "base/base64.h"
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/sasl.h"
#include "codec/scram.h"

#define ARENA_BYTES   (1u << 20)
#define DECODED_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t nonce[SCRAM_NONCE] = {1, 2, 3}, channel[SCRAM_HASH] = {4, 5, 6};

/* The first line of *rest. */
static struct span take_line(struct span *rest)
{
	struct span line = span_of(rest->p, span_find(*rest, '\n'));

	*rest = line.n < rest->n ? span_skip(*rest, line.n + 1) : SPAN_NONE;
	return line;
}

static void play_plain(struct span in)
{
	struct span authzid, user, password;
	struct buf again;

	if (sasl_plain_parse(in, &authzid, &user, &password) != 0)
		return;
	CHECK(user.n && password.n && authzid.n + user.n + password.n + 2 == in.n);
	buf_init(&again, in.n + 1);
	buf_add_span(&again, authzid);
	sasl_plain_add(&again, user, password);
	CHECK(span_equal(buf_span(&again), in));
	buf_done(&again);
}

static void play_base64(struct span in, struct arena *arena)
{
	struct span out, back;
	struct buf text;
	int err = sasl_decode(in, DECODED_BYTES, arena, &out);

	CHECK(err == 0 || err == ERR_SYNTAX || err == ERR_LIMIT || err == ERR_NOMEM);
	if (err)
		return;
	CHECK(out.n <= DECODED_BYTES);
	buf_init(&text, 2 * DECODED_BYTES);
	base64_add(&text, out);
	CHECK(sasl_decode(buf_span(&text), DECODED_BYTES, arena, &back) == 0);
	CHECK(span_equal(back, out));
	buf_done(&text);
}

static void play_names(struct span in)
{
	struct buf out;
	unsigned set = sasl_parse_names(in);

	CHECK(set < 1u << SASL_MECHANISMS);
	buf_init(&out, 200);
	sasl_add_names(&out, set);
	CHECK(buf_ok(&out) && sasl_parse_names(buf_span(&out)) == set);
	buf_done(&out);
}

/* Two lines to a server whose verifier belongs to no password. */
static void play_server(struct span in, bool plus, struct arena *arena)
{
	struct scram_verifier verifier = {.iterations = SCRAM_ITERATIONS, .salt_bytes = SCRAM_SALT};
	uint8_t proof[SCRAM_HASH], signature[SCRAM_HASH];
	struct span auth_message, first = take_line(&in);
	struct scram_server s;
	struct buf out;

	if (scram_server_first(&s, first, plus, arena) != 0)
		return;
	CHECK((s.binding == SCRAM_BOUND) == plus);
	CHECK(s.user.n && s.user.n <= SCRAM_USER && s.gs2.n + s.first_bare.n == first.n);
	buf_init(&out, 2 * SCRAM_MESSAGE);
	CHECK(scram_server_challenge(
		      &s, nonce, verifier.salt, SCRAM_SALT, SCRAM_ITERATIONS, arena, &out) == 0);
	if (scram_server_final(&s, in, plus ? channel : NULL, arena, &auth_message, proof) == 0)
		CHECK(!scram_server_check(&verifier, auth_message, proof, signature));
	buf_done(&out);
}

/* The iterations are for real, so there must not be many. */
static bool is_quick(struct span challenge)
{
	const struct span mark = SPAN(",i=");
	const char *at = challenge.n ? memmem(challenge.p, challenge.n, mark.p, mark.n) : NULL;
	uint64_t count = 0;

	if (!at)
		return true;
	struct span rest = span_skip(challenge, (size_t)(at - challenge.p) + mark.n);
	size_t digits = 0;
	while (digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9')
		digits++;
	return text_parse_u64(span_of(rest.p, digits), SCRAM_ITERATIONS_LEAST, &count) == 0 ||
	       digits > 7;
}

static void play_client(struct span in, bool plus, struct arena *arena)
{
	struct span challenge = take_line(&in);
	struct scram_client c;
	struct buf out;

	if (!is_quick(challenge))
		return;
	buf_init(&out, 2 * SCRAM_MESSAGE);
	CHECK(scram_client_first(&c, SPAN("user"), channel, plus, nonce, arena, &out) == 0);
	if (scram_client_final(&c, SPAN("pencil"), challenge, arena, &out) == 0)
		CHECK(scram_client_verify(&c, in) != 0);
	buf_done(&out);
}

static void play_preparation(struct span in)
{
	struct buf once, twice;

	buf_init(&once, SCRAM_PREPARED);
	buf_init(&twice, SCRAM_PREPARED);
	int err = scram_prepare(in, &once);
	CHECK(err == 0 || err == ERR_SYNTAX || err == ERR_LIMIT);
	CHECK(err ? once.n == 0 : once.n > 0 && text_is_utf8(buf_span(&once)));
	if (!err && once.n <= SCRAM_PREPARE) {
		CHECK(scram_prepare(buf_span(&once), &twice) == 0);
		CHECK(span_equal(buf_span(&once), buf_span(&twice)));
	}
	buf_done(&once);
	buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;

	if (!size)
		return 0;
	arena_init(&arena, ARENA_BYTES);
	struct span in = span_of(data + 1, size - 1);
	switch (data[0]) {
	case 'p': play_plain(in); break;
	case 'b': play_base64(in, &arena); break;
	case 'n': play_names(in); break;
	case 's':
	case 'S': play_server(in, data[0] == 'S', &arena); break;
	case 'c':
	case 'C': play_client(in, data[0] == 'C', &arena); break;
	default: play_preparation(in); break;
	}
	arena_reset(&arena);
	return 0;
}
