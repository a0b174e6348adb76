/* audit: who changed what. */
#include "ctl/ctl.h"

#include "base/text.h"

#include <stdio.h>

#define AUDIT_SHOWN 100
#define AUDIT_MOST  1000

static void show_audit(struct ctl *ctl, const json_t *reply)
{
	static const char *const titles[] = {"TIME", "WHO", "CHANGE"};
	struct table *table = table_new(3, titles);
	const json_t *entries = json_object_get(reply, "entries");

	(void)ctl;
	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *one = json_array_get(entries, i);
		const char *const cells[] = {member_text(one, "time"), member_text(one, "actor"),
			member_text(one, "change")};

		table_add(table, cells);
	}
	if (json_array_size(entries))
		table_print(&table);
	else
		puts("nothing was changed yet");
	if (json_is_true(json_object_get(reply, "more")))
		puts("… and more, older ones; --limit N shows more");
	table_free(&table);
}

int ctl_audit(struct ctl *ctl)
{
	const char *limit_text = ctl_option(ctl, "--limit");
	uint64_t limit = AUDIT_SHOWN;

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count)
		return ctl_usage(ctl, "audit takes only --limit N");
	if (limit_text && (text_parse_u64(span_str(limit_text), AUDIT_MOST, &limit) || !limit))
		return ctl_usage(ctl, "--limit takes a number from 1 to %d", AUDIT_MOST);
	return ctl_ask_and_show(
		ctl, json_pack("{ss, sI}", "cmd", "audit", "limit", (json_int_t)limit), show_audit);
}
