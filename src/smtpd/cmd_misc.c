#include "smtpd/session.h"

void cmd_misc(struct session *s, const struct smtp_command *command)
{
	switch (command->verb) {
	case SMTP_RSET:
		transaction_reset(s);
		reply(s, 250, "2.0.0", "Ok");
		break;
	case SMTP_NOOP: reply(s, 250, "2.0.0", "Ok"); break;
	case SMTP_QUIT:
		transaction_reset(s);
		reply(s, 221, "2.0.0", "Bye");
		s->ending = s->quit = true;
		break;
	case SMTP_VRFY:
		/* RFC 5321 section 7.3: who is here is not told, and no mail is refused for it. */
		reply(s, 252, "2.5.0", "Send mail, and see");
		break;
	case SMTP_HELP:
		reply(s, 214, "2.0.0",
			"HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT");
		break;
	case SMTP_EXPN: reply_error(s, 502, "5.5.1", "Not offered here"); break;
	default: reply_error(s, 500, "5.5.1", "Unknown command"); break;
	}
}
