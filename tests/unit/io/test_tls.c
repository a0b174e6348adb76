/* Handshakes over loopback connections: what each side learns of the other, and what is refused. */
#include "tls_raw.h"

#define NAMES(...)                                   \
	.names = (const struct span[]){__VA_ARGS__}, \
	.name_count = sizeof((struct span[]){__VA_ARGS__}) / sizeof(struct span)

static void both_sides_agree_and_talk(void **state)
{
	struct tls_world *w = *state;
	struct tls_server *server = server_with(&w->leaf);
	struct tls_client client = {.sni = SPAN("MX.example")};
	uint8_t hash[TLS_HASH_BYTES];

	peers_secure(w, server, &client);
	assert_int_equal(w->client.secured, 0);
	assert_int_equal(w->server.secured, 0);
	assert_true(span_equal(w->client.info.version, SPAN("TLSv1.3")));
	assert_true(span_equal(w->server.info.cipher, w->client.info.cipher));
	assert_true(w->client.info.cipher.n > 0);
	assert_true(span_equal(w->server.info.sni, SPAN("mx.example")));
	assert_false(w->client.info.resumed);
	/* Both know the same channel binding, and the client whom it talks to. */
	assert_true(w->client.info.has_binding && w->server.info.has_binding);
	assert_memory_equal(w->client.info.binding, w->server.info.binding, TLS_BINDING_BYTES);
	assert_true(w->client.info.peer_certificate);
	assert_false(w->client.info.peer_verified);
	assert_false(w->server.info.peer_certificate);
	certificate_hash(&w->leaf, hash);
	assert_memory_equal(hash, w->client.info.peer_certificate_hash, TLS_HASH_BYTES);
	key_hash(&w->leaf, hash);
	assert_memory_equal(hash, w->client.info.peer_key_hash, TLS_HASH_BYTES);
	assert_true(span_equal(w->client.info.peer_subject, SPAN("CN = mx.example")));

	assert_int_equal(peer_send(&w->client, "EHLO a\r\n", 8, false), 0);
	run_until_received(w, &w->server, 8);
	assert_memory_equal(w->server.all.p, "EHLO a\r\n", 8);
	assert_int_equal(peer_send(&w->server, "250 b\r\n", 7, false), 0);
	run_until_received(w, &w->client, 7);
	assert_memory_equal(w->client.all.p, "250 b\r\n", 7);
	tls_server_release(&server);
}

/* What a client that asks for this learns; the server's end is alike. */
static enum tls_failure asked(
	struct tls_world *w, const struct identity *shown, const struct tls_client *client)
{
	struct tls_server *server = server_with(shown);

	peers_secure(w, server, client);
	enum tls_failure failure = w->client.info.failure;
	assert_int_equal(w->client.secured, failure ? ERR_DENIED : 0);
	assert_int_equal(w->client.secured_calls, 1);
	assert_int_equal(w->client.info.peer_verified, !failure && client->check);
	if (failure)
		assert_int_equal(peer_send(&w->client, "x", 1, false), ERR_CLOSED);
	/* In TLS 1.3 a server may be done before the client refuses; then its connection ends. */
	for (int i = 0; failure && i < 100 && !w->server.secured && w->server.closed == PEER_NEVER;
		i++)
		(void)run_for(w->loop, 100);
	if (failure)
		assert_true(w->server.secured != 0 || w->server.closed != PEER_NEVER);
	assert_int_equal(w->client.closed, PEER_NEVER);
	tls_server_release(&server);
	return failure;
}

static enum tls_failure named(struct tls_world *w, const struct identity *shown,
	const struct identity *trusted, const char *name)
{
	struct tls_client client = {.check = TLS_CHECK_CHAIN,
		.names = (const struct span[]){span_str(name)},
		.name_count = 1,
		.ca_pem = span_str(trusted->chain_pem)};
	return asked(w, shown, &client);
}

static void a_chain_must_end_at_a_trusted_anchor(void **state)
{
	struct tls_world *w = *state;
	struct identity mid, deep, self;

	assert_int_equal(named(w, &w->leaf, &w->ca, "mx.example"), TLS_FINE);
	assert_int_equal(named(w, &w->leaf, &w->other_ca, "mx.example"), TLS_UNTRUSTED);
	assert_true(w->client.info.detail.n > 0);
	assert_true(w->client.info.peer_certificate);
	/* The system's anchors do not know it. */
	struct tls_client client = {.check = TLS_CHECK_CHAIN, NAMES(SPAN("mx.example"))};
	assert_int_equal(asked(w, &w->leaf, &client), TLS_UNTRUSTED);

	identity_make(&mid, &(struct wish){.subject = "Mid", .authority = true, .by = &w->ca});
	identity_make(&deep, &(struct wish){.subject = "d", .names = "DNS:mx.example", .by = &mid});
	/* The anchor is the one in between; or the chain lacks it. */
	assert_int_equal(named(w, &deep, &mid, "mx.example"), TLS_FINE);
	assert_int_equal(named(w, &deep, &w->ca, "mx.example"), TLS_UNTRUSTED);
	identity_make(&self, &(struct wish){.subject = "s", .names = "DNS:mx.example"});
	assert_int_equal(named(w, &self, &w->ca, "mx.example"), TLS_UNTRUSTED);
	assert_int_equal(named(w, &self, &self, "mx.example"), TLS_FINE);
	/* A file that is no certificate trusts nobody. */
	client.ca_pem = SPAN("nonsense");
	assert_int_equal(asked(w, &w->leaf, &client), TLS_UNTRUSTED);
	identity_done(&mid);
	identity_done(&deep);
	identity_done(&self);
}

