/*
 * What OpenSSL frees is overwritten. It does so itself with keys in its own form, but not with what
 * they were read from on the way there.
 */
#include "io/tls.h"

#include "base/check.h"
#include "base/err.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static void *take(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(n);
}

static void give_back(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *take_more(void *p, size_t n, const char *file, int line)
{
	size_t before = p ? malloc_usable_size(p) : 0;
	void *more = n ? malloc(n) : NULL;

	if (more && p)
		memcpy(more, p, MIN(before, n));
	if (more || !n)
		give_back(p, file, line);
	return more;
}

int tls_wipe_freed(void)
{
	return CRYPTO_set_mem_functions(take, take_more, give_back) == 1 ? 0 : ERR_BUSY;
}
