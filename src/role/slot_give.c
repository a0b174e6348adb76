/* What a role is given when it starts. */
#include "base/err.h"
#include "role/supervisor.h"

#include <string.h>
#include <unistd.h>

#define PATH_ROOM 4096

static int give(struct slot *slot, uint16_t type, const struct buf *payload, int fd)
{
	if (!buf_ok(payload))
		return ERR_NOMEM;
	return ipc_send(&slot->port, type, 0, buf_span(payload), &fd, fd >= 0);
}

static int give_config(struct slot *slot, struct buf *buf)
{
	struct supervisor *sv = slot->sv;

	buf_clear(buf);
	buf_put_bytes16(buf, span_str(sv->config_path));
	buf_put_bytes16(buf, sv->folder);
	buf_put_bytes32(buf, buf_span(&sv->text));
	return give(slot, IPC_CONFIG, buf, -1);
}

static int give_boot(struct slot *slot, struct buf *buf)
{
	struct ipc_boot boot = {.start = slot->starts,
		.workers = (uint8_t)slot->sv->config->workers,
		.began_ms = slot->sv->began_ms};

	if (slot->kind == ROLE_SMTPD) {
		int err = prepare_serials(slot->sv->config, slot->index, &boot.serials);
		if (err)
			return err;
	}
	if (slot->kind == ROLE_KEYS)
		memcpy(boot.secret, slot->sv->secret, sizeof(boot.secret));
	buf_clear(buf);
	ipc_put_boot(buf, &boot);
	return give(slot, IPC_BOOT, buf, -1);
}

static bool gets_directory(enum role_kind kind, enum ipc_directory which)
{
	if (kind == ROLE_KEYS || kind == ROLE_FETCH)
		return false;
	switch (which) {
	case IPC_DIRECTORY_SPOOL: return kind != ROLE_ADMIN;
	case IPC_DIRECTORY_MAILBOXES: return kind == ROLE_DELIVERY;
	case IPC_DIRECTORY_TRACES: return kind == ROLE_ADMIN;
	default: return true;
	}
}

static int give_directories(struct slot *slot, struct buf *buf)
{
	char path[PATH_ROOM];
	int fd, err = 0;

	for (unsigned which = 0; which < IPC_DIRECTORIES && err == 0; which++) {
		if (!gets_directory(slot->kind, which))
			continue;
		err = prepare_open(
			slot->sv->config, which, slot->kind, slot->index, path, sizeof(path), &fd);
		if (err)
			break;
		buf_clear(buf);
		buf_put_u8(buf, (uint8_t)which);
		buf_put_bytes16(buf, span_str(path));
		err = give(slot, IPC_DIRECTORY, buf, fd);
		close(fd);
	}
	return err;
}

static int give_socket(struct slot *slot, struct buf *buf, uint16_t place, int fd)
{
	buf_clear(buf);
	buf_put_u16(buf, place);
	return give(slot, IPC_LISTENER, buf, fd);
}

static int give_sockets(struct slot *slot, struct buf *buf)
{
	struct supervisor *sv = slot->sv;
	int err = sockets_mend(slot);

	if (err)
		return err;
	if (slot->kind == ROLE_ADMIN)
		return give_socket(slot, buf, IPC_LISTENER_CONTROL, sv->control);
	for (uint16_t i = 0; slot->kind == ROLE_SMTPD && i < sv->config->listener_count && err == 0;
		i++)
		err = give_socket(slot, buf, i, sv->sockets[slot->index][i]);
	return err;
}

static int give_channel(struct slot *slot, struct buf *buf, const struct slot *peer, int fd)
{
	buf_clear(buf);
	buf_put_u8(buf, (uint8_t)peer->kind);
	buf_put_u8(buf, peer->index);
	return give(slot, IPC_CHANNEL, buf, fd);
}

static bool are(enum role_kind a, enum role_kind b, enum role_kind one, enum role_kind other)
{
	return (a == one && b == other) || (a == other && b == one);
}

/* Who has something to ask of whom. */
static bool speak(enum role_kind a, enum role_kind b)
{
	if (a == ROLE_FETCH || b == ROLE_FETCH)
		return are(a, b, ROLE_FETCH, ROLE_DELIVERY);
	if (a == ROLE_KEYS || b == ROLE_KEYS)
		return are(a, b, ROLE_KEYS, ROLE_SMTPD) || are(a, b, ROLE_KEYS, ROLE_ADMIN);
	return a != b;
}

/* A channel to every role that runs. */
static int give_channels(struct slot *slot, struct buf *buf)
{
	struct supervisor *sv = slot->sv;

	for (size_t i = 0; i < sv->slot_count; i++) {
		struct slot *peer = &sv->slots[i];
		int fds[2];
		if (!peer->port.channel || !speak(peer->kind, slot->kind))
			continue;
		int err = loop_channel_pair(fds);
		if (err)
			return err;
		/* The peer first. One that is about to die gets its channels anew with its next
		 * life; one that cannot be given this for another reason would never hear of this
		 * role, so the role is not started now but a little later. */
		err = give_channel(peer, buf, slot, fds[1]);
		if (err == 0 || err == ERR_CLOSED)
			err = give_channel(slot, buf, peer, fds[0]);
		close(fds[0]);
		close(fds[1]);
		if (err)
			return err;
	}
	return 0;
}

int slot_give(struct slot *slot)
{
	struct buf buf;

	buf_init(&buf, IPC_MESSAGE_BYTES);
	int err = give_config(slot, &buf);
	if (err == 0)
		err = give_boot(slot, &buf);
	if (err == 0)
		err = give_directories(slot, &buf);
	if (err == 0)
		err = give_sockets(slot, &buf);
	if (err == 0)
		err = give_channels(slot, &buf);
	buf_clear(&buf);
	if (err == 0)
		err = give(slot, IPC_START, &buf, -1);
	buf_done(&buf);
	return err;
}
