#include "transport/client_private.h"

#include <stdio.h>

/*
 * How a body goes:
 *
 *   needs conversion                      DATA, rewritten
 *   binary (BINARYMIME hop)               BDAT: no other command can carry it
 *   text, stored dot-stuffed, or without  DATA, the stored bytes
 *     a line that begins with a dot
 *   the same, very long, not stuffed      BDAT where the hop has it: it needs no look at each byte
 *   text with such lines stored as they   BDAT where the hop has it (the stored bytes fit, and stay
 *     are, or whose last line is open       as they are), else DATA, rewritten
 *
 * DATA is the rule even where BDAT would save a round trip: every hop implements it well, and BDAT
 * sends the whole body before a refusal of all recipients could stop it.
 *
 * The flags only say which form is fit. None is believed for the safety of what else goes over the
 * connection: what follows DATA is looked at byte for byte (client_wire.c), and what follows BDAT
 * has just the length that was announced.
 */

#define BINARY_BYTES (ENVELOPE_BODY_NUL | ENVELOPE_BODY_LONG_LINES)

static bool has_8bit(struct span bytes)
{
	unsigned char any = 0;

	for (size_t i = 0; i < bytes.n; i++)
		any |= (unsigned char)bytes.p[i];
	return any & 0x80;
}

bool client_settled(const struct client_result *result)
{
	return result->not_tried || result->verdict.code;
}

/* The text is cut at its length, so only that much of the verdict is worth copying. */
static void give(struct client_result *result, const struct verdict *verdict)
{
	memcpy(&result->verdict, verdict, offsetof(struct verdict, text) + verdict->length);
}

static void settle(struct client *client, const struct verdict *verdict, bool of_server)
{
	struct client_job *job = client->job;

	for (uint32_t i = 0; i < job->pick_count; i++) {
		if (client_settled(&job->results[i]))
			continue;
		give(&job->results[i], verdict);
		job->results[i].of_server = of_server;
	}
}

void client_settle_all(struct client *client, const struct verdict *verdict)
{
	settle(client, verdict, false);
}

/* Where the session broke off without a word, nobody said anything about the server. */
void client_settle_session(struct client *client, const struct verdict *verdict)
{
	settle(client, verdict, verdict->remote && verdict->kind == VERDICT_TEMPORARY);
}

static void refuse_all(
	struct client *client, uint16_t code, struct enhanced_code enhanced, struct span text)
{
	struct verdict verdict;

	verdict_set(&verdict, VERDICT_PERMANENT, code, enhanced, false, text);
	verdict.open = true; /* about the message, and no word about hosts */
	client_settle_all(client, &verdict);
}

static bool header_8bit(const struct client_job *job)
{
	const struct envelope *envelope = job->envelope;

	return ((envelope->flags & ENVELOPE_SMTPUTF8) &&
		       (envelope->flags & ENVELOPE_HEADER_8BIT)) ||
	       has_8bit(job->prepend) || has_8bit(envelope->prepend);
}

static bool can_utf8(const struct client *client)
{
	return client->caps.can & CLIENT_SMTPUTF8;
}

static bool plan_sender(struct client *client)
{
	struct span sender = client->job->envelope->sender;

	if (!client_address_safe(sender)) {
		refuse_all(client, 553, (struct enhanced_code){5, 1, 7},
			SPAN("the sender's address cannot be sent over SMTP"));
		return false;
	}
	client->plan.utf8 = has_8bit(sender);
	if (!client->plan.utf8 || can_utf8(client))
		return true;
	refuse_all(client, 553, (struct enhanced_code){5, 6, 7},
		SPAN("the sender's address is not ASCII, and the next server has no SMTPUTF8"));
	return false;
}

static void plan_rcpt(struct client *client, struct client_result *result, struct span address)
{
	bool utf8 = has_8bit(address);

	if (!client_address_safe(address))
		verdict_set(&result->verdict, VERDICT_PERMANENT, 553,
			(struct enhanced_code){5, 1, 3}, false,
			SPAN("the address cannot be sent over SMTP"));
	else if (utf8 && !can_utf8(client))
		verdict_set(&result->verdict, VERDICT_PERMANENT, 553,
			(struct enhanced_code){5, 6, 7}, false,
			SPAN("the address is not ASCII, and the next server has no SMTPUTF8"));
	else {
		client->plan.utf8 |= utf8;
		return;
	}
	result->verdict.open = true;
}

/* Before the header, which may name the recipient: where both need SMTPUTF8, the address is the
 * reason that helps. True: somebody is left to send to. */
static bool plan_rcpts(struct client *client)
{
	const struct client_job *job = client->job;
	uint32_t left = 0;

	for (uint32_t i = 0; i < job->pick_count; i++) {
		struct client_result *result = &job->results[i];

		if (client->caps.rcpt_most && left >= client->caps.rcpt_most) {
			result->not_tried = true;
			continue;
		}
		plan_rcpt(client, result, job->envelope->rcpts[job->picks[i]].address);
		left += !client_settled(result);
	}
	return left != 0;
}

