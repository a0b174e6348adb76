/*
 * The inside of an SMTP client session, shared by the files of this machine:
 *
 *   client.c        life: connect, deadlines, loss, close; where bytes come in
 *   client_outcome.c  what is told to the owner, and how a failure is put
 *   client_hello.c  greeting, EHLO, HELO
 *   client_tls.c    STARTTLS, the handshake, and how the link is protected
 *   client_auth.c   AUTH, before anything is sent; client_scram.c is its SCRAM
 *   client_caps.c   what the EHLO reply says
 *   client_plan.c   how a message can go to this hop, if at all
 *   client_command.c  MAIL and RCPT lines
 *   client_send.c   a transaction: what is sent when, what replies mean
 *   client_body.c   the body as it is stored
 *   client_pump.c   the body rewritten
 *   client_wire.c   what may go out at all between DATA and the end mark
 *
 * Order of events: whatever happens is worked off, an outcome is noted (client->outcome), and
 * client_settle(), as the last act of the event, tells the owner.
 */
#ifndef TRANSPORT_CLIENT_PRIVATE_H
#define TRANSPORT_CLIENT_PRIVATE_H

#include "base/buf.h"
#include "base/check.h"
#include "codec/mime_downgrade.h"
#include "codec/smtp_reply.h"
#include "io/tls.h"
#include "transport/client.h"

#define CLIENT_MAGIC 0x434c4e54u
#define CLIENT_IN    4096	  /* bytes read at once */
#define CLIENT_NAME  256	  /* bytes of a host name, with its NUL */
#define CLIENT_WHO   320	  /* "name [address]:port" */
#define CLIENT_OUT   (256u << 10) /* bytes of commands at once: CLIENT_WINDOW of any length */
#define CLIENT_PREPEND                                                                       \
	(64u << 10) /* bytes of header fields that may go before a stored body, from each of \
		     * two sources; what we put there has some hundreds */
#define CLIENT_READ                                                                                \
	(64u << 10)		 /* bytes of a stored body that are read, checked and sent at once \
				  */
#define CLIENT_TURN (256u << 10) /* of them in one turn: others want theirs */
/* A body as a whole may take so many waits for a block (timeouts.body), and a second for each
 * CLIENT_RATE bytes: what a line of 9,600 bit/s carries, it gets through up to 13 MB, and a hop
 * that takes a byte now and then holds no session for days. */
#define CLIENT_WAITS 10
#define CLIENT_RATE  1024
#define CLIENT_LONG                                                                     \
	(256u << 10) /* a stored body with more bytes goes by BDAT where that may be: a \
		      * length before it needs no look at it, so it goes by sendfile */
#define CLIENT_PIECE                                                                    \
	(16u << 10) /* bytes of a body that are rewritten at once; what becomes of them \
		     * must fit into IO_CONN_UNSENT */

/* A handshake is given up by the io, which knows why; by us only where it does not keep its word.
 */
#define CLIENT_TLS_GRACE_MS 1000

/* Bytes that are kept of what the io says of a link. */
#define CLIENT_TLS_DETAIL  256
#define CLIENT_TLS_NAME	   64
#define CLIENT_TLS_SUBJECT 256

enum client_state {
	CLIENT_CONNECTING,
	CLIENT_GREETING,
	CLIENT_EHLO,
	CLIENT_HELO,
	CLIENT_ASKED_TLS, /* STARTTLS was said */
	CLIENT_SECURING,  /* the handshake is under way, or begins when this read was looked at */
	CLIENT_PROVING,	  /* AUTH was said */
	CLIENT_IDLE,
	CLIENT_BUSY, /* a job is under way */
	CLIENT_DEAD,
};

enum client_outcome { OUTCOME_NONE, OUTCOME_READY, OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_GONE };

/* In what form the body goes; see client_plan.c. */
enum client_form {
	FORM_DATA_COPY, /* the stored bytes, which are looked at on the way */
	FORM_DATA_PUMP, /* DATA, rewritten */
	FORM_BDAT_FILE, /* one chunk, by sendfile */
	FORM_BDAT_PUMP, /* one chunk, rewritten; its length is counted first */
};

