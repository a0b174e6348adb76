#include "sim_hop.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

#define HOP_RCPTS   64
#define HOP_MESSAGE (8u << 20)
#define HOP_GREY_NS (5 * SIM_MINUTE)

struct sim_hop {
	struct sim *sim;
	struct sim_net *net;
	struct ledger *ledger;
	const struct sim_hop_kind *kind;
	struct netaddr address;
	bool busy; /* greets with 421 */
	struct timer timer;
};

struct session {
	struct sim_hop *hop;
	struct sim_end *end;
	struct buf in, out, body;
	bool extended, greeted, in_mail, in_data, ending, deaf;
	bool chunked;
	uint64_t chunk_left;
	bool chunk_last, chunk_bad;
	char sender[LEDGER_ADDRESS];
	char rcpts[HOP_RCPTS][LEDGER_ADDRESS];
	size_t rcpt_count;
	bool utf8;	    /* MAIL said SMTPUTF8 */
	struct timer timer; /* speaks again */
};

static void go_on(struct session *s);

static bool trouble(struct session *s, unsigned parts)
{
	return !s->hop->sim->calm && sim_chance(s->hop->sim, s->hop->kind->trouble / parts);
}

/* ---- the connection ------------------------------------------------------------------------- */

static void end(struct session *s, bool reset)
{
	timers_disarm(&s->hop->sim->events, &s->timer);
	if (reset)
		sim_end_reset(&s->end);
	else
		sim_end_close(&s->end);
	buf_done(&s->in);
	buf_done(&s->out);
	buf_done(&s->body);
	free(s);
}

/* False: the session is gone. */
static bool flush(struct session *s)
{
	while (s->out.n) {
		int64_t n = sim_end_write(s->end, s->out.p, s->out.n);

		if (n < 0) {
			end(s, false);
			return false;
		}
		if (n == 0)
			return true;
		buf_drop(&s->out, (size_t)n);
	}
	if (s->ending) {
		end(s, false);
		return false;
	}
	return true;
}

static void say(struct session *s, const char *code, const char *enhanced, const char *text)
{
	buf_add_str(&s->out, code);
	buf_add_char(&s->out, ' ');
	if (s->hop->kind->extensions & HOP_ENHANCED) {
		buf_add_str(&s->out, enhanced);
		buf_add_char(&s->out, ' ');
	}
	buf_add_str(&s->out, text);
	buf_add_str(&s->out, "\r\n");
}

static void on_readable(void *owner)
{
	struct session *s = owner;
	char bytes[4096];
	int64_t n;

	while ((n = sim_end_read(s->end, bytes, sizeof(bytes))) > 0)
		buf_add(&s->in, bytes, (size_t)n);
	if (n < 0) {
		/* What was said before the end still counts. */
		if (n == ERR_MORE && !s->deaf)
			s->ending = true;
		else
			s->in.n = 0;
		if (n != ERR_MORE || s->deaf) {
			end(s, false);
			return;
		}
	}
	if (!s->deaf)
		go_on(s);
}

static void on_writable(void *owner)
{
	flush(owner);
}

static const struct sim_end_calls calls = {NULL, on_readable, on_writable};

static void awake(struct timer *timer)
{
	struct session *s = CONTAINER_OF(timer, struct session, timer);

	s->deaf = false;
	go_on(s);
}

static void fall_silent(struct session *s)
{
	struct sim *sim = s->hop->sim;

	sim_fault(sim, FAULT_STALL);
	s->deaf = true;
	sim_arm(sim, &s->timer,
		sim_chance(sim, 500) ? sim_skewed(sim, 30 * NS_PER_S)
				     : sim_between(sim, SIM_MINUTE, 30 * SIM_MINUTE));
}

/* ---- messages ------------------------------------------------------------------------------- */

static void reset_mail(struct session *s)
{
	s->in_mail = s->in_data = s->chunked = s->chunk_bad = false;
	s->rcpt_count = 0;
	buf_clear(&s->body);
}

static void record(struct session *s, bool replied)
{
	const struct sim_hop_kind *kind = s->hop->kind;
	const struct ledger_arrival arrival = {
		.hop = kind->name,
		.at_ns = sim_end_sent_ns(s->end),
		.way = s->chunked ? WAY_BDAT : WAY_DATA,
		.seven_bit = !(kind->extensions & HOP_8BITMIME),
		.no_binary =
			!(kind->extensions & HOP_BINARYMIME) || !(kind->extensions & HOP_CHUNKING),
		.sender = span_str(s->sender),
		.rcpts = (const char(*)[LEDGER_ADDRESS])s->rcpts,
		.rcpt_count = s->rcpt_count,
		.bytes = buf_span(&s->body),
		.has_dsn = s->extended && (kind->extensions & HOP_DSN),
		.reply = replied ? sim_end_mark(s->end, s->out.n) : NULL,
	};

	ledger_arrived(s->hop->ledger, &arrival);
}

