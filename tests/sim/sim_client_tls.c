/* A client's side of TLS: it believes every server, and not every one keeps to the rules. */
#include "sim_client_inner.h"

#include "base/check.h"
#include "base/err.h"

void sim_client_begin_tls(struct client *c)
{
	/* Behind STARTTLS nothing is said in clear, but by who was to be caught at it. */
	buf_clear(&c->out);
	c->tls = sim_tls_client(c->sim, c->plan.certificate, SPAN("gw.example.test"), 0);
	if (c->plan.breaks_off) {
		buf_clear(&c->tls->out);
		if (sim_chance(c->sim, 500))
			buf_add_str(&c->tls->out, "EHLO client.example\r\n");
	}
	sim_say(c->sim, "client: shakes hands");
}

static void opened(struct client *c)
{
	c->secured = true;
	sim_say(c->sim, "client: is protected");
	if (c->plan.injects)
		ledger_violation(
			c->ledger, "TLS was begun, with bytes behind STARTTLS that came in clear");
	if (c->who.door == DOOR_SUBMISSION)
		return; /* the greeting comes */
	/* What was said before counts no more (RFC 3207 section 4.2). */
	if (c->plan.hasty)
		sim_client_say(c, EXPECT_NO, 0, "MAIL FROM:<hasty@client.example>");
	sim_client_hello(c);
}

/* False: the handshake failed, and the client is gone. */
static bool shake(struct client *c)
{
	struct sim_tls *tls = c->tls;

	if (tls->state == SIM_TLS_SHOWN) {
		sim_tls_accept(tls);
		sim_tls_take(tls, "", 0);
		opened(c);
	} else if (tls->state == SIM_TLS_BROKEN || tls->state == SIM_TLS_REFUSED) {
		if (c->secured)
			ledger_violation(c->ledger, "a client got what was not protected");
		sim_client_gone(c, sim_chance(c->sim, 500));
		return false;
	}
	return true;
}

bool sim_client_read(struct client *c, bool *ended)
{
	char bytes[2048];
	int64_t n;

	while ((n = sim_end_read(c->end, bytes, sizeof(bytes))) > 0) {
		if (!c->tls) {
			buf_add(&c->in, bytes, (size_t)n);
			continue;
		}
		sim_tls_take(c->tls, bytes, (size_t)n);
		if (!shake(c))
			return false;
	}
	if (c->tls) {
		buf_add_span(&c->in, buf_span(&c->tls->in));
		buf_clear(&c->tls->in);
	}
	*ended = n < 0 || (c->tls && c->tls->heard_end);
	return true;
}

int64_t sim_client_write(struct client *c, const char *bytes, size_t n)
{
	struct sim_tls *tls = c->tls;

	if (!tls)
		return sim_end_write(c->end, bytes, n);
	buf_add_span(&c->wire, buf_span(&tls->out));
	buf_clear(&tls->out);
	while (c->wire.n) {
		int64_t written = sim_end_write(c->end, c->wire.p, c->wire.n);

		if (written <= 0)
			return written;
		buf_drop(&c->wire, (size_t)written);
	}
	if (tls->state != SIM_TLS_OPEN || !n)
		return 0;
	sim_tls_seal(tls, bytes, n);
	return (int64_t)n;
}
