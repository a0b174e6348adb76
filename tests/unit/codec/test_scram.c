#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/err.h"
#include "codec/scram.h"

/* RFC 7677 section 3: user "user", password "pencil". */
#define RFC_BARE      "n=user,r=rOprNGfwEbeRWgbNEkqO"
#define RFC_NONCE     "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define RFC_CHALLENGE "r=" RFC_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define RFC_FINAL     "c=biws,r=" RFC_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define RFC_SUCCESS   "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static const uint8_t salt[SCRAM_SALT] = {1, 2, 3};
static const uint8_t nonce_c[SCRAM_NONCE] = {7}, nonce_s[SCRAM_NONCE] = {8};
static const uint8_t channel[SCRAM_HASH] = {42}, other_channel[SCRAM_HASH] = {43};

static int setup(void **state)
{
	static struct arena arena;
	arena_init(&arena, 1 << 20);
	*state = &arena;
	return 0;
}

static int teardown(void **state)
{
	arena_reset(*state);
	return 0;
}

static void expect(struct buf *buf, struct span text)
{
	assert_true(buf_ok(buf));
	assert_true(span_equal(buf_span(buf), text));
	buf_clear(buf);
}

/* ---- preparation ---- */

static void strings_are_prepared_as_rfc_4013_shows(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"I\xc2\xadX", "IX"},
		{"user", "user"},
		{"USER", "USER"},
		{"\xc2\xaa", "a"},
		{"\xe2\x85\xa8", "IX"},
		{" two  words ", " two  words "},
		{"a\xc2\xa0"
		 "b\xe3\x80\x80"
		 "c",
			"a b c"}, /* other spaces */
		{"a\xe2\x80\x8b"
		 "b",
			"a b"},			    /* which U+200B is, too */
		{"e\xcc\x81", "\xc3\xa9"},	    /* composed */
		{"\xe2\x84\xab", "\xc3\x85"},	    /* the Angstrom sign */
		{"\xef\xbd\x81\xef\xbd\x82", "ab"}, /* full width */
		{"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"},
		{"\xd8\xa7"
		 "1"
		 "\xd8\xa8",
			"\xd8\xa7"
			"1"
			"\xd8\xa8"},			  /* RFC 3454 section 6 */
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"}, /* younger than Unicode 3.2 */
		{"\xf0\x90\x8c\x80", "\xf0\x90\x8c\x80"},
	};
	struct buf out;
	buf_init(&out, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(scram_prepare(span_str(cases[i].in), &out), 0);
		expect(&out, span_str(cases[i].out));
	}
	buf_done(&out);
}

static void prohibited_strings_are_refused(void **state)
{
	(void)state;
	static const struct span cases[] = {
		{NULL, 0}, {"\a", 1}, {"a\0b", 3}, {"\x7f", 1}, {"\xc2\x85", 2},
		{"\xd8\xa7"
		 "1",
			3}, /* RFC 4013 section 3: begins RTL, ends not so */
		{"1\xd8\xa7", 3},
		{"\xd8\xa7"
		 "a\xd8\xa7",
			5},	      /* letters of both directions */
		{"\xe2\x80\xa8x", 4}, /* line separator */
		{"\xe2\x80\xae"
		 "x",
			4},					  /* right-to-left override */
		{"\xee\x80\x80", 3},				  /* private use */
		{"\xf4\x80\x80\x80", 4}, {"\xef\xbf\xbd", 3},	  /* replacement character */
		{"\xef\xb7\x90", 3},				  /* no character */
		{"\xf0\x9f\xbf\xbe", 4}, {"\xf3\xa0\x80\xa0", 4}, /* tag */
		{"\xe2\xbf\xb0", 3},				  /* ideographic description */
		{"\xc2\xad\xef\xbb\xbf", 5},			  /* nothing is left */
		{"p\xffss", 4},					  /* no UTF-8 */
		{"\xed\xa0\x80", 3},				  /* a surrogate */
		{"\xc0\xaf", 2},				  /* over-long */
	};
	struct buf out;
	buf_init(&out, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		buf_add_str(&out, "x");
		assert_int_equal(scram_prepare(cases[i], &out), ERR_SYNTAX);
		expect(&out, SPAN("x"));
	}
	buf_done(&out);
}

