/*
 * Passwords and secrets that come with a request: a password is hashed on a helper thread first,
 * then the request begins again. Nothing of one stays in memory.
 */
#include "admin/core.h"
#include "admin/password.h"
#include "admin/wipe.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

struct hashing {
	struct io_job job;
	struct door *door; /* NULL: it is gone */
	struct buf prepared, verifiers;
	uint8_t random[PASSWORD_RANDOM];
	int err;
};

static void free_hashing(struct hashing *h)
{
	wipe_buf(&h->prepared);
	wipe_buf(&h->verifiers);
	explicit_bzero(h->random, sizeof(h->random));
	free(h);
}

static void hash_on_lane(struct io_job *job)
{
	struct hashing *h = CONTAINER_OF(job, struct hashing, job);

	h->err = password_make(buf_span(&h->prepared), h->random, &h->verifiers);
	if (!h->err && !buf_ok(&h->verifiers))
		h->err = ERR_LIMIT;
}

static void hashed(struct io_job *job)
{
	struct hashing *h = CONTAINER_OF(job, struct hashing, job);
	struct door *door = h->door;
	int err = h->err;

	if (door) {
		door->hashing = NULL;
		door->verifiers = h->verifiers;
		h->verifiers = (struct buf){0};
	}
	free_hashing(h);
	if (door && err)
		door_refuse(door, err_text(err));
	else if (door)
		dispatch(door);
}

void secret_forget(struct door *door)
{
	if (door->hashing)
		door->hashing->door = NULL;
	door->hashing = NULL;
	wipe_buf(&door->verifiers);
}

static void fill_random(struct io *io, uint8_t *to, size_t n)
{
	for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
		uint64_t random = io_random(io);

		memcpy(to + i, &random, MIN(n - i, sizeof(random)));
	}
}

static int begin(struct door *door, struct span password, const char **why)
{
	struct io *io = door->admin->config.io;
	struct hashing *h = calloc(1, sizeof(*h));

	*why = NULL;
	if (!h)
		return ERR_NOMEM;
	h->job = (struct io_job){.run = hash_on_lane, .done = hashed};
	h->door = door;
	buf_init(&h->prepared, SCRAM_PREPARED);
	buf_init(&h->verifiers, SECRET_BYTES);
	int err = buf_reserve(&h->prepared, SCRAM_PREPARED) &&
				  buf_reserve(&h->verifiers, SECRET_BYTES)
			  ? 0
			  : ERR_NOMEM;
	if (!err)
		err = password_prepare(password, request_flag(door, "weak"), &h->prepared, why);
	fill_random(io, h->random, sizeof(h->random));
	if (!err)
		err = io_submit(io, IO_LANE_HASH, &h->job);
	if (err)
		free_hashing(h);
	else
		door->hashing = h;
	return err;
}

bool secret_first(struct door *door, enum object_kind kind)
{
	struct span password = request_text(door, "password");
	const char *why;

	if (!json_object_get(door->request, "password") || door->verifiers.n)
		return false;
	if (kind != OBJECT_ACCOUNT) {
		door_refuse(door, "password: an account has one, nothing else");
		return true;
	}
	int err = begin(door, password, &why);
	if (password.n)
		explicit_bzero((char *)(uintptr_t)password.p, password.n);
	if (err)
		door_refuse(door, why ? why : err_text(err));
	return true;
}

size_t secret_of_request(
	const struct door *door, enum object_kind kind, struct plan_secret_input *out)
{
	struct span secret = request_text(door, "secret");

	if (kind == OBJECT_ACCOUNT && door->verifiers.n) {
		*out = (struct plan_secret_input){SPAN("verifiers"), buf_span(&door->verifiers)};
		return 1;
	}
	/* Of another kind, or empty: the plan says so. */
	if (!json_object_get(door->request, "secret"))
		return 0;
	*out = (struct plan_secret_input){SPAN("sasl.secret"), secret};
	return 1;
}
