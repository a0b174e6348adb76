/* Inner header of directory/check*. */
#ifndef DIRECTORY_CHECK_INNER_H
#define DIRECTORY_CHECK_INNER_H

#include "directory/check.h"
#include "directory/objects_inner.h"

#define CHECK_TEXT_BYTES 1024u

struct checker {
	const struct config *config;   /* may be NULL */
	const struct objects *objects; /* likewise */
	void (*found)(void *context, const struct check_finding *finding);
	void *context;
	struct buf about, text;
	uint32_t of_kind; /* findings of the present kind */
};

/* A finding is built in the two buffers and then told. */
void check_tell(struct checker *c, enum check_severity severity);
/* Says how many more of the present kind there are. */
void check_next_kind(struct checker *c);
void check_about(struct checker *c, const struct object *object);

/* What of the accept table no relay policy looks at. */
void check_accept(struct checker *c);
/* How transports protect their links. */
void check_links(struct checker *c);

#endif
