/*
 * What --help prints. The fields of objects come from the schema, so that nothing here can be out
 * of date.
 */
#include "ctl/ctl.h"

#include "base/check.h"
#include "directory/objects.h"

#include <string.h>

#define MORE 4

/* A command's lines, and more that is said when it is asked about alone. */
struct topic {
	const char *name;
	bool has_own;
	const char *lines; /* two blanks begin one of its own commands, more go on with it */
	struct {
		const char *of; /* its own commands that it is about, between blanks; NULL: all */
		const char *text;
	} more[MORE];
};

#define FILTER                                                                                   \
	"\nA filter is made of terms: state=deferred sender=a@b.example recipient=*@c.example "  \
	"domain=d.example\n"                                                                     \
	"transport=site-a destination=e.example client=192.0.2.0/24 user=ann@c.example age>2h\n" \
	"size<10M attempts>=3 priority=yes "                                                     \
	"reason~timeout, side by side (and), or, not, and parentheses. States: ready, active, "  \
	"deferred, held,\n"                                                                      \
	"paused, down. Everything: age>=0s.\n"

#define QUEUE_CHANGES " retry hold release reroute bounce delete prioritise unprioritise "
#define QUEUE_IDS     " show why" QUEUE_CHANGES
#define QUEUE_FILTERS " list" QUEUE_CHANGES

#define OBJECTS(kind)                                                                   \
	"  " kind " add NAME FIELD=VALUE …\n"                                         \
	"  " kind " set NAME FIELD=VALUE …     (an empty value: the default again)\n" \
	"  " kind " show NAME | list | remove NAME\n"                                   \
	"  " kind " pause NAME [--reason TEXT] | resume NAME\n"

#define CHANGING " add set remove "
#define REMOVING                                                                                  \
	"\nWith --dry-run, add, set and remove only say what would change. remove refuses while " \
	"messages in\n"                                                                           \
	"the queue go by what is removed; with --force it does not look.\n"

