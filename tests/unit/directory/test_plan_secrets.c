/* Secrets beside the objects: where they may come from, what becomes of them, and that nothing
 * shows them. */
#include "objects_common.h"

#define CRYPT "crypt:$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"

static void said(struct buf *out, const struct plan *plan)
{
	buf_clear(out);
	plan_add_words(plan, out);
	if (strstr(text_of(out), "s3cret") || strstr(text_of(out), "F5Jx5"))
		fail_msg("a secret is shown: %s", out->p);
}

static void adopt(struct objects **objects, struct plan **plan)
{
	struct objects *next = plan_take(plan);
	objects_free(objects);
	*objects = next;
}

static struct plan *planned(
	const struct objects *objects, const char *text, const struct plan_options *how)
{
	struct plan *plan = NULL;
	struct buf problems;
	buf_init(&problems, 10000);
	if (objects_plan_apply(objects, "f", span_str(text), how, &problems, &plan) < 0)
		fail_msg("%s", text_of(&problems));
	buf_done(&problems);
	return plan;
}

static void assert_secret(
	const struct plan *plan, enum secret_kind kind, const char *name, const char *value)
{
	assert_int_equal(plan_secret_count(plan), 1);
	assert_int_equal(plan_secret(plan, 0)->kind, kind);
	assert_span(plan_secret(plan, 0)->name, name);
	assert_span(plan_secret(plan, 0)->value, value);
}

/* A transport that has a secret. */
static struct objects *with_site_b(void)
{
	struct objects *objects = sample();
	apply(&objects,
		"transports: { site-b: { server: mx.b.example, tls: verify, sasl: { user: gw, "
		"secret: s3cret } } }\n",
		NULL);
	return objects;
}

static void from_a_file(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct buf words;
	buf_init(&words, 10000);
	struct plan *plan = planned(objects,
		"transports: { site-b: { server: mx.b.example, tls: verify, sasl: { user: gw, "
		"secret: s3cret } } }\n",
		&options);
	assert_secret(plan, SECRET_TRANSPORT, "site-b", "s3cret");
	said(&words, plan);
	assert_text(&words, "transport site-b: added { server: mx.b.example, tls: verify, sasl: { "
			    "user: gw } }\n");
	adopt(&objects, &plan);
	/* another one: the object is the same, so its secret's change has words of its own */
	plan = planned(objects,
		"transports: { site-b: { server: mx.b.example, tls: verify, sasl: { user: gw, "
		"secret: s3cret2 } } }\n",
		&options);
	assert_int_equal(plan_count(plan), 0);
	assert_secret(plan, SECRET_TRANSPORT, "site-b", "s3cret2");
	said(&words, plan);
	assert_text(&words, "transport site-b: sasl.secret changed\n");
	plan_free(&plan);
	/* removed with its object */
	plan = planned(objects, SAMPLE_OBJECTS, &prune);
	assert_secret(plan, SECRET_TRANSPORT, "site-b", "");
	said(&words, plan);
	assert_text(&words, "transport site-b: removed\n");
	plan_free(&plan);
	objects_free(&objects);
	buf_done(&words);
}

static void an_export_leaves_it_in_place(void **state)
{
	(void)state;
	struct objects *objects = with_site_b(), *empty;
	struct buf out, words;
	buf_init(&out, 10000);
	buf_init(&words, 10000);
	objects_export(objects, &out);
	assert_has(&out, "site-b: { server: mx.b.example, tls: verify, sasl: { user: gw } }\n");
	for (int how = 0; how < 2; how++) {
		struct plan *plan = planned(objects, text_of(&out), how ? &prune : &options);
		assert_int_equal(plan_count(plan), 0);
		assert_int_equal(plan_secret_count(plan), 0);
		plan_free(&plan);
	}
	/* other fields may change */
	struct plan *plan = planned(objects,
		"transports: { site-b: { server: mx.b.example, tls: dane, sasl: { user: gw } } }\n",
		&options);
	assert_int_equal(plan_secret_count(plan), 0);
	said(&words, plan);
	assert_text(&words, "transport site-b: tls verify → dane\n");
	plan_free(&plan);
	/* but elsewhere the secret is missing, and that is told with what to do */
	assert_int_equal(objects_new(&empty), 0);
	assert_refused(empty, text_of(&out),
		"transports.site-b.sasl: there is no secret for the user \"gw\"; give it as secret "
		"in the file, or");
	objects_free(&empty);
	objects_free(&objects);
	buf_done(&out);
	buf_done(&words);
}

