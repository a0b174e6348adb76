#include "base/check.h"
#include "base/err.h"
#include "role/spawn.h"
#include "role/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void restart_due(struct timer *timer);

void slot_name(const struct slot *slot, char out[32])
{
	if (slot->kind == ROLE_SMTPD)
		snprintf(out, 32, "smtpd %u", slot->index);
	else
		snprintf(out, 32, "%s", role_kind_name(slot->kind));
}

/* ---- what a role says ----------------------------------------------------------------------- */

static void role_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct slot *slot = owner;
	struct cursor in = cursor_of(message->payload);
	(void)port;

	for (size_t i = 0; i < message->fd_count; i++)
		close(message->fds[i]);
	if (message->type == IPC_READY && !slot->ready) {
		slot->ready = true;
		supervisor_ready(slot->sv);
	} else if (message->type == IPC_FATAL) {
		slot->fatal = true;
		(void)cursor_bytes16(&in); /* the role has logged it */
	} else if (message->type == IPC_KEYS_TAKEN && slot->kind == ROLE_KEYS) {
		tls_keeper_taken(slot->sv, cursor_u32(&in));
	} else if (message->type == IPC_TLS_RELOAD && slot->kind == ROLE_ADMIN) {
		tls_keeper_asked(slot, message->request);
	}
}

static void role_silent(void *owner, struct ipc_port *port)
{
	struct slot *slot = owner;
	(void)port;

	/* It has ended, or it closed its channel, which no honest role does. */
	if (slot->pid > 0)
		(void)kill(slot->pid, SIGKILL);
}

static const struct ipc_port_calls role_calls = {role_says, role_silent};

void slot_init(struct supervisor *sv, enum role_kind kind, uint8_t index)
{
	struct slot *slot = &sv->slots[sv->slot_count++];

	*slot = (struct slot){.sv = sv, .kind = kind, .index = index, .restart.fire = restart_due};
	ipc_port_init(&slot->port, kind, index, &role_calls, slot);
}

/* ---- life and death ------------------------------------------------------------------------- */

static void start_again_later(struct slot *slot)
{
	struct supervisor *sv = slot->sv;
	uint64_t ms = slot->deaths <= RESTART_QUICK
			      ? (uint64_t)RESTART_FIRST_MS << (slot->deaths - 1)
			      : RESTART_SLOW_MS;
	char name[32];

	slot_name(slot, name);
	if (slot->deaths > RESTART_QUICK)
		log_write(sv->log, LOG_ERROR, "a role keeps ending: starting it again slowly",
			LOG_STR("role", name), LOG_U64("times", slot->deaths),
			LOG_U64("after_ms", ms));
	if (io_timer_after(sv->io, &slot->restart, ms) != 0)
		supervisor_stop(sv, ROLE_EXIT_FAILED);
}

static void died(struct slot *slot)
{
	struct supervisor *sv = slot->sv;

	ipc_port_close(&slot->port);
	slot->pid = 0;
	slot->ready = false;
	if (sv->io->now_ns - slot->started_ns > RESTART_FORGET_MS * NS_PER_MS)
		slot->deaths = 0;
	slot->deaths++;
	if (sv->stage != STAGE_RUN) {
		supervisor_role_ended(sv);
	} else if (slot->fatal && !sv->announced) {
		log_write(sv->log, LOG_ERROR, "posternd cannot start; the reason stands above",
			LOG_STR("role", role_kind_name(slot->kind)));
		supervisor_stop(sv, ROLE_EXIT_FAILED);
	} else {
		start_again_later(slot);
	}
}

void slot_start(struct slot *slot)
{
	struct supervisor *sv = slot->sv;
	int fds[2];
	char name[32];

	slot_name(slot, name);
	slot->starts++;
	slot->started_ns = sv->io->now_ns;
	slot->fatal = false;
	int err = loop_channel_pair(fds);
	if (err == 0) {
		const struct spawn spawn = {
			.kind = slot->kind,
			.index = slot->index,
			.users = &sv->users,
			.channel = fds[1],
			.lock = sv->lock,
		};
		err = spawn_role(&spawn, &slot->pid);
		close(fds[1]);
		if (err)
			close(fds[0]);
	}
	if (err) {
		log_write(sv->log, LOG_ERROR, "a role cannot be started", LOG_STR("role", name),
			LOG_STR("reason", err_text(err)));
		died(slot);
		return;
	}
	ipc_port_init(&slot->port, slot->kind, slot->index, &role_calls, slot);
	err = loop_channel(sv->loop, fds[0], &ipc_port_handler, &slot->port, &slot->port.channel);
	if (err == 0)
		err = slot_give(slot);
	if (err == 0)
		err = tls_keeper_give(slot);
	if (err) {
		log_write(sv->log, LOG_ERROR, "a role cannot be given what it needs",
			LOG_STR("role", name), LOG_STR("reason", err_text(err)));
		(void)kill(slot->pid, SIGKILL);
	}
}

static void restart_due(struct timer *timer)
{
	slot_start(CONTAINER_OF(timer, struct slot, restart));
}

static void tell_end(struct slot *slot, int status)
{
	struct supervisor *sv = slot->sv;
	bool expected = sv->stage != STAGE_RUN && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	char name[32], how[96];

	slot_name(slot, name);
	if (WIFEXITED(status))
		snprintf(how, sizeof(how), "exit code %d", WEXITSTATUS(status));
	else
		snprintf(how, sizeof(how), "signal %d (%s)%s", WTERMSIG(status),
			strsignal(WTERMSIG(status)),
			WTERMSIG(status) == SIGSYS ? ": a system call that its sandbox forbids"
						   : "");
	log_write(sv->log, expected ? LOG_INFO : LOG_ERROR,
		expected ? "a role ended" : "a role died", LOG_STR("role", name),
		LOG_STR("by", how));
}

void slots_reap(struct supervisor *sv)
{
	for (size_t i = 0; i < sv->slot_count; i++) {
		struct slot *slot = &sv->slots[i];
		int status;
		if (slot->pid <= 0 || waitpid(slot->pid, &status, WNOHANG) != slot->pid)
			continue;
		if (WIFEXITED(status) && WEXITSTATUS(status) == ROLE_EXIT_FATAL)
			slot->fatal = true;
		tell_end(slot, status);
		died(slot);
	}
}