static const struct topic topics[] = {
	{"check", false,
		"  check [-f objects.yaml]          check the start file, and objects (those of "
		"the "
		"file, or those\n"
		"                                   of the running server), without changing "
		"anything\n"},
	{"status", false,
		"  status                           what runs, how much is queued, how the spool "
		"is\n"},
	{"apply", false,
		"  apply -f objects.yaml [--prune] [--dry-run]\n"
		"                                   make the directory be as the file says; all or "
		"nothing\n",
		{{NULL, "\n--prune also removes what is not in the file; --dry-run only says what "
			"would change.\n"}}},
	{"export", false, "  export [--secrets]               print the directory as such a file\n",
		{{NULL, "\n--secrets: with password hashes and the secrets of transports, which "
			"the audit then says.\n"}}},
	{"transport", true, OBJECTS("transport"),
		{{CHANGING, REMOVING},
			{" add set ",
				"\n--secret: sasl.secret is asked for, or read as a line from "
				"standard input; it is never\ntaken from the command line.\n"}}},
	{"domain", true, OBJECTS("domain"), {{CHANGING, REMOVING}}},
	{"user", true,
		"  user add ADDRESS [FIELD=VALUE …] [--no-password] [--weak]\n"
		"                                   an account and its password, which is asked "
		"for, or\n"
		"                                   read as a line from standard input\n"
		"  user password ADDRESS [--weak] | password ADDRESS --remove\n"
		"  user set ADDRESS FIELD=VALUE … | show ADDRESS | list [DOMAIN] | remove "
		"ADDRESS\n"
		"  user import FILE [--format htpasswd | passwd | shadow | dovecot] [--domain D] "
		"[--replace]\n"
		"                   [--check]       accounts with the password hashes of another "
		"program\n"
		"  user locks                       who gave wrong passwords within the last hour, "
		"and until\n"
		"                                   when they are told to try later\n"
		"  user unlock ADDRESS | CLIENT     forgets the wrong passwords of an account, or "
		"of "
		"a client's\n"
		"                                   IP address\n",
		{{" add password ", "\nA password has at least 8 characters; with --weak a shorter "
				    "one is taken.\n"},
			{" add set remove ", REMOVING},
			{" unlock ",
				"\nA client: 192.0.2.1, 2001:db8::1 (with the /64 and /48 that it "
				"is in), 2001:db8:1:2::/64,\n2001:db8:1::/48.\n"},
			{" import ", "\nLines of user:hash, any form of crypt(3). All or nothing; "
				     "--check only says what would be done.\nA user without @ is "
				     "in --domain; who is there already stays as he is without "
				     "--replace.\n"}}},
	{"account", true,
		"  account add ADDRESS [FIELD=VALUE …] | set ADDRESS FIELD=VALUE …\n"
		"  account show ADDRESS | list | remove ADDRESS      (passwords: user)\n",
		{{" add ", "\nThe address must be in a domain that is served here.\n"},
			{CHANGING, REMOVING}}},
	{"alias", true,
		"  alias add ADDRESS to=ADDRESS,… | set ADDRESS to=ADDRESS,…\n"
		"  alias show ADDRESS | list | remove ADDRESS\n",
		{{CHANGING, REMOVING}}},
	{"accept", true, "  accept set FIELD=VALUE … | show\n"},
	{"relay", true,
		"  relay show                       who may send to other domains now, and why\n"
		"  relay add LISTENER FIELD=VALUE … | set LISTENER FIELD=VALUE …\n"
		"  relay show LISTENER | list | remove LISTENER\n",
		{{CHANGING,
			"\nWithout a policy a listener relays for whoever logs in, and for this "
			"machine. --dry-run only\nsays what would change.\n"}}},
	{"priority", true, "  priority add FIELD=VALUE … | list | remove RULE\n",
		{{NULL, "\nAll fields of a rule must match. RULE is what priority list shows "
			"first.\n"}}},
	{"settings", true, "  settings set FIELD=VALUE … | show\n"},
	{"audit", false, "  audit [--limit N]                who changed what, newest first\n"},
	{"queue", true,
		"  queue list [FILTER] [--limit N] [--sort age | size | attempts | next-try | "
		"give-up]\n"
		"                                   what is queued, and why it is not delivered "
		"yet\n"
		"  queue show ID … | why ID …       one message, or several\n"
		"  queue show ID --header | --body  the message itself\n"
		"  queue summary [destination | transport] [--ages]\n"
		"  queue retry | hold | release | bounce | delete ID … | - | FILTER [--reason "
		"TEXT]\n"
		"  queue reroute ID … | - | FILTER --transport NAME   (--transport '' undoes it)\n"
		"  queue prioritise | unprioritise ID … | - | FILTER\n"
		"  queue probe DOMAIN | TRANSPORT               asks what is down at once\n"
		"  queue pause [--reason TEXT] | resume         all deliveries\n",
		{{QUEUE_IDS, "\n\"-\" reads ids from standard input.\n"},
			{QUEUE_CHANGES,
				"\n--dry-run only counts what would be changed. A filter with "
				"recipient= or domain= is for\nthese recipients alone.\n"},
			{QUEUE_FILTERS, FILTER}}},
	{"trace", false,
		"  trace QUERY [--limit N]          what happened to mail: an id, address, "
		"@domain, IP, "
		"key=value words\n",
		{{NULL, "\nWords that must all fit: an id, an address, @domain, an IP address, or "
			"sender= "
			"recipient= client= user=\n"
			"auth= (the mechanism) relay= (by what right: login, certificate, from, "
			"...) listener=\n"
			"protocol= tls= event= transport= destination= since= until= with a value. "
			"An address alone\n"
			"is that of a sender or a recipient; failed logins are found by user=. A "
			"client is an address\n"
			"or a network (192.0.2.0/24). Events: Reception, Rejection, Delivery, "
			"TransientFailure, "
			"Bounce, "
			"Expiration,\n"
			"Discard, Delay, Relayed, AdminAction, Damage. Times are dates, "
			"2026-11-21T08:00:00Z,\n"
			"or how long ago: since=2h. A value or text with blanks is put in double "
			"quotes, "
			"where "
			"\\\" is a quote:\n"
			"posternctl trace 'sender=\"a b\"@x.example since=2h \"connection "
			"refused\"'\n"}}},
	{"explain", false,
		"  explain --client IP --from A --to B [--user U] [--listener L] [--tls] "
		"[--certificate C]\n"
		"                                   what would happen to such a message, rule by "
		"rule\n",
		{{NULL, "\nThe user has logged in with the right password; --tls: after STARTTLS. "
			"--certificate: \"verified\"\n"
			"by the listener's client-ca, or the sha256: fingerprint of the client's "
			"certificate or its key.\n"
			"Without --listener it is the first one of the start file.\n"}}},
	{"tls", true,
		"  tls show                         the certificates of listeners, and when they "
		"end\n"
		"  tls reload                       read certificates and keys again now\n"
		"  tls report                       send what was gathered for TLS reports now\n"},
	{"spool", true,
		"  spool verify                     read and check every stored message; changes "
		"nothing,\n"
		"                                   needs no server\n"},
};

