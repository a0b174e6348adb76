/*
 * The names of objects in the one form they are kept, compared and looked up in.
 */
#ifndef DIRECTORY_NAMES_H
#define DIRECTORY_NAMES_H

#include "base/arena.h"
#include "base/span.h"

#include <stdbool.h>

#define NAME_DOMAIN_BYTES    253u /* RFC 1035 section 2.3.4, without the last dot */
#define NAME_LOCAL_BYTES     64u  /* RFC 5321 section 4.5.3.1.1 */
#define NAME_TRANSPORT_BYTES 63u

/* A host or domain name: lower case, A-labels (IDNA2008), no dot at the end, letters, digits and
 * hyphens only. ERR_SYNTAX, ERR_NOMEM. */
int name_domain(struct span in, struct arena *arena, struct span *out);

/* The same, or an IP address without brackets. */
int name_host(struct span in, struct arena *arena, struct span *out);

/* An account's address: dot-string local part in lower case, "@", canonical domain. */
int name_account(struct span in, struct arena *arena, struct span *out);

/* UTF-8 without control characters, line separators and byte order marks: what can be shown, logged
 * and written as YAML as it is. */
bool name_is_text(struct span in);

/* [a-z0-9][a-z0-9._-]{0,62} */
bool name_is_transport(struct span in);

#endif