static void it_is_its_users(void **state)
{
	(void)state;
	struct objects *objects = with_site_b();
	struct buf words;
	buf_init(&words, 10000);
	assert_refused(objects,
		"transports: { site-b: { server: mx.b.example, sasl: { user: other } } }\n",
		"there is no secret for the user \"other\"");
	assert_refused(objects,
		"transports: { site-b: { server: mx.b.example, sasl: { secret: s3cret } } }\n",
		"there is a secret and no user");
	assert_refused(objects,
		"transports: { site-b: { server: mx.b.example, tls: none, sasl: { user: gw } } }\n",
		"transports.site-b.sasl: a password is sent over TLS only");
	struct plan *plan = planned(objects,
		"transports: { site-b: { server: mx.b.example, tls: verify } }\n", &options);
	assert_secret(plan, SECRET_TRANSPORT, "site-b", "");
	said(&words, plan);
	assert_text(&words, "transport site-b: sasl.user gw → none, sasl.secret removed\n");
	plan_free(&plan);
	plan = planned(objects,
		"transports: { site-b: { server: mx.b.example, tls: verify, sasl: { user: two, "
		"secret: s3cret } } }\n",
		&options);
	said(&words, plan);
	assert_text(&words, "transport site-b: sasl.user gw → two\n"
			    "transport site-b: sasl.secret changed\n");
	plan_free(&plan);
	objects_free(&objects);
	buf_done(&words);
}

/* Whoever asks what a transport is sees that there is one. */
static void it_is_shown_as_set(void **state)
{
	(void)state;
	struct objects *objects = with_site_b();
	struct json_write json;
	struct buf out;
	buf_init(&out, 10000);
	json_write_init(&json, &out);
	object_json(objects, objects_find(objects, OBJECT_TRANSPORT, SPAN("site-b")), NULL, &json);
	assert_has(&out, "\"sasl\":{\"user\":\"gw\",\"secret\":\"(set)\"}");
	buf_clear(&out);
	json_write_init(&json, &out);
	object_json(objects, objects_find(objects, OBJECT_TRANSPORT, SPAN("site-a")), NULL, &json);
	assert_has(&out, "\"sasl\":{\"user\":null,\"secret\":null}");
	/* the row of the database, and the export as JSON, have none */
	buf_clear(&out);
	json_write_init(&json, &out);
	json_open_object(&json, NULL);
	objects_export_json(objects, &json);
	json_close_object(&json);
	assert_has(&out, "\"sasl\":{\"user\":\"gw\"}");
	assert_null(strstr(text_of(&out), "secret"));
	objects_free(&objects);
	buf_done(&out);
}

static int set(const struct objects *objects, const char *setting, const char *field,
	const char *value, struct buf *problems, struct plan **plan)
{
	struct span settings[] = {span_str(setting)};
	struct plan_secret_input secret = {span_str(field), span_str(value)};
	struct plan_options how = {
		.now_ms = 1000, .secrets = &secret, .secret_count = field ? 1 : 0};

	buf_clear(problems);
	return objects_plan_set(
		objects, OBJECT_TRANSPORT, SPAN("site-a"), settings, 1, &how, problems, plan);
}

static void never_from_a_command_line(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct plan *plan = NULL;
	struct buf problems;
	buf_init(&problems, 10000);
	assert_int_equal(
		set(objects, "sasl.secret=s3cret", NULL, NULL, &problems, &plan), ERR_SYNTAX);
	assert_text(&problems,
		"site-a.sasl.secret: is a secret, which is never taken from a command line; give "
		"--secret, which asks for it, or reads it from standard input\n");
	assert_int_equal(set(objects, "sasl=gw", NULL, NULL, &problems, &plan), ERR_SYNTAX);
	assert_has(&problems, "site-a.sasl: is a group");
	assert_int_equal(set(objects, "sasl.usr=gw", NULL, NULL, &problems, &plan), ERR_SYNTAX);
	assert_has(&problems, "did you mean \"user\"?");
	assert_int_equal(set(objects, "sasl.user=gw", NULL, NULL, &problems, &plan), ERR_SYNTAX);
	assert_has(&problems, "site-a.sasl: there is no secret for the user \"gw\"");
	assert_int_equal(
		set(objects, "sasl.user=gw", "helo", "a.example", &problems, &plan), ERR_SYNTAX);
	assert_has(&problems, "site-a.helo: is no secret");
	assert_int_equal(
		set(objects, "sasl.user=gw", "sasl.secret", "", &problems, &plan), ERR_SYNTAX);
	assert_has(&problems, "site-a.sasl.secret: is empty");
	assert_int_equal(set(objects, "sasl.user=gw", "sasl.secret", "s3c\nret", &problems, &plan),
		ERR_SYNTAX);
	assert_has(&problems, "site-a.sasl.secret: the secret is refused: control characters");
	assert_null(strstr(text_of(&problems), "ret\""));
	assert_int_equal(
		set(objects, "sasl.user=gw", "sasl.secret", "s3cret", &problems, &plan), 0);
	assert_secret(plan, SECRET_TRANSPORT, "site-a", "s3cret");
	said(&problems, plan);
	assert_text(&problems, "transport site-a: sasl.user none → gw, sasl.secret set\n");
	adopt(&objects, &plan);
	/* what is set afterwards leaves it alone */
	assert_int_equal(set(objects, "retry-count=5", NULL, NULL, &problems, &plan), 0);
	assert_int_equal(plan_secret_count(plan), 0);
	adopt(&objects, &plan);
	assert_int_equal(set(objects, "sasl.user=", NULL, NULL, &problems, &plan), 0);
	assert_secret(plan, SECRET_TRANSPORT, "site-a", "");
	plan_free(&plan);
	objects_free(&objects);
	buf_done(&problems);
}