static const char head[] =
	"usage: posternctl [-c postern.yaml] [--socket PATH] [--json] [--wait SECONDS] COMMAND "
	"…\n\n";

static const char tail[] =
	"\n"
	"  -c FILE     the start file (default " DEFAULT_CONFIG ")\n"
	"  --socket P  the control socket, in place of the one that the start file names\n"
	"  --json      print replies as JSON\n"
	"  --wait N    wait so many seconds for a server that is just being started\n"
	"  --help, --version\n"
	"\n"
	"posternctl COMMAND --help says more: fields, filters, queries.\n"
	"Exit codes: 0 done, 1 refused with the reason, 2 wrong usage. More: man posternctl.\n";

void help_all(FILE *to)
{
	fputs(head, to);
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		fputs(topics[i].lines, to);
	fputs(tail, to);
}

static void put_fields(enum object_kind kind)
{
	const struct schema *schema = object_schema(kind);
	struct buf allowed;

	buf_init(&allowed, 4096);
	if (schema->count)
		puts("\nFields:");
	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_field *field = &schema->fields[i];

		buf_clear(&allowed);
		schema_add_allowed(&allowed, field);
		printf("  %-24s %s\n  %-24s %.*s%s%s%s\n", field->name, field->doc, "",
			(int)allowed.n, allowed.n ? allowed.p : "",
			field->required ? "; required" : "",
			field->value && *field->value ? "; default " : "",
			field->value ? field->value : "");
	}
	buf_done(&allowed);
}

/* A line of usage names it. */
static bool has_word(struct span line, struct span word)
{
	while (line.n) {
		size_t n = span_find(line, ' ');

		if (span_equal(span_of(line.p, n), word))
			return true;
		line = span_skip(line, MIN(n + 1, line.n));
	}
	return false;
}

/* The lines about one of a command's own, or, of none, all. */
static void put_lines(const char *lines, const char *own)
{
	struct span rest = span_str(lines);
	bool fits = false;

	while (rest.n) {
		size_t n = MIN(span_find(rest, '\n') + 1, rest.n);
		struct span line = span_of(rest.p, n);

		if (n > 2 && line.p[2] != ' ')
			fits = !own || has_word(span_of(line.p, n - 1), span_str(own));
		if (fits)
			fwrite(line.p, 1, n, stdout);
		rest = span_skip(rest, n);
	}
}

static bool is_of(const struct topic *topic, const char *own)
{
	struct span rest = span_str(topic->lines);

	while (rest.n) {
		size_t n = span_find(rest, '\n');

		if (n > 2 && rest.p[2] != ' ' && has_word(span_of(rest.p, n), span_str(own)))
			return true;
		rest = span_skip(rest, MIN(n + 1, rest.n));
	}
	return false;
}

static bool is_about(const char *list, const char *own)
{
	return !list || !own || has_word(span_str(list), span_str(own));
}

bool help_command(const char *name, const char *own)
{
	static const struct {
		const char *name;
		enum object_kind kind;
	} kinds[] = {{"transport", OBJECT_TRANSPORT}, {"domain", OBJECT_DOMAIN},
		{"account", OBJECT_ACCOUNT}, {"user", OBJECT_ACCOUNT}, {"alias", OBJECT_ALIAS},
		{"accept", OBJECT_ACCEPT}, {"relay", OBJECT_RELAY}, {"priority", OBJECT_PRIORITY},
		{"settings", OBJECT_SETTINGS}};
	const struct topic *topic = topics;

	while (topic < topics + ARRAY_SIZE(topics) && strcmp(name, topic->name) != 0)
		topic++;
	if (topic == topics + ARRAY_SIZE(topics) || (own && topic->has_own && !is_of(topic, own)))
		return false;
	if (!topic->has_own)
		own = NULL;
	fputs("usage: posternctl [-c postern.yaml] [--json] …\n\n", stdout);
	put_lines(topic->lines, own);
	for (size_t i = 0; i < MORE && topic->more[i].text; i++)
		if (is_about(topic->more[i].of, own))
			fputs(topic->more[i].text, stdout);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		if (strcmp(name, kinds[k].name) == 0 && is_about(" add set ", own))
			put_fields(kinds[k].kind);
	return true;
}
