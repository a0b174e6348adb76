/*
 * The exchange of an AUTH command (RFC 4954 section 4): PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 and
 * -PLUS (RFC 5802, RFC 7677). Who the client is, whoever knows the passwords decides (auth.h);
 * here messages are taken apart and put together. It exists while the command runs, and no
 * password longer than it takes to ask.
 */
#include "base/base64.h"
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "smtpd/exchange.h"

#include <stdlib.h>

#define EXCHANGE_BYTES	 32768u /* of an exchange's arena: a decoded line, and SCRAM's messages */
#define EXCHANGE_DELAY	 60000u /* ms until the bad news, at most */
#define RESPONSE_DECODED (AUTH_USER + AUTH_USER + AUTH_PASSWORD + 2u)

/* ---- which mechanisms ----------------------------------------------------------------------- */

unsigned auth_usable(const struct session *s)
{
	if (!s->smtpd->c.auth || !(s->tls || session_listener(s)->auth_without_tls))
		return 0;
	return SASL_PLAIN | SASL_LOGIN | SASL_SCRAM_SHA_256 |
	       (scram_binding_of(s) ? SASL_SCRAM_SHA_256_PLUS : 0);
}

unsigned auth_advertised(const struct session *s)
{
	unsigned usable = auth_usable(s);
	struct relay relay = {.advertise_auth = true};

	if (usable && s->smtpd->snapshot)
		(void)snapshot_relay(s->smtpd->snapshot, session_listener(s)->name, &relay);
	return relay.advertise_auth ? usable : 0;
}

/* ---- the end -------------------------------------------------------------------------------- */

/* The session is without it; what it knows can still be read. */
static void leave(struct exchange *e)
{
	struct session *s = e->s;

	auth_cancel(&e->question);
	s->exchange = NULL;
	if (s->phase == PHASE_AUTH || s->phase == PHASE_ASK)
		s->phase = PHASE_COMMAND;
	session_wait(s, s->smtpd->c.config->timeouts.command);
}

static void release_asked(struct exchange *e)
{
	if (e->asked)
		snapshot_release(&e->asked);
}

static void exchange_free(struct exchange *e)
{
	release_asked(e);
	arena_reset(&e->arena);
	free(e);
}

void auth_forget(struct session *s)
{
	struct exchange *e = s->exchange;

	if (!e)
		return;
	leave(e);
	exchange_free(e);
}

void exchange_malformed(struct exchange *e, const char *text)
{
	struct session *s = e->s;

	auth_forget(s);
	auth_malformed(s, 501, "5.5.2", text);
}

void exchange_fail(struct exchange *e, enum auth_result why)
{
	leave(e);
	auth_failed(e->s, why, e->user);
	exchange_free(e);
}

static void fail_again(struct exchange *e)
{
	leave(e);
	auth_failed_again(e->s, e->user);
	exchange_free(e);
}

static void succeed(struct exchange *e, struct span account)
{
	leave(e);
	auth_succeeded(e->s, account, e->since, sasl_name(e->mechanism));
	exchange_free(e);
}

/* ---- asking --------------------------------------------------------------------------------- */

static void answered(void *owner, const struct auth_answer *answer);

void exchange_ask(struct exchange *e, struct auth_query *query)
{
	struct session *s = e->s;

	query->client = s->client;
	query->listener = session_listener(s)->name;
	query->user = e->user;
	if (!e->user.n || e->user.n > AUTH_USER || query->password.n > AUTH_PASSWORD) {
		exchange_fail(e, AUTH_NO);
		return;
	}
	if (auth_ask(s->smtpd->c.auth, query, answered, e, &e->question) != 0) {
		exchange_fail(e, AUTH_BROKEN);
		return;
	}
	if (s->smtpd->snapshot)
		e->asked = snapshot_hold(s->smtpd->snapshot);
	s->phase = PHASE_ASK;
	session_wait(s, AUTH_ASK_MS + SESSION_LATE_MS);
}

static void ask_password(struct exchange *e, struct span password)
{
	struct auth_query query = {.step = AUTH_BY_PASSWORD, .password = password};

	if (!password.n) {
		exchange_fail(e, AUTH_NO);
		return;
	}
	again_note(e, password);
	if (again_is(e))
		fail_again(e);
	else
		exchange_ask(e, &query);
}

void exchange_challenge(struct exchange *e, struct span message, enum awaited awaited)
{
	struct session *s = e->s;
	struct buf *work = &s->smtpd->work;

	buf_clear(work);
	base64_add(work, message);
	buf_add_char(work, '\0');
	CHECK(buf_ok(work));
	reply(s, 334, NULL, work->p);
	e->awaited = awaited;
	s->phase = PHASE_AUTH;
	session_wait(s, s->smtpd->c.config->timeouts.command);
}

/* Since when logins as that account count. Where that is not known, this one counts for nothing. */
static void note_since(struct exchange *e, struct span name)
{
	struct account account;

	e->since = 0;
	if (e->asked && name.n && snapshot_account(e->asked, name, &account) == 0)
		e->since = account.logins_since;
	release_asked(e);
}