static void refuse_all(struct session *s)
{
	for (size_t i = 0; i < s->rcpt_count; i++) {
		struct ledger_rcpt *rcpt = ledger_rcpt_find(s->hop->ledger, s->rcpts[i]);

		if (rcpt)
			rcpt->refused = true;
	}
}

/* The end of a message. False: the session is gone. */
static bool finish(struct session *s)
{
	struct sim *sim = s->hop->sim;

	if (trouble(s, 1)) {
		sim_fault(sim, FAULT_PEER_DROP);
		if (sim_chance(sim, 500))
			record(s, false); /* taken over, but nobody ever hears of it */
		end(s, sim_chance(sim, 500));
		return false;
	}
	if (trouble(s, 2)) {
		sim_fault(sim, FAULT_PEER_NONSENSE);
		if (sim_chance(sim, 500))
			record(s, false);
		buf_add_str(&s->out, sim_chance(sim, 500) ? "ok then\r\n" : "999 \xff\xfe\r\n");
	} else if (trouble(s, 1)) {
		say(s, "451", "4.3.0", "later");
	} else if (!sim->calm && sim_chance(sim, s->hop->kind->refuses / 2)) {
		refuse_all(s);
		say(s, "554", "5.6.0", "not this");
	} else {
		say(s, "250", "2.0.0", "taken");
		record(s, true);
		if (trouble(s, 1)) {
			if (sim_chance(sim, 500) && !flush(s))
				return false;
			sim_fault(sim, FAULT_PEER_DROP);
			end(s, sim_chance(sim, 500));
			return false;
		}
	}
	reset_mail(s);
	return true;
}

/* Takes body lines up to the final dot. False: the session is gone. */
static bool take_data(struct session *s, bool *more)
{
	for (;;) {
		const char *at = s->in.n ? memchr(s->in.p, '\n', s->in.n) : NULL;

		*more = false;
		if (!at)
			return true;
		size_t n = (size_t)(at - s->in.p) + 1;
		if (n < 2 || s->in.p[n - 2] != '\r')
			ledger_violation(
				s->hop->ledger, "%s: a bare LF in DATA", s->hop->kind->name);
		if (n == 3 && s->in.p[0] == '.') {
			buf_drop(&s->in, n);
			s->in_data = false;
			*more = true;
			return finish(s);
		}
		size_t skip = s->in.p[0] == '.';
		buf_add(&s->body, s->in.p + skip, n - skip);
		buf_drop(&s->in, n);
	}
}

static bool take_chunk(struct session *s, bool *more)
{
	size_t n = MIN(s->in.n, s->chunk_left);

	buf_add(&s->body, s->in.p, n);
	buf_drop(&s->in, n);
	s->chunk_left -= n;
	*more = false;
	if (s->chunk_left)
		return true;
	*more = true;
	if (s->chunk_bad) {
		say(s, "503", "5.5.1", "no recipients");
		return true;
	}
	if (!s->chunk_last) {
		say(s, "250", "2.0.0", "more");
		return true;
	}
	return finish(s);
}

/* ---- commands ------------------------------------------------------------------------------- */

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
	for (size_t i = 0; extended && i < ARRAY_SIZE(words); i++)
		if (s->hop->kind->extensions & words[i].bit)
			buf_printf(&s->out, "250-%s\r\n", words[i].name);
	buf_add_str(&s->out, "250 hop\r\n");
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
	if (s->rcpt_count == HOP_RCPTS || trouble(s, 2)) {
		say(s, "452", "4.5.3", "too many");
		return;
	}
	if (!sim->calm && sim_chance(sim, s->hop->kind->refuses)) {
		if (known)
			known->refused = true;
		say(s, "550", "5.1.1", "nobody here");
		return;
	}
	if (s->hop->kind->greylists && known && !known->grey_until_ns)
		known->grey_until_ns = sim->now_ns + HOP_GREY_NS;
	if (known && sim->now_ns < known->grey_until_ns) {
		say(s, "451", "4.7.1", "greylisted");
		return;
	}
	memcpy(s->rcpts[s->rcpt_count++], address, LEDGER_ADDRESS);
	say(s, "250", "2.1.5", "fine");
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

	if (trouble(s, 4)) {
		sim_fault(s->hop->sim, FAULT_PEER_DROP);
		end(s, sim_chance(s->hop->sim, 500));
		return false;
	}
	if (strncmp(line, "EHLO ", 5) == 0 || strncmp(line, "HELO ", 5) == 0) {
		hello(s, *line == 'E');
	} else if (strncmp(line, "MAIL FROM:", 10) == 0 && s->greeted && !s->in_mail) {
		if (strstr(line, "BODY=") && !(kind->extensions & HOP_8BITMIME))
			ledger_violation(
				s->hop->ledger, "%s: BODY, which was not offered", kind->name);
		reset_mail(s);
		path_of(line, s->sender);
		s->utf8 = strstr(line, " SMTPUTF8") != NULL;
		if (s->utf8 && !(kind->extensions & HOP_SMTPUTF8))
			ledger_violation(
				s->hop->ledger, "%s: SMTPUTF8, which was not offered", kind->name);
		check_utf8(s, line);
		if (trouble(s, 2)) {
			say(s, "451", "4.3.2", "not now");
		} else {
			s->in_mail = true;
			say(s, "250", "2.1.0", "fine");
		}
	} else if (strncmp(line, "RCPT TO:", 8) == 0 && s->in_mail) {
		rcpt(s, line);
	} else if (strcmp(line, "DATA") == 0 && s->rcpt_count && !s->chunked) {
		s->in_data = true;
		say(s, "354", "", "go on");
	} else if (strncmp(line, "BDAT ", 5) == 0) {
		chunk(s, line);
		if (!s->chunk_left)
			return take_chunk(s, &(bool){false});
	} else if (strcmp(line, "RSET") == 0) {
		reset_mail(s);
		say(s, "250", "2.0.0", "fine");
	} else if (strcmp(line, "QUIT") == 0) {
		say(s, "221", "2.0.0", "bye");
		s->ending = true;
	} else {
		say(s, "503", "5.5.1", "what?");
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
		end(s, true);
		return false;
	}
	snprintf(line, sizeof(line), "%.*s", (int)n - 2, s->in.p);
	buf_drop(&s->in, n);
	*more = true;
	if (trouble(s, 4)) {
		fall_silent(s);
		*more = false;
	}
	return command(s, line);
}

