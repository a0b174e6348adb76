/* What is said of the files that an administrator names, before anything runs with them. */
#include "tls_fixture.h"

static bool complains(struct buf *problem, const char *of)
{
	bool found = memmem(problem->p, problem->n, of, strlen(of)) != NULL;

	if (!found)
		print_message("said: %.*s\n", (int)problem->n, problem->p);
	buf_clear(problem);
	return found;
}

static int pair(const char *chain, const char *key, struct buf *problem)
{
	return tls_check_pair(span_str(chain), span_str(key), NULL, problem);
}

static void a_pair_fits_or_is_refused_with_a_reason(void **state)
{
	struct tls_world *w = *state;
	struct identity rsa, weak, old, odd;
	struct buf problem;
	int64_t ends_ms = 0;

	buf_init(&problem, 300);
	identity_make(&rsa, &(struct wish){.kind = KEY_RSA, .subject = "rsa"});
	identity_make(&weak, &(struct wish){.kind = KEY_RSA_WEAK, .subject = "weak"});
	identity_make(
		&old, &(struct wish){
			      .kind = KEY_RSA, .subject = "old", .digest = EVP_sha1(), .by = &rsa});
	identity_make(&odd, &(struct wish){.kind = KEY_ED25519, .subject = "odd"});
	assert_int_equal(tls_check_pair(span_str(w->leaf.chain_pem), span_str(w->leaf.key_pem),
				 &ends_ms, &problem),
		0);
	assert_true(ends_ms > loop_io(w->loop)->wall_ms + 29ll * DAY * 1000);
	assert_true(ends_ms < loop_io(w->loop)->wall_ms + 31ll * DAY * 1000);
	assert_int_equal(problem.n, 0);
	assert_int_equal(pair(rsa.chain_pem, rsa.key_pem, &problem), 0);
	assert_int_equal(pair(odd.chain_pem, odd.key_pem, &problem), 0);

	assert_int_equal(pair(w->leaf.chain_pem, w->ca.key_pem, &problem), ERR_SYNTAX);
	assert_true(complains(&problem, "does not belong"));
	assert_int_equal(pair(w->leaf.chain_pem, rsa.key_pem, &problem), ERR_SYNTAX);
	assert_true(complains(&problem, "does not belong"));
	assert_int_equal(pair(weak.chain_pem, weak.key_pem, &problem), ERR_SYNTAX);
	assert_true(complains(&problem, "too small"));
	assert_int_equal(pair(old.chain_pem, old.key_pem, &problem), ERR_SYNTAX);
	assert_true(complains(&problem, "too weak"));
	assert_int_equal(pair(w->leaf.key_pem, w->leaf.key_pem, &problem), ERR_SYNTAX);
	assert_true(complains(&problem, "no certificate"));
	assert_int_equal(pair(w->leaf.chain_pem, w->leaf.chain_pem, &problem), ERR_SYNTAX);
	assert_true(complains(&problem, "key cannot be read"));
	assert_int_equal(pair("", w->leaf.key_pem, &problem), ERR_SYNTAX);
	assert_true(complains(&problem, "empty"));
	assert_int_equal(pair(w->leaf.chain_pem, "", &problem), ERR_SYNTAX);
	assert_true(complains(&problem, "empty"));
	/* Cut off in the middle; or with rubbish behind the first. */
	struct span cut = {w->leaf.chain_pem, strlen(w->leaf.chain_pem) / 2};
	assert_int_equal(
		tls_check_pair(cut, span_str(w->leaf.key_pem), NULL, &problem), ERR_SYNTAX);
	assert_true(problem.n > 0);
	buf_clear(&problem);
	char *torn;
	assert_true(
		asprintf(&torn, "%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
			w->leaf.chain_pem) > 0);
	assert_int_equal(pair(torn, w->leaf.key_pem, &problem), ERR_SYNTAX);
	assert_true(complains(&problem, "certificate 2 of the chain"));
	free(torn);
	buf_done(&problem);
	identity_done(&rsa);
	identity_done(&weak);
	identity_done(&old);
	identity_done(&odd);
}

static void a_chain_has_a_bound(void **state)
{
	struct tls_world *w = *state;
	struct buf problem, many;

	buf_init(&problem, 300);
	buf_init(&many, TLS_PEM_BYTES + 4096);
	for (int i = 0; i < 65; i++)
		buf_add_str(&many, w->leaf.chain_pem);
	assert_int_equal(tls_check_pair(buf_span(&many), span_str(w->leaf.key_pem), NULL, &problem),
		ERR_SYNTAX);
	assert_true(complains(&problem, "more than 64"));
	while (many.n <= TLS_PEM_BYTES)
		buf_add_str(&many, "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n");
	assert_int_equal(tls_check_pair(buf_span(&many), span_str(w->leaf.key_pem), NULL, &problem),
		ERR_SYNTAX);
	assert_true(complains(&problem, "longer than"));
	buf_done(&problem);
	buf_done(&many);
}

