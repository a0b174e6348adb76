/*
 * struct fetch by libcurl, on a loop. It connects to the addresses that it is given and to no
 * others, looks up no name, reads no file after fetch_curl_new(), and follows nothing.
 *
 * Bounds: FETCH_CURL_MOST exchanges at a time, further ones wait in line up to FETCH_CURL_WAITING.
 */
#ifndef IO_FETCH_CURL_H
#define IO_FETCH_CURL_H

#include "io/fetch.h"
#include "io/loop.h"

#define FETCH_CURL_MOST	   16u
#define FETCH_CURL_WAITING 1024u
#define FETCH_CURL_ANCHORS "/etc/ssl/certs/ca-certificates.crt"

/* `ca_pem`: trust anchors, copied; empty: those of the system, which are read now. ERR_NOMEM;
 * ERR_NOT_FOUND: the system has none. */
int fetch_curl_new(struct loop *loop, struct span ca_pem, struct fetch **out);
/* All exchanges end unheard. */
void fetch_curl_free(struct fetch **fetch);

#endif