static void the_length_of_a_password_is_bounded(void **state)
{
	(void)state;
	static char text[SCRAM_PREPARE + 1];
	struct buf out;
	buf_init(&out, SCRAM_PREPARED);
	/* U+FDFA is the one that grows most. */
	for (size_t i = 0; i + 3 <= SCRAM_PREPARE; i += 3)
		memcpy(text + i, "\xef\xb7\xba", 3);
	assert_int_equal(scram_prepare(span_of(text, SCRAM_PREPARE / 3 * 3), &out), 0);
	assert_int_equal(out.n, SCRAM_PREPARE / 3 * 33);
	memset(text, 'a', sizeof(text));
	buf_clear(&out);
	assert_int_equal(scram_prepare(span_of(text, SCRAM_PREPARE + 1), &out), ERR_LIMIT);
	assert_int_equal(scram_prepare(span_of(text, SCRAM_PREPARE), &out), 0);
	buf_done(&out);
	buf_init(&out, 3);
	assert_int_equal(scram_prepare(SPAN("\xc3\xa4\xc3\xb6\xc3\xbc"), &out), ERR_NOMEM);
	buf_done(&out);
}

/* ---- the example of RFC 7677 ---- */

static struct scram_verifier verifier_of(struct span password)
{
	struct scram_verifier verifier;
	assert_int_equal(scram_verifier_make(
				 password, salt, sizeof(salt), SCRAM_ITERATIONS_LEAST, &verifier),
		0);
	return verifier;
}

static struct scram_verifier rfc_verifier(void)
{
	struct scram_verifier verifier;
	struct buf rfc_salt;
	buf_init(&rfc_salt, 100);
	assert_true(base64_decode(SPAN("W22ZaJ0SNY7soEsUEjb6gQ=="), &rfc_salt));
	assert_int_equal(scram_verifier_make(SPAN("pencil"), (const uint8_t *)rfc_salt.p,
				 (uint32_t)rfc_salt.n, 4096, &verifier),
		0);
	buf_done(&rfc_salt);
	return verifier;
}

static void our_server_takes_the_clients_words_of_rfc_7677(void **state)
{
	struct arena *arena = *state;
	struct scram_verifier verifier = rfc_verifier();
	uint8_t proof[SCRAM_HASH], signature[SCRAM_HASH];
	struct scram_server s;
	struct span auth_message;
	struct buf out;
	buf_init(&out, 1000);
	assert_int_equal(scram_server_first(&s, SPAN("n,," RFC_BARE), false, arena), 0);
	assert_true(span_equal(s.user, SPAN("user")));
	assert_int_equal(s.binding, SCRAM_UNBOUND);
	assert_int_equal(s.authzid.n, 0);
	/* Its own nonce, in place of a random one. */
	s.nonce = SPAN(RFC_NONCE);
	s.server_first = SPAN(RFC_CHALLENGE);
	assert_int_equal(
		scram_server_final(&s, SPAN(RFC_FINAL), NULL, arena, &auth_message, proof), 0);
	assert_true(
		span_equal(auth_message, SPAN(RFC_BARE "," RFC_CHALLENGE ",c=biws,r=" RFC_NONCE)));
	assert_true(scram_server_check(&verifier, auth_message, proof, signature));
	scram_server_success(signature, &out);
	expect(&out, SPAN(RFC_SUCCESS));
	proof[31] ^= 1;
	assert_false(scram_server_check(&verifier, auth_message, proof, signature));
	buf_done(&out);
}

static void our_client_speaks_the_words_of_rfc_7677(void **state)
{
	struct scram_client c = {
		.first_bare = SPAN(RFC_BARE), .nonce = SPAN("rOprNGfwEbeRWgbNEkqO")};
	struct buf out;
	buf_init(&out, 1000);
	assert_int_equal(
		scram_client_final(&c, SPAN("pencil"), SPAN(RFC_CHALLENGE), *state, &out), 0);
	expect(&out, SPAN(RFC_FINAL));
	assert_int_equal(scram_client_verify(&c, SPAN(RFC_SUCCESS)), 0);
	assert_int_equal(scram_client_verify(&c, SPAN(RFC_SUCCESS ",x=more")), 0);
	assert_int_equal(scram_client_verify(&c, SPAN("e=invalid-proof")), ERR_DENIED);
	assert_int_equal(
		scram_client_verify(&c, SPAN("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")),
		ERR_DENIED);
	assert_int_equal(
		scram_client_verify(&c, SPAN("v=6rriTRBi23WpRR/wtup+mMhUZUn/")), ERR_SYNTAX);
	assert_int_equal(scram_client_verify(&c, SPAN("")), ERR_SYNTAX);
	assert_int_equal(scram_client_verify(&c, SPAN("v=")), ERR_SYNTAX);
	assert_int_equal(scram_client_verify(&c, SPAN(RFC_SUCCESS ",")), ERR_SYNTAX);
	assert_int_equal(scram_client_verify(&c, SPAN(RFC_SUCCESS ",m=x")), ERR_UNSUPPORTED);
	buf_done(&out);
}

