/*
 * The objects of the directory: transports, domains, accounts, priority rules, settings, pauses.
 * A struct objects is one generation, immutable once it is made; the next one shares with it every
 * object that did not change. Changes are planned (objects_plan_*(), pure: everything is checked,
 * nothing is touched), then kept (store_commit()), then adopted (plan_take()).
 *
 * Owner: the admin role, and posternctl for checks. Not for sharing between threads; a plan may be
 * handed to a helper thread and back.
 */
#ifndef DIRECTORY_OBJECTS_H
#define DIRECTORY_OBJECTS_H

#include "base/buf.h"
#include "base/json_write.h"
#include "directory/retry_text.h"
#include "directory/schema.h"
#include "directory/server_syntax.h"
#include "directory/snapshot.h"

#include <stdalign.h>
#include <stdint.h>

enum object_kind {
	OBJECT_TRANSPORT, /* name: its own */
	OBJECT_DOMAIN,	  /* the canonical domain */
	OBJECT_ACCOUNT,	  /* the canonical address */
	OBJECT_PRIORITY,  /* the rule itself, as text: rules are a set */
	OBJECT_SETTINGS,  /* "": there is one; top-level keys of an objects file */
	OBJECT_PAUSE,	  /* "all", "transport/NAME", "domain/NAME"; in no objects file */
	OBJECT_KINDS
};

/* Bounds of one generation. */
#define OBJECTS_TRANSPORTS 10000u
#define OBJECTS_DOMAINS	   2000000u
#define OBJECTS_ACCOUNTS   4000000u
#define OBJECTS_PRIORITIES 1000u

struct object_transport {
	struct server server;
	struct retry_list retry_delay;
	uint32_t retry_count;
	bool private_hosts;
	int give_up; /* enum give_up */
	uint64_t delay_warning_ms;
	struct span source_v4, source_v6;
	struct span helo;
	uint32_t connections, messages_per_connection, rate_per_minute;
};

struct object_domain {
	struct span transport; /* one of the two */
	bool mailboxes;
};

struct object_account {
	char none; /* no fields yet */
};

struct object_priority {
	struct span sender, recipient, domain, transport, client;
};

struct object_settings {
	struct span default_transport, postmaster;
};

struct object_pause {
	int64_t since_ms;
	struct span by, reason;
};

struct object {
	uint32_t refs;
	enum object_kind kind;
	int64_t created_ms, changed_ms;
	struct span name;
	alignas(max_align_t) char fields[]; /* the struct of its kind, then its texts */
};

const struct schema *object_schema(enum object_kind kind);
/* "transport", "domain", "account", "priority", "settings", "pause" */
const char *object_kind_name(enum object_kind kind);
/* That, or the plural; ERR_NOT_FOUND. */
int object_kind_parse(struct span in, enum object_kind *out);

static inline const struct object_transport *object_transport(const struct object *object)
{
	return (const struct object_transport *)(const void *)object->fields;
}

static inline const struct object_domain *object_domain(const struct object *object)
{
	return (const struct object_domain *)(const void *)object->fields;
}

static inline const struct object_priority *object_priority(const struct object *object)
{
	return (const struct object_priority *)(const void *)object->fields;
}

static inline const struct object_settings *object_settings(const struct object *object)
{
	return (const struct object_settings *)(const void *)object->fields;
}

static inline const struct object_pause *object_pause(const struct object *object)
{
	return (const struct object_pause *)(const void *)object->fields;
}

/* ---- one generation ------------------------------------------------------------------------- */

struct objects;

int objects_new(struct objects **out); /* empty */
void objects_free(struct objects **objects);

/* In the order of their names (bytes). */
size_t objects_count(const struct objects *objects, enum object_kind kind);
const struct object *objects_at(const struct objects *objects, enum object_kind kind, size_t at);
/* By canonical name; NULL. */
const struct object *objects_find(
	const struct objects *objects, enum object_kind kind, struct span name);
/* By a name as people type it: in any spelling (a domain with non-ASCII letters, capitals). A line
 * in `problems` says what to do where there is none: ERR_NOT_FOUND, or ERR_SYNTAX for no name. */
int objects_look_up(const struct objects *objects, enum object_kind kind, struct span name,
	struct buf *problems, const struct object **out);
/* Never NULL; empty where none is set. */
struct span objects_default_transport(const struct objects *objects);
struct span objects_postmaster(const struct objects *objects);
/* By how many domains, and as the default, this transport is named. */
size_t objects_transport_users(const struct objects *objects, struct span name);

/* The whole as an objects file: apply(export) changes nothing. Pauses are not in it. */
void objects_export(const struct objects *objects, struct buf *out);
/* The same as members of the open JSON object, which is YAML, too: it may be applied. */
void objects_export_json(const struct objects *objects, struct json_write *json);
/* One object as such a file with just it. */
void object_export(const struct object *object, struct buf *out);
/* {"name": …, its fields, "created": …, "changed": …, "pause": {…} or null} as the next value. */
void object_json(const struct objects *objects, const struct object *object, const char *key,
	struct json_write *json);