static bool plan_header(struct client *client)
{
	bool utf8 = header_8bit(client->job);

	client->plan.utf8 |= utf8;
	if (!utf8 || can_utf8(client))
		return true;
	refuse_all(client, 553, (struct enhanced_code){5, 6, 9},
		SPAN("the header is not ASCII, and the next server has no SMTPUTF8"));
	return false;
}

static void plan_conversion(struct client_plan *plan, uint32_t can, bool binary, bool eight)
{
	bool can_8bit =
		can & (CLIENT_8BITMIME | CLIENT_SMTPUTF8); /* RFC 6531 section 3.1: implied */

	if (binary && !(can & CLIENT_BINARYMIME)) {
		plan->convert = true;
		plan->target = can_8bit ? MIME_TO_8BIT : MIME_TO_7BIT;
	} else if (eight && !can_8bit && !binary) {
		plan->convert = true;
		plan->target = MIME_TO_7BIT;
	}
}

static enum client_form text_form(uint32_t flags, uint32_t can, uint64_t bytes)
{
	bool open_end = flags & ENVELOPE_BODY_OPEN_END;
	bool stuffed = flags & ENVELOPE_BODY_STUFFED;
	bool as_data = !open_end && (stuffed || !(flags & ENVELOPE_BODY_DOTS));
	bool as_chunk = !stuffed && (can & CLIENT_CHUNKING);

	if (as_data)
		return as_chunk && bytes > CLIENT_LONG ? FORM_BDAT_FILE : FORM_DATA_COPY;
	return as_chunk ? FORM_BDAT_FILE : FORM_DATA_PUMP;
}

static void plan_body(struct client *client)
{
	const struct client_job *job = client->job;
	struct client_plan *plan = &client->plan;
	uint32_t flags = job->envelope->flags, can = client->caps.can;
	bool binary = (flags & ENVELOPE_BODY_BARE) ||
		      ((flags & ENVELOPE_BINARYMIME) && (flags & BINARY_BYTES));
	bool eight = flags & (ENVELOPE_BODY_8BIT | ENVELOPE_HEADER_8BIT);

	plan->body_param = "";
	plan_conversion(plan, can, binary, eight);
	if (plan->convert)
		plan->form = FORM_DATA_PUMP;
	else if (binary)
		plan->form = flags & ENVELOPE_BODY_STUFFED ? FORM_BDAT_PUMP : FORM_BDAT_FILE;
	else
		plan->form = text_form(flags, can, job->body.bytes);
	if (binary && !plan->convert)
		plan->body_param = " BODY=BINARYMIME";
	else if (eight && (can & CLIENT_8BITMIME))
		plan->body_param = " BODY=8BITMIME";
	plan->size = client_prepend_bytes(client) + job->body.bytes;
}

static bool plan_size(struct client *client)
{
	uint64_t most = client->caps.size_most;
	char text[128];

	if (!most || client->plan.size <= most)
		return true;
	int n = snprintf(text, sizeof(text),
		"the message has %llu bytes, and the next server takes %llu at most",
		(unsigned long long)client->plan.size, (unsigned long long)most);
	refuse_all(client, 552, (struct enhanced_code){5, 3, 4}, span_of(text, (size_t)n));
	return false;
}

/* What goes before a body is believed as little as the body. */
static bool plan_prepend(struct client *client)
{
	const struct client_job *job = client->job;

	if (client_prepend_valid(job->prepend) && client_prepend_valid(job->envelope->prepend))
		return true;
	refuse_all(client, 554, (struct enhanced_code){5, 3, 0},
		SPAN("the stored message is damaged: what would go before it is no header"));
	return false;
}

void client_requiretls_verdict(bool verified, struct verdict *out)
{
	verdict_set(out, VERDICT_PERMANENT, 550, (struct enhanced_code){5, 7, 30}, false,
		verified ? SPAN("REQUIRETLS needed: the message must only go over protected links, "
				"and no next server that could be verified supports that")
			 : SPAN("REQUIRETLS needed: the message must only go over protected links, "
				"and no next server could be verified"));
	out->open = true;
}

/* RFC 8689 section 4.2.1: the hop must be the right one, and say that it goes on like this; for the
 * null sender the former is enough (section 5). */
static bool plan_tls(struct client *client)
{
	const struct envelope *envelope = client->job->envelope;
	struct verdict verdict;

	if (!(envelope->flags & ENVELOPE_REQUIRETLS))
		return true;
	if (client->link.verified &&
		((client->caps.can & CLIENT_REQUIRETLS) || !envelope->sender.n))
		return true;
	client_requiretls_verdict(client->link.verified, &verdict);
	client_settle_all(client, &verdict);
	return false;
}

bool client_plan_make(struct client *client)
{
	client->plan = (struct client_plan){0};
	if (!plan_tls(client) || !plan_prepend(client) || !plan_sender(client) ||
		!plan_rcpts(client) || !plan_header(client))
		return false;
	plan_body(client);
	return plan_size(client);
}
