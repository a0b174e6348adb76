/*
 * Certificates, keys and authorities as files that somebody else wrote: the input is cut at its
 * first NUL into the chain and the key.
 */
#include "base/check.h"
#include "io/tls.h"
#include "io/tls_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void as_server(struct span chain, struct span key, struct buf *problem)
{
	struct tls_certificate one[] = {{.chain = chain, .key = key},
		{.name = SPAN("a.example"), .chain = chain, .key = key}};
	struct tls_server_config config = {
		.certificates = one, .certificate_count = ARRAY_SIZE(one), .client_ca = chain};
	struct tls_server *server = NULL;
	int64_t ends_ms;

	buf_clear(problem);
	int err = tls_server_new(&config, &server, problem);
	CHECK((err == 0) == (server != NULL));
	CHECK(err == 0 || problem->n);
	CHECK(err || tls_server_expiry(server, 1, &ends_ms) == 0);
	tls_server_release(&server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span all = span_of(data, n);
	struct span chain = {all.p, span_find(all, '\0')};
	struct span key = span_skip(all, chain.n + 1);
	struct tls_private_key *private = NULL;
	struct buf problem;
	int64_t ends_ms = -1;
	size_t count = 0;

	buf_init(&problem, 512);
	int err = tls_check_pair(chain, key, &ends_ms, &problem);
	CHECK(err == 0 || (problem.n && ends_ms == -1));
	buf_clear(&problem);
	int ca = tls_check_ca(chain, &count, &problem);
	CHECK(ca == 0 ? count > 0 : problem.n > 0);
	(void)tls_chain_has_name(chain, SPAN("mx.example"));
	buf_clear(&problem);
	if (tls_private_key_new(key, &private, &problem) == 0) {
		uint8_t out[TLS_SIGN_OUT];
		size_t out_n;
		char digest[TLS_SIGN_IN] = "";
		for (int kind = 0; kind < TLS_SIGNATURES; kind++)
			(void)tls_key_sign(private, (enum tls_signature)kind,
				kind == TLS_SIGN_ED25519 ? TLS_NO_HASH : TLS_SHA256,
				span_of(digest, 32), out, &out_n);
	}
	tls_private_key_free(&private);
	if (n < 16384) /* the context is most of the work */
		as_server(chain, key, &problem);
	buf_done(&problem);
	return 0;
}