static void authorities_are_counted(void **state)
{
	struct tls_world *w = *state;
	struct buf problem;
	size_t count = 0;
	char *both;

	buf_init(&problem, 300);
	assert_true(asprintf(&both, "# ours\n%s\n# theirs\n%s", w->ca.chain_pem,
			    w->other_ca.chain_pem) > 0);
	assert_int_equal(tls_check_ca(span_str(both), &count, &problem), 0);
	assert_int_equal(count, 2);
	free(both);
	assert_int_equal(tls_check_ca(span_str(w->ca.key_pem), &count, &problem), ERR_SYNTAX);
	assert_true(complains(&problem, "no certificate"));
	assert_int_equal(
		tls_check_ca(SPAN("-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"),
			&count, &problem),
		ERR_SYNTAX);
	assert_true(complains(&problem, "certificate 1 cannot be read"));
	assert_int_equal(count, 2);
	buf_done(&problem);
}

static void names_of_a_certificate(void **state)
{
	struct tls_world *w = *state;
	struct identity wild;

	identity_make(&wild,
		&(struct wish){.subject = "cn.example", .names = "DNS:*.b.example,DNS:c.example"});
	assert_true(tls_chain_has_name(span_str(w->leaf.chain_pem), SPAN("MX.example")));
	assert_false(tls_chain_has_name(span_str(w->leaf.chain_pem), SPAN("example")));
	assert_false(tls_chain_has_name(span_str(w->leaf.chain_pem), SPAN("")));
	assert_false(tls_chain_has_name(SPAN("no PEM"), SPAN("mx.example")));
	assert_true(tls_chain_has_name(span_str(wild.chain_pem), SPAN("a.b.example")));
	assert_true(tls_chain_has_name(span_str(wild.chain_pem), SPAN("c.example")));
	assert_false(tls_chain_has_name(span_str(wild.chain_pem), SPAN("a.a.b.example")));
	assert_false(tls_chain_has_name(span_str(wild.chain_pem), SPAN("b.example")));
	assert_false(tls_chain_has_name(span_str(wild.chain_pem), SPAN("cn.example")));
	identity_done(&wild);
}

static void a_server_says_which_of_its_certificates_is_wrong(void **state)
{
	struct tls_world *w = *state;
	struct tls_certificate all[3] = {
		{.chain = span_str(w->leaf.chain_pem), .key = span_str(w->leaf.key_pem)},
		{.name = SPAN("a.example"),
			.chain = span_str(w->ca.chain_pem),
			.key = span_str(w->ca.key_pem)},
		{.name = SPAN("a.example"),
			.chain = span_str(w->other_ca.chain_pem),
			.key = span_str(w->other_ca.key_pem)}};
	struct tls_server_config config = {.certificates = all, .certificate_count = 3};
	struct tls_server *server = NULL;
	struct buf problem;

	buf_init(&problem, 300);
	assert_int_equal(tls_server_new(&config, &server, &problem), ERR_SYNTAX);
	assert_true(complains(&problem, "certificate 3: there is one with the same kind of key"));
	all[2].name = SPAN("b.example");
	all[1].key = SPAN_NONE;
	assert_int_equal(tls_server_new(&config, &server, &problem), ERR_SYNTAX);
	assert_true(complains(&problem, "certificate 2: there is no key"));
	all[1].key = span_str(w->ca.key_pem);
	config.client_ca = SPAN("nothing");
	assert_int_equal(tls_server_new(&config, &server, &problem), ERR_SYNTAX);
	assert_true(complains(&problem, "clients' authorities: there is no certificate"));
	config.certificate_count = 0;
	assert_int_equal(tls_server_new(&config, &server, &problem), ERR_SYNTAX);
	assert_true(problem.n > 0);
	assert_null(server);
	buf_done(&problem);
}

static void every_failure_has_words(void **state)
{
	(void)state;
	for (enum tls_failure f = TLS_FINE; f < TLS_FAILURES; f++) {
		assert_true(strlen(tls_failure_text(f)) > 3);
		for (enum tls_failure g = TLS_FINE; g < f; g++)
			assert_string_not_equal(tls_failure_text(f), tls_failure_text(g));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_pair_fits_or_is_refused_with_a_reason, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(a_chain_has_a_bound, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(authorities_are_counted, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(names_of_a_certificate, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_server_says_which_of_its_certificates_is_wrong, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(every_failure_has_words, tls_setup, tls_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
