/* STARTTLS at a next hop, and who meddles with it. */
#include "sim_hop_inner.h"

#include "base/check.h"

/* Who begins anew in clear does it at once, though we may hear later of what failed. */
#define LATELY (10 * SIM_MINUTE)

void sim_hop_meet_attacker(struct session *s)
{
	struct sim *sim = s->hop->sim;

	if (sim->calm || !sim_chance(sim, s->hop->kind->attacked))
		return;
	s->attack = (enum attack)sim_between(sim, ATTACK_STRIP, ATTACKS - 1);
	sim_fault(sim, FAULT_ATTACK);
	sim_say(sim, "somebody meddles with a session to %s: %d", s->hop->kind->name,
		(int)s->attack);
}

bool sim_hop_offers_tls(const struct session *s)
{
	return s->hop->kind->cert && !s->tls && s->attack != ATTACK_STRIP;
}

void sim_hop_tls_done(struct session *s)
{
	struct sim_hop *hop = s->hop;

	if (s->tls && !s->secured) {
		hop->shaking--;
		hop->failed_ns = hop->sim->now_ns;
	}
	sim_tls_free(&s->tls);
}

static enum sim_cert shown(const struct session *s)
{
	if (s->attack == ATTACK_EVIL)
		return CERT_EVIL;
	if (s->attack == ATTACK_ROGUE)
		return CERT_ROGUE;
	return sim_trust_shown(s->hop->ledger->trust, s->hop->kind->cert);
}

bool sim_hop_starttls(struct session *s)
{
	struct sim *sim = s->hop->sim;

	s->asked_tls = true;
	if (s->in.n)
		ledger_violation(
			s->hop->ledger, "%s: more came behind STARTTLS", s->hop->kind->name);
	buf_clear(&s->in);
	if (s->attack == ATTACK_REFUSE || sim_hop_trouble(s, 4)) {
		sim_hop_say(s, sim_chance(sim, 500) ? "454" : "502", "5.7.0", "no TLS now");
		return true;
	}
	sim_hop_say(s, "220", "2.0.0", "go on");
	if (s->attack == ATTACK_INJECT) {
		buf_add_str(&s->out,
			sim_chance(sim, 500) ? "250-hop\r\n250-AUTH PLAIN\r\n250 DSN\r\n" : "x");
		s->meddled = true;
	}
	/* What was learnt in clear is forgotten (RFC 3207 section 4.2). */
	s->greeted = s->extended = false;
	sim_hop_reset_mail(s);
	sim_hop_wrap(s);
	s->tls = sim_tls_server(sim, shown(s));
	s->hop->shaking++;
	if (sim_hop_trouble(s, 3)) {
		sim_fault(sim, FAULT_TLS);
		switch (sim_below(sim, 3)) {
		case 0: sim_tls_refuse(s->tls); break;
		case 1: sim_hop_end(s, sim_chance(sim, 500)); return false;
		default: sim_hop_fall_silent(s);
		}
	}
	return true;
}

bool sim_hop_take(struct session *s, const void *bytes, size_t n)
{
	struct sim_tls *tls = s->tls;

	if (!tls) {
		buf_add(&s->in, bytes, n);
		return true;
	}
	sim_tls_take(tls, bytes, n);
	if (tls->state == SIM_TLS_OPEN) {
		s->hop->shaking -= !s->secured;
		s->secured = true;
		buf_add_span(&s->in, buf_span(&tls->in));
		buf_clear(&tls->in);
	} else if (tls->state == SIM_TLS_BROKEN || tls->state == SIM_TLS_REFUSED) {
		if (s->secured)
			ledger_violation(s->hop->ledger, "%s: what came was not protected",
				s->hop->kind->name);
		sim_say(s->hop->sim, "%s: no handshake", s->hop->kind->name);
		sim_hop_end(s, sim_chance(s->hop->sim, 500));
		return false;
	}
	return true;
}

void sim_hop_wrap(struct session *s)
{
	struct sim_tls *tls = s->tls;

	if (tls && s->out.n)
		sim_tls_seal(tls, s->out.p, s->out.n);
	buf_add_span(&s->wire, tls ? buf_span(&tls->out) : buf_span(&s->out));
	buf_clear(&s->out);
	if (tls)
		buf_clear(&tls->out);
}

void sim_hop_link(const struct session *s, struct sim_link *out)
{
	const struct sim_hop *hop = s->hop;

	*out = (struct sim_link){
		.hop = hop->kind->name,
		.host = hop->kind->host,
		.helo = s->helo,
		.opened_ns = s->opened_ns,
		.shown = s->secured ? s->tls->own : CERT_NONE,
		.offered = s->offered,
		.asked = s->asked_tls,
		.failed_lately =
			hop->shaking || (hop->failed_ns && s->opened_ns < hop->failed_ns + LATELY),
		.meddled = s->meddled,
		.logged_in = s->logged_in,
	};
}
