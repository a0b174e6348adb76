/*
 * One outbound SMTP session (RFC 5321) as a machine on struct io: connects, greets, and then
 * carries one transaction after another for the delivery core, which owns it.
 *
 *   client_new ─► ready ─► client_send ─► done ─► client_send ─► done ─► … ─► client_close
 *        └► failed            └► failed        └► gone (idle, the server went away)
 *
 * Rules of the callbacks: none runs inside client_new(), client_send() or client_close(); each is
 * the last thing that the machine does in its event, so the owner may call client_send() or
 * client_close() from within it. After failed(), gone(), or done() with `usable` false, the session
 * is dead: client_close() is all that is left to do with it. After client_close() none comes.
 *
 * How a body goes (transport/client_plan.c decides): by DATA with the stored bytes as they are,
 * which is the rule; by BDAT (RFC 3030) where the stored bytes are no DATA form, or very many, and
 * the hop has CHUNKING (sendfile); else rewritten on the way (stuffed, unstuffed, or converted to
 * what the hop can take, codec/mime_downgrade.h). A conversion that is not allowed is a permanent
 * verdict.
 *
 * Nothing in the job is trusted, but for its sizes and for what the session's owner put there:
 * whoever wrote the spool can spoil his own message, which gets a permanent verdict, but cannot end
 * it early, add commands, or have a reply to one message taken for the reply to another
 * (transport/client_wire.c).
 *
 * TLS: with STARTTLS the session begins anew (RFC 3207 section 4.2): what the server said before is
 * forgotten. REQUIRETLS (RFC 8689): a message with that flag goes only to a hop that offers it,
 * over a link whose peer was verified; else it gets a permanent verdict (5.7.30). Which hosts are
 * tried before that is the owner's matter. Mail of the null sender, which nobody would be told of,
 * goes to a verified hop that does not offer it as well, without the parameter (section 5).
 *
 * Bounds: CLIENT_WINDOW RCPT commands are in flight at a time; a reply is bounded by
 * codec/smtp_reply.h; a session holds about 16 KiB, up to 64 KiB more while a hop is slow to take
 * a body, and 256 KiB more while one is rewritten.
 */
#ifndef TRANSPORT_CLIENT_H
#define TRANSPORT_CLIENT_H

#include "base/netaddr.h"
#include "base/span.h"
#include "codec/envelope.h"
#include "codec/verdict.h"
#include "directory/config.h"
#include "io/io.h"
#include "spool/spool.h"

#include <stdbool.h>
#include <stdint.h>

struct client;
struct tls_client;
struct tls_info;

#define CLIENT_WINDOW 100 /* RCPT commands sent before their replies are in */

/* What the server can do, as its EHLO reply says. */
enum client_can {
	CLIENT_PIPELINING = 1 << 0, /* RFC 2920 */
	CLIENT_SIZE = 1 << 1,	    /* RFC 1870 */
	CLIENT_8BITMIME = 1 << 2,   /* RFC 6152 */
	CLIENT_SMTPUTF8 = 1 << 3,   /* RFC 6531 */
	CLIENT_DSN = 1 << 4,	    /* RFC 3461 */
	CLIENT_CHUNKING = 1 << 5,   /* RFC 3030 */
	CLIENT_BINARYMIME = 1 << 6, /* RFC 3030; only counted together with CHUNKING */
	CLIENT_LIMITS = 1 << 7,	    /* RFC 9422 */
	CLIENT_ENHANCED = 1 << 8,   /* RFC 2034 */
	CLIENT_REQUIRETLS = 1 << 9, /* RFC 8689 */
	CLIENT_STARTTLS = 1 << 10,  /* RFC 3207 */
	CLIENT_ESMTP = 1 << 11,	    /* EHLO was taken at all */
	CLIENT_AUTH = 1 << 12,	    /* RFC 4954, with a mechanism that we know */
};

struct client_caps {
	uint32_t can;	     /* enum client_can */
	uint64_t size_most;  /* bytes; 0: no limit is known */
	uint32_t rcpt_most;  /* LIMITS RCPTMAX; 0: not given */
	uint32_t mail_most;  /* LIMITS MAILMAX: transactions in one session; 0: not given */
	unsigned mechanisms; /* enum sasl_mechanism, of AUTH */
};

/* How far the session, or the transaction, had come when something went wrong. */
enum client_stage {
	CLIENT_AT_CONNECT,
	CLIENT_AT_GREETING,
	CLIENT_AT_EHLO,
	CLIENT_AT_STARTTLS, /* the command and its reply */
	CLIENT_AT_TLS,	    /* the handshake, and whether the peer is the right one */
	CLIENT_AT_AUTH,
	CLIENT_AT_IDLE,
	CLIENT_AT_MAIL, /* RSET before it included */
	CLIENT_AT_RCPT,
	CLIENT_AT_DATA,
	CLIENT_AT_BODY,
	CLIENT_AT_END, /* all was sent, the final reply was not seen: the hop may have the message
			* (RFC 1047) */
};

/* "connect", "greeting", … */
const char *client_stage_name(enum client_stage stage);

