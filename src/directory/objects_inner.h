/* Inner header of directory/objects* and directory/plan*. */
#ifndef DIRECTORY_OBJECTS_INNER_H
#define DIRECTORY_OBJECTS_INNER_H

#include "directory/objects.h"

struct object_set {
	struct object **items; /* by name */
	size_t count;
};

struct objects {
	struct object_set sets[OBJECT_KINDS];
};

int object_new(enum object_kind kind, struct span name, const void *fields, int64_t created_ms,
	int64_t changed_ms, struct object **out);
struct object *object_hold(struct object *object);
void object_release(struct object **object);
bool object_same(const struct object *a, const struct object *b);

/* Order of names: bytes, the shorter one first. */
int object_name_compare(struct span a, struct span b);
/* Makes room for so many objects. */
int object_set_room(struct object_set *set, size_t room);
/* The place of a name in a set, or where it would go. */
size_t object_set_place(const struct object_set *set, struct span name, bool *found);

/* The name of a kind in its canonical form; problems get what is wrong with it. */
int object_name(enum object_kind kind, struct span in, struct place at, struct arena *arena,
	struct problems *problems, struct span *out);
/* What a priority rule is called: "sender=@a.example client=192.0.2.0/24". */
int object_priority_name(const struct object_priority *rule, struct arena *arena, struct span *out);
#define OBJECT_NAME_BYTES 2048u

/* ---- a draft: changes that were read and not checked against each other yet ------------------ */

struct draft_change {
	enum object_kind kind;
	struct span name;	 /* in the draft's arena */
	struct object *after;	 /* NULL: to be removed */
	const struct node *node; /* where it was written; NULL: nowhere */
	uint32_t order;
};

/* One that is in the file and cannot be used: what refers to it is not at fault. */
struct draft_broken {
	struct draft_broken *next;
	enum object_kind kind;
	struct span name;
};

struct draft {
	const struct objects *now;
	const struct plan_options *options;
	struct problems problems;
	struct arena arena;
	struct draft_change *changes;
	size_t count, room;
	struct draft_broken *broken; /* in the arena */
};

void draft_init(struct draft *draft, const struct objects *now, const struct plan_options *options,
	struct span file, struct buf *problems);
void draft_done(struct draft *draft);
/* An object that is to be there: its fields are packed; keeps the time of creation. */
int draft_put(struct draft *draft, enum object_kind kind, struct span name, const void *fields,
	const struct node *node);
int draft_break(struct draft *draft, enum object_kind kind, struct span name);
int draft_remove(struct draft *draft, enum object_kind kind, struct span name);

/* Merges, checks and compares. The draft stays the caller's. */
int draft_plan(struct draft *draft, struct plan **out);

/* References, exclusive fields and bounds of a whole generation. The draft's changes (sorted by
 * kind and name) tell where a bad object was written; NULL: it was not. */
int objects_validate(
	const struct objects *objects, const struct draft *draft, struct problems *problems);

struct plan {
	const struct objects *base; /* what it was made from */
	struct objects *next;
	struct change *changes;
	size_t count, room;
};

#define DRAFT_ARENA (1024u << 20)
#define FIELD_ARENA (64u << 10) /* texts of one object while it is read */

#endif
