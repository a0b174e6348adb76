/* What goes over a protected connection: order, flow, ends, and what a peer may do in between. */
#include "tls_raw.h"

#include "io/disk.h"
#include "io/disk_posix.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define MB (1u << 20)

static void open_pair(struct tls_world *w)
{
	struct tls_server *server = server_with(&w->leaf);
	struct tls_client client = {.sni = SPAN("mx.example")};

	peers_secure(w, server, &client);
	assert_int_equal(w->client.secured, 0);
	assert_int_equal(w->server.secured, 0);
	tls_server_release(&server);
}

static void open_raw(
	struct tls_world *w, struct raw *raw, int version, void (*play)(struct raw *raw))
{
	struct tls_server *server = server_with(&w->leaf);

	raw_init(raw, false, version);
	raw_dial(raw, w);
	raw->play = play;
	assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
	raw_start(raw);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server.secured, 0);
	tls_server_release(&server);
}

static char *pattern(size_t n)
{
	char *p = malloc(n);
	uint32_t x = 1;

	assert_non_null(p);
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (char)(x >> 24);
	}
	return p;
}

static bool lacks(struct tls_world *w, void *arg)
{
	const struct peer *p = arg;
	(void)w;
	return p->received < *(const size_t *)p->arg && p->closed == PEER_NEVER;
}

static void want(struct tls_world *w, struct peer *p, size_t n)
{
	p->arg = &n;
	run_while(w, lacks, p);
	p->arg = NULL;
	assert_int_equal(p->received, n);
}

/* ---- much ----------------------------------------------------------------------------------- */

static void ten_megabytes_pass_both_ways_at_once(void **state)
{
	struct tls_world *w = *state;
	size_t n = 10 * MB + 12345;
	char *bytes = pattern(n);

	open_pair(w);
	assert_int_equal(peer_send(&w->client, bytes, n, false), 0);
	assert_int_equal(peer_send(&w->server, bytes, n, false), 0);
	assert_true(io_conn_unsent(w->client.conn) > 0);
	want(w, &w->server, n);
	want(w, &w->client, n);
	assert_memory_equal(w->server.all.p, bytes, n);
	assert_memory_equal(w->client.all.p, bytes, n);
	for (int i = 0; i < 100 && !(w->client.drained && w->server.drained); i++)
		(void)run_for(w->loop, 10);
	assert_int_equal(w->client.drained, 1);
	assert_int_equal(w->server.drained, 1);
	assert_int_equal(io_conn_unsent(w->client.conn), 0);
	free(bytes);
}

static void who_does_not_read_gets_no_more(void **state)
{
	struct tls_world *w = *state;
	char *bytes = pattern(MB / 4);
	size_t sent = 0;
	int err = 0;

	open_pair(w);
	io_conn_pause(w->client.conn);
	for (int i = 0; i < 200 && err == 0; i++) {
		err = peer_send(&w->server, bytes, MB / 4, false);
		sent += err ? 0 : MB / 4;
		(void)run_for(w->loop, 1);
	}
	assert_int_equal(err, ERR_LIMIT);
	assert_true(io_conn_unsent(w->server.conn) <= IO_CONN_UNSENT + 32768);
	assert_int_equal(w->server.drained, 0);
	/* Small ones find no room either, and then they do. */
	while (peer_send(&w->server, bytes, 1000, false) == 0)
		sent += 1000;
	io_conn_resume(w->client.conn);
	want(w, &w->client, sent);
	for (int i = 0; i < 100 && !w->server.drained; i++)
		(void)run_for(w->loop, 10);
	assert_int_equal(w->server.drained, 1);
	assert_int_equal(peer_send(&w->server, "x", 1, false), 0);
	want(w, &w->client, sent + 1);
	free(bytes);
}

/* ---- files ---------------------------------------------------------------------------------- */

struct folder {
	char path[64];
	struct disk *disk;
	struct io_file *file;
};

