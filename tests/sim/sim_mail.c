#include "sim_mail.h"

#include "base/buf.h"
#include "base/check.h"
#include "sim_world.h"

#include <stdio.h>
#include <stdlib.h>

#define MAIL_MOST (96u << 10) /* longer than inline-bytes of the simulated gateway */
#define MAIL_LINE 900

static const char letters[] =
	"abcdefghijklmnopqrstuvwxyz ABCDEFGHIJ 0123456789 .,;:<>()[]{}=?@-_\t";

static void add_line(struct sim *sim, struct buf *body, const struct ledger_mail *mail)
{
	size_t n = sim_skewed(sim, sim_chance(sim, 50) ? MAIL_LINE : 78);

	if (sim_chance(sim, 80))
		buf_add_str(body, sim_chance(sim, 500) ? "." : "..");
	for (size_t i = 0; i < n; i++) {
		char c = letters[sim_below(sim, sizeof(letters) - 1)];

		if (mail->eight_bit && sim_chance(sim, 100))
			c = (char)sim_between(sim, 0x80, 0xff);
		if (mail->binary && sim_chance(sim, 50))
			c = "\0\r\n\x01"[sim_below(sim, 4)];
		buf_add_char(body, c);
	}
	buf_add_str(body, "\r\n");
}

static void make_body(struct sim *sim, struct ledger_mail *mail)
{
	struct buf body;
	size_t most = sim_skewed(sim, MAIL_MOST);

	buf_init(&body, 4 * MAIL_MOST);
	(void)buf_reserve(&body, 1); /* never NULL */
	if (mail->has_field) {
		buf_printf(&body, "From: <%s>\r\nX-Sim: %u\r\n",
			mail->null_sender ? "postmaster@client.example" : mail->sender,
			mail->number);
		if (mail->utf8)
			buf_add_str(&body, "Subject: Gr\xc3\xbc\xc3\x9f"
					   "e\r\n");
		else if (sim_chance(sim, 500))
			buf_add_str(&body, "Subject: simulated\r\n\tand folded\r\n");
		if (mail->eight_bit || mail->binary)
			buf_printf(&body,
				"MIME-Version: 1.0\r\nContent-Type: "
				"%s\r\nContent-Transfer-Encoding: %s\r\n",
				mail->binary ? "application/octet-stream"
					     : "text/plain; charset=iso-8859-1",
				mail->binary ? "binary" : "8bit");
		if (mail->waives)
			buf_add_str(&body, "TLS-Required: No\r\n");
		buf_add_str(&body, "\r\n");
	}
	while (body.n < most)
		add_line(sim, &body, mail);
	if (mail->bare) {
		/* What smuggling looks like: an end for some, and none for others. */
		static const char *const ends[] = {
			"\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "a\nb", "a\rb"};

		buf_add_str(&body, ends[sim_below(sim, 6)]);
		buf_printf(&body,
			"MAIL FROM:<x@client.example>\r\nRCPT TO:<smuggled@a.example>\r\nDATA\r\n");
	}
	if (mail->open_end && !mail->bare)
		buf_add_str(&body, "no end");
	mail->body = body.p;
	mail->n = body.n;
}

static bool has_box(const struct ledger_mail *mail, const char *address)
{
	for (size_t i = 0; i < mail->rcpt_count; i++)
		if (strcmp(mail->rcpts[i].address, address) == 0)
			return true;
	return false;
}

/* By an alias, or by another name of its domain. */
static void give_box_another_name(struct sim *sim, struct ledger_rcpt *rcpt)
{
	char box = rcpt->address[3];

	if (!sim_chance(sim, 300))
		return;
	if (box == '0' && sim_chance(sim, 500))
		snprintf(rcpt->said, sizeof(rcpt->said), "nick0@c.example");
	else if (box == '2' && sim_chance(sim, 500))
		snprintf(rcpt->said, sizeof(rcpt->said), "nick%u@%s",
			(unsigned)sim_between(sim, 1, 2),
			sim_chance(sim, 500) ? "c.example" : "cc.example");
	else
		snprintf(rcpt->said, sizeof(rcpt->said), "box%c@cc.example", box);
}

static void add_rcpt(struct sim *sim, struct ledger_mail *mail, bool extended, bool again)
{
	struct ledger_rcpt *rcpt = &mail->rcpts[mail->rcpt_count];

	rcpt->domain =
		again ? mail->rcpts[0].domain : &world_domains[sim_below(sim, world_domain_count)];
	if (rcpt->domain->mailboxes) {
		char address[LEDGER_ADDRESS];

		snprintf(address, sizeof(address), "box%u@%s",
			(unsigned)sim_below(sim, WORLD_BOXES), rcpt->domain->name);
		if (has_box(mail, address))
			return;
		memcpy(rcpt->address, address, sizeof(address));
		mail->has_field = true;
		give_box_another_name(sim, rcpt);
	} else {
		snprintf(rcpt->address, sizeof(rcpt->address), "m%ur%zu%s@%s", mail->number,
			mail->rcpt_count, mail->utf8 && sim_chance(sim, 500) ? "\xc3\xa9" : "",
			rcpt->domain->name);
		/* Another name of that domain. */
		if (strcmp(rcpt->domain->name, "a.example") == 0 && sim_chance(sim, 150)) {
			size_t at = strcspn(rcpt->address, "@");

			memcpy(rcpt->said, rcpt->address, at);
			memcpy(rcpt->said + at, "@aa.example", sizeof("@aa.example"));
		}
	}
	rcpt->full = rcpt->domain->full_boxes && sim_chance(sim, 700);
	if (extended && sim_chance(sim, 300))
		rcpt->notify = (enum ledger_notify)sim_between(
			sim, LEDGER_NOTIFY_NEVER, LEDGER_NOTIFY_SUCCESS);
	mail->rcpt_count++;
}

struct ledger_mail *sim_mail_make(struct sim *sim, struct ledger *ledger, bool extended)
{
	struct ledger_mail *mail = ledger_mail_new(ledger);
	size_t rcpts = sim_chance(sim, 600) ? 1 : sim_between(sim, 1, LEDGER_RCPTS);
	bool one_domain = sim_chance(sim, 500);

	mail->null_sender = sim_chance(sim, 60);
	mail->utf8 = extended && sim_chance(sim, 80);
	if (!mail->null_sender)
		snprintf(mail->sender, sizeof(mail->sender), "s%u%s@%s", mail->number,
			mail->utf8 && sim_chance(sim, 500) ? "\xc3\x9f" : "",
			sim_chance(sim, 300) ? WORLD_BRANCH : WORLD_SENDER);
	mail->bare = !mail->utf8 && sim_chance(sim, 40);
	mail->eight_bit = mail->utf8 || (!mail->bare && sim_chance(sim, 200));
	mail->binary = extended && !mail->bare && !mail->utf8 && sim_chance(sim, 60);
	mail->open_end = extended && (mail->binary || sim_chance(sim, 60));
	mail->has_field = mail->eight_bit || mail->binary || sim_chance(sim, 800);
	mail->waives = mail->has_field && sim_chance(sim, 150);
	for (size_t i = 0; i < rcpts; i++)
		add_rcpt(sim, mail, extended, one_domain && mail->rcpt_count);
	make_body(sim, mail);
	return mail;
}
