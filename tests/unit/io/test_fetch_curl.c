/* HTTPS by libcurl, against a small web server on the same loop. */
#include "tls_fixture.h"

#include "io/fetch_curl.h"

#define POLICY "version: STSv1\r\nmode: enforce\r\nmx: mx.example\r\nmax_age: 86400\r\n"

struct site {
	struct tls_world *w;
	struct tls_server *server;
	struct fetch *fetch;
	const char *reply; /* NULL: it says nothing */
	bool answered;
	/* what the asker heard */
	unsigned calls;
	enum fetch_result result;
	uint32_t status;
	char type[200], body[FETCH_BODY + 1];
	size_t body_bytes;
};

static void on_request(struct peer *p, size_t n)
{
	struct site *site = p->arg;
	(void)n;

	struct span all = buf_span(&p->all);
	if (site->answered || !site->reply || !memmem(all.p, all.n, "\r\n\r\n", 4))
		return;
	/* What is posted ends with this word. */
	if (span_starts_nocase(all, SPAN("POST")) && !memmem(all.p, all.n, "THE-END", 7))
		return;
	struct iovec part = {(void *)(uintptr_t)site->reply, strlen(site->reply)};
	site->answered = true;
	assert_int_equal(io_conn_send(p->conn, &part, 1, false), 0);
	io_conn_close(&p->conn, true);
}

static void accepted(void *owner, struct io_conn *conn)
{
	struct site *site = owner;
	struct peer *p = &site->w->server;

	io_conn_close(&p->conn, false);
	buf_done(&p->all);
	peer_init(p, site->w->loop);
	p->keep = true;
	p->conn = conn;
	p->arg = site;
	p->on_received = on_request;
	p->on_secured = NULL;
	loop_conn_adopt(conn, &peer_handler, p);
	assert_int_equal(io_conn_secure_server(conn, site->server, 5000), 0);
}

static void heard(void *owner, const struct fetch_answer *answer)
{
	struct site *site = owner;

	site->calls++;
	site->result = answer->result;
	site->status = answer->status;
	snprintf(site->type, sizeof(site->type), "%.*s", (int)answer->content_type.n,
		answer->content_type.p);
	site->body_bytes = answer->body.n;
	if (answer->body.n)
		memcpy(site->body, answer->body.p, answer->body.n);
	site->body[answer->body.n] = '\0';
	loop_stop(site->w->loop);
}

static int setup(void **state)
{
	struct site *site = calloc(1, sizeof(*site));
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);
	struct netaddr any = loopback(0);
	int fd;

	assert_int_equal(tls_setup((void **)&site->w), 0);
	listener_close(&site->w->listener);
	assert_int_equal(listener_bind_tcp(&any, false, &fd), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	assert_int_equal(netaddr_from_sockaddr((struct sockaddr *)&a, n, &site->w->address), 0);
	assert_int_equal(
		loop_listen(site->w->loop, fd, accepted, site, NULL, &site->w->listener), 0);
	site->server = server_with(&site->w->leaf);
	assert_int_equal(
		fetch_curl_new(site->w->loop, span_str(site->w->ca.chain_pem), &site->fetch), 0);
	*state = site;
	return 0;
}

static int teardown(void **state)
{
	struct site *site = *state;

	fetch_curl_free(&site->fetch);
	tls_server_release(&site->server);
	void *w = site->w;
	assert_int_equal(tls_teardown(&w), 0);
	free(site);
	return 0;
}

static int ask(struct site *site, const char *host, const char *type, const char *body)
{
	static struct fetch_question *question;
	char url[200];
	struct netaddr address = site->w->address;

	site->calls = 0;
	site->answered = false;
	snprintf(url, sizeof(url), "https://%s:%u/.well-known/mta-sts.txt", host,
		site->w->address.port);
	const struct fetch_query query = {
		.url = span_str(url),
		.addresses = &address,
		.address_count = 1,
		.content_type = span_str(type),
		.body = span_str(body),
	};
	int err = fetch_ask(site->fetch, &query, heard, site, &question);
	if (err)
		return err;
	/* Never inside the call. */
	assert_int_equal(site->calls, 0);
	for (int i = 0; i < 100 && !site->calls; i++)
		(void)run_for(site->w->loop, 1000);
	assert_int_equal(site->calls, 1);
	return 0;
}

static void a_policy_is_fetched(void **state)
{
	struct site *site = *state;

	site->reply = "HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\n\r\n" POLICY;
	assert_int_equal(ask(site, "mx.example", "", ""), 0);
	assert_int_equal(site->result, FETCH_OK);
	assert_int_equal(site->status, 200);
	assert_string_equal(site->type, "text/plain");
	assert_string_equal(site->body, POLICY);
	assert_non_null(memmem(site->w->server.all.p, site->w->server.all.n,
		"GET /.well-known/mta-sts.txt HTTP/1.1\r\n", 39));
}

