/*
 * Files with authorities that transports name (tls-ca): only delivery can say whether it can read
 * them, since it is another user in another sandbox. It is asked before a request is carried out
 * that names some; then the request is begun again, and finds the answer here.
 */
#include "admin/core.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define ANCHORS_BYTES	(16u << 10) /* of all their paths; the others are not looked at */
#define ANCHORS_REQUEST ((size_t)8 * ANCHORS_BYTES)

struct anchors {
	struct buf paths; /* lines */
	json_t *problems; /* by path; NULL: delivery does not answer */
	bool heard;
};

void anchors_forget(struct door *door)
{
	struct anchors *a = door->anchors;

	if (!a)
		return;
	door->anchors = NULL;
	buf_done(&a->paths);
	json_decref(a->problems);
	free(a);
}

static bool has_line(struct span lines, struct span line)
{
	while (lines.n) {
		size_t end = span_find(lines, '\n');

		if (span_equal(span_of(lines.p, end), line))
			return true;
		lines = span_skip(lines, end + 1);
	}
	return false;
}

void anchors_begin(struct buf *paths)
{
	buf_init(paths, ANCHORS_BYTES + 1);
}

void anchors_add(struct buf *paths, const struct object *transport)
{
	struct span path = object_transport(transport)->tls_ca;

	if (!path.n || paths->n + path.n + 1 > ANCHORS_BYTES || has_line(buf_span(paths), path))
		return;
	buf_add_span(paths, path);
	buf_add_char(paths, '\n');
}

static void heard(struct door *door, struct span answer)
{
	struct anchors *a = door->anchors;
	json_error_t error;
	json_t *json = json_loadb(answer.n ? answer.p : "", answer.n, 0, &error);
	json_t *problems = json_object_get(json, "problems");

	if (json_is_object(problems))
		a->problems = json_incref(problems);
	json_decref(json);
	a->heard = true;
	dispatch(door);
}

static int ask(struct door *door)
{
	struct json_write json;
	struct buf request;
	int err = 0;

	buf_init(&request, ANCHORS_REQUEST);
	json_write_init(&json, &request);
	json_open_object(&json, NULL);
	json_put_str(&json, "op", "tls-ca");
	put_lines(&json, "files", buf_span(&door->anchors->paths));
	json_close_object(&json);
	if (buf_ok(&request))
		door_ask(door, buf_span(&request), heard);
	else
		err = ERR_NOMEM;
	buf_done(&request);
	return err;
}

bool anchors_first(struct door *door, struct buf *paths)
{
	struct anchors *a = door->anchors;

	/* Somebody may have changed the directory meanwhile: then it is another question. */
	if (!paths->n || (a && a->heard && span_equal(buf_span(&a->paths), buf_span(paths)))) {
		if (!paths->n)
			anchors_forget(door);
		buf_done(paths);
		return false;
	}
	anchors_forget(door);
	door->anchors = buf_ok(paths) ? calloc(1, sizeof(*a)) : NULL;
	if (!door->anchors) {
		buf_done(paths);
		door_refuse(door, err_text(ERR_NOMEM));
		return true;
	}
	door->anchors->paths = *paths;
	if (ask(door))
		door_refuse(door, err_text(ERR_NOMEM));
	return true;
}

bool anchors_add_words(const struct door *door, const struct object *transport, struct buf *out)
{
	const struct anchors *a = door->anchors;
	struct span path = object_transport(transport)->tls_ca;

	if (!a || !path.n || !has_line(buf_span(&a->paths), path))
		return false;
	char *key = strndup(path.p, path.n);
	const char *problem = key ? json_string_value(json_object_get(a->problems, key)) : NULL;
	bool said = problem || !a->problems;

	if (!a->problems)
		buf_printf(out,
			"whether its tls-ca, %.*s, can be read is not known: delivery does not "
			"answer",
			(int)path.n, path.p);
	else if (problem)
		buf_printf(out, "its tls-ca, %.*s, %s; until that is mended its mail waits",
			(int)path.n, path.p, problem);
	free(key);
	return said;
}
