#include "role/ipc.h"

#include "base/err.h"

static const char *const type_names[IPC_TYPES] = {
	[IPC_CONFIG] = "config",
	[IPC_BOOT] = "boot",
	[IPC_DIRECTORY] = "directory",
	[IPC_LISTENER] = "listener",
	[IPC_CHANNEL] = "channel",
	[IPC_START] = "start",
	[IPC_READY] = "ready",
	[IPC_FATAL] = "fatal",
	[IPC_STOP] = "stop",
	[IPC_LOG_LEVEL] = "log-level",
	[IPC_FILE] = "file",
	[IPC_KEYS] = "keys",
	[IPC_KEYS_TAKEN] = "keys-taken",
	[IPC_CERTIFICATES] = "certificates",
	[IPC_TICKETS] = "tickets",
	[IPC_TLS_RELOAD] = "tls-reload",
	[IPC_TLS_RELOADED] = "tls-reloaded",
	[IPC_SNAPSHOT] = "snapshot",
	[IPC_SECRETS] = "secrets",
	[IPC_LOCKS_REQUEST] = "locks-request",
	[IPC_LOCKS_REPLY] = "locks-reply",
	[IPC_SIGNING] = "signing",
	[IPC_AUTH_QUERY] = "auth-query",
	[IPC_AUTH_ANSWER] = "auth-answer",
	[IPC_HOPS_QUERY] = "hops-query",
	[IPC_HOPS_ANSWER] = "hops-answer",
	[IPC_FETCH_QUERY] = "fetch-query",
	[IPC_FETCH_ANSWER] = "fetch-answer",
	[IPC_NOTICE] = "notice",
	[IPC_POSITION] = "position",
	[IPC_QUEUE_FULL] = "queue-full",
	[IPC_QUEUE_REQUEST] = "queue-request",
	[IPC_QUEUE_REPLY] = "queue-reply",
	[IPC_FIGURES_REQUEST] = "figures-request",
	[IPC_FIGURES_REPLY] = "figures-reply",
	[IPC_TRACE_REQUEST] = "trace-request",
	[IPC_TRACE_REPLY] = "trace-reply",
};

const char *ipc_type_name(uint16_t type)
{
	return type && type < IPC_TYPES ? type_names[type] : "unknown";
}

bool ipc_is_secret(uint16_t type)
{
	return type == IPC_AUTH_QUERY || type == IPC_TICKETS;
}

const char *role_kind_name(enum role_kind kind)
{
	static const char *const names[ROLE_KINDS] = {
		"supervisor", "smtpd", "delivery", "admin", "keys", "fetch"};

	return kind < ROLE_KINDS ? names[kind] : "unknown";
}

void ipc_put_header(struct buf *buf, uint16_t type, uint16_t flags, uint32_t request)
{
	buf_put_u16(buf, type);
	buf_put_u16(buf, flags);
	buf_put_u32(buf, request);
}

int ipc_get_header(struct span datagram, struct ipc_message *out)
{
	struct cursor in = cursor_of(datagram);
	struct ipc_message message = {0};

	message.type = cursor_u16(&in);
	message.flags = cursor_u16(&in);
	message.request = cursor_u32(&in);
	if (!cursor_ok(&in) || message.type == 0 || message.type >= IPC_TYPES ||
		(message.flags & ~IPC_MORE) != 0)
		return ERR_CORRUPT;
	message.payload = cursor_bytes(&in, cursor_left(&in));
	*out = message;
	return 0;
}

void ipc_put_notice(struct buf *buf, const struct spool_notice *notice)
{
	buf_put_u8(buf, notice->owner);
	buf_put_u32(buf, notice->serial);
	buf_put_u64(buf, notice->durable);
	buf_put_u32(buf, notice->messages);
}

int ipc_get_notice(struct cursor *in, uint8_t owner, struct spool_notice *out)
{
	struct spool_notice notice = {.owner = cursor_u8(in)};

	notice.serial = cursor_u32(in);
	notice.durable = cursor_u64(in);
	notice.messages = cursor_u32(in);
	if (!cursor_ok(in) || notice.owner != owner)
		return ERR_CORRUPT;
	*out = notice;
	return 0;
}

void ipc_put_boot(struct buf *buf, const struct ipc_boot *boot)
{
	buf_put_u32(buf, boot->serials.least);
	buf_put_u32(buf, boot->serials.base);
	buf_put_u32(buf, boot->start);
	buf_put_u8(buf, boot->workers);
	buf_put_u64(buf, (uint64_t)boot->began_ms);
	buf_add(buf, boot->secret, sizeof(boot->secret));
}

int ipc_get_boot(struct span payload, struct ipc_boot *out)
{
	struct cursor in = cursor_of(payload);
	struct ipc_boot boot = {0};

	boot.serials.least = cursor_u32(&in);
	boot.serials.base = cursor_u32(&in);
	boot.start = cursor_u32(&in);
	boot.workers = cursor_u8(&in);
	boot.began_ms = (int64_t)cursor_u64(&in);
	struct span secret = cursor_bytes(&in, sizeof(boot.secret));
	if (!cursor_ok(&in) || cursor_left(&in))
		return ERR_CORRUPT;
	memcpy(boot.secret, secret.p, secret.n);
	*out = boot;
	return 0;
}

int ipc_get_channel(struct span payload, enum role_kind *peer, uint8_t *index)
{
	struct cursor in = cursor_of(payload);

	*peer = cursor_u8(&in);
	*index = cursor_u8(&in);
	return cursor_ok(&in) && *peer < ROLE_KINDS ? 0 : ERR_CORRUPT;
}