static void a_certificate_must_be_valid_now(void **state)
{
	struct tls_world *w = *state;
	struct identity old, early;

	identity_make(&old, &(struct wish){.subject = "o",
				    .names = "DNS:mx.example",
				    .by = &w->ca,
				    .from_days = -9,
				    .to_days = -1});
	identity_make(&early, &(struct wish){.subject = "e",
				      .names = "DNS:mx.example",
				      .by = &w->ca,
				      .from_days = 1,
				      .to_days = 9});
	assert_int_equal(named(w, &old, &w->ca, "mx.example"), TLS_EXPIRED);
	assert_int_equal(named(w, &early, &w->ca, "mx.example"), TLS_EXPIRED);
	/* Who does not ask does not mind. */
	struct tls_client any = {.check = TLS_CHECK_NOTHING};
	assert_int_equal(asked(w, &old, &any), TLS_FINE);
	identity_done(&old);
	identity_done(&early);
}

static void a_certificate_must_bear_one_of_the_names(void **state)
{
	struct tls_world *w = *state;
	struct identity wild, partial, address, subject;

	assert_int_equal(named(w, &w->leaf, &w->ca, "MX.Example."), TLS_FINE);
	assert_int_equal(named(w, &w->leaf, &w->ca, "example"), TLS_NAME);
	assert_int_equal(named(w, &w->leaf, &w->ca, "a.mx.example"), TLS_NAME);
	struct tls_client two = {.check = TLS_CHECK_CHAIN,
		NAMES(SPAN("other.example"), SPAN("mx.example")),
		.ca_pem = span_str(w->ca.chain_pem)};
	assert_int_equal(asked(w, &w->leaf, &two), TLS_FINE);
	/* None can be no reason to trust any. */
	two.name_count = 0;
	assert_int_equal(asked(w, &w->leaf, &two), TLS_NAME);

	identity_make(
		&wild, &(struct wish){.subject = "w", .names = "DNS:*.b.example", .by = &w->ca});
	assert_int_equal(named(w, &wild, &w->ca, "mx.b.example"), TLS_FINE);
	assert_int_equal(named(w, &wild, &w->ca, "a.mx.b.example"), TLS_NAME);
	identity_make(&partial,
		&(struct wish){.subject = "p", .names = "DNS:m*.b.example", .by = &w->ca});
	assert_int_equal(named(w, &partial, &w->ca, "mx.b.example"), TLS_NAME);
	/* A leading dot: one label more, and no more than one. */
	assert_int_equal(named(w, &w->leaf, &w->ca, ".example"), TLS_FINE);
	assert_int_equal(named(w, &w->leaf, &w->ca, ".mx.example"), TLS_NAME);
	assert_int_equal(named(w, &w->leaf, &w->ca, "x\0y"), TLS_NAME);

	identity_make(
		&address, &(struct wish){.subject = "a", .names = "IP:192.0.2.5", .by = &w->ca});
	assert_int_equal(named(w, &address, &w->ca, "192.0.2.5"), TLS_FINE);
	assert_int_equal(named(w, &address, &w->ca, "192.0.2.6"), TLS_NAME);
	/* The subject counts only where there are no other names. */
	identity_make(&subject,
		&(struct wish){.subject = "cn.example", .names = "DNS:mx.example", .by = &w->ca});
	assert_int_equal(named(w, &subject, &w->ca, "cn.example"), TLS_NAME);
	identity_done(&wild);
	identity_done(&partial);
	identity_done(&address);
	identity_done(&subject);
}

/* RFC 8461 section 4.1: by its alternative names alone, where that is asked for. */
static void a_common_name_may_be_no_name(void **state)
{
	struct tls_world *w = *state;
	struct identity old;
	struct tls_client client = {.check = TLS_CHECK_CHAIN,
		NAMES(SPAN("cn.example")),
		.ca_pem = span_str(w->ca.chain_pem)};

	identity_make(&old, &(struct wish){.subject = "cn.example", .by = &w->ca});
	assert_int_equal(asked(w, &old, &client), TLS_FINE);
	client.alternative_only = true;
	assert_int_equal(asked(w, &old, &client), TLS_NAME);
	client.names = (const struct span[]){SPAN("mx.example")};
	assert_int_equal(asked(w, &w->leaf, &client), TLS_FINE);
	identity_done(&old);
}

