/*
 * The filter grammar: what it understands, what it says about what it does not, what it matches,
 * and that it reads no envelope in vain.
 */
#include "base/text.h"
#include "queue/filter.h"
#include "world.h"

#include <string.h>

static struct filter *parse(const char *text)
{
	struct filter *filter = NULL;
	struct buf problem;
	buf_init(&problem, 1000);
	int err = filter_parse(span_str(text), &filter, &problem);
	if (err)
		print_error("%s: %.*s\n", text, (int)problem.n, problem.p);
	assert_int_equal(err, 0);
	buf_done(&problem);
	return filter;
}

static void expect_problem(const char *text, int want, const char *what)
{
	struct filter *filter = NULL;
	struct buf problem;
	buf_init(&problem, 1000);
	assert_int_equal(filter_parse(span_str(text), &filter, &problem), want);
	assert_null(filter);
	buf_add_char(&problem, '\0');
	if (!strstr(problem.p, what))
		print_error("%s: %s instead of %s\n", text, problem.p, what);
	assert_non_null(strstr(problem.p, what));
	buf_done(&problem);
}

static struct envelope_rcpt rcpts[] = {
	{.address = {"bob@b.example", 13}},
	{.address = {"carol@c.example", 15}},
	{.address = {"Dave@B.example", 14}},
};
static const uint32_t all[] = {0, 1, 2};
static int loads;

static struct span from = {"Ann (Ops)@a.example", 19};

static struct span user = {"joe@a.example", 13};

static int load(struct filter_subject *s)
{
	loads++;
	s->sender = from;
	netaddr_parse_ip(SPAN("192.0.2.77"), &s->client);
	s->user = user;
	s->all_rcpts = rcpts;
	return 0;
}

static int load_fails(struct filter_subject *s)
{
	(void)s;
	return ERR_IO;
}

static struct filter_subject subject(void)
{
	return (struct filter_subject){.id = 12345,
		.state = QUEUE_DEFERRED,
		.transport = SPAN("site-a"),
		.next_hop = SPAN("mx.b.example"),
		.age_ms = 3 * 3600 * 1000,
		.size = 65536,
		.attempts = 3,
		.reason = SPAN("450 4.2.0 Greylisted, try again"),
		.load = load,
		.rcpts = all,
		.rcpt_count = 3};
}

static bool matches(const char *text)
{
	struct filter *filter = parse(text);
	struct filter_subject s = subject();
	bool is = filter_match(filter, &s);
	filter_free(&filter);
	return is;
}

static void every_key(void **state)
{
	(void)state;
	assert_true(matches(""));
	assert_true(matches("  \t "));
	assert_true(matches("state=deferred"));
	assert_true(matches("STATE=Deferred"));
	assert_false(matches("state=ready"));
	assert_true(matches("state!=ready"));
	assert_true(matches("transport=site-a"));
	assert_true(matches("transport=site-*"));
	assert_true(matches("transport~TE-"));
	assert_false(matches("transport~xyz"));
	assert_true(matches("transport!~xyz"));
	assert_true(matches("destination=*.b.example"));
	assert_true(matches("age>2h"));
	assert_true(matches("age<1d"));
	assert_true(matches("age>=180"));
	assert_true(matches("age=3h"));
	assert_false(matches("age!=3h"));
	assert_false(matches("age>180"));
	assert_true(matches("size=64K"));
	assert_true(matches("size<=65536"));
	assert_false(matches("size<64K"));
	assert_true(matches("attempts=3"));
	assert_true(matches("attempts>2"));
	assert_true(matches("priority=no"));
	assert_false(matches("priority=yes"));
	assert_true(matches("priority!=yes"));
	assert_true(matches("reason~greylisted"));
	assert_true(matches("reason=450*"));
	assert_true(matches("reason~\"try again\""));
	assert_true(matches("sender=\"ann (ops)@a.example\""));
	assert_true(matches("sender=*@a.example"));
	assert_false(matches("sender=\"\""));
	assert_false(matches("sender=<>"));
	assert_true(matches("sender!=<>"));
	from = SPAN_NONE;
	assert_true(matches("sender=\"\""));
	assert_true(matches("sender=<>"));
	assert_false(matches("sender!=<>"));
	from = SPAN("Ann (Ops)@a.example");
	assert_true(matches("recipient=dave@b.example"));
	assert_true(matches("recipient=*@c.example"));
	assert_false(matches("recipient=erin@*"));
	assert_true(matches("domain=c.example"));
	assert_true(matches("domain=b.example"));
	assert_false(matches("domain=a.example"));
	assert_true(matches("domain!=a.example"));
	assert_true(matches("client=192.0.2.77"));
	assert_false(matches("client=192.0.2.78"));
	assert_true(matches("client=192.0.2.0/24"));
	assert_true(matches("client=192.0.2.64/28"));
	assert_false(matches("client=192.0.2.80/28"));
	assert_true(matches("client=0.0.0.0/0"));
	assert_false(matches("client=2001:db8::/32"));
	assert_true(matches("client!=2001:db8::/32"));
	assert_true(matches("client~.2.77"));
	assert_true(matches("user=joe@a.example"));
	assert_true(matches("user=*@A.example"));
	assert_true(matches("user~joe"));
	assert_false(matches("user=ann@a.example"));
	assert_false(matches("user=\"\""));
	user = SPAN_NONE; /* whoever has not logged in */
	assert_false(matches("user=joe@a.example"));
	assert_true(matches("user!=joe@a.example"));
	assert_true(matches("user=\"\""));
	user = SPAN("joe@a.example");
	assert_false(matches("id=000000000000a"));
	assert_true(matches("id!=000000000000a"));
}

