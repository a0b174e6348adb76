/* tls: certificates are read again; TLS reports that are sent at once. */
#include "ctl/ctl.h"

#include <string.h>

/* ---- reload --------------------------------------------------------------------------------- */

static int reload(struct ctl *ctl)
{
	json_t *reply = ctl_ask(ctl, json_pack("{ss, ss}", "cmd", "tls", "op", "reload"));

	if (!reply)
		return EXIT_REFUSED;
	bool done = json_is_true(json_object_get(reply, "done"));
	if (!done)
		ctl_tell(ctl, member_text(reply, "text"));
	else if (ctl->json)
		show_json(ctl, reply);
	else {
		show_text(member_text(reply, "text"), true);
		putchar('\n');
		show_warnings(json_object_get(reply, "warnings"));
	}
	json_decref(reply);
	return done ? EXIT_DONE : EXIT_REFUSED;
}

/* ---- report ---------------------------------------------------------------------------------- */

static int report(struct ctl *ctl)
{
	json_t *reply = ctl_ask(ctl, json_pack("{ss, ss}", "cmd", "tls", "op", "report"));

	if (!reply)
		return EXIT_REFUSED;
	long long domains = (long long)member_int(reply, "domains");
	if (ctl->json)
		show_json(ctl, reply);
	else if (domains)
		printf("%lld domain%s had mail by lookup-mx since the last report: those that ask "
		       "for "
		       "reports get them now\n",
			domains, domains == 1 ? "" : "s");
	else
		puts("nothing was gathered since the last report");
	json_decref(reply);
	return EXIT_DONE;
}

int ctl_tls(struct ctl *ctl)
{
	static const char *const ops[] = {"show", "reload", "report", NULL};

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count != 1)
		return ctl_usage(ctl, "tls what? show, reload or report");
	if (strcmp(ctl->args[0], "reload") == 0)
		return reload(ctl);
	if (strcmp(ctl->args[0], "report") == 0)
		return report(ctl);
	if (strcmp(ctl->args[0], "show") == 0)
		return certificates_show(ctl);
	return ctl_unknown(ctl, "tls", ctl->args[0], ops);
}
