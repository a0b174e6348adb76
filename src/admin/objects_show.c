/*
 * The directory as it is. A list of objects is {PLURAL: [OBJECT, …]}, one of them {KIND: OBJECT},
 * and all of them have the form of an objects file, in which objects stand under their names.
 */
#include "admin/core.h"
#include "admin/wipe.h"
#include "base/err.h"

#define SHOWN_BYTES (1u << 20) /* of one object */

static void reply_text(struct door *door, const struct buf *text)
{
	json_open_object(&door->json, NULL);
	json_put_string(&door->json, "text", buf_span(text));
	json_close_object(&door->json);
	door_reply(door);
}

static bool is_of(const struct object *object, enum secret_kind kind)
{
	return kind == SECRET_ACCOUNT ? object_account(object)->verifiers.n > 0
				      : object_transport(object)->sasl_secret.n > 0;
}

static size_t count_secrets(const struct objects *objects, enum secret_kind kind)
{
	enum object_kind of = kind == SECRET_ACCOUNT ? OBJECT_ACCOUNT : OBJECT_TRANSPORT;
	size_t count = 0;

	for (size_t i = 0; i < objects_count(objects, of); i++)
		count += is_of(objects_at(objects, of, i), kind);
	return count;
}

/* On record before anybody has them. */
static int note_export(struct door *door, struct buf *why)
{
	const struct objects *objects = directory_objects(door->admin->directory);
	size_t passwords = count_secrets(objects, SECRET_ACCOUNT);
	size_t others = count_secrets(objects, SECRET_TRANSPORT);
	struct buf words;

	buf_init(&words, SHOWN_BYTES);
	buf_printf(&words,
		"exported with secrets: password hashes of %zu account%s, secrets of %zu "
		"transport%s",
		passwords, passwords == 1 ? "" : "s", others, others == 1 ? "" : "s");
	int err = change_note(door, buf_span(&words), why);
	buf_done(&words);
	return err;
}

static void export_secrets(struct door *door)
{
	struct directory *directory = door->admin->directory;
	struct secret_source source = directory_secrets(directory);
	struct buf text, why;

	buf_init(&text, ADMIN_REPLY / 2);
	buf_init(&why, SHOWN_BYTES);
	objects_export_secrets(directory_objects(directory), &source, &text);
	int err = directory_secrets_failed(directory, &why);
	if (!err && !buf_ok(&text))
		err = ERR_NOMEM;
	if (!err)
		err = note_export(door, &why);
	if (err)
		refuse_lines(door, err, &why);
	else
		reply_text(door, &text);
	wipe_buf(&text);
	buf_done(&why);
}

void cmd_export(struct door *door)
{
	const struct objects *objects = directory_objects(door->admin->directory);
	struct buf text;

	if (request_flag(door, "secrets")) {
		export_secrets(door);
		return;
	}
	if (request_flag(door, "json")) {
		json_open_object(&door->json, NULL);
		objects_export_json(objects, &door->json);
		json_close_object(&door->json);
		door_reply(door);
		return;
	}
	buf_init(&text, ADMIN_REPLY / 2);
	objects_export(objects, &text);
	/* Half a directory might be applied one day. */
	if (buf_ok(&text))
		reply_text(door, &text);
	else
		door_refuse(door, err_text(ERR_NOMEM));
	buf_done(&text);
}

void objects_reply_list(struct door *door, enum object_kind kind)
{
	const struct objects *objects = directory_objects(door->admin->directory);
	const char *plural = object_schema(kind)->plural;

	if (!plural) {
		door_refuse(door, "kind: there is no list of them");
		return;
	}
	json_open_object(&door->json, NULL);
	json_open_array(&door->json, plural);
	for (size_t i = 0; i < objects_count(objects, kind); i++)
		object_json(objects, objects_at(objects, kind, i), NULL, &door->json);
	json_close_array(&door->json);
	json_close_object(&door->json);
	door_reply(door);
}

/* The retry calculator, as the seed's table has it: count, delays, example, sum, total. */
static void put_retry(struct json_write *json, const struct object *object)
{
	const struct object_transport *transport = object_transport(object);
	const struct retry_list *list = &transport->retry_delay;
	struct buf text;

	buf_init(&text, 4096);
	json_open_object(json, "retry");
	json_put_u64(json, "count", transport->retry_count);
	json_put_string(json, "delay", list->text); /* as somebody wrote it */
	retry_add_example(&text, list->steps, list->count, transport->retry_count);
	json_put_string(json, "example", buf_span(&text));
	buf_clear(&text);
	retry_add_sum(&text, list->steps, list->count, transport->retry_count);
	json_put_string(json, "sum", buf_span(&text));
	buf_clear(&text);
	retry_add_total(&text, list->steps, list->count, transport->retry_count);
	json_put_string(json, "total", buf_span(&text));
	json_put_u64(json, "total_seconds",
		retry_total_s(list->steps, list->count, transport->retry_count));
	json_close_object(json);
	buf_done(&text);
}

