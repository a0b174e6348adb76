/*
 * The keys role: private keys of certificates, and what is kept of passwords. It signs, and says
 * whether a password is right; neither a key nor a verifier ever leaves it. It has no files and no
 * network: all comes through its channels.
 */
#include "base/check.h"
#include "base/err.h"
#include "directory/snapshot.h"
#include "directory/snapshot_memfd.h"
#include "keys/keys.h"
#include "keys/locks.h"
#include "keys/message.h"
#include "role/key_ring.h"
#include "role/role.h"
#include "role/tls_set.h"

#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct keys_worker {
	struct keys_role *k;
	uint8_t index;
	bool told; /* it was logged that it sends nonsense */
	struct ipc_port port;
	struct io_channel *signing; /* NULL: none */
};

struct keys_role {
	struct role *role;
	struct keys *keys;
	struct secrets *waiting; /* accounts that came before the directory */
	struct snapshot *snapshot;
	struct key_ring ring;
	struct ipc_port admin;
	struct keys_worker workers[CONFIG_WORKERS];
	bool ready;
};

/* ---- signatures ----------------------------------------------------------------------------- */

static void nonsense(struct keys_worker *w)
{
	if (!w->told)
		log_write(w->k->role->log, LOG_ERROR, "an smtpd sent what it should not",
			LOG_U64("worker", w->index));
	w->told = true;
}

static void sign_asked(void *owner, struct span bytes, const int *fds, size_t fd_count)
{
	struct keys_worker *w = owner;
	char memory[KEYS_SIGN_BYTES];
	struct buf answers = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};

	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
	if (!key_ring_answer(&w->k->ring, w->k->role->io->now_ns, bytes, &answers))
		nonsense(w);
	/* Who does not read waits for nothing that comes. */
	if (buf_ok(&answers) && answers.n)
		(void)io_channel_send(w->signing, buf_span(&answers), NULL, 0);
}

static void sign_writable(void *owner)
{
	(void)owner;
}

static void sign_gone(void *owner)
{
	struct keys_worker *w = owner;

	io_channel_close(&w->signing);
}

static const struct io_channel_handler sign_handler = {sign_asked, sign_writable, sign_gone};

/* A socket pair for signatures alone. Of each worker as many are made in a turn of the loop as fit
 * one datagram: then it is the others' turn, and that of passwords. */
static int open_signing(struct keys_worker *w)
{
	int fds[2];
	int err = loop_channel_pair(fds);

	if (err)
		return err;
	err = ipc_send(&w->port, IPC_SIGNING, 0, SPAN_NONE, &fds[1], 1);
	close(fds[1]);
	if (err) {
		close(fds[0]);
		return err;
	}
	err = loop_channel(w->k->role->loop, fds[0], &sign_handler, w, &w->signing);
	if (err == 0)
		loop_channel_slow(w->signing);
	return err;
}

/* ---- passwords ------------------------------------------------------------------------------ */

static void answer(void *context, uint8_t worker, uint32_t request, struct span bytes)
{
	struct keys_role *k = context;

	(void)ipc_send(&k->workers[worker].port, IPC_AUTH_ANSWER, request, bytes, NULL, 0);
}

static void worker_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct keys_worker *w = owner;
	(void)port;

	for (size_t i = 0; i < message->fd_count; i++)
		close(message->fds[i]);
	if (message->type == IPC_AUTH_QUERY)
		keys_ask(w->k->keys, w->index, message->request, message->payload);
	else
		nonsense(w);
}

static void worker_gone(void *owner, struct ipc_port *port)
{
	struct keys_worker *w = owner;
	(void)port;

	keys_worker_gone(w->k->keys, w->index);
	io_channel_close(&w->signing);
	w->told = false;
}

static const struct ipc_port_calls worker_calls = {worker_says, worker_gone};

static void worker_channel(struct keys_role *k, uint8_t index, int fd)
{
	struct keys_worker *w = &k->workers[index];

	/* The new one may be heard of before the end of the old one is. */
	if (w->port.channel) {
		ipc_port_close(&w->port);
		worker_gone(w, &w->port);
	}
	ipc_port_init(&w->port, ROLE_SMTPD, index, &worker_calls, w);
	int err = role_open_port(k->role, fd, &w->port);
	if (err == 0)
		err = open_signing(w);
	if (err && err != ERR_CLOSED)
		log_write(k->role->log, LOG_ERROR, "a worker cannot be served",
			LOG_U64("worker", index), LOG_STR("reason", err_text(err)));
}

/* ---- admin ---------------------------------------------------------------------------------- */

static bool enabled(void *context, struct span name)
{
	const struct keys_role *k = context;
	struct account account;

	return snapshot_account(k->snapshot, name, &account) == 0 && !account.disabled;
}

/* Nobody is judged before both are there: first come the secrets, then the directory. */
static void use_accounts(struct keys_role *k)
{
	if (!k->waiting || !k->snapshot)
		return;
	int err = keys_set_accounts(k->keys, k->waiting);
	if (err) {
		log_write(k->role->log, LOG_ERROR,
			"passwords cannot be taken over; those of before count",
			LOG_STR("reason", err_text(err)));
		secrets_free(&k->waiting);
	}
	k->waiting = NULL;
}

static int take_accounts(struct keys_role *k, int memfd)
{
	struct secrets *accounts;
	int err = secrets_open(memfd, &accounts);

	if (err)
		return err;
	secrets_free(&k->waiting);
	k->waiting = accounts;
	return 0;
}

