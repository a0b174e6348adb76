/* Inner header of directory/objects* and directory/plan*. */
#ifndef DIRECTORY_OBJECTS_INNER_H
#define DIRECTORY_OBJECTS_INNER_H

#include "directory/objects.h"

struct object_set {
	struct object **items; /* by name */
	size_t count;
};

struct objects {
	uint64_t generation;
	struct object_set sets[OBJECT_KINDS];
};

extern const struct schema schema_transport, schema_account, schema_alias, schema_relay,
	schema_accept;

/* Room for the fields of any kind. */
union object_fields {
	struct object_transport transport;
	struct object_domain domain;
	struct object_account account;
	struct object_alias alias;
	struct object_relay relay;
	struct object_priority priority;
	struct object_accept accept;
	struct object_settings settings;
	struct object_pause pause;
};

/* Objects of the kind are called by names that people give; they stand under the kind's plural. */
bool object_is_named(enum object_kind kind);
/* There is one, or none: settings, the accept table. Unset, it needs no object. */
bool object_is_single(enum object_kind kind);
/* Where the fields of a kind hold its secret; NULL: it has none. */
struct span *object_secret(enum object_kind kind, void *fields);
enum secret_kind object_secret_kind(enum object_kind kind);

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

/* A secret that the draft brings; an empty value: it goes. */
struct draft_secret {
	struct draft_secret *next;
	enum object_kind kind;
	struct span name, value; /* in the arena */
};

struct draft {
	const struct objects *now;
	const struct plan_options *options;
	struct problems problems;
	struct arena arena;
	struct draft_change *changes;
	size_t count, room;
	struct draft_broken *broken; /* in the arena */
	struct draft_secret *secrets, **secrets_end;
};

void draft_init(struct draft *draft, const struct objects *now, const struct plan_options *options,
	struct span file, struct buf *problems);
void draft_done(struct draft *draft);
/* An object that is to be there: its fields are packed; keeps the time of creation. A secret in the
 * fields is taken out of them; where there is none the present one stays, if it is still for the
 * same user. */
int draft_put(struct draft *draft, enum object_kind kind, struct span name, void *fields,
	const struct node *node);
/* The same with the fields' secret as it is: SCHEMA_SECRET_SET, or empty. */
int draft_put_packed(struct draft *draft, enum object_kind kind, struct span name,
	const void *fields, const struct node *node);
/* A new secret of an object, or an empty one, and nothing else. */
int draft_secret(struct draft *draft, enum object_kind kind, struct span name, struct span value,
	const struct node *node);
int draft_break(struct draft *draft, enum object_kind kind, struct span name);
int draft_remove(struct draft *draft, enum object_kind kind, struct span name);

/* A name as people type it in the form it is kept in; ERR_SYNTAX with a line. */
int draft_name(struct draft *draft, enum object_kind kind, struct span in, struct span *out);
/* ERR_NOT_FOUND, with a line that says how many there are and how to see them. */
int draft_not_there(struct draft *draft, enum object_kind kind, struct span name);
/* Ends an edit: err is its own, and whatever failed is told in at least one line. */
int draft_finish(struct draft *draft, int err, struct plan **out);
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
	struct secret_change *secrets;
	size_t secret_count, secret_room;
};

/* The secrets that come, change and go with the changes of objects; logins by them count no more.
 */
int plan_build_secrets(struct plan *plan, const struct draft *draft);
void plan_free_secrets(struct plan *plan);

#define DRAFT_ARENA (1024u << 20)
#define FIELD_ARENA (64u << 20) /* texts of one object while it is read */

#endif
