/*
 * One table of fields for each kind of object and for the start file: parser, checks, YAML and
 * JSON forms, key=value settings, help and reference pages all come from it. To add a field is to
 * add a member to a struct and a line to a table.
 *
 * An object is a plain struct; a field says by its type what lies at its offset:
 *
 *   type                 member             written as
 *   SCHEMA_BOOL          bool               true, false (yes, no, on, off are read too)
 *   SCHEMA_U32           uint32_t           a number
 *   SCHEMA_U64           uint64_t           a number
 *   SCHEMA_SIZE          uint64_t, bytes    50M
 *   SCHEMA_DURATION      uint64_t, ms       1h30m; a bare number counts in `unit_ms`
 *   SCHEMA_TIME          int64_t, wall ms   RFC 3339
 *   SCHEMA_ENUM          int                one of `choices`
 *   SCHEMA_TEXT          struct span        text of least … most bytes
 *   SCHEMA_PATH          struct span        a path; relative ones are made relative to a folder
 *   SCHEMA_FQDN          struct span        a canonical domain name
 *   SCHEMA_HOST          struct span        a canonical name or an IP address
 *   SCHEMA_IPV4, _IPV6   struct span        an address
 *   SCHEMA_CIDR          struct span        an address or a network
 *   SCHEMA_PATTERN       struct span        an address, @domain or *-pattern, lower case
 *   SCHEMA_NAME          struct span        the name of another object (a transport's)
 *   SCHEMA_MAILBOX       struct span        a mail address in canonical form (codec/address.h)
 *   SCHEMA_USER          struct span        a user or group of the system
 *   SCHEMA_ADDRESS       struct netaddr     address:port, port `least` where none is given
 *   SCHEMA_SERVERS       struct span        a list of DNS servers, kept as a comma list
 *   SCHEMA_SERVER        struct server      directory/server_syntax.h
 *   SCHEMA_RETRY         struct retry_list  directory/retry_text.h
 *   SCHEMA_GROUP         (the same object)  a mapping: fields of `sub`, offsets of this object
 *   SCHEMA_MAP           an array           a mapping from names to objects of `sub`: `most`
 *                                           elements at offset, a uint32_t at count_offset; each
 *                                           element begins with its name, a struct span
 */
#ifndef DIRECTORY_SCHEMA_H
#define DIRECTORY_SCHEMA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json_write.h"
#include "directory/node.h"
#include "directory/problems.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_type {
	SCHEMA_BOOL,
	SCHEMA_U32,
	SCHEMA_U64,
	SCHEMA_SIZE,
	SCHEMA_DURATION,
	SCHEMA_TIME,
	SCHEMA_ENUM,
	SCHEMA_TEXT,
	SCHEMA_PATH,
	SCHEMA_FQDN,
	SCHEMA_DOMAIN, /* a name, with or without a dot */
	SCHEMA_HOST,
	SCHEMA_IPV4,
	SCHEMA_IPV6,
	SCHEMA_CIDR,
	SCHEMA_RANGE, /* of addresses: directory/range.h */
	SCHEMA_PATTERN,
	SCHEMA_NAME,
	SCHEMA_MAILBOX, /* the case of the local part is kept */
	SCHEMA_ACCOUNT, /* an address in the form of an account's name */
	SCHEMA_SENDER,	/* that, or "@domain" */
	SCHEMA_PIN,	/* codec/pin.h */
	SCHEMA_USER,
	SCHEMA_SECRET, /* read, and never shown; not in schema_set() */
	SCHEMA_ADDRESS,
	SCHEMA_SERVERS,
	SCHEMA_SERVER,
	SCHEMA_RETRY,
	SCHEMA_LIST,
	SCHEMA_GROUP,
	SCHEMA_MAP,
	SCHEMA_TYPES
};

struct schema;

struct schema_field {
	const char *name;
	const char *value; /* default, as text; NULL: empty or zero */
	size_t offset;
	uint64_t least, most; /* bounds: of the number, the bytes, the milliseconds, the elements */
	uint64_t unit_ms;     /* SCHEMA_DURATION: of a number without unit */
	const char *const
		*choices; /* SCHEMA_ENUM: names in the order of the values, NULL at the end */
	const struct schema *sub;
	const struct schema_field *item; /* SCHEMA_LIST: what an element is; type and bounds */
	size_t count_offset;		 /* SCHEMA_MAP */
	const char *since;		 /* version that brought it */
	const char *doc;		 /* one line */
	const char *example;		 /* for the reference; NULL: none */
	enum schema_type type;
	bool zero_is_off; /* 0 is allowed whatever `least` says */
	bool required;
};