/* ---- one against the other ---- */

struct exchange {
	const char *user, *password;
	const uint8_t *client_channel, *server_channel;
	bool plus;
};

/* The first step that fails, and its error; 0: all is well. */
enum step {
	WELL,
	CLIENT_FIRST,
	SERVER_FIRST,
	CLIENT_FINAL,
	SERVER_FINAL,
	CHECK_PROOF,
	CLIENT_VERIFY
};

static enum step play(struct arena *arena, const struct exchange *x, struct scram_server *s)
{
	struct scram_verifier verifier = verifier_of(SPAN("pencil"));
	uint8_t proof[SCRAM_HASH], signature[SCRAM_HASH];
	struct span auth_message, user = span_str(x->user), password = span_str(x->password);
	struct scram_client c;
	struct buf out, back;
	enum step at = CLIENT_FIRST;
	buf_init(&out, SCRAM_MESSAGE);
	buf_init(&back, SCRAM_MESSAGE);
	if (scram_client_first(&c, user, x->client_channel, x->plus, nonce_c, arena, &out) != 0)
		goto done;
	at = SERVER_FIRST;
	if (scram_server_first(s, buf_span(&out), x->plus, arena) != 0)
		goto done;
	assert_int_equal(scram_server_challenge(s, nonce_s, verifier.salt, verifier.salt_bytes,
				 verifier.iterations, arena, &back),
		0);
	assert_true(span_equal(buf_span(&back), s->server_first));
	buf_clear(&out);
	at = CLIENT_FINAL;
	if (scram_client_final(&c, password, buf_span(&back), arena, &out) != 0)
		goto done;
	at = SERVER_FINAL;
	if (scram_server_final(s, buf_span(&out), x->server_channel, arena, &auth_message, proof) !=
		0)
		goto done;
	at = CHECK_PROOF;
	if (!scram_server_check(&verifier, auth_message, proof, signature))
		goto done;
	at = CLIENT_VERIFY;
	buf_clear(&back);
	scram_server_success(signature, &back);
	if (scram_client_verify(&c, buf_span(&back)) == 0)
		at = WELL;
done:
	buf_done(&out);
	buf_done(&back);
	return at;
}

static void our_client_and_our_server_agree(void **state)
{
	struct scram_server s;
	assert_int_equal(play(*state, &(struct exchange){"joe", "pencil"}, &s), WELL);
	assert_int_equal(s.binding, SCRAM_UNBOUND);
	assert_int_equal(
		play(*state, &(struct exchange){"joe", "pencil", channel, channel, true}, &s),
		WELL);
	assert_int_equal(s.binding, SCRAM_BOUND);
	/* The client could have bound the channel: the caller, who knows what was offered, decides.
	 */
	assert_int_equal(
		play(*state, &(struct exchange){"joe", "pencil", channel, channel}, &s), WELL);
	assert_int_equal(s.binding, SCRAM_NOT_OFFERED);
	assert_int_equal(play(*state, &(struct exchange){"a=b,c=2C", "pencil"}, &s), WELL);
	assert_true(span_equal(s.user, SPAN("a=b,c=2C")));
	assert_int_equal(play(*state,
				 &(struct exchange){"J\xc2\xad\xc3\xb6rg", "pen\xc2\xad"
									   "cil"},
				 &s),
		WELL);
	assert_true(span_equal(s.user, SPAN("J\xc3\xb6rg")));
}

