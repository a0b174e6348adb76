/*
 * One line of a trace file, in each pass. It is first sifted with a plain search for the bytes of
 * one word, so that only likely ones are parsed as JSON.
 */
#include "base/check.h"
#include "base/text.h"
#include "trace/search_pass.h"

/* NULL, and counted: what the crash of a role, or worse, left in its file is no event. */
static json_t *parse_line(struct pass *p, struct span line)
{
	json_error_t error;
	json_t *object = json_loadb(line.p, line.n, 0, &error);
	bool event = search_is_event(object);

	if (event && search_role_may_tell(&p->file->role, object))
		return object;
	json_decref(object);
	p->bad.forged += event;
	p->bad.lines += !event;
	return NULL;
}

static bool line_matches(struct pass *p, struct span line, uint64_t *id)
{
	if (!search_may_match(p->search, line))
		return false;
	json_t *object = parse_line(p, line);

	if (!object)
		return false;
	bool matches = search_matches(p->search, object, line);

	if (matches && text_parse_id(json_text(object, "id"), id))
		*id = 0;
	json_decref(object);
	return matches;
}

/* The id as the writer puts it: third member at the latest, never later than this. */
static bool line_id(struct span line, uint64_t *id)
{
	static const char key[] = ",\"id\":\"";
	const char *at = memmem(line.p, MIN(line.n, 100), key, sizeof(key) - 1);

	if (!at)
		return false;
	struct span rest = span_skip(line, (size_t)(at - line.p) + sizeof(key) - 1);

	return rest.n >= TEXT_ID_LENGTH && !text_parse_id(span_of(rest.p, TEXT_ID_LENGTH), id);
}

/* A story includes those of the notifications that were made about it: their Reception, which comes
 * before all else of them, says whom they are about. */
static bool is_about_known(struct pass *p, struct span line, uint64_t id)
{
	static const char key[] = ",\"about\":\"";
	uint64_t about;

	if (p->file->role.owner >= 0 || !span_starts_nocase(line, SPAN("{\"event\":\"Reception\"")))
		return false;
	const char *at = memmem(line.p, line.n, key, sizeof(key) - 1);
	if (!at || line.n - (size_t)(at - line.p) < sizeof(key) - 1 + TEXT_ID_LENGTH)
		return false;
	if (text_parse_id(span_of(at + sizeof(key) - 1, TEXT_ID_LENGTH), &about) ||
		!found_has_id(p, about))
		return false;
	return found_insert_id(p, id);
}

static void keep_line(struct pass *p, struct span line)
{
	json_t *object = parse_line(p, line);

	if (object)
		found_put_line(p, line);
	json_decref(object);
}

void search_take_line(struct pass *p, struct span line)
{
	uint64_t id;

	if (p->second) {
		if (line_id(line, &id) && (found_has_id(p, id) || is_about_known(p, line, id)))
			keep_line(p, line);
	} else if (line_matches(p, line, &id)) {
		if (id)
			found_add_id(p, id);
		else
			found_add_line(p, line);
	}
}
