/*
 * What an administrator should know about a start file and its objects: what `posternctl check`
 * prints.
 */
#ifndef DIRECTORY_CHECK_H
#define DIRECTORY_CHECK_H

#include "directory/config.h"
#include "directory/objects.h"

/* An error: posternd would not start with it. */
enum check_severity { CHECK_NOTE, CHECK_WARNING, CHECK_ERROR };

struct check_finding {
	enum check_severity severity;
	struct span about; /* "transport site-a", "listeners.mx" */
	struct span text;  /* what is the matter, and what to do */
};

#define CHECK_RETRY_LEAST_S	14400u	/* 4 hours */
#define CHECK_RETRY_MOST_S	432000u /* 5 days */
#define CHECK_FINDINGS_PER_KIND 20	/* then one line says how many more */

/* All but who may relay, which route/relay.h tells. Either may be NULL. `as_root`: the server will
 * be started by root. */
void check_all(const struct config *config, const struct objects *objects, bool as_root,
	void (*found)(void *context, const struct check_finding *finding), void *context);

/* Of these only what is said of the postmaster's mail (RFC 5321 section 4.5.1). */
void check_postmaster(const struct config *config, const struct objects *objects,
	void (*found)(void *context, const struct check_finding *finding), void *context);

const char *check_severity_name(enum check_severity severity);

#endif
