/* What was promised against what became of it. */
#include "sim_ledger.h"
#include "sim_world.h"

#include "base/check.h"
#include "spool/format.h"

#include <stdio.h>

/* A delivery that the hop confirmed is on stable storage so long after the reply was seen; what
 * falls between may be repeated (RFC 1047). */
#define DURABLE_NS (5 * NS_PER_S)

/* Connections that the network lost, and a few probes, take no longer. */
#define LATE_NS (30 * SIM_MINUTE)

/* What the disk lost of its own accord: it may cost the message that it hit, and a mark that says
 * "done" with it. */
/* A bit costs one message at most; a sector those that lie in it. */
static bool is_too_much(const struct ledger *l)
{
	return l->destroyed_count > l->flips && !l->bad_sectors;
}

/* Was it said that the message is damaged, or the log in which it lies, or the journal, where its
 * notifications are? */
static bool was_reported(const struct ledger *l, const struct ledger_mail *mail)
{
	char path[32];

	if (mail->dsns_expired)
		return true;
	snprintf(path, sizeof(path), "w%u/%08x.log", format_id_owner(mail->id),
		format_id_serial(mail->id));
	for (size_t i = 0; i < l->damage_count; i++) {
		const struct ledger_damage *damage = &l->damages[i];

		if (mail->id && damage->id == mail->id)
			return true;
		if (!damage->id && strcmp(damage->path, path) == 0)
			return true;
		if (strncmp(damage->path, "d/", 2) == 0)
			return true;
	}
	return false;
}

static bool was_unwell(const struct ledger *l, uint64_t from, uint64_t to)
{
	for (size_t i = 0; i < l->unwell_count; i++)
		if (l->unwell[i].from_ns <= to &&
			(!l->unwell[i].to_ns || l->unwell[i].to_ns >= from))
			return true;
	return false;
}

/* May the message have been delivered again after this? */
static bool excused(const struct ledger *l, const struct ledger_delivery *d, uint64_t again_ns)
{
	if (ledger_harmed(l) || !d->reply || !d->reply->seen_ns || d->reply->seen_ns > again_ns)
		return true;
	for (size_t i = 0; i < l->death_count; i++) {
		uint64_t death = l->deaths[i];

		if (death < d->at_ns || death > again_ns)
			continue;
		if (death <= d->reply->seen_ns + DURABLE_NS || was_unwell(l, d->at_ns, death))
			return true;
	}
	return false;
}

static void check_duplicates(
	struct ledger *l, const struct ledger_mail *mail, const struct ledger_rcpt *rcpt)
{
	for (size_t i = 1; i < rcpt->delivery_count; i++) {
		if (!rcpt->domain->mailboxes &&
			excused(l, &rcpt->deliveries[i - 1], rcpt->deliveries[i].at_ns)) {
			l->duplicates_excused++;
			continue;
		}
		l->duplicates++;
		ledger_violation(l, "message %u reached %s again at %s without a reason",
			mail->number, rcpt->address, rcpt->deliveries[i].hop);
	}
	/* A notification is in one record with the end of what it speaks of. */
	if (ledger_dsns_of(rcpt, ACTION_FAILED) > 1 && !ledger_harmed(l)) {
		l->duplicates++;
		ledger_violation(l, "message %u: %zu notifications that %s failed", mail->number,
			ledger_dsns_of(rcpt, ACTION_FAILED), rcpt->address);
	}
}

static void check_ghost(
	struct ledger *l, const struct ledger_mail *mail, const struct ledger_rcpt *rcpt)
{
	bool must_not_be = mail->told == TOLD_REFUSED || mail->told == TOLD_UNSENT ||
			   rcpt->taken == RCPT_REFUSED;

	if (!must_not_be || (!rcpt->delivery_count && !rcpt->dsn_count))
		return;
	/* The word that a batch does not count lies on a disk as well. */
	if (ledger_harmed(l) && mail->told == TOLD_REFUSED)
		return;
	l->ghosts++;
	ledger_violation(l, "message %u was %s, but %s", mail->number,
		mail->told == TOLD_UNSENT ? "never sent whole" : "refused",
		rcpt->delivery_count ? "it was delivered" : "a notification about it came");
}

/* May the recipient fail for good? */
static bool may_fail(
	const struct ledger *l, const struct ledger_mail *mail, const struct ledger_rcpt *rcpt)
{
	return mail->require_tls || rcpt->refused || rcpt->may_bounce || rcpt->full ||
	       rcpt->domain->may_fail || mail->binary || ledger_harmed(l) ||
	       (mail->utf8 && rcpt->domain->no_utf8) ||
	       (mail->eight_bit && rcpt->domain->seven_bit);
}

