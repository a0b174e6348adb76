/* queue list: what is queued, and for each part of it why it has not been delivered yet. */
#include "ctl/queue.h"

#include "base/check.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_PAGE 200	 /* messages asked for at a time */
#define LIST_MOST 100	 /* messages listed unless asked for otherwise */
#define SORT_MOST 100000 /* messages that are sorted */

/* ---- order ---------------------------------------------------------------------------------- */

static json_int_t size_of(const json_t *message)
{
	return -member_int(message, "size");
}

static json_int_t age_of(const json_t *message)
{
	return -member_int(message, "age_s");
}

static json_int_t attempts_of(const json_t *message)
{
	const json_t *units = json_object_get(message, "units");
	json_int_t most = 0;

	for (size_t i = 0; i < json_array_size(units); i++)
		most = MAX(most, member_int(json_array_get(units, i), "attempts"));
	return -most;
}

/* Times sort as text. */
static const char *soonest(const json_t *message, const char *key)
{
	const json_t *units = json_object_get(message, "units");
	const char *first = "~"; /* never: behind all digits */

	for (size_t i = 0; i < json_array_size(units); i++) {
		const char *time = member_text(json_array_get(units, i), key);

		if (*time && strcmp(time, first) < 0)
			first = time;
	}
	return first;
}

static const char *gives_up_of(const json_t *message)
{
	return soonest(message, "gives_up");
}

static const char *next_of(const json_t *message)
{
	return soonest(message, "next_try");
}

static const struct order {
	const char *name;
	json_int_t (*number)(const json_t *message); /* the smallest first … */
	const char *(*text)(const json_t *message);  /* … or the first as text */
} orders[] = {
	{"age", age_of, NULL},
	{"size", size_of, NULL},
	{"attempts", attempts_of, NULL},
	{"next-try", NULL, next_of},
	{"give-up", NULL, gives_up_of},
};

static const struct order *find_order(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		if (strcmp(orders[i].name, name) == 0)
			return &orders[i];
	return NULL;
}

static int compare(const void *a, const void *b, void *with)
{
	const json_t *one = *(json_t *const *)a, *other = *(json_t *const *)b;
	const struct order *order = with;
	int by = 0;

	if (order->number) {
		json_int_t x = order->number(one), y = order->number(other);

		by = x < y ? -1 : x > y;
	} else {
		by = strcmp(order->text(one), order->text(other));
	}
	return by ? by : strcmp(member_text(one, "id"), member_text(other, "id"));
}

