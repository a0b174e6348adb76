#include "role/supervisor.h"

#include "base/check.h"
#include "base/err.h"
#include "role/notify.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- readiness ------------------------------------------------------------------------------ */

static void add_listeners(struct supervisor *sv, struct buf *out)
{
	for (uint32_t i = 0; i < sv->config->listener_count; i++) {
		const struct config_listener *l = &sv->config->listeners[i];
		buf_add_char(out, ' ');
		buf_add_span(out, l->name);
		buf_add_char(out, '=');
		netaddr_add(out, &l->address);
	}
}

void supervisor_ready(struct supervisor *sv)
{
	struct buf text, json;

	for (size_t i = 0; i < sv->slot_count; i++)
		if (!sv->slots[i].ready)
			return;
	if (sv->announced) {
		log_write(sv->log, LOG_INFO, "all roles work again",
			LOG_U64("roles", sv->slot_count));
		return;
	}
	sv->announced = true;
	buf_init(&text, 8192);
	buf_init(&json, 8192);
	buf_add_str(&text, "posternd: ready");
	add_listeners(sv, &text);
	buf_add_str(&json, "{\"level\":\"info\",\"role\":\"supervisor\",\"message\":\"posternd: "
			   "ready\",\"listeners\":\"");
	/* Names and addresses hold nothing that JSON would escape. */
	add_listeners(sv, &json);
	buf_add_str(&json, "\"}");
	/* Whatever the log level is: this line is waited for. */
	logsink_line(sv->sink, buf_span(&json), buf_span(&text));
	buf_done(&text);
	buf_done(&json);
	notify_manager("READY=1");
}

/* ---- the end -------------------------------------------------------------------------------- */

static const uint32_t stage_ms[] = {
	[STAGE_SMTPD] = STOP_SMTPD_MS,
	[STAGE_DELIVERY] = STOP_DELIVERY_MS,
	[STAGE_LAST] = STOP_ADMIN_MS,
};

/* When a role ends. */
static enum stage stage_of(const struct slot *slot)
{
	switch (slot->kind) {
	case ROLE_SMTPD: return STAGE_SMTPD;
	case ROLE_DELIVERY: return STAGE_DELIVERY;
	default: return STAGE_LAST;
	}
}

static size_t running(const struct supervisor *sv)
{
	size_t count = 0;

	for (size_t i = 0; i < sv->slot_count; i++)
		count += stage_of(&sv->slots[i]) == sv->stage && sv->slots[i].pid > 0;
	return count;
}

/* STAGE_DONE: all of them. */
static void kill_roles(struct supervisor *sv, enum stage stage)
{
	for (size_t i = 0; i < sv->slot_count; i++)
		if (sv->slots[i].pid > 0 &&
			(stage == STAGE_DONE || stage_of(&sv->slots[i]) == stage))
			(void)kill(sv->slots[i].pid, SIGKILL);
}

static void stage_late(struct timer *timer)
{
	struct supervisor *sv = CONTAINER_OF(timer, struct supervisor, stage_timer);

	for (size_t i = 0; i < sv->slot_count; i++)
		if (sv->slots[i].pid > 0 && stage_of(&sv->slots[i]) == sv->stage)
			log_write(sv->log, LOG_ERROR, "a role does not end in time: killing it",
				LOG_STR("role", role_kind_name(sv->slots[i].kind)));
	kill_roles(sv, sv->stage);
}

static void ask_to_stop(struct supervisor *sv)
{
	uint32_t ms = stage_ms[sv->stage];
	struct buf buf;

	buf_init(&buf, 16);
	buf_put_u32(&buf, ms);
	for (size_t i = 0; i < sv->slot_count; i++)
		if (stage_of(&sv->slots[i]) == sv->stage)
			(void)ipc_send(&sv->slots[i].port, IPC_STOP, 0, buf_span(&buf), NULL, 0);
	buf_done(&buf);
	(void)io_timer_after(sv->io, &sv->stage_timer, ms + STOP_KILL_MS);
}

