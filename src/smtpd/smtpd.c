#include "smtpd/smtpd.h"

#include "base/check.h"
#include "base/err.h"
#include "io/tls.h"
#include "smtpd/session.h"

#include <stdlib.h>

#define SMTPD_MAGIC 0x736d7064u

static void turn_end(struct io_turn *turn);
static void drain_over(struct timer *timer);

int smtpd_new(const struct smtpd_config *config, struct smtpd **out)
{
	struct smtpd *smtpd = calloc(1, sizeof(*smtpd));

	if (!smtpd)
		return ERR_NOMEM;
	smtpd->magic = SMTPD_MAGIC;
	smtpd->c = *config;
	smtpd->io = config->io;
	list_init(&smtpd->sessions);
	list_init(&smtpd->ready);
	smtpd->turn.end = turn_end;
	smtpd->drain_timer.fire = drain_over;
	smtpd->lost_timer.fire = lost_minute_over;
	buf_init(&smtpd->out, SESSION_REPLIES + SESSION_REPLIES);
	buf_init(&smtpd->work, SESSION_SCRATCH);
	arena_init(&smtpd->parsed, SESSION_PARSED);
	smtpd->scratch = malloc(SESSION_SCRATCH);
	if (!smtpd->scratch || clients_init(&smtpd->clients, config->config->limits.connections,
				       io_random(config->io)) != 0) {
		free(smtpd->scratch);
		free(smtpd);
		return ERR_NOMEM;
	}
	*out = smtpd;
	return 0;
}

void smtpd_free(struct smtpd **pointer)
{
	struct smtpd *smtpd = *pointer;

	if (!smtpd)
		return;
	CHECK_MAGIC(smtpd, SMTPD_MAGIC);
	LIST_FOR_EACH(node, &smtpd->sessions)
	{
		struct session *s = CONTAINER_OF(node, struct session, node);
		session_free(&s, false);
	}
	io_turn_forget(smtpd->io, &smtpd->turn);
	io_timer_stop(smtpd->io, &smtpd->drain_timer);
	io_timer_stop(smtpd->io, &smtpd->lost_timer);
	if (smtpd->snapshot)
		snapshot_release(&smtpd->snapshot);
	for (size_t i = 0; i < ARRAY_SIZE(smtpd->tls); i++)
		if (smtpd->tls[i])
			tls_server_release(&smtpd->tls[i]);
	clients_done(&smtpd->clients);
	buf_done(&smtpd->out);
	buf_done(&smtpd->work);
	free(smtpd->scratch);
	smtpd->magic = 0;
	free(smtpd);
	*pointer = NULL;
}

void smtpd_set_snapshot(struct smtpd *smtpd, struct snapshot *snapshot)
{
	struct snapshot *old = smtpd->snapshot;

	smtpd->snapshot = snapshot_hold(snapshot);
	if (old)
		snapshot_release(&old);
}

void smtpd_set_tls(struct smtpd *smtpd, uint32_t listener, struct tls_server *server)
{
	struct tls_server *old;

	CHECK(listener < smtpd->c.config->listener_count);
	old = smtpd->tls[listener];
	smtpd->tls[listener] = server ? tls_server_hold(server) : NULL;
	if (old)
		tls_server_release(&old);
}

void smtpd_set_queue_full(struct smtpd *smtpd, bool full)
{
	smtpd->queue_full = full;
}

/* ---- connections ---------------------------------------------------------------------------- */

struct greeting_refusal {
	int err;
	const char *enhanced, *text;
};

/* This machine's own clients are not counted one by one: all of them come from one address. */
static struct clients_limits client_limits(
	const struct config_limits *limits, const struct netaddr *client)
{
	if (netaddr_is_loopback(client))
		return (struct clients_limits){0};
	return (struct clients_limits){
		limits->connections_per_client, limits->connections_per_site};
}

/* May one more come in, whoever it is? */
static int admit(struct smtpd *smtpd, struct greeting_refusal *why)
{
	const struct config_limits *limits = &smtpd->c.config->limits;
	enum spool_health health = spool_writer_health(smtpd->c.writer);

	if (smtpd->draining)
		*why = (struct greeting_refusal){
			ERR_BUSY, "4.3.2", "Service is stopping; try again"};
	else if (health == SPOOL_FULL)
		*why = (struct greeting_refusal){ERR_BUSY, "4.3.1", "Mail system full; try later"};
	else if (health == SPOOL_SICK)
		*why = (struct greeting_refusal){
			ERR_BUSY, "4.3.0", "Mail storage failed; try later"};
	else if (smtpd->session_count >= limits->connections)
		*why = (struct greeting_refusal){
			ERR_LIMIT, "4.3.2", "Too many connections; try later"};
	else
		return 0;
	return why->err;
}

static void turn_away(struct session *s, const char *enhanced, const char *text)
{
	refuse_simple(s, SMTPD_REFUSED_CONNECTION, 421, enhanced, text, SPAN_NONE);
	reply_goodbye(s, enhanced, text);
}

bool smtpd_admit_client(struct session *s)
{
	struct smtpd *smtpd = s->smtpd;
	const struct clients_limits most = client_limits(&smtpd->c.config->limits, &s->client);

	s->counted = clients_add(&smtpd->clients, &s->client, &most) == 0;
	if (!s->counted)
		turn_away(s, "4.7.0", "Too many connections from your address");
	return s->counted;
}