static int take_directory(struct keys_role *k, int memfd)
{
	struct snapshot *snapshot;
	int err = snapshot_open(memfd, &snapshot);

	if (err)
		return err;
	snapshot_release(&k->snapshot);
	k->snapshot = snapshot;
	return 0;
}

/* Who is blocked, and whose failures are to be forgotten. */
static int answer_locks(struct keys_role *k, const struct ipc_message *message)
{
	struct buf buf;

	buf_init(&buf, LOCKS_BYTES);
	int err = keys_ask_locks(k->keys, message->payload, &buf) ? 0 : ERR_CORRUPT;
	if (err == 0 && !buf_ok(&buf))
		err = ERR_NOMEM;
	if (err == 0)
		(void)ipc_send(
			&k->admin, IPC_LOCKS_REPLY, message->request, buf_span(&buf), NULL, 0);
	buf_done(&buf);
	return err;
}

static void admin_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct keys_role *k = owner;
	int err = ERR_CORRUPT;
	size_t taken = 0;
	(void)port;

	if (message->type == IPC_LOCKS_REQUEST)
		err = answer_locks(k, message);

	if (message->fd_count && (message->type == IPC_SECRETS || message->type == IPC_SNAPSHOT)) {
		taken = 1;
		err = message->type == IPC_SECRETS ? take_accounts(k, message->fds[0])
						   : take_directory(k, message->fds[0]);
	}
	if (err)
		log_write(k->role->log, LOG_ERROR,
			"what admin says of accounts cannot be used; what was said before counts",
			LOG_STR("type", ipc_type_name(message->type)),
			LOG_STR("reason", err_text(err)));
	use_accounts(k);
	for (size_t i = taken; i < message->fd_count; i++)
		close(message->fds[i]);
}

static void admin_gone(void *owner, struct ipc_port *port)
{
	(void)owner;
	(void)port;
}

static const struct ipc_port_calls admin_calls = {admin_says, admin_gone};

/* ---- the supervisor ------------------------------------------------------------------------- */

static void take_keys(struct keys_role *k, const struct ipc_message *message)
{
	struct span bytes;
	int err = 0;

	if (message->fd_count) {
		err = memfd_map(message->fds[0], TLS_SET_BYTES, &bytes);
		if (err == 0) {
			key_ring_take(&k->ring, bytes, k->role->log);
			memfd_unmap(bytes);
		}
	}
	if (err)
		log_write(k->role->log, LOG_ERROR, "private keys cannot be taken over",
			LOG_STR("reason", err_text(err)));
	(void)ipc_send(&k->role->supervisor, IPC_KEYS_TAKEN, 0, message->payload, NULL, 0);
	if (!k->ready)
		(void)role_ready(k->role);
	k->ready = true;
}

static bool told(struct role *role, const struct ipc_message *message)
{
	if (message->type != IPC_KEYS)
		return false;
	take_keys(role->core, message);
	return true;
}

static void channel(struct role *role, enum role_kind peer, uint8_t index, int fd)
{
	struct keys_role *k = role->core;

	if (peer == ROLE_SMTPD && index < CONFIG_WORKERS) {
		worker_channel(k, index, fd);
	} else if (peer == ROLE_ADMIN) {
		ipc_port_close(&k->admin);
		ipc_port_init(&k->admin, ROLE_ADMIN, 0, &admin_calls, k);
		(void)role_open_port(role, fd, &k->admin);
	} else {
		close(fd);
	}
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool written(void *core)
{
	(void)core;
	return true;
}

static void stop(struct role *role, uint32_t ms)
{
	(void)ms;
	role_end_when(role, written);
}

static int begin(struct keys_role *k)
{
	struct role *role = k->role;
	struct keys_config config = {
		.io = role->io, .context = k, .enabled = enabled, .answer = answer};

	/* Neither a core file nor another process of the same user gets to see this memory. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	memcpy(config.secret, role->boot.secret, sizeof(config.secret));
	int err = keys_new(&config, &k->keys);
	explicit_bzero(&config, sizeof(config));
	explicit_bzero(role->boot.secret, sizeof(role->boot.secret));
	if (err) {
		role_fatal(role, "cannot start", span_str(err_text(err)));
		return err;
	}
	err = role_enter(role);
	if (err == 0)
		role_take_channels(role);
	return err;
}

int role_keys_main(void)
{
	static const uint8_t no_index = 0;
	struct role role;
	struct keys_role k = {.role = &role};

	/* What verifiers and keys were made of is not left lying about. */
	CHECK(tls_wipe_freed() == 0);
	if (role_start(&role, ROLE_KEYS, no_index) != 0)
		return ROLE_EXIT_FAILED;
	role.core = &k;
	role.channel = channel;
	role.told = told;
	role.stop = stop;
	ipc_port_init(&k.admin, ROLE_ADMIN, 0, &admin_calls, &k);
	for (size_t i = 0; i < CONFIG_WORKERS; i++) {
		k.workers[i] = (struct keys_worker){.k = &k, .index = (uint8_t)i};
		ipc_port_init(
			&k.workers[i].port, ROLE_SMTPD, (uint8_t)i, &worker_calls, &k.workers[i]);
	}
	int err = begin(&k);
	if (err == 0)
		loop_run(role.loop);
	role_end(&role);
	return err ? ROLE_EXIT_FATAL : ROLE_EXIT_DONE;
}