struct schema {
	const char *kind;   /* "transport" */
	const char *plural; /* "transports": the key in an objects file; NULL: not there */
	const char *doc;
	size_t size; /* of the struct */
	const struct schema_field *fields;
	size_t count;
	bool sole; /* has one field, and may be written as its bare value */
};

/* What an object that is kept holds in place of a secret. */
#define SCHEMA_SECRET_SET SPAN("(set)")

/* The first element of a list; the list goes on behind it. */
struct span schema_list_next(struct span *list);

/* Every field gets its default. `out` is schema->size bytes. */
int schema_defaults(const struct schema *schema, struct arena *arena, void *out);

/* Reads a mapping over what `out` holds (so: defaults, or the present object, first). Unknown and
 * missing fields and bad values are lines in problems. `folder` is what relative paths begin with.
 * Texts live in the arena. ERR_SYNTAX where there was a problem; `out` may then be half changed. */
int schema_read(const struct schema *schema, const struct node *map, struct span folder,
	struct arena *arena, const struct path *path, struct problems *problems, void *out);

/* One field from text, as in `transport set site-a retry-count=5`; an empty value is the
 * default. A field of a group is "sasl.user", the elements of a list have commas between them. A
 * secret is refused: command lines are seen by others. */
int schema_set(const struct schema *schema, struct span name, struct span value,
	struct arena *arena, const struct path *path, struct problems *problems, void *out);

/* The same for a secret alone. */
int schema_set_secret(const struct schema *schema, struct span name, struct span value,
	struct arena *arena, const struct path *path, struct problems *problems, void *out);

/* Fields that are required and empty are lines in problems; but not those that `map` (may be NULL)
 * holds, of which schema_read() spoke already. `at`: where the object begins. */
int schema_check_required(const struct schema *schema, const void *object, const struct node *map,
	struct place at, const struct path *path, struct problems *problems);

const struct schema_field *schema_find(const struct schema *schema, struct span name);

/* A value as text, without quotes: what schema_set() reads back. */
void schema_add_value(struct buf *buf, const struct schema_field *field, const void *object);
bool schema_is_default(const struct schema_field *field, const void *object);
/* Of a secret: whether there is one. */
bool schema_same_value(const struct schema_field *field, const void *a, const void *b);
/* All fields, those of groups too. */
bool schema_same(const struct schema *schema, const void *a, const void *b);
bool schema_all_default(const struct schema *schema, const void *object);

/* { server: "127.0.0.1:2626", retry-count: 12 }: the fields that differ from their defaults. */
void schema_add_yaml(struct buf *buf, const struct schema *schema, const void *object);
/* With the object's secret; empty: without. */
void schema_add_yaml_secret(
	struct buf *buf, const struct schema *schema, const void *object, struct span secret);
/* For people: long lists are cut. */
void schema_add_summary(struct buf *buf, const struct schema *schema, const void *object);
/* Members of the open JSON object; all fields, or those that differ from their defaults, secrets
 * left out. */
void schema_add_json(
	struct json_write *json, const struct schema *schema, const void *object, bool all);

/* What differs, in words: "retry-count 30 → 12, from 192.0.2.0/24 added". A long list is cut. */
void schema_add_differences(
	struct buf *buf, const struct schema *schema, const void *before, const void *after);

/* "a number from 0 to 10000", "one of: dsn, discard" */
void schema_add_allowed(struct buf *buf, const struct schema_field *field);

/* Copies an object and all its texts into one piece of memory of the caller: schema_packed_bytes()
 * long, aligned for any type. A secret becomes SCHEMA_SECRET_SET. No SCHEMA_MAP. */
size_t schema_packed_bytes(const struct schema *schema, const void *object);
void schema_pack(const struct schema *schema, const void *object, void *to);

/* A section of a manual page (scdoc), and the lines of --help. */
void schema_add_reference(struct buf *buf, const struct schema *schema);
void schema_add_help(struct buf *buf, const struct schema *schema);

#endif