static void folder_make(struct folder *f, const char *bytes, size_t n)
{
	snprintf(f->path, sizeof(f->path), "/tmp/postern-tls-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	assert_int_equal(disk_posix_new(f->path, &f->disk), 0);
	assert_int_equal(
		disk_open(f->disk, "f", DISK_READ | DISK_WRITE | DISK_CREATE, &f->file), 0);
	struct iovec part = {(void *)(uintptr_t)bytes, n};
	assert_int_equal(disk_write_all(f->file, &part, 1, 0), 0);
}

static void folder_done(struct folder *f)
{
	disk_close(&f->file);
	disk_unlink(f->disk, "f");
	disk_posix_free(&f->disk);
	rmdir(f->path);
}

static int send_file(struct peer *p, struct io_file *file, uint64_t offset, uint64_t length)
{
	p->inside = true;
	int err = io_conn_send_file(p->conn, file, offset, length);
	p->inside = false;
	return err;
}

static void files_are_sent_in_order_with_what_surrounds_them(void **state)
{
	struct tls_world *w = *state;
	size_t n = 10 * MB;
	char *bytes = pattern(n);
	struct folder f;

	open_pair(w);
	folder_make(&f, bytes, n);
	io_conn_pause(w->client.conn);
	assert_int_equal(peer_send(&w->server, "head", 4, true), 0);
	assert_int_equal(send_file(&w->server, f.file, 5, n - 5), 0);
	assert_int_equal(peer_send(&w->server, "mid", 3, false), 0);
	assert_int_equal(send_file(&w->server, f.file, 0, 100), 0);
	assert_int_equal(peer_send(&w->server, "tail", 4, false), 0);
	/* Nearly all of it waits in the file, not in memory. */
	(void)run_for(w->loop, 50);
	assert_true(io_conn_unsent(w->server.conn) > n / 2);
	io_conn_resume(w->client.conn);
	size_t all = 4 + n - 5 + 3 + 100 + 4;
	want(w, &w->client, all);
	for (int i = 0; i < 100 && !w->server.drained; i++)
		(void)run_for(w->loop, 10);
	assert_int_equal(w->server.drained, 1);
	const char *p = w->client.all.p;
	assert_memory_equal(p, "head", 4);
	assert_memory_equal(p + 4, bytes + 5, n - 5);
	assert_memory_equal(p + 4 + n - 5, "mid", 3);
	assert_memory_equal(p + 4 + n - 5 + 3, bytes, 100);
	assert_memory_equal(p + 4 + n - 5 + 103, "tail", 4);
	folder_done(&f);
	free(bytes);
}

static void a_short_file_needs_no_second_turn(void **state)
{
	struct tls_world *w = *state;
	char *bytes = pattern(40000);
	struct folder f;

	open_pair(w);
	folder_make(&f, bytes, 40000);
	assert_int_equal(send_file(&w->server, f.file, 0, 40000), 0);
	assert_int_equal(io_conn_unsent(w->server.conn), 0);
	want(w, &w->client, 40000);
	assert_memory_equal(w->client.all.p, bytes, 40000);
	assert_int_equal(w->server.drained, 0);
	/* Nothing is sent of nothing. */
	assert_int_equal(send_file(&w->server, f.file, 0, 0), 0);
	folder_done(&f);
	free(bytes);
}

/* The bytes of a file that ends too early would be followed by those of another message. */
static void a_file_shorter_than_promised_ends_the_connection(void **state)
{
	struct tls_world *w = *state;
	struct folder f;

	open_pair(w);
	folder_make(&f, "short", 5);
	assert_int_equal(send_file(&w->server, f.file, 0, 6), ERR_CLOSED);
	while (w->server.closed == PEER_NEVER)
		(void)run_for(w->loop, 100);
	assert_int_equal(w->server.closed, ERR_CORRUPT);
	folder_done(&f);
}

static void closing_with_a_file_half_sent_forgets_it(void **state)
{
	struct tls_world *w = *state;
	char *bytes = pattern(10 * MB);
	struct folder f;

	open_pair(w);
	folder_make(&f, bytes, 10 * MB);
	io_conn_pause(w->client.conn);
	assert_int_equal(send_file(&w->server, f.file, 0, 10 * MB), 0);
	io_conn_close(&w->server.conn, true);
	folder_done(&f);
	io_conn_resume(w->client.conn);
	while (w->client.closed == PEER_NEVER)
		(void)run_for(w->loop, 100);
	assert_true(w->client.received < 10 * MB);
	free(bytes);
}

/* ---- little --------------------------------------------------------------------------------- */

static void read_all(struct raw *raw)
{
	char got[100];
	size_t n;

	while (SSL_read_ex(raw->ssl, got, sizeof(got), &n) == 1)
		;
	raw->shook = SSL_get_error(raw->ssl, 0);
}

static void small_sends_of_one_turn_are_one_record(void **state)
{
	struct tls_world *w = *state;
	struct raw raw;

	open_raw(w, &raw, TLS1_2_VERSION, read_all);
	for (int i = 0; i < 100; i++)
		assert_int_equal(peer_send(&w->server, "250 fine\r\n", 10, i < 99), 0);
	/* One that nothing follows does not wait for ever. */
	assert_int_equal(peer_send(&w->server, "250 late\r\n", 10, true), 0);
	(void)run_for(w->loop, 20);
	assert_int_equal(peer_send(&w->server, "x", 1, false), 0);
	assert_int_equal(io_conn_unsent(w->server.conn), 0);
	io_conn_close(&w->server.conn, true);
	raw_finish(&raw, w);
	assert_int_equal(raw.records, 3);
	/* And then we said that there is no more. */
	assert_int_equal(raw.shook, SSL_ERROR_ZERO_RETURN);
	raw_done(&raw);
}

static void what_more_promised_is_sent_at_a_close(void **state)
{
	struct tls_world *w = *state;

	for (int linger = 0; linger < 2; linger++) {
		open_pair(w);
		assert_int_equal(peer_send(&w->server, "221 bye\r\n", 9, true), 0);
		io_conn_close(&w->server.conn, linger);
		want(w, &w->client, 9);
		while (w->client.closed == PEER_NEVER)
			(void)run_for(w->loop, 100);
		assert_int_equal(w->client.closed, 0);
		assert_int_equal(w->client.closed_calls, 1);
	}
}

/* Several connections that gather at the same time do not mix. */
static void gathering_for_one_does_not_touch_another(void **state)
{
	struct tls_world *w = *state;
	char *bytes = pattern(20000);

	open_pair(w);
	for (size_t i = 0; i < 20000; i += 10) {
		assert_int_equal(peer_send(&w->server, bytes + i, 10, true), 0);
		assert_int_equal(peer_send(&w->client, bytes + i, 10, i % 7 != 0), 0);
	}
	want(w, &w->client, 20000);
	want(w, &w->server, 20000);
	assert_memory_equal(w->client.all.p, bytes, 20000);
	assert_memory_equal(w->server.all.p, bytes, 20000);
	free(bytes);
}

static void write_small_records(struct raw *raw)
{
	char line[16];
	BIO *gather = BIO_new(BIO_f_buffer());

	/* All in one packet. */
	BIO_set_write_buffer_size(gather, 65536);
	BIO *socket = SSL_get_wbio(raw->ssl);
	BIO_up_ref(socket);
	BIO_push(gather, socket);
	SSL_set0_wbio(raw->ssl, gather);
	for (int i = 0; i < 500; i++) {
		int n = snprintf(line, sizeof(line), "NOOP %d\r\n", i);
		(void)SSL_write(raw->ssl, line, n);
	}
	(void)BIO_flush(gather);
}

static void pause_often(struct peer *p, size_t n)
{
	(void)n;
	io_conn_pause(p->conn);
	if (p->reads % 3)
		io_conn_resume(p->conn);
	else
		loop_stop(p->loop);
}

static void many_small_records_come_whole_and_in_order(void **state)
{
	struct tls_world *w = *state;
	char expected[8000];
	size_t n = 0;

	for (int i = 0; i < 500; i++)
		n += (size_t)snprintf(expected + n, sizeof(expected) - n, "NOOP %d\r\n", i);
	for (int mode = 0; mode < 3; mode++) {
		struct raw raw;
		open_raw(w, &raw, TLS1_3_VERSION, write_small_records);
		if (mode) {
			w->server.room = 7;
			w->server.on_received = pause_often;
		}
		if (mode == 2)
			io_conn_pause(w->server.conn);
		raw_finish(&raw, w);
		for (int i = 0; i < 5000 && w->server.received < n; i++) {
			if (w->server.conn && mode)
				io_conn_resume(w->server.conn);
			assert_int_equal(w->server.received, w->server.all.n);
			(void)run_for(w->loop, mode ? 20 : 100);
		}
		assert_int_equal(w->server.received, n);
		assert_memory_equal(w->server.all.p, expected, n);
		/* Records are put together where there is room for them. */
		if (mode == 0)
			assert_true(w->server.reads < 10);
		assert_int_equal(w->server.closed, PEER_NEVER);
		raw_done(&raw);
	}
}

static void a_pause_holds_plaintext_back_and_arrived_knows(void **state)
{
	struct tls_world *w = *state;

	open_pair(w);
	w->server.room = 3;
	w->server.on_received = pause_often;
	w->server.reads = 2;
	assert_int_equal(peer_send(&w->client, "abcdef", 6, false), 0);
	assert_false(io_conn_arrived(w->client.conn));
	(void)run_for(w->loop, 1000);
	assert_int_equal(w->server.received, 3);
	assert_true(io_conn_arrived(w->server.conn));
	assert_false(run_for(w->loop, 30));
	assert_int_equal(w->server.received, 3);
	w->server.on_received = NULL;
	w->server.inside = true;
	io_conn_resume(w->server.conn);
	w->server.inside = false;
	want(w, &w->server, 6);
	(void)run_for(w->loop, 10);
	assert_false(io_conn_arrived(w->server.conn));
	/* What the socket has counts as well. */
	io_conn_pause(w->server.conn);
	assert_int_equal(peer_send(&w->client, "g", 1, false), 0);
	for (int i = 0; i < 100 && !io_conn_arrived(w->server.conn); i++)
		(void)run_for(w->loop, 10);
	assert_true(io_conn_arrived(w->server.conn));
}

static void close_when_received(struct peer *p, size_t n)
{
	(void)n;
	io_conn_close(&p->conn, p->reads == 1 && p->arg != NULL);
	loop_stop(p->loop);
}

static void closing_between_records_loses_the_rest(void **state)
{
	struct tls_world *w = *state;

	for (int linger = 0; linger < 2; linger++) {
		open_pair(w);
		w->server.room = 3;
		w->server.on_received = close_when_received;
		w->server.arg = linger ? w : NULL;
		assert_int_equal(peer_send(&w->client, "abcdef", 6, false), 0);
		assert_true(run_for(w->loop, 5000));
		assert_int_equal(w->server.received, 3);
		while (w->client.closed == PEER_NEVER)
			(void)run_for(w->loop, 100);
		w->server.arg = NULL;
	}
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void say_bye(struct raw *raw)
{
	(void)SSL_write(raw->ssl, "QUIT\r\n", 6);
	(void)SSL_shutdown(raw->ssl);
	char got[8] = "";
	if (raw_read(raw, got, 3))
		raw->shook = got[0];
}

static void a_peer_that_said_it_sends_no_more_still_reads(void **state)
{
	struct tls_world *w = *state;
	struct raw raw;

	open_raw(w, &raw, TLS1_3_VERSION, say_bye);
	while (w->server.closed == PEER_NEVER)
		(void)run_for(w->loop, 100);
	assert_int_equal(w->server.closed, 0);
	assert_int_equal(w->server.received, 6);
	assert_int_equal(peer_send(&w->server, "221", 3, false), 0);
	raw_finish(&raw, w);
	assert_int_equal(raw.shook, '2');
	raw_done(&raw);
	raw.fd = raw.listening = -1;
	/* The end of the connection is no news any more. */
	(void)run_for(w->loop, 30);
	assert_int_equal(w->server.closed_calls, 1);
	io_conn_close(&w->server.conn, true);
	(void)run_for(w->loop, 30);
	assert_int_equal(loop_lingering(w->loop), 0);
}

static void cut(struct raw *raw)
{
	(void)SSL_write(raw->ssl, "half a li", 9);
	shutdown(raw->fd, SHUT_WR);
}

static void a_peer_that_is_cut_off_has_ended(void **state)
{
	struct tls_world *w = *state;
	struct raw raw;

	open_raw(w, &raw, TLS1_3_VERSION, cut);
	while (w->server.closed == PEER_NEVER)
		(void)run_for(w->loop, 100);
	assert_int_equal(w->server.closed, 0);
	assert_int_equal(w->server.received, 9);
	raw_finish(&raw, w);
	raw_done(&raw);
}

static void write_nonsense(struct raw *raw)
{
	(void)SSL_write(raw->ssl, "fine", 4);
	assert_int_equal(
		write(raw->fd, "\x17\x03\x03\x00\x20MAIL FROM:<injected@b.example>...", 37), 37);
	read_all(raw);
}

static void what_the_peer_did_not_protect_ends_the_connection(void **state)
{
	struct tls_world *w = *state;

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct raw raw;
		open_raw(w, &raw, version, write_nonsense);
		while (w->server.closed == PEER_NEVER)
			(void)run_for(w->loop, 100);
		assert_int_equal(w->server.closed, ERR_SYNTAX);
		assert_int_equal(w->server.received, 4);
		assert_int_equal(w->server.closed_calls, 1);
		assert_int_equal(peer_send(&w->server, "x", 1, false), ERR_CLOSED);
		raw_finish(&raw, w);
		/* It was told why. */
		assert_int_equal(raw.shook, SSL_ERROR_SSL);
		io_conn_close(&w->server.conn, true);
		raw_done(&raw);
	}
}

static void a_reset_is_told_as_a_failure(void **state)
{
	struct tls_world *w = *state;
	struct raw raw;
	struct linger hard = {.l_onoff = 1};

	open_raw(w, &raw, TLS1_3_VERSION, NULL);
	raw_finish(&raw, w);
	setsockopt(raw.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	raw_done(&raw);
	while (w->server.closed == PEER_NEVER)
		(void)run_for(w->loop, 100);
	assert_int_equal(w->server.closed, ERR_CLOSED);
	assert_int_equal(peer_send(&w->server, "x", 1, false), ERR_CLOSED);
}

/* ---- in between ----------------------------------------------------------------------------- */

static void change_keys(struct raw *raw)
{
	char got[4];

	for (int i = 0; i < 20; i++) {
		raw->shook = SSL_key_update(raw->ssl, i % 2 ? SSL_KEY_UPDATE_REQUESTED
							    : SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
			     SSL_write(raw->ssl, "ping", 4) == 4 && raw_read(raw, got, 4) &&
			     memcmp(got, "pong", 4) == 0;
		if (!raw->shook)
			return;
	}
}

static void pong(struct peer *p, size_t n)
{
	assert_int_equal(n, 4);
	assert_int_equal(peer_send(p, "pong", 4, false), 0);
}

static void keys_may_change_at_any_time(void **state)
{
	struct tls_world *w = *state;
	struct raw raw;

	open_raw(w, &raw, TLS1_3_VERSION, change_keys);
	w->server.on_received = pong;
	raw_finish(&raw, w);
	assert_int_equal(raw.shook, 1);
	assert_int_equal(w->server.received, 80);
	raw_done(&raw);
}

static void change_keys_for_ever(struct raw *raw)
{
	for (int i = 0; i < 200000; i++)
		if (SSL_key_update(raw->ssl, SSL_KEY_UPDATE_REQUESTED) != 1 ||
			SSL_do_handshake(raw->ssl) != 1)
			return;
	raw->shook = 2;
}

/* It would fill our memory with answers that it does not read. */
static void a_peer_that_asks_for_keys_and_never_reads_is_cut_off(void **state)
{
	struct tls_world *w = *state;
	struct raw raw;
	char *bytes = pattern(8 * MB);

	signal(SIGPIPE, SIG_IGN);
	open_raw(w, &raw, TLS1_3_VERSION, change_keys_for_ever);
	/* The way is full already. */
	assert_int_equal(peer_send(&w->server, bytes, 8 * MB, false), 0);
	size_t waits = io_conn_unsent(w->server.conn);
	assert_true(waits > 0);
	for (int i = 0; i < 3000 && w->server.closed == PEER_NEVER; i++) {
		(void)run_for(w->loop, 10);
		assert_true(io_conn_unsent(w->server.conn) < waits + 100000);
	}
	assert_true(w->server.closed < 0);
	io_conn_close(&w->server.conn, false);
	raw_finish(&raw, w);
	assert_int_not_equal(raw.shook, 2);
	raw_done(&raw);
	free(bytes);
}

static void renegotiate(struct raw *raw)
{
	char got[4];

	raw->shook = SSL_renegotiate(raw->ssl) == 1 && SSL_do_handshake(raw->ssl) == 1 &&
				     SSL_write(raw->ssl, "ping", 4) == 4 && raw_read(raw, got, 4)
			     ? 2
			     : 0;
	/* It may ask for it, and is told no. */
	raw->records = SSL_num_renegotiations(raw->ssl) > 1;
}

static void nobody_renegotiates(void **state)
{
	struct tls_world *w = *state;
	struct raw raw;

	open_raw(w, &raw, TLS1_2_VERSION, renegotiate);
	w->server.on_received = pong;
	raw_finish(&raw, w);
	assert_int_not_equal(raw.shook, 2);
	raw_done(&raw);
}

static int make_long(SSL *ssl, void *arg)
{
	char much[1000] = "";
	(void)arg;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), much, sizeof(much));
}

/* A ticket comes in the midst of data, in pieces; the client sends meanwhile. */
static void sends_wait_for_a_message_that_is_half_there(void **state)
{
	struct tls_world *w = *state;
	struct identity *leaf = &w->leaf;
	struct tls_client client = {.sni = SPAN("mx.example")};
	struct raw raw;

	/* The two ends are joined by hand, so that single bytes can be held back. */
	raw_init(&raw, true, TLS1_3_VERSION);
	raw_identify(&raw, leaf);
	SSL_CTX_set_num_tickets(raw.context, 0);
	SSL_CTX_set_session_ticket_cb(raw.context, make_long, NULL, NULL);
	SSL *ssl = SSL_new(raw.context);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL_set_bio(ssl, in, out);
	SSL_set_accept_state(ssl);
	peers_connect(w);
	assert_int_equal(io_conn_secure_client(w->client.conn, &client, 5000), 0);
	char bytes[16384];
	for (int i = 0; i < 1000 && (w->client.secured == PEER_NEVER || !SSL_is_init_finished(ssl));
		i++) {
		if (w->server.all.n) {
			BIO_write(in, w->server.all.p, (int)w->server.all.n);
			buf_clear(&w->server.all);
		}
		(void)SSL_do_handshake(ssl);
		int n = BIO_read(out, bytes, sizeof(bytes));
		if (n > 0)
			assert_int_equal(peer_send(&w->server, bytes, (size_t)n, false), 0);
		(void)run_for(w->loop, 5);
	}
	assert_int_equal(w->client.secured, 0);
	/* A ticket in two records, of which the second is late. */
	SSL_set_max_send_fragment(ssl, 512);
	assert_true(SSL_new_session_ticket(ssl));
	assert_int_equal(SSL_do_handshake(ssl), 1);
	int n = BIO_read(out, bytes, sizeof(bytes));
	int first = ((uint8_t)bytes[3] << 8 | (uint8_t)bytes[4]) + 5;
	if (n > first) {
		assert_int_equal(peer_send(&w->server, bytes, (size_t)first, false), 0);
		(void)run_for(w->loop, 30);
		buf_clear(&w->server.all);
		w->client.drained = 0;
		assert_int_equal(peer_send(&w->client, "one", 3, false), 0);
		assert_int_equal(peer_send(&w->client, "two", 3, false), 0);
		assert_int_equal(io_conn_unsent(w->client.conn), 6);
		assert_int_equal(
			peer_send(&w->server, bytes + first, (size_t)(n - first), false), 0);
		while (!w->client.drained)
			(void)run_for(w->loop, 10);
		assert_int_equal(io_conn_unsent(w->client.conn), 0);
		for (int i = 0; i < 100 && !w->server.all.n; i++)
			(void)run_for(w->loop, 10);
		BIO_write(in, w->server.all.p, (int)w->server.all.n);
		char got[7] = "";
		assert_int_equal(SSL_read(ssl, got, 6), 6);
		assert_string_equal(got, "onetwo");
	} else {
		fail_msg("the ticket is in one record: %d bytes", n);
	}
	SSL_free(ssl);
	raw_done(&raw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			ten_megabytes_pass_both_ways_at_once, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			who_does_not_read_gets_no_more, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			files_are_sent_in_order_with_what_surrounds_them, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_short_file_needs_no_second_turn, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_file_shorter_than_promised_ends_the_connection, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			closing_with_a_file_half_sent_forgets_it, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			small_sends_of_one_turn_are_one_record, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			what_more_promised_is_sent_at_a_close, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			gathering_for_one_does_not_touch_another, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			many_small_records_come_whole_and_in_order, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_pause_holds_plaintext_back_and_arrived_knows, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			closing_between_records_loses_the_rest, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_peer_that_said_it_sends_no_more_still_reads, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_peer_that_is_cut_off_has_ended, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			what_the_peer_did_not_protect_ends_the_connection, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_reset_is_told_as_a_failure, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			keys_may_change_at_any_time, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_peer_that_asks_for_keys_and_never_reads_is_cut_off, tls_setup,
			tls_teardown),
		cmocka_unit_test_setup_teardown(nobody_renegotiates, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			sends_wait_for_a_message_that_is_half_there, tls_setup, tls_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
