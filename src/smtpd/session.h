/*
 * One SMTP session, for the files of this folder only: session.c turns the io's callbacks into
 * input, input.c cuts input into command lines and body bytes, body.c takes a body in, the cmd_*.c
 * files answer commands, transaction.c keeps what MAIL began. Before the greeting there may be a
 * PROXY header (proxy.c) and a handshake (secure.c).
 *
 * Order: replies to all commands of one chunk of input leave in one send. While a body is being
 * committed, or an answer of somebody else is waited for, nothing further is interpreted, so
 * replies keep the order of commands (RFC 2920).
 *
 * Life: from smtpd_session_start() until the connection ends; longer only while a commit runs,
 * whose outcome is still reported.
 */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include "base/arena.h"
#include "base/list.h"
#include "codec/smtp_command.h"
#include "codec/smtp_data.h"
#include "route/route.h"
#include "smtpd/auth.h"
#include "smtpd/clients.h"
#include "smtpd/hops.h"
#include "smtpd/smtpd.h"
#include "trace/flood.h"

#define SESSION_LINE	 (SMTP_COMMAND_BYTES + 2u) /* bytes of a command line with CRLF */
#define SESSION_SCRATCH	 65536u			   /* the worker's input buffer */
#define SESSION_AHEAD	 4096u	      /* bytes read ahead while nothing can be interpreted */
#define SESSION_HELD	 (8u << 20)   /* bytes of input that wait in one session, at most */
#define SESSION_UNSENT	 65536u	      /* unread replies, above which no command is looked at */
#define SESSION_REPLY	 512u	      /* bytes of a reply line with CRLF (RFC 5321 4.5.3.1.5) */
#define SESSION_REPLIES	 16384u	      /* bytes of replies gathered before they are sent */
#define SESSION_ENVELOPE (8u << 20)   /* bytes of one transaction's envelope */
#define SESSION_PARSED	 65536u	      /* bytes that parsing one command may take */
#define SESSION_SLOW_MS	 1000u	      /* wait after a recipient that is one of many refused */
#define SESSION_NAMED	 1000u	      /* recipients that the event of a refusal names */
#define SMTPD_ENVELOPES	 (256u << 20) /* of all transactions of a worker */
#define SESSION_ROOM_MS	 30000u	      /* a body waits this long for memory, then 452 */
#define SESSION_MAILS	 100000u      /* transactions of one session: LIMITS MAILMAX (RFC 9422) */
#define SESSION_CLIENTS	 10000u	      /* for whom a peer speaks in one connection (XCLIENT) */
#define SESSION_RCPTS	 50000u	      /* of one transaction, aliases followed */
#define SESSION_PROXY_MS 10000u	      /* for a PROXY header */
#define SESSION_TLS_MS	 60000u	      /* for a handshake, at most */
#define SESSION_LATE_MS	 5000u	      /* after which a promised answer or end is not waited for */
#define SESSION_LOGINS	 3u	      /* failed ones of one session */
#define SESSION_REPEATS	 4u	      /* beside these, each the same as the one before */
#define SESSION_WRONG	 16	      /* bytes of the digest of a wrong password */

enum session_phase {
	PHASE_COMMAND,
	PHASE_PROXY, /* a PROXY header, before anything is said */
	PHASE_AUTH,  /* a line of an AUTH exchange */
	PHASE_DATA,  /* body until CRLF.CRLF */
	PHASE_CHUNK, /* `chunk_left` octets of a BDAT */
	/* In what follows nothing is interpreted. */
	PHASE_TLS,    /* a handshake, or it is about to begin */
	PHASE_ASK,    /* somebody else is asked, or the bad news wait */
	PHASE_COMMIT, /* the spool writer has the message */
};

/* Why the body that comes in is not kept; its bytes are read and dropped. The reply comes at its
 * end. */
enum body_failure {
	BODY_FINE, /* or the scanner knows what is wrong */
	BODY_TOO_BIG,
	BODY_NO_SPACE, /* 452: disk full, or memory short for too long */
	BODY_IO,       /* 451 */
};

struct session;
struct exchange;   /* auth_exchange.c */
struct rcpt_asked; /* cmd_rcpt.c */