static void a_pin_is_of_the_certificate_or_of_its_key(void **state)
{
	struct tls_world *w = *state;
	uint8_t pins[2][TLS_HASH_BYTES] = {{1}};
	struct identity old;
	struct tls_client client = {.check = TLS_CHECK_PINS, .pins = pins, .pin_count = 2};

	assert_int_equal(asked(w, &w->leaf, &client), TLS_PIN);
	/* Nothing is said behind it that says nothing. */
	assert_int_equal(w->client.info.detail.n, 0);
	certificate_hash(&w->leaf, pins[1]);
	assert_int_equal(asked(w, &w->leaf, &client), TLS_FINE);
	key_hash(&w->leaf, pins[1]);
	assert_int_equal(asked(w, &w->leaf, &client), TLS_FINE);
	/* Neither dates nor names matter; the authority that signed is no pin. */
	identity_make(
		&old, &(struct wish){.subject = "o", .by = &w->ca, .from_days = -9, .to_days = -1});
	key_hash(&old, pins[0]);
	assert_int_equal(asked(w, &old, &client), TLS_FINE);
	key_hash(&w->ca, pins[0]);
	certificate_hash(&w->ca, pins[1]);
	assert_int_equal(asked(w, &w->leaf, &client), TLS_PIN);
	client.pin_count = 0;
	assert_int_equal(asked(w, &w->leaf, &client), TLS_PIN);
	identity_done(&old);
}

static enum tls_failure dane(struct tls_world *w, const struct identity *shown, uint8_t usage,
	uint8_t selector, const struct identity *of, const char *name)
{
	uint8_t hash[TLS_HASH_BYTES] = {0};
	struct tls_tlsa records[2] = {
		/* One that nobody can use, and the one that counts. */
		{.usage = 1, .selector = 1, .type = 1, .data = span_of(hash, sizeof(hash))},
		{.usage = usage,
			.selector = selector,
			.type = 1,
			.data = span_of(hash, sizeof(hash))},
	};
	struct span names[] = {span_str(name)};
	struct tls_client client = {.check = TLS_CHECK_DANE,
		.names = names,
		.name_count = 1,
		.sni = span_str(name),
		.tlsa = records,
		.tlsa_count = 2};

	if (selector)
		key_hash(of, hash);
	else
		certificate_hash(of, hash);
	return asked(w, shown, &client);
}

/* RFC 7672 section 3.1. */
static void tlsa_records_decide_alone(void **state)
{
	struct tls_world *w = *state;
	struct identity old, chained;

	/* DANE-EE: neither names, dates nor authorities. */
	identity_make(&old, &(struct wish){.subject = "o",
				    .names = "DNS:other.example",
				    .from_days = -9,
				    .to_days = -1});
	assert_int_equal(dane(w, &old, 3, 1, &old, "mx.example"), TLS_FINE);
	assert_int_equal(dane(w, &old, 3, 0, &old, "mx.example"), TLS_FINE);
	assert_int_equal(dane(w, &old, 3, 1, &w->leaf, "mx.example"), TLS_NO_MATCH);
	assert_int_equal(dane(w, &w->leaf, 3, 1, &w->ca, "mx.example"), TLS_NO_MATCH);
	/* DANE-TA: the anchor must be shown, and the name must fit. */
	identity_make(
		&chained, &(struct wish){.subject = "c", .names = "DNS:mx.example", .by = &w->ca});
	char *both;
	assert_true(asprintf(&both, "%s%s", chained.chain_pem, w->ca.chain_pem) > 0);
	free(chained.chain_pem);
	chained.chain_pem = both;
	assert_int_equal(dane(w, &chained, 2, 0, &w->ca, "mx.example"), TLS_FINE);
	assert_int_equal(dane(w, &chained, 2, 1, &w->ca, "mx.example"), TLS_FINE);
	assert_int_equal(dane(w, &chained, 2, 0, &w->ca, "other.example"), TLS_NAME);
	assert_int_equal(dane(w, &chained, 2, 0, &w->other_ca, "mx.example"), TLS_NO_MATCH);
	/* 0 and 1 are as good as none, and none is no reason to trust. */
	assert_int_equal(dane(w, &w->leaf, 1, 1, &w->leaf, "mx.example"), TLS_NO_MATCH);
	assert_int_equal(dane(w, &w->leaf, 0, 0, &w->ca, "mx.example"), TLS_NO_MATCH);
	identity_done(&old);
	identity_done(&chained);
}

