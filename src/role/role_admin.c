/*
 * The admin role: writer of the directory, and the control socket. It gives each generation of the
 * directory to the others and carries their answers.
 */
#include "admin/admin.h"
#include "base/check.h"
#include "base/err.h"
#include "role/account.h"
#include "role/world.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define DATABASE_PATH 4096 /* the start file's bound, and "-journal" */

struct admin_role {
	struct role *role;
	struct world world;
	struct admin *admin;
	struct ipc_port delivery;
	struct ipc_port keys;
	struct ipc_port workers[CONFIG_WORKERS];
	struct listener *control;
	int accounts; /* /etc/passwd, or -1 */
	char database[DATABASE_PATH], journal[DATABASE_PATH];
	uint64_t end_ns; /* when to end although not all is written */
};

/* ---- the directory's generations ------------------------------------------------------------ */

static void give(struct ipc_port *port, int memfd, uint64_t number)
{
	struct buf buf;

	if (!port->channel)
		return;
	buf_init(&buf, 16);
	buf_put_u64(&buf, number);
	(void)ipc_send(port, IPC_SNAPSHOT, 0, buf_span(&buf), &memfd, 1);
	buf_done(&buf);
}

static void give_present(struct admin_role *a, struct ipc_port *port)
{
	uint64_t number;
	int memfd = admin_generation(a->admin, &number);

	if (memfd >= 0)
		give(port, memfd, number);
}

static void generation(void *context, int memfd, uint64_t number)
{
	struct admin_role *a = context;

	give(&a->keys, memfd, number);
	give(&a->delivery, memfd, number);
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		give(&a->workers[i], memfd, number);
}

/* ---- secrets -------------------------------------------------------------------------------- */

static void give_secrets(struct ipc_port *port, int memfd)
{
	if (port->channel)
		(void)ipc_send(port, IPC_SECRETS, 0, SPAN_NONE, &memfd, 1);
}

/* Who needs to know them. */
static struct ipc_port *keeper_of(struct admin_role *a, enum secret_kind kind)
{
	return kind == SECRET_ACCOUNT ? &a->keys : &a->delivery;
}

static void secrets(void *context, enum secret_kind kind, int memfd)
{
	give_secrets(keeper_of(context, kind), memfd);
}

static void give_present_secrets(struct admin_role *a, enum secret_kind kind)
{
	int memfd = admin_secrets(a->admin, kind);

	if (memfd >= 0)
		give_secrets(keeper_of(a, kind), memfd);
}

/* ---- certificates --------------------------------------------------------------------------- */

static int reload_tls(void *context, uint32_t ticket)
{
	struct admin_role *a = context;

	return ipc_send(&a->role->supervisor, IPC_TLS_RELOAD, ticket, SPAN_NONE, NULL, 0);
}

static bool told(struct role *role, const struct ipc_message *message)
{
	struct admin_role *a = role->core;
	struct cursor in = cursor_of(message->payload);

	if (message->type != IPC_TLS_RELOADED)
		return false;
	bool done = cursor_u8(&in) != 0;
	struct span text = cursor_bytes16(&in);
	admin_tls_reloaded(a->admin, message->request, done, text);
	return true;
}

/* ---- questions and answers ------------------------------------------------------------------ */

static int ask(void *context, uint32_t party, enum admin_question question, uint32_t ticket,
	struct span request)
{
	static const uint16_t types[] = {[ADMIN_ASK_QUEUE] = IPC_QUEUE_REQUEST,
		[ADMIN_ASK_FIGURES] = IPC_FIGURES_REQUEST,
		[ADMIN_ASK_TRACE] = IPC_TRACE_REQUEST,
		[ADMIN_ASK_LOCKS] = IPC_LOCKS_REQUEST};
	struct admin_role *a = context;
	struct ipc_port *port;

	if (party == ADMIN_KEYS)
		port = &a->keys;
	else
		port = party == ADMIN_DELIVERY ? &a->delivery : &a->workers[party - ADMIN_SMTPD(0)];

	return ipc_send(port, types[question], ticket, request, NULL, 0);
}

static void flush(void *context)
{
	struct admin_role *a = context;

	(void)world_flushed(&a->world);
}