static void take_answer(struct exchange *e, const struct auth_answer *answer)
{
	if (answer->result != AUTH_YES)
		exchange_fail(e, answer->result);
	else if (e->awaited == SCRAM_FIRST)
		scram_challenge(e, answer);
	else if (!answer->account.n || answer->account.n > AUTH_USER)
		exchange_fail(e, AUTH_BROKEN);
	else if (e->awaited == SCRAM_FINAL)
		scram_challenge_last(e, answer);
	else
		succeed(e, answer->account);
}

static void answered(void *owner, const struct auth_answer *answer)
{
	struct exchange *e = owner;
	struct session *s = e->s;

	CHECK(s->phase == PHASE_ASK && s->exchange == e);
	e->question = NULL;
	note_since(e, answer->account);
	if (answer->result == AUTH_NO)
		again_was_wrong(e);
	if (answer->result == AUTH_NO && answer->delay_ms) {
		e->refused = true;
		session_wait(s, MIN(answer->delay_ms, (uint64_t)EXCHANGE_DELAY));
		session_settle(s);
		return;
	}
	take_answer(e, answer);
	session_answered(s);
}

bool auth_is_refused(const struct session *s)
{
	return s->exchange && s->exchange->refused;
}

void auth_due(struct session *s)
{
	struct exchange *e = s->exchange;

	exchange_fail(e, e->refused ? AUTH_NO : AUTH_BROKEN);
	session_answered(s);
}

/* ---- what the client says ------------------------------------------------------------------- */

static void take_plain(struct exchange *e, struct span message)
{
	struct span authzid, user, password;

	if (sasl_plain_parse(message, &authzid, &user, &password) != 0) {
		exchange_malformed(e, "No message of PLAIN");
		return;
	}
	e->user = arena_copy(&e->arena, user);
	if (exchange_for_itself(authzid, user))
		ask_password(e, password);
	else
		exchange_fail(e, AUTH_NO);
}

static bool is_text(struct span in)
{
	return in.n && !memchr(in.p, '\0', in.n) && text_is_utf8(in);
}

static void take_login(struct exchange *e, struct span message)
{
	if (!is_text(message)) {
		exchange_malformed(e, "Neither a name nor a password");
	} else if (e->awaited == LOGIN_USER) {
		e->user = arena_copy(&e->arena, message);
		exchange_challenge(e, SPAN("Password:"), LOGIN_PASSWORD);
	} else {
		ask_password(e, message);
	}
}

static void take_message(struct exchange *e, struct span message)
{
	switch (e->awaited) {
	case PLAIN_ALL: take_plain(e, message); break;
	case LOGIN_USER:
	case LOGIN_PASSWORD: take_login(e, message); break;
	case SCRAM_FIRST: scram_take_first(e, message); break;
	case SCRAM_FINAL: scram_take_final(e, message); break;
	case SCRAM_END:
		if (message.n)
			exchange_malformed(e, "Nothing more was asked for");
		else
			succeed(e, e->account);
		break;
	}
}

static void take_base64(struct exchange *e, struct span text)
{
	size_t most = e->mechanism & BY_SCRAM ? SCRAM_MESSAGE : RESPONSE_DECODED;
	struct session *s = e->s;
	struct span message = SPAN_NONE;
	struct arena secret; /* a password may be in it: what outlives this is copied */
	int err = 0;

	arena_init(&secret, EXCHANGE_BYTES);
	if (text.n)
		err = sasl_decode(text, most, &secret, &message);
	if (err == ERR_SYNTAX) {
		exchange_malformed(e, "No base64");
	} else if (err == ERR_LIMIT) {
		auth_forget(s);
		auth_malformed(s, 500, "5.5.6", "Authentication exchange line is too long");
	} else if (err != 0) {
		exchange_fail(e, AUTH_BROKEN);
	} else {
		take_message(e, message);
	}
	if (message.n)
		explicit_bzero((char *)message.p, message.n);
	arena_reset(&secret);
}

void auth_line(struct session *s, struct span line)
{
	if (span_equal(line, SPAN("*"))) {
		auth_forget(s);
		auth_malformed(s, 501, "5.0.0", "Cancelled");
		return;
	}
	take_base64(s->exchange, line);
}

void auth_begin(struct session *s, unsigned mechanism, struct span initial)
{
	struct exchange *e = calloc(1, sizeof(*e));

	if (!e) {
		auth_failed(s, AUTH_BROKEN, SPAN_NONE);
		return;
	}
	e->s = s;
	e->mechanism = mechanism;
	s->mechanism = sasl_name(mechanism);
	arena_init(&e->arena, EXCHANGE_BYTES);
	s->exchange = e;
	if (mechanism & BY_SCRAM)
		e->awaited = SCRAM_FIRST;
	else
		e->awaited = mechanism == SASL_LOGIN ? LOGIN_USER : PLAIN_ALL;
	if (initial.n)
		take_base64(e, initial);
	else
		exchange_challenge(
			e, mechanism == SASL_LOGIN ? SPAN("Username:") : SPAN_NONE, e->awaited);
}
