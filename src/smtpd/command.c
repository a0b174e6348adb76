#include "smtpd/session.h"

#include "base/err.h"

/* Parameters belong to extensions, which are there after EHLO only. */
static unsigned flags_of(const struct session *s)
{
	unsigned flags = SMTP_LENIENT;

	if (!s->extended)
		return flags;
	flags |= SMTP_WITH_SIZE | SMTP_WITH_8BITMIME | SMTP_WITH_BINARYMIME | SMTP_WITH_SMTPUTF8 |
		 SMTP_WITH_DSN;
	if (s->tls)
		flags |= SMTP_WITH_REQUIRETLS;
	/* Wherever AUTH may be said; it proves nothing, and nothing is done with it (RFC 4954
	 * section 5). */
	if (s->smtpd->c.auth && (s->tls || session_listener(s)->auth_without_tls))
		flags |= SMTP_WITH_AUTH;
	return flags;
}

/* A browser that somebody points at this port would else send commands in its body. */
static bool is_other_protocol(struct span line)
{
	static const struct span methods[] = {SPAN("GET "), SPAN("POST "), SPAN("PUT "),
		SPAN("HEAD "), SPAN("CONNECT "), SPAN("OPTIONS "), SPAN("DELETE "), SPAN("PATCH "),
		SPAN("TRACE ")};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (span_starts_nocase(line, methods[i]))
			return true;
	return false;
}

static bool too_many(struct session *s)
{
	uint32_t most = s->smtpd->c.config->limits.commands;

	if (!most || s->commands++ < most)
		return false;
	refuse_simple(s, SMTPD_REFUSED_ABUSE, 421, "4.7.0", "Too many commands without a message",
		SPAN_NONE);
	reply_goodbye(s, "4.7.0", "Too many commands without a message");
	return true;
}

/* A sender or recipient that is no address is news for the trace, as any other refusal is. */
static void report_syntax(struct session *s, enum smtp_verb verb, struct span line,
	const struct smtp_refusal *refusal)
{
	enum smtpd_refusal reason;
	struct verdict verdict;

	if (verb == SMTP_MAIL && s->greeted && !s->transaction)
		reason = SMTPD_REFUSED_SENDER;
	else if (verb == SMTP_RCPT && s->transaction)
		reason = SMTPD_REFUSED_RECIPIENT;
	else
		return;
	if (refusal->code < 500)
		reason = SMTPD_REFUSED_RESOURCES;
	verdict_set(&verdict, refusal->code < 500 ? VERDICT_TEMPORARY : VERDICT_PERMANENT,
		refusal->code, refusal->enhanced, false, span_str(refusal->text));
	if (verb == SMTP_MAIL)
		refuse_sender(s, reason, &verdict, path_given(line, &s->smtpd->parsed));
	else
		refuse(s, reason, &verdict, path_given(line, &s->smtpd->parsed));
}

static void refuse_syntax(struct session *s, struct span line, const struct smtp_refusal *refusal)
{
	enum smtp_verb verb = smtp_command_verb(line);

	s->auth_tried |= verb == SMTP_AUTH;
	log_write(s->smtpd->c.log, LOG_DEBUG, "command refused", LOG_U64("code", refusal->code),
		LOG_STR("text", refusal->text),
		LOG_SPAN("line", s->auth_tried ? SPAN("(may hold a password)") : line));
	if (verb == SMTP_UNKNOWN && is_other_protocol(line)) {
		refuse_simple(s, SMTPD_REFUSED_ABUSE, 421, "4.7.0", "This is SMTP", SPAN_NONE);
		reply_goodbye(s, "4.7.0", "This is SMTP");
		return;
	}
	report_syntax(s, verb, line, refusal);
	reply_syntax(s, refusal);
	/* How many octets follow is not known: they must not be taken for commands. */
	if (verb == SMTP_BDAT)
		reply_goodbye(s, "4.5.0", "Lost track of the chunks");
}

static void dispatch(struct session *s, const struct smtp_command *command)
{
	switch (command->verb) {
	case SMTP_HELO:
	case SMTP_EHLO: cmd_helo(s, command); break;
	case SMTP_MAIL: cmd_mail(s, command); break;
	case SMTP_RCPT: cmd_rcpt(s, command); break;
	case SMTP_DATA: cmd_data(s); break;
	case SMTP_BDAT: cmd_bdat(s, command); break;
	case SMTP_STARTTLS: cmd_starttls(s); break;
	case SMTP_AUTH: cmd_auth(s, command); break;
	case SMTP_XCLIENT: cmd_xclient(s, command); break;
	default: cmd_misc(s, command); break;
	}
}

void command_run(struct session *s, struct span line)
{
	struct smtp_command command;
	struct smtp_refusal refusal;

	if (too_many(s))
		return;
	/* Only what a transaction keeps is copied into it: what is refused leaves nothing. */
	if (smtp_command_parse(line, flags_of(s), &s->smtpd->parsed, &command, &refusal) != 0)
		refuse_syntax(s, line, &refusal);
	else
		dispatch(s, &command);
	arena_reset(&s->smtpd->parsed);
}
