#include "smtpd/session.h"

#include "base/err.h"
#include "route/public.h"

/* What stands in the way of any message now. */
static bool refused_now(struct session *s, struct span sender)
{
	struct smtpd *smtpd = s->smtpd;
	enum spool_health health = spool_writer_health(smtpd->c.writer);
	unsigned code = 452;
	const char *enhanced = "4.3.1", *text;

	if (!smtpd->snapshot) {
		code = 451;
		enhanced = "4.3.5";
		text = "Directory is not there yet; try later";
	} else if (health == SPOOL_SICK) {
		code = 451;
		enhanced = "4.3.0";
		text = "Mail storage failed; try later";
	} else if (health == SPOOL_FULL) {
		text = "Insufficient system storage; try later";
	} else if (smtpd->queue_full) {
		text = "Queue is full; try later";
	} else {
		return false;
	}
	reply_refuse_sender(s, SMTPD_REFUSED_RESOURCES, code, enhanced, text, sender);
	return true;
}

/*
 * Mail to such a sender, a bounce above all, would be a connection of ours to the address that the
 * client named. Public hosts expect such; services inside a network trust whoever can reach them,
 * so a stranger must not have us reach them in his place. Who is on this host, or in the very
 * network that he names, can connect there himself.
 */
static bool out_of_reach(const struct session *s, const struct address *sender)
{
	static const struct span ipv6 = SPAN("[IPv6:");
	struct span text = sender->domain;
	struct netaddr a;

	if (!sender->literal || netaddr_is_loopback(&s->client))
		return false;
	text = span_skip(text, span_starts_nocase(text, ipv6) ? ipv6.n : 1);
	text.n -= text.n > 0;
	if (netaddr_parse_ip(text, &a) != 0)
		return true;
	/* The smallest block that RFC 1918 gives to a site; the prefix of a site in RFC 4193. */
	size_t same = a.family == NETADDR_V4 ? 2 : 6;
	bool near = a.family == s->client.family && memcmp(a.ip, s->client.ip, same) == 0;
	return !near && !route_is_public(&a);
}

/* Does the login not count any more? Who sends by it may be whom the new password is to keep out.
 */
static bool is_over(struct session *s, struct span sender)
{
	struct account account;
	const char *text;

	if (s->user_told)
		return false;
	int err = snapshot_account(s->smtpd->snapshot, s->user, &account);
	bool as_then = !err && account.logins_since && account.logins_since == s->user_since;

	if (err == ERR_NOT_FOUND)
		text = "Your account is not there any more";
	else if (!err && account.disabled)
		text = "Your account is disabled";
	else if (!err && !as_then)
		text = "Your password was changed: log in again";
	else
		return false;
	reply_refuse_sender(s, SMTPD_REFUSED_SENDER, 530, "5.7.0", text, sender);
	if (!err && !account.disabled)
		session_log_out(s);
	return true;
}

/* What whoever logged in may send as, and whether he may still send at all. */
static bool not_as_user(struct session *s, struct span sender)
{
	const struct snapshot *snapshot = s->smtpd->snapshot;
	const struct route_query query = {
		.client = s->client,
		.listener = session_listener(s)->name,
		.user = s->user,
		.tls = s->tls,
		.sender = sender,
	};
	struct verdict verdict;

	if (is_over(s, sender))
		return true;
	if (route_sender_allowed(snapshot, &query, NULL, &verdict))
		return false;
	refuse_sender(s, SMTPD_REFUSED_SENDER, &verdict, sender);
	reply_verdict(s, &verdict);
	return true;
}

void cmd_mail(struct session *s, const struct smtp_command *command)
{
	struct span sender = command->address.mailbox;

	if (!s->greeted) {
		reply_error(s, 503, "5.5.1", "Say EHLO or HELO first");
		return;
	}
	if (s->transaction) {
		reply_error(s, 503, "5.5.1", "A transaction is open already");
		return;
	}
	if (s->mails >= SESSION_MAILS) {
		reply_goodbye(s, "4.5.3", "Too many messages in one session");
		return;
	}
	if (refused_now(s, sender))
		return;
	if (out_of_reach(s, &command->address)) {
		reply_refuse_sender(s, SMTPD_REFUSED_SENDER, 553, "5.1.8",
			"Sender's address literal is not public: no reply would reach it", sender);
		return;
	}
	if (s->user.n && not_as_user(s, sender))
		return;
	if (command->mail.has_size &&
		command->mail.size > s->smtpd->c.config->limits.message_size) {
		reply_refuse_sender(s, SMTPD_REFUSED_SIZE, 552, "5.3.4", "Message too big", sender);
		return;
	}
	if (!transaction_begin(s, command)) {
		reply_refuse_sender(s, SMTPD_REFUSED_RESOURCES, 452, "4.3.1",
			"Out of memory; try later", sender);
		return;
	}
	s->mails++;
	reply(s, 250, "2.1.0", "Ok");
}