static void a_wrong_password_or_channel_is_denied(void **state)
{
	struct scram_server s;
	assert_int_equal(play(*state, &(struct exchange){"joe", "Pencil"}, &s), CHECK_PROOF);
	assert_int_equal(play(*state, &(struct exchange){"joe", "a\xffz"}, &s), CLIENT_FINAL);
	assert_int_equal(play(*state, &(struct exchange){"j\a", "pencil"}, &s), CLIENT_FIRST);
	/* Somebody between has a connection of his own to each side. */
	assert_int_equal(
		play(*state, &(struct exchange){"joe", "pencil", channel, other_channel, true}, &s),
		SERVER_FINAL);
	assert_int_equal(play(*state, &(struct exchange){"joe", "pencil", channel, NULL, true}, &s),
		SERVER_FINAL);
	assert_int_equal(play(*state, &(struct exchange){"joe", "pencil", NULL, channel, true}, &s),
		CLIENT_FIRST);
}

/* ---- the server's parser ---- */

static void first_messages_are_read(void **state)
{
	struct scram_server s;
	assert_int_equal(scram_server_first(&s, SPAN("y,a=boss=2C=3D,n=u=3Dx,r=ab!,e=ignored=1"),
				 false, *state),
		0);
	assert_int_equal(s.binding, SCRAM_NOT_OFFERED);
	assert_true(span_equal(s.authzid, SPAN("boss,=")));
	assert_true(span_equal(s.user, SPAN("u=x")));
	assert_true(span_equal(s.gs2, SPAN("y,a=boss=2C=3D,")));
	assert_true(span_equal(s.first_bare, SPAN("n=u=3Dx,r=ab!,e=ignored=1")));
	assert_true(span_equal(s.nonce, SPAN("ab!")));
	assert_int_equal(scram_server_first(&s, SPAN("p=tls-exporter,,n=u,r=x"), true, *state), 0);
	assert_int_equal(s.binding, SCRAM_BOUND);
}

static void bad_first_messages_are_refused(void **state)
{
	static const struct {
		const char *message;
		bool plus;
		int err;
	} cases[] = {
		{"", false, ERR_SYNTAX},
		{"n", false, ERR_SYNTAX},
		{"n,", false, ERR_SYNTAX},
		{"n,,", false, ERR_SYNTAX},
		{"n,,n=u", false, ERR_SYNTAX},
		{"n,,n=u,", false, ERR_SYNTAX},
		{"n,,n=u,r=", false, ERR_SYNTAX},
		{"n,,n=u,r=x,", false, ERR_SYNTAX},
		{"n,,n=u,r=x,y", false, ERR_SYNTAX},
		{"n,,n=u,r=x,1=y", false, ERR_SYNTAX},
		{"n,,n=,r=x", false, ERR_SYNTAX},
		{"n,,r=x,n=u", false, ERR_SYNTAX},
		{"n,,N=u,r=x", false, ERR_SYNTAX},
		{"N,,n=u,r=x", false, ERR_SYNTAX},
		{"n,n=u,r=x", false, ERR_SYNTAX},
		{"n,a=,n=u,r=x", false, ERR_SYNTAX},
		{"n,b=z,n=u,r=x", false, ERR_SYNTAX},
		{"z,,n=u,r=x", false, ERR_SYNTAX},
		{"n,,n=u=,r=x", false, ERR_SYNTAX},
		{"n,,n=u=2,r=x", false, ERR_SYNTAX},
		{"n,,n=u=2c,r=x", false, ERR_SYNTAX},
		{"n,,n=u=41,r=x", false, ERR_SYNTAX},
		{"n,a=u=2c,n=u,r=x", false, ERR_SYNTAX},
		{"n,,n=u,r=x y", false, ERR_SYNTAX},
		{"n,,n=u,r=x\x7f", false, ERR_SYNTAX},
		{"n,,n=u,r=x\xc3\xa4", false, ERR_SYNTAX},
		{"n,,n=\xff,r=x", false, ERR_SYNTAX},
		{"n,,m=must,n=u,r=x", false, ERR_UNSUPPORTED},
		{"n,,n=u,r=x,m=must", false, ERR_UNSUPPORTED},
		/* the mechanism's name and the flag have to agree */
		{"p=tls-exporter,,n=u,r=x", false, ERR_SYNTAX},
		{"n,,n=u,r=x", true, ERR_SYNTAX},
		{"y,,n=u,r=x", true, ERR_SYNTAX},
		{"p=tls-unique,,n=u,r=x", true, ERR_UNSUPPORTED},
		{"p=TLS-EXPORTER,,n=u,r=x", true, ERR_UNSUPPORTED},
		{"p=,,n=u,r=x", true, ERR_SYNTAX},
		{"p,,n=u,r=x", true, ERR_SYNTAX},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scram_server s = {.nonce = SPAN("before")};
		assert_int_equal(
			scram_server_first(&s, span_str(cases[i].message), cases[i].plus, *state),
			cases[i].err);
		assert_true(span_equal(s.nonce, SPAN("before")));
	}
	struct scram_server s;
	assert_int_equal(scram_server_first(&s, SPAN("n,,n=u\0v,r=x"), false, *state), ERR_SYNTAX);
}

