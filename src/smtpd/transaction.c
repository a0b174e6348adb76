#include "smtpd/session.h"

#include "base/check.h"
#include "codec/fixed_buf.h"
#include "codec/pin.h"

#define FIRST_RCPTS 4 /* room for so many recipients at first */

/* What all sessions hold together is bounded too. */
static void count_memory(struct session *s)
{
	s->smtpd->envelope_bytes += s->arena.used - s->arena_counted;
	s->arena_counted = s->arena.used;
}

static uint32_t flags_of(const struct smtp_mail *mail)
{
	uint32_t flags = mail->smtputf8 ? ENVELOPE_SMTPUTF8 : 0;

	if (mail->body == SMTP_BODY_8BITMIME)
		flags |= ENVELOPE_8BITMIME;
	else if (mail->body == SMTP_BODY_BINARYMIME)
		flags |= ENVELOPE_BINARYMIME;
	if (mail->requiretls)
		flags |= ENVELOPE_REQUIRETLS;
	return flags;
}

bool transaction_begin(struct session *s, const struct smtp_command *mail)
{
	CHECK(!s->transaction && s->smtpd->snapshot);
	struct transaction *t = arena_alloc(&s->arena, sizeof(*t));
	struct span sender = arena_copy(&s->arena, mail->address.mailbox);
	struct span envid = arena_copy(&s->arena, mail->mail.envid);

	if (s->arena.overflow || s->smtpd->envelope_bytes >= SMTPD_ENVELOPES) {
		arena_reset(&s->arena);
		return false;
	}
	t->sender = sender;
	t->envid = envid;
	t->ret = mail->mail.ret;
	t->flags = flags_of(&mail->mail);
	t->snapshot = snapshot_hold(s->smtpd->snapshot);
	t->begun_ns = s->smtpd->io->now_ns;
	s->transaction = t;
	count_memory(s);
	return true;
}

static bool grow(struct session *s)
{
	struct transaction *t = s->transaction;
	uint32_t room = t->rcpt_room ? 2 * t->rcpt_room : FIRST_RCPTS;
	struct envelope_rcpt *rcpts = arena_alloc(&s->arena, room * sizeof(*rcpts));
	struct span *addresses = arena_alloc(&s->arena, room * sizeof(*addresses));
	uint32_t *hashes = arena_alloc(&s->arena, room * sizeof(*hashes));

	if (s->arena.overflow)
		return false;
	if (t->rcpt_count) {
		memcpy(rcpts, t->rcpts, t->rcpt_count * sizeof(*rcpts));
		memcpy(addresses, t->addresses, t->rcpt_count * sizeof(*addresses));
		memcpy(hashes, t->hashes, t->rcpt_count * sizeof(*hashes));
	}
	t->rcpts = rcpts;
	t->addresses = addresses;
	t->hashes = hashes;
	t->rcpt_room = room;
	return true;
}

/* FNV-1a: only spares comparisons, so collisions that a client makes cost it little of ours. */
static uint32_t hash_of(struct span address)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < address.n; i++)
		hash = (hash ^ (unsigned char)address.p[i]) * 16777619u;
	return hash;
}

bool transaction_add(struct session *s, const struct envelope_rcpt *rcpt)
{
	struct transaction *t = s->transaction;
	uint32_t hash = hash_of(rcpt->address);

	for (uint32_t i = 0; i < t->rcpt_count; i++)
		if (t->hashes[i] == hash && span_equal(t->addresses[i], rcpt->address))
			return true;
	if (s->arena.overflow || s->smtpd->envelope_bytes >= SMTPD_ENVELOPES ||
		t->rcpt_count >= SESSION_RCPTS)
		return false;
	struct envelope_rcpt copy = {
		.address = arena_copy(&s->arena, rcpt->address),
		.orcpt = arena_copy(&s->arena, rcpt->orcpt),
		.notify = rcpt->notify,
	};
	bool kept = !s->arena.overflow && (t->rcpt_count < t->rcpt_room || grow(s));

	count_memory(s);
	if (!kept)
		return false;
	t->hashes[t->rcpt_count] = hash;
	t->addresses[t->rcpt_count] = copy.address;
	t->rcpts[t->rcpt_count++] = copy;
	return true;
}

/* Where memory is used up the next recipient is refused, and this one goes without. */
void transaction_keep_right(
	struct session *s, enum route_right right, const struct route_certificate *certificate)
{
	struct transaction *t = s->transaction;
	char text[sizeof("certificate ") + PIN_TEXT];
	struct buf out = fixed_buf(text, sizeof(text));

	if (t->relay.n || right == ROUTE_RIGHT_NONE)
		return;
	t->relay = span_str(route_right_name(right));
	if (right != ROUTE_RIGHT_CERTIFICATE && right != ROUTE_RIGHT_KEY)
		return;
	buf_add_span(&out, t->relay);
	buf_add_char(&out, ' ');
	pin_add(&out,
		right == ROUTE_RIGHT_KEY ? certificate->key_hash : certificate->certificate_hash);
	struct span kept = arena_copy(&s->arena, buf_span(&out));
	if (!s->arena.overflow)
		t->relay = kept;
	count_memory(s);
}

void transaction_cut(struct session *s, uint32_t count)
{
	CHECK(count <= s->transaction->rcpt_count);
	s->transaction->rcpt_count = count;
}

void transaction_reset(struct session *s)
{
	struct transaction *t = s->transaction;

	if (t) {
		if (t->draft)
			spool_draft_abort(&t->draft);
		snapshot_release(&t->snapshot);
		s->transaction = NULL;
	}
	s->wants_room = false;
	arena_reset(&s->arena);
	s->smtpd->envelope_bytes -= s->arena_counted;
	s->arena_counted = 0;
}
