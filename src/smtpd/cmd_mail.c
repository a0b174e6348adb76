#include "smtpd/session.h"

/* What stands in the way of any message now. */
static bool refused_now(struct session *s)
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
	reply_refuse(s, SMTPD_REFUSED_RESOURCES, code, enhanced, text, SPAN_NONE);
	return true;
}

static uint32_t flags_of(const struct smtp_mail *mail)
{
	uint32_t flags = mail->smtputf8 ? ENVELOPE_SMTPUTF8 : 0;

	if (mail->body == SMTP_BODY_8BITMIME)
		flags |= ENVELOPE_8BITMIME;
	else if (mail->body == SMTP_BODY_BINARYMIME)
		flags |= ENVELOPE_BINARYMIME;
	return flags;
}

void cmd_mail(struct session *s, const struct smtp_command *command)
{
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
	if (refused_now(s))
		return;
	if (!transaction_begin(s)) {
		reply_refuse(s, SMTPD_REFUSED_RESOURCES, 452, "4.3.1", "Out of memory; try later",
			SPAN_NONE);
		return;
	}
	struct transaction *t = s->transaction;
	t->sender = command->address.mailbox;
	/* The parameter lies in the input, which is gone with the next command. */
	t->envid = arena_copy(&s->arena, command->mail.envid);
	t->ret = command->mail.ret;
	t->flags = flags_of(&command->mail);
	if (command->mail.has_size &&
		command->mail.size > s->smtpd->c.config->limits.message_size) {
		reply_refuse(s, SMTPD_REFUSED_SIZE, 552, "5.3.4", "Message too big", SPAN_NONE);
		transaction_reset(s);
		return;
	}
	s->mails++;
	reply(s, 250, "2.1.0", "Ok");
}
