/* What the tests of objects share. */
#ifndef TESTS_DIRECTORY_OBJECTS_COMMON_H
#define TESTS_DIRECTORY_OBJECTS_COMMON_H

#include "directory/objects.h"

#include "common.h"

#include <stdio.h>

static const struct plan_options options = {.now_ms = 1000};
static const struct plan_options prune = {.now_ms = 2000, .prune = true};

/* Applies and adopts; the words of the changes go to `words` (may be NULL). */
static inline void apply_with(struct objects **objects, const char *text,
	const struct plan_options *how, struct buf *words)
{
	struct buf problems;
	struct plan *plan;

	buf_init(&problems, 100000);
	if (objects_plan_apply(*objects, "objects.yaml", span_str(text), how, &problems, &plan) < 0)
		fail_msg("%s", text_of(&problems));
	assert_int_equal(problems.n, 0);
	if (words) {
		buf_clear(words);
		plan_add_words(plan, words);
	}
	struct objects *next = plan_take(&plan);
	objects_free(objects);
	*objects = next;
	buf_done(&problems);
}

static inline void apply(struct objects **objects, const char *text, struct buf *words)
{
	apply_with(objects, text, &options, words);
}

static inline struct objects *sample(void)
{
	struct objects *objects;
	assert_int_equal(objects_new(&objects), 0);
	apply(&objects, SAMPLE_OBJECTS, NULL);
	return objects;
}

static inline void assert_refused_with(const struct objects *objects, const char *text,
	const struct plan_options *how, const char *part)
{
	struct buf problems;
	struct plan *plan = NULL;

	buf_init(&problems, 100000);
	int err =
		objects_plan_apply(objects, "objects.yaml", span_str(text), how, &problems, &plan);
	if (err == 0)
		fail_msg("was taken:\n%s", text);
	assert_null(plan);
	assert_has(&problems, part);
	buf_done(&problems);
}

static inline void assert_refused(const struct objects *objects, const char *text, const char *part)
{
	assert_refused_with(objects, text, &options, part);
}

#endif
