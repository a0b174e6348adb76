/*
 * The right to relay by a listener's policy (route.h, rule 5), and what is said about it: in plain
 * words for `posternctl relay show`, as warnings for `check`, the start and the log.
 */
#ifndef ROUTE_RELAY_H
#define ROUTE_RELAY_H

#include "base/buf.h"
#include "base/json_write.h"
#include "directory/check.h"
#include "directory/config.h"
#include "route/route.h"

enum relay_answer { RELAY_YES, RELAY_NO, RELAY_MUST_ASK };

/*
 * May the client relay, and by which rule? RELAY_MUST_ASK: only the next hops' addresses decide
 * (policy `addresses` with `to`, query.hops NULL). `transport`: by which it would leave; NULL:
 * only who hands the mail in counts, not where it goes. A sentence for each rule that was looked at
 * goes to the trail (may be NULL), with RELAY_NO the last one says what would be needed. A
 * temporary lack of knowledge (hops->known false, a directory that cannot be read) fills in
 * `verdict`, which is left alone otherwise, and gives RELAY_NO. With RELAY_YES `right` says by what
 * right; it is left alone otherwise.
 *
 *   - Whoever logged in has the right for as long as the account is there and not disabled.
 *   - local-hosts: the sender's domain is a domain of the directory, another name of one, our host
 *     name, or in accept.hosts. An address literal is none of these.
 *   - local-users: the sender is the address of an account that is not disabled, by its own
 * domain's name, or in accept.users. Aliases do not count, nor does the null sender for either.
 *   - anyone: where the listener says open-relay in the start file; elsewhere it counts as none, as
 *     the start file may have changed since the directory did.
 */
enum relay_answer relay_right(const struct snapshot *snapshot, const struct route_config *config,
	const struct route_query *query, const struct transport *transport,
	struct route_trail *trail, enum route_right *right, struct verdict *verdict);

/*
 * Does the local part ask for a second hop: "user%b@a", "b!user@a", ""@b:user"@a", ""user@b"@a"? A
 * server behind us may well take quotes off and read on, so quoted ones count like bare ones; so do
 * the wide forms of "@", "%" and "!" of Unicode, which some servers make plain, and encoded words
 * (RFC 2047), in which anything may stand. Without a host and a user around it a character is just
 * one: "50%", "wow!" and "!x" are names.
 */
bool relay_is_routed(struct span local);

/* "none", "addresses", … */
const char *relay_policy_name(enum relay_policy policy);

/* What is dangerous, or locks everybody out; one line each, "listener mx: what is the matter; what
 * to do". `start` has the listeners. */
void relay_add_warnings(
	const struct snapshot *snapshot, const struct config *start, struct buf *out);

/* The same as findings about "listener mx". */
void relay_check(const struct snapshot *snapshot, const struct config *start,
	void (*found)(void *context, const struct check_finding *finding), void *context);
/* Of objects that are no generation yet; NULL: none. ERR_NOMEM. */
int relay_check_objects(const struct objects *objects, const struct config *start,
	void (*found)(void *context, const struct check_finding *finding), void *context);

/* Who can relay now, by listener, and why. */
void relay_show_text(const struct snapshot *snapshot, const struct config *start, struct buf *out);
void relay_show_json(
	const struct snapshot *snapshot, const struct config *start, struct json_write *out);

#endif
