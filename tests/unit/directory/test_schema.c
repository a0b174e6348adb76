/* The tables themselves, and that each value reads back as it was printed. */
#include "directory/config.h"
#include "directory/objects.h"
#include "directory/schema_value.h"

#include "common.h"

static void check_table(const struct schema *schema)
{
	struct arena arena;
	union schema_value value;

	assert_non_null(schema->doc);
	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_field *field = &schema->fields[i];
		assert_non_null(field->doc);
		assert_non_null(field->since);
		assert_int_equal(field->doc[strlen(field->doc) - 1], '.');
		assert_ptr_equal(
			schema_find(schema, span_str(field->name)), field); /* names are unique */
		if (field->sub) {
			check_table(field->sub);
			continue;
		}
		assert_true(field->offset + schema_value_bytes(field) <= schema->size);
		assert_true(field->least <= field->most || field->most == 0);
		if (field->type == SCHEMA_ENUM)
			assert_non_null(field->choices);
		if (field->type == SCHEMA_LIST) {
			assert_non_null(field->item);
			assert_true(field->most > 0);
		}
		arena_init(&arena, 10000);
		assert_int_equal(schema_value_default(field, &arena, &value), 0);
		arena_reset(&arena);
	}
}

static void tables_are_sound(void **state)
{
	(void)state;
	check_table(config_schema());
	for (int kind = 0; kind < OBJECT_KINDS; kind++)
		check_table(object_schema((enum object_kind)kind));
}

struct transport_fixture {
	struct arena arena;
	struct buf out;
	struct problems problems;
	struct object_transport object;
};

static struct transport_fixture *fixture(void)
{
	static struct transport_fixture f;
	arena_init(&f.arena, 1 << 20);
	buf_init(&f.out, 1 << 16);
	f.problems = (struct problems){.out = &f.out};
	assert_int_equal(schema_defaults(object_schema(OBJECT_TRANSPORT), &f.arena, &f.object), 0);
	return &f;
}

static void done(struct transport_fixture *f)
{
	buf_done(&f->out);
	arena_reset(&f->arena);
}

static int set(struct transport_fixture *f, const char *name, const char *value)
{
	struct path path = {NULL, SPAN("site-a")};
	return schema_set(object_schema(OBJECT_TRANSPORT), span_str(name), span_str(value),
		&f->arena, &path, &f->problems, &f->object);
}

static void defaults_are_safe(void **state)
{
	(void)state;
	struct transport_fixture *f = fixture();
	assert_int_equal(f->object.give_up, GIVE_UP_DSN);
	assert_true(f->object.connections > 0);
	/* RFC 5321 section 4.5.4.1: the give-up time is at least 4-5 days, the first retries
	 * sooner. */
	uint64_t total = retry_total_s(
		f->object.retry_delay.steps, f->object.retry_delay.count, f->object.retry_count);
	assert_in_range(total, 95 * 3600, 120 * 3600);
	schema_add_yaml(&f->out, object_schema(OBJECT_TRANSPORT), &f->object);
	assert_text(&f->out, "{}");
	done(f);
}

