/*
 * DNSSEC against real servers: one knotd that signs, a root of its own among its zones, and one
 * that serves what became of those zones in bad hands: signatures that do not fit, denials that are
 * missing, a root without signatures.
 */
#include "base/err.h"
#include "io/dns_context.h"
#include "io/dns_unbound.h"

#include <arpa/inet.h>
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

#define SOA	  "$TTL 60\n@ SOA ns.tld. h.tld. 1 3600 600 86400 30\n@ NS ns.tld.\n"
#define HASH	  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TLSA_TEXT "\\x03\\x01\\x01\\x01#Eg\\x89\\xab\\xcd\\xef"

static const char zone_root[] = SOA "ns.tld. A 127.0.0.1\nmx.tld. A 127.0.0.2\n"
				    "_25._tcp.mx.tld. TLSA 3 1 1 " HASH "\ntld. MX 10 mx.tld.\n"
				    "alias.tld. CNAME mx.tld.\nout.tld. CNAME mx.plain.\n"
				    "plain. NS ns.tld.\n";
static const char zone_plain[] =
	SOA "@ MX 10 mx\nmx A 127.0.0.3\n_25._tcp.mx TLSA 3 1 1 " HASH "\n";
static const char zone_own[] = SOA "@ MX 10 mx\nmx A 127.0.0.4\nmx2 A 127.0.0.5\n"
				   "_25._tcp.mx TLSA 3 1 1 " HASH "\n";

static char folder[] = "/tmp/postern-dnssec-XXXXXX";

struct server {
	const char *name;
	pid_t pid;
	char at[40];   /* address and port, as a list of servers */
	bool rootless; /* it answers for other zones only */
};
static struct server good = {.name = "good"}, bad = {.name = "bad"};
static struct server rootless = {.name = "rootless", .rootless = true};
static char root_ds[300], own_ds[300], own_key[300];
static struct loop *loop;
static struct dns *dns;

/* ---- servers --------------------------------------------------------------------------------- */

static void path_of(char path[200], const struct server *s, const char *file)
{
	snprintf(path, 200, "%s/%s/%s", folder, s->name, file);
}

static void write_file(const struct server *s, const char *name, const char *text)
{
	char path[200];
	FILE *f;

	path_of(path, s, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void free_port(struct server *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &length), 0);
	close(fd);
	snprintf(s->at, sizeof(s->at), "127.0.0.1:%u", ntohs(a.sin_port));
}

static void write_config(const struct server *s, bool sign)
{
	static const char *const zones[] = {".", "plain", "own.test"};
	char config[3000];
	int n = snprintf(config, sizeof(config),
		"server:\n    listen: 127.0.0.1@%s\n    rundir: %s/%s\n    udp-workers: 1\n"
		"    tcp-workers: 1\n    background-workers: 1\n"
		"database:\n    storage: %s/%s\n"
		"policy:\n  - id: p\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n"
		"zone:\n",
		strchr(s->at, ':') + 1, folder, s->name, folder, s->name);

	for (size_t i = s->rootless; i < ARRAY_SIZE(zones); i++)
		n += snprintf(config + n, sizeof(config) - (size_t)n,
			"  - domain: %s\n    file: %s/%s/zone%zu\n    semantic-checks: off\n%s",
			zones[i], folder, s->name, i,
			sign && i != 1 ? "    dnssec-signing: on\n    dnssec-policy: p\n"
					 "    zonefile-sync: 0\n    zonefile-load: whole\n"
				       : "");
	write_file(s, "knot.conf", config);
}

static void run(struct server *s)
{
	char path[200];

	path_of(path, s, "knot.conf");
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(126);
		execlp("knotd", "knotd", "-c", path, (char *)NULL);
		_exit(127);
	}
}

static void stop(struct server *s)
{
	kill(s->pid, SIGTERM);
	waitpid(s->pid, NULL, 0);
}

static void spawn(struct server *s, bool sign)
{
	free_port(s);
	write_config(s, sign);
	run(s);
}

/* Somebody else had the port. */
static void again(struct server *s)
{
	int status;

	if (waitpid(s->pid, &status, WNOHANG) == s->pid)
		spawn(s, false);
}

