/*
 * What the files of a simulated client share: sim_client.c (its life, and what it is told),
 * sim_client_send.c (what it says).
 */
#ifndef SIM_CLIENT_INNER_H
#define SIM_CLIENT_INNER_H

#include "sim_client.h"

#include "base/buf.h"

#define CLIENT_EXPECTED 512
#define CLIENT_BYTES	(16u << 20)
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
	EXPECT_QUIT
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

#endif
