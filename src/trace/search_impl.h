/* What the files of the search share. Nobody else includes it. */
#ifndef TRACE_SEARCH_IMPL_H
#define TRACE_SEARCH_IMPL_H

#include "trace/search.h"

#include <jansson.h>

/* ---- search_match.c ------------------------------------------------------------------------- */

/* Bytes that a matching line must hold, to sift before parsing. */
bool search_may_match(const struct search *search, struct span line);
bool search_matches(const struct search *search, const json_t *object, struct span line);
/* A flat object, as events are: who reads the answer must not choke on it. */
bool search_is_event(const json_t *value);
/* A string member, or an empty span. */
struct span json_text(const json_t *object, const char *key);

/* ---- search_sort.c -------------------------------------------------------------------------- */

/* Lines of events by time. ERR_NOMEM. */
int search_sort(struct buf *lines);

#endif
