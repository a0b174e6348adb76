#include "directory/node.h"

#include "common.h"

struct read {
	struct arena arena;
	struct buf out;
	struct problems problems;
	struct node *root;
	int err;
};

static void begin(struct read *read, const char *text,
	int (*reader)(struct span, struct arena *, struct problems *, struct node **))
{
	*read = (struct read){0};
	arena_init(&read->arena, NODE_ARENA);
	buf_init(&read->out, 100000);
	read->problems = (struct problems){.out = &read->out, .file = SPAN("f.yaml")};
	read->err = reader(span_str(text), &read->arena, &read->problems, &read->root);
}

static void end(struct read *read)
{
	buf_done(&read->out);
	arena_reset(&read->arena);
}

static void assert_refused(const char *text, const char *line)
{
	struct read read;
	begin(&read, text, node_read_yaml);
	assert_int_equal(read.err, ERR_SYNTAX);
	assert_has(&read.out, line);
	end(&read);
}

static void a_tree_with_places(void **state)
{
	struct read read;
	(void)state;
	begin(&read, "a: 1\nlist:\n  - x\n  - { b: \"\", c: ~ }\nempty:\n", node_read_yaml);
	assert_int_equal(read.err, 0);
	assert_int_equal(read.root->kind, NODE_MAP);
	assert_int_equal(read.root->count, 3);
	const struct node *list = node_get(read.root, "list");
	assert_int_equal(list->kind, NODE_LIST);
	assert_int_equal(list->key_at.line, 2);
	assert_int_equal(list->key_at.column, 1);
	assert_span(list->first->text, "x");
	const struct node *map = list->first->next;
	assert_int_equal(map->at.line, 4);
	assert_int_equal(map->at.column, 5);
	assert_int_equal(node_get(map, "b")->kind, NODE_SCALAR);
	assert_int_equal(node_get(map, "c")->kind, NODE_NULL);
	assert_int_equal(node_get(map, "c")->at.column, 17);
	assert_int_equal(node_get(read.root, "empty")->kind, NODE_NULL);
	assert_null(node_get(read.root, "absent"));
	end(&read);
}

static void empty_documents(void **state)
{
	static const char *const texts[] = {"", "\n", "# nothing\n", "---\n", "---\n...\n"};
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct read read;
		begin(&read, texts[i], node_read_yaml);
		assert_int_equal(read.err, 0);
		assert_int_equal(read.root->kind, NODE_NULL);
		end(&read);
	}
}

static void refused(void **state)
{
	(void)state;
	assert_refused("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: \"a\" is here twice (first in line 1)");
	assert_refused("a: &x 1\n", "f.yaml:1:4: anchors");
	assert_refused("a: *x\n", "f.yaml:1:4: aliases");
	assert_refused("a: !!str 1\n", "f.yaml:1:4: anchors (&) and tags");
	assert_refused("a: &x {}\n", "f.yaml:1:4: anchors");
	assert_refused("a: !x []\n", "f.yaml:1:4: anchors");
	assert_refused("{[a]: 1}\n", "f.yaml:1:2: a key must be a plain text");
	assert_refused("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document");
	assert_refused("a: \"b\n", "f.yaml:1:4: not valid YAML: what begins here is not closed");
	assert_refused("transports:\n  a: { server: x\n  b: { server: y }\n",
		"f.yaml:2:6: not valid YAML: what begins here is not closed");
	assert_refused("a: [b, c\nd: e\n", "f.yaml:1:4: not valid YAML: what begins here is not");
	assert_refused("a: { b: c: d }\n", "f.yaml:1:10: not valid YAML: ");
	assert_refused("a: b: c\n", "f.yaml:1:5: not valid YAML");
	assert_refused("a:\n\t- b\n", "f.yaml:2:");
	assert_refused("\xff\xfe", "not UTF-8");
	assert_refused("a: \x01\n", "not valid YAML");
}

