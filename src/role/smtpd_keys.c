#include "role/smtpd_keys.h"

#include "base/check.h"
#include "base/err.h"
#include "directory/snapshot_memfd.h"
#include "role/tls_files.h"
#include "role/tls_set.h"

#include <string.h>
#include <unistd.h>

/* ---- role keys ------------------------------------------------------------------------------ */

static int send_query(void *context, uint32_t request, struct span query)
{
	struct smtpd_keys *k = context;

	return ipc_send(&k->port, IPC_AUTH_QUERY, request, query, NULL, 0);
}

static void keys_say(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct smtpd_keys *k = owner;
	size_t taken = 0;
	(void)port;

	if (message->type == IPC_SIGNING && message->fd_count) {
		taken = 1;
		int err = signer_open(&k->signer, message->fds[0]);
		if (err)
			log_write(k->role->log, LOG_ERROR, "signatures cannot be asked for",
				LOG_STR("reason", err_text(err)));
	} else if (message->type == IPC_AUTH_ANSWER) {
		keys_link_answer(k->link, message->request, message->payload);
	}
	for (size_t i = taken; i < message->fd_count; i++)
		close(message->fds[i]);
}

static void keys_gone(void *owner, struct ipc_port *port)
{
	struct smtpd_keys *k = owner;
	(void)port;

	signer_close(&k->signer);
	keys_link_lost(k->link);
}

static const struct ipc_port_calls calls = {keys_say, keys_gone};

int smtpd_keys_init(struct smtpd_keys *k, struct role *role)
{
	const struct keys_link_config link = {.io = role->io, .context = k, .send = send_query};

	*k = (struct smtpd_keys){.role = role, .certified = !tls_files_wanted(role->config)};
	ipc_port_init(&k->port, ROLE_KEYS, 0, &calls, k);
	signer_init(&k->signer, role->loop);
	return keys_link_new(&link, &k->link);
}

void smtpd_keys_open(struct smtpd_keys *k, int fd)
{
	/* The new one may be heard of before the end of the old one is. */
	if (k->port.channel) {
		ipc_port_close(&k->port);
		keys_gone(k, &k->port);
	}
	ipc_port_init(&k->port, ROLE_KEYS, 0, &calls, k);
	(void)role_open_port(k->role, fd, &k->port);
}

/* ---- certificates --------------------------------------------------------------------------- */

static void use(struct smtpd_keys *k, const struct tls_set_listener *set)
{
	const struct config *config = k->role->config;
	const struct tls_server_config server = {
		.certificates = set->certificates,
		.certificate_count = set->count,
		.signer = &k->signer.base,
		.client_ca = set->client_ca,
	};
	struct tls_server *made = NULL;
	struct buf problem;

	if (set->place >= config->listener_count)
		return;
	buf_init(&problem, 4096);
	int err = tls_server_new(&server, &made, &problem);
	if (err) {
		log_write(k->role->log, LOG_ERROR,
			"a listener's certificates cannot be used; those of before stay",
			LOG_SPAN("listener", config->listeners[set->place].name),
			LOG_SPAN("why", problem.n ? buf_span(&problem) : span_str(err_text(err))));
	} else {
		tls_server_set_tickets(made, &k->tickets);
		smtpd_set_tls(k->smtpd, set->place, made);
		tls_server_release(&k->servers[set->place]);
		k->servers[set->place] = made;
	}
	buf_done(&problem);
}

static void take_certificates(struct smtpd_keys *k, int fd)
{
	struct tls_set_listener set;
	struct span bytes;
	int err = memfd_map(fd, TLS_SET_BYTES, &bytes);

	if (err == 0) {
		struct cursor in = cursor_of(bytes);
		while ((err = tls_set_get_listener(&in, &set)) == 0)
			use(k, &set);
		memfd_unmap(bytes);
	}
	if (err != ERR_NOT_FOUND)
		log_write(k->role->log, LOG_ERROR, "certificates cannot be taken over",
			LOG_STR("reason", err_text(err)));
	k->certified = true;
}

static void take_tickets(struct smtpd_keys *k, struct span payload)
{
	struct tls_tickets *tickets = &k->tickets;
	uint32_t count = (uint32_t)(payload.n / TLS_TICKET_BYTES);

	if (payload.n % TLS_TICKET_BYTES || count > ARRAY_SIZE(tickets->keys))
		return;
	tickets->count = count;
	if (count)
		memcpy(tickets->keys, payload.p, payload.n);
	for (size_t i = 0; i < CONFIG_LISTENERS; i++)
		if (k->servers[i])
			tls_server_set_tickets(k->servers[i], tickets);
}

bool smtpd_keys_told(struct smtpd_keys *k, const struct ipc_message *message)
{
	if (message->type == IPC_TICKETS)
		take_tickets(k, message->payload);
	else if (message->type == IPC_CERTIFICATES && message->fd_count == 1)
		take_certificates(k, message->fds[0]);
	else
		return false;
	return true;
}
