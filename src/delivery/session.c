/*
 * A link's sessions: each carries one attempt after the other, until it idles for too long, has had
 * its number of them, or breaks.
 */
#include "delivery/link.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define CODE_CLOSING 421 /* RFC 5321 section 3.8 */

/* ---- life ----------------------------------------------------------------------------------- */

void session_end(struct session *session, bool polite)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the one before is unlinked */
	struct link *link = session->link;
	struct delivery *d = link->delivery;

	CHECK(!session->attempt);
	if (session->strict) {
		link->strict_session = NULL;
	} else {
		link->connecting -= !session->ready;
		link->session_count--;
	}
	d->sessions--;
	list_remove(&session->node);
	list_remove(&session->idle_node);
	list_remove(&session->lru_node);
	io_timer_stop(d->io, &session->timer);
	session_leave_host(session);
	client_close(&session->client, polite);
	secure_release(&session->secure);
	session_forget_secret(session);
	free(session);
	if (d->starved)
		delivery_wake(d);
}

void link_drop_session(struct session *session)
{
	session->attempt->session = NULL;
	session->attempt = NULL;
	session_end(session, false);
}

/* ---- work ----------------------------------------------------------------------------------- */

/* One that stood is over: what waited for it needs another. */
static void session_over(struct session *session, bool polite)
{
	struct link *link = session->link;

	session_end(session, polite);
	link_open(link);
}

void session_run(struct session *session, struct attempt *attempt)
{
	list_remove(&session->idle_node);
	list_remove(&session->lru_node);
	io_timer_stop(session->link->delivery->io, &session->timer);
	session->attempt = attempt;
	attempt->session = session;
	attempt_send(attempt);
}

/* What waits for it. Mail that its host must not have waits for another one. */
static struct attempt *next_attempt(struct session *session)
{
	struct link *link = session->link;
	struct attempt *attempt;

	if (session->strict)
		return strict_take(session);
	if (session->relaxed)
		return link_take_relaxed(link);
	while ((attempt = link_take_waiting(link)) && !strict_fits(session, attempt))
		strict_wait(link, attempt);
	return attempt;
}

void session_free_for_work(struct session *session)
{
	struct link *link = session->link;
	struct delivery *d = link->delivery;
	const struct client_caps *caps = client_caps(session->client);
	struct queue_start start;

	CHECK(!session->attempt);
	if ((session->jobs_most && session->jobs >= session->jobs_most) ||
		(caps->mail_most && session->jobs >= caps->mail_most) || session->outdated ||
		d->stopping) {
		session_over(session, true);
		return;
	}
	struct attempt *attempt = next_attempt(session);

	if (attempt) {
		session_run(session, attempt);
		return;
	}
	if (session->relaxed || session->strict) {
		session_over(session, true);
		return;
	}
	/* The one used last is used next, so that those not needed grow old and close. */
	list_push_front(&link->idle, &session->idle_node);
	list_push_back(&d->idle, &session->lru_node);
	while (!session->attempt && !owed_too_much(d) &&
		!queue_next_for(d->queue, link->destination, delivery_now(d), &start))
		attempt_start(d, &start);
	if (session->attempt)
		return;
	if (io_timer_after(d->io, &session->timer, d->config.config->timeouts.idle))
		session_end(session, true);
}

static void idle_too_long(struct timer *timer)
{
	session_end(CONTAINER_OF(timer, struct session, timer), true);
}

/* ---- what clients say ----------------------------------------------------------------------- */

static void begin_work(struct session *session)
{
	struct link *link = session->link;

	session->ready = true;
	session_forget_secret(session);
	io_timer_stop(link->delivery->io, &session->timer);
	session->timer.fire = idle_too_long;
	if (!session->strict) {
		link->first_address = 0;
		link->connecting--;
	}
	session_free_for_work(session);
}

static void on_ready(void *owner, const struct client_caps *caps)
{
	struct session *session = owner;
	struct delivery *d = session->link->delivery;
	struct verdict none;

	(void)caps;
	secure_report_success(session);
	if (strict_learn(session)) {
		begin_work(session);
	} else {
		client_close(&session->client, true);
		link_trouble(&none, 7, 30, "the host lacks what REQUIRETLS needs");
		(void)session_try(session, &none);
	}
	intake_settle(d);
	delivery_wake(d);
}

/* The attempt goes to another connection. */
static void run_elsewhere(struct session *session)
{
	struct link *link = session->link;
	struct attempt *attempt = session->attempt;

	session->attempt = NULL;
	attempt->session = NULL;
	session_end(session, false);
	link_run(link, attempt);
}

/* A server that waited too long for us says so when it hears MAIL: no failure, either. */
static bool stale_by_421(const struct session *session, const struct client_job *job)
{
	return session->jobs > 0 && !job->usable && job->stage == CLIENT_AT_MAIL &&
	       job->results[0].verdict.code == CODE_CLOSING;
}

static void on_done(void *owner, struct client_job *job)
{
	struct session *session = owner;
	struct delivery *d = session->link->delivery;
	struct attempt *attempt = session->attempt;
	bool usable = job->usable; /* the job is the attempt's, and goes with it */
	bool stale = stale_by_421(session, job);

	session->jobs++;
	if (stale) {
		attempt_job_undone(attempt);
		run_elsewhere(session);
	} else if (attempt_job_done(attempt, job)) {
		if (usable)
			attempt_send(attempt);
		else
			run_elsewhere(session);
	} else {
		session->attempt = NULL;
		outcome(attempt);
		if (usable)
			session_free_for_work(session);
		else
			session_over(session, false);
	}
	intake_settle(d);
	delivery_wake(d);
}

/* A kept connection that the server closed before it took anything: no failure, only a need for
 * another connection. */
static bool just_stale(const struct session *session, enum client_stage stage)
{
	return session->jobs > 0 && (stage == CLIENT_AT_IDLE || stage == CLIENT_AT_MAIL);
}

static void on_failed(
	void *owner, struct client_job *job, const struct verdict *verdict, enum client_stage stage)
{
	struct session *session = owner;
	struct link *link = session->link;
	struct delivery *d = link->delivery;
	struct attempt *attempt = session->attempt;

	if (!job) {
		/* Not even greeted: the next address. */
		struct verdict last = *verdict;

		secure_report_failure(session, stage);
		if (session->outdated) {
			client_close(&session->client, false);
			session_over(session, false);
		} else if (!session_again(session, stage)) {
			client_close(&session->client, false);
			if (session->address < link->hosts->address_count)
				link->addresses[session->address].bad_until_ns =
					d->io->now_ns + DELIVERY_ADDRESS_BAD_MS * NS_PER_MS;
			session->tried++;
			(void)session_try(session, &last);
		}
	} else if (just_stale(session, stage)) {
		attempt_job_undone(attempt);
		run_elsewhere(session);
	} else {
		/* Recipients that were put off to another transaction share the failure. */
		attempt_job_done(attempt, job);
		session->attempt = NULL;
		attempt_finish_all(attempt, verdict);
		session_over(session, false);
	}
	intake_settle(d);
	delivery_wake(d);
}

static void on_gone(void *owner)
{
	session_end(owner, false);
}

const struct client_ops session_ops = {
	.ready = on_ready,
	.done = on_done,
	.failed = on_failed,
	.gone = on_gone,
};
