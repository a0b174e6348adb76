/*
 * What the files of the sandbox's system calls share; nobody else includes it.
 */
#ifndef ROLE_SANDBOX_INNER_H
#define ROLE_SANDBOX_INNER_H

#include "role/sandbox.h"

#include <seccomp.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || \
	__has_feature(undefined_behavior_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Who is given all that it needs through its channels. */
static inline bool sandbox_has_no_files(enum role_kind kind)
{
	return kind == ROLE_KEYS || kind == ROLE_FETCH;
}

/* sandbox_args.c. Both return 0 or a sum of negative errors. */

/* The calls that a role keeps in certain forms only. */
int sandbox_allow_in_part(scmp_filter_ctx filter, enum role_kind kind);
/* For who has no files: a library that looks for one is told that it may not. */
int sandbox_refuse_files(scmp_filter_ctx filter);
/* What no role does to standard output and error: for a filter that allows all else. */
int sandbox_guard_shared(scmp_filter_ctx filter);

#endif