static void the_name_asked_for_chooses_the_certificate(void **state)
{
	struct tls_world *w = *state;
	struct identity one, wild, rsa;
	identity_make(&one, &(struct wish){.subject = "one", .names = "DNS:one.example"});
	identity_make(&wild, &(struct wish){.subject = "wild", .names = "DNS:*.two.example"});
	identity_make(&rsa,
		&(struct wish){.kind = KEY_RSA, .subject = "rsa", .names = "DNS:one.example"});
	struct tls_certificate all[] = {
		{.chain = span_str(w->leaf.chain_pem), .key = span_str(w->leaf.key_pem)},
		{.name = SPAN("one.example"),
			.chain = span_str(one.chain_pem),
			.key = span_str(one.key_pem)},
		{.name = SPAN("*.two.example"),
			.chain = span_str(wild.chain_pem),
			.key = span_str(wild.key_pem)},
		{.name = SPAN("one.example"),
			.chain = span_str(rsa.chain_pem),
			.key = span_str(rsa.key_pem)},
	};
	struct tls_server_config config = {.certificates = all, .certificate_count = 4};
	struct tls_server *server = server_for_all(&config);
	const struct {
		const char *sni;
		const struct identity *shown;
	} cases[] = {{"", &w->leaf}, {"one.example", &one}, {"ONE.example", &one},
		{"a.two.example", &wild}, {"two.example", &w->leaf}, {"b.a.two.example", &w->leaf},
		{"elsewhere.example", &w->leaf}, {"one.example.", &one}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t hash[TLS_HASH_BYTES];
		struct tls_client client = {.sni = span_str(cases[i].sni)};
		peers_secure(w, server, &client);
		assert_int_equal(w->client.secured, 0);
		certificate_hash(cases[i].shown, hash);
		assert_memory_equal(hash, w->client.info.peer_certificate_hash, TLS_HASH_BYTES);
	}
	int64_t ends_ms;
	assert_int_equal(tls_server_expiry(server, 3, &ends_ms), 0);
	assert_true(ends_ms > loop_io(w->loop)->wall_ms + 29ll * DAY * 1000);
	assert_true(ends_ms < loop_io(w->loop)->wall_ms + 31ll * DAY * 1000);
	assert_int_equal(tls_server_expiry(server, 4, &ends_ms), ERR_NOT_FOUND);
	tls_server_release(&server);
	identity_done(&one);
	identity_done(&wild);
	identity_done(&rsa);
}

/* ---- sessions ------------------------------------------------------------------------------- */

static bool resumes(struct tls_world *w, struct tls_server *server, const struct tls_client *client)
{
	peers_secure(w, server, client);
	assert_int_equal(w->client.secured, 0);
	assert_int_equal(w->client.info.resumed, w->server.info.resumed);
	assert_true(w->client.info.peer_certificate);
	bool resumed = w->client.info.resumed;
	/* A ticket comes with the first that is read. */
	assert_int_equal(peer_send(&w->server, "220 hi\r\n", 8, false), 0);
	run_until_received(w, &w->client, 8);
	return resumed;
}

static void sessions_are_resumed_under_the_same_text(void **state)
{
	struct tls_world *w = *state;
	struct tls_server *server = server_with(&w->leaf), *other = server_with(&w->leaf);
	struct tls_tickets tickets = {.count = 1, .keys = {{1, 2, 3}, {7, 8, 9}}};
	struct tls_client client = {.check = TLS_CHECK_CHAIN,
		NAMES(SPAN("mx.example")),
		.ca_pem = span_str(w->ca.chain_pem),
		.session_key = SPAN("a")};

	/* No keys, no tickets. */
	assert_false(resumes(w, server, &client));
	assert_false(resumes(w, server, &client));
	tls_server_set_tickets(server, &tickets);
	tls_server_set_tickets(other, &tickets);
	assert_false(resumes(w, server, &client));
	assert_true(resumes(w, server, &client));
	assert_true(w->client.info.peer_verified);
	assert_true(w->client.info.has_binding);
	assert_true(resumes(w, server, &client));
	/* Another worker, or the same after a reload. */
	assert_true(resumes(w, other, &client));
	client.session_key = SPAN("b");
	assert_false(resumes(w, server, &client));
	client.session_key = SPAN_NONE;
	assert_false(resumes(w, server, &client));
	assert_false(resumes(w, server, &client));

	/* Rotation: the key before still opens, and what it opened is renewed. */
	client.session_key = SPAN("a");
	struct tls_tickets next = {.count = 2};
	memcpy(next.keys[0], tickets.keys[1], TLS_TICKET_BYTES);
	memcpy(next.keys[1], tickets.keys[0], TLS_TICKET_BYTES);
	tls_server_set_tickets(server, &next);
	assert_true(resumes(w, server, &client));
	next.count = 1;
	tls_server_set_tickets(server, &next);
	assert_true(resumes(w, server, &client));
	/* A key that is gone opens nothing. */
	memset(next.keys[0], 0x55, TLS_TICKET_BYTES);
	tls_server_set_tickets(server, &next);
	assert_false(resumes(w, server, &client));
	assert_true(resumes(w, server, &client));
	tls_server_release(&server);
	tls_server_release(&other);
}