/* They are there always, if only by their defaults. */
static void reply_settings(struct door *door)
{
	static const struct object_settings none;
	const struct objects *objects = directory_objects(door->admin->directory);
	const struct object *settings = objects_find(objects, OBJECT_SETTINGS, SPAN(""));
	struct buf text;

	buf_init(&text, SHOWN_BYTES);
	if (settings)
		object_export(settings, &text);
	json_open_object(&door->json, NULL);
	json_open_object(&door->json, "settings");
	schema_add_json(&door->json, object_schema(OBJECT_SETTINGS),
		settings ? (const void *)settings->fields : &none, true);
	json_close_object(&door->json);
	json_put_string(&door->json, "text", buf_span(&text));
	json_close_object(&door->json);
	buf_done(&text);
	door_reply(door);
}

static void reply_object(struct door *door, const struct object *object)
{
	const struct objects *objects = directory_objects(door->admin->directory);
	struct buf text;

	buf_init(&text, SHOWN_BYTES);
	object_export(object, &text);
	if (!buf_ok(&text)) {
		buf_done(&text);
		door_refuse(door, err_text(ERR_NOMEM));
		return;
	}
	json_open_object(&door->json, NULL);
	object_json(objects, object, object_kind_name(object->kind), &door->json);
	json_put_string(&door->json, "text", buf_span(&text));
	if (object->kind == OBJECT_TRANSPORT)
		put_retry(&door->json, object);
	json_close_object(&door->json);
	buf_done(&text);
	door_reply(door);
}

static void put_defaults(struct door *door, struct span name, const void *fields)
{
	const struct schema *schema = object_schema(OBJECT_RELAY);
	struct buf text, value;

	buf_init(&text, SHOWN_BYTES);
	buf_init(&value, SHOWN_BYTES);
	buf_add_str(&text, "# no policy of its own; the defaults count:\n");
	for (size_t i = 0; i < schema->count; i++) {
		buf_clear(&value);
		schema_add_value(&value, &schema->fields[i], fields);
		if (value.n)
			buf_printf(
				&text, "%s: %.*s\n", schema->fields[i].name, (int)value.n, value.p);
	}
	json_open_object(&door->json, NULL);
	json_open_object(&door->json, "relay");
	json_put_string(&door->json, "name", name);
	schema_add_json(&door->json, schema, fields, true);
	json_close_object(&door->json);
	json_put_bool(&door->json, "default", true);
	json_put_string(&door->json, "text", buf_span(&text));
	json_close_object(&door->json);
	buf_done(&text);
	buf_done(&value);
}

/* A listener without a policy has one all the same. */
static void reply_defaults(struct door *door, struct span name)
{
	struct object_relay fields;
	struct arena arena;

	arena_init(&arena, SHOWN_BYTES);
	int err = schema_defaults(object_schema(OBJECT_RELAY), &arena, &fields);
	if (!err)
		put_defaults(door, name, &fields);
	arena_reset(&arena);
	if (err)
		door_refuse(door, err_text(err));
	else
		door_reply(door);
}

/* It has none, or is none. True: replied. */
static bool reply_without_policy(struct door *door, struct span name)
{
	const struct config *start = door->admin->config.config;
	struct buf why;

	if (objects_find(directory_objects(door->admin->directory), OBJECT_RELAY, name))
		return false;
	if (config_find_listener(start, name)) {
		reply_defaults(door, name);
		return true;
	}
	buf_init(&why, SHOWN_BYTES);
	config_say_no_listener(start, &why);
	refuse_lines(door, ERR_NOT_FOUND, &why);
	buf_done(&why);
	return true;
}

void objects_reply_one(struct door *door, enum object_kind kind, struct span name)
{
	const struct object *object = NULL;
	struct buf problems;

	if (kind == OBJECT_RELAY && reply_without_policy(door, name))
		return;

	if (kind == OBJECT_SETTINGS) {
		reply_settings(door);
		return;
	}
	buf_init(&problems, SHOWN_BYTES);
	int err = objects_look_up(
		directory_objects(door->admin->directory), kind, name, &problems, &object);
	if (err)
		refuse_lines(door, err, &problems);
	else
		reply_object(door, object);
	buf_done(&problems);
}
