/* check: what an administrator should know of the directory, as it is or as a file would make it.
 */
#include "directory/check.h"

#include "admin/core.h"
#include "base/check.h"
#include "base/err.h"
#include "route/relay.h"

#define FINDING_BYTES 8192 /* the path of a file is in it */

static void each_finding(void *context, const struct check_finding *finding)
{
	struct json_write *json = context;

	json_open_object(json, NULL);
	json_put_str(json, "severity", check_severity_name(finding->severity));
	json_put_string(json, "about", finding->about);
	json_put_string(json, "text", finding->text);
	json_close_object(json);
}

static void put_anchors(struct door *door, const struct objects *objects)
{
	struct buf about, text;
	uint32_t told = 0;

	buf_init(&about, FINDING_BYTES);
	buf_init(&text, FINDING_BYTES);
	for (size_t i = 0; i < objects_count(objects, OBJECT_TRANSPORT); i++) {
		const struct object *one = objects_at(objects, OBJECT_TRANSPORT, i);

		if (told == CHECK_FINDINGS_PER_KIND || !anchors_add_words(door, one, &text))
			continue;
		buf_add_str(&about, "transport ");
		buf_add_span(&about, one->name);
		each_finding(&door->json,
			&(struct check_finding){CHECK_WARNING, buf_span(&about), buf_span(&text)});
		buf_clear(&about);
		buf_clear(&text);
		told++;
	}
	buf_done(&about);
	buf_done(&text);
}

/* Those that count now are in the snapshot. Without memory for another one, that is all that could
 * not be looked at. */
static void relay_findings(struct door *door, const struct objects *objects)
{
	const struct admin *admin = door->admin;
	const struct config *start = admin->config.config;

	if (objects == directory_objects(admin->directory))
		relay_check(admin->snapshot, start, each_finding, &door->json);
	else if (relay_check_objects(objects, start, each_finding, &door->json))
		each_finding(&door->json, &(struct check_finding){CHECK_WARNING, SPAN("relay"),
						  SPAN("out of memory: who may relay was not "
						       "looked at")});
}

static void check(struct door *door, const struct objects *objects)
{
	struct buf paths;

	anchors_begin(&paths);
	for (size_t i = 0; i < objects_count(objects, OBJECT_TRANSPORT); i++)
		anchors_add(&paths, objects_at(objects, OBJECT_TRANSPORT, i));
	if (anchors_first(door, &paths))
		return;
	json_open_object(&door->json, NULL);
	json_open_array(&door->json, "findings");
	check_all(door->admin->config.config, objects, request_flag(door, "as_root"), each_finding,
		&door->json);
	relay_findings(door, objects);
	put_anchors(door, objects);
	json_close_array(&door->json);
	config_add_json(&door->json, "start_file", door->admin->config.config);
	json_close_object(&door->json);
	door_reply(door);
}

/* As they would be after the file was applied: what it does not name stays. */
static void check_file(struct door *door)
{
	struct plan *plan = NULL;
	struct buf problems;

	buf_init(&problems, 1u << 20);
	int err = apply_plan(door, &problems, &plan);
	if (err) {
		refuse_lines(door, err, &problems);
	} else {
		struct objects *objects = plan_take(&plan);

		check(door, objects);
		objects_free(&objects);
	}
	buf_done(&problems);
}

void cmd_check(struct door *door)
{
	if (json_object_get(door->request, "text"))
		check_file(door);
	else
		check(door, directory_objects(door->admin->directory));
}