/* A BDAT that was wrong from the start. */
struct chunk_refusal {
	unsigned code;
	const char *enhanced, *text;
	bool error; /* of the client: counted */
};

/* From MAIL to the end of the body, or RSET. In the session's arena, but for the draft. */
struct transaction {
	struct snapshot *snapshot; /* the generation it began with */
	uint64_t begun_ns, body_end_ns;
	int64_t body_end_ms;
	uint64_t id; /* once it is being committed */
	struct span sender, envid;
	struct span relay; /* by what right it goes to domains that are not served here */
	uint8_t ret;
	uint32_t flags; /* enum envelope_flags, without what the body adds */
	struct envelope_rcpt *rcpts;
	struct span *addresses; /* of them, for events */
	uint32_t *hashes;	/* of their addresses: finds duplicates */
	uint32_t rcpt_count, rcpt_room;
	uint32_t given;	   /* recipients that the client gave: aliases may have made more of them */
	bool chunked;	   /* a BDAT was seen: DATA no more (RFC 3030 section 2) */
	bool chunk_failed; /* and answered with an error: only RSET helps */
	struct spool_draft *draft; /* NULL: no body yet, or it is dropped */
	enum body_failure failure;
	/* Input that was scanned already and waits to be stored, at the front of what is held. */
	bool scanned, scanned_end;
	size_t copy_left, skip_left;
	struct smtp_data scan;
};

struct session {
	uint32_t magic;
	struct list node;  /* smtpd->sessions */
	struct list ready; /* smtpd->ready: input waits to be looked at, at the turn's end */
	struct smtpd *smtpd;
	struct io_conn *conn;  /* NULL: gone; a commit still runs */
	struct netaddr client; /* who it is for, says a PROXY header or XCLIENT; else the peer */
	uint32_t listener;
	enum session_phase phase;
	bool counted; /* in smtpd->clients */
	bool tls;
	bool ahead;	   /* bytes were there before the 220 to STARTTLS was given */
	bool handshake;	   /* it has begun */
	bool proxied;	   /* a PROXY header named the client */
	bool spoken_for;   /* XCLIENT did: the link is another one's */
	bool user_told;	   /* by XCLIENT: the directory need not know `user` */
	bool plus_offered; /* SCRAM-SHA-256-PLUS, in the last EHLO */
	bool auth_tried;   /* what comes may be a password in the wrong place: it is not logged */
	uint8_t logins;	   /* that failed */
	uint8_t repeats;   /* of one that failed, which were not counted */
	bool has_wrong;	   /* the last one that failed was: */
	uint8_t wrong[SESSION_WRONG];
	bool greeted;	/* HELO or EHLO was accepted */
	bool extended;	/* EHLO */
	bool skip_line; /* up to the next CRLF nothing counts */
	bool skip_cr;	/* the last byte skipped was a CR */
	bool eof;	/* the peer will send no more */
	bool paused;
	bool choked;	 /* replies wait for the client to read them */
	bool wants_room; /* the body waits for memory */
	bool slowed;	 /* many of its recipients were refused: what follows waits */
	bool direct;	 /* the io reads straight into the draft */
	bool ending;	 /* the last reply was given: close after it is sent */
	bool quit;	 /* the client said that it sends no more */
	bool let_go;	 /* we stop: its end is not waited for */
	bool broken;	 /* nothing can be sent any more */
	bool chunk_last;
	const struct chunk_refusal *chunk_refusal; /* not NULL: the octets are dropped, then this */
	char *direct_at;			   /* where they lie */
	uint32_t errors;
	uint32_t commands; /* since the last message */
	uint32_t refused;  /* recipients refused for good since the last message */
	uint32_t mails;
	uint32_t clients; /* that XCLIENT named: what one of them did is not counted to the next */
	struct span helo; /* heap */
	struct span user; /* who logged in, heap; empty: nobody */
	uint64_t user_since;	   /* the account's logins_since as the password was checked */
	const char *mechanism;	   /* of the last AUTH; NULL: there was none */
	struct exchange *exchange; /* heap, while AUTH runs */
	struct rcpt_asked *asked;  /* heap, while a recipient's next hops are asked for */
	struct timer timer;	   /* armed for a deadline or earlier; moved only when it fires */
	uint64_t started_ns;
	uint64_t wait_ns; /* deadline of what the phase waits for */
	uint64_t slow_ns; /* slowed until then */
	uint64_t chunk_left;
	size_t arena_counted; /* of arena.used, in smtpd->envelope_bytes */
	struct buf held;      /* input that is not interpreted yet; freed when empty */
	struct arena arena;
	struct transaction *transaction;
};

