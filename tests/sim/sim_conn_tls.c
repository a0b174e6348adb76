/* A process's connections: TLS, as io/loop_tls.c does it. */
#include "sim_conn_inner.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

/* A session of before that may be gone on with. */
struct sim_ticket {
	uint64_t session; /* hash of tls_client.session_key */
	uint64_t ticket;
};

static void too_slow(struct timer *timer);

static uint64_t hash_of(struct span text)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < text.n; i++)
		h = (h ^ (unsigned char)text.p[i]) * 0x100000001b3ull;
	return text.n ? h | 1 : 0;
}

static struct sim_ticket *ticket_of(struct sim_process *p, uint64_t session)
{
	for (size_t i = 0; session && i < p->ticket_count; i++)
		if (p->tickets[i].session == session)
			return &p->tickets[i];
	return NULL;
}

static void keep_ticket(struct sim_process *p, uint64_t session, uint64_t ticket)
{
	struct sim_ticket *known = ticket_of(p, session);

	if (!session)
		return;
	if (!known) {
		p->tickets = realloc(p->tickets, (p->ticket_count + 1) * sizeof(*p->tickets));
		CHECK(p->tickets);
		known = &p->tickets[p->ticket_count++];
	}
	*known = (struct sim_ticket){session, ticket};
}

/* ---- how it ends ------------------------------------------------------------------------------
 */

static int err_of(enum tls_failure failure)
{
	switch (failure) {
	case TLS_TIMEOUT: return ERR_TIMEOUT;
	case TLS_LOST: return ERR_CLOSED;
	case TLS_OURS: return ERR_NOMEM;
	default: return ERR_DENIED;
	}
}

static void fill_info(struct conn *c)
{
	struct conn_tls *t = c->tls;
	struct tls_info *info = &t->info;
	const struct sim_tls *tls = t->tls;

	info->version = SPAN("TLSv1.3");
	info->cipher = SPAN("TLS_SIMULATED");
	info->resumed = tls->resumed;
	info->sni = span_str(tls->sni);
	info->has_binding = true;
	sim_tls_binding(tls, info->binding);
	info->peer_certificate = tls->peer != CERT_NONE;
	if (!info->peer_certificate)
		return;
	info->peer_verified = tls->server ? tls->peer == CERT_CLIENT : t->checks;
	info->peer_subject = span_str(sim_cert_names(tls->peer)[0]);
	sim_cert_hash(tls->peer, info->peer_certificate_hash);
	sim_cert_key_hash(tls->peer, info->peer_key_hash);
}

static void fail(struct conn *c, enum tls_failure failure)
{
	struct conn_tls *t = c->tls;
	int err = err_of(failure);

	timers_disarm(sim_conn_events(c), &t->deadline);
	t->info.failure = failure;
	if (failure != TLS_LOST && failure != TLS_TIMEOUT && t->tls->state != SIM_TLS_REFUSED) {
		sim_tls_refuse(t->tls);
		(void)sim_conn_flush(c);
	}
	/* Whatever its owner does with it now but closing fails. */
	c->failed = err;
	c->told = true;
	c->handler->secured(c->owner, err, &t->info);
}

static void succeed(struct conn *c)
{
	struct conn_tls *t = c->tls;

	timers_disarm(sim_conn_events(c), &t->deadline);
	t->open = true;
	if (!t->tls->server)
		keep_ticket(c->process, t->session, sim_tls_ticket(t->tls->peer));
	fill_info(c);
	sim_conn_look_again(c, SIM_US);
	c->handler->secured(c->owner, 0, &t->info);
}

/* ---- the handshake ----------------------------------------------------------------------------
 */

static void judge(struct conn_tls *t)
{
	enum tls_failure found = t->tls->resumed ? TLS_FINE : t->verdicts[t->tls->peer];

	t->info.failure = found;
	if (found == TLS_FINE)
		sim_tls_accept(t->tls);
}

