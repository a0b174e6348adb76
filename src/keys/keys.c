#include "keys/keys.h"

#include "base/check.h"
#include "base/err.h"
#include "base/list.h"
#include "directory/names.h"
#include "keys/limits.h"
#include "keys/locks.h"
#include "keys/message.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define NAME_ARENA 4096 /* for a name's canonical form */

/* A password that waits, or is being hashed. */
struct question {
	struct list node; /* in its worker's queue */
	struct io_job job;
	struct keys *keys;
	uint8_t worker;
	bool orphaned; /* nobody waits for the answer any more */
	uint32_t request;
	struct limits_who who;
	struct verify verify;
	bool right;
	size_t name_bytes, password_bytes;
	char name[AUTH_USER];
	char password[AUTH_PASSWORD];
};

struct keys {
	struct keys_config config;
	struct keyed *keyed;
	struct limits *limits;
	struct roster *roster; /* NULL: no accounts came */
	struct {
		struct list waiting;
		uint32_t count; /* with the one that is hashed */
	} workers[CONFIG_WORKERS];
	struct question *hashed; /* the one under way */
	uint8_t turn;		 /* the worker whose turn was last */
};

/* A question, as far as it is known who it is about. */
struct asking {
	struct auth_query query;
	struct arena arena;
	struct span name; /* canonical, or something else that is nobody's */
	struct roster_found found;
	struct limits_who who;
};

static uint64_t now_s(const struct keys *keys)
{
	return keys->config.io->now_ns / NS_PER_S;
}

int keys_new(const struct keys_config *config, struct keys **out)
{
	struct keys *keys = calloc(1, sizeof(*keys));

	if (!keys)
		return ERR_NOMEM;
	keys->config = *config;
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		list_init(&keys->workers[i].waiting);
	int err = keyed_new(config->secret, &keys->keyed);
	if (err == 0)
		err = limits_new(&keys->limits);
	if (err)
		keys_free(&keys);
	else
		*out = keys;
	return err;
}

static void question_free(struct question *q)
{
	OPENSSL_cleanse(q, sizeof(*q));
	free(q);
}

void keys_free(struct keys **at)
{
	struct keys *keys = *at;

	if (!keys)
		return;
	CHECK(keys_idle(keys));
	for (unsigned i = 0; i < CONFIG_WORKERS; i++)
		keys_worker_gone(keys, (uint8_t)i);
	limits_free(&keys->limits);
	roster_free(&keys->roster);
	keyed_free(&keys->keyed);
	OPENSSL_cleanse(keys, sizeof(*keys));
	free(keys);
	*at = NULL;
}

bool keys_idle(const struct keys *keys)
{
	return !keys->hashed;
}

void keys_digest_name(struct keyed *keyed, struct span name, uint8_t out[KEYED_DIGEST])
{
	keyed_digest(keyed, 'n', name, out);
}

static void digest_name(void *context, struct span name, uint8_t out[KEYED_DIGEST])
{
	keys_digest_name(context, name, out);
}

int keys_set_accounts(struct keys *keys, struct secrets *accounts)
{
	struct roster *roster = NULL;
	int err = accounts ? roster_new(accounts, digest_name, keys->keyed, &roster) : 0;

	if (err)
		return err;
	roster_free(&keys->roster);
	keys->roster = roster;
	return 0;
}

/* ---- answers -------------------------------------------------------------------------------- */

static void send_answer(
	struct keys *keys, uint8_t worker, uint32_t request, const struct auth_answer *answer)
{
	char memory[64 + AUTH_USER + SCRAM_SALT_MOST + SCRAM_HASH];
	struct buf buf = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};

	keys_put_answer(&buf, answer);
	CHECK(buf_ok(&buf));
	keys->config.answer(keys->config.context, worker, request, buf_span(&buf));
}

static void answer_only(
	struct keys *keys, uint8_t worker, uint32_t request, enum auth_result result)
{
	send_answer(keys, worker, request, &(struct auth_answer){.result = result});
}