struct smtpd {
	uint32_t magic;
	struct smtpd_config c;
	struct io *io;
	struct snapshot *snapshot;
	bool queue_full;
	bool draining;
	struct list sessions;
	uint32_t session_count;
	struct list ready;
	struct io_turn turn;
	struct clients clients;
	bool has_wrong_key;
	uint8_t wrong_key[32]; /* of auth_again.c */
	char *scratch;	       /* SESSION_SCRATCH bytes: input of whoever's turn it is */
	struct buf out;	       /* likewise, replies; empty between callbacks */
	struct buf work;       /* likewise, a header or a text that is put together */
	struct arena parsed;   /* the command that is carried out; empty between commands */
	size_t envelope_bytes; /* in the arenas of all sessions */
	struct smtpd_figures figures;
	struct tls_server *tls[CONFIG_LISTENERS]; /* held; NULL: none */
	struct flood lost;			  /* connections, in transactions */
	struct timer lost_timer;
	struct timer drain_timer;
	void (*drained)(void *arg);
	void *drained_arg;
};

/* ---- smtpd.c -------------------------------------------------------------------------------- */

/* Looks at the session again at the end of this turn. */
void smtpd_make_ready(struct smtpd *smtpd, struct session *s);
/* The session's client, which was not counted so far, may come in. False: it was told not to, and
 * the session ends. */
bool smtpd_admit_client(struct session *s);
void smtpd_forget_client(struct session *s);

/* ---- session.c ------------------------------------------------------------------------------ */

extern const struct io_conn_handler session_handler;

int session_new(struct smtpd *smtpd, struct io_conn *conn, const struct netaddr *client,
	uint32_t listener, struct session **out);
/* Closes the connection, aborts the transaction, frees. A commit that runs is not waited for. */
void session_free(struct session **s, bool linger);
/* The client is known: the greeting, or the handshake that comes before it. */
void session_open(struct session *s);
void session_greet(struct session *s);
/* What the client said of itself, and what it began, is as if it had not been (RFC 3207 section
 * 4.2). */
void session_forget(struct session *s);
/* As before AUTH. */
void session_log_out(struct session *s);
/* Sees to it that the timer fires by the next deadline. ERR_NOMEM. */
int session_watch(struct session *s);
/* What was asked for has come: what the client sent meanwhile is looked at, at the turn's end. */
void session_answered(struct session *s);
/* Input from outside the draft: interprets what it can and holds the rest. */
void session_take(struct session *s, struct span in);
/* Goes on with input that waited. */
void session_resume(struct session *s);
/* Nothing more is looked at for SESSION_SLOW_MS. */
void session_slow(struct session *s);
/* 421 with this text, then the end; not while a commit runs. */
void session_stop(struct session *s, const char *enhanced, const char *text);
/* Every entry into a session ends with this: sends replies, sees to deadlines and pauses, and
 * frees the session where it is over. */
void session_settle(struct session *s);

/* What the client must do next, it does within this time. */
static inline void session_wait(struct session *s, uint64_t ms)
{
	s->wait_ns = s->smtpd->io->now_ns + ms * NS_PER_MS;
}

static inline bool session_in_body(const struct session *s)
{
	return s->phase == PHASE_DATA || s->phase == PHASE_CHUNK;
}

/* Nothing can be interpreted now. */
static inline bool session_blocked(const struct session *s)
{
	return s->phase >= PHASE_TLS || s->ending || s->choked || s->wants_room || s->slowed;
}

/* The client could not read what we say, or would take it for something else. */
static inline bool session_mute(const struct session *s)
{
	return s->phase == PHASE_TLS || s->phase == PHASE_PROXY;
}

static inline const struct config_listener *session_listener(const struct session *s)
{
	return &s->smtpd->c.config->listeners[s->listener];
}

/* What comes before all commands: a handshake, where the listener begins with it. */
static inline enum session_phase session_first_phase(const struct session *s)
{
	return session_listener(s)->tls.mode == CONFIG_TLS_IMPLICIT ? PHASE_TLS : PHASE_COMMAND;
}

