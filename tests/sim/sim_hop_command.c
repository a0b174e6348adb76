#include "sim_hop_inner.h"

#include <stdio.h>
#include <stdlib.h>

/* The text between < and >. */
static void path_of(const char *line, char out[LEDGER_ADDRESS])
{
	const char *from = strchr(line, '<'), *to = strchr(line, '>');

	*out = '\0';
	if (from && to && to > from && to - from - 1 < LEDGER_ADDRESS)
		snprintf(out, LEDGER_ADDRESS, "%.*s", (int)(to - from - 1), from + 1);
}

static void hello(struct session *s, bool extended)
{
	static const struct {
		unsigned bit;
		const char *name;
	} words[] = {{HOP_PIPELINING, "PIPELINING"}, {HOP_8BITMIME, "8BITMIME"},
		{HOP_CHUNKING, "CHUNKING"}, {HOP_BINARYMIME, "BINARYMIME"}, {HOP_DSN, "DSN"},
		{HOP_SMTPUTF8, "SMTPUTF8"}, {HOP_SIZE, "SIZE 8000000"},
		{HOP_ENHANCED, "ENHANCEDSTATUSCODES"}};

	if (extended && !(s->hop->kind->extensions & HOP_ESMTP)) {
		buf_add_str(&s->out, "502 what?\r\n");
		return;
	}
	s->greeted = true;
	s->extended = extended;
	/* The first line names the server, and no extension. */
	if (extended)
		buf_add_str(&s->out, "250-hop\r\n");
	if (extended && sim_hop_offers_tls(s)) {
		buf_add_str(&s->out, "250-STARTTLS\r\n");
		s->offered = true;
	}
	if (extended && s->secured && s->hop->kind->extensions & HOP_REQUIRETLS)
		buf_add_str(&s->out, "250-REQUIRETLS\r\n");
	if (extended)
		sim_hop_say_auth(s);
	for (size_t i = 0; extended && i < ARRAY_SIZE(words); i++)
		if (s->hop->kind->extensions & words[i].bit)
			buf_printf(&s->out, "250-%s\r\n", words[i].name);
	buf_add_str(&s->out, extended ? "250 HELP\r\n" : "250 hop\r\n");
}

/* RFC 3461 section 5.2.1: what the sender asked for goes on to who can do it, and to nobody else.
 */
static void check_notify(struct session *s, const char *line, const struct ledger_rcpt *known)
{
	static const char *const words[] = {
		NULL, "NOTIFY=NEVER", "NOTIFY=FAILURE,DELAY", "NOTIFY=SUCCESS"};
	const char *said = strstr(line, " NOTIFY="), *end;

	if (s->extended && s->hop->kind->extensions & HOP_DSN) {
		const char *word = known ? words[known->notify] : words[LEDGER_NOTIFY_NEVER];

		end = said ? said + 1 + strcspn(said + 1, " ") : NULL;
		if ((said == NULL) != (word == NULL) ||
			(said && ((size_t)(end - said) != strlen(word) + 1 ||
					 strncmp(said + 1, word, strlen(word)) != 0)))
			ledger_violation(s->hop->ledger, "%s: the sender asked for %s: %s",
				s->hop->kind->name, word ? word : "nothing", line);
	} else if (said) {
		ledger_violation(
			s->hop->ledger, "%s: NOTIFY, which was not offered", s->hop->kind->name);
	}
}

static void check_utf8(struct session *s, const char *line)
{
	for (; *line; line++)
		if (*line & 0x80 && !s->utf8) {
			ledger_violation(s->hop->ledger, "%s: 8-bit address without SMTPUTF8",
				s->hop->kind->name);
			return;
		}
}

static void rcpt(struct session *s, const char *line)
{
	struct sim *sim = s->hop->sim;
	char address[LEDGER_ADDRESS];

	path_of(line, address);
	struct ledger_rcpt *known = ledger_rcpt_find(s->hop->ledger, address);

	check_notify(s, line, known);
	check_utf8(s, line);
	if (s->rcpt_count == HOP_RCPTS || sim_hop_trouble(s, 2)) {
		sim_hop_say(s, "452", "4.5.3", "too many");
		return;
	}
	if (!sim->calm && sim_chance(sim, s->hop->kind->refuses)) {
		if (known)
			known->refused = true;
		sim_hop_say(s, "550", "5.1.1", "nobody here");
		return;
	}
	if (s->hop->kind->greylists && known && !known->grey_until_ns)
		known->grey_until_ns = sim->now_ns + HOP_GREY_NS;
	if (known && sim->now_ns < known->grey_until_ns) {
		sim_hop_say(s, "451", "4.7.1", "greylisted");
		return;
	}
	if (s->hop->kind->full_boxes && known && known->full) {
		sim_hop_say(s, "452", "4.2.2", "mailbox full");
		return;
	}
	memcpy(s->rcpts[s->rcpt_count++], address, LEDGER_ADDRESS);
	sim_hop_say(s, "250", "2.1.5", "fine");
}

