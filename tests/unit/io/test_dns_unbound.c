/*
 * Real questions to a real authoritative server: knotd on a loopback port with a zone of its own.
 * It proves dns_unbound and, with route/lookup on top elsewhere, that private zones on private
 * ports work.
 */
#include "base/err.h"
#include "io/dns_unbound.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char zone_example[] =
	"$TTL 60\n@ SOA ns.example. h.example. 1 3600 600 86400 30\n@ NS ns\nns A 127.0.0.1\n"
	"a MX 10 MX1\na MX 20 mx2\nmx1 A 127.0.0.2\nmx1 A 127.0.0.3\nmx2 AAAA 2001:db8::2\n"
	"null MX 0 .\nalias CNAME a\nodd MX 10 a\\032b\nodd MX 20 a\\.b\nbig 86400 A 192.0.2.1\n"
	"dangling CNAME mx.elsewhere.\ntxt TXT \"hello\"\n";
static const char zone_test[] =
	"$TTL 60\n@ SOA ns.example. h.example. 1 3600 600 86400 30\n@ NS ns.example.\n"
	"b.gw MX 10 mx.gw\nmx.gw A 127.0.0.4\n";

static char folder[] = "/tmp/postern-dns-XXXXXX";
static pid_t knotd;
static char servers[40]; /* the one that runs */
static char silent[40];	 /* a port that takes questions and never answers */
static char closed[40];	 /* a port where nobody listens */
static int silent_socket = -1, closed_socket = -1;
static struct loop *loop;
static struct dns *dns;

static int udp_socket(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &length), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static void write_file(const char *name, const char *text)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* Somebody else may have taken the port before knotd does; then it ends, and another is tried. */
static void spawn_knotd(void)
{
	char config[1000];
	uint16_t port;

	close(udp_socket(&port));
	snprintf(servers, sizeof(servers), "127.0.0.1:%u", port);
	snprintf(config, sizeof(config),
		"server:\n    listen: 127.0.0.1@%u\n    rundir: %s\n    udp-workers: 1\n    "
		"tcp-workers: 1\n"
		"    background-workers: 1\ndatabase:\n    storage: %s\nlog:\n  - target: %s/log\n"
		"    any: info\nzone:\n  - domain: example\n    file: %s/example.zone\n  - domain: "
		"test\n"
		"    file: %s/test.zone\n",
		port, folder, folder, folder, folder, folder);
	write_file("knot.conf", config);
	knotd = fork();
	assert_true(knotd >= 0);
	if (knotd == 0) {
		char path[100];

		setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
		snprintf(path, sizeof(path), "%s/knot.conf", folder);
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(126);
		execlp("knotd", "knotd", "-c", path, (char *)NULL);
		_exit(127);
	}
}