/* ---- input.c -------------------------------------------------------------------------------- */

/* Interprets what it can; the number of bytes that are done with. */
size_t input_run(struct session *s, struct span in);

/* ---- body.c --------------------------------------------------------------------------------- */

/* Begins a body: the draft and the scanner. Where the spool gives no draft, the transaction's
 * `failure` says why, and what comes is dropped. */
void body_begin(struct session *s, bool chunked);
/* What an error of the spool writer means for the body. */
enum body_failure body_failure_of(int err);
/* Where the io may put the next body bytes. False: not straight into the draft. */
bool body_room(struct session *s, struct iovec *to);
/* n bytes lie there. */
void body_received(struct session *s, size_t n);
/* Body bytes that came in elsewhere; how many are done with. */
size_t body_copy(struct session *s, struct span in);
/* Memory did not come in time. */
void body_no_room(struct session *s);
/* The octets of a BDAT are all there, or it has none. */
void body_chunk_done(struct session *s);

/* ---- finish.c ------------------------------------------------------------------------------- */

/* The body is whole: refuses it, or hands it to the spool writer. */
void finish_body(struct session *s);
/* The reply for a body that cannot be kept. False where nothing is wrong with it so far. */
bool finish_refused(struct session *s);

/* ---- transaction.c -------------------------------------------------------------------------- */

/* What MAIL said is copied. False: memory is used up, and no transaction begun. */
bool transaction_begin(struct session *s, const struct smtp_command *mail);
/* Copied, too. False: memory is used up, or there are too many. A recipient that is there already
 * is not taken twice. */
bool transaction_add(struct session *s, const struct envelope_rcpt *rcpt);
/* One of its recipients took this right; the first is kept for the trace. */
void transaction_keep_right(
	struct session *s, enum route_right right, const struct route_certificate *certificate);
/* Only the first `count` recipients stay. */
void transaction_cut(struct session *s, uint32_t count);
/* Forgets it, its draft, and all memory. No harm where there is none. */
void transaction_reset(struct session *s);

/* ---- cmd_*.c -------------------------------------------------------------------------------- */

/* One line without its CRLF. */
void command_run(struct session *s, struct span line);

void cmd_helo(struct session *s, const struct smtp_command *command);
void cmd_mail(struct session *s, const struct smtp_command *command);
void cmd_rcpt(struct session *s, const struct smtp_command *command);
void cmd_data(struct session *s);
void cmd_bdat(struct session *s, const struct smtp_command *command);
void cmd_misc(struct session *s, const struct smtp_command *command);
void cmd_starttls(struct session *s);
void cmd_auth(struct session *s, const struct smtp_command *command);
void cmd_xclient(struct session *s, const struct smtp_command *command);

/* cmd_rcpt.c: forgets the question, if there is one. */
void rcpt_forget(struct session *s);
/* The answer did not come in time. */
void rcpt_late(struct session *s);

/* cmd_xclient.c: may the peer say it? */
bool xclient_offered(const struct session *s);

/* ---- secure.c ------------------------------------------------------------------------------- */

/* Is STARTTLS offered? */
bool secure_offered(const struct session *s);
/* In PHASE_TLS, after all was said: begins the handshake, as soon as it can. */
void secure_begin(struct session *s);
void secure_done(void *owner, int err, const struct tls_info *info);
/* The handshake failed, or there can be none: told to the log and the trace; the connection ends.
 */
void secure_failed(struct session *s, const char *why, struct span detail);

/* ---- proxy.c -------------------------------------------------------------------------------- */

/* Must a PROXY header come from this peer? */
bool proxy_expected(const struct session *s);
/* So many bytes may be read next: none behind the header, which may be a handshake's. */
size_t proxy_wants(const struct session *s);
/* As input_run(). */
size_t proxy_take(struct session *s, struct span in);
void proxy_failed(struct session *s, const char *why);

/* ---- auth_exchange.c ------------------------------------------------------------------------ */

