/*
 * The objects of the directory: transports, domains, accounts, aliases, relay policies, priority
 * rules, the accept table, settings, pauses.
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
#include "directory/secrets.h"
#include "directory/server_syntax.h"
#include "directory/snapshot.h"

#include <stdalign.h>
#include <stdint.h>

enum object_kind {
	OBJECT_TRANSPORT, /* name: its own */
	OBJECT_DOMAIN,	  /* the canonical domain */
	OBJECT_ACCOUNT,	  /* the canonical address */
	OBJECT_ALIAS,	  /* the canonical address, as an account's */
	OBJECT_RELAY,	  /* a listener of the start file */
	OBJECT_PRIORITY,  /* the rule itself, as text: rules are a set */
	OBJECT_ACCEPT,	  /* "": there is one; one top-level key of an objects file */
	OBJECT_SETTINGS,  /* "": there is one; top-level keys of an objects file */
	OBJECT_PAUSE,	  /* "all", "transport/NAME", "domain/NAME"; in no objects file */
	OBJECT_KINDS
};

/* Bounds of one generation. */
#define OBJECTS_TRANSPORTS 10000u
#define OBJECTS_DOMAINS	   2000000u
#define OBJECTS_ACCOUNTS   4000000u
#define OBJECTS_ALIASES	   2000000u
#define OBJECTS_RELAYS	   256u /* more than listeners, as those of an older start file may stay */
#define OBJECTS_PRIORITIES 1000u
/* Elements of one list. */
#define OBJECTS_RANGES	      5000u	 /* of a relay's from, or to */
#define OBJECTS_CERTIFICATES  1000u	 /* of a relay */
#define OBJECTS_SEND_AS	      100u	 /* of an account */
#define OBJECTS_ACCEPT	      5000u	 /* hosts, or users */
#define OBJECTS_ALIAS_TARGETS 1000u	 /* of one alias */
#define OBJECTS_ALIAS_DEPTH   10u	 /* an alias may lead to aliases, so deep */
#define OBJECT_FIELDS_BYTES   (4u << 20) /* of one object's fields as JSON, at most */

/* A list is a text: its elements in canonical form, "\n" between them, each once
 * (schema_list_next()). A secret is SCHEMA_SECRET_SET or empty: itself it is in the store only. */

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
	int tls;	     /* enum tls_policy */
	struct span tls_ca;  /* path */
	struct span tls_pin; /* list of pins, TRANSPORT_PINS at most; codec/pin.h */
	struct span sasl_user, sasl_secret;
};

struct object_domain {
	struct span transport; /* one of the three */
	bool mailboxes;
	struct span alias_of; /* another domain, which is no alias itself */
};

enum account_role { ACCOUNT_ADMINISTRATOR, ACCOUNT_DOMAIN_OWNER, ACCOUNT_READ_ONLY };

/* In a domain with mailboxes: a mailbox; in one with a transport: somebody who may log in. */
struct object_account {
	bool disabled;
	struct span send_as;   /* list of canonical addresses, and of "@domain" */
	struct span roles;     /* list of "administrator", "domain-owner", "read-only" */
	struct span verifiers; /* secret */
};

struct object_alias {
	struct span to; /* list of canonical mailboxes; the case of local parts is kept */
};

struct object_relay {
	int policy;	      /* enum relay_policy */
	struct span from, to; /* lists of ranges; directory/range.h */
	bool advertise_auth;
	int senders;		  /* enum relay_senders */
	struct span certificates; /* list of pins */
};

struct object_accept {
	struct span hosts; /* list of canonical domains */
	struct span users; /* list of addresses in the form of accounts' names: lower case */
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
	/* Of an account with a password: the generation that set it, or in which the account was
	 * disabled or enabled since; else 0. */
	uint64_t logins_since;
	struct span name;
	alignas(max_align_t) char fields[]; /* the struct of its kind, then its texts */
};

