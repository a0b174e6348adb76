/* Who asks: the listener, TLS, the client's certificate, the login. */
#include "base/err.h"
#include "codec/address.h"
#include "codec/pin.h"
#include "route/explain.h"
#include "route/find.h"
#include "route/refuse.h"
#include "route/relay_view.h"

#define WHO_ARENA 4096 /* an address while it is parsed */
#define WHO_TEXT  256  /* bytes of a part of a sentence */

static void say_client(struct explain *explain, const struct explain_query *query)
{
	route_trail_add(&explain->trail, "client",
		netaddr_is_loopback(&explain->query.client) ? "local" : "remote",
		"%.*s on listener %.*s%s.", SHOWN(query->client), SHOWN(explain->listener->name),
		query->listener.n ? "" : ", the first one of the start file");
}

static void say_tls(struct explain *explain, const struct relay_view *view, bool wanted)
{
	struct route_trail *trail = &explain->trail;
	struct span name = explain->listener->name;
	bool implicit = view->tls && explain->listener->tls.mode == CONFIG_TLS_IMPLICIT;

	explain->query.tls = view->tls && (wanted || implicit);
	if (implicit)
		route_trail_add(trail, "tls", "yes",
			"Listener %.*s speaks TLS from the first byte, so REQUIRETLS can be asked "
			"for.",
			SHOWN(name));
	else if (explain->query.tls)
		route_trail_add(
			trail, "tls", "yes", "After STARTTLS, so REQUIRETLS can be asked for.");
	else if (wanted)
		route_trail_add(trail, "tls", "no",
			"Listener %.*s has no certificate and offers no STARTTLS: all goes in "
			"clear.",
			SHOWN(name));
	else
		route_trail_add(trail, "tls", "no", "In clear%s.",
			view->tls ? "; STARTTLS is offered" : "");
}

static void say_auth(struct explain *explain, const struct relay_view *view)
{
	struct route_trail *trail = &explain->trail;
	char memory[WHO_TEXT];
	struct buf names = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};

	if (!explain->query.tls && !explain->listener->auth_without_tls) {
		route_trail_add(trail, "auth", "no",
			view->tls ? "AUTH is taken after STARTTLS only."
				  : "AUTH needs TLS, for which the listener has no certificate.");
		return;
	}
	for (uint32_t i = 0; relay_mechanism(view, i); i++)
		if (explain->query.tls ||
			!span_ends_nocase(span_str(relay_mechanism(view, i)), SPAN("-PLUS")))
			buf_printf(&names, "%s%s", names.n ? ", " : "", relay_mechanism(view, i));
	route_trail_add(trail, "auth", view->relay.advertise_auth ? "offered" : "hidden",
		"AUTH is %s: %.*s.",
		view->relay.advertise_auth ? "offered"
					   : "not offered (advertise-auth: no), but understood",
		SHOWN(buf_span(&names)));
}

static int say_certificate(
	struct explain *explain, const struct relay_view *view, struct span given, struct buf *why)
{
	struct route_certificate *certificate = &explain->certificate;

	if (!given.n)
		return 0;
	certificate->verified = span_equal_nocase(given, SPAN("verified"));
	if (!certificate->verified && pin_parse(given, certificate->certificate_hash) < 0) {
		buf_add_str(why, "certificate: \"verified\" is needed, or \"sha256:\" and the "
				 "fingerprint of the certificate or of its public key");
		return ERR_SYNTAX;
	}
	memcpy(certificate->key_hash, certificate->certificate_hash, PIN_BYTES);
	if (view->certificate && explain->query.tls) {
		explain->query.certificate = certificate;
		route_trail_add(&explain->trail, "certificate", "shown",
			certificate->verified
				? "The client shows a certificate that client-ca verifies."
				: "The client shows the certificate %.*s.",
			SHOWN(given));
		return 0;
	}
	route_trail_add(&explain->trail, "certificate", "ignored",
		explain->query.tls
			? "The listener asks clients for no certificate (tls: client-ca)."
			: "Without TLS there is no certificate.");
	return 0;
}

/* As smtpd would: a name that is no address is no account's. */
static int find_user(const struct snapshot *snapshot, struct span given, struct account *out)
{
	struct address address;
	struct arena arena;

	arena_init(&arena, WHO_ARENA);
	int err = address_parse_mailbox(span_trim(given), &arena, &address);
	if (err == 0)
		err = find_account(snapshot, address.local, address.domain, out);
	else
		err = ERR_NOT_FOUND;
	arena_reset(&arena);
	return err;
}

/* What the client gets, whichever of these it was; it ends there, and mail is another question. */
static void refuse_login(struct explain *explain)
{
	explain->login_refused = true;
	explain->decision.kind = ROUTE_REFUSED;
	route_verdict(&explain->decision.verdict, 535, 7, 8, "User and password do not match");
}

static void say_account(
	struct explain *explain, const struct explain_query *query, const struct account *account)
{
	struct route_trail *trail = &explain->trail;
	struct span address = account->address;

	if (!explain->query.tls && !explain->listener->auth_without_tls) {
		route_trail_add(trail, "user", "no",
			"The account %.*s is there, but cannot log in here without TLS.",
			SHOWN(address));
	} else if (account->disabled) {
		route_trail_add(trail, "user", "disabled",
			"The account %.*s is disabled: it takes mail, but the login fails (535 "
			"5.7.8).",
			SHOWN(address));
		refuse_login(explain);
	} else if (query->no_password) {
		route_trail_add(trail, "user", "no",
			"The account %.*s has no password, so the login fails (535 5.7.8).",
			SHOWN(address));
		refuse_login(explain);
	} else {
		explain->query.user = address;
		route_trail_add(trail, "user", "yes",
			"The account %.*s is there; it can log in if its password is right, and it "
			"is not locked out (posternctl user locks).",
			SHOWN(address));
	}
}

static void say_user(
	struct explain *explain, const struct snapshot *snapshot, const struct explain_query *query)
{
	struct route_trail *trail = &explain->trail;
	struct span given = span_trim(query->user);
	struct account account = {0};

	if (!given.n)
		return;
	int err = find_user(snapshot, given, &account);
	if (err == 0) {
		say_account(explain, query, &account);
	} else if (err != ERR_NOT_FOUND) {
		route_trail_add(trail, "user", "failed",
			"The directory cannot be read: %s. Nobody can log in.", err_text(err));
	} else if (!explain->query.tls && !explain->listener->auth_without_tls) {
		route_trail_add(trail, "user", "unknown",
			"There is no account %.*s; nor can anybody log in here without TLS.",
			SHOWN(given));
	} else {
		route_trail_add(trail, "user", "unknown",
			"There is no account %.*s, so the login fails (535 5.7.8).", SHOWN(given));
		refuse_login(explain);
	}
}

int explain_who(struct explain *explain, const struct snapshot *snapshot,
	const struct explain_query *query, struct buf *why)
{
	struct relay_view view;

	relay_view(snapshot, explain->listener, &view);
	say_client(explain, query);
	say_tls(explain, &view, query->tls);
	say_auth(explain, &view);
	int err = say_certificate(explain, &view, span_trim(query->certificate), why);
	if (err == 0)
		say_user(explain, snapshot, query);
	return err;
}
