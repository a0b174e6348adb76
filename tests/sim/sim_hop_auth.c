/* Logins at a next hop: PLAIN, LOGIN or SCRAM-SHA-256, over TLS. */
#include "sim_hop_inner.h"
#include "sim_world.h"

#include "base/base64.h"
#include "base/check.h"
#include "codec/sasl.h"

#include <stdlib.h>

#define SCRAM_ROOM 32768

enum login_step { LOGIN_NOT, LOGIN_PLAIN, LOGIN_USER, LOGIN_PASSWORD, LOGIN_SCRAM, LOGIN_LAST };

struct sim_scram {
	struct scram_server server;
	struct arena arena;
	uint8_t signature[SCRAM_HASH];
	bool plus;
};

void sim_hop_auth_done(struct session *s)
{
	if (s->scram)
		arena_reset(&s->scram->arena);
	free(s->scram);
	s->scram = NULL;
	s->login_step = LOGIN_NOT;
}

void sim_hop_say_auth(struct session *s)
{
	if (!s->hop->kind->login || !s->secured)
		return;
	buf_add_str(&s->out, s->hop->scram ? "250-AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r\n"
					   : "250-AUTH LOGIN PLAIN\r\n");
}

static void end(struct session *s, bool right)
{
	sim_hop_auth_done(s);
	if (!right)
		ledger_violation(s->hop->ledger, "%s: somebody logs in with another password",
			s->hop->kind->name);
	if (!right || sim_hop_trouble(s, 3)) {
		sim_hop_say(s, right ? "454" : "535", "5.7.8", "no");
		return;
	}
	s->logged_in = true;
	sim_hop_say(s, "235", "2.7.0", "welcome");
}

static void challenge(struct session *s, struct span message, enum login_step step)
{
	buf_add_str(&s->out, "334 ");
	base64_add(&s->out, message);
	buf_add_str(&s->out, "\r\n");
	s->login_step = step;
}

/* ---- SCRAM ------------------------------------------------------------------------------------
 */

static void scram_first(struct session *s, struct span message)
{
	struct sim_hop *hop = s->hop;
	struct sim_scram *x = s->scram;
	uint8_t nonce[SCRAM_NONCE];
	static const uint8_t salt[SCRAM_SALT] = "a hop's own salt";
	struct buf out;

	if (!hop->verifier.iterations)
		CHECK(scram_verifier_make(SPAN(WORLD_SECRET), salt, SCRAM_SALT,
			      SCRAM_ITERATIONS_LEAST, &hop->verifier) == 0);
	for (size_t i = 0; i < sizeof(nonce); i++)
		nonce[i] = (uint8_t)sim_below(hop->sim, 256);
	if (scram_server_first(&x->server, message, x->plus, &x->arena) != 0 ||
		!span_equal(x->server.user, SPAN(WORLD_USER))) {
		end(s, false);
		return;
	}
	/* We had offered it. */
	if (x->server.binding != SCRAM_BOUND)
		ledger_violation(
			hop->ledger, "%s: SCRAM is not bound to the link", hop->kind->name);
	buf_init(&out, SCRAM_MESSAGE);
	CHECK(scram_server_challenge(&x->server, nonce, salt, SCRAM_SALT, SCRAM_ITERATIONS_LEAST,
		      &x->arena, &out) == 0);
	challenge(s, buf_span(&out), LOGIN_SCRAM);
	buf_done(&out);
}

static void scram_proof(struct session *s, struct span message)
{
	struct sim_scram *x = s->scram;
	uint8_t binding[TLS_BINDING_BYTES], proof[SCRAM_HASH];
	struct span text;
	struct buf out;

	sim_tls_binding(s->tls, binding);
	if (scram_server_final(&x->server, message, binding, &x->arena, &text, proof) != 0 ||
		!scram_server_check(&s->hop->verifier, text, proof, x->signature)) {
		end(s, false);
		return;
	}
	buf_init(&out, SCRAM_MESSAGE);
	scram_server_success(x->signature, &out);
	challenge(s, buf_span(&out), LOGIN_LAST);
	buf_done(&out);
}

/* ---- lines ------------------------------------------------------------------------------------
 */

static void begin(struct session *s, const char *line)
{
	const char *initial = strchr(line + 5, ' ');

	sim_hop_auth_done(s);
	if (!s->secured)
		ledger_violation(s->hop->ledger, "%s: a login in clear", s->hop->kind->name);
	if (strncmp(line, "AUTH PLAIN ", 11) == 0) {
		s->login_step = LOGIN_PLAIN;
	} else if (strncmp(line, "AUTH SCRAM-SHA-256", 18) == 0 && initial) {
		s->scram = calloc(1, sizeof(*s->scram));
		CHECK(s->scram);
		arena_init(&s->scram->arena, SCRAM_ROOM);
		s->scram->plus = strncmp(line + 18, "-PLUS", 5) == 0;
	} else if (strcmp(line, "AUTH LOGIN") == 0) {
		challenge(s, SPAN("Username:"), LOGIN_USER);
	} else {
		sim_hop_say(s, "504", "5.5.4", "what?");
	}
}

static void take(struct session *s, struct span message)
{
	switch ((enum login_step)s->login_step) {
	case LOGIN_PLAIN:
		end(s, span_equal(message, span_of("\0" WORLD_USER "\0" WORLD_SECRET,
						   sizeof("\0" WORLD_USER "\0" WORLD_SECRET) - 1)));
		return;
	case LOGIN_USER:
		if (span_equal(message, SPAN(WORLD_USER)))
			challenge(s, SPAN("Password:"), LOGIN_PASSWORD);
		else
			end(s, false);
		return;
	case LOGIN_PASSWORD: end(s, span_equal(message, SPAN(WORLD_SECRET))); return;
	case LOGIN_SCRAM: scram_proof(s, message); return;
	case LOGIN_LAST: end(s, !message.n); return;
	case LOGIN_NOT: break;
	}
	scram_first(s, message);
}

bool sim_hop_auth(struct session *s, const char *line)
{
	struct arena arena;
	struct span message = SPAN_NONE;
	const char *text = line;

	if (!s->hop->kind->login || s->logged_in)
		return false;
	if (strncmp(line, "AUTH ", 5) == 0) {
		begin(s, line);
		text = strchr(line + 5, ' ');
		if ((s->login_step != LOGIN_PLAIN && !s->scram) || !text)
			return true;
		text++;
	} else if (!s->login_step) {
		return false;
	}
	arena_init(&arena, SCRAM_ROOM);
	if (*text && strcmp(text, "=") != 0 &&
		sasl_decode(span_str(text), SCRAM_MESSAGE, &arena, &message) != 0) {
		sim_hop_auth_done(s);
		sim_hop_say(s, "501", "5.5.2", "cancelled");
	} else {
		take(s, message);
	}
	arena_reset(&arena);
	return true;
}
