/* status, for people: one line a thing, always in the same order, figures with their units. What a
 * server of another version says more is not shown; --json has all of it. */
#include "ctl/ctl.h"

#include "base/check.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define NAME_COLUMN	12
#define DIFFERING_SHOWN 5
#define WORDS_MOST	20000 /* bytes: two values of the start file */

static void line(const char *name)
{
	printf("%-*s", NAME_COLUMN, name);
}

static void text(const char *words)
{
	show_text(words, false);
}

static void word(const char *words, const char *unless)
{
	text(*words ? words : unless);
}

/* "3 messages", "1 message" */
static void count(json_int_t n, const char *one, const char *many)
{
	printf("%lld %s", (long long)n, n == 1 ? one : many);
}

/* ", 3 held", where there are any. */
static void part(const json_t *object, const char *key, const char *words)
{
	json_int_t n = member_int(object, key);

	if (n)
		printf(", %lld %s", (long long)n, words);
}

static void show_server(const json_t *status)
{
	const json_t *listeners = json_object_get(status, "listeners");
	struct buf up;

	buf_init(&up, 100);
	text_add_duration(&up, (uint64_t)member_int(status, "uptime_s") * 1000);
	line("server");
	text(member_text(status, "hostname"));
	fputs(", version ", stdout);
	word(member_text(status, "version"), "unknown");
	printf(", up %.*s\n", (int)up.n, up.n ? up.p : "");
	buf_done(&up);
	line("listeners");
	for (size_t i = 0; i < json_array_size(listeners); i++) {
		const json_t *one = json_array_get(listeners, i);

		fputs(i ? ", " : "", stdout);
		text(member_text(one, "name"));
		putchar(' ');
		text(member_text(one, "address"));
	}
	putchar('\n');
}

/* What was changed and does not count yet. */
static void show_differing(const json_t *status)
{
	const json_t *all = json_object_get(status, "start_file_differs");
	size_t count = json_array_size(all);
	struct buf words;

	for (size_t i = 0; i < MIN(count, DIFFERING_SHOWN); i++) {
		const json_t *one = json_array_get(all, i);

		buf_init(&words, WORDS_MOST);
		buf_printf(&words, "%s ", member_text(one, "field"));
		add_differing(&words, one);
		buf_add_char(&words, '\0');
		line("start file");
		text(buf_ok(&words) ? words.p : member_text(one, "field"));
		putchar('\n');
		buf_done(&words);
	}
	if (count > DIFFERING_SHOWN) {
		line("start file");
		printf("and %zu more differences (see check)\n", count - DIFFERING_SHOWN);
	}
}

static void show_directory(const json_t *status)
{
	const json_t *directory = json_object_get(status, "directory");

	line("directory");
	count(member_int(directory, "domains"), "domain", "domains");
	fputs(", ", stdout);
	count(member_int(directory, "transports"), "transport", "transports");
	fputs(", ", stdout);
	count(member_int(directory, "accounts"), "account", "accounts");
	printf(" (generation %lld)\n", (long long)member_int(directory, "generation"));
}

static void show_pause(const json_t *pause, const char *scope, const char *name)
{
	line("paused");
	text(scope);
	if (*name) {
		putchar(' ');
		text(name);
	}
	fputs(" since ", stdout);
	text(member_text(pause, "since"));
	fputs(" by ", stdout);
	text(member_text(pause, "by"));
	if (*member_text(pause, "reason")) {
		fputs(": ", stdout);
		text(member_text(pause, "reason"));
	}
	putchar('\n');
}

static void show_pauses(const json_t *status)
{
	const json_t *all = json_object_get(status, "paused");
	const json_t *pauses = json_object_get(status, "pauses");

	if (all)
		show_pause(all, "all deliveries", "");
	for (size_t i = 0; i < json_array_size(pauses); i++) {
		const json_t *one = json_array_get(pauses, i);

		show_pause(one, member_text(one, "scope"), member_text(one, "name"));
	}
}

/* Ends the line of the queue. */
static void show_oldest(const json_t *queue)
{
	json_int_t down = member_int(queue, "destinations_down");
	json_int_t all = member_int(queue, "destinations");
	char age[32];

	if (json_object_get(queue, "oldest_age_s")) {
		printf("; the oldest came %s ago, at ",
			age_text(member_int(queue, "oldest_age_s"), age));
		text(member_text(queue, "oldest"));
	}
	putchar('\n');
	if (!down)
		return;
	line("down");
	printf("%lld of ", (long long)down);
	count(all, "destination", "destinations");
	puts(" (see queue summary)");
}

/* A message is in as many as it has destinations. */
static void show_units(const json_t *queue)
{
	static const char *const states[][2] = {
		{"ready", "ready"},
		{"active", "being delivered"},
		{"deferred", "deferred"},
		{"held", "held"},
		{"paused", "paused"},
		{"down", "waiting for destinations that are down (see queue summary)"},
	};
	const char *before = ": ";
	json_int_t all = 0;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		all += member_int(queue, states[i][0]);
	if (!all)
		return;
	fputs(", in ", stdout);
	count(all, "unit", "units");
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		json_int_t n = member_int(queue, states[i][0]);

		if (!n)
			continue;
		printf("%s%lld %s", before, (long long)n, states[i][1]);
		before = ", ";
	}
}