/* What a command says, its last line. */
static void output(char *to, size_t room, const char *command)
{
	FILE *f = popen(command, "r");
	char line[400];

	assert_non_null(f);
	*to = '\0';
	while (fgets(line, sizeof(line), f))
		snprintf(to, room, "%.*s", (int)strcspn(line, "\n"), line);
	pclose(f);
}

static void read_keys(void)
{
	char command[400];

	for (int i = 0; i < 2; i++) {
		snprintf(command, sizeof(command),
			"PATH=/usr/sbin:$PATH keymgr -c %s/good/knot.conf %s ds | grep ' 13 2 '",
			folder, i ? "own.test" : ".");
		output(i ? own_ds : root_ds, sizeof(root_ds), command);
		assert_non_null(strstr(i ? own_ds : root_ds, " DS "));
	}
	snprintf(command, sizeof(command),
		"PATH=/usr/sbin:$PATH keymgr -c %s/good/knot.conf own.test dnskey", folder);
	output(own_key, sizeof(own_key), command);
	assert_non_null(strstr(own_key, " DNSKEY "));
}

/* The signed own.test with another address for mx, and nothing that proves an absence. */
static bool spoil(void)
{
	char command[600], result[100];

	snprintf(command, sizeof(command),
		"cd %s && grep -q RRSIG good/zone2 && grep -v 'NSEC' good/zone2 |"
		" sed 's/127\\.0\\.0\\.4/127.0.0.99/' > bad/zone2 && grep -c 127.0.0.99 bad/zone2",
		folder);
	output(result, sizeof(result), command);
	return atoi(result) > 0;
}

static int start_servers(void **state)
{
	char path[200];
	(void)state;

	assert_non_null(mkdtemp(folder));
	for (int i = 0; i < 3; i++) {
		const struct server *const all[] = {&good, &bad, &rootless}, *s = all[i];

		snprintf(path, sizeof(path), "%s/%s", folder, s->name);
		char command[220];
		snprintf(command, sizeof(command), "mkdir %s", path);
		assert_int_equal(system(command), 0);
		write_file(s, "zone0", zone_root);
		write_file(s, "zone1", zone_plain);
		write_file(s, "zone2", zone_own);
	}
	spawn(&good, true);
	for (int i = 0; i < 100 && !spoil(); i++) {
		int status;

		if (waitpid(good.pid, &status, WNOHANG) == good.pid) {
			if (WEXITSTATUS(status) == 127)
				fail_msg("knotd is not installed (package knot)");
			spawn(&good, true); /* somebody else had the port */
		}
		usleep(100000);
	}
	assert_true(spoil());
	read_keys();
	spawn(&bad, false);
	spawn(&rootless, false);
	return 0;
}

static int stop_servers(void **state)
{
	char command[100];
	(void)state;

	stop(&good);
	stop(&bad);
	stop(&rootless);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

/* ---- questions ------------------------------------------------------------------------------- */

static struct {
	struct log log;
	char text[4000];
} said;

static void hear_log(struct log *log, enum log_level level, const char *message,
	const struct log_field *fields, size_t count)
{
	size_t n = strlen(said.text);

	(void)log;
	(void)fields;
	(void)count;
	snprintf(said.text + n, sizeof(said.text) - n, "%d %s\n", (int)level, message);
}

static void open_dns(const char *system_servers, const char *anchors)
{
	struct dns_unbound_options options = {.servers = span_str(system_servers),
		.timeout_ms = 8000,
		.anchors = span_str(anchors),
		.log = &said.log};

	said.text[0] = '\0';
	said.log = (struct log){.least = LOG_DEBUG, .write = hear_log};
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(dns_unbound_new(loop, &options, &dns), 0);
}

static void close_dns(void)
{
	dns_unbound_free(&dns);
	loop_free(&loop);
}

static char heard[600], reason[300];

static void hear(void *owner, const struct dns_answer *a)
{
	static const char *const status[] = {"OK", "NODATA", "NXDOMAIN", "TEMPORARY", "BOGUS"};
	struct buf buf;
	(void)owner;

	buf_init(&buf, sizeof(heard) - 1);
	buf_add_str(&buf, a->secure ? "secure " : "");
	buf_add_str(&buf, status[a->status]);
	for (uint32_t i = 0; i < a->count; i++) {
		buf_add_char(&buf, ' ');
		if (a->addresses)
			netaddr_add_ip(&buf, &a->addresses[i]);
		else if (a->mx)
			buf_add_span(&buf, a->mx[i].name);
		else
			buf_add_escaped(
				&buf, span_of(a->rdata[i].p, MIN(a->rdata[i].n, (size_t)11)), 100);
	}
	buf_add_char(&buf, '\0');
	memcpy(heard, buf.p, buf.n);
	buf_done(&buf);
	snprintf(reason, sizeof(reason), "%.*s", (int)a->reason.n, a->reason.p);
}

static const char *answer_at(const char *servers, const char *name, enum dns_type type)
{
	struct dns_question *question;

	heard[0] = '\0';
	assert_int_equal(
		dns_ask(dns, span_str(servers), span_str(name), type, hear, NULL, &question), 0);
	loop_run(loop);
	return heard;
}

static const char *answer(const char *name, enum dns_type type)
{
	return answer_at("", name, type);
}

static void test_comes_up(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		open_dns(good.at, "");
		bool up = !strcmp(answer("mx.plain", DNS_A), "OK 127.0.0.3") &&
			  !strcmp(answer_at(bad.at, "mx.plain", DNS_A), "OK 127.0.0.3") &&
			  !strcmp(answer_at(rootless.at, "mx.plain", DNS_A), "OK 127.0.0.3");
		close_dns();
		if (up)
			return;
		again(&bad);
		again(&rootless);
		usleep(100000);
	}
	fail_msg("knotd does not answer");
}