/* What became of one recipient. */
struct client_result {
	struct verdict verdict; /* meaningless while not_tried */
	/* A 4xx about the session or the server, not about this mail: 421 at any time; to MAIL,
	 * DATA or the body what speaks of the system or the network (RFC 3463 sections 3.4 and
	 * 3.5), and to MAIL what it lets from this client (3.8). To RCPT nothing else: who is
	 * written to, and how often, is for senders to choose. */
	bool of_server;
	/* The hop takes no more recipients in one transaction (RCPTMAX, 452): nothing was decided,
	 * send again at once in another transaction. At least one recipient of the job was
	 * tried. */
	bool not_tried;
};

/*
 * One transaction. The owner fills it in, and keeps it and all that it points to unchanged until
 * done() or failed(), or until it closed the client.
 */
struct client_job {
	/* in */
	const struct envelope
		*envelope;	       /* sender, envid, ret, flags, prepend, header_bytes, rcpts */
	const uint32_t *picks;	       /* which of envelope->rcpts go now: indices … */
	uint32_t pick_count;	       /* … at least one */
	struct span prepend;	       /* more header lines (CRLF), before envelope->prepend */
	struct spool_body body;	       /* open; ".\r\n" follows the body in the file */
	struct client_result *results; /* one for each pick, in their order; filled in here */
	/* out */
	bool usable;	 /* the session can carry another transaction */
	bool dsn_passed; /* the hop has DSN and got NOTIFY, ORCPT, RET and ENVID: notifying of
			  * success is its business for recipients whose verdict is VERDICT_OK */
	bool converted;	 /* the body went in another encoding (RFC 6152 section 3) */
	enum client_stage stage; /* the last stage that was reached */
};

struct client_ops {
	/* Greeted; `caps` is valid as long as the client. */
	void (*ready)(void *owner, const struct client_caps *caps);
	/* Every recipient of the job has its result, and job->usable says whether to go on. */
	void (*done)(void *owner, struct client_job *job);
	/*
	 * The session failed: no connection, refused at greeting or EHLO, a timeout, lost, or
	 * nonsense. The verdict's kind is always VERDICT_TEMPORARY; code and text are the server's
	 * own where it gave them (verdict.remote). With a job under way, its results are filled in:
	 * recipients that the server refused for good keep that verdict, all others have this one.
	 */
	void (*failed)(void *owner, struct client_job *job, const struct verdict *verdict,
		enum client_stage stage);
	/* While idle: the server closed, said 421, or spoke unasked. */
	void (*gone)(void *owner);
};

enum client_tls {
	CLIENT_TLS_NONE, /* STARTTLS is not said */
	CLIENT_TLS_MAY,	 /* where it is offered. A handshake that fails fails the session: whoever
			  * opened  it may try again in clear */
	CLIENT_TLS_MUST, /* not offered, or refused: the session fails, and nothing was sent in
			    clear */
};

/* How the link is protected. */
struct client_security {
	bool tls;
	bool verified; /* the peer is the one that `security` asked for, not just anybody */
	bool offered;  /* STARTTLS was in the server's EHLO reply */
	const struct tls_info *info; /* NULL without TLS */
	bool authenticated;	     /* AUTH succeeded */
};

struct client_config {
	struct netaddr peer;   /* with port */
	struct netaddr local;  /* to send from; NETADDR_NONE: the system's choice */
	struct span peer_name; /* for texts; empty: the address alone is named. Copied */
	struct span helo;      /* our name. Copied */
	const struct config_timeouts *timeouts; /* must outlive the client */
	enum client_tls tls;
	/* What the server's certificate must be; not with CLIENT_TLS_NONE. Used while the session
	 * opens: must stay until ready() or failed(). */
	const struct tls_client *security;
	/* AUTH before ready(), only over TLS; user empty: none. Likewise. */
	struct span sasl_user, sasl_secret;
};

/* Begins to connect. ERR_NOMEM, or what io_connect() says at once. */
int client_new(struct io *io, const struct client_config *config, const struct client_ops *ops,
	void *owner, struct client **out);

/* Begins a transaction; only when ready, and with none under way. */
void client_send(struct client *client, struct client_job *job);

/*
 * Ends the session; *client becomes NULL, a job under way is forgotten. `polite`: QUIT is sent
 * where the session is idle; its reply is not waited for (the io closes once QUIT is out), as a
 * server has nothing to say any more that would change an outcome.
 */
void client_close(struct client **client, bool polite);

const struct client_caps *client_caps(const struct client *client);
/* Why a message with REQUIRETLS goes nowhere: nobody was `verified`, or none of those offers it. */
void client_requiretls_verdict(bool verified, struct verdict *out);
/* Also after failed(), as far as it came: for reports (RFC 8460). */
void client_security(const struct client *client, struct client_security *out);
/* From where it is connected, or was, where its TLS failed; else NETADDR_NONE. */
void client_local(const struct client *client, struct netaddr *out);
/* No job is under way, and the session is ready for one. */
bool client_idle(const struct client *client);

#endif
