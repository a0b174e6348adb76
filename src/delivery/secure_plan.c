#include "delivery/secure_plan.h"

#include "base/err.h"
#include "codec/pin.h"
#include "delivery/link.h"

#include <stdio.h>
#include <string.h>

_Static_assert(TRANSPORT_PINS <= TLS_PINS, "every pin of a transport can be checked");

/* The transport's tls-ca file, read once for all hosts: there may be many, and the file be long. */
struct plan_anchors {
	bool was_read;
	char problem[VERDICT_TEXT]; /* "": there is none */
	struct span pem;	    /* in the plan's arena */
	uint8_t hash[PIN_BYTES];    /* of it, or zeros */
};

/* All that the plan of one host is made of. */
struct plan_host {
	struct delivery *d;
	const struct transport *transport;
	struct span next_hop;
	struct span domain_end; /* where aliases lead from the next hop; empty: there are none */
	const struct mx_host *host;
	const struct secure_tlsa *tlsa;
	struct plan_anchors *anchors;
	struct secure *secure;
	struct secure_host *out;
};

/* ---- names ----------------------------------------------------------------------------------- */

/* At most TLS_NAMES. */
static void add_name(struct plan_host *p, struct span prefix, struct span name)
{
	struct tls_client *client = &p->out->client;
	struct span *names = (struct span *)(uintptr_t)client->names;

	if (!names)
		names = arena_alloc(&p->secure->arena, TLS_NAMES * sizeof(*names));
	char *text = arena_alloc(&p->secure->arena, prefix.n + name.n + 1);
	if (!names || !text)
		return;
	if (prefix.n)
		memcpy(text, prefix.p, prefix.n);
	memcpy(text + prefix.n, name.p, name.n);
	names[client->name_count++] = span_of(text, prefix.n + name.n);
	client->names = names;
}

static bool is_domain(struct span next_hop)
{
	return next_hop.n && next_hop.p[0] != '[';
}

/* ---- policies -------------------------------------------------------------------------------- */

static void refuse(struct plan_host *p, uint8_t detail, const char *text)
{
	p->out->refused = true;
	p->secure->ttl_s = MIN(p->secure->ttl_s, (uint32_t)SECURE_AGAIN_S);
	link_trouble(&p->out->why, 7, detail, text);
}

/* For reports: it goes there, but not as it should. */
static void count_as(struct plan_host *p, enum tls_rpt_result result, const char *detail)
{
	p->out->failing = true;
	p->out->result = result;
	p->out->detail = detail;
}

/* A file of ours, and nothing that a next hop could mend. */
static void tell_anchors(struct plan_host *p, const char *why)
{
	struct delivery *d = p->d;

	if (d->ca_said_ns && d->io->now_ns - d->ca_said_ns < DELIVERY_SHORT_SAID_MS * NS_PER_MS)
		return;
	d->ca_said_ns = d->io->now_ns;
	log_write(d->config.log, LOG_WARN,
		"the tls-ca file of a transport cannot be read, and its mail waits: put it there, "
		"readable by all, or name another with posternctl transport set NAME tls-ca=PATH",
		LOG_SPAN("transport", p->transport->name), LOG_SPAN("file", p->transport->tls_ca),
		LOG_STR("why", why));
}

static void read_anchors(struct plan_host *p)
{
	struct delivery *d = p->d;
	struct plan_anchors *anchors = p->anchors;
	struct span path = p->transport->tls_ca, name = p->transport->name;
	struct buf text;

	anchors->was_read = true;
	buf_init(&text, TLS_PEM_BYTES);
	int err = d->config.read_ca ? d->config.read_ca(d->config.context, path, &text)
				    : ERR_UNSUPPORTED;
	if (err) {
		const char *why = err == ERR_SYNTAX ? "it has no certificates that can be used"
						    : err_text(err);

		tell_anchors(p, why);
		snprintf(anchors->problem, sizeof(anchors->problem),
			"the transport's tls-ca file cannot be read: %.*s: %s; put it there, "
			"readable by all, or name another: posternctl transport set %.*s "
			"tls-ca=PATH",
			(int)MIN(path.n, VERDICT_TEXT / 4u), path.p, why,
			(int)MIN(name.n, VERDICT_TEXT / 8u), name.p);
	} else {
		anchors->pem = arena_copy(&p->secure->arena, buf_span(&text));
		pin_of(buf_span(&text), anchors->hash);
	}
	buf_done(&text);
}