static void test_from_the_root(void **state)
{
	(void)state;
	open_dns(good.at, root_ds);
	assert_int_equal(dns_unbound_dnssec(dns), DNSSEC_UNKNOWN);
	assert_string_equal(answer("mx.tld", DNS_A), "secure OK 127.0.0.2");
	assert_int_equal(dns_unbound_dnssec(dns), DNSSEC_YES);
	assert_string_equal(answer("tld", DNS_MX), "secure OK mx.tld");
	assert_string_equal(answer("_25._tcp.mx.tld", DNS_TLSA), "secure OK " TLSA_TEXT);
	/* Absence, too. */
	assert_string_equal(answer("_26._tcp.mx.tld", DNS_TLSA), "secure NXDOMAIN");
	assert_string_equal(answer("mx.tld", DNS_AAAA), "secure NODATA");
	/* A chain is as good as its weakest link. */
	assert_string_equal(answer("alias.tld", DNS_A), "secure OK 127.0.0.2");
	assert_string_equal(answer("out.tld", DNS_A), "OK 127.0.0.3");
	/* A delegation of which the root says that it is not signed. */
	assert_string_equal(answer("mx.plain", DNS_A), "OK 127.0.0.3");
	assert_string_equal(answer("_25._tcp.mx.plain", DNS_TLSA), "OK " TLSA_TEXT);
	assert_string_equal(answer("none.plain", DNS_A), "NXDOMAIN");
	/* An alias is vouched for by its own zone, wherever it leads to. */
	assert_memory_equal(answer("out.tld", DNS_CNAME), "secure OK ", 10);
	close_dns();
}

/* Zones that the root knows nothing of, on the system's servers and on a transport's. */
static void test_zones_of_the_administrator(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		open_dns(good.at, i ? own_key : own_ds);
		assert_string_equal(answer("own.test", DNS_MX), "secure OK mx.own.test");
		assert_string_equal(
			answer("_25._tcp.mx.own.test", DNS_TLSA), "secure OK " TLSA_TEXT);
		assert_string_equal(answer("none.own.test", DNS_A), "secure NXDOMAIN");
		assert_string_equal(
			answer_at(good.at, "mx.own.test", DNS_A), "secure OK 127.0.0.4");
		close_dns();
	}
}

static void test_bad_hands(void **state)
{
	(void)state;
	open_dns(bad.at, own_ds);
	for (int i = 0; i < 2; i++) {
		const char *at = i ? bad.at : "";

		/* The signature is of something else. */
		assert_string_equal(answer_at(at, "mx.own.test", DNS_A), "BOGUS");
		assert_non_null(strstr(reason, "mx.own.test"));
		/* What is not there could as well have been taken away. */
		assert_string_equal(answer_at(at, "none.own.test", DNS_A), "BOGUS");
		assert_string_equal(answer_at(at, "_26._tcp.mx.own.test", DNS_TLSA), "BOGUS");
		/* What was not touched is still good. */
		assert_string_equal(answer_at(at, "mx2.own.test", DNS_A), "secure OK 127.0.0.5");
	}
	close_dns();
}