static int start_knotd(void **state)
{
	struct sockaddr_in nobody = {.sin_family = AF_INET,
		.sin_port = htons(1),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint16_t port;
	(void)state;

	assert_non_null(mkdtemp(folder));
	silent_socket = udp_socket(&port);
	snprintf(silent, sizeof(silent), "127.0.0.1:%u", port);
	/* What hears one peer alone is a closed port for all others, and stays ours. */
	closed_socket = udp_socket(&port);
	assert_int_equal(connect(closed_socket, (struct sockaddr *)&nobody, sizeof(nobody)), 0);
	snprintf(closed, sizeof(closed), "127.0.0.1:%u", port);
	write_file("example.zone", zone_example);
	write_file("test.zone", zone_test);
	spawn_knotd();
	return 0;
}

static int stop_knotd(void **state)
{
	char command[100];
	(void)state;

	kill(knotd, SIGTERM);
	waitpid(knotd, NULL, 0);
	close(silent_socket);
	close(closed_socket);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static int open_with(const char *system_servers, uint64_t timeout_ms)
{
	struct dns_unbound_options options = {
		.servers = span_str(system_servers), .timeout_ms = timeout_ms};

	assert_int_equal(loop_new(&loop), 0);
	return dns_unbound_new(loop, &options, &dns);
}

static int open_dns(void **state)
{
	(void)state;
	return open_with(servers, 5000);
}

static int close_dns(void **state)
{
	(void)state;
	dns_unbound_free(&dns);
	assert_null(dns);
	loop_free(&loop);
	return 0;
}

/* An answer as one line. */
struct heard {
	char text[400], reason[100];
	uint32_t ttl;
	struct dns_question *question;
	struct heard *cancels; /* cancelled by this answer */
	struct heard *then;    /* asked by this answer */
	bool stops;	       /* the loop */
	bool inside;	       /* dns_ask() is running */
};

static void ask(struct heard *h, const char *at, const char *name, enum dns_type type);

static void hear(void *owner, const struct dns_answer *a)
{
	static const char *const status[] = {"", "NODATA", "NXDOMAIN", "TEMPORARY", "BOGUS"};
	struct heard *h = owner;
	struct buf buf;

	assert_false(h->inside);
	assert_string_equal(h->text, "");
	buf_init(&buf, sizeof(h->text) - 1);
	buf_add_str(&buf, status[a->status]);
	for (uint32_t i = 0; i < a->count; i++) {
		if (i)
			buf_add_char(&buf, ' ');
		if (a->mx) {
			buf_printf(&buf, "%u:", a->mx[i].preference);
			buf_add_span(&buf, a->mx[i].name);
		} else if (a->addresses) {
			netaddr_add_ip(&buf, &a->addresses[i]);
		} else {
			buf_add_escaped(&buf, a->rdata[i], 100);
		}
	}
	if (a->canonical.n) {
		buf_add_str(&buf, " at ");
		buf_add_span(&buf, a->canonical);
	}
	if (a->dropped)
		buf_printf(&buf, " dropped %u", a->dropped);
	if (a->status == DNS_TEMPORARY)
		assert_true(a->reason.n > 0);
	snprintf(h->reason, sizeof(h->reason), "%.*s", (int)a->reason.n, a->reason.p);
	memcpy(h->text, buf.p, buf.n);
	buf_done(&buf);
	h->ttl = a->ttl_s;
	h->question = NULL;
	if (h->cancels)
		dns_cancel(&h->cancels->question);
	if (h->stops)
		loop_stop(loop);
	if (h->then)
		ask(h->then, "", "mx1.example", DNS_A);
}

static void ask(struct heard *h, const char *at, const char *name, enum dns_type type)
{
	h->inside = true;
	assert_int_equal(
		dns_ask(dns, span_str(at), span_str(name), type, hear, h, &h->question), 0);
	h->inside = false;
	assert_non_null(h->question);
}

static const char *answer_at(const char *at, const char *name, enum dns_type type)
{
	static struct heard h;

	memset(&h, 0, sizeof(h));
	ask(&h, at, name, type);
	loop_run(loop); /* ends when nobody waits any more */
	assert_null(h.question);
	return h.text;
}

static const char *answer(const char *name, enum dns_type type)
{
	return answer_at("", name, type);
}

/* knotd needs a moment to load its zones; in it the port is closed or the answer REFUSED. */
static void test_comes_up(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		int status;
		if (waitpid(knotd, &status, WNOHANG) == knotd) {
			if (WEXITSTATUS(status) == 127)
				fail_msg("knotd is not installed (package knot)");
			spawn_knotd();
		}
		open_with(servers, 500);
		bool up = !strcmp(answer("txt.example", DNS_TXT), "\\x05hello");
		close_dns(NULL);
		if (up)
			return;
		usleep(100000);
	}
	fail_msg("knotd does not answer");
}

static void test_answers(void **state)
{
	(void)state;
	const char *mx = answer("a.example", DNS_MX);
	/* The order within an answer is not promised. */
	if (strcmp(mx, "20:mx2.example 10:mx1.example") != 0)
		assert_string_equal(mx, "10:mx1.example 20:mx2.example");
	assert_string_equal(answer("null.example", DNS_MX), "0:");
	assert_string_equal(answer("mx2.example", DNS_AAAA), "2001:db8::2");
	assert_string_equal(answer("mx2.example", DNS_A), "NODATA");
	assert_string_equal(answer("none.example", DNS_MX), "NXDOMAIN");
	assert_string_equal(answer("odd.example", DNS_MX), "NODATA dropped 2");
	mx = answer("ALIAS.example.", DNS_MX);
	if (strcmp(mx, "20:mx2.example 10:mx1.example at a.example") != 0)
		assert_string_equal(mx, "10:mx1.example 20:mx2.example at a.example");
	const char *a = answer("mx1.example", DNS_A);
	if (strcmp(a, "127.0.0.3 127.0.0.2") != 0)
		assert_string_equal(a, "127.0.0.2 127.0.0.3");
	/* REFUSED for a zone that the server does not have, directly and behind an alias. */
	assert_string_equal(answer("x.elsewhere", DNS_A), "TEMPORARY");
	assert_string_equal(answer("dangling.example", DNS_A), "TEMPORARY");
}

static const char *reason_at(const char *at, const char *name)
{
	static struct heard h;

	h = (struct heard){0};
	ask(&h, at, name, DNS_MX);
	loop_run(loop);
	assert_string_equal(h.text, "TEMPORARY");
	return h.reason;
}

/* libunbound says SERVFAIL to all of it; whoever has to mend it needs the servers' own word. */
static void test_what_the_servers_themselves_say(void **state)
{
	static const char refused[] = "the DNS servers refuse to answer (REFUSED)";
	(void)state;

	assert_string_equal(reason_at("", "x.elsewhere"), refused);
	assert_string_equal(reason_at(servers, "y.elsewhere"), refused);
	/* It answers, but what it names cannot be found out. */
	assert_string_equal(
		reason_at("", "dangling.example"), "the DNS servers give no usable answer");
}

static void test_questions_end_while_the_servers_are_asked_themselves(void **state)
{
	struct heard h[40] = {0};
	char name[40];
	(void)state;

	/* More than are looked into at a time: all are answered. */
	for (size_t i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%zu.elsewhere", i);
		ask(&h[i], "", name, DNS_A);
	}
	h[0].cancels = &h[39];
	loop_run(loop);
	for (size_t i = 0; i < 40; i++)
		assert_true(!strcmp(h[i].text, "TEMPORARY") || (i == 39 && !h[i].question));
	/* And the end of everything comes in the middle of it. */
	h[0] = (struct heard){.stops = true};
	h[1] = h[2] = (struct heard){0};
	ask(&h[0], "", "a.elsewhere", DNS_A);
	ask(&h[1], "", "b.elsewhere", DNS_A);
	ask(&h[2], servers, "c.elsewhere", DNS_A);
	loop_run(loop);
}

/* Top-level domains that libunbound answers by itself unless told. */
static void test_test_domain_is_asked(void **state)
{
	(void)state;
	assert_string_equal(answer("b.gw.test", DNS_MX), "10:mx.gw.test");
	assert_string_equal(answer("mx.gw.test", DNS_A), "127.0.0.4");
	assert_string_equal(answer("localhost", DNS_A), "127.0.0.1");
}

static void test_ttl_is_bounded(void **state)
{
	struct heard h = {0};
	(void)state;
	ask(&h, "", "big.example", DNS_A);
	loop_run(loop);
	assert_string_equal(h.text, "192.0.2.1");
	assert_in_range(h.ttl, DNS_TTL_MOST - 2, DNS_TTL_MOST);
	h = (struct heard){0};
	ask(&h, "", "none.example", DNS_A);
	loop_run(loop);
	assert_in_range(h.ttl, 28, 30);
}

static void test_lists_of_servers(void **state)
{
	(void)state;
	char both[100];
	close_dns(NULL);
	/* Time enough for the resolver to try the closed one a few times before the other. */
	open_with(silent, 20000);
	/* The system's servers are silent; the list's answer. */
	assert_string_equal(answer_at(servers, "mx2.example", DNS_AAAA), "2001:db8::2");
	/* One of several is enough. */
	snprintf(both, sizeof(both), "%s, %s", closed, servers);
	assert_string_equal(answer_at(both, "mx2.example", DNS_AAAA), "2001:db8::2");
	close_dns(NULL);
	open_with(silent, 1000);
	assert_string_equal(answer("mx2.example", DNS_AAAA), "TEMPORARY");
	assert_string_equal(answer_at(closed, "mx2.example", DNS_AAAA), "TEMPORARY");
}

static void test_servers_by_name(void **state)
{
	char list[60];
	(void)state;
	/* ns.example is 127.0.0.1, says the system's server. */
	snprintf(list, sizeof(list), "ns.example%s", strchr(servers, ':'));
	assert_string_equal(answer_at(list, "mx2.example", DNS_AAAA), "2001:db8::2");
	assert_string_equal(answer_at(list, "mx2.example", DNS_A), "NODATA");
	snprintf(list, sizeof(list), "localhost%s", strchr(servers, ':'));
	assert_string_equal(answer_at(list, "null.example", DNS_MX), "0:");
	assert_string_equal(answer_at("none.example:53", "mx2.example", DNS_A), "TEMPORARY");
}

static void test_many_lists(void **state)
{
	char list[DNS_CONTEXTS + 60];
	(void)state;
	/* More than are kept: the least used ones make room. */
	for (int i = 0; i < DNS_CONTEXTS + 10; i++) {
		snprintf(list, sizeof(list), "%*s%s", i, "", servers); /* another text each */
		assert_string_equal(answer_at(list, "null.example", DNS_MX), "0:");
	}
}

static void test_bad_questions(void **state)
{
	static const char *const names[] = {"", ".", "a b", "a..b", "a\xff"};
	static const char *const lists[] = {"a b", ",", "127.0.0.1:x"};
	struct heard h = {0};
	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(
			dns_ask(dns, SPAN_NONE, span_str(names[i]), DNS_A, hear, &h, &h.question),
			ERR_SYNTAX);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(dns_ask(dns, span_str(lists[i]), SPAN("a.example"), DNS_A, hear,
					 &h, &h.question),
			ERR_SYNTAX);
	assert_null(h.question);
	loop_run(loop);
	assert_string_equal(h.text, "");
	close_dns(NULL);
	assert_int_equal(open_with("ns.example", 1000), ERR_SYNTAX);
	loop_free(&loop);
	open_with(servers, 1000);
}

static void test_timeout(void **state)
{
	struct heard h[3] = {0};
	(void)state;
	close_dns(NULL);
	open_with(silent, 300);
	uint64_t before = loop_io(loop)->now_ns;
	for (int i = 0; i < 3; i++)
		ask(&h[i], "", i ? "same.example" : "one.example", DNS_A);
	loop_run(loop);
	uint64_t took_ms = (loop_io(loop)->now_ns - before) / NS_PER_MS;
	assert_in_range(took_ms, 290, 2000);
	for (int i = 0; i < 3; i++)
		assert_string_equal(h[i].text, "TEMPORARY");
}

/* Questions that came, but for those for the root: whether it is signed. */
static uint32_t datagrams(int fd)
{
	char bytes[1500];
	uint32_t n = 0;
	ssize_t got;

	while ((got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		n += got > 12 && bytes[12];
	return n;
}

static void test_equal_questions_are_asked_once(void **state)
{
	struct heard h[50] = {0};
	(void)state;
	close_dns(NULL);
	datagrams(silent_socket);
	open_with(silent, 200); /* shorter than the first repetition */
	for (int i = 0; i < 50; i++)
		ask(&h[i], "", i % 2 ? "Same.example" : "same.example.", DNS_A);
	loop_run(loop);
	for (int i = 0; i < 50; i++)
		assert_string_equal(h[i].text, "TEMPORARY");
	assert_int_equal(datagrams(silent_socket), 1);
}

static void test_cancel(void **state)
{
	struct heard h[4] = {0};
	(void)state;
	ask(&h[0], "", "mx2.example", DNS_AAAA);
	ask(&h[1], "", "mx2.example", DNS_AAAA);
	ask(&h[2], "", "null.example", DNS_MX);
	dns_cancel(&h[1].question);
	dns_cancel(&h[2].question);
	assert_null(h[1].question);
	dns_cancel(&h[2].question);
	loop_run(loop);
	assert_string_equal(h[0].text, "2001:db8::2");
	assert_string_equal(h[1].text, "");
	assert_string_equal(h[2].text, "");
	/* After the question went out. */
	ask(&h[3], silent, "mx2.example", DNS_A);
	struct heard other = {.cancels = &h[3]};
	ask(&other, "", "ns.example", DNS_A);
	loop_run(loop);
	assert_string_equal(other.text, "127.0.0.1");
	assert_string_equal(h[3].text, "");
}

/* The first of those who share an answer cancels the others, or asks anew. */
static void test_reentry(void **state)
{
	struct heard h[5] = {0};
	(void)state;
	h[0].cancels = &h[1];
	h[0].then = &h[3];
	for (int i = 0; i < 3; i++)
		ask(&h[i], "", "txt.example", DNS_TXT);
	loop_run(loop);
	assert_string_equal(h[0].text, "\\x05hello");
	assert_string_equal(h[1].text, "");
	assert_string_equal(h[2].text, "\\x05hello");
	assert_true(strlen(h[3].text) > 10);
}

static void test_many_questions(void **state)
{
	enum { MANY = 3 * DNS_CONTEXT_OPEN };
	struct heard *h = calloc(MANY, sizeof(*h));
	(void)state;
	for (int i = 0; i < MANY; i++) {
		char name[40];
		snprintf(name, sizeof(name), "n%d.example", i);
		ask(&h[i], "", name, DNS_A);
	}
	loop_run(loop);
	for (int i = 0; i < MANY; i++)
		assert_string_equal(h[i].text, "NXDOMAIN");
	free(h);
}

static void test_free_with_open_questions(void **state)
{
	struct heard h[3] = {0};
	(void)state;
	ask(&h[0], "", "a.example", DNS_MX);
	ask(&h[1], silent, "a.example", DNS_MX);
	ask(&h[2], "ns.example:1,mx1.example", "a.example", DNS_MX);
	close_dns(NULL);
	open_dns(NULL);
	/* The same after they were begun. */
	struct heard quick = {.stops = true};
	ask(&h[1], silent, "a.example", DNS_MX);
	ask(&h[2], "mx1.example", "a.example", DNS_MX);
	ask(&quick, "", "ns.example", DNS_A);
	loop_run(loop);
	assert_string_equal(quick.text, "127.0.0.1");
	for (int i = 0; i < 3; i++)
		assert_string_equal(h[i].text, "");
}

/* The servers of /etc/resolv.conf, and what stands in for them. */
static void test_resolv_conf(void **state)
{
	char path[100];
	struct dns_unbound_options options = {.resolv_conf = path, .timeout_ms = 500};
	(void)state;
	close_dns(NULL);
	write_file("resolv.conf", "# nothing\nnameserver 127.0.0.77\n");
	snprintf(path, sizeof(path), "%s/resolv.conf", folder);
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(dns_unbound_new(loop, &options, &dns), 0);
	assert_string_equal(answer("null.example", DNS_MX), "TEMPORARY");
	assert_string_equal(answer_at(servers, "null.example", DNS_MX), "0:");
	close_dns(NULL);
	snprintf(path, sizeof(path), "%s/missing", folder);
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(dns_unbound_new(loop, &options, &dns), 0);
	assert_string_equal(answer_at(servers, "null.example", DNS_MX), "0:");
}

/* Mail that waits for a server that is not there should say so at once. */
static void test_a_closed_port_is_known_at_once(void **state)
{
	char both[100];
	struct heard again = {0};
	struct heard h[3] = {[0].cancels = &h[1], [1].cancels = &h[0], [2].then = &again};
	(void)state;
	close_dns(NULL);
	open_with(closed, 10000);
	uint64_t before = loop_io(loop)->now_ns;
	ask(&h[0], "", "one.example", DNS_A);
	ask(&h[1], "", "two.example", DNS_A);
	ask(&h[2], "", "three.example", DNS_A);
	loop_run(loop);
	/* Whoever was told first cancelled the other. */
	assert_string_equal(*h[0].text ? h[0].text : h[1].text, "TEMPORARY");
	assert_true(!*h[0].text || !*h[1].text);
	assert_string_equal(h[2].text, "TEMPORARY");
	/* It was asked when the first ones had been told, and is told by itself. */
	assert_string_equal(again.text, "TEMPORARY");
	snprintf(both, sizeof(both), "%s,%s", closed, closed);
	assert_string_equal(answer_at(both, "one.example", DNS_A), "TEMPORARY");
	assert_in_range((loop_io(loop)->now_ns - before) / NS_PER_MS, 0, 3000);
	/* One that may be there still gets its time. */
	close_dns(NULL);
	open_with(silent, 1500);
	snprintf(both, sizeof(both), "%s,%s", closed, silent);
	before = loop_io(loop)->now_ns;
	assert_string_equal(answer_at(both, "one.example", DNS_A), "TEMPORARY");
	assert_in_range((loop_io(loop)->now_ns - before) / NS_PER_MS, 1400, 3000);
}

static void test_another_resolv_conf(void **state)
{
	struct heard open = {0};
	char own[100];
	(void)state;
	close_dns(NULL);
	write_file("resolv.conf", "nameserver 127.0.0.77\n");
	snprintf(own, sizeof(own), "%s/resolv.conf", folder);
	struct dns_unbound_options options = {.resolv_conf = own, .timeout_ms = 3000};
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(dns_unbound_new(loop, &options, &dns), 0);
	assert_int_equal(dns_unbound_resolv_conf(dns, SPAN("# the same\nnameserver  127.0.0.77\n")),
		ERR_EXISTS);
	assert_int_equal(dns_unbound_resolv_conf(dns, SPAN("# half of i")), ERR_EXISTS);
	/* What is under way when it changes is answered all the same. */
	ask(&open, "", "one.example", DNS_A);
	assert_int_equal(dns_unbound_resolv_conf(dns, SPAN("nameserver 127.0.0.78\n")), 0);
	assert_int_equal(dns_unbound_resolv_conf(dns, SPAN("nameserver 127.0.0.79\n")), 0);
	loop_run(loop);
	assert_string_equal(open.text, "TEMPORARY");
	/* Who may listen on the usual port sees that the new one is asked. */
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(53),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 0x4f)}; /* 127.0.0.80 */
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0) {
		assert_int_equal(dns_unbound_resolv_conf(dns, SPAN("nameserver 127.0.0.80\n")), 0);
		assert_string_equal(answer("one.example", DNS_A), "TEMPORARY");
		assert_true(datagrams(fd) > 0);
	}
	close(fd);
	close_dns(NULL);
	/* Servers of the start file are meant. */
	open_with(servers, 5000);
	assert_int_equal(dns_unbound_resolv_conf(dns, SPAN("nameserver 127.0.0.78\n")), ERR_EXISTS);
	assert_string_equal(answer("null.example", DNS_MX), "0:");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_dns, close_dns)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_up),
		TEST(test_answers),
		TEST(test_what_the_servers_themselves_say),
		TEST(test_questions_end_while_the_servers_are_asked_themselves),
		TEST(test_test_domain_is_asked),
		TEST(test_ttl_is_bounded),
		TEST(test_lists_of_servers),
		TEST(test_servers_by_name),
		TEST(test_many_lists),
		TEST(test_bad_questions),
		TEST(test_timeout),
		TEST(test_equal_questions_are_asked_once),
		TEST(test_cancel),
		TEST(test_reentry),
		TEST(test_many_questions),
		TEST(test_free_with_open_questions),
		TEST(test_resolv_conf),
		TEST(test_another_resolv_conf),
		TEST(test_a_closed_port_is_known_at_once),
	};
	return cmocka_run_group_tests(tests, start_knotd, stop_knotd);
}
