#include "admin/core.h"

#include "base/check.h"

static const struct {
	const char *name;
	void (*run)(struct door *door);
} commands[] = {
	{"status", cmd_status},
	{"check", cmd_check},
	{"apply", cmd_apply},
	{"export", cmd_export},
	{"object", cmd_object},
	{"pause", cmd_pause},
	{"resume", cmd_resume},
	{"audit", cmd_audit},
	{"queue", cmd_queue},
	{"trace", cmd_trace},
	{"explain", cmd_explain},
	{"relay", cmd_relay},
	{"user", cmd_user},
	{"import", cmd_import},
	{"tls", cmd_tls},
};

struct span request_text(const struct door *door, const char *key)
{
	const json_t *value = json_object_get(door->request, key);

	return json_is_string(value) ? span_of(json_string_value(value), json_string_length(value))
				     : SPAN_NONE;
}

bool request_flag(const struct door *door, const char *key)
{
	return json_is_true(json_object_get(door->request, key));
}

uint32_t request_number(const struct door *door, const char *key, uint32_t unless)
{
	json_int_t value = json_integer_value(json_object_get(door->request, key));

	return value > 0 && value <= UINT32_MAX ? (uint32_t)value : unless;
}

void put_lines(struct json_write *json, const char *key, struct span lines)
{
	json_open_array(json, key);
	while (lines.n) {
		size_t end = span_find(lines, '\n');

		if (end)
			json_put_string(json, NULL, span_of(lines.p, end));
		lines = span_skip(lines, end + 1);
	}
	json_close_array(json);
}

void dispatch(struct door *door)
{
	struct span name = request_text(door, "cmd");

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (span_equal(name, span_str(commands[i].name))) {
			commands[i].run(door);
			return;
		}
	}
	door_refuse(
		door, "cmd: unknown; this server and its posternctl may be of different versions");
}