static void show_delivery(const json_t *status, const json_t *role)
{
	const json_t *queue = json_object_get(role, "queue"),
		     *work = json_object_get(role, "delivery");
	const json_t *spool = json_object_get(role, "spool");
	const json_t *disk = json_object_get(status, "spool_disk");
	char size[32];

	line("queue");
	count(member_int(queue, "messages"), "message", "messages");
	show_units(queue);
	part(queue, "damaged", "damaged on disk (see queue list)");
	fputs(json_is_false(json_object_get(role, "loaded")) ? " (still loading)" : "", stdout);
	show_oldest(json_object_get(status, "queue"));
	line("delivery");
	count(member_int(work, "attempts"), "attempt", "attempts");
	fputs(": ", stdout);
	count(member_int(work, "delivered"), "recipient delivered", "recipients delivered");
	part(work, "deferred", "deferred");
	part(work, "failed", "failed");
	part(work, "expired", "given up");
	part(work, "discarded", "discarded");
	part(work, "notifications", "notifications made");
	part(work, "sessions_now",
		member_int(work, "sessions_now") == 1 ? "connection open" : "connections open");
	putchar('\n');
	line("spool");
	printf("%s in ", size_text(member_int(spool, "file_bytes"), size));
	count(member_int(spool, "files"), "file", "files");
	if (disk)
		printf(", %s free", size_text(member_int(disk, "free_bytes"), size));
	fputs("; journal ", stdout);
	word(member_text(role, "journal"), "unknown");
	putchar('\n');
}

static void show_dnssec(const json_t *role)
{
	static const char *const words[][2] = {
		{"validated", "DNS answers are validated"},
		{"not-validated", "what the DNS servers say cannot be validated: no link is "
				  "protected by DANE "
				  "(see the log)"},
		{"unknown", "not known (yet) whether DNS answers can be validated: until then no "
			    "link is protected by DANE"},
	};
	const char *state = member_text(role, "dnssec");

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(state, words[i][0]) == 0) {
			line("dnssec");
			printf("%s\n", words[i][1]);
		}
}

static const char *health_text(const json_t *role)
{
	static const char *const words[][2] = {
		{"well", "well"},
		{"full", "full: mail is refused with 452, new connections with 421"},
		{"sick", "sick: mail is refused with 451, new connections with 421"},
	};
	const char *health = member_text(json_object_get(role, "spool"), "health");

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(health, words[i][0]) == 0)
			return words[i][1];
	return "unknown";
}

static void show_worker(const char *name, const json_t *role)
{
	const json_t *refused = json_object_get(role, "refused");
	json_int_t all = 0;
	const char *why;
	json_t *n;
	char size[32];

	json_object_foreach((json_t *)refused, why, n)
	{
		json_int_t some = MAX(json_integer_value(n), (json_int_t)0);
		all = some > INT64_MAX - all ? INT64_MAX : all + some;
	}
	printf("%-*s", NAME_COLUMN, name);
	count(member_int(role, "sessions"), "session", "sessions");
	fputs(" open, ", stdout);
	count(member_int(role, "messages"), "message", "messages");
	printf(" (%s) taken in", size_text(member_int(role, "bytes"), size));
	if (all)
		printf(", %lld refused", (long long)all);
	printf("; spool %s\n", health_text(role));
}

/* The workers by their number, as far as they answered. */
static void show_roles(const struct ctl *ctl, const json_t *status)
{
	const json_t *roles = json_object_get(status, "roles");
	const json_t *delivery = json_object_get(roles, "delivery");
	char name[32];

	if (json_object_get(delivery, "queue")) {
		show_delivery(status, delivery);
		show_dnssec(delivery);
	} else {
		line("queue");
		fputs("unknown: ", stdout);
		word(member_text(delivery, "problem"), "delivery does not answer; see the log");
		putchar('\n');
	}
	for (unsigned i = 0; i < CONFIG_WORKERS; i++) {
		snprintf(name, sizeof(name), "smtpd %u", i);
		const json_t *role = json_object_get(roles, name);

		if (json_is_object(json_object_get(role, "spool"))) {
			show_worker(name, role);
		} else if (role || (ctl->config && i < ctl->config->workers)) {
			line(name);
			word(member_text(role, "problem"), "does not answer; see the log");
			putchar('\n');
		}
	}
}

void show_status(struct ctl *ctl, const json_t *status)
{
	show_server(status);
	show_differing(status);
	show_directory(status);
	show_pauses(status);
	show_roles(ctl, status);
	if (*member_text(status, "problem")) {
		line("problem");
		text(member_text(status, "problem"));
		putchar('\n');
	}
}
