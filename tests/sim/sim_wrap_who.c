/*
 * Promises about who a client is, and what it may, that are broken on purpose: calls between files
 * that the linker leads through here, as in sim_wrap.c.
 */
#include "sim_wrap.h"

#include "base/check.h"
#include "route/relay.h"
#include "smtpd/session.h"

static enum sim_mutation mutation;

void sim_wrap_who_set(enum sim_mutation wanted)
{
	mutation = wanted;
}

void __real_auth_failed(struct session *s, enum auth_result why, struct span user);
void __wrap_auth_failed(struct session *s, enum auth_result why, struct span user);
void __real_session_forget(struct session *s);
void __wrap_session_forget(struct session *s);
void __real_secure_begin(struct session *s);
void __wrap_secure_begin(struct session *s);
bool __real_proxy_expected(const struct session *s);
bool __wrap_proxy_expected(const struct session *s);
void __real_route_expand(const struct snapshot *snapshot, const struct route_config *config,
	const struct route_query *query, struct route_trail *trail,
	bool (*each)(void *context, const struct route_decision *decision), void *context,
	struct route_decision *out);
void __wrap_route_expand(const struct snapshot *snapshot, const struct route_config *config,
	const struct route_query *query, struct route_trail *trail,
	bool (*each)(void *context, const struct route_decision *decision), void *context,
	struct route_decision *out);
bool __real_route_sender_allowed(const struct snapshot *snapshot, const struct route_query *query,
	struct route_trail *trail, struct verdict *out);
bool __wrap_route_sender_allowed(const struct snapshot *snapshot, const struct route_query *query,
	struct route_trail *trail, struct verdict *out);
enum relay_answer __real_relay_right(const struct snapshot *snapshot,
	const struct route_config *config, const struct route_query *query,
	const struct transport *transport, struct route_trail *trail, enum route_right *right,
	struct verdict *verdict);
enum relay_answer __wrap_relay_right(const struct snapshot *snapshot,
	const struct route_config *config, const struct route_query *query,
	const struct transport *transport, struct route_trail *trail, enum route_right *right,
	struct verdict *verdict);

static uint64_t since_of(const struct session *s, struct span user)
{
	struct account account;

	return snapshot_account(s->smtpd->snapshot, user, &account) ? 0 : account.logins_since;
}

/* A password that is wrong is as good as the right one. */
void __wrap_auth_failed(struct session *s, enum auth_result why, struct span user)
{
	if (mutation == MUTATION_ACCEPT_NO && why == AUTH_NO && user.n)
		auth_succeeded(s, user, since_of(s, user), "PLAIN");
	else
		__real_auth_failed(s, why, user);
}

/* After STARTTLS what was said before still counts. */
void __wrap_session_forget(struct session *s)
{
	if (mutation != MUTATION_KEEP_STATE)
		__real_session_forget(s);
}

/* What was sent behind STARTTLS, in clear, is taken up after the handshake. */
void __wrap_secure_begin(struct session *s)
{
	struct buf held = s->held;

	if (mutation != MUTATION_TAKE_EARLY) {
		__real_secure_begin(s);
		return;
	}
	buf_init(&s->held, SESSION_HELD);
	__real_secure_begin(s);
	s->held = held;
}

/* Whoever comes may say who he is. */
bool __wrap_proxy_expected(const struct session *s)
{
	return mutation == MUTATION_TRUST_PROXY || __real_proxy_expected(s);
}

/* Next hops that nobody knows are those that are listed. */
void __wrap_route_expand(const struct snapshot *snapshot, const struct route_config *config,
	const struct route_query *query, struct route_trail *trail,
	bool (*each)(void *context, const struct route_decision *decision), void *context,
	struct route_decision *out)
{
	struct netaddr listed;
	struct route_hops hops = {true, &listed, 1};
	struct route_query other = *query;

	CHECK(netaddr_parse_ip(SPAN("192.0.2.99"), &listed) == 0);
	if (mutation == MUTATION_UNKNOWN_HOPS && query->hops && !query->hops->known)
		other.hops = &hops;
	__real_route_expand(snapshot, config, &other, trail, each, context, out);
}

bool __wrap_route_sender_allowed(const struct snapshot *snapshot, const struct route_query *query,
	struct route_trail *trail, struct verdict *out)
{
	return mutation == MUTATION_ANY_SENDER ||
	       __real_route_sender_allowed(snapshot, query, trail, out);
}

enum relay_answer __wrap_relay_right(const struct snapshot *snapshot,
	const struct route_config *config, const struct route_query *query,
	const struct transport *transport, struct route_trail *trail, enum route_right *right,
	struct verdict *verdict)
{
	if (mutation == MUTATION_OPEN_RELAY)
		return RELAY_YES;
	return __real_relay_right(snapshot, config, query, transport, trail, right, verdict);
}
