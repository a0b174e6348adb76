/*
 * Certificates and keys as administrators write them. The files are theirs, but nothing is taken
 * for granted: what is wrong is said in a sentence.
 */
#include "io/tls_impl.h"

#include "base/err.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define CHAIN_MOST 64	/* certificates of a file with a chain */
#define CA_MOST	   4096 /* of one with trust anchors */

/* PEM with a pass phrase is refused: nobody is there to be asked. */
static int no_phrase(char *to, int size, int writing, void *arg)
{
	(void)to;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static BIO *open_pem(struct span pem, const char *what, struct buf *problem)
{
	ERR_clear_error();
	if (pem.n == 0 || pem.n > TLS_PEM_BYTES) {
		buf_printf(problem, pem.n ? "the %s is longer than %u bytes" : "the %s is empty",
			what, TLS_PEM_BYTES);
		return NULL;
	}
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (!in)
		buf_add_str(problem, "no memory");
	return in;
}

/* After the last certificate of a file that has at least one. */
static bool at_end(void)
{
	unsigned long code = ERR_peek_last_error();
	bool end = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;

	if (end)
		ERR_clear_error();
	return end;
}

void tls_pem_chain_done(struct tls_pem_chain *chain)
{
	X509_free(chain->leaf);
	sk_X509_pop_free(chain->rest, X509_free);
	*chain = (struct tls_pem_chain){0};
}

static int read_rest(BIO *in, struct tls_pem_chain *chain, struct buf *problem)
{
	char reason[TLS_DETAIL];
	X509 *next;

	chain->rest = sk_X509_new_null();
	if (!chain->rest)
		return ERR_NOMEM;
	while ((next = PEM_read_bio_X509(in, NULL, no_phrase, NULL))) {
		if (sk_X509_num(chain->rest) >= CHAIN_MOST - 1) {
			X509_free(next);
			buf_printf(problem, "the chain has more than %d certificates", CHAIN_MOST);
			return ERR_SYNTAX;
		}
		if (!sk_X509_push(chain->rest, next)) {
			X509_free(next);
			return ERR_NOMEM;
		}
	}
	if (at_end())
		return 0;
	buf_printf(problem, "certificate %d of the chain cannot be read: %s",
		sk_X509_num(chain->rest) + 2, tls_openssl_reason(reason));
	return ERR_SYNTAX;
}

int tls_pem_chain(struct span pem, struct tls_pem_chain *out, struct buf *problem)
{
	struct tls_pem_chain chain = {0};
	char reason[TLS_DETAIL];
	BIO *in = open_pem(pem, "certificate", problem);

	if (!in)
		return ERR_SYNTAX;
	chain.leaf = PEM_read_bio_X509_AUX(in, NULL, no_phrase, NULL);
	int err = ERR_SYNTAX;
	if (chain.leaf)
		err = read_rest(in, &chain, problem);
	else if (at_end())
		buf_add_str(problem, "there is no certificate in it (PEM is expected)");
	else
		buf_printf(
			problem, "the certificate cannot be read: %s", tls_openssl_reason(reason));
	if (err == 0 && !X509_get0_pubkey(chain.leaf)) {
		buf_printf(problem, "the certificate's key cannot be read: %s",
			tls_openssl_reason(reason));
		err = ERR_SYNTAX;
	}
	BIO_free(in);
	ERR_clear_error();
	if (err)
		tls_pem_chain_done(&chain);
	else
		*out = chain;
	return err;
}

EVP_PKEY *tls_pem_key(struct span pem, struct buf *problem)
{
	char reason[TLS_DETAIL];
	BIO *in = open_pem(pem, "key", problem);

	if (!in)
		return NULL;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_phrase, NULL);
	BIO_free(in);
	if (!key && !memmem(pem.p, pem.n, "-----BEGIN", 10)) {
		buf_add_str(problem, "there is no key in it (PEM is expected)");
	} else if (!key) {
		bool locked = memmem(pem.p, pem.n, "ENCRYPTED", 9) != NULL;
		buf_printf(problem, "the key cannot be read: %s",
			locked ? "it has a pass phrase, and nobody is there to be asked for it"
			       : tls_openssl_reason(reason));
	}
	ERR_clear_error();
	return key;
}

static int fill_store(BIO *in, X509_STORE *store, size_t *count, struct buf *problem)
{
	char reason[TLS_DETAIL];
	X509 *one;
	size_t n = 0;

	while ((one = PEM_read_bio_X509_AUX(in, NULL, no_phrase, NULL))) {
		int added = X509_STORE_add_cert(store, one);
		X509_free(one);
		if (!added)
			return ERR_NOMEM;
		if (++n > CA_MOST) {
			buf_printf(problem, "there are more than %d certificates", CA_MOST);
			return ERR_SYNTAX;
		}
	}
	if (!at_end()) {
		buf_printf(problem, "certificate %zu cannot be read: %s", n + 1,
			tls_openssl_reason(reason));
		return ERR_SYNTAX;
	}
	if (n == 0) {
		buf_add_str(problem, "there is no certificate in it (PEM is expected)");
		return ERR_SYNTAX;
	}
	*count = n;
	return 0;
}

int tls_pem_store(struct span pem, X509_STORE **out, size_t *count, struct buf *problem)
{
	size_t n = 0;
	BIO *in = open_pem(pem, "file", problem);

	if (!in)
		return ERR_SYNTAX;
	X509_STORE *store = X509_STORE_new();
	int err = store ? fill_store(in, store, &n, problem) : ERR_NOMEM;
	BIO_free(in);
	ERR_clear_error();
	if (err) {
		X509_STORE_free(store);
		return err;
	}
	/* An anchor need not be a root of its own: a company's intermediate will do. */
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	*out = store;
	if (count)
		*count = n;
	return 0;
}

int64_t tls_time_ms(const ASN1_TIME *time)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0, seconds = 0;
	bool fine = epoch && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;

	ASN1_TIME_free(epoch);
	ERR_clear_error();
	return fine ? ((int64_t)days * 86400 + seconds) * 1000 : 0;
}

/* OpenSSL's own look at the pair is the one that counts: sizes, algorithms, both halves. */
int tls_check_pair(struct span chain, struct span key, int64_t *expires_ms, struct buf *problem)
{
	struct tls_certificate one = {.chain = chain, .key = key};
	struct tls_server_config config = {.certificates = &one, .certificate_count = 1};
	struct tls_server *server;
	int64_t ends_ms = 0;

	if (key.n == 0) {
		buf_add_str(problem, "the key is empty");
		return ERR_SYNTAX;
	}
	int err = tls_server_new(&config, &server, problem);
	if (err)
		return err;
	(void)tls_server_expiry(server, 0, &ends_ms);
	if (expires_ms)
		*expires_ms = ends_ms;
	tls_server_release(&server);
	return 0;
}

int tls_check_ca(struct span pem, size_t *count, struct buf *problem)
{
	X509_STORE *store;
	int err = tls_pem_store(pem, &store, count, problem);

	if (err == 0)
		X509_STORE_free(store);
	return err;
}

bool tls_chain_has_name(struct span chain_pem, struct span name)
{
	struct tls_pem_chain chain;
	struct buf ignored;

	buf_init(&ignored, TLS_DETAIL);
	int err = tls_pem_chain(chain_pem, &chain, &ignored);
	buf_done(&ignored);
	if (err)
		return false;
	bool has = name.n && X509_check_host(chain.leaf, name.p, name.n,
				     X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
	ERR_clear_error();
	tls_pem_chain_done(&chain);
	return has;
}
