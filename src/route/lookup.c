#include "route/lookup.h"

#include "base/err.h"

#include <stdlib.h>

#define LOOKUP_QUESTIONS (1 + 2 * MX_HOSTS) /* MX, then two families of addresses per host */

struct lookup_slot {
	struct mx_lookup *lookup;
	struct dns_question *question; /* NULL: not open */
	uint32_t id;
};

struct mx_lookup {
	struct dns *dns;
	struct mx *mx;
	mx_lookup_done *done;
	void *owner;
	uint32_t used;
	struct lookup_slot slots[LOOKUP_QUESTIONS]; /* each is used once: ids never repeat */
	struct span servers;
	char text[]; /* of servers */
};

static void lookup_free(struct mx_lookup *lookup)
{
	for (uint32_t i = 0; i < lookup->used; i++)
		dns_cancel(&lookup->slots[i].question);
	mx_free(&lookup->mx);
	free(lookup);
}

void mx_lookup_cancel(struct mx_lookup **lookup)
{
	if (!*lookup)
		return;
	lookup_free(*lookup);
	*lookup = NULL;
}

static void answered(void *owner, const struct dns_answer *answer);

/* A question that cannot even be asked counts as not answered. */
static void answer_for(struct mx_lookup *lookup, uint32_t id, int err)
{
	struct dns_answer failed = {
		.status = DNS_TEMPORARY,
		.ttl_s = DNS_TTL_LEAST,
		.reason = err == ERR_SYNTAX ? SPAN("the list of DNS servers is not valid")
					    : span_str(err_text(err)),
	};

	mx_answer(lookup->mx, id, &failed);
}

static void ask_all(struct mx_lookup *lookup)
{
	struct mx_question question;

	while (mx_next(lookup->mx, &question)) {
		struct lookup_slot *slot;
		int err = ERR_LIMIT;

		if (lookup->used < LOOKUP_QUESTIONS) {
			slot = &lookup->slots[lookup->used++];
			*slot = (struct lookup_slot){lookup, NULL, question.id};
			err = dns_ask(lookup->dns, lookup->servers, question.name, question.type,
				answered, slot, &slot->question);
		}
		if (err < 0)
			answer_for(lookup, question.id, err);
	}
}

static void answered(void *owner, const struct dns_answer *answer)
{
	struct lookup_slot *slot = owner;
	struct mx_lookup *lookup = slot->lookup;
	struct mx_result *result = NULL;
	mx_lookup_done *done = lookup->done;
	void *done_owner = lookup->owner;

	slot->question = NULL;
	mx_answer(lookup->mx, slot->id, answer);
	ask_all(lookup);
	if (!mx_finished(lookup->mx))
		return;
	if (mx_finish(lookup->mx, &result) < 0)
		result = NULL;
	lookup_free(lookup);
	done(done_owner, result);
}

int mx_lookup_start(struct dns *dns, struct span servers, const struct mx_query *query,
	mx_lookup_done *done, void *owner, struct mx_lookup **out, struct mx_result **result)
{
	struct mx_lookup *lookup = calloc(1, sizeof(*lookup) + servers.n);
	struct mx_query asked = *query;
	int err;

	*out = NULL;
	*result = NULL;
	if (!lookup)
		return ERR_NOMEM;
	lookup->dns = dns;
	lookup->done = done;
	lookup->owner = owner;
	if (servers.n)
		memcpy(lookup->text, servers.p, servers.n);
	lookup->servers = span_of(lookup->text, servers.n);
	asked.own_dns |= servers.n > 0;
	err = mx_new(&asked, &lookup->mx);
	if (err == 0)
		ask_all(lookup);
	if (err == 0 && !mx_finished(lookup->mx)) {
		*out = lookup;
		return 0;
	}
	if (err == 0)
		err = mx_finish(lookup->mx, result);
	lookup_free(lookup);
	return err;
}
