/*
 * A start file and an objects file of any bytes. What is taken as objects must come out of export
 * in a form that changes nothing when it is applied, and must make a snapshot that opens. A start
 * file that is taken stands beside a few objects then.
 */
#include "base/check.h"
#include "directory/check.h"
#include "directory/config.h"
#include "directory/objects.h"
#include "directory/snapshot_build.h"

#include <stdint.h>

#define TEXT_BYTES (1u << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *context, const struct check_finding *finding)
{
	(void)context;
	(void)finding;
}

static void check_round_trip(const struct objects *objects)
{
	const struct plan_options options = {.now_ms = 2, .prune = true};
	struct buf text, problems;
	struct plan *plan;

	buf_init(&text, TEXT_BYTES);
	buf_init(&problems, TEXT_BYTES);
	objects_export(objects, &text);
	CHECK(buf_ok(&text));
	CHECK(objects_plan_apply(objects, "export", buf_span(&text), &options, &problems, &plan) ==
		0);
	CHECK(plan_count(plan) == 0);
	CHECK(plan_secret_count(plan) == 0);
	plan_free(&plan);
	buf_done(&text);
	buf_done(&problems);
}

/* Each alias is found; so is each relay policy. */
static void check_who(const struct objects *objects, const struct snapshot *snapshot)
{
	for (size_t i = 0; i < objects_count(objects, OBJECT_ALIAS); i++) {
		struct span name = objects_at(objects, OBJECT_ALIAS, i)->name;
		uint32_t index, count;
		CHECK(snapshot_alias(snapshot, name, &index, &count) == 0 && count > 0);
	}
	for (size_t i = 0; i < objects_count(objects, OBJECT_RELAY); i++) {
		struct relay relay;
		CHECK(snapshot_relay(
			      snapshot, objects_at(objects, OBJECT_RELAY, i)->name, &relay) == 0);
	}
}

static void check_snapshot(const struct objects *objects)
{
	struct snapshot *snapshot;
	struct buf bytes;

	buf_init(&bytes, SNAPSHOT_BYTES);
	CHECK(snapshot_encode(objects, 1, &bytes) == 0);
	CHECK(snapshot_from_bytes(buf_span(&bytes), &snapshot) == 0);
	for (size_t i = 0; i < objects_count(objects, OBJECT_DOMAIN); i++) {
		struct domain domain;
		CHECK(snapshot_domain(
			      snapshot, objects_at(objects, OBJECT_DOMAIN, i)->name, &domain) == 0);
	}
	check_who(objects, snapshot);
	snapshot_release(&snapshot);
	buf_done(&bytes);
}

/* Objects that ask much of a start file; taken or not. */
static void try_start(const struct config *config)
{
	static const char text[] =
		"transports: { t: { server: a.example, tls: verify, tls-ca: /srv/ca/a.pem } }\n"
		"relay: { mx: { policy: anyone }, s: { policy: addresses, from: \"::/0\" } }\n";
	const struct plan_options options = {.now_ms = 1, .start = config};
	struct objects *objects;
	struct buf problems;
	struct plan *plan;

	if (objects_new(&objects) < 0)
		return;
	buf_init(&problems, TEXT_BYTES);
	if (objects_plan_apply(objects, "fuzz", SPAN(text), &options, &problems, &plan) == 0) {
		struct objects *next = plan_take(&plan);
		objects_free(&objects);
		objects = next;
	}
	check_all(config, objects, false, ignore, NULL);
	buf_done(&problems);
	objects_free(&objects);
}

static void try_objects(struct span text)
{
	const struct plan_options options = {.now_ms = 1};
	struct buf problems, words;
	struct objects *objects;
	struct plan *plan;

	buf_init(&problems, TEXT_BYTES);
	buf_init(&words, TEXT_BYTES);
	if (objects_new(&objects) < 0)
		return;
	if (objects_plan_apply(objects, "fuzz", text, &options, &problems, &plan) == 0) {
		plan_add_words(plan, &words);
		struct objects *next = plan_take(&plan);
		check_round_trip(next);
		check_snapshot(next);
		check_all(NULL, next, false, ignore, NULL);
		objects_free(&next);
	} else {
		CHECK(problems.n > 0);
	}
	objects_free(&objects);
	buf_done(&problems);
	buf_done(&words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	struct buf problems;
	struct config *config;

	buf_init(&problems, TEXT_BYTES);
	if (config_parse("/etc/fuzz.yaml", text, &config, &problems) == 0) {
		try_start(config);
		config_free(&config);
	} else {
		CHECK(problems.n > 0);
	}
	buf_done(&problems);
	try_objects(text);
	return 0;
}