struct client_plan {
	enum client_form form;
	bool utf8;    /* the transaction needs SMTPUTF8, and the hop has it */
	bool convert; /* rewriting includes mime_downgrade */
	enum mime_target target;
	const char *body_param; /* " BODY=8BITMIME", … or "" */
	uint64_t size;		/* as the hop counts it (RFC 1870) */
};

/* Which reply is due next. */
enum client_due { DUE_RSET, DUE_MAIL, DUE_RCPT, DUE_DATA, DUE_END, DUE_NOTHING };

/* How the link is protected. A copy, since it is asked for after the connection is gone, too. */
struct client_link {
	bool offered, tls, verified, authenticated;
	bool has_info;
	struct netaddr local; /* of one that failed */
	struct tls_info info; /* its spans point behind it */
	char detail[CLIENT_TLS_DETAIL], version[CLIENT_TLS_NAME], cipher[CLIENT_TLS_NAME];
	char subject[CLIENT_TLS_SUBJECT];
};

struct client_auth; /* client_auth.c */

/* The bytes after DATA so far: the last two. */
struct client_wire {
	char before, last;
};

/* Rewrites a body, piece by piece; there only while one is. */
struct client_pump {
	struct mime_downgrade *downgrade; /* NULL: only stuffing changes */
	bool counting;			  /* first pass */
	uint64_t at;			  /* bytes of the stored body read so far */
	uint64_t counted;		  /* first pass: bytes that come out */
	uint64_t sent;			  /* second pass: bytes that came out */
	bool unstuff, stuff;
	bool in_start, out_start; /* at the start of a line, coming in and going out */
	bool in_cr, out_cr;	  /* the last byte was CR */
	bool ready;		  /* there is something to do for it */
	struct buf plain;	  /* unstuffed */
	struct buf converted;
	struct buf stuffed;
	char piece[CLIENT_PIECE];
};

struct client {
	uint32_t magic;
	enum client_state state;
	struct io *io;
	struct io_conn *conn;
	const struct client_ops *ops;
	void *owner;
	const struct config_timeouts *timeouts;
	struct client_caps caps;
	char helo[CLIENT_NAME];
	char who[CLIENT_WHO];

	enum client_tls tls;
	/* The owner's, until ready() or failed(). */
	const struct tls_client *tls_wanted;
	struct span sasl_user, sasl_secret;
	struct client_link link;
	struct client_auth *auth; /* NULL: none under way */

	struct timer deadline; /* of what is being waited for */
	enum client_stage waiting;
	struct timer
		tick; /* work for the next turn: an outcome, a broken connection, a rewriting */
	int broken;   /* the connection failed in a call: enum err */

	enum client_outcome outcome;
	struct verdict verdict; /* of OUTCOME_FAILED */

	/* the transaction */
	struct client_job *job;
	struct client_plan plan;
	bool dirty;	/* the server may hold an open transaction: RSET before the next one */
	bool data_sent; /* DATA went out ahead of the replies */
	bool refused;	/* MAIL was refused, or an empty body went out: no result depends on
			 * what is still answered */
	bool mail_sent, rset_sent;
	/* What the next reply answers went out while a read is being looked at: it cannot be in
	 * that read. */
	bool asked_now;
	uint64_t emptied_ns; /* the kernel had nothing more from the peer then; 0: it may have */
	enum client_due due;
	uint32_t sent, answered; /* RCPTs: places in job->picks that were sent, answered */
	uint32_t in_flight;	 /* RCPTs without a reply */
	uint32_t accepted;
	uint32_t mails;		/* transactions begun in this session */
	size_t unsent_before;	/* at the last look of the deadline */
	uint64_t body_until_ns; /* the kernel has all of it by then */
	struct client_wire wire;
	uint64_t body_at; /* FORM_DATA_COPY: bytes of the stored body sent so far … */
	bool body_left;	  /* … and there are more */
	struct client_pump *pump;

	struct buf out;
	struct smtp_reply_parser parser;
	char in[CLIENT_IN];
};

/* ---- client.c */

/* Waits for something of this stage, from now on. */
void client_wait(struct client *client, enum client_stage stage);
void client_send_bytes(struct client *client, struct span bytes, bool more);
void client_send_out(struct client *client); /* the command buffer, and empties it */
void client_soon(struct client *client);     /* client_tick() in the next turn */
void client_die(struct client *client);	     /* lets go of connection and timers */

