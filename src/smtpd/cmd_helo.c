#include "codec/sasl.h"
#include "codec/xclient.h"
#include "smtpd/session.h"

#include "base/text.h"

#include <stdlib.h>

static bool keep_name(struct session *s, struct span name)
{
	char *copy = malloc(name.n + 1);

	if (!copy)
		return false;
	memcpy(copy, name.p, name.n);
	copy[name.n] = '\0';
	free((char *)s->helo.p);
	s->helo = span_of(copy, name.n);
	return true;
}

/* What depends on the client, the listener and the link. */
static void say_more_extensions(struct session *s)
{
	struct buf *out = &s->smtpd->out;
	unsigned mechanisms = auth_advertised(s);

	s->plus_offered = (mechanisms & SASL_SCRAM_SHA_256_PLUS) != 0;
	if (secure_offered(s))
		buf_add_str(out, "250-STARTTLS\r\n");
	if (s->tls)
		buf_add_str(out, "250-REQUIRETLS\r\n");
	if (mechanisms) {
		buf_add_str(out, "250-AUTH ");
		sasl_add_names(out, mechanisms);
		buf_add_str(out, "\r\n");
	}
	if (xclient_offered(s))
		buf_add_str(out, "250-XCLIENT " XCLIENT_ATTRIBUTES "\r\n");
}

/* RFC 5321 section 4.1.1.1; the keywords in the order of their RFCs. */
static void say_extensions(struct session *s)
{
	const struct config *config = s->smtpd->c.config;
	struct buf *out = &s->smtpd->out;

	buf_add_str(out, "250-");
	buf_add_span(out, config->hostname);
	buf_add_str(out, "\r\n250-PIPELINING\r\n250-SIZE ");
	buf_add_u64(out, config->limits.message_size);
	buf_add_str(out, "\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n"
			 "250-BINARYMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-LIMITS RCPTMAX=");
	buf_add_u64(out, config->limits.recipients);
	buf_add_str(out, " MAILMAX=");
	buf_add_u64(out, SESSION_MAILS);
	buf_add_str(out, "\r\n");
	say_more_extensions(s);
	reply(s, 250, NULL, "HELP");
}

void cmd_helo(struct session *s, const struct smtp_command *command)
{
	struct span host = s->smtpd->c.config->hostname;

	/* RFC 5321 section 4.1.4: a new EHLO ends what MAIL began, whatever comes of it. */
	bool kept = keep_name(s, command->argument);
	transaction_reset(s);
	if (!kept) {
		reply_goodbye(s, "4.3.2", "Out of memory");
		return;
	}
	s->greeted = true;
	s->extended = command->verb == SMTP_EHLO;
	if (s->extended)
		say_extensions(s);
	else
		reply_text(s, 250, NULL, host);
}
