#include "io/tls_impl.h"

#include "base/err.h"

int tls_remote_new(struct tls_signer *signer, struct tls_remote **out)
{
	(void)signer;
	(void)out;
	return ERR_UNSUPPORTED;
}

void tls_remote_free(struct tls_remote **remote)
{
	(void)remote;
}

OSSL_LIB_CTX *tls_remote_library(const struct tls_remote *remote)
{
	(void)remote;
	return NULL;
}

EVP_PKEY *tls_remote_key(struct tls_remote *remote, uint32_t number, X509 *certificate)
{
	(void)remote;
	(void)number;
	(void)certificate;
	return NULL;
}
