/*
 * How mail went over a link, against how it had to: by the transport's `tls` in the directory that
 * delivery knew when the session was begun, and by what the DNS and the domains said then. Which
 * transport it was tells the name in EHLO, as each has its own (sim_world.c).
 *
 * What changes is not known at once: answers are kept for a minute, and may be slow. So what was
 * true at some time of LINK_GRACE before a session is good enough for it.
 */
#include "sim_link.h"
#include "sim_trust.h"
#include "sim_world.h"

#include <stdio.h>
#include <string.h>

#define LINK_GRACE (5 * SIM_MINUTE)
/* Nothing that is older than this can be why a message comes back. */
#define LINK_SETTLED (15 * SIM_MINUTE)
/* A policy is on disk so long after it came. */
#define LINK_KEPT (3 * SIM_MINUTE)

struct judged {
	struct ledger *ledger;
	const struct sim_link *link;
	struct transport transport;
	const char *domain;
	char why[160]; /* not empty: it must not go like this */
};

static void find(struct judged *j, const char *what)
{
	if (!*j->why)
		snprintf(j->why, sizeof(j->why), "%s", what);
}

/* ---- what names the server --------------------------------------------------------------------
 */

static bool is_pinned(const struct transport *transport, enum sim_cert shown)
{
	uint8_t whole[TLS_HASH_BYTES], key[TLS_HASH_BYTES];

	sim_cert_hash(shown, whole);
	sim_cert_key_hash(shown, key);
	for (uint32_t i = 0; i < transport->tls_pin_count; i++)
		if (memcmp(transport->tls_pins[i], whole, TLS_HASH_BYTES) == 0 ||
			memcmp(transport->tls_pins[i], key, TLS_HASH_BYTES) == 0)
			return true;
	return false;
}

static void judge_verify(struct judged *j)
{
	enum sim_cert shown = j->link->shown;

	if (j->transport.tls_pin_count ? !is_pinned(&j->transport, shown)
				       : shown != CERT_V && shown != CERT_V_NEW)
		find(j, "to a server that is not the right one (verify)");
}

/* ---- DANE -------------------------------------------------------------------------------------
 */

/* What it shows is what records of these kinds say of it. */
static bool fits_tlsa(unsigned kinds, enum sim_cert right, enum sim_cert shown)
{
	return ((kinds & (1u << TLSA_RIGHT | 1u << TLSA_BOTH)) && shown == right) ||
	       ((kinds & (1u << TLSA_RIGHT | 1u << TLSA_WRONG)) && shown == CERT_OTHER);
}

static bool lately(const struct judged *j, uint64_t grace, unsigned *kinds, enum sim_cert *right)
{
	uint64_t opened = j->link->opened_ns;

	return j->link->host && sim_trust_tlsa_kinds(j->ledger->trust, j->link->host,
					opened - MIN(opened, grace), opened, kinds, right);
}

/* False: it has nothing to say of this link. */
static bool judge_dane(struct judged *j)
{
	const struct sim_link *link = j->link;
	unsigned kinds;
	enum sim_cert right;

	if (!sim_trust_is_signed(j->domain))
		return false;
	if (!lately(j, LINK_GRACE, &kinds, &right)) {
		find(j, "to a host that its signed zone does not name");
		return true;
	}
	if (kinds & 1u << TLSA_MISSING)
		return false;
	if (fits_tlsa(kinds, right, link->shown))
		return true;
	if ((kinds & 1u << TLSA_USELESS) && link->shown != CERT_NONE)
		return true;
	find(j, link->shown == CERT_NONE ? "in clear, though there are TLSA records"
					 : "to a server that fits no TLSA record");
	return true;
}

/* ---- MTA-STS ----------------------------------------------------------------------------------
 */

