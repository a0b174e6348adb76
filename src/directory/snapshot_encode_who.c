/* Who may relay, who counts as local, and what aliases mean: into a snapshot. */
#include "base/check.h"
#include "directory/range.h"
#include "directory/snapshot_encoder.h"

#include <stdlib.h>
#include <string.h>

static uint32_t gathered_count(const struct encoder *e, enum encoder_gathered what, size_t bytes)
{
	return (uint32_t)(e->gathered[what].n / bytes);
}

void encoder_pins(struct encoder *e, struct span list, uint32_t *first, uint32_t *count)
{
	struct snapshot_pin_record r;

	*first = gathered_count(e, GATHER_PINS, sizeof(r));
	*count = 0;
	while (list.n) {
		CHECK(pin_parse(schema_list_next(&list), r.hash) == 0); /* the schema saw to it */
		buf_add(&e->gathered[GATHER_PINS], &r, sizeof(r));
		(*count)++;
	}
}

/* ---- relay policies -------------------------------------------------------------------------- */

static void add_range(struct encoder *e, const struct address_range *range)
{
	struct snapshot_range_record r;

	r.first.family = range->first.family;
	r.last.family = range->last.family;
	memcpy(r.first.ip, range->first.ip, sizeof(r.first.ip));
	memcpy(r.last.ip, range->last.ip, sizeof(r.last.ip));
	buf_add(&e->gathered[GATHER_RANGES], &r, sizeof(r));
}

/* Sorted and merged, whatever order they were given in. */
static void add_ranges(struct encoder *e, struct span list, uint32_t *first, uint32_t *count)
{
	struct span rest = list;
	uint32_t room = 0;

	while (rest.n) {
		schema_list_next(&rest);
		room++;
	}
	*first = gathered_count(e, GATHER_RANGES, sizeof(struct snapshot_range_record));
	*count = 0;
	if (room == 0)
		return;
	struct address_range *ranges = malloc(room * sizeof(*ranges));
	if (!ranges) {
		e->gathered[GATHER_RANGES].overflow = true;
		return;
	}
	for (uint32_t i = 0; i < room; i++)
		CHECK(range_parse(schema_list_next(&list), &ranges[i], NULL) == 0);
	*count = range_merge(ranges, room);
	for (uint32_t i = 0; i < *count; i++)
		add_range(e, &ranges[i]);
	free(ranges);
}

static void add_relay(struct encoder *e, const struct object *object)
{
	const struct object_relay *relay = object_relay(object);
	struct snapshot_relay_record r = {
		.name = encoder_text(e, object->name),
		.certificates = encoder_text(e, relay->certificates),
		.policy = (uint32_t)relay->policy,
		.advertise_auth = relay->advertise_auth,
		.senders = (uint32_t)relay->senders,
	};

	add_ranges(e, relay->from, &r.from, &r.from_count);
	add_ranges(e, relay->to, &r.to, &r.to_count);
	buf_add(e->out, &r, sizeof(r));
}

/* ---- aliases --------------------------------------------------------------------------------- */

static void add_alias(struct encoder *e, const struct object *object)
{
	struct span rest = object_alias(object)->to;
	struct snapshot_alias_record r = {
		.name = encoder_text(e, object->name),
		.targets = gathered_count(
			e, GATHER_ALIAS_TARGETS, sizeof(struct snapshot_name_record)),
	};

	encoder_hash_as(e, OBJECT_ALIAS, object->name);
	encoder_hash_as(e, OBJECT_ALIAS, rest);
	for (; rest.n; r.target_count++) {
		struct snapshot_name_record target = {encoder_text(e, schema_list_next(&rest))};
		buf_add(&e->gathered[GATHER_ALIAS_TARGETS], &target, sizeof(target));
	}
	buf_add(e->out, &r, sizeof(r));
}

/* ---- the accept table ------------------------------------------------------------------------ */

static void add_names(struct encoder *e, enum snapshot_section section, struct span list)
{
	uint32_t count = 0;

	encoder_begin(e, section, 0);
	for (; list.n; count++) {
		struct snapshot_name_record r = {encoder_text(e, schema_list_next(&list))};
		buf_add(e->out, &r, sizeof(r));
	}
	e->header.sections[section].count = count;
}

void encoder_who(struct encoder *e)
{
	const struct object_accept *accept = objects_accept(e->objects);

	encoder_records(e, SECTION_ALIASES, OBJECT_ALIAS, add_alias);
	encoder_records(e, SECTION_RELAYS, OBJECT_RELAY, add_relay);
	add_names(e, SECTION_ACCEPT_HOSTS, accept ? accept->hosts : SPAN_NONE);
	add_names(e, SECTION_ACCEPT_USERS, accept ? accept->users : SPAN_NONE);
}
