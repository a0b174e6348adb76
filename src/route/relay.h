/*
 * The right to relay by a listener's policy (route.h, rule 5), and what is said about it: in plain
 * words for `posternctl relay show`, as warnings for `check`, the start and the log.
 */
#ifndef ROUTE_RELAY_H
#define ROUTE_RELAY_H

#include "base/buf.h"
#include "base/json_write.h"
#include "directory/config.h"
#include "route/route.h"

enum relay_answer { RELAY_YES, RELAY_NO, RELAY_MUST_ASK };

/* May the client relay, and by which rule? RELAY_MUST_ASK: only the next hops' addresses decide
 * (policy `addresses` with `to`, query.hops NULL). `transport`: by which it would leave. A sentence
 * for each rule that was looked at goes to the trail (may be NULL). A temporary lack of knowledge
 * (hops->known false) fills in `verdict` and gives RELAY_NO. */
enum relay_answer relay_right(const struct snapshot *snapshot, const struct route_query *query,
	const struct transport *transport, struct route_trail *trail, struct verdict *verdict);

/* "user%b@a", "b!user@a", "@b:user@a" and the like, by its local part. */
bool relay_is_routed(struct span local);

/* What is dangerous, or locks everybody out; one line each, with what to do. `start` has the
 * listeners. */
void relay_add_warnings(
	const struct snapshot *snapshot, const struct config *start, struct buf *out);

/* Who can relay now, by listener, and why. */
void relay_show_text(const struct snapshot *snapshot, const struct config *start, struct buf *out);
void relay_show_json(
	const struct snapshot *snapshot, const struct config *start, struct json_write *out);

#endif