#define HEX "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static void set_and_print(void **state)
{
	static const char *const settings[][3] = {
		{"server", "127.0.0.1:2626", "{ server: \"127.0.0.1:2626\" }"},
		{"retry-delay", "60,120,180", "{ retry-delay: \"60,120,180\" }"},
		{"retry-count", "5", "{ retry-count: 5 }"},
		{"give-up", "discard", "{ give-up: discard }"},
		{"delay-warning", "90", "{ delay-warning: 1h30m }"},
		{"delay-warning", "0", "{ delay-warning: 0s }"},
		{"source-v4", "192.0.2.9", "{ source-v4: 192.0.2.9 }"},
		{"source-v6", "2001:db8::9", "{ source-v6: \"2001:db8::9\" }"},
		{"helo", "OUT.example.org", "{ helo: out.example.org }"},
		{"rate-per-minute", "600", "{ rate-per-minute: 600 }"},
		{"tls", "mta-sts", "{ tls: mta-sts }"},
		{"tls-ca", "/etc/ssl/b.pem", "{ tls-ca: /etc/ssl/b.pem }"},
		{"tls-pin",
			"sha256:9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08",
			"{ tls-pin: [ \"sha256:" HEX "\" ] }"},
		{"sasl.user", "gw @ \"x\"", "{ sasl: { user: \"gw @ \\\"x\\\"\" } }"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		struct transport_fixture *f = fixture();
		struct object_transport again;
		struct node *node;
		assert_int_equal(set(f, settings[i][0], settings[i][1]), 0);
		schema_add_yaml(&f->out, object_schema(OBJECT_TRANSPORT), &f->object);
		assert_text(&f->out, settings[i][2]);
		/* and it reads back as the same object */
		struct buf problems_out;
		buf_init(&problems_out, 10000);
		struct problems problems = {.out = &problems_out};
		assert_int_equal(node_read_yaml(buf_span(&f->out), &f->arena, &problems, &node), 0);
		assert_int_equal(
			schema_defaults(object_schema(OBJECT_TRANSPORT), &f->arena, &again), 0);
		assert_int_equal(schema_read(object_schema(OBJECT_TRANSPORT), node, SPAN_NONE,
					 &f->arena, NULL, &problems, &again),
			0);
		const struct schema *schema = object_schema(OBJECT_TRANSPORT);
		for (size_t k = 0; k < schema->count; k++)
			assert_true(schema_same_value(&schema->fields[k], &f->object, &again));
		/* an empty value gives the default */
		assert_int_equal(set(f, settings[i][0], ""), 0);
		buf_clear(&f->out);
		schema_add_yaml(&f->out, schema, &f->object);
		assert_text(&f->out, "{}");
		buf_done(&problems_out);
		done(f);
	}
}

static void bad_values_say_what_is_allowed(void **state)
{
	static const char *const cases[][3] = {
		{"retry-count", "abc",
			"site-a.retry-count: \"abc\" is not allowed; give a number from 0 to "
			"10000\n"},
		{"retry-count", "10001", "give a number from 0 to 10000"},
		{"retry-count", "-1", "give a number from 0 to 10000"},
		{"retry-count", "5x", "give a number from 0 to 10000"},
		{"give-up", "DSN",
			"site-a.give-up: \"DSN\" is not allowed; give one of: dsn, discard"},
		{"delay-warning", "5s", "give a time from 1m to 30d, or 0"},
		{"server", "a b", "site-a.server: \"a b\" is refused: neither host[:port]"},
		{"retry-delay", "60,,1", "give minutes such as \"60,120,180\""},
		{"source-v4", "2001:db8::9", "an IPv4 address"},
		{"source-v6", "192.0.2.9", "an IPv6 address"},
		{"helo", "localhost", "a fully qualified name"},
		{"connections", "0", "a number from 1 to 10000"},
		{"conections", "5",
			"site-a.conections: transport has no such field; did you mean "
			"\"connections\"?"},
		{"zzz", "5",
			"transport has no such field; it has: server, private-hosts, retry-delay"},
		{"helo", "a\x1b[31m.example",
			"\"a\\x1b[31m.example\" is refused: control characters"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct transport_fixture *f = fixture();
		assert_int_equal(set(f, cases[i][0], cases[i][1]), ERR_SYNTAX);
		assert_has(&f->out, cases[i][2]);
		assert_int_equal(f->problems.count, 1);
		done(f);
	}
}

static void json_has_types(void **state)
{
	(void)state;
	struct transport_fixture *f = fixture();
	struct json_write json;
	struct arena arena;
	struct node *node;
	struct buf text;

	assert_int_equal(set(f, "server", "lookup-mx:zone=z.example"), 0);
	buf_init(&text, 10000);
	json_write_init(&json, &text);
	json_open_object(&json, NULL);
	schema_add_json(&json, object_schema(OBJECT_TRANSPORT), &f->object, true);
	json_close_object(&json);
	assert_has(&text, "\"server\":\"lookup-mx:zone=z.example\"");
	assert_has(&text, "\"retry-count\":41");
	assert_has(&text, "\"source-v4\":null");
	assert_has(&text, "\"delay-warning\":\"4h\"");
	arena_init(&arena, 100000);
	assert_int_equal(node_read_json(buf_span(&text), &arena, &f->problems, &node), 0);
	struct object_transport again;
	assert_int_equal(schema_defaults(object_schema(OBJECT_TRANSPORT), &arena, &again), 0);
	assert_int_equal(schema_read(object_schema(OBJECT_TRANSPORT), node, SPAN_NONE, &arena, NULL,
				 &f->problems, &again),
		0);
	assert_span(again.server.zone, "z.example");
	arena_reset(&arena);
	buf_done(&text);
	done(f);
}

/* ---- lists ---------------------------------------------------------------------------------- */

struct listed {
	struct span ranges, words;
};

static const struct schema_field a_range = {.type = SCHEMA_RANGE};
static const struct schema_field a_word = {.type = SCHEMA_TEXT, .least = 1, .most = 20};
static const struct schema_field list_fields[] = {
	{.name = "ranges",
		.type = SCHEMA_LIST,
		.offset = offsetof(struct listed, ranges),
		.item = &a_range,
		.most = 3},
	{.name = "words",
		.type = SCHEMA_LIST,
		.offset = offsetof(struct listed, words),
		.item = &a_word,
		.value = "one, two",
		.most = 5},
};
static const struct schema listed_schema = {
	.kind = "test", .size = sizeof(struct listed), .fields = list_fields, .count = 2};

/* The document is read over the defaults. */
static int read_listed(
	const char *text, struct arena *arena, struct buf *out, struct listed *listed)
{
	struct problems problems = {.out = out};
	struct node *node;
	assert_int_equal(schema_defaults(&listed_schema, arena, listed), 0);
	assert_int_equal(node_read_yaml(span_str(text), arena, &problems, &node), 0);
	return schema_read(&listed_schema, node, SPAN_NONE, arena, NULL, &problems, listed);
}

static void lists_in_each_form(void **state)
{
	static const char *const texts[][2] = {
		{"ranges: [192.0.2.0/24, 192.0.2.9]", "192.0.2.0/24\n192.0.2.9"},
		{"ranges: [192.0.2.9, 192.0.2.9/32, 192.0.2.9-192.0.2.9]", "192.0.2.9"},
		{"ranges: 192.0.2.9", "192.0.2.9"},
		{"ranges: \"192.0.2.9 , ::1\"", "192.0.2.9\n::1"},
		{"ranges: [\"2001:DB8:0::/32\"]", "2001:db8::/32"},
		{"ranges: [10.0.0.0-10.255.255.255]", "10.0.0.0/8"},
		{"ranges: []", ""},
		{"ranges:", ""},
		{"ranges: ''", ""},
	};
	struct listed listed;
	struct arena arena;
	struct buf out;
	(void)state;
	buf_init(&out, 10000);
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (read_listed(texts[i][0], &arena, &out, &listed) < 0)
			fail_msg("%s: %s", texts[i][0], text_of(&out));
		assert_span(listed.ranges, texts[i][1]);
		assert_span(listed.words, "one\ntwo");
	}
	assert_int_equal(read_listed("words: [two, \"x, y\", one]", &arena, &out, &listed), 0);
	assert_span(listed.words, "two\nx, y\none");
	schema_add_yaml(&out, &listed_schema, &listed);
	assert_text(&out, "{ words: [ two, \"x, y\", one ] }");
	/* What there was before is replaced, not added to. */
	buf_clear(&out);
	struct problems problems = {.out = &out};
	assert_int_equal(schema_set(&listed_schema, SPAN("words"), SPAN("three"), &arena, NULL,
				 &problems, &listed),
		0);
	assert_span(listed.words, "three");
	assert_int_equal(schema_set(&listed_schema, SPAN("words"), SPAN(""), &arena, NULL,
				 &problems, &listed),
		0);
	assert_span(listed.words, "one\ntwo");
	assert_true(schema_all_default(&listed_schema, &listed));
	arena_reset(&arena);
	buf_done(&out);
}

static void bad_lists_say_which_element(void **state)
{
	static const char *const texts[][2] = {
		{"ranges: [192.0.2.9, x, y]", "1:21: ranges: \"x\" is refused"},
		{"ranges: [192.0.2.9, x, y]", "1:24: ranges: \"y\" is refused"},
		{"ranges: [1.0.0.1, 1.0.0.2, 1.0.0.3, 1.0.0.4]",
			"1:37: ranges: \"1.0.0.4\" is refused: the list is full; at most 3 are "
			"allowed"},
		{"ranges: [1.0.0.1, '']", "1:19: ranges: \"\" is refused: an empty element"},
		{"ranges: [1.0.0.1, {}]", "1:19: ranges: an empty or nested value"},
		{"ranges: { a: b }", "1:9: ranges: is not one value; give one or a list of at most "
				     "3, each an address, a network"},
		{"ranges: 1.0.0.1,", "1:9: ranges: \"\" is refused: an empty element"},
		{"words: [\"a\\nb\"]", "\"a\\x0ab\" is refused: control characters"},
	};
	struct listed listed;
	struct arena arena;
	struct buf out;
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct node *node;
		buf_init(&out, 10000);
		arena_init(&arena, 1 << 20);
		struct problems problems = {.out = &out, .file = SPAN("f")};
		assert_int_equal(schema_defaults(&listed_schema, &arena, &listed), 0);
		assert_int_equal(
			node_read_yaml(span_str(texts[i][0]), &arena, &problems, &node), 0);
		assert_int_equal(schema_read(&listed_schema, node, SPAN_NONE, &arena, NULL,
					 &problems, &listed),
			ERR_SYNTAX);
		assert_has(&out, texts[i][1]);
		arena_reset(&arena);
		buf_done(&out);
	}
}