static void chunk(struct session *s, const char *line)
{
	char *rest;

	s->chunk_left = strtoull(line + 5, &rest, 10);
	s->chunk_last = strncmp(rest, " LAST", 5) == 0;
	s->chunk_bad = !s->rcpt_count;
	if (!s->chunked)
		buf_clear(&s->body);
	s->chunked = true;
	if (!(s->hop->kind->extensions & HOP_CHUNKING))
		ledger_violation(
			s->hop->ledger, "%s: BDAT, which was not offered", s->hop->kind->name);
}

/* One line without its end. False: the session is gone. */
static bool command(struct session *s, const char *line)
{
	const struct sim_hop_kind *kind = s->hop->kind;

	if (sim_hop_trouble(s, 4)) {
		sim_fault(s->hop->sim, FAULT_PEER_DROP);
		sim_hop_end(s, sim_chance(s->hop->sim, 500));
		return false;
	}
	if (strncmp(line, "EHLO ", 5) == 0 || strncmp(line, "HELO ", 5) == 0) {
		snprintf(s->helo, sizeof(s->helo), "%.63s", line + 5);
		hello(s, *line == 'E');
	} else if (strcmp(line, "STARTTLS") == 0 && s->extended && !s->tls && kind->cert) {
		return sim_hop_starttls(s);
	} else if (sim_hop_auth(s, line)) {
		return true;
	} else if (strncmp(line, "MAIL FROM:", 10) == 0 && kind->login && !s->logged_in) {
		sim_hop_say(s, "530", "5.7.0", "log in first");
	} else if (strncmp(line, "MAIL FROM:", 10) == 0 && s->greeted && !s->in_mail) {
		if (strstr(line, "BODY=") && !(kind->extensions & HOP_8BITMIME))
			ledger_violation(
				s->hop->ledger, "%s: BODY, which was not offered", kind->name);
		sim_hop_reset_mail(s);
		path_of(line, s->sender);
		s->utf8 = strstr(line, " SMTPUTF8") != NULL;
		s->require_tls = strstr(line, " REQUIRETLS") != NULL;
		if (s->require_tls && !(s->secured && kind->extensions & HOP_REQUIRETLS))
			ledger_violation(s->hop->ledger, "%s: REQUIRETLS, which was not offered",
				kind->name);
		if (s->utf8 && !(kind->extensions & HOP_SMTPUTF8))
			ledger_violation(
				s->hop->ledger, "%s: SMTPUTF8, which was not offered", kind->name);
		check_utf8(s, line);
		if (sim_hop_trouble(s, 2)) {
			sim_hop_say(s, "451", "4.3.2", "not now");
		} else {
			s->in_mail = true;
			sim_hop_say(s, "250", "2.1.0", "fine");
		}
	} else if (strncmp(line, "RCPT TO:", 8) == 0 && s->in_mail) {
		rcpt(s, line);
	} else if (strcmp(line, "DATA") == 0 && s->rcpt_count && !s->chunked) {
		s->in_data = true;
		sim_hop_say(s, "354", "", "go on");
	} else if (strncmp(line, "BDAT ", 5) == 0) {
		chunk(s, line);
		if (!s->chunk_left)
			return sim_hop_take_chunk(s, &(bool){false});
	} else if (strcmp(line, "RSET") == 0) {
		sim_hop_reset_mail(s);
		sim_hop_say(s, "250", "2.0.0", "fine");
	} else if (strcmp(line, "QUIT") == 0) {
		sim_hop_say(s, "221", "2.0.0", "bye");
		s->ending = true;
	} else {
		sim_hop_say(s, "503", "5.5.1", "what?");
	}
	return true;
}

static bool take_line(struct session *s, bool *more)
{
	const char *at = s->in.n ? memchr(s->in.p, '\n', s->in.n) : NULL;
	char line[1024];

	*more = false;
	if (!at)
		return true;
	size_t n = (size_t)(at - s->in.p) + 1;
	if (n < 2 || s->in.p[n - 2] != '\r' || n > sizeof(line)) {
		ledger_violation(s->hop->ledger, "%s: a command line of %zu bytes ends badly",
			s->hop->kind->name, n);
		sim_hop_end(s, true);
		return false;
	}
	snprintf(line, sizeof(line), "%.*s", (int)n - 2, s->in.p);
	buf_drop(&s->in, n);
	*more = true;
	if (sim_hop_trouble(s, 4)) {
		sim_hop_fall_silent(s);
		*more = false;
	}
	return command(s, line);
}

void sim_hop_go_on(struct session *s)
{
	bool more = true;

	while (more) {
		bool there = s->in_data	     ? sim_hop_take_data(s, &more)
			     : s->chunk_left ? sim_hop_take_chunk(s, &more)
					     : take_line(s, &more);
		if (!there)
			return;
	}
	if (!s->deaf)
		sim_hop_flush(s);
}