static void raw_says_hello(struct raw *raw)
{
	char c;
	(void)SSL_write(raw->ssl, "x", 1);
	(void)SSL_read(raw->ssl, &c, 1);
}

static void reply_once(struct peer *p, size_t n)
{
	(void)n;
	assert_int_equal(peer_send(p, "y", 1, false), 0);
}

/* One connection of a client of plain OpenSSL, which may bring a session; what it has at the end.
 */
static SSL_SESSION *raw_visits(
	struct tls_world *w, struct tls_server *server, struct raw *raw, SSL_SESSION *brings)
{
	raw_dial(raw, w);
	w->server.on_received = reply_once;
	if (brings)
		SSL_set_session(raw->ssl, brings);
	raw->play = raw_says_hello;
	assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
	raw_start(raw);
	raw_finish(raw, w);
	(void)run_for(w->loop, 1);
	SSL_SESSION *session = SSL_get1_session(raw->ssl);
	SSL_set_shutdown(raw->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	return session;
}

static void tls_1_2_is_served_and_resumed(void **state)
{
	struct tls_world *w = *state;
	struct tls_server *server = server_with(&w->leaf);
	struct tls_tickets tickets = {.count = 1, .keys = {{1}}};
	struct raw first, second;

	tls_server_set_tickets(server, &tickets);
	raw_init(&first, false, TLS1_2_VERSION);
	SSL_SESSION *session = raw_visits(w, server, &first, NULL);
	assert_int_equal(first.shook, 1);
	assert_int_equal(w->server.secured, 0);
	assert_true(span_equal(w->server.info.version, SPAN("TLSv1.2")));
	assert_memory_equal(w->server.info.cipher.p, "ECDHE-ECDSA-", 12);
	assert_true(w->server.info.has_binding);
	assert_false(w->server.info.resumed);
	raw_init(&second, false, TLS1_2_VERSION);
	SSL_SESSION_free(raw_visits(w, server, &second, session));
	assert_int_equal(w->server.secured, 0);
	assert_true(w->server.info.resumed);
	SSL_SESSION_free(session);
	raw_done(&first);
	raw_done(&second);
	tls_server_release(&server);
}

static void old_and_weak_protocols_are_refused(void **state)
{
	struct tls_world *w = *state;
	struct tls_server *server = server_with(&w->leaf);
	static const struct {
		int version;
		const char *ciphers;
	} bad[] = {{TLS1_1_VERSION, "ALL:@SECLEVEL=0"}, {TLS1_VERSION, "ALL:@SECLEVEL=0"},
		{TLS1_2_VERSION, "AES128-GCM-SHA256"}, {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA"},
		{TLS1_2_VERSION, "aNULL:@SECLEVEL=0"}};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct raw raw;
		raw_init(&raw, false, bad[i].version);
		SSL_CTX_set_min_proto_version(raw.context, bad[i].version);
		assert_true(SSL_CTX_set_cipher_list(raw.context, bad[i].ciphers));
		SSL_SESSION_free(raw_visits(w, server, &raw, NULL));
		assert_true(raw.shook <= 0);
		assert_int_equal(w->server.secured, ERR_DENIED);
		assert_int_equal(w->server.info.failure, TLS_HANDSHAKE);
		assert_true(w->server.info.detail.n > 0);
		raw_done(&raw);
	}
	tls_server_release(&server);
}

static void clients_may_show_certificates(void **state)
{
	struct tls_world *w = *state;
	struct tls_certificate certificate = {
		.chain = span_str(w->leaf.chain_pem), .key = span_str(w->leaf.key_pem)};
	struct tls_server_config config = {.certificates = &certificate,
		.certificate_count = 1,
		.client_ca = span_str(w->other_ca.chain_pem)};
	struct tls_server *server = server_for_all(&config);
	struct tls_tickets tickets = {.count = 1, .keys = {{1}}};
	struct identity right, wrong, old;
	identity_make(&right, &(struct wish){.subject = "relay.example", .by = &w->other_ca});
	identity_make(&wrong, &(struct wish){.subject = "relay.example", .by = &w->ca});
	identity_make(&old, &(struct wish){.subject = "relay.example",
				    .by = &w->other_ca,
				    .from_days = -9,
				    .to_days = -1});
	const struct {
		const struct identity *shows;
		bool verified;
	} cases[] = {{&right, true}, {&wrong, false}, {&old, false}, {NULL, false}};

	tls_server_set_tickets(server, &tickets);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			SSL_SESSION *session = NULL;
			for (int again = 0; again < 2; again++) {
				uint8_t hash[TLS_HASH_BYTES];
				struct raw raw;
				raw_init(&raw, false, version);
				if (cases[i].shows)
					raw_identify(&raw, cases[i].shows);
				SSL_SESSION *got = raw_visits(w, server, &raw, session);
				assert_int_equal(raw.shook, 1);
				assert_int_equal(w->server.secured, 0);
				assert_int_equal(w->server.info.resumed, again);
				assert_int_equal(
					w->server.info.peer_certificate, cases[i].shows != NULL);
				assert_int_equal(w->server.info.peer_verified, cases[i].verified);
				if (cases[i].shows) {
					key_hash(cases[i].shows, hash);
					assert_memory_equal(
						hash, w->server.info.peer_key_hash, TLS_HASH_BYTES);
				}
				SSL_SESSION_free(session);
				session = got;
				raw_done(&raw);
			}
			SSL_SESSION_free(session);
		}
	}
	tls_server_release(&server);
	identity_done(&right);
	identity_done(&wrong);
	identity_done(&old);
}