/* ---- changes -------------------------------------------------------------------------------- */

struct plan;

struct change {
	enum object_kind kind;
	const struct object *before; /* NULL: it is new */
	const struct object *after;  /* NULL: it is removed */
};

struct plan_options {
	int64_t now_ms;
	bool prune; /* apply: what the file does not name is removed, settings go to their defaults
		     */
};

/* All give ERR_SYNTAX (or ERR_NOMEM, ERR_LIMIT, ERR_NOT_FOUND, ERR_EXISTS) with lines in `problems`
 * and no plan where anything is wrong: names, fields, references, things still in use. A plan
 * without changes is a success. */

/* An objects file: objects in it are created or replaced whole. */
int objects_plan_apply(const struct objects *now, const char *file_name, struct span text,
	const struct plan_options *options, struct buf *problems, struct plan **out);
/* One object from "field=value" settings: add (it must be new) or set (it must be there; other
 * fields stay; "field=" gives its default). For OBJECT_SETTINGS the name is empty. For
 * OBJECT_PRIORITY the name is empty and only add works: the fields are the rule. */
int objects_plan_add(const struct objects *now, enum object_kind kind, struct span name,
	const struct span *settings, size_t count, const struct plan_options *options,
	struct buf *problems, struct plan **out);
int objects_plan_set(const struct objects *now, enum object_kind kind, struct span name,
	const struct span *settings, size_t count, const struct plan_options *options,
	struct buf *problems, struct plan **out);
int objects_plan_remove(const struct objects *now, enum object_kind kind, struct span name,
	const struct plan_options *options, struct buf *problems, struct plan **out);

/* Pause everything (PAUSE_ALL), a transport or a domain. Pausing what is paused keeps `since` and
 * changes nothing; resuming what is not paused changes nothing. */
enum pause_scope { PAUSE_ALL, PAUSE_TRANSPORT, PAUSE_DOMAIN };
int objects_plan_pause(const struct objects *now, enum pause_scope scope, struct span name,
	struct span by, struct span reason, const struct plan_options *options,
	struct buf *problems, struct plan **out);
int objects_plan_resume(const struct objects *now, enum pause_scope scope, struct span name,
	const struct plan_options *options, struct buf *problems, struct plan **out);
/* The pause of a scope, or NULL; also for transports and domains by canonical name. */
const struct object *objects_pause(
	const struct objects *now, enum pause_scope scope, struct span name);

size_t plan_count(const struct plan *plan);
const struct change *plan_change(const struct plan *plan, size_t at);
/* One line each: "transport site-a: retry-count 30 → 12". */
void plan_add_words(const struct plan *plan, struct buf *out);
/* The words of one change, without a line end. */
void change_add_words(const struct change *change, struct buf *out);

/*
 * Mail in the queue that goes by something which the plan takes away (a domain, transport, account,
 * or the default transport), or by a transport of a domain that gets mailboxes: it may bounce after
 * the change. The directory does not know the queue; who does can count what the filter matches.
 */
#define PLAN_DEPENDS_MOST  20u	 /* things that are named; more are counted */
#define PLAN_DEPENDS_BYTES 4096u /* of the filter, as the queue takes it */

struct plan_depends {
	struct buf filter; /* of the queue (queue/filter.h); empty: there is nothing of the kind */
	struct buf names;  /* "domain a.example, account ann@c.example" */
	uint32_t shown, more; /* in these; further ones */
	struct plan_depends_part {
		size_t filter, filter_end, name, name_end;
	} parts[PLAN_DEPENDS_MOST];
};

/* One of those that are shown, alone. */
struct span plan_depends_filter(const struct plan_depends *depends, uint32_t which);
struct span plan_depends_name(const struct plan_depends *depends, uint32_t which);

void plan_depends(const struct plan *plan, struct plan_depends *out);
void plan_depends_done(struct plan_depends *depends);

/* The generation after the plan; the plan is freed, the old generation stays the caller's. */
struct objects *plan_take(struct plan **plan);
void plan_free(struct plan **plan);

/* ---- for the store: building a generation row by row ---------------------------------------- */

struct objects_builder;

int objects_builder_new(struct objects_builder **out);
/* A row: fields as JSON. ERR_CORRUPT with a line in problems where it is no valid object. */
int objects_builder_add(struct objects_builder *builder, enum object_kind kind, struct span name,
	struct span json, int64_t created_ms, int64_t changed_ms, struct problems *problems);
/* Frees the builder in any case. ERR_CORRUPT: duplicate names or broken references. */
int objects_builder_finish(
	struct objects_builder **builder, struct problems *problems, struct objects **out);

#endif