static void use_anchors(struct plan_host *p)
{
	if (!p->transport->tls_ca.n)
		return;
	if (!p->anchors->was_read)
		read_anchors(p);
	p->secure->ttl_s = MIN(p->secure->ttl_s, (uint32_t)SECURE_AGAIN_CA_S);
	if (*p->anchors->problem)
		refuse(p, 5, p->anchors->problem);
	else
		p->out->client.ca_pem = p->anchors->pem;
}

static void plan_verify(struct plan_host *p)
{
	struct tls_client *client = &p->out->client;

	p->out->tls = CLIENT_TLS_MUST;
	if (p->transport->tls_pin_count) {
		size_t bytes = p->transport->tls_pin_count * sizeof(p->transport->tls_pins[0]);
		void *pins = arena_alloc(&p->secure->arena, bytes);

		client->check = TLS_CHECK_PINS;
		client->pins = pins;
		client->pin_count = p->transport->tls_pin_count;
		if (pins)
			memcpy(pins, p->transport->tls_pins, bytes);
		return;
	}
	client->check = TLS_CHECK_CHAIN;
	use_anchors(p);
	/* A name that the DNS gave is only as good as the DNS. */
	if (!p->next_hop.n || p->host->secure)
		add_name(p, SPAN_NONE, p->host->name);
	if (is_domain(p->next_hop)) {
		add_name(p, SPAN_NONE, p->next_hop);
		add_name(p, SPAN("."), p->next_hop);
	}
}

/* RFC 7672 section 3.2.2: the name that the records are of; of an exchanger also the domain, and
 * where that leads to; of another host its own, where an alias led away from it. */
static void add_dane_names(struct plan_host *p)
{
	add_name(p, SPAN_NONE, p->tlsa->base);
	if (!is_domain(p->next_hop)) {
		if (!span_equal(p->tlsa->base, p->host->name))
			add_name(p, SPAN_NONE, p->host->name);
		return;
	}
	add_name(p, SPAN_NONE, p->next_hop);
	if (p->domain_end.n)
		add_name(p, SPAN_NONE, p->domain_end);
}

/* False: nothing is to be found there, as DNSSEC proves. */
static bool plan_dane(struct plan_host *p)
{
	struct tls_client *client = &p->out->client;

	if (p->tlsa->failed) {
		/* Whoever can keep the answer away must not get the mail in clear for it. */
		refuse(p, 5,
			p->tlsa->bogus
				? "DNSSEC validation of the host's TLSA records failed (dane)"
				: "the host's TLSA records cannot be looked up now (dane)");
		p->out->type = TLS_RPT_TLSA;
		return true;
	}
	if (!p->tlsa->found)
		return false;
	p->out->type = TLS_RPT_TLSA;
	p->out->tls = CLIENT_TLS_MUST;
	/* Records, none of which can be used: TLS, unauthenticated (RFC 7672 section 2.2). */
	if (!p->tlsa->usable_count) {
		count_as(p, TLS_RPT_TLSA_INVALID, "none of the host's TLSA records can be used");
		return true;
	}
	client->check = TLS_CHECK_DANE;
	client->tlsa = p->tlsa->usable;
	client->tlsa_count = p->tlsa->usable_count;
	add_dane_names(p);
	return true;
}

/* Whoever keeps one answer from us at the start must not have turned DANE off with it. Where
 * nothing is heard for long, there is none to be had; an anchor for the root in the start file ends
 * all doubt. */
static bool waits_for_dnssec(struct plan_host *p)
{
	struct delivery *d = p->d;

	struct netaddr literal;

	if (dnssec_state(d) != DNSSEC_UNKNOWN ||
		d->io->now_ns - d->started_ns > DELIVERY_DNSSEC_MS * NS_PER_MS ||
		p->transport->query.n || netaddr_parse_ip(p->host->name, &literal) == 0)
		return false;
	refuse(p, 5,
		"it is not known yet whether DNS answers can be validated (DNSSEC), which dane "
		"needs");
	return true;
}