/* Also not for who has come again and again since, each time with the session of the last time. */
static void a_session_does_not_outlive_the_clients_certificate(void **state)
{
	struct tls_world *w = *state;
	struct tls_certificate certificate = {
		.chain = span_str(w->leaf.chain_pem), .key = span_str(w->leaf.key_pem)};
	struct tls_server_config config = {.certificates = &certificate,
		.certificate_count = 1,
		.client_ca = span_str(w->other_ca.chain_pem)};
	struct tls_server *server = server_for_all(&config);
	struct tls_tickets tickets = {.count = 1, .keys = {{1}}};
	SSL_SESSION *sessions[2];
	struct identity shown;

	identity_make(&shown,
		&(struct wish){.subject = "relay.example", .by = &w->other_ca, .lives_s = 3});
	tls_server_set_tickets(server, &tickets);
	for (int i = 0; i < 2; i++) {
		struct raw raw;
		raw_init(&raw, false, i ? TLS1_3_VERSION : TLS1_2_VERSION);
		raw_identify(&raw, &shown);
		sessions[i] = raw_visits(w, server, &raw, NULL);
		assert_true(w->server.info.peer_verified);
		raw_done(&raw);
	}
	while (X509_cmp_current_time(X509_get0_notAfter(shown.certificate)) > 0)
		usleep(100000);
	for (int i = 0; i < 2; i++) {
		struct raw raw;
		raw_init(&raw, false, i ? TLS1_3_VERSION : TLS1_2_VERSION);
		raw_identify(&raw, &shown);
		SSL_SESSION_free(raw_visits(w, server, &raw, sessions[i]));
		assert_true(w->server.info.resumed);
		assert_true(w->server.info.peer_certificate);
		assert_false(w->server.info.peer_verified);
		SSL_SESSION_free(sessions[i]);
		raw_done(&raw);
	}
	tls_server_release(&server);
	identity_done(&shown);
}

/* A session with a certificate that one listener trusts is nothing to another. */
static void sessions_do_not_pass_between_client_authorities(void **state)
{
	struct tls_world *w = *state;
	struct tls_certificate certificate = {
		.chain = span_str(w->leaf.chain_pem), .key = span_str(w->leaf.key_pem)};
	struct tls_server_config config = {.certificates = &certificate,
		.certificate_count = 1,
		.client_ca = span_str(w->other_ca.chain_pem)};
	struct tls_server *one = server_for_all(&config);
	config.client_ca = span_str(w->ca.chain_pem);
	struct tls_server *other = server_for_all(&config);
	struct tls_tickets tickets = {.count = 1, .keys = {{1}}};
	struct identity shown;
	identity_make(&shown, &(struct wish){.subject = "relay.example", .by = &w->other_ca});

	tls_server_set_tickets(one, &tickets);
	tls_server_set_tickets(other, &tickets);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct raw first, second;
		raw_init(&first, false, version);
		raw_identify(&first, &shown);
		SSL_SESSION *session = raw_visits(w, one, &first, NULL);
		assert_true(w->server.info.peer_verified);
		raw_init(&second, false, version);
		SSL_SESSION_free(raw_visits(w, other, &second, session));
		assert_false(w->server.info.resumed);
		assert_false(w->server.info.peer_verified);
		SSL_SESSION_free(session);
		raw_done(&first);
		raw_done(&second);
	}
	tls_server_release(&one);
	tls_server_release(&other);
	identity_done(&shown);
}

/* ---- peers of other kinds ------------------------------------------------------------------- */

