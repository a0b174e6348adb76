/*
 * XCLIENT, from peers that the listener names: for whom they speak. The session begins anew,
 * greeting and all. By the connection's own address, and only where that speaks for itself: behind
 * a PROXY header it is anybody who speaks.
 */
#include "codec/xclient.h"

#include "base/err.h"
#include "directory/range.h"
#include "smtpd/session.h"

#include <stdlib.h>

bool xclient_offered(const struct session *s)
{
	struct span peers = session_listener(s)->xclient;
	struct netaddr local, peer;

	if (!peers.n || !s->conn || s->proxied)
		return false;
	io_conn_ends(s->conn, &local, &peer);
	return range_list_holds(peers, &peer);
}

/* A client that is not known has no rights by its address; above all not those of the peer. */
static bool is_withheld(struct span argument, const struct xclient *x)
{
	while (!x->has_address && argument.n) {
		struct span word = span_of(argument.p, span_find(argument, ' '));

		if (span_starts_nocase(word, SPAN("ADDR=")))
			return true;
		argument = span_skip(argument, word.n + 1);
	}
	return false;
}

/* Errors, failed logins and refused recipients are those of whoever made them. All together they
 * are bounded by how many clients there may be. */
static bool set_client(struct session *s, const struct netaddr *client)
{
	smtpd_forget_client(s);
	s->client = *client;
	s->clients++;
	s->errors = s->commands = s->refused = 0;
	s->logins = s->repeats = 0;
	return smtpd_admit_client(s);
}

static bool keep(struct span *to, struct span text)
{
	char *copy = malloc(text.n + 1);

	if (!copy)
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	*to = span_of(copy, text.n);
	return true;
}

/* As the directory has it, where it is an address. */
static struct span canonical(struct session *s, struct span login)
{
	struct address address;

	if (address_parse_mailbox(login, &s->smtpd->parsed, &address) == 0)
		return address.mailbox;
	return login;
}

static void take(struct session *s, const struct xclient *x, bool withheld)
{
	static const struct netaddr unknown = {.family = NETADDR_V4};

	session_forget(s);
	s->spoken_for = true;
	if (x->has_address || withheld) {
		if (!set_client(s, withheld ? &unknown : &x->address))
			return;
	}
	if ((x->helo.n && !keep(&s->helo, x->helo)) ||
		(x->login.n && !keep(&s->user, canonical(s, x->login)))) {
		reply_goodbye(s, "4.3.2", "Out of memory");
		return;
	}
	s->user_told = s->user.n > 0;
	s->greeted = s->helo.n > 0;
	s->extended = s->greeted && x->has_extended && x->extended;
	session_greet(s);
}

void cmd_xclient(struct session *s, const struct smtp_command *command)
{
	struct xclient x;

	if (!xclient_offered(s)) {
		reply_error(s, 502, "5.5.1", "Not offered here");
		return;
	}
	if (s->transaction) {
		reply_error(s, 503, "5.5.1", "Not in a transaction");
		return;
	}
	if (s->clients >= SESSION_CLIENTS) {
		reply_goodbye(s, "4.5.3", "Too many clients in one session");
		return;
	}
	int err = xclient_parse(command->argument, &s->smtpd->parsed, &x);
	if (err == ERR_NOMEM)
		reply(s, 452, "4.3.1", "Out of memory; try later");
	else if (err != 0)
		reply_error(s, 501, "5.5.4", "Syntax: XCLIENT attribute=value ...");
	else
		take(s, &x, is_withheld(command->argument, &x));
}