/* A sorted array of the first `most`. */
static json_t *sorted(const struct ctl *ctl, json_t *all, const struct order *order, size_t most)
{
	size_t n = json_array_size(all);
	json_t **list = malloc((n + 1) * sizeof(json_t *)), *out = json_array();

	if (!list)
		ctl_no_memory(ctl);
	for (size_t i = 0; i < n; i++)
		list[i] = json_array_get(all, i);
	qsort_r(list, n, sizeof(json_t *), compare, (void *)(uintptr_t)order);
	for (size_t i = 0; i < n && i < most; i++)
		json_array_append(out, list[i]);
	free(list);
	json_decref(all);
	return out;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void first_recipient(const json_t *unit, char out[300])
{
	const json_t *list = json_object_get(unit, "recipients");
	const char *one = json_string_value(json_array_get(list, 0));
	json_int_t count = member_int(unit, "recipient_count");

	if (count > 1)
		snprintf(out, 300, "%.200s +%lld", one ? one : "?", (long long)count - 1);
	else
		snprintf(out, 300, "%.250s", one ? one : "?");
}

static void add_rows(struct table *table, const json_t *messages)
{
	for (size_t i = 0; i < json_array_size(messages); i++) {
		const json_t *message = json_array_get(messages, i);
		const json_t *units = json_object_get(message, "units");
		const char *sender = member_text(message, "sender");

		for (size_t k = 0; k < json_array_size(units); k++) {
			const json_t *unit = json_array_get(units, k);
			char size[32], age[32], to[300];

			first_recipient(unit, to);
			const char *const cells[] = {k ? "" : member_text(message, "id"),
				k ? "" : age_text(member_int(message, "age_s"), age),
				k ? "" : size_text(member_int(message, "size"), size),
				k	  ? ""
				: *sender ? sender
					  : "<>",
				to, member_text(unit, "state"), member_text(unit, "gives_up"),
				member_text(unit, "why")};

			table_add(table, cells);
		}
	}
}

static void show_rows(const json_t *messages)
{
	static const char *const titles[] = {
		"ID", "AGE", "SIZE", "SENDER", "RECIPIENT", "STATE", "GIVES UP", "WHY"};
	struct table *table = table_new(ARRAY_SIZE(titles), titles);

	add_rows(table, messages);
	table_print(&table);
}

/* ---- asking --------------------------------------------------------------------------------- */

struct listing {
	char *filter;
	uint64_t limit; /* messages that are shown */
	const struct order *order;
	json_t *all;
	bool more;
};

/* Takes what there is, up to `most`; false: refused, and said why. */
static bool fetch(struct ctl *ctl, struct listing *listing, uint64_t most)
{
	char after[32] = "";

	do {
		json_t *request = queue_request("list");
		uint64_t page = MIN(most - json_array_size(listing->all), (uint64_t)LIST_PAGE);

		queue_put(request, "filter", listing->filter);
		queue_put(request, "after", after);
		queue_put_json(request, "limit", json_integer((json_int_t)page));
		json_t *reply = ctl_ask(ctl, request);

		if (!reply)
			return false;
		json_array_extend(listing->all, json_object_get(reply, "messages"));
		snprintf(after, sizeof(after), "%s", member_text(reply, "after"));
		listing->more = after[0] != '\0';
		json_decref(reply);
	} while (listing->more && json_array_size(listing->all) < most);
	return true;
}

static int list(struct ctl *ctl, struct listing *listing)
{
	if (!fetch(ctl, listing, listing->order ? SORT_MOST : listing->limit))
		return EXIT_REFUSED;
	if (listing->order && listing->more)
		return ctl_refuse(ctl,
			"more than %d messages fit: too many to be sorted; a filter such "
			"as age>2h finds fewer",
			SORT_MOST);
	if (listing->order) {
		listing->more = json_array_size(listing->all) > listing->limit;
		listing->all = sorted(ctl, listing->all, listing->order, (size_t)listing->limit);
	}
	if (ctl->json) {
		json_t *reply = json_pack("{sO, sb, sI}", "messages", listing->all, "more",
			listing->more, "limit", (json_int_t)listing->limit);

		show_json(ctl, reply);
		json_decref(reply);
		return EXIT_DONE;
	}
	if (json_array_size(listing->all))
		show_rows(listing->all);
	else
		puts("nothing is queued that fits");
	if (listing->more)
		printf("… and more; --limit %llu shows more of them\n",
			(unsigned long long)listing->limit * 10);
	return EXIT_DONE;
}

int queue_list(struct ctl *ctl)
{
	const char *limit = ctl_option(ctl, "--limit"), *sort = ctl_option(ctl, "--sort");
	struct listing listing = {.limit = LIST_MOST};

	if (limit && (text_parse_u64(span_str(limit), 100000000, &listing.limit) || !listing.limit))
		return ctl_usage(ctl, "--limit takes a number from 1 on");
	listing.order = sort ? find_order(sort) : NULL;
	if (sort && !listing.order)
		return ctl_usage(ctl, "--sort takes age, size, attempts, next-try or give-up");
	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	listing.filter = ctl_joined(ctl, 1);
	listing.all = json_array();
	int code =
		queue_all_utf8(ctl, listing.filter, NULL, NULL) ? list(ctl, &listing) : EXIT_USAGE;

	free(listing.filter);
	json_decref(listing.all);
	return code;
}
