/*
 * What the files of a simulated client share: sim_client.c (its life, and what it is told),
 * sim_client_send.c (what it says), sim_client_plan.c (who it is, and what it is going to do before
 * its first message), sim_client_tls.c (its protection), sim_client_login.c (AUTH).
 */
#ifndef SIM_CLIENT_INNER_H
#define SIM_CLIENT_INNER_H

#include "sim_client.h"

#include "base/buf.h"
#include "codec/scram.h"
#include "sim_relay.h"
#include "sim_tls.h"

#define CLIENT_EXPECTED 512
#define CLIENT_BYTES	(16u << 20)
#define CLIENT_ARENA	32768
#define CLIENT_PATIENCE (40 * SIM_MINUTE)

enum expected {
	EXPECT_GREETING,
	EXPECT_HELLO,
	EXPECT_MAIL,
	EXPECT_RCPT,
	EXPECT_DATA,
	EXPECT_CHUNK,
	EXPECT_END,
	EXPECT_RSET,
	EXPECT_NO_DATA, /* DATA after BDAT: any refusal */
	EXPECT_ANY,
	EXPECT_STARTTLS,
	EXPECT_XCLIENT,
	EXPECT_LOGIN,
	EXPECT_NO, /* any refusal: it may not do that */
	EXPECT_QUIT
};

enum login { LOGIN_NOT, LOGIN_PLAIN, LOGIN_LOGIN, LOGIN_SCRAM, LOGIN_SCRAM_PLUS };

/* What it does before its first message. */
struct client_plan {
	bool tls;
	bool injects;	 /* says more behind STARTTLS, in clear */
	bool hasty;	 /* no EHLO after the handshake */
	bool oversteps;	 /* does once more what it has done */
	bool breaks_off; /* the handshake */
	enum sim_cert certificate;
	char proxy[128]; /* what it begins with */
	size_t proxy_bytes;
	bool spoofs;	   /* a PROXY header that nobody must believe */
	char xclient[128]; /* a command; "": none */
	bool may_xclient;
	struct sim_who after_xclient;
	enum login login;
	bool login_in_clear, login_nonsense;
	unsigned logins; /* how often it tries */
	int box;	 /* whose account */
	bool right;	 /* … and with his password */
};

struct expectation {
	enum expected what;
	size_t rcpt;
	struct ledger_mail *mail;
};

struct client {
	struct sim *sim;
	struct ledger *ledger;
	struct sim_end *end;
	struct buf out, in;
	struct expectation expected[CLIENT_EXPECTED];
	size_t expected_first, expected_count;
	struct ledger_mail *mail;
	size_t left;
	unsigned false_starts; /* in 1000ths of its messages */
	bool extended, pipelines, eager, chunks, deaf, mail_refused;
	size_t rcpt_at, taken;
	uint64_t given, written; /* bytes, of the whole connection */
	uint64_t cut_at;	 /* it disappears after so many bytes */
	bool cut_resets;
	uint64_t stall_at;
	struct timer timer, patience;
	struct sim_who who;
	struct client_plan plan;
	struct sim_tls *tls;
	struct buf wire; /* sealed, and not written yet */
	bool secured, gives_up;
	bool in_doubt; /* a message may have been refused by halves */
	unsigned login_step;
	struct scram_client scram;
	struct arena arena; /* of the login */
};

void sim_client_gone(struct client *c, bool reset);
bool sim_client_flush(struct client *c);
void sim_client_stall_over(struct timer *timer);
void sim_client_expect(struct client *c, enum expected what, size_t rcpt);
void sim_client_say(struct client *c, enum expected what, size_t rcpt, const char *line);
void sim_client_settle(struct client *c, struct ledger_mail *mail, enum ledger_told told);
void sim_client_next_mail(struct client *c);
void sim_client_go_on(struct client *c);
void sim_client_give_stuffed(struct client *c);
void sim_client_hello(struct client *c);

/* sim_client_plan.c */
struct netaddr sim_client_choose(struct client *c, unsigned trouble);
/* After EHLO: the next thing that was planned, or the first message. */
void sim_client_go(struct client *c);
/* A recipient was taken or refused: might it be? */
void sim_client_judge_rcpt(struct client *c, const struct ledger_mail *mail,
	const struct ledger_rcpt *rcpt, unsigned code);
void sim_client_judge_mail(struct client *c, const struct ledger_mail *mail, unsigned code);

/* sim_client_tls.c */
void sim_client_begin_tls(struct client *c);
/* What comes next is read into c->in. False: the client is gone. */
bool sim_client_read(struct client *c, bool *ended);
/* As sim_end_write(). */
int64_t sim_client_write(struct client *c, const char *bytes, size_t n);

/* sim_client_login.c */
void sim_client_begin_login(struct client *c);
void sim_client_login_reply(struct client *c, unsigned code, struct span text);

#endif
