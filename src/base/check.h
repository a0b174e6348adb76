/*
 * Checks that stay on in production: a broken invariant ends the role, which the supervisor
 * restarts, before it can damage mail. For mistakes of ours only; hostile input gets an error.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

_Noreturn void check_failed(const char *file, int line, const char *text);

#define CHECK(condition)                                              \
	do {                                                          \
		if (__builtin_expect(!(condition), 0))                \
			check_failed(__FILE__, __LINE__, #condition); \
	} while (0)

/* A pointer is what it claims to be: every long-lived structure begins with its magic number. */
#define CHECK_MAGIC(object, number) CHECK((object) != NULL && (object)->magic == (number))

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - __builtin_offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
