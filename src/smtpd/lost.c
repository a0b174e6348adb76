/* Connections that were lost in a transaction: news, but who loses them in a loop fills no log. */
#include "base/err.h"
#include "smtpd/session.h"

static struct span address_of(const struct netaddr *client, struct buf *to)
{
	buf_clear(to);
	if (client->family != NETADDR_NONE)
		netaddr_add_ip(to, client);
	return buf_span(to);
}

static void tell_more(void *context, const struct netaddr *client, uint64_t more)
{
	struct smtpd *smtpd = context;
	struct buf address;

	buf_init(&address, 64);
	log_write(smtpd->c.log, LOG_INFO, "more connections lost in a transaction",
		LOG_SPAN("client", address_of(client, &address)), LOG_U64("connections", more));
	buf_done(&address);
}

void lost_sum(struct smtpd *smtpd)
{
	flood_sum(&smtpd->lost, tell_more, smtpd);
	flood_begin(&smtpd->lost);
}

void lost_minute_over(struct timer *timer)
{
	lost_sum(CONTAINER_OF(timer, struct smtpd, lost_timer));
}

void lost_connection(struct session *s)
{
	struct smtpd *smtpd = s->smtpd;
	struct buf address;

	if (!timer_armed(&smtpd->lost_timer))
		(void)io_timer_after(smtpd->io, &smtpd->lost_timer, FLOOD_MINUTE_MS);
	if (!flood_may_tell(&smtpd->lost, &s->client))
		return;
	buf_init(&address, 64);
	log_write(smtpd->c.log, LOG_INFO, "connection lost in a transaction",
		LOG_SPAN("client", address_of(&s->client, &address)), LOG_SPAN("helo", s->helo),
		LOG_SPAN("sender", s->transaction->sender));
	buf_done(&address);
}
