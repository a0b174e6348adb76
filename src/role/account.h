/*
 * Names of accounts, for people who read who did something. From the text of /etc/passwd alone: the
 * C library's way would ask whatever the machine is set up to ask, over the network perhaps, and
 * wait for it.
 */
#ifndef ROLE_ACCOUNT_H
#define ROLE_ACCOUNT_H

#include "base/buf.h"

#include <stdint.h>

#define ACCOUNT_FILE  "/etc/passwd"
#define ACCOUNT_BYTES (8u << 20) /* of it that are looked at */
#define ACCOUNT_NAME  32	 /* bytes of a name; a longer one, or a strange one, is not shown */

/* Adds "ann (uid 1000)"; "root"; "uid 1000" where the file (a descriptor; -1: none) does not know
 * the number. */
void account_add(struct buf *out, int file, uint32_t uid);

#endif
