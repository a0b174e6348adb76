#include "base/check.h"
#include "codec/sasl.h"
#include "directory/names.h"
#include "smtpd/session.h"

#include <stdlib.h>

#define NAME_ARENA 4096 /* for a name's canonical form */

/* Why AUTH cannot be carried out now; NULL: it can. */
static const char *out_of_order(const struct session *s)
{
	if (!s->extended)
		return "Say EHLO first";
	if (s->user.n)
		return "You are logged in already";
	return s->transaction ? "Not in a transaction" : NULL;
}

/* Can there be AUTH at all, now or after STARTTLS? */
static bool is_possible(const struct session *s)
{
	const struct config_listener *listener = session_listener(s);

	return s->smtpd->c.auth && (s->tls || listener->auth_without_tls ||
					   listener->tls.certificate.n || secure_offered(s));
}

void cmd_auth(struct session *s, const struct smtp_command *command)
{
	unsigned mechanism = sasl_parse_name(command->mechanism);
	const char *why = out_of_order(s);

	s->auth_tried = true;
	if (!is_possible(s)) {
		reply_error(s, 502, "5.5.1", "Not offered here");
	} else if (why) {
		reply_error(s, 503, "5.5.1", why);
	} else if (!auth_usable(s)) {
		/* RFC 4954 section 6 */
		reply_error(s, 538, "5.7.11", "Say STARTTLS first: no password in clear is taken");
	} else if (!(mechanism & auth_usable(s))) {
		reply_error(s, 504, "5.5.4", "Mechanism not known, or not possible here");
	} else {
		auth_begin(s, mechanism, command->initial);
	}
	if (command->initial.n)
		explicit_bzero((char *)command->initial.p, command->initial.n);
}

void auth_malformed(struct session *s, unsigned code, const char *enhanced, const char *text)
{
	reply_error(s, code, enhanced, text);
}

/* All accounts are addresses. What is none may be a password in the wrong place. */
static struct span shown(struct span user)
{
	return !user.n || span_find(user, '@') < user.n ? user : SPAN("(no address)");
}

/* Was it refused whatever the password was? The client hears what all hear: for it, the account may
 * as well not be there. */
static bool is_disabled(struct session *s, struct span user)
{
	struct account account;
	struct arena arena;
	struct span name;

	arena_init(&arena, NAME_ARENA);
	bool disabled = s->smtpd->snapshot && name_account(user, &arena, &name) == 0 &&
			snapshot_account(s->smtpd->snapshot, name, &account) == 0 &&
			account.disabled;
	arena_reset(&arena);
	return disabled;
}

static void refuse_and_say(struct session *s, enum auth_result why, struct span user)
{
	struct verdict verdict;

	if (why == AUTH_NO)
		verdict_set(&verdict, VERDICT_PERMANENT, 535, (struct enhanced_code){5, 7, 8},
			false, SPAN("User and password do not match"));
	else if (why == AUTH_LATER)
		verdict_set(&verdict, VERDICT_TEMPORARY, 454, (struct enhanced_code){4, 7, 0},
			false, SPAN("Too many failed logins; try later"));
	else
		verdict_set(&verdict, VERDICT_TEMPORARY, 454, (struct enhanced_code){4, 7, 0},
			false, SPAN("Passwords cannot be checked now; try later"));
	refuse_login(s, why == AUTH_BROKEN ? SMTPD_REFUSED_RESOURCES : SMTPD_REFUSED_AUTH, &verdict,
		shown(user), why == AUTH_NO && is_disabled(s, user) ? "disabled" : NULL);
	reply_verdict(s, &verdict);
}

void auth_failed(struct session *s, enum auth_result why, struct span user)
{
	static const char too_many[] = "Too many failed logins";

	refuse_and_say(s, why, user);
	if (why == AUTH_BROKEN || ++s->logins < SESSION_LOGINS)
		return;
	refuse_simple(s, SMTPD_REFUSED_ABUSE, 421, "4.7.0", too_many, SPAN_NONE);
	reply_goodbye(s, "4.7.0", too_many);
}

void auth_failed_again(struct session *s, struct span user)
{
	refuse_and_say(s, AUTH_NO, user);
}

void auth_succeeded(struct session *s, struct span account, uint64_t since, const char *mechanism)
{
	char *name = malloc(account.n);
	struct buf address;

	if (!name) {
		auth_failed(s, AUTH_BROKEN, account);
		return;
	}
	memcpy(name, account.p, account.n);
	free((char *)s->user.p);
	s->user = span_of(name, account.n);
	s->user_told = false;
	s->user_since = since;
	s->logins = 0;
	s->smtpd->figures.logins++;
	buf_init(&address, 64);
	if (s->client.family != NETADDR_NONE)
		netaddr_add_ip(&address, &s->client);
	log_write(s->smtpd->c.log, LOG_INFO, "logged in", LOG_SPAN("user", s->user),
		LOG_STR("mechanism", mechanism), LOG_SPAN("client", buf_span(&address)),
		LOG_SPAN("listener", session_listener(s)->name),
		LOG_STR("tls", s->tls ? "yes" : "no"));
	buf_done(&address);
	reply(s, 235, "2.7.0", "Welcome");
}
