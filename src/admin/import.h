/*
 * Accounts from files of other programs: user:hash, and what else a line has is not looked at.
 * Pure; the lines are hostile as ever.
 */
#ifndef ADMIN_IMPORT_H
#define ADMIN_IMPORT_H

#include "base/buf.h"
#include "base/span.h"
#include "directory/secrets.h"

#include <stdbool.h>

#define IMPORT_LINE 4096 /* bytes of a line */
#define IMPORT_USER 320	 /* bytes of a name, with its domain */

enum import_format {
	IMPORT_HTPASSWD, /* of Apache: user:hash */
	IMPORT_PASSWD,	 /* passwd(5): accounts without a password are left out */
	IMPORT_SHADOW,	 /* shadow(5): likewise */
	IMPORT_DOVECOT,	 /* passwd-file: user:{SCHEME}hash:… */
};

/* ERR_NOT_FOUND. */
int import_format_parse(struct span name, enum import_format *out);

enum import_line {
	IMPORT_ACCOUNT,
	IMPORT_NOTHING, /* a blank line, or a comment */
	IMPORT_LOCKED,	/* one that nobody can log in to, in a file that has such */
	IMPORT_WRONG,
};

struct import_account {
	struct span user; /* in the line; as it is there, with a domain or without */
	bool weak;	  /* its hash can be undone by trying passwords */
};

/* Appends what is kept of the password (directory/secrets.h) to `verifiers`, a buffer of
 * SECRET_BYTES. IMPORT_WRONG: *why is the end of a sentence about the line, which does not show
 * what is in it. */
enum import_line import_read(enum import_format format, struct span line,
	struct import_account *out, struct buf *verifiers, const char **why);

#endif
