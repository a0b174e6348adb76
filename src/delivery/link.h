/* What link.c, session.c and connect.c share. */
#ifndef DELIVERY_LINK_H
#define DELIVERY_LINK_H

#include "delivery/core.h"

/* The one that has waited longest, or NULL. */
struct attempt *link_take_waiting(struct link *link);
/* All that wait hear that the destination cannot be asked, or (PERMANENT) never. */
void link_fail_waiting(struct link *link, const struct verdict *verdict);
/* All that wait go back, as `what` is missing here. */
void link_short_waiting(struct link *link, const char *what);
/* What DNS is asked of a destination's hosts. */
void link_query(struct delivery *delivery, const struct transport *transport, struct span next_hop,
	struct mx_query *out);
/* A temporary verdict of our own. */
void link_trouble(struct verdict *verdict, uint8_t subject, uint8_t detail, const char *text);

void session_end(struct session *session, bool polite);
extern const struct client_ops session_ops;
void session_run(struct session *session, struct attempt *attempt);

/* ---- connect.c ------------------------------------------------------------------------------ */

/* Connects to the next address; false: it failed, with `last` where none is left, and is gone. */
bool session_try(struct session *session, const struct verdict *last);
/* It is no longer one of its host's. */
void session_leave_host(struct session *session);
/* One for each attempt that waits, where there may be so many. The hosts are known. */
void session_open_for(struct link *link);

#endif