/* A packed object owns its texts: it outlives what it was read from. */
static void packing(void **state)
{
	(void)state;
	const struct schema *schema = object_schema(OBJECT_TRANSPORT);
	struct transport_fixture *f = fixture();
	assert_int_equal(set(f, "server", "lookup-mx:zone=z.example;query=192.0.2.1"), 0);
	assert_int_equal(set(f, "helo", "out.example.org"), 0);
	assert_int_equal(set(f, "tls-pin", "sha256:" HEX), 0);
	assert_int_equal(set(f, "sasl.user", "gw"), 0);
	assert_int_equal(schema_set_secret(schema, SPAN("sasl.secret"), SPAN("s3cret"), &f->arena,
				 NULL, &f->problems, &f->object),
		0);
	assert_span(f->object.sasl_secret, "s3cret");
	struct object_transport *packed = test_malloc(schema_packed_bytes(schema, &f->object));
	schema_pack(schema, &f->object, packed);
	done(f);
	assert_span(packed->server.text, "lookup-mx:zone=z.example;query=192.0.2.1");
	assert_span(packed->server.zone, "z.example");
	assert_span(packed->server.query, "192.0.2.1");
	assert_span(packed->helo, "out.example.org");
	assert_span(packed->tls_pin, "sha256:" HEX);
	assert_span(packed->sasl_user, "gw");
	assert_span(packed->sasl_secret, "(set)"); /* what is kept holds no secret */
	assert_int_equal(packed->source_v4.n, 0);
	test_free(packed);
}

static void help_names_every_field(void **state)
{
	(void)state;
	const struct schema *schema = object_schema(OBJECT_TRANSPORT);
	struct buf help, reference;
	buf_init(&help, 100000);
	buf_init(&reference, 100000);
	schema_add_help(&help, schema);
	schema_add_reference(&reference, schema);
	for (size_t i = 0; i < schema->count; i++) {
		assert_has(&help, schema->fields[i].name);
		assert_has(&reference, schema->fields[i].name);
	}
	assert_has(&help, "\n  sasl.user  ");
	assert_has(&reference, "*sasl.secret*");
	assert_has(&help, "(required)");
	assert_has(&help, "(default 41)");
	buf_done(&help);
	buf_done(&reference);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_sound),
		cmocka_unit_test(defaults_are_safe),
		cmocka_unit_test(set_and_print),
		cmocka_unit_test(bad_values_say_what_is_allowed),
		cmocka_unit_test(json_has_types),
		cmocka_unit_test(lists_in_each_form),
		cmocka_unit_test(bad_lists_say_which_element),
		cmocka_unit_test(packing),
		cmocka_unit_test(help_names_every_field),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
