/*
 * Promises about protected links that are broken on purpose: calls between folders and files that
 * the linker leads through here, as in sim_wrap.c.
 */
#include "sim_wrap.h"

#include "codec/mta_sts.h"
#include "delivery/link.h"
#include "delivery/secure_plan.h"
#include "transport/client_private.h"

static enum sim_mutation mutation;

void sim_wrap_tls_set(enum sim_mutation wanted)
{
	mutation = wanted;
}

int __real_client_new(struct io *io, const struct client_config *config,
	const struct client_ops *ops, void *owner, struct client **out);
int __wrap_client_new(struct io *io, const struct client_config *config,
	const struct client_ops *ops, void *owner, struct client **out);
void __real_client_tls_handshake(struct client *client, bool behind);
void __wrap_client_tls_handshake(struct client *client, bool behind);
void __real_link_refresh(struct link *link);
void __wrap_link_refresh(struct link *link);
bool __real_mta_sts_allows(const struct mta_sts_policy *policy, struct span host);
bool __wrap_mta_sts_allows(const struct mta_sts_policy *policy, struct span host);
void __real_secure_take_tlsa(
	struct secure *secure, struct secure_tlsa *out, const struct dns_answer *answer);
void __wrap_secure_take_tlsa(
	struct secure *secure, struct secure_tlsa *out, const struct dns_answer *answer);
struct attempt *__real_link_take_relaxed(struct link *link);
struct attempt *__wrap_link_take_relaxed(struct link *link);
void __real_sts_load(struct sts *sts);
void __wrap_sts_load(struct sts *sts);

int __wrap_client_new(struct io *io, const struct client_config *config,
	const struct client_ops *ops, void *owner, struct client **out)
{
	struct client_config other = *config;

	if (mutation == MUTATION_IN_CLEAR && config->tls == CLIENT_TLS_MUST)
		other.tls = CLIENT_TLS_MAY;
	if (mutation == MUTATION_ANY_CERTIFICATE && config->security) {
		/* It must stay until the session is open. */
		struct tls_client *security = (struct tls_client *)(uintptr_t)config->security;

		security->check = TLS_CHECK_NOTHING;
	}
	return __real_client_new(io, &other, ops, owner, out);
}

void __wrap_client_tls_handshake(struct client *client, bool behind)
{
	__real_client_tls_handshake(client, behind && mutation != MUTATION_TAKE_INJECTED);
}

void __wrap_link_refresh(struct link *link)
{
	if (mutation != MUTATION_STALE_LINKS)
		__real_link_refresh(link);
}

struct attempt *__wrap_link_take_relaxed(struct link *link)
{
	return mutation == MUTATION_RELAX_ALL ? link_take_waiting(link)
					      : __real_link_take_relaxed(link);
}

bool __wrap_mta_sts_allows(const struct mta_sts_policy *policy, struct span host)
{
	return mutation == MUTATION_ANY_HOST || __real_mta_sts_allows(policy, host);
}

void __wrap_secure_take_tlsa(
	struct secure *secure, struct secure_tlsa *out, const struct dns_answer *answer)
{
	struct dns_answer none = {.status = DNS_NXDOMAIN, .ttl_s = 60};
	bool failed = answer->status == DNS_TEMPORARY || answer->status == DNS_BOGUS;

	__real_secure_take_tlsa(
		secure, out, failed && mutation == MUTATION_NO_TLSA ? &none : answer);
}

/* What is read is forgotten before anybody asks for it. */
void __wrap_sts_load(struct sts *sts)
{
	if (mutation != MUTATION_FORGET_POLICIES)
		__real_sts_load(sts);
}