static void lengths_are_bounded(void **state)
{
	static char text[SCRAM_MESSAGE + 1];
	struct scram_server s;
	struct buf out;
	buf_init(&out, 3 * SCRAM_MESSAGE);
	memset(text, 'u', sizeof(text));
	memcpy(text, "n,,n=u,r=", 9);
	assert_int_equal(
		scram_server_first(&s, span_of(text, SCRAM_MESSAGE + 1), false, *state), ERR_LIMIT);
	assert_int_equal(scram_server_first(&s, span_of(text, SCRAM_MESSAGE), false, *state), 0);
	/* The longest nonce goes through to the end. */
	assert_int_equal(
		scram_server_challenge(&s, nonce_s, salt, SCRAM_SALT, 4096, *state, &out), 0);
	assert_int_equal(s.nonce.n, SCRAM_MESSAGE - 9 + 32);
	buf_clear(&out);
	assert_int_equal(
		scram_server_challenge(&s, nonce_s, salt, 0, 4096, *state, &out), ERR_LIMIT);
	assert_int_equal(
		scram_server_challenge(&s, nonce_s, salt, SCRAM_SALT_MOST + 1, 4096, *state, &out),
		ERR_LIMIT);
	memcpy(text, "n,,n=uuuu", 9);
	memcpy(text + 5 + SCRAM_USER, ",r=x", 4);
	assert_int_equal(scram_server_first(&s, span_of(text, 9 + SCRAM_USER), false, *state), 0);
	assert_int_equal(s.user.n, SCRAM_USER);
	memcpy(text, "n,,n=uuuu", 9);
	memcpy(text + 5 + SCRAM_USER, "u,r=x", 5);
	assert_int_equal(
		scram_server_first(&s, span_of(text, 10 + SCRAM_USER), false, *state), ERR_LIMIT);
	struct arena small;
	arena_init(&small, 16);
	assert_int_equal(
		scram_server_first(&s, SPAN("n,,n=user,r=abcdef"), false, &small), ERR_NOMEM);
	arena_reset(&small);
	buf_done(&out);
}

#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static void bad_final_messages_are_refused(void **state)
{
	static const struct {
		const char *message;
		int err;
	} cases[] = {
		{"", ERR_SYNTAX},
		{"c=biws,r=xS,p=" PROOF, 0},
		{"c=biws,r=xS,z=more,p=" PROOF, 0},
		{"c=biws,r=xS,m=must,p=" PROOF, ERR_UNSUPPORTED},
		{"c=biws,r=xS,zz,p=" PROOF, ERR_SYNTAX},
		{"c=biws,r=xS,,p=" PROOF, ERR_SYNTAX},
		{"c=biws,r=x,p=" PROOF, ERR_DENIED},	  /* the nonce, shorter, */
		{"c=biws,r=xSS,p=" PROOF, ERR_DENIED},	  /* longer, */
		{"c=biws,r=XS,p=" PROOF, ERR_DENIED},	  /* another one */
		{"c=eSws,r=xS,p=" PROOF, ERR_DENIED},	  /* "y,," now: it was "n,," */
		{"c=bixhPWIs,r=xS,p=" PROOF, ERR_DENIED}, /* "n,a=b," */
		{"c=biwsAA==,r=xS,p=" PROOF, ERR_DENIED}, /* bytes of a channel behind it */
		{"c=*,r=xS,p=" PROOF, ERR_DENIED},
		{"c=,r=xS,p=" PROOF, ERR_SYNTAX},
		{"r=xS,c=biws,p=" PROOF, ERR_SYNTAX},
		{"c=biws,p=" PROOF, ERR_SYNTAX},
		{"c=biws,r=xS", ERR_SYNTAX},
		{"c=biws,r=xS,p=", ERR_SYNTAX},
		{",p=" PROOF, ERR_SYNTAX},
		{"p=" PROOF, ERR_SYNTAX},
		{"c=biws,r=xS,p=" PROOF ",", ERR_SYNTAX},
		{"c=biws,r=xS,p=" PROOF ",x=y", ERR_SYNTAX},
		{"c=biws,r=xS,p=AA==", ERR_SYNTAX},
		{"c=biws,r=xS,p=" PROOF PROOF, ERR_SYNTAX},
		{"c=biws,r=xS,q=" PROOF, ERR_SYNTAX},
		{"c=biws,r=xS,p=*HzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", ERR_SYNTAX},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t proof[SCRAM_HASH];
		struct span auth_message;
		struct scram_server s;
		assert_int_equal(scram_server_first(&s, SPAN("n,,n=u,r=x"), false, *state), 0);
		s.nonce = SPAN("xS");
		s.server_first = SPAN("r=xS,s=AA==,i=4096");
		assert_int_equal(scram_server_final(&s, span_str(cases[i].message), channel, *state,
					 &auth_message, proof),
			cases[i].err);
	}
}