static bool allows(const struct sim_fetched *policy, const struct sim_link *link)
{
	char first[64], tail[64];
	const char *host = link->host ? link->host : "";

	if (policy->mode != STS_ENFORCE)
		return true;
	snprintf(first, sizeof(first), "mx1.%s", policy->domain);
	snprintf(tail, sizeof(tail), ".%s", policy->domain);
	const char *rest = strchr(host, '.');
	bool named = strcmp(host, first) == 0 || (policy->all && rest && strcmp(rest, tail) == 0);

	return named && sim_cert_is_good(link->shown) &&
	       sim_cert_has_name(link->shown, span_str(host));
}

/* Is it sure that delivery went by this one, if no other came since? */
static bool holds(const struct judged *j, const struct sim_fetched *policy)
{
	struct ledger *l = j->ledger;
	const struct sim *sim = l->sim;
	uint64_t opened = j->link->opened_ns;
	size_t life = sim_trust_life(l->trust, opened);

	if (policy->jumps != sim->faults[FAULT_CLOCK_JUMP] ||
		opened + LINK_GRACE > policy->at_ns + policy->max_age_s * NS_PER_S)
		return false;
	if (policy->life == life)
		return true;
	/* It had to be kept over an end of delivery. */
	return !ledger_harmed(l) && !sim->faults[FAULT_DISK_FULL] &&
	       !sim->faults[FAULT_DISK_ERROR] && !sim->faults[FAULT_READ_ERROR] &&
	       sim_trust_life_end(l->trust, policy->life) > policy->at_ns + LINK_KEPT;
}

static void judge_sts(struct judged *j)
{
	const struct sim_fetched *policy, *last = NULL;
	uint64_t opened = j->link->opened_ns;
	bool fine = false;

	for (size_t i = 0; (policy = sim_trust_policy(j->ledger->trust, j->domain, i)); i++) {
		if (policy->at_ns > opened)
			break;
		/* What was known before, or nothing, may still have been gone by. */
		if (policy->at_ns + LINK_GRACE > opened)
			fine = fine || !last || !holds(j, last) || allows(last, j->link);
		last = policy;
	}
	if (last && !fine && holds(j, last) && !allows(last, j->link))
		find(j, "against the domain's policy (mta-sts)");
}

/* ---- all of it --------------------------------------------------------------------------------
 */

/* Where TLS is offered, and nothing is wrong with it, it is used. */
static void judge_offered(struct judged *j)
{
	const struct sim_link *link = j->link;

	if (link->shown == CERT_NONE && link->offered && !link->asked && !link->failed_lately)
		find(j, "in clear, though TLS was offered");
}

/* RFC 8689 section 5: what a recipient's domain wants may be waived by the sender; what the
 * administrator wants may not. */
static void judge_policy(struct judged *j, bool waived)
{
	const struct sim_link *link = j->link;
	enum tls_policy policy = j->transport.tls;
	bool must = policy == TLS_REQUIRE || policy == TLS_VERIFY || j->transport.sasl_user.n;

	if (policy == TLS_NONE) {
		if (link->shown != CERT_NONE)
			find(j, "over TLS, which the transport is not to use");
		return;
	}
	judge_offered(j);
	if (must && link->shown == CERT_NONE)
		find(j, "in clear, though TLS is required");
	if (policy == TLS_VERIFY)
		judge_verify(j);
	if (waived)
		return;
	if (policy == TLS_DANE)
		(void)judge_dane(j);
	if (policy == TLS_MTA_STS && !judge_dane(j))
		judge_sts(j);
}

/* "site-a.gw.example.test" */
static bool find_transport(struct judged *j)
{
	uint64_t generation = sim_trust_generation(j->ledger->trust, j->link->opened_ns);
	const struct snapshot *snapshot =
		generation ? machine_snapshot(j->ledger->machine, generation) : NULL;
	struct span helo = span_str(j->link->helo);
	struct span name = span_of(helo.p, span_find(helo, '.'));

	if (span_equal(helo, SPAN(WORLD_HOST)))
		name = SPAN("spare");
	return snapshot && snapshot_transport_by_name(snapshot, name, &j->transport) == 0;
}