static void opportunistic_tls_takes_any_certificate(void **state)
{
	struct tls_world *w = *state;
	struct identity weak;
	struct raw raw;

	identity_make(&weak, &(struct wish){.kind = KEY_RSA_WEAK,
				     .subject = "weak",
				     .digest = EVP_sha1(),
				     .from_days = -9,
				     .to_days = -1});
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		raw_init(&raw, true, version);
		raw_identify(&raw, &weak);
		raw_listen(&raw, w);
		struct tls_client any = {.sni = SPAN("mx.example")};
		assert_int_equal(io_conn_secure_client(w->client.conn, &any, 5000), 0);
		raw_finish(&raw, w);
		assert_int_equal(raw.shook, 1);
		assert_int_equal(w->client.secured, 0);
		assert_false(w->client.info.peer_verified);
		assert_int_equal(
			w->client.info.version.p[6], version == TLS1_2_VERSION ? '2' : '3');
		raw_done(&raw);
	}
	/* … but who wants to know whom it talks to does not. */
	raw_init(&raw, true, TLS1_3_VERSION);
	raw_identify(&raw, &weak);
	raw_listen(&raw, w);
	struct tls_client sure = {
		.check = TLS_CHECK_CHAIN, NAMES(SPAN("weak")), .ca_pem = span_str(weak.chain_pem)};
	assert_int_equal(io_conn_secure_client(w->client.conn, &sure, 5000), 0);
	raw_finish(&raw, w);
	assert_int_equal(w->client.secured, ERR_DENIED);
	raw_done(&raw);
	identity_done(&weak);
}

static int dial(struct tls_world *w)
{
	struct sockaddr_storage a;
	socklen_t n = netaddr_to_sockaddr(&w->address, &a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	peers_end(w);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, n), 0);
	while (!w->has_server)
		(void)run_for(w->loop, 1000);
	return fd;
}

static void what_is_no_hello_ends_the_handshake(void **state)
{
	struct tls_world *w = *state;
	struct tls_server *server = server_with(&w->leaf);
	static const char *const nonsense[] = {"EHLO a.example\r\nMAIL FROM:<a@b.example>\r\n",
		"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", "\x15\x03\x03\x00\x02\x02\x28",
		"\x17\x03\x03\x00\x02hi"};
	static const size_t lengths[] = {41, 10, 7, 7};

	for (size_t i = 0; i < 4; i++) {
		int fd = dial(w);
		assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
		assert_int_equal(write(fd, nonsense[i], lengths[i]), lengths[i]);
		assert_true(run_for(w->loop, 5000));
		assert_int_equal(w->server.secured, ERR_DENIED);
		assert_int_equal(w->server.info.failure, TLS_HANDSHAKE);
		assert_true(w->server.info.detail.n > 0);
		/* Nothing more comes but the owner's close, and what was sent as plaintext is
		 * nobody's. */
		assert_int_equal(write(fd, "QUIT\r\n", 6), 6);
		shutdown(fd, SHUT_WR);
		assert_false(run_for(w->loop, 30));
		assert_int_equal(w->server.received, 0);
		assert_int_equal(w->server.closed_calls, 0);
		assert_int_equal(w->server.secured_calls, 1);
		io_conn_close(&w->server.conn, true);
		(void)run_for(w->loop, 30);
		close(fd);
	}
	tls_server_release(&server);
}

static void a_handshake_that_is_cut_off_is_lost(void **state)
{
	struct tls_world *w = *state;
	struct tls_server *server = server_with(&w->leaf);
	int fd = dial(w);

	assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
	assert_int_equal(write(fd, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 11);
	close(fd);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server.secured, ERR_CLOSED);
	assert_int_equal(w->server.info.failure, TLS_LOST);
	assert_int_equal(w->server.closed_calls, 0);

	fd = dial(w);
	assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
	struct linger hard = {.l_onoff = 1};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server.secured, ERR_CLOSED);
	tls_server_release(&server);
}

static void a_silent_peer_runs_out_of_time(void **state)
{
	struct tls_world *w = *state;
	struct tls_server *server = server_with(&w->leaf);
	struct tls_client client = {.sni = SPAN("mx.example")};
	int fd = dial(w);

	assert_int_equal(io_conn_secure_server(w->server.conn, server, 50), 0);
	assert_null(io_conn_tls(w->server.conn));
	assert_int_equal(write(fd, "\x16\x03\x01", 3), 3);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server.secured, ERR_TIMEOUT);
	assert_int_equal(w->server.info.failure, TLS_TIMEOUT);
	close(fd);
	/* A server that never answers. */
	peers_connect(w);
	assert_int_equal(io_conn_secure_client(w->client.conn, &client, 50), 0);
	while (w->client.secured == PEER_NEVER)
		(void)run_for(w->loop, 1000);
	assert_int_equal(w->client.secured, ERR_TIMEOUT);
	tls_server_release(&server);
}