static void peer_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct admin_role *a = owner;
	bool delivery = port->peer == ROLE_DELIVERY;

	for (size_t i = 0; i < message->fd_count; i++)
		close(message->fds[i]);
	if (message->type != IPC_TRACE_REPLY &&
		message->type != (delivery ? IPC_QUEUE_REPLY : IPC_FIGURES_REPLY)) {
		log_write(a->role->log, LOG_ERROR, "a role said what it should not",
			LOG_STR("role", role_kind_name(port->peer)),
			LOG_STR("type", ipc_type_name(message->type)));
		return;
	}
	admin_answer(a->admin, delivery ? ADMIN_DELIVERY : ADMIN_SMTPD(port->peer_index),
		message->request, message->payload);
}

static void keys_say(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct admin_role *a = owner;

	for (size_t i = 0; i < message->fd_count; i++)
		close(message->fds[i]);
	if (message->type == IPC_LOCKS_REPLY)
		admin_answer(a->admin, ADMIN_KEYS, message->request, message->payload);
	else
		log_write(a->role->log, LOG_ERROR, "a role said what it should not",
			LOG_STR("role", role_kind_name(port->peer)),
			LOG_STR("type", ipc_type_name(message->type)));
}

static void peer_gone(void *owner, struct ipc_port *port)
{
	/* Its tickets end by their time; the supervisor brings another channel. */
	(void)owner;
	(void)port;
}

static const struct ipc_port_calls peer_calls = {peer_says, peer_gone};
static const struct ipc_port_calls keys_calls = {keys_say, peer_gone};

/* ---- the control socket --------------------------------------------------------------------- */

static void accepted(void *owner, struct io_conn *conn)
{
	struct admin_role *a = owner;
	const struct io_conn_handler *handler;
	uint32_t uid, gid;
	char memory[ADMIN_ACTOR];
	struct buf actor = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
	void *door;

	if (loop_conn_peer_uid(conn, &uid, &gid) != 0)
		buf_add_str(&actor, "unknown");
	else
		account_add(&actor, a->accounts, uid);
	if (admin_accept(a->admin, conn, buf_span(&actor), &handler, &door) == 0)
		loop_conn_adopt(conn, handler, door);
}

/* The list of accounts is another one now. */
static void file(struct role *role, int fd)
{
	struct admin_role *a = role->core;

	if (a->accounts >= 0)
		close(a->accounts);
	a->accounts = fd;
}

static void deaf(void *owner)
{
	struct admin_role *a = owner;

	role_deaf(a->role);
}

