/*
 * Whether DNS answers can be validated (DNSSEC), kept in a file over restarts: whoever keeps one
 * answer of the DNS from us while we start must not have turned DANE off with it. Nothing is lost
 * with it but that.
 */
#include "delivery/core.h"

#include "base/cursor.h"
#include "base/err.h"

#define DNSSEC_BYTES 64

enum dns_dnssec dnssec_state(const struct delivery *d)
{
	return d->config.dnssec ? d->config.dnssec(d->config.context) : DNSSEC_YES;
}

void dnssec_look(struct delivery *d)
{
	uint64_t servers = 0;

	if (!d->config.dnssec)
		return;
	switch (dnssec_state(d)) {
	case DNSSEC_YES: servers = d->config.dnssec_servers(d->config.context); break;
	case DNSSEC_NO: break;
	case DNSSEC_UNKNOWN: return;
	}
	if (servers == d->dnssec_servers)
		return;
	d->dnssec_servers = servers;
	d->dnssec_version++;
	kept_keep(&d->dnssec);
}

static uint64_t version(const void *owner)
{
	return ((const struct delivery *)owner)->dnssec_version;
}

/* The servers for which it is so; 0: for none. */
static void encode(const void *owner, struct buf *out)
{
	buf_put_u64(out, ((const struct delivery *)owner)->dnssec_servers);
}

static int restore(void *owner, struct span bytes)
{
	struct delivery *d = owner;
	struct cursor in = cursor_of(bytes);
	uint64_t servers = cursor_u64(&in);

	if (!cursor_ok(&in) || cursor_left(&in))
		return ERR_CORRUPT;
	d->dnssec_servers = servers;
	if (servers && d->config.dnssec)
		d->config.dnssec_believe(d->config.context, servers);
	return 0;
}

const struct kept_kind dnssec_kept = {
	.file = "d/dnssec",
	.fresh = "d/dnssec.new",
	.most = DNSSEC_BYTES,
	.version = version,
	.encode = encode,
	.restore = restore,
	.unreadable =
		"whether DNS answers could be validated cannot be read: it is tried anew, and "
		"mail that DANE protects waits for it",
	.unwritable =
		"that DNS answers can be validated cannot be kept: after a restart it is tried "
		"anew",
};