/* RFC 3207 section 4.2. */
static void bytes_before_the_handshake_are_refused(void **state)
{
	struct tls_world *w = *state;
	struct tls_client client = {.sni = SPAN("mx.example")};

	peers_connect(w);
	io_conn_pause(w->client.conn);
	assert_int_equal(peer_send(&w->server, "250 injected\r\n", 14, false), 0);
	for (int i = 0; i < 100 && !io_conn_arrived(w->client.conn); i++)
		(void)run_for(w->loop, 10);
	assert_int_equal(io_conn_secure_client(w->client.conn, &client, 5000), ERR_BUSY);
	assert_null(io_conn_tls(w->client.conn));
	/* A server may find the hello there already, when its reply is sent. */
	struct tls_server *server = server_with(&w->leaf);
	peers_connect(w);
	io_conn_pause(w->server.conn);
	assert_int_equal(io_conn_secure_client(w->client.conn, &client, 5000), 0);
	(void)run_for(w->loop, 20);
	assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
	/* It was paused: that is for what comes afterwards. */
	run_until_secured(w);
	assert_int_equal(w->server.secured, 0);
	tls_server_release(&server);
}

static void a_connection_is_protected_once_and_after_its_handshake(void **state)
{
	struct tls_world *w = *state;
	struct tls_server *server = server_with(&w->leaf);
	struct tls_client client = {.sni = SPAN("mx.example")};

	peers_connect(w);
	assert_null(io_conn_tls(w->client.conn));
	assert_int_equal(io_conn_secure_client(w->client.conn, &client, 5000), 0);
	assert_int_equal(io_conn_secure_client(w->client.conn, &client, 5000), ERR_BUSY);
	assert_int_equal(peer_send(&w->client, "x", 1, false), ERR_BUSY);
	assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
	run_until_secured(w);
	assert_int_equal(w->client.secured, 0);
	assert_ptr_equal(io_conn_tls(w->client.conn)->version.p, w->client.info.version.p);
	assert_int_equal(io_conn_secure_client(w->client.conn, &client, 5000), ERR_BUSY);
	tls_server_release(&server);
}

static void close_in_secured(struct peer *p)
{
	io_conn_close(&p->conn, p->secured_calls == 1 && p->arg != NULL);
	loop_stop(p->loop);
}

/* The owner may close wherever it is called, and in between. */
static void closing_at_any_moment_is_fine(void **state)
{
	struct tls_world *w = *state;
	struct tls_server *server = server_with(&w->leaf);
	struct tls_client client = {.sni = SPAN("mx.example")};

	for (int i = 0; i < 4; i++) {
		peers_connect(w);
		struct peer *closes = i & 1 ? &w->client : &w->server;
		struct peer *stays = i & 1 ? &w->server : &w->client;
		closes->on_secured = close_in_secured;
		closes->arg = i & 2 ? w : NULL;
		assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
		assert_int_equal(io_conn_secure_client(w->client.conn, &client, 5000), 0);
		for (int j = 0; j < 100 && stays->closed == PEER_NEVER &&
				(stays->secured == PEER_NEVER || stays->secured == 0);
			j++)
			(void)run_for(w->loop, 50);
		assert_null(closes->conn);
		if (stays->secured == 0)
			assert_int_equal(stays->closed, 0);
	}
	/* Before anything came. */
	for (int linger = 0; linger < 2; linger++) {
		peers_connect(w);
		assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
		assert_int_equal(io_conn_secure_client(w->client.conn, &client, 5000), 0);
		io_conn_close(&w->server.conn, linger);
		while (w->client.secured == PEER_NEVER)
			(void)run_for(w->loop, 50);
		assert_int_equal(w->client.secured, ERR_CLOSED);
	}
	tls_server_release(&server);
}

/* A server's owner may let it go while connections use it. */
static void connections_hold_their_server(void **state)
{
	struct tls_world *w = *state;
	struct tls_server *server = server_with(&w->leaf);
	struct tls_client client = {.sni = SPAN("mx.example")};

	peers_connect(w);
	assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
	tls_server_release(&server);
	assert_null(server);
	assert_int_equal(io_conn_secure_client(w->client.conn, &client, 5000), 0);
	run_until_secured(w);
	assert_int_equal(w->server.secured, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_sides_agree_and_talk, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_chain_must_end_at_a_trusted_anchor, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_certificate_must_be_valid_now, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_certificate_must_bear_one_of_the_names, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_common_name_may_be_no_name, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_pin_is_of_the_certificate_or_of_its_key, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(tlsa_records_decide_alone, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			the_name_asked_for_chooses_the_certificate, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			sessions_are_resumed_under_the_same_text, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			tls_1_2_is_served_and_resumed, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			old_and_weak_protocols_are_refused, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			clients_may_show_certificates, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(a_session_does_not_outlive_the_clients_certificate,
			tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			sessions_do_not_pass_between_client_authorities, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			opportunistic_tls_takes_any_certificate, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			what_is_no_hello_ends_the_handshake, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_handshake_that_is_cut_off_is_lost, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_silent_peer_runs_out_of_time, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			bytes_before_the_handshake_are_refused, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_connection_is_protected_once_and_after_its_handshake, tls_setup,
			tls_teardown),
		cmocka_unit_test_setup_teardown(
			closing_at_any_moment_is_fine, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			connections_hold_their_server, tls_setup, tls_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