static void go_on(struct session *s)
{
	bool more = true;

	while (more) {
		bool there = s->in_data	     ? take_data(s, &more)
			     : s->chunk_left ? take_chunk(s, &more)
					     : take_line(s, &more);
		if (!there)
			return;
	}
	if (!s->deaf)
		flush(s);
}

/* ---- the host ------------------------------------------------------------------------------- */

static bool accepted(void *owner, struct sim_end *net_end, const struct netaddr *client)
{
	struct sim_hop *hop = owner;
	struct session *s = calloc(1, sizeof(*s));
	(void)client;

	CHECK(s);
	s->hop = hop;
	s->end = net_end;
	s->timer.fire = awake;
	buf_init(&s->in, HOP_MESSAGE);
	buf_init(&s->out, HOP_MESSAGE);
	buf_init(&s->body, HOP_MESSAGE);
	sim_end_adopt(net_end, &calls, s);
	if (hop->busy || trouble(s, 3)) {
		buf_add_str(
			&s->out, sim_chance(hop->sim, 700) ? "421 busy\r\n" : "554 go away\r\n");
		s->ending = true;
	} else {
		buf_add_str(&s->out, "220 hop ESMTP\r\n");
		if (trouble(s, 4))
			fall_silent(s);
	}
	if (!s->deaf)
		flush(s);
	return true;
}

static void up(struct sim_hop *hop)
{
	hop->busy = false;
	sim_net_set_lost(hop->net, &hop->address, false);
	sim_net_listen(hop->net, &hop->address, accepted, hop);
}

static void changes(struct timer *timer)
{
	struct sim_hop *hop = CONTAINER_OF(timer, struct sim_hop, timer);
	struct sim *sim = hop->sim;

	up(hop);
	if (sim->calm)
		return;
	if (sim_chance(sim, 500)) {
		sim_arm(sim, timer, sim_between(sim, SIM_MINUTE, 2 * SIM_HOUR));
		return;
	}
	sim_fault(sim, FAULT_PEER_DOWN);
	switch (sim_below(sim, 3)) {
	case 0: hop->busy = true; break;
	case 1: sim_net_listen(hop->net, &hop->address, NULL, NULL); break;
	default: sim_net_set_lost(hop->net, &hop->address, true);
	}
	sim_arm(sim, timer, sim_between(sim, SIM_MINUTE, 3 * SIM_HOUR));
}

struct sim_hop *sim_hop_new(struct sim *sim, struct sim_net *net, struct ledger *ledger,
	const struct sim_hop_kind *kind)
{
	struct sim_hop *hop = calloc(1, sizeof(*hop));

	CHECK(hop);
	hop->sim = sim;
	hop->net = net;
	hop->ledger = ledger;
	hop->kind = kind;
	CHECK(netaddr_parse(span_str(kind->address), 25, &hop->address) == 0);
	hop->timer.fire = changes;
	up(hop);
	if (kind->down)
		sim_arm(sim, &hop->timer, sim_skewed(sim, 2 * SIM_HOUR));
	return hop;
}

void sim_hop_calm(struct sim_hop *hop)
{
	timers_disarm(&hop->sim->events, &hop->timer);
	up(hop);
}