void smtpd_forget_client(struct session *s)
{
	if (s->counted)
		clients_remove(&s->smtpd->clients, &s->client);
	s->counted = false;
}

/* Nobody comes in who has no session yet. */
static void close_door(struct session *nobody, const struct greeting_refusal *why)
{
	if (why)
		turn_away(nobody, why->enhanced, why->text);
	reply_flush(nobody);
	smtpd_forget_client(nobody);
	io_conn_close(&nobody->conn, !nobody->broken);
}

/* The session goes on where `nobody` has come to. */
static int begin(struct session *nobody, bool proxied, struct session **out)
{
	struct smtpd *smtpd = nobody->smtpd;
	struct session *s;
	int err = session_new(smtpd, nobody->conn, &nobody->client, nobody->listener, &s);

	if (err != 0) {
		close_door(nobody, NULL);
		return err;
	}
	s->counted = nobody->counted;
	if (proxied) {
		s->phase = PHASE_PROXY;
		session_wait(s, SESSION_PROXY_MS);
	} else {
		session_open(s);
	}
	reply_flush(s);
	/* The handshake begins when the turn ends: the connection has its owner then. */
	if (s->phase == PHASE_TLS)
		smtpd_make_ready(smtpd, s);
	if (s->ending || session_watch(s) != 0) {
		session_free(&s, false);
		return ERR_CLOSED;
	}
	*out = s;
	return 0;
}

int smtpd_session_start(struct smtpd *smtpd, struct io_conn *conn, uint32_t listener,
	const struct io_conn_handler **handler, void **owner)
{
	struct session nobody = {.smtpd = smtpd,
		.conn = conn,
		.listener = listener,
		.started_ns = smtpd->io->now_ns};
	struct greeting_refusal why;
	struct netaddr local;
	struct session *s;

	CHECK_MAGIC(smtpd, SMTPD_MAGIC);
	CHECK(listener < smtpd->c.config->listener_count);
	smtpd->figures.connections++;
	io_conn_ends(conn, &local, &nobody.client);
	nobody.phase = session_first_phase(&nobody);
	int err = admit(smtpd, &why);
	if (err != 0) {
		close_door(&nobody, &why);
		return err;
	}
	/* A proxy is not counted, whom it speaks for is, when that is known. */
	bool proxied = proxy_expected(&nobody);
	if (!proxied && !smtpd_admit_client(&nobody)) {
		close_door(&nobody, NULL);
		return ERR_LIMIT;
	}
	err = begin(&nobody, proxied, &s);
	if (err != 0)
		return err;
	*handler = &session_handler;
	*owner = s;
	return 0;
}

/* ---- the end of a turn ---------------------------------------------------------------------- */

void smtpd_make_ready(struct smtpd *smtpd, struct session *s)
{
	if (list_empty(&s->ready))
		list_push_back(&smtpd->ready, &s->ready);
	io_turn_end(smtpd->io, &smtpd->turn);
}

static void turn_end(struct io_turn *turn)
{
	struct smtpd *smtpd = CONTAINER_OF(turn, struct smtpd, turn);
	struct list now;

	/* What becomes ready meanwhile waits for the next turn, so that this one ends. */
	list_init(&now);
	while (!list_empty(&smtpd->ready)) {
		struct list *node = smtpd->ready.next;
		list_remove(node);
		list_push_back(&now, node);
	}
	while (!list_empty(&now)) {
		struct session *s = LIST_FIRST(&now, struct session, ready);
		list_remove(&s->ready);
		session_resume(s);
	}
	if (smtpd->draining && smtpd->session_count == 0 && smtpd->drained) {
		void (*drained)(void *) = smtpd->drained;
		smtpd->drained = NULL;
		lost_sum(smtpd);
		drained(smtpd->drained_arg);
	}
}

static void let_go(struct session *s)
{
	s->let_go = true;
	session_stop(s, "4.3.2", "Service is stopping; try again");
}

void smtpd_drain(struct smtpd *smtpd, uint64_t ms, void (*drained)(void *arg), void *arg)
{
	CHECK_MAGIC(smtpd, SMTPD_MAGIC);
	if (smtpd->draining)
		return;
	smtpd->draining = true;
	smtpd->drained = drained;
	smtpd->drained_arg = arg;
	LIST_FOR_EACH(node, &smtpd->sessions)
	{
		struct session *s = CONTAINER_OF(node, struct session, node);
		bool busy = s->phase >= PHASE_ASK && !auth_is_refused(s);
		if (!s->transaction && !busy && !session_in_body(s))
			let_go(s);
	}
	/* Where no memory is left for a timer, nothing is waited for. */
	if (io_timer_after(smtpd->io, &smtpd->drain_timer, ms) != 0)
		drain_over(&smtpd->drain_timer);
	io_turn_end(smtpd->io, &smtpd->turn);
}

static void drain_over(struct timer *timer)
{
	struct smtpd *smtpd = CONTAINER_OF(timer, struct smtpd, drain_timer);

	LIST_FOR_EACH(node, &smtpd->sessions)
	{
		struct session *s = CONTAINER_OF(node, struct session, node);
		if (s->phase != PHASE_COMMIT)
			let_go(s);
	}
}

/* ---- figures -------------------------------------------------------------------------------- */

void smtpd_figures(const struct smtpd *smtpd, struct smtpd_figures *out)
{
	*out = smtpd->figures;
	out->sessions_now = smtpd->session_count;
}