static void joining(void **state)
{
	(void)state;
	assert_true(matches("state=deferred transport=site-a"));
	assert_true(matches("state=deferred and transport=site-a"));
	assert_false(matches("state=deferred transport=site-b"));
	assert_true(matches("state=ready or transport=site-a"));
	/* and binds closer than or */
	assert_true(matches("state=deferred or state=ready transport=nowhere"));
	assert_false(matches("(state=deferred or state=ready) transport=nowhere"));
	assert_false(matches("not state=deferred"));
	assert_true(matches("not state=deferred or attempts=3"));
	assert_true(matches("not (state=ready attempts=3)"));
	assert_true(matches("NOT not state=deferred"));
	/* words of the grammar as values */
	assert_false(matches("transport=or or transport=not"));
	assert_false(matches("transport=and"));
	assert_true(matches("((((state=deferred))))"));
}

static void patterns(void **state)
{
	(void)state;
	assert_true(matches("transport=*"));
	assert_true(matches("transport=**"));
	assert_true(matches("transport=s*-*a"));
	assert_true(matches("transport=*site-a*"));
	assert_false(matches("transport=*b"));
	assert_false(matches("transport=site"));
	assert_false(matches("transport=\"\""));
	assert_true(matches("transport~\"\""));
	/* the worst case ends in time */
	char text[2100] = "reason=", *at = text + 7;
	for (int i = 0; i < 1000; i++) {
		*at++ = '*';
		*at++ = 'a';
	}
	*at = '\0';
	char letters[500];
	memset(letters, 'a', sizeof(letters));
	struct filter *filter = parse(text);
	struct filter_subject s = subject();
	s.reason = span_of(letters, sizeof(letters));
	assert_false(filter_match(filter, &s));
	filter_free(&filter);
}

static void problems_have_a_place(void **state)
{
	char text[8000];
	(void)state;
	expect_problem(
		"colour=red", ERR_SYNTAX, "column 1: no key \"colour\"; there are id, state,");
	expect_problem("state=deferred  siz>10", ERR_SYNTAX, "column 17: no key \"siz\"");
	expect_problem("state", ERR_SYNTAX, "column 6: after a key goes");
	expect_problem("state =ready", ERR_SYNTAX, "column 6: after a key goes");
	expect_problem("state=", ERR_SYNTAX, "column 7: a value is missing");
	expect_problem("state= ready", ERR_SYNTAX, "column 7: a value is missing");
	expect_problem("state=sleeping", ERR_SYNTAX, "column 7: a state is ready, active");
	expect_problem("state>ready", ERR_SYNTAX, "column 6: < and > are for");
	expect_problem("size~10", ERR_SYNTAX, "column 5: ~ is for text");
	expect_problem("size>much", ERR_SYNTAX, "column 6: a size");
	expect_problem("age>soon", ERR_SYNTAX, "column 5: an age");
	expect_problem("attempts=-1", ERR_SYNTAX, "column 10: attempts is a number");
	expect_problem("priority=high", ERR_SYNTAX, "column 10: priority is yes or no");
	expect_problem("id=xyz", ERR_SYNTAX, "column 4: that is no id");
	expect_problem("client=localhost", ERR_SYNTAX, "column 8: a client is an address");
	expect_problem("client=192.0.2.0/33", ERR_SYNTAX, "column 8: after / goes");
	expect_problem("sender=\"ann", ERR_SYNTAX, "column 8: the closing quote");
	expect_problem("sender=\"ann\\", ERR_SYNTAX, "column 8: the closing quote");
	expect_problem("sender=\"ann\"bob", ERR_SYNTAX, "column 13: a blank belongs");
	expect_problem("sender=an\"n\"", ERR_SYNTAX, "column 10: put the whole value in quotes");
	expect_problem("(state=ready", ERR_SYNTAX, "column 1: this parenthesis is not closed");
	expect_problem("state=ready)", ERR_SYNTAX, "column 12: there is no opening");
	expect_problem("state=ready or", ERR_SYNTAX, "column 15: a term");
	expect_problem("or state=ready", ERR_SYNTAX, "column 1");
	expect_problem("not", ERR_SYNTAX, "column 4: a term");
	expect_problem("()", ERR_SYNTAX, "column 2: a term");
	expect_problem("sta\x1bte=ready", ERR_SYNTAX, "column 1: no key \"sta\"");
	memset(text, '(', 100);
	text[100] = '\0';
	expect_problem(text, ERR_LIMIT, "column 34: too many parentheses");
	text[0] = '\0';
	for (int i = 0; i < 200; i++)
		strcat(text, "size>1 ");
	expect_problem(text, ERR_LIMIT, "the filter is too long");
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	expect_problem(text, ERR_LIMIT, "longer than 4096 bytes");
}