/* Servers that pass no signatures on, or do not know the Internet's root: mail goes all the same,
 * and the log says what that means. */
static void test_servers_without_dnssec(void **state)
{
	(void)state;
	open_dns(bad.at, "");
	assert_string_equal(answer("mx.tld", DNS_A), "OK 127.0.0.2");
	assert_int_equal(dns_unbound_dnssec(dns), DNSSEC_NO);
	assert_string_equal(answer("_25._tcp.mx.tld", DNS_TLSA), "OK " TLSA_TEXT);
	assert_string_equal(answer("none.tld", DNS_A), "NXDOMAIN");
	assert_string_equal(answer("mx.own.test", DNS_A), "OK 127.0.0.99");
	/* Once. */
	assert_non_null(strstr(said.text, "cannot be validated"));
	assert_null(strstr(strstr(said.text, "cannot be validated") + 1, "cannot be validated"));
	close_dns();
	/* Another root's signatures are worth nothing either. */
	open_dns(good.at, "");
	assert_string_equal(answer("mx.tld", DNS_A), "OK 127.0.0.2");
	assert_int_equal(dns_unbound_dnssec(dns), DNSSEC_NO);
	close_dns();
}

/* With the root's keys in the start file the administrator says that there are signatures. */
static void test_servers_that_are_said_to_be_fit(void **state)
{
	(void)state;
	open_dns(bad.at, root_ds);
	assert_string_equal(answer("mx.tld", DNS_A), "BOGUS");
	assert_string_equal(answer("mx.plain", DNS_A), "BOGUS");
	assert_int_equal(dns_unbound_dnssec(dns), DNSSEC_YES);
	/* But not of those of a transport. */
	assert_string_equal(answer_at(bad.at, "mx.plain", DNS_A), "OK 127.0.0.3");
	assert_string_equal(answer_at(good.at, "mx.tld", DNS_A), "secure OK 127.0.0.2");
	close_dns();
	/* A zone that is known to be none of the outside's. */
	char anchors[400];
	snprintf(anchors, sizeof(anchors), "%s\ninsecure plain\n", root_ds);
	open_dns(bad.at, anchors);
	assert_string_equal(answer("mx.plain", DNS_A), "OK 127.0.0.3");
	assert_string_equal(answer("mx.tld", DNS_A), "BOGUS");
	/* "test" is never one. */
	assert_string_equal(answer("mx.own.test", DNS_A), "OK 127.0.0.99");
	close_dns();
}

/* Ten minutes are over. */
static void later(void)
{
	struct context *context = LIST_FIRST(&unbound_of(dns)->contexts, struct context, node);

	assert_non_null(context);
	context->trial.next_ns = 0;
}

/* Servers that were fit and are not any more: believed, but not at once. */
static void test_servers_that_lose_it(void **state)
{
	struct server changed = {.name = "bad"};
	char name[40];
	(void)state;

	open_dns(good.at, root_ds);
	assert_string_equal(answer_at(good.at, "mx.tld", DNS_A), "secure OK 127.0.0.2");
	stop(&good);
	stop(&bad); /* whose folder it takes */
	memcpy(changed.at, good.at, sizeof(changed.at));
	write_config(&changed, false);
	run(&changed);
	int bogus = 0;
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "n%d.tld", i); /* nobody has it in mind */
		const char *got = answer_at(good.at, name, DNS_A);

		if (!strcmp(got, "NXDOMAIN"))
			break;
		if (!strcmp(got, "BOGUS"))
			bogus++;
		else
			assert_string_equal(got, "TEMPORARY"); /* it is not up yet */
		later();
		usleep(100000);
	}
	assert_string_equal(heard, "NXDOMAIN");
	assert_true(bogus >= 3);
	assert_non_null(strstr(said.text, "cannot be validated"));
	/* And back. */
	stop(&changed);
	write_config(&bad, false);
	run(&bad);
	run(&good);
	for (int i = 0; i < 200 && strcmp(heard, "secure OK 127.0.0.2"); i++) {
		later();
		answer_at(good.at, "mx.tld", DNS_A);
		usleep(100000);
	}
	assert_string_equal(heard, "secure OK 127.0.0.2");
	close_dns();
}

