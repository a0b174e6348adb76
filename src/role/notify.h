/*
 * Tells a service manager how we are (the protocol of sd_notify: a datagram to $NOTIFY_SOCKET).
 */
#ifndef ROLE_NOTIFY_H
#define ROLE_NOTIFY_H

/* "READY=1", "STOPPING=1". Nothing happens where nobody asked for it. */
void notify_manager(const char *state);

#endif
