/* How the link to the next hop would be protected; delivery/secure_plan.c decides. */
#include "route/explain.h"
#include "route/refuse.h"

static void say_verify(struct route_trail *trail, const struct transport *t)
{
	if (t->tls_pin_count) {
		route_trail_add(trail, "link", "verify",
			"TLS only, and with %s of tls-pin; else mail waits.",
			t->tls_pin_count == 1 ? "the certificate or key" : "a certificate or key");
		return;
	}
	if (t->host.n)
		route_trail_add(trail, "link", "verify",
			"TLS only, with a certificate for %.*s and a chain to the authorities "
			"%s%.*s; "
			"else mail waits.",
			SHOWN(t->host), t->tls_ca.n ? "in " : "of the system", SHOWN(t->tls_ca));
	else
		route_trail_add(trail, "link", "verify",
			"TLS only, with a certificate for the recipient's domain, or for the host "
			"where DNSSEC vouches for its name, and a chain to the authorities %s%.*s; "
			"else mail waits.",
			t->tls_ca.n ? "in " : "of the system", SHOWN(t->tls_ca));
}

#define DANE_FIRST                                                                           \
	"Asks for the TLSA records of each host whose name DNSSEC vouches for: where there " \
	"are any, TLS by these, or mail waits; "

static void say_tls(struct explain *explain, const struct transport *t)
{
	struct route_trail *trail = &explain->trail;

	switch (t->tls) {
	case TLS_NONE:
		route_trail_add(trail, "link", "none", "In clear: the transport has tls none.");
		return;
	case TLS_OPPORTUNISTIC:
		route_trail_add(trail, "link", "opportunistic",
			"TLS where the next hop offers it, with any certificate; else %s.",
			t->sasl_user.n ? "mail waits, for the login's sake" : "in clear");
		return;
	case TLS_REQUIRE:
		route_trail_add(trail, "link", "require",
			"TLS only, with any certificate; else mail waits.");
		return;
	case TLS_VERIFY: say_verify(trail, t); return;
	case TLS_DANE:
		route_trail_add(trail, "link", "dane",
			DANE_FIRST "where there are none, TLS if it is offered.");
		return;
	case TLS_MTA_STS:
		route_trail_add(trail, "link", "mta-sts",
			DANE_FIRST "where there are none, by the policy that %.*s publishes; "
				   "without one, TLS if it is offered.",
			SHOWN(explain->decision.domain));
		return;
	}
}

void explain_link(struct explain *explain)
{
	const struct transport *t = &explain->decision.transport;

	say_tls(explain, t);
	if (t->sasl_user.n)
		route_trail_add(&explain->trail, "login", "yes",
			"Logs in there as %.*s, over TLS only.", SHOWN(t->sasl_user));
}