static void passwords_of_accounts(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct plan *plan = NULL;
	struct buf out;
	buf_init(&out, 10000);
	assert_int_equal(objects_plan_secret(objects, SECRET_ACCOUNT, SPAN("ANN@c.example"),
				 SPAN(CRYPT), &options, &out, &plan),
		0);
	assert_secret(plan, SECRET_ACCOUNT, "ann@c.example", CRYPT);
	said(&out, plan);
	assert_text(&out, "account ann@c.example: password set\n");
	adopt(&objects, &plan);
	assert_int_equal(objects_plan_secret(objects, SECRET_ACCOUNT, SPAN("ann@c.example"),
				 SPAN(CRYPT), &options, &out, &plan),
		0);
	assert_int_equal(plan_count(plan), 0);
	said(&out, plan);
	assert_text(&out, "account ann@c.example: password changed\n");
	plan_free(&plan);
	/* applying a file leaves it, removing the account takes it away */
	plan = planned(objects, SAMPLE_OBJECTS, &prune);
	assert_int_equal(plan_secret_count(plan), 0);
	plan_free(&plan);
	buf_clear(&out);
	assert_int_equal(objects_plan_remove(objects, OBJECT_ACCOUNT, SPAN("ann@c.example"),
				 &options, &out, &plan),
		0);
	assert_secret(plan, SECRET_ACCOUNT, "ann@c.example", "");
	plan_free(&plan);
	/* locked out on purpose */
	assert_int_equal(objects_plan_secret(objects, SECRET_ACCOUNT, SPAN("ann@c.example"),
				 SPAN(""), &options, &out, &plan),
		0);
	assert_secret(plan, SECRET_ACCOUNT, "ann@c.example", "");
	said(&out, plan);
	assert_text(&out, "account ann@c.example: password removed\n");
	plan_free(&plan);
	buf_clear(&out);
	assert_int_equal(objects_plan_secret(objects, SECRET_ACCOUNT, SPAN("bob@c.example"),
				 SPAN(CRYPT), &options, &out, &plan),
		ERR_NOT_FOUND);
	assert_has(&out, "there is no account of that name");
	/* a password is no verifier */
	assert_refused(objects, "accounts:\n  ann@c.example: { verifiers: hunter2 }\n",
		"objects.yaml:2:31: accounts.ann@c.example.verifiers: are not as posternctl export "
		"--secrets writes them; a password is set by posternctl user password");
	objects_free(&objects);
	buf_done(&out);
}

/* The store, as far as these tests need one. */
static struct span find_secret(void *context, enum secret_kind kind, struct span name)
{
	(void)context;
	if (kind == SECRET_TRANSPORT && span_equal(name, SPAN("site-b")))
		return SPAN("s3cret: \"x\"");
	if (kind == SECRET_ACCOUNT && span_equal(name, SPAN("ann@c.example")))
		return SPAN(CRYPT);
	return SPAN_NONE;
}

static void an_export_with_secrets_is_whole(void **state)
{
	(void)state;
	const struct secret_source source = {find_secret, NULL};
	const struct plan_options with = {.now_ms = 1000, .present = &source};
	struct objects *objects = with_site_b(), *empty;
	struct buf out;
	buf_init(&out, 10000);
	assert_true(objects_mark_secret(objects, SECRET_ACCOUNT, SPAN("ann@c.example"), 1));
	assert_false(objects_mark_secret(objects, SECRET_ACCOUNT, SPAN("bob@c.example"), 1));
	objects_export_secrets(objects, &source, &out);
	assert_has(&out, "sasl: { user: gw, secret: \"s3cret: \\\"x\\\"\" } }\n");
	assert_has(&out, "  ann@c.example: { verifiers: \"" CRYPT "\" }\n");
	/* here it changes nothing */
	struct plan *plan = planned(objects, text_of(&out), &with);
	assert_int_equal(plan_count(plan), 0);
	assert_int_equal(plan_secret_count(plan), 0);
	plan_free(&plan);
	/* and elsewhere it brings all of them */
	assert_int_equal(objects_new(&empty), 0);
	plan = planned(empty, text_of(&out), &options);
	assert_int_equal(plan_secret_count(plan), 2);
	plan_free(&plan);
	objects_free(&empty);
	objects_free(&objects);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_a_file),
		cmocka_unit_test(an_export_leaves_it_in_place),
		cmocka_unit_test(it_is_its_users),
		cmocka_unit_test(it_is_shown_as_set),
		cmocka_unit_test(never_from_a_command_line),
		cmocka_unit_test(passwords_of_accounts),
		cmocka_unit_test(an_export_with_secrets_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