const struct schema *object_schema(enum object_kind kind);
/* "transport", "domain", "account", "alias", "relay", "priority", "accept", "settings", "pause" */
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

static inline const struct object_account *object_account(const struct object *object)
{
	return (const struct object_account *)(const void *)object->fields;
}

static inline const struct object_alias *object_alias(const struct object *object)
{
	return (const struct object_alias *)(const void *)object->fields;
}

static inline const struct object_relay *object_relay(const struct object *object)
{
	return (const struct object_relay *)(const void *)object->fields;
}

static inline const struct object_accept *object_accept(const struct object *object)
{
	return (const struct object_accept *)(const void *)object->fields;
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
/* The accept table, or NULL where it is empty. */
const struct object_accept *objects_accept(const struct objects *objects);

/* Who knows the secrets: the store. Empty: there is none. The span lasts until the next call. */
struct secret_source {
	struct span (*find)(void *context, enum secret_kind kind, struct span name);
	void *context;
};

/* The whole as an objects file: apply(export) changes nothing. Pauses are not in it. */
void objects_export(const struct objects *objects, struct buf *out);
/* The same with the secrets, so that it can be applied anywhere. */
void objects_export_secrets(
	const struct objects *objects, const struct secret_source *source, struct buf *out);
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

/* A secret that comes, changes or goes with a plan: for the store, which keeps secrets apart. */
struct secret_change {
	enum secret_kind kind;
	struct span name;  /* of the transport, or the account */
	struct span value; /* empty: it goes */
	bool told;	   /* the words of its object's own change speak of it */
};

struct config;

/* A secret for a field, "sasl.secret", that does not come as field=value. */
struct plan_secret_input {
	struct span field, value;
};

struct plan_options {
	int64_t now_ms;
	bool prune; /* apply: what the file does not name is removed, settings go to their defaults
		     */
	/* The start file, for what depends on it: listeners, folders of CA files. NULL: it is not
	 * known, and nothing of that is looked at. */
	const struct config *start;
	/* add and set: secrets, beside the settings. */
	const struct plan_secret_input *secrets;
	size_t secret_count;
	/* The present secrets, so that one that is given again is no change; NULL: not known. */
	const struct secret_source *present;
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

/* The secret of an object that is there; an empty value takes it away. Of an account: verifiers as
 * verifiers_parse() reads them. */
int objects_plan_secret(const struct objects *now, enum secret_kind kind, struct span name,
	struct span value, const struct plan_options *options, struct buf *problems,
	struct plan **out);

size_t plan_count(const struct plan *plan);
const struct change *plan_change(const struct plan *plan, size_t at);
/* Those of objects that are removed are among them. A plan without changes of objects may have
 * some. Values are wiped when the plan is freed. */
size_t plan_secret_count(const struct plan *plan);
const struct secret_change *plan_secret(const struct plan *plan, size_t at);
/* "transport site-b: secret changed", without a line end; nothing where it was told already. */
void secret_change_add_words(const struct secret_change *change, struct buf *out);
/* One line each: "transport site-a: retry-count 30 → 12". Secrets too, but not their values. */
void plan_add_words(const struct plan *plan, struct buf *out);
/* The words of one change, without a line end. */
void change_add_words(const struct change *change, struct buf *out);

/*
 * Mail in the queue that goes by something which the plan takes away (a domain, transport, account,
 * or the default transport), or for a domain that gets mailboxes instead of a transport, or becomes
 * another name of one: it may bounce after the change. The directory does not know the queue; who
 * does can count what the filter matches.
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
/* Such an object has a secret; of an account: logins by it count since this generation. For
 * objects that nobody else has yet. False: there is no such object. */
bool objects_mark_secret(
	struct objects *objects, enum secret_kind kind, struct span name, uint64_t since);
/* The number of the generation; that of what plan_take() gives is one more than its base's. */
void objects_number(struct objects *objects, uint64_t generation);

#endif
