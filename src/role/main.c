/*
 * posternd: the supervisor, or, started by it, one of its roles.
 */
#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/span.h"
#include "base/text.h"
#include "io/tls.h"
#include "role/prepare.h"
#include "role/role.h"
#include "role/tls_files.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define EXIT_USAGE 2

static const char usage[] = "usage: posternd -c FILE [--check]\n"
			    "       posternd --version | --help\n"
			    "\n"
			    "  -c, --config FILE  the start file (postern.yaml)\n"
			    "      --check        look whether the start file is good, and end\n"
			    "\n"
			    "It stays in the foreground, writes its log to stderr, and ends in "
			    "order on SIGTERM or SIGINT.\n"
			    "SIGHUP: reads the log level of the start file, certificates and keys "
			    "again. Exit codes: 0 done,\n"
			    "1 refused with a reason, 2 wrong usage.\n";

struct options {
	const char *config;
	const char *role;
	const char *index;
	bool check;
};

/* A role is of use to the supervisor only: it left a channel. */
static bool has_channel(void)
{
	int type;
	socklen_t size = sizeof(type);

	return getsockopt(ROLE_BOOT_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
	       type == SOCK_SEQPACKET;
}

static int run_role(const struct options *options)
{
	uint64_t index = 0;
	char title[64];

	if (!has_channel()) {
		fprintf(stderr, "posternd: --role is for the supervisor's own use; start posternd "
				"-c FILE\n");
		return EXIT_USAGE;
	}
	if (options->index &&
		text_parse_u64(span_str(options->index), CONFIG_WORKERS - 1, &index) != 0)
		return EXIT_USAGE;
	if (strcmp(options->role, role_kind_name(ROLE_SMTPD)) == 0) {
		snprintf(title, sizeof(title), "postern: smtpd %u", (unsigned)index);
		uv_set_process_title(title);
		return role_smtpd_main((uint8_t)index);
	}
	snprintf(title, sizeof(title), "postern: %s", options->role);
	uv_set_process_title(title);
	if (strcmp(options->role, role_kind_name(ROLE_DELIVERY)) == 0)
		return role_delivery_main();
	if (strcmp(options->role, role_kind_name(ROLE_ADMIN)) == 0)
		return role_admin_main();
	if (strcmp(options->role, role_kind_name(ROLE_KEYS)) == 0)
		return role_keys_main();
	if (strcmp(options->role, role_kind_name(ROLE_FETCH)) == 0)
		return role_fetch_main();
	return EXIT_USAGE;
}

/* An ordinary user may well be denied the keys; then only that is said. */
static int check_certificates(const struct config *config, const char *path)
{
	struct tls_files files = TLS_FILES_NONE;
	struct buf problem, warnings;
	uint32_t number = 0;

	buf_init(&problem, 1u << 16);
	buf_init(&warnings, 1u << 16);
	int err = tls_files_read(config, &number, &files, &problem, &warnings);
	if (err == ERR_DENIED && geteuid() != 0)
		fprintf(stderr, "%s: warning: certificates and keys were not looked at: %.*s\n",
			path, (int)problem.n, problem.p);
	else if (err)
		fprintf(stderr, "%s: %.*s\n", path, (int)problem.n, problem.p);
	tls_files_expiries(&files, (int64_t)time(NULL) * 1000, &warnings);
	for (struct span rest = buf_span(&warnings); rest.n;) {
		size_t n = span_find(rest, '\n');
		fprintf(stderr, "%s: warning: %.*s\n", path, (int)n, rest.p);
		rest = span_skip(rest, n + 1);
	}
	bool denied = err == ERR_DENIED && geteuid() != 0;
	tls_files_done(&files);
	buf_done(&problem);
	buf_done(&warnings);
	return denied ? 0 : err;
}

static int check(const char *path)
{
	struct config *config = NULL;
	struct buf problems;

	buf_init(&problems, 1u << 20);
	int err = config_load(path, &config, &problems);
	if (problems.n)
		fprintf(stderr, "%.*s", (int)problems.n, problems.p);
	struct users users;
	if (err == 0 && (err = prepare_users(config, NULL, &users, &problems)) != 0)
		fprintf(stderr, "%.*s\n", (int)problems.n, problems.p);
	buf_clear(&problems);
	if (err == 0 && tls_files_wanted(config))
		err = check_certificates(config, path);
	if (err == 0 && !prepare_room(config, &problems))
		fprintf(stderr, "%s: warning: %.*s\n", path, (int)problems.n, problems.p);
	if (err == 0)
		printf("%s: good\n", path);
	buf_done(&problems);
	config_free(&config);
	return err ? ROLE_EXIT_FAILED : ROLE_EXIT_DONE;
}

/* -1: go on; else an exit code. */
static int parse(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'k'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{"role", required_argument, NULL, 'r'},
		{"index", required_argument, NULL, 'i'},
		{0},
	};

	for (int c; (c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1;) {
		switch (c) {
		case 'c': options->config = optarg; break;
		case 'k': options->check = true; break;
		case 'r': options->role = optarg; break;
		case 'i': options->index = optarg; break;
		case 'V': printf("posternd %s\n", POSTERN_VERSION); return ROLE_EXIT_DONE;
		case 'h': fputs(usage, stdout); return ROLE_EXIT_DONE;
		default: fputs(usage, stderr); return EXIT_USAGE;
		}
	}
	if (optind != argc || (!options->role && !options->config)) {
		if (optind != argc)
			fprintf(stderr, "posternd: takes no arguments but options: %s\n\n",
				argv[optind]);
		else
			fputs("posternd: -c FILE is missing, the start file\n\n", stderr);
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct options options = {0};

	argv = uv_setup_args(argc, argv);
	int result = parse(argc, argv, &options);
	if (result >= 0)
		return result;
	/* Helper threads may still be at work (a log line that nobody reads): they are not waited
	 * for. */
	if (options.role)
		_exit(run_role(&options));
	/* They read private keys, and hand them on. */
	CHECK(tls_wipe_freed() == 0);
	if (options.check)
		return check(options.config);
	return supervisor_main(options.config);
}