/* The system's servers with the test's root, tried as if it were the real one. */
static void open_tried(const struct server *s)
{
	open_dns(s->at, root_ds);
	unbound_of(dns)->own_root = false;
}

/* Whoever keeps the answer about the root from us while we start has not turned validation off. */
static void test_what_a_former_life_said(void **state)
{
	(void)state;
	open_tried(&rootless);
	assert_string_equal(answer("mx.plain", DNS_A), "OK 127.0.0.3");
	assert_int_equal(dns_unbound_dnssec(dns), DNSSEC_UNKNOWN);
	uint64_t servers = dns_unbound_servers(dns);
	close_dns();
	open_tried(&rootless);
	dns_unbound_believe(dns, servers);
	assert_int_equal(dns_unbound_dnssec(dns), DNSSEC_YES);
	assert_string_not_equal(answer("mx.plain", DNS_A), "OK 127.0.0.3");
	assert_int_equal(dns_unbound_dnssec(dns), DNSSEC_YES);
	assert_non_null(strstr(said.text, "validated all the same"));
	/* A day later: they are of no such use any more. */
	unbound_of(dns)->system->trial.until_ns = 0;
	unbound_of(dns)->system->trial.next_ns = 0;
	for (int i = 0; i < 100 && dns_unbound_dnssec(dns) != DNSSEC_UNKNOWN; i++) {
		(void)answer("mx.plain", DNS_A);
		usleep(50000);
	}
	assert_int_equal(dns_unbound_dnssec(dns), DNSSEC_UNKNOWN);
	assert_string_equal(answer("mx.plain", DNS_A), "OK 127.0.0.3");
	close_dns();
	/* It was said of others. */
	open_tried(&rootless);
	dns_unbound_believe(dns, servers + 1);
	assert_string_equal(answer("mx.plain", DNS_A), "OK 127.0.0.3");
	close_dns();
	/* Servers that are fit say so again. */
	open_tried(&good);
	dns_unbound_believe(dns, dns_unbound_servers(dns));
	assert_string_equal(answer("mx.tld", DNS_A), "secure OK 127.0.0.2");
	/* The trial runs beside the question, and may take longer. */
	static const char fit[] = "DNSSEC: what these DNS servers say is validated\n";
	for (int i = 0; i < 100 && !strstr(said.text, fit); i++) {
		(void)answer("mx.tld", DNS_A);
		usleep(50000);
	}
	assert_non_null(strstr(said.text, fit));
	close_dns();
}

static void test_anchors_that_are_none(void **state)
{
	struct dns_unbound_options options = {
		.servers = span_str(good.at), .timeout_ms = 1000, .anchors = SPAN("nonsense")};
	(void)state;

	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(dns_unbound_new(loop, &options, &dns), ERR_SYNTAX);
	loop_free(&loop);
}

/* Everything ends in the middle of a trial. */
static void test_free_while_it_is_tried(void **state)
{
	struct dns_question *question;
	(void)state;

	open_dns(good.at, "");
	assert_int_equal(dns_ask(dns, SPAN_NONE, SPAN("mx.tld"), DNS_A, hear, NULL, &question), 0);
	io_turns_run(loop_io(loop));
	assert_true(trial_holds(unbound_of(dns)->system));
	dns_cancel(&question);
	loop_run(loop);
	assert_int_equal(dns_ask(dns, SPAN_NONE, SPAN("mx.tld"), DNS_A, hear, NULL, &question), 0);
	io_turns_run(loop_io(loop));
	close_dns();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_up),
		cmocka_unit_test(test_from_the_root),
		cmocka_unit_test(test_zones_of_the_administrator),
		cmocka_unit_test(test_bad_hands),
		cmocka_unit_test(test_servers_without_dnssec),
		cmocka_unit_test(test_servers_that_are_said_to_be_fit),
		cmocka_unit_test(test_servers_that_lose_it),
		cmocka_unit_test(test_what_a_former_life_said),
		cmocka_unit_test(test_anchors_that_are_none),
		cmocka_unit_test(test_free_while_it_is_tried),
	};
	return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