/* Mail stops coming in, then what goes out comes to its end, then the administrators' door, and
 * whoever only serves others. */
void supervisor_role_ended(struct supervisor *sv)
{
	while (sv->stage != STAGE_DONE) {
		if (sv->stage != STAGE_RUN && running(sv))
			return;
		sv->stage++;
		io_timer_stop(sv->io, &sv->stage_timer);
		if (sv->stage != STAGE_DONE && running(sv))
			ask_to_stop(sv);
	}
	loop_stop(sv->loop);
}

void supervisor_stop(struct supervisor *sv, int result)
{
	if (sv->stage != STAGE_RUN)
		return;
	sv->result = result;
	prepare_lock_ends(sv->lock);
	notify_manager("STOPPING=1");
	io_timer_stop(sv->io, &sv->watch_timer);
	io_timer_stop(sv->io, &sv->leftovers_timer);
	tls_keeper_stop(sv);
	for (size_t i = 0; i < sv->slot_count; i++)
		io_timer_stop(sv->io, &sv->slots[i].restart);
	supervisor_role_ended(sv);
}

static void on_signal(void *arg, int number)
{
	struct supervisor *sv = arg;

	switch (number) {
	case SIGCHLD: slots_reap(sv); break;
	case SIGHUP:
		files_read_again(sv);
		tls_keeper_reload(sv);
		break;
	default:
		if (sv->stage == STAGE_RUN) {
			log_write(
				sv->log, LOG_INFO, "ending", LOG_STR("signal", strsignal(number)));
			supervisor_stop(sv, ROLE_EXIT_DONE);
		} else { /* asked twice */
			kill_roles(sv, STAGE_DONE);
		}
	}
}

/* ---- the beginning -------------------------------------------------------------------------- */

#define DESCRIPTORS_LEAST 100			 /* a role at rest has a few dozen */
#define DESCRIPTORS_OWN	  (64 + LOOP_FILES_KEPT) /* of a role, beside its connections */

