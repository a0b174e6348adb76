#include "codec/address.h"
#include "codec/smtp_command.h"
#include "transport/client_private.h"

/* Nothing that could end the command or begin another one, also for a server that cuts long lines
 * into several. Quoted local parts may hold blanks. */
bool client_address_safe(struct span address)
{
	for (size_t i = 0; i < address.n; i++)
		if ((unsigned char)address.p[i] < ' ' || address.p[i] == 0x7f)
			return false;
	return address.n <= ADDRESS_MAILBOX_BYTES;
}

/* A parameter's value: printable, no blank; bytes over 0x7f only in a UTF-8 transaction. */
static bool value_safe(struct span value, size_t most, bool utf8)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		if (c <= ' ' || c == 0x7f || (c > 0x7f && !utf8))
			return false;
	}
	return value.n != 0 && value.n <= most;
}

void client_add_mail(struct buf *out, const struct client *client)
{
	const struct envelope *envelope = client->job->envelope;
	uint32_t can = client->caps.can;

	buf_add_str(out, "MAIL FROM:<");
	buf_add_span(out, envelope->sender);
	buf_add_char(out, '>');
	if (can & CLIENT_SIZE) {
		buf_add_str(out, " SIZE=");
		buf_add_u64(out, client->plan.size);
	}
	buf_add_str(out, client->plan.body_param);
	if (client->plan.utf8)
		buf_add_str(out, " SMTPUTF8");
	/* RFC 8689; the plan saw to who may do without */
	if ((envelope->flags & ENVELOPE_REQUIRETLS) && (can & CLIENT_REQUIRETLS))
		buf_add_str(out, " REQUIRETLS");
	if (can & CLIENT_DSN) {
		if (envelope->ret != RETURN_DEFAULT)
			buf_add_str(out, envelope->ret == RETURN_FULL ? " RET=FULL" : " RET=HDRS");
		if (value_safe(envelope->envid, SMTP_ENVID_BYTES, false)) {
			buf_add_str(out, " ENVID=");
			buf_add_span(out, envelope->envid);
		}
	}
	buf_add_str(out, "\r\n");
}

static void add_notify(struct buf *out, uint8_t notify)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} names[] = {
		{NOTIFY_SUCCESS, "SUCCESS"}, {NOTIFY_FAILURE, "FAILURE"}, {NOTIFY_DELAY, "DELAY"}};
	const char *before = " NOTIFY=";

	if (notify & NOTIFY_NEVER) {
		buf_add_str(out, " NOTIFY=NEVER");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(notify & names[i].bit))
			continue;
		buf_add_str(out, before);
		buf_add_str(out, names[i].name);
		before = ",";
	}
}

void client_add_rcpt(struct buf *out, const struct client *client, const struct envelope_rcpt *rcpt)
{
	buf_add_str(out, "RCPT TO:<");
	buf_add_span(out, rcpt->address);
	buf_add_char(out, '>');
	if (client->caps.can & CLIENT_DSN) {
		add_notify(out, rcpt->notify);
		if (value_safe(rcpt->orcpt, SMTP_ORCPT_BYTES, client->plan.utf8)) {
			buf_add_str(out, " ORCPT=");
			buf_add_span(out, rcpt->orcpt);
		}
	}
	buf_add_str(out, "\r\n");
}
