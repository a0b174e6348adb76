/*
 * malloc with a count of what is in use, so that the queue can say what a message costs.
 */
#ifndef QUEUE_MEM_H
#define QUEUE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct mem {
	size_t bytes;
};

/* Grows or shrinks p (of `had` bytes; NULL: 0); NULL on failure, p stays good. */
static inline void *mem_resize(struct mem *mem, void *p, size_t had, size_t want)
{
	void *out = realloc(p, want);
	if (out)
		mem->bytes += want - had;
	return out;
}

static inline void *mem_zero(struct mem *mem, size_t size)
{
	void *out = calloc(1, size);
	if (out)
		mem->bytes += size;
	return out;
}

static inline void mem_free(struct mem *mem, void *p, size_t had)
{
	if (p)
		mem->bytes -= had;
	free(p);
}

#endif