static void iterations_have_bounds(void **state)
{
	(void)state;
	struct scram_verifier verifier = {.iterations = 1};
	assert_int_equal(
		scram_verifier_make(SPAN("p"), salt, SCRAM_SALT, 4095, &verifier), ERR_LIMIT);
	assert_int_equal(
		scram_verifier_make(SPAN("p"), salt, SCRAM_SALT, 1000001, &verifier), ERR_LIMIT);
	assert_int_equal(scram_verifier_make(SPAN("p"), salt, 0, 4096, &verifier), ERR_LIMIT);
	assert_int_equal(scram_verifier_make(SPAN("p"), salt, SCRAM_SALT_MOST + 1, 4096, &verifier),
		ERR_LIMIT);
	assert_int_equal(verifier.iterations, 1);
	struct scram_verifier one = verifier_of(SPAN("secret")), two = verifier_of(SPAN("secres"));
	assert_memory_not_equal(one.stored_key, two.stored_key, SCRAM_HASH);
	assert_memory_not_equal(one.server_key, one.stored_key, SCRAM_HASH);
}

/* ---- the client's parser ---- */

#define OURS "BwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" /* nonce_c */

static void bad_challenges_are_refused(void **state)
{
	static const struct {
		const char *message;
		int err;
	} cases[] = {
		{"r=" OURS "s,s=AA==,i=4096", 0},
		{"r=" OURS "s,s=AA==,i=4096,x=more", 0},
		{"r=" OURS "s,s=AA==,i=4096,m=must", ERR_UNSUPPORTED},
		{"m=must,r=" OURS "s,s=AA==,i=4096", ERR_UNSUPPORTED},
		{"r=" OURS ",s=AA==,i=4096", ERR_DENIED}, /* nothing of the server */
		{"r=XwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAs,s=AA==,i=4096", ERR_DENIED},
		{"r=s" OURS ",s=AA==,i=4096", ERR_DENIED},
		{"r=x,s=AA==,i=4096", ERR_DENIED},
		{"r=" OURS "s,s=AA==,i=4095", ERR_LIMIT},
		{"r=" OURS "s,s=AA==,i=1", ERR_LIMIT},
		{"r=" OURS "s,s=AA==,i=1000001", ERR_LIMIT},
		{"r=" OURS "s,s=AA==,i=99999999999999999999999", ERR_LIMIT},
		{"r=" OURS "s,s=AA==,i=0", ERR_SYNTAX},
		{"r=" OURS "s,s=AA==,i=04096", ERR_SYNTAX},
		{"r=" OURS "s,s=AA==,i=-4096", ERR_SYNTAX},
		{"r=" OURS "s,s=AA==,i=4096 ", ERR_SYNTAX},
		{"r=" OURS "s,s=AA==,i=", ERR_SYNTAX},
		{"r=" OURS "s,s=AA==", ERR_SYNTAX},
		{"r=" OURS "s,s=,i=4096", ERR_SYNTAX},
		{"r=" OURS "s,s=A,i=4096", ERR_SYNTAX},
		{"r=" OURS "s,s=????,i=4096", ERR_SYNTAX},
		{"r=" OURS "s,i=4096,s=AA==", ERR_SYNTAX},
		{"r=" OURS "s", ERR_SYNTAX},
		{"", ERR_SYNTAX},
		{"e=other-error", ERR_SYNTAX},
		{"r=" OURS "s\xff,s=AA==,i=4096", ERR_SYNTAX},
		/* 64 bytes, 65, 67 */
		{"r=" OURS
		 "s,s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		 "AAAAAAAAAA==,i=4096",
			0},
		{"r=" OURS
		 "s,s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		 "AAAAAAAAAAA=,i=4096",
			ERR_LIMIT},
		{"r=" OURS
		 "s,s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		 "AAAAAAAAAAAAAA==,i=4096",
			ERR_LIMIT},
	};
	struct buf out;
	buf_init(&out, SCRAM_MESSAGE);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scram_client c;
		buf_clear(&out);
		assert_int_equal(
			scram_client_first(&c, SPAN("u"), NULL, false, nonce_c, *state, &out), 0);
		expect(&out, SPAN("n,,n=u,r=" OURS));
		assert_int_equal(
			scram_client_final(&c, SPAN("p"), span_str(cases[i].message), *state, &out),
			cases[i].err);
		assert_int_equal(out.n != 0, cases[i].err == 0);
	}
	static char text[SCRAM_MESSAGE + 1];
	struct scram_client c;
	memset(text, 'x', sizeof(text));
	assert_int_equal(
		scram_client_final(&c, SPAN("p"), span_of(text, sizeof(text)), *state, &out),
		ERR_LIMIT);
	assert_int_equal(scram_client_verify(&c, span_of(text, sizeof(text))), ERR_LIMIT);
	buf_done(&out);
}