static void pick(struct keys *keys, const struct asking *asking, struct verify *out)
{
	verify_pick(&asking->found, out);
	/* Of a stand-in, too: it would be seen that nobody asked. */
	out->known &= keys->config.enabled(keys->config.context, asking->found.name);
}

/* ---- passwords ------------------------------------------------------------------------------ */

static void start_next(struct keys *keys);

static void hash(struct io_job *job)
{
	struct question *q = CONTAINER_OF(job, struct question, job);

	q->right = verify_password(&q->verify, span_of(q->password, q->password_bytes));
}

static void hashed(struct io_job *job)
{
	struct question *q = CONTAINER_OF(job, struct question, job);
	struct keys *keys = q->keys;
	struct auth_answer answer = {.result = q->right ? AUTH_YES : AUTH_NO};

	keys->hashed = NULL;
	if (q->right) {
		limits_right(keys->limits, &q->who, now_s(keys));
		answer.account = span_of(q->name, q->name_bytes);
	} else {
		answer.delay_ms = limits_wrong(keys->limits, &q->who, now_s(keys));
	}
	if (!q->orphaned) {
		keys->workers[q->worker].count--;
		send_answer(keys, q->worker, q->request, &answer);
	}
	question_free(q);
	start_next(keys);
}

static struct question *take_next(struct keys *keys)
{
	for (unsigned i = 1; i <= CONFIG_WORKERS; i++) {
		uint8_t worker = (uint8_t)((keys->turn + i) % CONFIG_WORKERS);
		struct question *q =
			LIST_FIRST(&keys->workers[worker].waiting, struct question, node);
		if (!q)
			continue;
		keys->turn = worker;
		list_remove(&q->node);
		return q;
	}
	return NULL;
}

static void start_next(struct keys *keys)
{
	struct question *q;

	while (!keys->hashed && (q = take_next(keys))) {
		q->job = (struct io_job){.run = hash, .done = hashed};
		keys->hashed = q;
		if (io_submit(keys->config.io, IO_LANE_HASH, &q->job) == 0)
			return;
		keys->hashed = NULL;
		keys->workers[q->worker].count--;
		limits_void(keys->limits, &q->who);
		answer_only(keys, q->worker, q->request, AUTH_BROKEN);
		question_free(q);
	}
}

/* A try has begun, and there is room for it. */
static bool admit(struct keys *keys, uint8_t worker, struct limits_who *who)
{
	uint32_t waiting = keys->workers[worker].count;

	if (waiting >= KEYS_QUESTIONS || !limits_begin(keys->limits, who, now_s(keys)))
		return false;
	if (who->by_pair || waiting < KEYS_STRANGERS)
		return true;
	limits_void(keys->limits, who);
	return false;
}

static void copy(struct span from, char *to, size_t *bytes)
{
	*bytes = from.n;
	if (from.n)
		memcpy(to, from.p, from.n);
}

static void ask_password(struct keys *keys, uint8_t worker, uint32_t request, struct asking *asking)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q || !admit(keys, worker, &asking->who)) {
		free(q);
		answer_only(keys, worker, request, AUTH_LATER);
		return;
	}
	q->keys = keys;
	q->worker = worker;
	q->request = request;
	q->who = asking->who;
	copy(asking->name, q->name, &q->name_bytes);
	copy(asking->query.password, q->password, &q->password_bytes);
	pick(keys, asking, &q->verify);
	if (q->who.by_pair)
		list_push_front(&keys->workers[worker].waiting, &q->node);
	else
		list_push_back(&keys->workers[worker].waiting, &q->node);
	keys->workers[worker].count++;
	start_next(keys);
}

void keys_worker_gone(struct keys *keys, uint8_t worker)
{
	LIST_FOR_EACH(node, &keys->workers[worker].waiting)
	{
		struct question *q = CONTAINER_OF(node, struct question, node);

		list_remove(&q->node);
		limits_void(keys->limits, &q->who);
		question_free(q);
	}
	keys->workers[worker].count = 0;
	if (keys->hashed && keys->hashed->worker == worker)
		keys->hashed->orphaned = true;
}

