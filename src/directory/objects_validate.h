/* Inner header of directory/objects_validate*: what must hold between objects. */
#ifndef DIRECTORY_OBJECTS_VALIDATE_H
#define DIRECTORY_OBJECTS_VALIDATE_H

#include "directory/objects_inner.h"

struct validation {
	const struct objects *objects; /* as they are to be */
	const struct objects *now;     /* NULL: they come from the database */
	const struct config *start;    /* NULL: it is not known */
	const struct draft_change *changes;
	size_t count;
	const struct draft_broken *broken;
	struct problems *problems;
	int err;
};

/* Is it in the file, but cannot be used? Then what refers to it is not at fault. */
bool validate_is_broken(const struct validation *v, enum object_kind kind, struct span name);
/* The draft's change of that object; NULL: it has none. */
const struct draft_change *validate_change(
	const struct validation *v, enum object_kind kind, struct span name);
/* Does the object come, or change? Only such are held to what lies outside the directory, which may
 * have changed since the others came. */
bool validate_is_new(const struct validation *v, const struct object *object);

/* Begins a line about a field of an object, at the place where the file says it. */
void validate_begin(struct validation *v, const struct object *object, const char *field);
void validate_end(struct validation *v, const char *text);
/* Begins a line about an object that is wanted away and is still needed. */
void validate_begin_kept(struct validation *v, enum object_kind kind, struct span name);

void validate_transport(struct validation *v, const struct object *object);
void validate_account(struct validation *v, const struct object *object);
void validate_alias(struct validation *v, const struct object *object);
void validate_relay(struct validation *v, const struct object *object);
/* That no alias leads back to itself, or too far. */
void validate_alias_loops(struct validation *v);

#endif
