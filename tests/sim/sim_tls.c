/*
 * TLS in the simulator: behind io/tls.h, as far as it is used. A certificate here is no more than
 * something that is held and let go.
 */
#include "base/check.h"
#include "io/tls.h"

struct tls_server {
	uint32_t holders;
};

struct tls_server *tls_server_hold(struct tls_server *server)
{
	server->holders++;
	return server;
}

void tls_server_release(struct tls_server **server)
{
	CHECK((*server)->holders > 0);
	(*server)->holders--;
	*server = NULL;
}