/* Was it made sure who it is? */
static bool is_verified(const struct judged *j)
{
	const struct sim_link *link = j->link;
	unsigned kinds;
	enum sim_cert right;

	switch (j->transport.tls) {
	case TLS_VERIFY: return link->shown != CERT_NONE; /* that it was is judged above */
	case TLS_MTA_STS:
		if (link->host && sim_cert_is_good(link->shown) &&
			sim_cert_has_name(link->shown, span_str(link->host)))
			return true;
		break;
	case TLS_DANE: break;
	default: return false;
	}
	return sim_trust_is_signed(j->domain) && lately(j, LINK_GRACE, &kinds, &right) &&
	       fits_tlsa(kinds, right, link->shown);
}

void sim_link_judge(struct ledger *l, const struct sim_link *link, const struct ledger_mail *mail,
	const char *rcpt)
{
	const char *at = strrchr(rcpt, '@');
	struct judged j = {.ledger = l, .link = link, .domain = at ? at + 1 : ""};

	if (link->meddled)
		find(&j, "over a link into which somebody had put words before the handshake");
	if (!find_transport(&j))
		find(&j, "by a transport that delivery does not know");
	else
		judge_policy(&j, mail && mail->waives && !mail->require_tls);
	if (mail && mail->require_tls && !is_verified(&j))
		find(&j, "though it asked for REQUIRETLS");
	if (j.transport.sasl_user.n && !link->logged_in)
		find(&j, "without a login");
	if (!*j.why)
		return;
	l->exposed++;
	ledger_violation(l, "mail for %s went %s: session of %.3f s to %s, as %s, certificate %d",
		rcpt, j.why, (double)link->opened_ns / 1e9, link->hop, link->helo,
		(int)link->shown);
}

/* In every directory that delivery knew of late the transport is like this. */
static bool stood(struct judged *j, struct span transport, enum tls_policy policy)
{
	const struct ledger *l = j->ledger;
	uint64_t now = j->link->opened_ns;
	uint64_t first = sim_trust_generation(l->trust, now - MIN(now, LINK_SETTLED));
	uint64_t last = sim_trust_generation(l->trust, now);

	for (uint64_t at = MAX(first, 1u); at <= last; at++) {
		const struct snapshot *snapshot = machine_snapshot(l->machine, at);

		if (!snapshot ||
			snapshot_transport_by_name(snapshot, transport, &j->transport) != 0 ||
			j->transport.tls != policy)
			return false;
	}
	return last != 0;
}

/* Of the hosts of t.example only the first one offers REQUIRETLS; the pinned and the named server
 * are alone, and do. Whoever they are is beyond doubt, if all stood like this for a while: so they
 * either get the message, or could not be reached. */
void sim_link_judge_return(struct ledger *l, struct span transport, const char *rcpt)
{
	const struct sim_link link = {.host = "mx1.t.example", .opened_ns = l->sim->now_ns};
	const char *at = strrchr(rcpt, '@');
	struct judged j = {.ledger = l, .link = &link, .domain = at ? at + 1 : ""};
	unsigned kinds;
	enum sim_cert right;
	bool sure = false;

	if (span_equal(transport, SPAN("signed")) && strcmp(j.domain, "t.example") == 0)
		sure = stood(&j, transport, TLS_DANE) && lately(&j, LINK_SETTLED, &kinds, &right) &&
		       !(kinds & (1u << TLSA_MISSING | 1u << TLSA_USELESS));
	else if (span_equal(transport, SPAN("site-v")) || span_equal(transport, SPAN("site-p")))
		sure = stood(&j, transport, TLS_VERIFY);
	if (sure)
		ledger_violation(l, "mail for %s came back, though a host has REQUIRETLS", rcpt);
}