/* ---- client_outcome.c */
/* The last act of every event: nothing of the client may be touched after a call to the owner. */
void client_settle(struct client *client);
/* The session is over: notes why, in a sentence that ends with who the peer is. */
void client_fail(struct client *client, struct enhanced_code enhanced, const char *text);
/* The same, in a sentence that stands for itself. */
void client_fail_as(
	struct client *client, uint16_t code, struct enhanced_code enhanced, const char *text);
void client_fail_reply(struct client *client, const struct smtp_reply *reply);
/* There are more replies than commands. */
void client_fail_step(struct client *client);
/* The server said something that no server may say here. */
void client_fail_protocol(struct client *client, const struct smtp_reply *reply);

/* ---- client_hello.c */
void client_hello_reply(struct client *client, const struct smtp_reply *reply);
void client_hello(struct client *client);
/* EHLO was answered, and STARTTLS, if it was said: AUTH where it is wanted, else ready. */
void client_hello_done(struct client *client);
void client_ready(struct client *client);

/* ---- client_tls.c */
/* After the EHLO reply in clear. True: STARTTLS was said, or the session failed. */
bool client_tls_begin(struct client *client);
void client_tls_reply(struct client *client, const struct smtp_reply *reply);
/* The read with the reply that lets us begin was looked at; `behind`: it had more. */
void client_tls_handshake(struct client *client, bool behind);
void client_tls_secured(void *owner, int err, const struct tls_info *info);
/* The connection ends: if a handshake is under way, it failed like this … */
void client_tls_broke(struct client *client, enum tls_failure failure);

/* ---- client_auth.c */
/* True: AUTH was said, or the session failed. */
bool client_auth_begin(struct client *client);
void client_auth_reply(struct client *client, const struct smtp_reply *reply);
/* … and if AUTH was cancelled, that is why. */
void client_auth_broke(struct client *client);
/* No harm where none is under way. */
void client_auth_stop(struct client *client);

/* ---- client_caps.c */
void client_caps_parse(struct span ehlo_text, struct client_caps *out);

/* ---- client_plan.c */
/* Decides the plan, or settles every result. True: there is something to send. */
bool client_plan_make(struct client *client);
bool client_settled(const struct client_result *result);
/* Gives the verdict, about the mail, to all that have none … */
void client_settle_all(struct client *client, const struct verdict *verdict);
/* … or about the session. */
void client_settle_session(struct client *client, const struct verdict *verdict);

/* ---- client_command.c */
void client_add_mail(struct buf *out, const struct client *client);
void client_add_rcpt(
	struct buf *out, const struct client *client, const struct envelope_rcpt *rcpt);
bool client_address_safe(struct span address);

/* ---- client_send.c */
void client_transaction_begin(struct client *client); /* the plan stands */
void client_transaction_reply(struct client *client, const struct smtp_reply *reply);
void client_transaction_more(struct client *client); /* a batch of replies was worked off */
void client_finish(struct client *client, bool usable);

/* ---- client_wire.c */
/* At the start of a line, as after the DATA command. */
void client_wire_init(struct client_wire *wire);
/* The next bytes. False: they must not go out. */
bool client_wire_feed(struct client_wire *wire, struct span in);
/* At the start of a line: the end mark may follow. */
bool client_wire_at_line(const struct client_wire *wire);
/* Whole header fields and nothing else, or empty: it may go before a body. */
bool client_prepend_valid(struct span prepend);

/* ---- client_body.c */
uint64_t client_prepend_bytes(const struct client *client);
void client_body_send(struct client *client); /* after 354, or with BDAT */
void client_body_empty(struct client *client);
/* More of it is to be sent, as soon as the kernel has what was sent before. */
bool client_body_waits(const struct client *client);
void client_body_more(struct client *client);
bool client_body_whole(const struct client *client); /* the kernel has all of it */
/* Is all of it with the kernel? Then the reply is waited for, else progress is. */
void client_body_wait(struct client *client);
/* What is stored is not what was said of it; no byte of it goes any more. */
void client_body_unsound(struct client *client);
void client_body_unreadable(struct client *client, int err);
/* Prefixes of the body: the command where there is one, and our header fields. */
void client_body_front(struct client *client, bool more);

/* ---- client_pump.c */
int client_pump_start(struct client *client);
void client_pump_step(struct client *client);
void client_pump_free(struct client *client);

#endif
