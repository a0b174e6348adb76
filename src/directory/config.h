/*
 * The start file: what is fixed while posternd runs. Read by the supervisor, by each role from the
 * same bytes, and by posternctl. Its fields are described in directory/schema (one table for the
 * parser, the checks, and the reference page).
 *
 * Everything lives in the config's own arena until config_free().
 */
#ifndef DIRECTORY_CONFIG_H
#define DIRECTORY_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json_write.h"
#include "base/netaddr.h"
#include "base/span.h"

#include <stdint.h>

#define CONFIG_LISTENERS  64
#define CONFIG_WORKERS	  64
#define CONFIG_SNI	  64 /* certificates of a listener, by server name */
#define CONFIG_PEERS	  64 /* ranges of its proxy, or xclient */
#define CONFIG_CA_FOLDERS 16

enum config_tls_mode {
	CONFIG_TLS_STARTTLS, /* offered, after connect in clear */
	CONFIG_TLS_IMPLICIT, /* from the first byte (RFC 8314) */
};

/* Certificate and key by server name (SNI). */
struct config_sni {
	struct span name; /* canonical, or "*.example.org" */
	struct span certificate, key;
};

/* Without a certificate there is no TLS on the listener. */
struct config_tls {
	struct span certificate, key; /* paths of PEM files */
	enum config_tls_mode mode;
	struct config_sni names[CONFIG_SNI];
	uint32_t name_count;
	struct span client_ca; /* path: clients are asked for a certificate of it; empty: not */
};

struct config_listener {
	struct span name;
	struct netaddr address;
	struct config_tls tls;
	bool open_relay;       /* the relay policy `anyone` is allowed here */
	bool auth_without_tls; /* passwords in clear are taken */
	struct span proxy;     /* canonical ranges, one a line: peers that must begin with a PROXY
				* header, and are believed */
	struct span xclient;   /* likewise: peers that may say XCLIENT */
};

struct config_limits {
	uint64_t message_size;		 /* bytes; SIZE (RFC 1870) */
	uint32_t hops;			 /* Received fields */
	uint32_t recipients;		 /* per message */
	uint32_t connections;		 /* per worker */
	uint32_t connections_per_client; /* per worker and address, loopback not counted; 0: no
					    limit */
	uint32_t connections_per_site;	 /* the same of an IPv6 /48 */
	uint32_t errors;		 /* bad commands before 421 */
	uint32_t refused_recipients;	 /* per connection without a message; 0: no limit */
	uint32_t commands;	   /* per connection without a message: idle talk; 0: no limit */
	uint32_t line;		   /* bytes of a line of the body, CRLF not counted */
	uint32_t header_bytes;	   /* of the header section */
	uint64_t memory;	   /* bytes of bodies in memory, per worker */
	uint64_t inline_bytes;	   /* longer bodies get a spool file of their own */
	uint64_t dsn_return_bytes; /* RET=FULL returns no more than this, else the header */
	uint32_t outbound_connections; /* all together */
	uint64_t queue_messages;       /* 452 above; 0: no limit */
};

/* Milliseconds, absolute from the start of what they bound. RFC 5321 section 4.5.3.2. */
struct config_timeouts {
	uint64_t command;     /* server: next command */
	uint64_t data_block;  /* server: some more body bytes */
	uint64_t transaction; /* server: MAIL to the end of the body */
	uint64_t session;     /* server: whole connection; 0: no limit */
	uint64_t connect, greeting, ehlo, mail, rcpt, data, body, body_end, rset, quit; /* client */
	uint64_t idle; /* client: a kept connection */
	uint64_t dns;
};

enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };
enum config_sandbox { CONFIG_SANDBOX_REQUIRED, CONFIG_SANDBOX_OPTIONAL, CONFIG_SANDBOX_OFF };

#define CONFIG_BYTES (1u << 20) /* of a start file */

/* Folders that hold public certificates on any system: a transport's tls-ca may lie there. */
#define CONFIG_CA_USUAL "/etc/ssl", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"

struct schema;
/* Its fields. */
const struct schema *config_schema(void);

struct config {
	struct span folder; /* of the start file, "/" at its end; empty: not known */
	struct span hostname;
	struct span spool, directory, control, mailboxes, trace; /* paths */
	uint32_t workers;
	struct config_listener listeners[CONFIG_LISTENERS];
	uint32_t listener_count;
	struct config_limits limits;
	struct config_timeouts timeouts;
	enum config_log_format log_format;
	int log_level;	      /* enum log_level */
	uint64_t trace_bytes; /* all trace files together */
	uint64_t trace_age_ms;
	uint64_t segment_bytes; /* of a spool file */
	uint64_t journal_ms;	/* completions are gathered this long between two syncs */
	enum config_sandbox sandbox;
	struct span user_smtpd, user_delivery, user_admin, user_keys, user_fetch,
		group;		    /* when started as root */
	struct span tls_ca_folders; /* paths, one a line: where transports' tls-ca may lie besides
				     * the system's folders and the start file's own */
	struct span dnssec_anchor;  /* path of a trust anchor file; empty: the built-in one */
	struct span dns_servers;    /* comma list; empty: /etc/resolv.conf */
};

/* Files that the logs of all workers and of delivery set aside, segment_bytes each: the one in use
 * and the next. */
static inline uint64_t config_reserve_files(const struct config *config)
{
	return 2 * ((uint64_t)config->workers + 1);
}

/* NULL: there is none of that name. */
const struct config_listener *config_find_listener(const struct config *config, struct span name);
/* "the start file has no such listener; it has: mx, submission" */
void config_say_no_listener(const struct config *config, struct buf *out);
/* Can other machines connect to it? */
bool config_is_reachable(const struct config_listener *listener);

/* Each field, also where it has its default: "limits.hops", "listeners.mx.address", and its value
 * as text. What is longer than 8 KiB is left out. */
void config_each_field(const struct config *config,
	void (*each)(void *context, struct span name, struct span value), void *context);
/* A member that holds them all. */
void config_add_json(struct json_write *json, const char *key, const struct config *config);

/* Parses the text of a start file. On ERR_SYNTAX (or another error) `problems` holds one line each,
 * "file:line:column: field: what is wrong; what to do". Warnings come as lines too with result
 * 0. */
int config_parse(
	const char *file_name, struct span text, struct config **out, struct buf *problems);
/* The same for a file whose folder, which relative paths begin with, is not that of its name. */
int config_parse_in(const char *file_name, struct span folder, struct span text,
	struct config **out, struct buf *problems);
/* Reads the file first; paths become absolute where the folder can be found. */
int config_load(const char *path, struct config **out, struct buf *problems);
/* Only the control socket of a file that has mistakes elsewhere: a path that is the caller's to
 * free. NULL: it is not said, or cannot be read. */
char *config_load_control(const char *path);
/* The same of a file that was read, the path in the arena; empty: none. */
struct span config_find_control(struct span folder, struct span text, struct arena *arena);
void config_free(struct config **config);

#endif