/* ---- SCRAM ---------------------------------------------------------------------------------- */

static void ask_salt(struct keys *keys, uint8_t worker, uint32_t request, struct asking *asking)
{
	struct auth_answer answer = {.result = AUTH_YES};
	struct verify verify;

	if (!limits_open(keys->limits, &asking->who, now_s(keys))) {
		answer_only(keys, worker, request, AUTH_LATER);
		return;
	}
	pick(keys, asking, &verify);
	verify_salt(&verify, keys->config.secret, asking->name, &answer.iterations,
		&answer.salt_bytes, answer.salt);
	OPENSSL_cleanse(&verify, sizeof(verify));
	send_answer(keys, worker, request, &answer);
}

static void ask_proof(struct keys *keys, uint8_t worker, uint32_t request, struct asking *asking)
{
	struct auth_answer answer = {.result = AUTH_NO};
	struct verify verify;

	if (!limits_begin(keys->limits, &asking->who, now_s(keys))) {
		answer_only(keys, worker, request, AUTH_LATER);
		return;
	}
	pick(keys, asking, &verify);
	if (verify_proof(
		    &verify, asking->query.auth_message, asking->query.proof, answer.signature)) {
		limits_right(keys->limits, &asking->who, now_s(keys));
		answer.result = AUTH_YES;
		answer.account = asking->name;
	} else {
		memset(answer.signature, 0, sizeof(answer.signature));
		answer.delay_ms = limits_wrong(keys->limits, &asking->who, now_s(keys));
	}
	OPENSSL_cleanse(&verify, sizeof(verify));
	send_answer(keys, worker, request, &answer);
}

/* ---- what is asked -------------------------------------------------------------------------- */

/* What is no account's name still has to be counted, whatever its letters' case. */
static int lower(struct span user, struct arena *arena, struct span *out)
{
	char *text = arena_alloc(arena, user.n + 1);

	if (!text)
		return ERR_NOMEM;
	for (size_t i = 0; i < user.n; i++)
		text[i] = ascii_lower(user.p[i]);
	*out = span_of(text, user.n);
	return 0;
}

static int read_asking(const struct keys *keys, struct span bytes, struct asking *asking)
{
	int err = keys_get_query(bytes, &asking->query);
	uint8_t digest[KEYED_DIGEST];

	if (err)
		return err;
	err = name_account(asking->query.user, &asking->arena, &asking->name);
	if (err)
		err = lower(asking->query.user, &asking->arena, &asking->name);
	if (err == 0 && asking->name.n > AUTH_USER)
		err = ERR_LIMIT;
	if (err)
		return err;
	keys_digest_name(keys->keyed, asking->name, digest);
	roster_find(keys->roster, digest, asking->name, &asking->found);
	limits_who(keys->keyed, &asking->query.client, digest, asking->found.known, &asking->who);
	return 0;
}

void keys_ask(struct keys *keys, uint8_t worker, uint32_t request, struct span bytes)
{
	struct asking asking = {.name = SPAN_NONE};

	CHECK(worker < CONFIG_WORKERS);
	arena_init(&asking.arena, NAME_ARENA);
	if (!keys->roster || read_asking(keys, bytes, &asking) != 0)
		answer_only(keys, worker, request, AUTH_BROKEN);
	else if (asking.query.step == AUTH_BY_PASSWORD)
		ask_password(keys, worker, request, &asking);
	else if (asking.query.step == AUTH_SCRAM_SALT)
		ask_salt(keys, worker, request, &asking);
	else
		ask_proof(keys, worker, request, &asking);
	arena_reset(&asking.arena);
}

bool keys_ask_locks(struct keys *keys, struct span question, struct buf *out)
{
	const struct locks_view view = {.limits = keys->limits,
		.roster = keys->roster,
		.keyed = keys->keyed,
		.now_ns = keys->config.io->now_ns,
		.wall_ms = keys->config.io->wall_ms};

	return locks_answer(&view, question, out);
}
