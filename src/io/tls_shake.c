/*
 * Handshakes, step by step. One that needs a signature of another process waits for it: OpenSSL
 * asks for it in the middle of a step and knows no way to come back later, so on the server side
 * the steps up to the signature run on a fiber (io/fiber.h), which stands still meanwhile. (Its own
 * ASYNC jobs are the same on stacks without a guard, of which AddressSanitizer cannot be told.)
 *
 * A server signs once in a handshake, in TLS 1.2 (ServerKeyExchange) as in 1.3 (CertificateVerify).
 */
#include "io/tls_server_impl.h"

#include <openssl/err.h>

static int step(SSL *ssl)
{
	/* What other connections left there meanwhile is cleared when a fiber goes on, too. */
	ERR_clear_error();
	int result = SSL_do_handshake(ssl);
	if (result == 1)
		return 0;
	int why = SSL_get_error(ssl, result);
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? ERR_AGAIN : ERR_DENIED;
}

static void step_on_fiber(void *arg)
{
	struct tls_link *link = arg;

	link->step_err = step(link->ssl);
}

static bool may_sign(const struct tls_link *link)
{
	return link->server && link->server->remote && !link->has_signed;
}

/* The fiber begins, or goes on. */
static int run(struct tls_link *link, bool begins)
{
	struct tls_remote *remote = link->server->remote;

	tls_remote_shakes(remote, link);
	bool over =
		begins ? fiber_begin(link->fiber, step_on_fiber, link) : fiber_resume(link->fiber);
	tls_remote_shakes(remote, NULL);
	if (!over)
		return ERR_BUSY;
	fiber_give(link->fibers, link->fiber);
	link->fiber = NULL;
	return link->step_err;
}

bool tls_link_waits(const struct tls_link *link)
{
	return link->fiber != NULL;
}

bool tls_link_may_shake(const struct tls_link *link, const struct fibers *fibers)
{
	return !link->fiber && (!may_sign(link) || fibers_left(fibers) > 0);
}

int tls_link_shake(struct tls_link *link, struct fibers *fibers)
{
	if (link->fiber)
		return link->waits ? ERR_BUSY : run(link, false);
	if (!may_sign(link))
		return step(link->ssl);
	link->fiber = fiber_take(fibers);
	if (!link->fiber)
		return ERR_NOMEM;
	link->fibers = fibers;
	return run(link, true);
}

void tls_link_give_up(struct tls_link *link)
{
	if (!link->fiber)
		return;
	struct tls_signer *signer = tls_remote_signer(link->server->remote);
	if (link->waits)
		signer->forget(signer, &link->signing);
	link->waits = false;
	link->sign_err = ERR_CLOSED;
	CHECK(run(link, false) != ERR_BUSY);
	ERR_clear_error();
}

/* ---- the signature -------------------------------------------------------------------------- */

static void done(struct tls_signing *signing, int err, struct span signature)
{
	struct tls_link *link = CONTAINER_OF(signing, struct tls_link, signing);

	CHECK(link->fiber && link->waits);
	if (err == 0 && signature.n > TLS_SIGN_OUT)
		err = ERR_LIMIT;
	if (err == 0) {
		memcpy(link->signature, signature.p, signature.n);
		link->signature_bytes = signature.n;
	}
	link->sign_err = err;
	link->waits = false;
	link->signed_now(link);
}

int tls_shake_sign(struct tls_remote *remote, const struct tls_signing *signing,
	uint8_t out[TLS_SIGN_OUT], size_t *out_bytes)
{
	struct tls_link *link = tls_remote_shaking(remote);

	/* Nothing but a handshake signs, and that once. */
	if (!link || link->has_signed)
		return ERR_DENIED;
	link->has_signed = true;
	link->signing = *signing;
	link->signing.done = done;
	list_init(&link->signing.place);
	link->signature = out;
	struct tls_signer *signer = tls_remote_signer(remote);
	int err = signer->ask(signer, &link->signing);
	if (err)
		return err;
	link->waits = true;
	fiber_pause(link->fiber);
	ERR_clear_error();
	*out_bytes = link->signature_bytes;
	return link->sign_err;
}
