/*
 * What --help prints. The fields of objects come from the schema, so that nothing here can be out
 * of date.
 */
#include "ctl/ctl.h"

#include "base/check.h"
#include "directory/objects.h"

#include <string.h>

/* A command's lines, and more that is said when it is asked about alone. */
struct topic {
	const char *name;
	const char *lines;
	const char *more;
};

#define FILTER                                                                                    \
	"\nA filter is made of terms: state=deferred sender=a@b.example recipient=*@c.example "   \
	"domain=d.example\n"                                                                      \
	"transport=site-a destination=e.example client=192.0.2.0/24 age>2h size<10M attempts>=3 " \
	"priority=yes\n"                                                                          \
	"reason~timeout, side by side (and), or, not, and parentheses. States: ready, active, "   \
	"deferred, held,\n"                                                                       \
	"paused, down. Everything: age>=0s.\n"

#define OBJECTS(kind)                                                                   \
	"  " kind " add NAME FIELD=VALUE …\n"                                         \
	"  " kind " set NAME FIELD=VALUE …     (an empty value: the default again)\n" \
	"  " kind " show NAME | list | remove NAME\n"                                   \
	"  " kind " pause NAME [--reason TEXT] | resume NAME\n"

#define REMOVING                                                                                  \
	"\nWith --dry-run, add, set and remove only say what would change. remove refuses while " \
	"messages in\n"                                                                           \
	"the queue go by what is removed; with --force it does not look.\n"

static const struct topic topics[] = {
	{"check",
		"  check [-f objects.yaml]          check the start file, and objects (those of "
		"the "
		"file, or those\n"
		"                                   of the running server), without changing "
		"anything\n",
		""},
	{"status",
		"  status                           what runs, how much is queued, how the spool "
		"is\n",
		""},
	{"apply",
		"  apply -f objects.yaml [--prune] [--dry-run]\n"
		"                                   make the directory be as the file says; all or "
		"nothing\n",
		"\n--prune also removes what is not in the file; --dry-run only says what would "
		"change.\n"},
	{"export", "  export                           print the directory as such a file\n", ""},
	{"transport", OBJECTS("transport"), REMOVING},
	{"domain", OBJECTS("domain"), REMOVING},
	{"account", "  account add ADDRESS | show ADDRESS | list | remove ADDRESS\n",
		"\nThe address must be in a domain with mailboxes: true.\n" REMOVING},
	{"priority", "  priority add FIELD=VALUE … | list | remove RULE\n",
		"\nAll fields of a rule must match. RULE is what priority list shows first.\n"},
	{"settings", "  settings set FIELD=VALUE … | show\n", ""},
	{"audit", "  audit [--limit N]                who changed what, newest first\n", ""},
	{"queue",
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
		"\n\"-\" reads ids from standard input; --dry-run only counts what would be "
		"changed. A filter with\n"
		"recipient= or domain= is for these recipients alone.\n" FILTER},
	{"trace",
		"  trace QUERY [--limit N]          what happened to mail: an id, address, "
		"@domain, IP, "
		"key=value words\n",
		"\nWords that must all fit: an id, an address, @domain, an IP address, or sender= "
		"recipient= client=\n"
		"event= transport= destination= since= until= with a value. A client is an address "
		"or a network\n"
		"(192.0.2.0/24). Events: Reception, Rejection, Delivery, TransientFailure, Bounce, "
		"Expiration,\n"
		"Discard, Delay, Relayed, AdminAction, Damage. Times are dates, "
		"2026-11-21T08:00:00Z,\n"
		"or how long ago: since=2h. A value or text with blanks is put in double quotes, "
		"where "
		"\\\" is a quote:\n"
		"posternctl trace 'sender=\"a b\"@x.example since=2h \"connection refused\"'\n"},
	{"explain",
		"  explain --client IP --from A --to B [--user U] [--listener L] [--tls]\n"
		"                                   what would happen to such a message, rule by "
		"rule\n",
		""},
	{"spool",
		"  spool verify                     read and check every stored message; changes "
		"nothing,\n"
		"                                   needs no server\n",
		""},
};

static const char head[] =
	"usage: posternctl [-c postern.yaml] [--json] [--wait SECONDS] COMMAND …\n\n";

static const char tail[] =
	"\n"
	"  -c FILE     the start file (default " DEFAULT_CONFIG ")\n"
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

bool help_command(const char *name)
{
	static const struct {
		const char *name;
		enum object_kind kind;
	} kinds[] = {{"transport", OBJECT_TRANSPORT}, {"domain", OBJECT_DOMAIN},
		{"account", OBJECT_ACCOUNT}, {"priority", OBJECT_PRIORITY},
		{"settings", OBJECT_SETTINGS}};

	for (size_t i = 0; i < ARRAY_SIZE(topics); i++) {
		if (strcmp(name, topics[i].name) != 0)
			continue;
		fputs("usage: posternctl [-c postern.yaml] [--json] …\n\n", stdout);
		fputs(topics[i].lines, stdout);
		fputs(topics[i].more, stdout);
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
			if (strcmp(name, kinds[k].name) == 0)
				put_fields(kinds[k].kind);
		return true;
	}
	return false;
}