static void the_envelope_is_read_only_if_it_decides(void **state)
{
	(void)state;
	loads = 0;
	assert_false(matches("state=ready sender=ann"));
	assert_true(matches("state=deferred or sender=ann"));
	assert_false(matches("sender=ann state=ready"));
	assert_false(matches("not (sender=ann or state=deferred)"));
	assert_int_equal(loads, 0);
	assert_true(matches("state=deferred sender=*@a.example recipient=bob@* client=192.0.2.77"));
	assert_int_equal(loads, 1);
	struct filter *filter = parse("state=ready"), *sender = parse("not sender=a");
	assert_false(filter_needs_envelope(filter));
	assert_true(filter_needs_envelope(sender));
	/* what cannot be read matches nothing, not even by `not` */
	struct filter_subject s = subject();
	s.load = load_fails;
	assert_false(filter_match(sender, &s));
	assert_int_equal(s.error, ERR_IO);
	filter_free(&filter);
	filter_free(&sender);
	/* a unit of one domain knows it without the envelope */
	loads = 0;
	filter = parse("domain=b.example");
	s = subject();
	s.domain = SPAN("b.example");
	assert_true(filter_match(filter, &s));
	assert_int_equal(loads, 0);
	filter_free(&filter);
}

static void format_is_canonical(void **state)
{
	static const char *const texts[][2] = {
		{"", ""},
		{" STATE=deferred   and size>1K ", "state=deferred size>1K"},
		{"a", NULL},
		{"(state=ready or state=down) (age>1h)", "(state=ready or state=down) age>1h"},
		{"state=ready or (state=down age>1h)", "state=ready or state=down age>1h"},
		{"not (state=ready age>1h)", "not (state=ready age>1h)"},
		{"not(not state=ready)", "not not state=ready"},
		{"sender=\"\" sender=\"a\\\"b c\\\\\"", "sender=\"\" sender=\"a\\\"b c\\\\\""},
		{"age>1 (age>2 age>3)", "age>1 (age>2 age>3)"},
		{"age>1 or (age>2 or age>3)", "age>1 or (age>2 or age>3)"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct buf out;
		if (!texts[i][1])
			continue;
		buf_init(&out, 1000);
		struct filter *filter = parse(texts[i][0]);
		filter_format(filter, &out);
		assert_true(span_equal(buf_span(&out), span_str(texts[i][1])));
		filter_free(&filter);
		buf_done(&out);
	}
}

/* ---- over a queue --------------------------------------------------------------------------- */

static int load_world(struct filter_subject *s)
{
	static struct envelope_rcpt world_rcpts[] = {
		{.address = {"x@a.example", 11}}, {.address = {"y@b.example", 11}}};
	loads++;
	s->sender = s->id % 2 ? SPAN("odd@a.example") : SPAN("even@a.example");
	s->all_rcpts = world_rcpts;
	return 0;
}

static int load_alike(struct filter_subject *s)
{
	static struct envelope_rcpt alike[] = {
		{.address = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@a.example", 42}},
		{.address = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab@a.example", 43}}};
	s->all_rcpts = alike;
	return 0;
}

/* Much to compare: fewer messages at a time, never none, and all of them in the end. */
static void much_work_is_done_in_steps(void **state)
{
	struct world w;
	struct filter_hits found;
	struct buf text;
	uint64_t cursor = 0;
	unsigned turns = 0;
	size_t total = 0;
	(void)state;
	world_init(&w, 10);
	assert_int_equal(filter_hits_init(&found, 10000, 10000), 0);
	for (uint64_t id = 1; id <= 500; id++)
		world_add(&w, id, "x@a.example y@a.example");
	buf_init(&text, FILTER_BYTES);
	for (int i = 0; i < 80; i++)
		buf_printf(&text, "recipient~aaaaaaaaaaaaaaaaaaaaaaaab%s", i < 79 ? " or " : "");
	buf_add_char(&text, '\0');
	assert_true(buf_ok(&text));
	struct filter *filter = parse(text.p);
	while (cursor != UINT64_MAX) {
		uint64_t before = cursor;
		filter_select(filter, w.q, w.now, &cursor, 1000, load_alike, NULL, &found);
		assert_true(cursor > before);
		total += found.count;
		turns++;
	}
	assert_int_equal(total, 500); /* the second recipient of each */
	assert_in_range(turns, 3, 100);
	filter_free(&filter);
	buf_done(&text);
	filter_hits_done(&found);
	world_done(&w);
}

static void select_from_the_queue(void **state)
{
	struct world w;
	struct filter_hits found;
	uint64_t cursor = 0;
	(void)state;
	assert_int_equal(filter_hits_init(&found, 10, 100), 0);
	world_init(&w, 10);
	for (uint64_t id = 1; id <= 100; id++)
		world_add(&w, id, "x@a.example y@b.example");
	struct queue_start start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);

	struct filter *filter = parse("state=deferred reason~\"as you\" reason=450*");
	filter_select(filter, w.q, w.now, &cursor, 1000, load_world, NULL, &found);
	struct filter_hit *hits = found.hits;
	assert_int_equal(found.count, 1);
	assert_int_equal(hits[0].id, 1);
	assert_int_equal(hits[0].unit, start.unit);
	assert_true(cursor == UINT64_MAX);
	filter_free(&filter);

	/* by pages, all of a message or nothing, each once */
	filter = parse("sender=even*");
	cursor = 0;
	loads = 0;
	size_t total = 0;
	uint64_t last = 0;
	while (cursor != UINT64_MAX) {
		found.room = 5;
		filter_select(filter, w.q, w.now, &cursor, 7, load_world, NULL, &found);
		size_t n = found.count;
		assert_true(n % 2 == 0);
		for (size_t i = 0; i < n; i++) {
			assert_true(hits[i].id % 2 == 0 && hits[i].id >= last);
			last = hits[i].id;
		}
		total += n;
	}
	assert_int_equal(total, 100);
	filter_free(&filter);

	/* units are told apart */
	filter = parse("domain=b.example state=ready");
	cursor = 0;
	loads = 0;
	found.room = 10;
	filter_select(filter, w.q, w.now, &cursor, 3, load_world, NULL, &found);
	assert_int_equal(found.count, 3);
	assert_int_equal(loads, 0);
	assert_int_equal(cursor, 3);
	filter_free(&filter);

	/* an id is found without looking at others */
	struct buf id;
	buf_init(&id, 100);
	buf_add_str(&id, "state!=held id=");
	text_add_id(&id, 77);
	buf_add_char(&id, '\0');
	filter = parse(id.p);
	assert_int_equal(filter_single_id(filter), 77);
	cursor = 0;
	filter_select(filter, w.q, w.now, &cursor, 1, load_world, NULL, &found);
	assert_int_equal(found.count, 2);
	assert_true(cursor == UINT64_MAX);
	filter_free(&filter);
	filter = parse("id=000000000000a or state=ready");
	assert_int_equal(filter_single_id(filter), 0);
	filter_free(&filter);
	buf_done(&id);
	filter_hits_done(&found);
	world_done(&w);
}

/* ---- recipients of one unit ----------------------------------------------------------------- */

static int load_three(struct filter_subject *s)
{
	loads++;
	s->sender = SPAN("ann@a.example");
	s->all_rcpts = rcpts;
	return 0;
}

/* Which of bob@b, carol@c and Dave@B match, as letters. */
static void expect_of_three(struct world *w, const char *text, const char *want)
{
	struct filter *filter = parse(text);
	struct filter_hits found;
	uint64_t cursor = 0;
	char got[10] = "";
	size_t n = 0;

	assert_int_equal(filter_hits_init(&found, 10, 100), 0);
	filter_select(filter, w->q, w->now, &cursor, 10, load_three, NULL, &found);
	for (size_t i = 0; i < found.count; i++) {
		assert_int_equal(found.hits[i].count + found.hits[i].others, 3);
		for (uint32_t k = 0; k < found.hits[i].count; k++)
			got[n++] = "bcd"[found.picks[found.hits[i].first + k]];
	}
	got[n] = '\0';
	if (strcmp(got, want) != 0)
		fail_msg("%s: \"%s\" instead of \"%s\"", text, got, want);
	filter_hits_done(&found);
	filter_free(&filter);
}

static void recipients_are_told_apart(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	world_route(&w, "b.example", "site");
	world_route(&w, "c.example", "site");
	world_route(&w, "B.example", "site");
	world_add(&w, 1, "bob@b.example carol@c.example Dave@B.example");
	expect_of_three(&w, "recipient=carol@c.example", "c");
	expect_of_three(&w, "not recipient=carol@c.example", "bd");
	expect_of_three(&w, "recipient!=carol@c.example", "bd");
	expect_of_three(&w, "domain=b.example", "bd");
	expect_of_three(&w, "domain=b.example not recipient=bob@*", "d");
	expect_of_three(&w, "recipient=bob@b.example or recipient=carol@c.example", "bc");
	expect_of_three(&w, "recipient=bob@b.example recipient=carol@c.example", "");
	expect_of_three(&w, "sender=ann@a.example", "bcd");
	expect_of_three(&w, "transport=site", "bcd");
	expect_of_three(&w, "state=deferred recipient=bob@b.example", "");
	expect_of_three(&w, "state=ready or recipient=bob@b.example", "bcd");
	expect_of_three(&w, "bob@b.example", "b");
	expect_of_three(&w, "ann@a.example", "bcd");
	expect_of_three(&w, "@c.example", "c");
	expect_of_three(&w, "@a.example", "bcd");
	expect_of_three(&w, "not bob@b.example", "cd");
	expect_of_three(&w, "0000000000001", "bcd");
	expect_of_three(&w, "0000000000001 carol@c.example", "c");
	world_done(&w);
}

static void what_does_not_fit_is_left_for_later(void **state)
{
	struct world w;
	struct filter_hits found;
	uint64_t cursor = 0;
	(void)state;
	world_init(&w, 10);
	for (uint64_t id = 1; id <= 3; id++)
		world_add(&w, id, "x@a.example y@a.example z@a.example");
	struct filter *filter = parse("age>=0s");
	assert_int_equal(filter_hits_init(&found, 10, 7), 0);
	filter_select(filter, w.q, w.now, &cursor, 10, load_world, NULL, &found);
	assert_int_equal(found.count, 2);
	assert_int_equal(cursor, 2);
	filter_select(filter, w.q, w.now, &cursor, 10, load_world, NULL, &found);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.hits[0].id, 3);
	assert_int_equal(found.hits[0].count, 3);
	filter_hits_done(&found);
	filter_free(&filter);
	world_done(&w);
}

static void words_alone(void **state)
{
	(void)state;
	expect_problem("nosuchid", ERR_SYNTAX, "column 1: \"nosuchid\" is neither an id");
	expect_problem("state=ready deferred", ERR_SYNTAX, "column 13: \"deferred\" is neither");
	expect_problem("0000000000001 0000000000002", ERR_SYNTAX, "joined by or");
	struct filter *filter = parse("0000000000001 or 0000000000002");
	assert_false(filter_has_bare_address(filter));
	assert_int_equal(filter_single_id(filter), 0);
	filter_free(&filter);
	filter = parse("0000000000002");
	assert_int_equal(filter_single_id(filter), 2);
	filter_free(&filter);
	filter = parse("not 0000000000001 not 0000000000002");
	filter_free(&filter);
	filter = parse("u7@a.example");
	assert_true(filter_has_bare_address(filter));
	struct buf out;
	buf_init(&out, 1000);
	filter_format(filter, &out);
	assert_true(
		span_equal(buf_span(&out), SPAN("sender=u7@a.example or recipient=u7@a.example")));
	buf_done(&out);
	filter_free(&filter);
	filter = parse("sender=u7@a.example");
	assert_false(filter_has_bare_address(filter));
	filter_free(&filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key),
		cmocka_unit_test(joining),
		cmocka_unit_test(patterns),
		cmocka_unit_test(problems_have_a_place),
		cmocka_unit_test(the_envelope_is_read_only_if_it_decides),
		cmocka_unit_test(format_is_canonical),
		cmocka_unit_test(much_work_is_done_in_steps),
		cmocka_unit_test(select_from_the_queue),
		cmocka_unit_test(recipients_are_told_apart),
		cmocka_unit_test(what_does_not_fit_is_left_for_later),
		cmocka_unit_test(words_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