/* RFC 8461 section 3.3: never. */
static void a_redirect_is_not_followed(void **state)
{
	struct site *site = *state;

	site->reply = "HTTP/1.1 302 Found\r\nLocation: https://mx.example/elsewhere\r\n"
		      "Content-Length: 0\r\n\r\n";
	assert_int_equal(ask(site, "mx.example", "", ""), 0);
	assert_int_equal(site->result, FETCH_STATUS);
	assert_int_equal(site->status, 302);
}

static void a_certificate_for_another_name_is_refused(void **state)
{
	struct site *site = *state;

	site->reply = "HTTP/1.1 200 OK\r\n\r\n" POLICY;
	assert_int_equal(ask(site, "other.example", "", ""), 0);
	assert_int_equal(site->result, FETCH_TLS);
	assert_false(site->answered);
}

static void a_certificate_of_a_stranger_is_refused(void **state)
{
	struct site *site = *state;

	fetch_curl_free(&site->fetch);
	assert_int_equal(
		fetch_curl_new(site->w->loop, span_str(site->w->other_ca.chain_pem), &site->fetch),
		0);
	site->reply = "HTTP/1.1 200 OK\r\n\r\n" POLICY;
	assert_int_equal(ask(site, "mx.example", "", ""), 0);
	assert_int_equal(site->result, FETCH_TLS);
}

/* However much it sends, and whatever it says of that. */
static void a_huge_body_is_cut_off(void **state)
{
	struct site *site = *state;
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n";
	char *reply = malloc(300000);

	memset(reply, 'a', 299999);
	memcpy(reply, head, strlen(head));
	reply[299999] = '\0';
	site->reply = reply;
	assert_int_equal(ask(site, "mx.example", "", ""), 0);
	assert_int_equal(site->result, FETCH_TOO_BIG);
	site->reply = "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nabc";
	assert_int_equal(ask(site, "mx.example", "", ""), 0);
	assert_int_equal(site->result, FETCH_TOO_BIG);
	free(reply);
}

static void no_other_scheme_and_no_nonsense(void **state)
{
	static const char *const urls[] = {"http://mx.example/", "file:///etc/passwd",
		"https://user:pw@mx.example/", "https://[::1]/", "https://", "gopher://mx.example/",
		"https://mx.example/a b", "https://mx.example/\r\nX: y"};
	struct site *site = *state;
	struct fetch_question *question;
	struct fetch_query query = {.addresses = &site->w->address, .address_count = 1};

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		query.url = span_str(urls[i]);
		assert_int_equal(
			fetch_ask(site->fetch, &query, heard, site, &question), ERR_SYNTAX);
	}
	query.url = SPAN("https://mx.example/");
	query.address_count = 0;
	assert_int_equal(fetch_ask(site->fetch, &query, heard, site, &question), ERR_SYNTAX);
	assert_int_equal(site->calls, 0);
}

static void nobody_listens(void **state)
{
	struct site *site = *state;

	listener_close(&site->w->listener);
	assert_int_equal(ask(site, "mx.example", "", ""), 0);
	assert_int_equal(site->result, FETCH_UNREACHABLE);
}

static void a_report_is_posted(void **state)
{
	struct site *site = *state;

	site->reply = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
	assert_int_equal(ask(site, "mx.example", "application/tlsrpt+gzip", "zipped THE-END"), 0);
	assert_int_equal(site->result, FETCH_OK);
	assert_int_equal(site->status, 201);
	struct span all = buf_span(&site->w->server.all);
	assert_true(span_starts_nocase(all, SPAN("POST /")));
	assert_non_null(memmem(all.p, all.n, "Content-Type: application/tlsrpt+gzip\r\n", 39));
	assert_non_null(memmem(all.p, all.n, "Content-Length: 14\r\n", 20));
}

static void many_at_once_and_cancelled_ones(void **state)
{
	struct site *site = *state;
	struct fetch_question *questions[100];
	char url[100];
	const struct fetch_query query = {
		.url = span_of(url, (size_t)snprintf(url, sizeof(url), "https://mx.example:%u/",
					    site->w->address.port)),
		.addresses = &site->w->address,
		.address_count = 1,
	};

	listener_pause(site->w->listener);
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
		assert_int_equal(fetch_ask(site->fetch, &query, heard, site, &questions[i]), 0);
	(void)run_for(site->w->loop, 100);
	for (size_t i = 0; i < ARRAY_SIZE(questions); i += 2)
		fetch_cancel(&questions[i]);
	assert_int_equal(site->calls, 0);
	/* The rest end with their owner's end. */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_policy_is_fetched, setup, teardown),
		cmocka_unit_test_setup_teardown(a_redirect_is_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_certificate_for_another_name_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_certificate_of_a_stranger_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_huge_body_is_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(no_other_scheme_and_no_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_listens, setup, teardown),
		cmocka_unit_test_setup_teardown(a_report_is_posted, setup, teardown),
		cmocka_unit_test_setup_teardown(many_at_once_and_cancelled_ones, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
