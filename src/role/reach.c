#include "role/reach.h"

#include "base/check.h"
#include "base/err.h"
#include "directory/schema.h"
#include "io/dns_anchor.h"
#include "io/dns_unbound.h"
#include "io/tls.h"
#include "role/plain_file.h"

#include <string.h>
#include <unistd.h>

#define PROBLEM_BYTES 1024

/* ---- files ----------------------------------------------------------------------------------- */

static bool was_good(const struct reach *reach, const uint8_t hash[PIN_BYTES])
{
	for (size_t i = 0; i < ARRAY_SIZE(reach->good_ca); i++)
		if (memcmp(reach->good_ca[i], hash, PIN_BYTES) == 0)
			return true;
	return false;
}

/* ERR_SYNTAX, with `problem` telling more: there are no certificates in it that can be used. */
static int read_ca(struct reach *reach, struct span path, struct buf *out, struct buf *problem)
{
	uint8_t hash[PIN_BYTES];
	size_t count;
	int err = plain_file_read(path, TLS_PEM_BYTES, out);

	if (err)
		return err;
	pin_of(buf_span(out), hash);
	if (was_good(reach, hash))
		return 0;
	if (tls_check_ca(buf_span(out), &count, problem))
		return ERR_SYNTAX;
	memcpy(reach->good_ca[reach->good_ca_next++ % REACH_GOOD_CA], hash, PIN_BYTES);
	return 0;
}

int reach_read_ca(struct reach *reach, struct span path, struct buf *out)
{
	struct buf problem;

	buf_init(&problem, PROBLEM_BYTES);
	int err = read_ca(reach, path, out, &problem);
	buf_done(&problem);
	return err;
}

bool reach_check_ca(struct reach *reach, struct span path, struct buf *why)
{
	struct buf text, problem;

	buf_init(&text, TLS_PEM_BYTES + PLAIN_FILE_PIECE);
	buf_init(&problem, PROBLEM_BYTES);
	int err = read_ca(reach, path, &text, &problem);
	if (err == ERR_NOT_FOUND)
		buf_add_str(why, "is not there");
	else if (err == ERR_DENIED)
		buf_add_str(why, "cannot be read by delivery, which has a user of its own: let "
				 "others read it (chmod o+r), and enter its folder");
	else if (err == ERR_SYNTAX)
		buf_printf(why, "cannot be used: %.*s", (int)problem.n, problem.p);
	else if (err)
		buf_printf(why, "cannot be read: %s", err_text(err));
	buf_done(&text);
	buf_done(&problem);
	return why->n > 0;
}

static int allow_folder(struct reach *reach, struct span path)
{
	char *name = path.n ? strndup(path.p, path.n) : NULL;

	if (!name)
		return path.n ? ERR_NOMEM : 0;
	CHECK(reach->folder_count < ARRAY_SIZE(reach->folders));
	reach->folders[reach->folder_count++] = name;
	sandbox_add_path(&reach->role->sandbox, name, SANDBOX_READ);
	return 0;
}

/* Where transports' tls-ca may lie: the same as the directory allows. */
static int allow_ca_folders(struct reach *reach)
{
	static const char *const usual[] = {CONFIG_CA_USUAL};
	const struct config *config = reach->role->config;
	struct span more = config->tls_ca_folders;

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		sandbox_add_path(&reach->role->sandbox, usual[i], SANDBOX_READ);
	int err = allow_folder(reach, config->folder);
	while (!err && more.n)
		err = allow_folder(reach, schema_list_next(&more));
	return err;
}

/* ---- the DNS --------------------------------------------------------------------------------- */

static int read_anchors(const struct config *config, struct buf *out, struct buf *problem)
{
	if (!config->dnssec_anchor.n)
		return 0;
	int err = plain_file_read(config->dnssec_anchor, DNS_ANCHOR_BYTES, out);

	if (err)
		buf_printf(problem, "dns.trust-anchor: %.*s: %s", (int)config->dnssec_anchor.n,
			config->dnssec_anchor.p, err_text(err));
	return err;
}

static int open_dns(struct reach *reach, struct buf *problem)
{
	const struct config *config = reach->role->config;
	struct buf anchors;

	buf_init(&anchors, DNS_ANCHOR_BYTES + 8192);
	int err = read_anchors(config, &anchors, problem);
	const struct dns_unbound_options options = {
		.servers = config->dns_servers,
		.timeout_ms = config->timeouts.dns,
		.anchors = buf_span(&anchors),
		.log = reach->role->log,
	};

	if (!err) {
		err = dns_unbound_new(reach->role->loop, &options, &reach->dns);
		if (err)
			buf_printf(problem, "the DNS cannot be used: %s", err_text(err));
	}
	buf_done(&anchors);
	return err;
}

void reach_resolv_conf(struct reach *reach, int fd)
{
	char text[RESOLV_CONF_BYTES];
	ssize_t n = pread(fd, text, sizeof(text), 0);

	close(fd);
	if (n > 0 && dns_unbound_resolv_conf(reach->dns, span_of(text, (size_t)n)) == 0)
		log_write(reach->role->log, LOG_INFO, "the system's DNS servers changed",
			LOG_STR("file", RESOLV_CONF));
}

/* ---- role fetch ------------------------------------------------------------------------------ */

static int ask(void *context, uint32_t request, struct span query)
{
	struct reach *reach = context;

	return reach->port.channel
		       ? ipc_send(&reach->port, IPC_FETCH_QUERY, request, query, NULL, 0)
		       : ERR_CLOSED;
}

static void says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct reach *reach = owner;
	(void)port;

	for (size_t i = 0; i < message->fd_count; i++)
		close(message->fds[i]);
	if (message->type == IPC_FETCH_ANSWER)
		fetch_link_answer(&reach->fetch, message->request, message->payload);
}

static void gone(void *owner, struct ipc_port *port)
{
	struct reach *reach = owner;
	(void)port;

	fetch_link_lost(&reach->fetch);
}

static const struct ipc_port_calls calls = {says, gone};

void reach_channel(struct reach *reach, uint8_t index, int fd)
{
	ipc_port_close(&reach->port);
	fetch_link_lost(&reach->fetch);
	ipc_port_init(&reach->port, ROLE_FETCH, index, &calls, reach);
	(void)role_open_port(reach->role, fd, &reach->port);
}

/* ---- life ------------------------------------------------------------------------------------ */

int reach_open(struct reach *reach, struct role *role, struct buf *problem)
{
	reach->role = role;
	ipc_port_init(&reach->port, ROLE_FETCH, 0, &calls, reach);
	fetch_link_init(&reach->fetch, role->io, reach, ask);
	int err = loop_prepare_tls(role->loop);
	if (err == ERR_NOT_FOUND)
		log_write(role->log, LOG_WARN,
			"this system has no trust anchors: certificates of other servers cannot be "
			"verified unless their transport has tls-ca or tls-pin; install the "
			"package "
			"ca-certificates, then restart");
	else if (err) {
		buf_printf(problem, "TLS cannot be used: %s", err_text(err));
		return err;
	}
	err = allow_ca_folders(reach);
	return err ? err : open_dns(reach, problem);
}