static void too_deep(void **state)
{
	char text[200000];
	struct read read;
	(void)state;
	memset(text, '[', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	begin(&read, text, node_read_yaml);
	assert_int_equal(read.err, ERR_LIMIT);
	assert_has(&read.out, "nested too deep");
	end(&read);
	begin(&read, "[[[[[[[[[[[[[1]]]]]]]]]]]]]", node_read_json);
	assert_int_equal(read.err, ERR_LIMIT);
	end(&read);
}

static void json_gives_the_same_tree(void **state)
{
	struct read read;
	(void)state;
	begin(&read, "{\"a\": 1, \"b\": [true, null, \"x\"], \"c\": {\"d\": -2}}", node_read_json);
	assert_int_equal(read.err, 0);
	assert_span(node_get(read.root, "a")->text, "1");
	const struct node *list = node_get(read.root, "b");
	assert_int_equal(list->count, 3);
	assert_span(list->first->text, "true");
	assert_int_equal(list->first->next->kind, NODE_NULL);
	assert_span(node_get(node_get(read.root, "c"), "d")->text, "-2");
	end(&read);
	static const char *const bad[] = {
		"", "{", "{\"a\":1,\"a\":2}", "{a: 1}", "[1] x", "\"\xff\""};
	for (size_t i = 0; i < 6; i++) {
		begin(&read, bad[i], node_read_json);
		assert_int_equal(read.err, ERR_SYNTAX);
		assert_has(&read.out, "not valid JSON");
		end(&read);
	}
}

/* Whatever text goes out as a scalar comes in as the same text. */
static void scalars_read_back(void **state)
{
	static const char *const texts[] = {"a", "", "null", "~", "true", "No", "12", "0x1", "a b",
		" a", "a ", "a: b", "a #b", "#", "-", "- a", "--- ", "...", "a\"b", "a\\b", "a\tb",
		"a\nb", "@x", "ann@c.example", "%", "`", "[x]", "{x}", "a,b", "&a", "*a", "!a", "|",
		">", "'", "?", "\xc3\xbc", "lookup-mx:zone=a;query=b,c", "127.0.0.1:25", "1e3", "=",
		"<<"};
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct buf yaml;
		struct read read;
		buf_init(&yaml, 1000);
		buf_add_str(&yaml, "x: { ");
		node_add_yaml_scalar(&yaml, span_str(texts[i]));
		buf_add_str(&yaml, ": ");
		node_add_yaml_scalar(&yaml, span_str(texts[i]));
		buf_add_str(&yaml, ", k: v }\n");
		begin(&read, text_of(&yaml), node_read_yaml);
		if (read.err < 0)
			fail_msg("%s%s", text_of(&yaml), text_of(&read.out));
		const struct node *map = node_get(read.root, "x");
		assert_int_equal(map->count, 2);
		assert_int_equal(map->first->kind, NODE_SCALAR);
		assert_span(map->first->key, texts[i]);
		assert_span(map->first->text, texts[i]);
		end(&read);
		buf_done(&yaml);
	}
}

static const char *const known[] = {"retry-delay", "retry-count", "server", "give-up"};

static const char *known_at(const void *context, size_t i)
{
	(void)context;
	return known[i];
}

static void names_that_were_meant(void **state)
{
	static const char *const cases[][2] = {{"retry_delay", "retry-delay"},
		{"retrycount", "retry-count"}, {"sever", "server"}, {"servre", "server"},
		{"Give-Up", "give-up"}, {"serv", "server"}, {"hello", NULL}, {"x", NULL},
		{"", NULL}};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *meant = problem_suggest(span_str(cases[i][0]), known_at, NULL, 4);
		if (cases[i][1])
			assert_string_equal(meant, cases[i][1]);
		else
			assert_null(meant);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_with_places),
		cmocka_unit_test(empty_documents),
		cmocka_unit_test(refused),
		cmocka_unit_test(too_deep),
		cmocka_unit_test(json_gives_the_same_tree),
		cmocka_unit_test(scalars_read_back),
		cmocka_unit_test(names_that_were_meant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
