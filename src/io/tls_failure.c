/* Knows no OpenSSL: pure code and the simulator link it. */
#include "io/tls.h"

#include "base/check.h"

static const char *const texts[TLS_FAILURES] = {
	[TLS_FINE] = "fine",
	[TLS_HANDSHAKE] = "handshake failed",
	[TLS_LOST] = "connection lost during the handshake",
	[TLS_TIMEOUT] = "handshake took too long",
	[TLS_NO_CERTIFICATE] = "no certificate was shown",
	[TLS_EXPIRED] = "certificate is expired or not valid yet",
	[TLS_UNTRUSTED] = "certificate is not trusted",
	[TLS_NAME] = "certificate is for another name",
	[TLS_PIN] = "certificate and key are none of the pinned ones",
	[TLS_NO_MATCH] = "certificate matches no TLSA record",
	[TLS_OURS] = "TLS failed for a reason of our own",
};

const char *tls_failure_text(enum tls_failure failure)
{
	CHECK(failure < TLS_FAILURES);
	return texts[failure];
}