/* The mechanisms (codec/sasl.h) that can be used now; 0: AUTH cannot. */
unsigned auth_usable(const struct session *s);
/* Those that EHLO shows. */
unsigned auth_advertised(const struct session *s);
/* `initial` is in base64; empty: not given. */
void auth_begin(struct session *s, unsigned mechanism, struct span initial);
/* A line without its CRLF, in PHASE_AUTH. */
void auth_line(struct session *s, struct span line);
/* In PHASE_ASK: the time is over, of the question or until the bad news. */
void auth_due(struct session *s);
/* In PHASE_ASK: the answer is no, and only waits to be told. */
bool auth_is_refused(const struct session *s);
/* No harm where there is no exchange. */
void auth_forget(struct session *s);

/* ---- cmd_auth.c ----------------------------------------------------------------------------- */

/* The exchange is over. */
/* `since`: logins_since of the account in a directory no newer than what the password was checked
 * against; 0: it is not known. */
void auth_succeeded(struct session *s, struct span account, uint64_t since, const char *mechanism);
/* AUTH_NO, AUTH_LATER or AUTH_BROKEN; `user` as far as it is known. */
void auth_failed(struct session *s, enum auth_result why, struct span user);
/* AUTH_NO once more, for what was refused a moment ago: not counted again. */
void auth_failed_again(struct session *s, struct span user);
/* Not the fault of what is known: base64, lengths, the syntax of a message; counted as an error. */
void auth_malformed(struct session *s, unsigned code, const char *enhanced, const char *text);

/* ---- reply.c -------------------------------------------------------------------------------- */

/* A one-line reply; text is ours. `enhanced` is NULL where RFC 2034 wants none. */
void reply(struct session *s, unsigned code, const char *enhanced, const char *text);
/* The same with text that may hold a peer's bytes: made printable, and cut to SESSION_REPLY. */
void reply_text(struct session *s, unsigned code, const char *enhanced, struct span text);
void reply_verdict(struct session *s, const struct verdict *verdict);
/* Sends what was gathered. Sets s->ending where the connection is broken. */
void reply_flush(struct session *s);
/* A protocol error of the client: counted, and 421 when there were too many. */
void reply_error(struct session *s, unsigned code, const char *enhanced, const char *text);
void reply_syntax(struct session *s, const struct smtp_refusal *refusal);
/* 421, and the session ends. */
void reply_goodbye(struct session *s, const char *enhanced, const char *text);

/* ---- refusal.c ------------------------------------------------------------------------------ */

/* Counts, logs and traces a refusal. `recipient` is empty where it speaks of none: then those of
 * the transaction are named. */
void refuse(struct session *s, enum smtpd_refusal reason, const struct verdict *verdict,
	struct span recipient);
/* Of a MAIL that began no transaction. */
void refuse_sender(struct session *s, enum smtpd_refusal reason, const struct verdict *verdict,
	struct span sender);
/* Of a login: with the name that was tried. `why`: what the client is not told; NULL: nothing. */
void refuse_login(struct session *s, enum smtpd_refusal reason, const struct verdict *verdict,
	struct span user, const char *why);
void refuse_simple(struct session *s, enum smtpd_refusal reason, unsigned code,
	const char *enhanced, const char *text, struct span recipient);
/* The same, and tells the client. */
void reply_refuse(struct session *s, enum smtpd_refusal reason, unsigned code, const char *enhanced,
	const char *text, struct span recipient);
void reply_refuse_sender(struct session *s, enum smtpd_refusal reason, unsigned code,
	const char *enhanced, const char *text, struct span sender);

/* ---- lost.c --------------------------------------------------------------------------------- */

/* The client of a transaction is gone: tells the log, so often a minute at most. */
void lost_connection(struct session *s);
/* Tells how many more there were. */
void lost_sum(struct smtpd *smtpd);
void lost_minute_over(struct timer *timer);

/* ---- path.c --------------------------------------------------------------------------------- */

/* The address of a MAIL or RCPT that did not parse: in canonical form if it is one, else as it was
 * given, at most ADDRESS_MAILBOX_BYTES of it. In the arena or the line. */
struct span path_given(struct span line, struct arena *arena);
/* The ORCPT of a recipient that becomes another one, which the client gave none for: notifications
 * still name the one that the sender wrote (RFC 3461 section 5.2.1 (d)). In `work`; empty where it
 * would be too long. */
struct span path_original(struct span address, struct buf *work);

#endif