static void plan_sts(struct plan_host *p)
{
	struct sts_found found = {0};

	if (p->secure->sts)
		sts_found(p->secure->sts, &found);
	if (!found.policy || found.policy->mode == MTA_STS_NONE)
		return;
	p->out->type = TLS_RPT_STS;
	p->out->failing = false;
	p->out->testing = found.policy->mode == MTA_STS_TESTING;
	if (!mta_sts_allows(found.policy, p->host->name)) {
		static const char outside[] = "the host is none of those that the domain's MTA-STS "
					      "policy names";

		if (p->out->testing)
			count_as(p, TLS_RPT_VALIDATION_FAILURE, outside);
		else
			refuse(p, 5, outside);
		return;
	}
	/* TLSA records that cannot be used want TLS all the same. */
	if (!p->out->testing)
		p->out->tls = CLIENT_TLS_MUST;
	p->out->client.check = TLS_CHECK_CHAIN;
	p->out->client.alternative_only = true; /* RFC 8461 section 4.1 */
	use_anchors(p);
	add_name(p, SPAN_NONE, p->host->name);
}

static void plan_host(struct plan_host *p)
{
	struct secure_host *out = p->out;

	*out = (struct secure_host){.type = TLS_RPT_NO_POLICY, .tls = CLIENT_TLS_MAY};
	switch (p->transport->tls) {
	case TLS_NONE: out->tls = CLIENT_TLS_NONE; break;
	case TLS_OPPORTUNISTIC: break;
	case TLS_REQUIRE: out->tls = CLIENT_TLS_MUST; break;
	case TLS_VERIFY: plan_verify(p); break;
	case TLS_DANE:
		if (!waits_for_dnssec(p))
			(void)plan_dane(p);
		break;
	case TLS_MTA_STS:
		/* RFC 8461 section 2: a policy never overrides what DANE says; but records that
		 * cannot be used say nothing of who it is. */
		if (!plan_dane(p) || (!p->out->refused && !p->tlsa->usable_count))
			plan_sts(p);
		break;
	}
}

/* ---- sessions that can be resumed ------------------------------------------------------------ */

static void add_part(struct buf *key, struct span part)
{
	buf_put_bytes32(key, part);
}

/* All that was asked of the certificate goes into it, so that a session is resumed only where the
 * same is asked. Its hash stands for it, as what others chose may be long, and must not be made
 * to look like something else. */
static void set_session_key(struct plan_host *p)
{
	struct tls_client *client = &p->out->client;
	uint8_t hash[PIN_BYTES];
	struct buf key, name;

	buf_init(&key, SECURE_ARENA);
	buf_init(&name, PIN_TEXT);
	add_part(&key, p->transport->name);
	add_part(&key, p->next_hop);
	add_part(&key, p->host->name);
	buf_put_u16(&key, p->transport->port);
	buf_put_u8(&key, (uint8_t)client->check);
	buf_put_u8(&key, client->alternative_only);
	add_part(&key,
		client->ca_pem.n ? span_of((const char *)p->anchors->hash, PIN_BYTES) : SPAN_NONE);
	for (size_t i = 0; i < client->name_count; i++)
		add_part(&key, client->names[i]);
	for (size_t i = 0; i < client->pin_count; i++)
		add_part(&key, span_of(client->pins[i], TLS_HASH_BYTES));
	for (size_t i = 0; i < client->tlsa_count; i++) {
		buf_put_u8(&key, client->tlsa[i].usage);
		buf_put_u8(&key, client->tlsa[i].selector);
		buf_put_u8(&key, client->tlsa[i].type);
		add_part(&key, client->tlsa[i].data);
	}
	if (buf_ok(&key)) {
		pin_of(buf_span(&key), hash);
		pin_add(&name, hash);
		client->session_key = arena_copy(&p->secure->arena, buf_span(&name));
	}
	buf_done(&name);
	buf_done(&key);
}

void secure_plan(struct delivery *d, const struct transport *transport, struct span next_hop,
	const struct mx_result *hosts, const struct secure_answers *answers, struct secure *secure)
{
	struct plan_anchors anchors = {.was_read = false};

	for (uint32_t i = 0; i < hosts->host_count; i++) {
		struct netaddr literal;
		struct plan_host p = {
			.d = d,
			.transport = transport,
			.next_hop = next_hop,
			.domain_end = hosts->canonical,
			.host = &hosts->hosts[i],
			.tlsa = &answers->tlsa[i],
			.anchors = &anchors,
			.secure = secure,
			.out = &secure->hosts[i],
		};

		plan_host(&p);
		/* An address is no server name (RFC 6066 section 3); DANE is by the name that the
		 * records are of (RFC 7672 section 8.1). */
		if (netaddr_parse_ip(p.host->name, &literal) != 0)
			p.out->client.sni = arena_copy(&secure->arena,
				p.out->client.check == TLS_CHECK_DANE ? p.tlsa->base
								      : p.host->name);
		set_session_key(&p);
	}
}