/* The system's limit of open files, which every role inherits. */
static int raise_limits(struct supervisor *sv, struct buf *problem)
{
	struct rlimit files;
	uint64_t wanted =
		MAX(sv->config->limits.connections, sv->config->limits.outbound_connections) +
		(uint64_t)DESCRIPTORS_OWN;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return 0;
	if (files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if (files.rlim_cur < DESCRIPTORS_LEAST) {
		buf_printf(problem,
			"a process may have %llu files open here, and needs %d at least; raise the"
			" limit (LimitNOFILE= of the unit, or ulimit -n)",
			(unsigned long long)files.rlim_cur, DESCRIPTORS_LEAST);
		return ERR_LIMIT;
	}
	if (files.rlim_cur < wanted)
		log_write(sv->log, LOG_WARN,
			"fewer files may be open than connections are allowed: raise LimitNOFILE= "
			"of "
			"the unit, or lower the limits of connections",
			LOG_U64("files", files.rlim_cur), LOG_U64("wanted", wanted));
	return 0;
}

static int make_loop(struct supervisor *sv)
{
	static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
	const struct logsink_config sink = {
		/* Without an io: no helper thread, so that fork() is safe; it logs seldom. */
		.fd = STDERR_FILENO,
		.format = sv->config->log_format == CONFIG_LOG_JSON ? LOGSINK_JSON : LOGSINK_TEXT,
		.least = (enum log_level)sv->config->log_level,
		.role = "supervisor",
	};

	int err = logsink_new(&sink, &sv->sink);
	if (err)
		return err;
	sv->log = logsink_log(sv->sink);
	err = loop_new(&sv->loop);
	if (err)
		return err;
	sv->io = loop_io(sv->loop);
	sv->began_ms = sv->io->wall_ms;
	for (size_t i = 0; i < ARRAY_SIZE(numbers) && err == 0; i++)
		err = loop_signal(sv->loop, numbers[i], on_signal, sv, &sv->signals[i]);
	return err;
}

static void tell_room(struct supervisor *sv)
{
	struct buf why;

	buf_init(&why, 1024);
	if (!prepare_room(sv->config, &why))
		log_write(sv->log, LOG_WARN, "the spool's disk is too small",
			LOG_SPAN("spool", sv->config->spool), LOG_SPAN("why", buf_span(&why)));
	buf_done(&why);
}

static int prepare(struct supervisor *sv)
{
	struct buf problem;

	buf_init(&problem, 16384);
	int err = raise_limits(sv, &problem);
	if (err == 0)
		err = prepare_users(sv->config, sv->log, &sv->users, &problem);
	/* Before anything is made: a start that is refused leaves nothing behind. */
	if (err == 0)
		err = tls_keeper_begin(sv, &problem);
	if (err == 0)
		err = prepare_folders(sv->config, &sv->users, sv->log, &problem);
	if (err == 0)
		err = prepare_lock(sv->config, sv->log, &sv->lock, &problem);
	if (err == 0)
		tell_room(sv);
	if (err == 0)
		err = prepare_database(sv->config, &sv->users, sv->log, &problem);
	if (err == 0)
		err = prepare_secret(sv->config, sv->secret, &problem);
	if (err == 0)
		err = sockets_open(sv, &problem);
	else if (err == ERR_DENIED && !sv->users.root)
		prepare_say_whose(sv->config, &problem);
	if (err && err != ERR_CANCELED)
		dprintf(STDERR_FILENO, "posternd: %.*s\n", (int)problem.n, problem.p);
	buf_done(&problem);
	return err;
}

static void start_roles(struct supervisor *sv)
{
	slot_init(sv, ROLE_KEYS, 0);
	slot_init(sv, ROLE_FETCH, 0);
	for (uint32_t i = 0; i < sv->config->workers; i++)
		slot_init(sv, ROLE_SMTPD, (uint8_t)i);
	slot_init(sv, ROLE_DELIVERY, 0);
	slot_init(sv, ROLE_ADMIN, 0);
	/* Workers before delivery, which must know which of them write before it reads their logs.
	 */
	for (size_t i = 0; i < sv->slot_count && sv->stage == STAGE_RUN; i++)
		slot_start(&sv->slots[i]);
}

static void finish(struct supervisor *sv)
{
	for (size_t i = 0; i < sv->slot_count; i++)
		ipc_port_close(&sv->slots[i].port);
	for (size_t i = 0; i < ARRAY_SIZE(sv->signals); i++)
		loop_signal_close(&sv->signals[i]);
	if (sv->loop)
		loop_free(&sv->loop);
	if (sv->config)
		sockets_close(sv);
	if (sv->lock >= 0)
		close(sv->lock);
	logsink_free(&sv->sink);
	tls_keeper_end(sv);
	config_free(&sv->config);
	buf_done(&sv->text);
	free(sv->config_path);
	free(sv);
}

int supervisor_main(const char *config_path)
{
	struct supervisor *sv = calloc(1, sizeof(*sv));
	if (!sv)
		return ROLE_EXIT_FAILED;
	sv->lock = sv->control = -1;
	memset(sv->sockets, 0xff, sizeof(sv->sockets));
	sv->stage_timer.fire = stage_late;
	tls_keeper_init(&sv->tls);
	buf_init(&sv->text, CONFIG_TEXT + 4096);
	int err = files_read_config(sv, config_path);
	if (err == 0)
		err = make_loop(sv);
	if (err == 0)
		err = prepare(sv);
	if (err == 0)
		err = files_watch(sv);
	if (err == 0) {
		leftovers_watch(sv);
		start_roles(sv);
		loop_run(sv->loop);
		slots_reap(sv);
	}
	int result = err == ERR_CANCELED ? ROLE_EXIT_DONE : err ? ROLE_EXIT_FAILED : sv->result;
	finish(sv);
	return result;
}
