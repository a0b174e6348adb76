/* The next hops: they say what the test wants, and otherwise take mail. */
#include "world_parts.h"

static void hop_say(struct hop *hop, const char *text)
{
	buf_add_str(&hop->out, text);
	buf_add_str(&hop->out, "\r\n");
}

static void hop_ordinary(struct hop *hop, const char *line, char *reply)
{
	struct world *w = hop->world;

	if (strcmp(line, "CONNECT") == 0)
		strcpy(reply, "220 hop.example ESMTP");
	else if (strncmp(line, "EHLO", 4) == 0)
		strcpy(reply, w->ehlo);
	else if (strncmp(line, "RCPT TO:<bad", 12) == 0)
		strcpy(reply, "550 5.1.1 no such user");
	else if (strncmp(line, "RCPT TO:<later", 14) == 0)
		strcpy(reply, "451 4.2.1 mailbox busy");
	else if (strcmp(line, "DATA") == 0)
		strcpy(reply, hop->accepted ? "354 go on" : "554 5.5.1 no valid recipients");
	else if (strcmp(line, ".") == 0)
		strcpy(reply, "250 2.0.0 taken");
	else if (strcmp(line, "STARTTLS") == 0)
		strcpy(reply, "220 2.0.0 go on");
	else if (strcmp(line, "QUIT") == 0)
		strcpy(reply, "221 2.0.0 bye");
	else
		strcpy(reply, "250 2.1.0 fine");
}

static void hop_take(struct hop *hop)
{
	struct world *w = hop->world;

	CHECK(w->taken_count < WORLD_TAKEN);
	struct taken *t = &w->taken[w->taken_count++];
	snprintf(t->ip, sizeof(t->ip), "%s", hop->ip);
	snprintf(t->from, sizeof(t->from), "%s", hop->from);
	snprintf(t->rcpts, sizeof(t->rcpts), "%s", hop->rcpts);
	t->secured = hop->secured;
	t->verified = hop->tls.peer_verified;
}

/* What the line did, once it has its reply. */
static void hop_learn(struct hop *hop, const char *line, const char *reply)
{
	bool yes = reply[0] == '2' || reply[0] == '3';

	if (strncmp(line, "MAIL FROM:<", 11) == 0 && yes) {
		hop->mails++;
		snprintf(hop->from, sizeof(hop->from), "%.*s", (int)strcspn(line + 11, ">"),
			line + 11);
		hop->rcpts[0] = '\0';
		hop->accepted = 0;
	} else if (strncmp(line, "RCPT TO:<", 9) == 0 && yes) {
		size_t n = strlen(hop->rcpts);

		snprintf(hop->rcpts + n, sizeof(hop->rcpts) - n, "%.*s ",
			(int)strcspn(line + 9, ">"), line + 9);
		hop->accepted++;
	} else if (strcmp(line, "DATA") == 0 && reply[0] == '3') {
		hop->body = true;
	} else if (strcmp(line, ".") == 0 && yes) {
		hop_take(hop);
	} else if (strcmp(line, "QUIT") == 0) {
		hop->closed_by_us = true;
	}
}

static void hop_line(struct hop *hop, const char *line)
{
	char reply[WORLD_LINE] = "";

	if (hop->closed_by_us)
		return;
	if (hop->world->script)
		hop->world->script(hop->world, hop, line, reply);
	if (!reply[0])
		hop_ordinary(hop, line, reply);
	if (strcmp(reply, "DROP") == 0) {
		hop->closed_by_us = true;
		return;
	}
	hop_learn(hop, line, reply);
	if (strcmp(reply, "SILENT") != 0)
		hop_say(hop, reply);
}

/* True: something was worked off. */
bool hop_input(struct hop *hop)
{
	struct span in = buf_span(&hop->in);
	char line[WORLD_LINE];

	if (hop->body) {
		const char *end = in.n >= 3 && memcmp(in.p, ".\r\n", 3) == 0
					  ? in.p - 2
					  : memmem(in.p, in.n, "\r\n.\r\n", 5);

		if (!end)
			return false;
		size_t n = (size_t)(end + 2 - in.p);
		size_t before = hop->world->taken_count;
		char *body = strndup(in.p, n);

		buf_drop(&hop->in, n + 3);
		hop->body = false;
		hop_line(hop, ".");
		if (hop->world->taken_count > before)
			hop->world->taken[before].body = body;
		else
			free(body);
		return true;
	}
	const char *end = memmem(in.p, in.n, "\r\n", 2);
	if (!end)
		return false;
	size_t n = (size_t)(end - in.p);
	CHECK(n < sizeof(line));
	memcpy(line, in.p, n);
	line[n] = '\0';
	buf_drop(&hop->in, n + 2);
	hop_line(hop, line);
	return true;
}

static bool hop_is_dead(struct world *w, const struct hop *hop)
{
	if (w->only_alive && strcmp(w->only_alive, hop->ip) != 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(w->dead); i++)
		if (w->dead[i][0] && strcmp(w->dead[i], hop->ip) == 0)
			return true;
	return false;
}

/* One step of one connection; true: something happened, and the list may have changed. */
bool hop_step(struct world *w, struct hop *hop)
{
	if (!hop->answered) {
		bool dead = hop_is_dead(w, hop);

		hop->answered = true;
		if (!dead)
			hop_line(hop, "CONNECT");
		else
			hop->closed_by_us = hop->told = true;
		hop->handler->connected(hop->owner, dead ? ERR_REFUSED : 0);
		return true;
	}
	if (hop->handshakes) {
		bool failed = hop->tls.failure != TLS_FINE;

		hop->handshakes = false;
		hop->secured = !failed;
		hop->told = failed;
		hop->handler->secured(hop->owner, failed ? ERR_DENIED : 0, &hop->tls);
		return true;
	}
	if (hop->out.n && !hop->paused) {
		struct iovec to = hop->handler->buffer(hop->owner);
		size_t n = MIN(to.iov_len, hop->out.n);

		memcpy(to.iov_base, hop->out.p, n);
		buf_drop(&hop->out, n);
		hop->handler->received(hop->owner, n);
		return true;
	}
	if (hop->closed_by_us && !hop->told && !hop->out.n) {
		hop->told = true;
		hop->handler->closed(hop->owner, 0);
		return true;
	}
	return false;
}

void hop_free(struct hop *hop)
{
	list_remove(&hop->node);
	buf_done(&hop->in);
	buf_done(&hop->out);
	free(hop);
}