void sim_conn_shake(struct conn *c)
{
	struct conn_tls *t = c->tls;
	char bytes[4096];
	int64_t n = 0;

	while (t->tls->state == SIM_TLS_SHAKES &&
		(n = sim_end_read(c->end, bytes, sizeof(bytes))) > 0)
		sim_tls_take(t->tls, bytes, (size_t)n);
	if (t->tls->state == SIM_TLS_SHOWN)
		judge(t);
	if (t->info.failure != TLS_FINE) {
		fail(c, t->info.failure);
		return;
	}
	int err = sim_conn_flush(c);

	switch (t->tls->state) {
	case SIM_TLS_OPEN: succeed(c); return;
	case SIM_TLS_REFUSED:
		t->info.detail = SPAN("the other side refuses");
		fail(c, TLS_HANDSHAKE);
		return;
	case SIM_TLS_BROKEN: fail(c, TLS_HANDSHAKE); return;
	default: break;
	}
	if (n < 0 || err < 0)
		fail(c, TLS_LOST);
}

static void time_over(void *arg)
{
	fail(arg, TLS_TIMEOUT);
}

static void too_slow(struct timer *timer)
{
	struct conn_tls *t = CONTAINER_OF(timer, struct conn_tls, deadline);

	process_enter(t->conn->process, time_over, t->conn);
}

/* What it would say of each certificate. */
static void prepare(struct conn_tls *t, const struct tls_client *client)
{
	for (enum sim_cert cert = CERT_NONE; cert < CERTS; cert++)
		t->verdicts[cert] =
			cert == CERT_NONE ? TLS_NO_CERTIFICATE : sim_cert_check(cert, client);
	t->checks = client->check != TLS_CHECK_NOTHING;
	t->session = hash_of(client->session_key);
}

int sim_conn_secure(struct io_conn *conn, struct tls_server *server,
	const struct tls_client *client, uint64_t ms)
{
	struct conn *c = (struct conn *)(void *)conn;
	struct sim *sim = c->process->sim;

	CHECK(!c->tls && !c->lingers && c->handler->secured);
	if (c->failed)
		return ERR_CLOSED;
	if (c->first || (client && sim_end_waiting(c->end)))
		return ERR_BUSY;
	if (!sim->calm && sim_chance(sim, 1))
		return ERR_NOMEM;
	struct conn_tls *t = calloc(1, sizeof(*t));

	CHECK(t);
	c->tls = t;
	t->conn = c;
	t->deadline.fire = too_slow;
	if (client) {
		prepare(t, client);
		const struct sim_ticket *known = ticket_of(c->process, t->session);

		t->tls = sim_tls_client(sim, CERT_NONE, client->sni, known ? known->ticket : 0);
	} else {
		t->tls = sim_tls_server(sim, sim_tls_server_cert(server));
	}
	sim_arm(sim, &t->deadline, ms * NS_PER_MS);
	(void)sim_conn_flush(c); /* what is wrong with it shows later */
	sim_conn_look_again(c, SIM_US);
	return 0;
}

const struct tls_info *sim_conn_info(const struct io_conn *conn)
{
	const struct conn *c = (const struct conn *)(const void *)conn;

	return c->tls && c->tls->open ? &c->tls->info : NULL;
}

void sim_conn_tls_free(struct conn *c)
{
	if (!c->tls)
		return;
	timers_disarm(sim_conn_events(c), &c->tls->deadline);
	sim_tls_free(&c->tls->tls);
	free(c->tls);
	c->tls = NULL;
}

/* ---- what comes -------------------------------------------------------------------------------
 */

bool sim_conn_has_input(struct conn *c)
{
	struct conn_tls *t = c->tls;
	char bytes[4096];

	if (!t)
		return sim_end_has_input(c->end);
	while (!t->end && !t->tls->in.n && !t->tls->heard_end && t->tls->state == SIM_TLS_OPEN) {
		int64_t n = sim_end_read(c->end, bytes, sizeof(bytes));

		if (n == 0)
			return false;
		if (n < 0)
			t->end = n;
		else
			sim_tls_take(t->tls, bytes, (size_t)n);
	}
	return true;
}

int64_t sim_conn_read(struct conn *c, void *to, size_t n)
{
	struct conn_tls *t = c->tls;

	if (!t)
		return sim_end_read(c->end, to, n);
	if (!sim_conn_has_input(c))
		return 0;
	n = MIN(n, t->tls->in.n);
	if (!n)
		return t->tls->state != SIM_TLS_OPEN ? ERR_SYNTAX
		       : t->tls->heard_end	     ? ERR_MORE
						     : t->end;
	memcpy(to, t->tls->in.p, n);
	buf_drop(&t->tls->in, n);
	return (int64_t)n;
}