static int open_control(struct admin_role *a)
{
	struct role *role = a->role;

	for (size_t i = 0; i < role->listener_count; i++) {
		struct role_listener *given = &role->listeners[i];
		int fd = given->fd;
		if (given->place != IPC_LISTENER_CONTROL)
			continue;
		given->fd = -1;
		int err = loop_listen(role->loop, fd, accepted, a, role->log, &a->control);
		if (err == 0)
			listener_on_broken(a->control, deaf);
		return err;
	}
	return ERR_NOT_FOUND;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void keys_channel(struct admin_role *a, int fd)
{
	ipc_port_close(&a->keys);
	ipc_port_init(&a->keys, ROLE_KEYS, 0, &keys_calls, a);
	if (role_open_port(a->role, fd, &a->keys) != 0)
		return;
	give_present_secrets(a, SECRET_ACCOUNT);
	give_present(a, &a->keys);
}

static void channel(struct role *role, enum role_kind peer, uint8_t index, int fd)
{
	struct admin_role *a = role->core;
	struct ipc_port *port =
		peer == ROLE_DELIVERY ? &a->delivery : &a->workers[index % CONFIG_WORKERS];

	if (peer == ROLE_KEYS) {
		keys_channel(a, fd);
		return;
	}
	if (peer != ROLE_DELIVERY && (peer != ROLE_SMTPD || index >= CONFIG_WORKERS)) {
		close(fd);
		return;
	}
	ipc_port_close(port);
	ipc_port_init(port, peer, index, &peer_calls, a);
	if (role_open_port(role, fd, port) != 0)
		return;
	if (peer == ROLE_DELIVERY)
		give_present_secrets(a, SECRET_TRANSPORT);
	give_present(a, port);
}

static bool written(void *core)
{
	struct admin_role *a = core;

	return (world_flushed(&a->world) && !loop_lingering(a->role->loop)) ||
	       a->role->io->now_ns >= a->end_ns;
}

static void stop(struct role *role, uint32_t ms)
{
	struct admin_role *a = role->core;

	a->end_ns = role->io->now_ns + ms * NS_PER_MS;
	listener_close(&a->control);
	ipc_port_close(&a->delivery);
	ipc_port_close(&a->keys);
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		ipc_port_close(&a->workers[i]);
	admin_free(&a->admin);
	role_end_when(role, written);
}

/* Writes the database and its journal, which the supervisor made, and its own trace; reads the
 * trace of all. */
static int allow(struct admin_role *a)
{
	static const unsigned all = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_REMOVE;

	int err = world_allow(&a->world, IPC_DIRECTORY_TRACE, "", all);
	if (err == 0)
		err = world_allow(&a->world, IPC_DIRECTORY_TRACES, "", SANDBOX_READ);
	sandbox_add_path(&a->role->sandbox, a->database, SANDBOX_READ | SANDBOX_WRITE);
	sandbox_add_path(&a->role->sandbox, a->journal, SANDBOX_READ | SANDBOX_WRITE);
	/* For SQLite's random numbers. */
	sandbox_add_path(&a->role->sandbox, "/dev/urandom", SANDBOX_READ);
	return err;
}

static int make_core(struct admin_role *a)
{
	struct role *role = a->role;
	const struct admin_config config = {
		.io = role->io,
		.config = role->config,
		.route = &a->world.route,
		.directory_path = a->database,
		.trace = a->world.disks[IPC_DIRECTORY_TRACES],
		.events = world_events(&a->world),
		.log = role->log,
		.context = a,
		.generation = generation,
		.secrets = secrets,
		.reload_tls = reload_tls,
		.ask = ask,
		.flush = flush,
		.version = POSTERN_VERSION,
		.began_ms = role->boot.began_ms,
	};
	struct buf why;

	buf_init(&why, 4096);
	int err = admin_new(&config, &a->admin, &why);
	if (err)
		role_fatal(role, "the directory cannot be opened",
			why.n ? buf_span(&why) : span_str(err_text(err)));
	buf_done(&why);
	return err;
}

static int begin(struct admin_role *a)
{
	struct role *role = a->role;
	struct span path = role->config->directory;
	int err = world_open(&a->world, role);

	snprintf(a->database, sizeof(a->database), "%.*s", (int)path.n, path.p);
	snprintf(a->journal, sizeof(a->journal), "%.*s-journal", (int)path.n, path.p);
	if (err == 0)
		err = allow(a);
	if (err) {
		role_fatal(role, "cannot open the trace", span_str(err_text(err)));
		return err;
	}
	/* What replaces it comes from the supervisor. */
	a->accounts = open(ACCOUNT_FILE, O_RDONLY | O_CLOEXEC);
	err = role_enter(role);
	if (err == 0)
		err = make_core(a);
	if (err)
		return err;
	role_take_channels(role);
	err = open_control(a);
	if (err)
		role_fatal(role, "there is no control socket", span_str(err_text(err)));
	else
		(void)role_ready(role);
	return err;
}

int role_admin_main(void)
{
	static const uint8_t no_index = 0;
	struct role role;
	struct admin_role a = {.role = &role, .accounts = -1};

	if (role_start(&role, ROLE_ADMIN, no_index) != 0)
		return ROLE_EXIT_FAILED;
	role.core = &a;
	role.channel = channel;
	role.file = file;
	role.told = told;
	role.stop = stop;
	ipc_port_init(&a.keys, ROLE_KEYS, 0, &keys_calls, &a);
	ipc_port_init(&a.delivery, ROLE_DELIVERY, 0, &peer_calls, &a);
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		ipc_port_init(&a.workers[i], ROLE_SMTPD, (uint8_t)i, &peer_calls, &a);
	int err = begin(&a);
	if (err == 0)
		loop_run(role.loop);
	role_end(&role);
	if (role.deaf)
		return ROLE_EXIT_FAILED;
	return err ? ROLE_EXIT_FATAL : ROLE_EXIT_DONE;
}