static bool hears_of_failure(const struct ledger_mail *mail, const struct ledger_rcpt *rcpt)
{
	return !mail->null_sender && rcpt->notify != LEDGER_NOTIFY_NEVER &&
	       rcpt->notify != LEDGER_NOTIFY_SUCCESS && !rcpt->domain->discards;
}

/* Was it on record that the message was durable when the disk was harmed first after it, so that
 * damage to it is no torn tail? */
static bool is_proven(
	const struct ledger *l, const struct ledger_mail *mail, const struct ledger_rcpt *rcpt)
{
	/* What is missing may be the notification, which is younger. */
	uint64_t since = rcpt->ended_ns ? rcpt->ended_ns : mail->received_ns;
	size_t h = 0;

	while (h < l->harm_count && l->harms[h].at_ns < since)
		h++;
	if (!since || h == l->harm_count)
		return false;
	if (since < l->harms[h].proven_ns)
		return true;
	for (size_t i = 0; i < l->close_count && !rcpt->ended_ns; i++)
		if (l->closes[i].owner == format_id_owner(mail->id) &&
			l->closes[i].span.from_ns <= since && since <= l->closes[i].span.to_ns &&
			l->closes[i].span.to_ns <= l->harms[h].at_ns)
			return true;
	return false;
}

static void lose(struct ledger *l, const struct ledger_mail *mail, const struct ledger_rcpt *rcpt)
{
	if (l->destroyed != mail) {
		l->destroyed = mail;
		l->destroyed_count++;
	}
	if (ledger_harmed(l) && is_proven(l, mail, rcpt) && !was_reported(l, mail)) {
		l->lost++;
		ledger_violation(l, "message %u for %s is damaged, and nobody was told",
			mail->number, rcpt->address);
		return;
	}
	if (ledger_harmed(l) && !is_too_much(l))
		return;
	l->lost++;
	ledger_violation(l, "message %u for %s is lost: 250 at %.3f s, %s", mail->number,
		rcpt->address, (double)mail->told_ns / 1e9,
		mail->null_sender ? "null sender" : mail->sender);
}

/* A hop that answers is not kept waiting for what it said of other mail. */
static void check_in_time(
	struct ledger *l, const struct ledger_mail *mail, const struct ledger_rcpt *rcpt)
{
	uint64_t took = rcpt->deliveries[0].at_ns - MIN(mail->told_ns, rcpt->deliveries[0].at_ns);

	if (l->quiet && rcpt->domain->full_boxes && !rcpt->full && took > LATE_NS)
		ledger_violation(l,
			"message %u reached %s after %llu s, whose hop was always there",
			mail->number, rcpt->address, (unsigned long long)(took / NS_PER_S));
}

static void check_promise(
	struct ledger *l, const struct ledger_mail *mail, const struct ledger_rcpt *rcpt)
{
	if (ledger_dsns_of(rcpt, ACTION_FAILED) && !may_fail(l, mail, rcpt))
		ledger_violation(l, "message %u bounced for %s, where nothing is wrong",
			mail->number, rcpt->address);
	if (mail->told != TOLD_ACCEPTED || rcpt->taken != RCPT_TAKEN)
		return;
	l->acknowledged++;
	if (rcpt->delivery_count) {
		l->delivered++;
		check_in_time(l, mail, rcpt);
	} else if (ledger_dsns_of(rcpt, ACTION_FAILED)) {
		l->bounced++;
	} else if (rcpt->may_vanish ||
		   (may_fail(l, mail, rcpt) &&
			   (mail->dsns_may_vanish || !hears_of_failure(mail, rcpt)))) {
		l->discarded++;
	} else {
		lose(l, mail, rcpt);
	}
}

void ledger_judge(struct ledger *l)
{
	for (size_t i = 0; i < l->mail_count; i++) {
		const struct ledger_mail *mail = l->mails[i];

		if (mail->bare && mail->told == TOLD_ACCEPTED)
			ledger_violation(
				l, "message %u has bare line ends and was accepted", mail->number);
		for (size_t k = 0; k < mail->rcpt_count; k++) {
			check_duplicates(l, mail, &mail->rcpts[k]);
			check_ghost(l, mail, &mail->rcpts[k]);
			check_promise(l, mail, &mail->rcpts[k]);
			ledger_judge_dsns(l, mail, &mail->rcpts[k]);
		}
	}
	if (l->damage_events && !ledger_harmed(l))
		ledger_violation(l, "%llu reports of damage, but no bit had flipped",
			(unsigned long long)l->damage_events);
}
