/*
 * Delivers one message into a Maildir below the disk's root (the mailboxes directory), in a job on
 * IO_LANE_FILE:  <domain>/<local part>/{tmp,new,cur}.
 *
 * A file holds Return-Path, Delivered-To, the prepended fields and the body, with LF line ends as
 * Maildirs have them; a body with bare CR or LF bytes is kept byte for byte, CRLF too. The file is
 * synced, renamed from tmp to new, and the directory is synced, before done() says VERDICT_OK.
 *
 * Delivering twice does no harm: the name is made of the message's arrival, its id and the
 * recipient's number, so a repetition after a crash meets its own earlier file.
 *
 * Files below are made as needed; nothing is ever made outside the root: names hold
 * [a-z0-9._+=-] and %XX only, and never begin with a dot.
 */
#ifndef TRANSPORT_MAILDIR_H
#define TRANSPORT_MAILDIR_H

#include "base/buf.h"
#include "base/span.h"
#include "codec/envelope.h"
#include "codec/verdict.h"
#include "io/disk.h"
#include "io/io.h"
#include "spool/spool.h"

#include <stdbool.h>
#include <stdint.h>

#define MAILDIR_NAME 255  /* bytes of one name */
#define MAILDIR_PATH 1024 /* bytes of a path, with its NUL */

/*
 * One delivery. The owner fills in the upper part, calls maildir_deliver(), and keeps it and all
 * that it points to until done(). It is run on a helper thread in between: nothing may change.
 */
struct maildir_delivery {
	/* in */
	struct disk *disk;		 /* its root is the mailboxes directory */
	struct span hostname;		 /* ours, for the unique name */
	const struct envelope *envelope; /* id, arrived_ms, sender, flags, prepend */
	uint32_t rcpt;			 /* index into envelope->rcpts */
	struct span account; /* the mailbox; empty: the recipient's address. The recipient may be
			      * written in another case than the directory's account */
	struct span prepend; /* more header lines (CRLF), before envelope->prepend */
	struct spool_body body;
	bool repeat; /* an earlier attempt may have gone through unseen (another attempt, or the
		      * queue was read back): an earlier delivery is then looked for in cur, too */
	void *owner;
	/* From the loop. */
	void (*done)(void *owner, struct maildir_delivery *delivery);
	/* out */
	struct verdict verdict;	 /* never permanent but for an address that has no path */
	int error;		 /* what kept it from being written; 0: nothing */
	bool was_there;		 /* a repetition: the message had been delivered before */
	char path[MAILDIR_PATH]; /* of the file in new, below the root; "" on failure */
	/* own */
	struct io_job job;
};

/* ERR_NOMEM and the like: io_submit() refused, done() will not come. */
int maildir_deliver(struct io *io, struct maildir_delivery *delivery);

/* Appends "<domain>/<local part>" for a canonical address. ERR_SYNTAX: no "@", or a side is empty;
 * ERR_LIMIT: a name would pass MAILDIR_NAME bytes. Nothing is appended then. */
int maildir_path(struct buf *buf, struct span address);

#endif