static void the_clients_flag_says_what_it_knows(void **state)
{
	static char name[SCRAM_USER + 2];
	struct scram_client c;
	struct buf out;
	buf_init(&out, SCRAM_MESSAGE);
	assert_int_equal(
		scram_client_first(&c, SPAN("u"), channel, true, nonce_c, *state, &out), 0);
	expect(&out, SPAN("p=tls-exporter,,n=u,r=" OURS));
	assert_int_equal(
		scram_client_first(&c, SPAN("u"), channel, false, nonce_c, *state, &out), 0);
	expect(&out, SPAN("y,,n=u,r=" OURS));
	assert_int_equal(
		scram_client_first(&c, SPAN("u,=\xc2\xad"), NULL, false, nonce_c, *state, &out), 0);
	expect(&out, SPAN("n,,n=u=2C=3D,r=" OURS));
	assert_int_equal(scram_client_first(&c, SPAN("u"), NULL, true, nonce_c, *state, &out),
		ERR_UNSUPPORTED);
	assert_int_equal(
		scram_client_first(&c, SPAN(""), NULL, false, nonce_c, *state, &out), ERR_SYNTAX);
	memset(name, ',', sizeof(name));
	assert_int_equal(scram_client_first(&c, span_of(name, SCRAM_USER + 1), NULL, false, nonce_c,
				 *state, &out),
		ERR_LIMIT);
	assert_int_equal(out.n, 0);
	assert_int_equal(scram_client_first(
				 &c, span_of(name, SCRAM_USER), NULL, false, nonce_c, *state, &out),
		0);
	assert_int_equal(out.n, 3 + 2 + 3 * SCRAM_USER + 3 + 32);
	buf_done(&out);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(strings_are_prepared_as_rfc_4013_shows),
		CASE(prohibited_strings_are_refused),
		CASE(the_length_of_a_password_is_bounded),
		CASE(our_server_takes_the_clients_words_of_rfc_7677),
		CASE(our_client_speaks_the_words_of_rfc_7677),
		CASE(our_client_and_our_server_agree),
		CASE(a_wrong_password_or_channel_is_denied),
		CASE(first_messages_are_read),
		CASE(bad_first_messages_are_refused),
		CASE(lengths_are_bounded),
		CASE(bad_final_messages_are_refused),
		CASE(iterations_have_bounds),
		CASE(bad_challenges_are_refused),
		CASE(the_clients_flag_says_what_it_knows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
