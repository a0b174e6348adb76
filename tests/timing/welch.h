/*
 * Do two kinds of tries take the same time? Welch's t over many of each, in an order drawn by
 * chance; below 4.5 nobody can tell them apart who sees as many. The slowest twentieth of all,
 * which are the machine's own doings, does not count.
 */
#ifndef TESTS_TIMING_WELCH_H
#define TESTS_TIMING_WELCH_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WELCH_MOST  4.5
#define WELCH_FIRST 20 /* tries that only warm up */

static inline uint64_t welch_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline int welch_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct welch_class {
	double *ns;
	size_t count;
	double mean, variance;
};

static inline void welch_settle(struct welch_class *c, double most)
{
	size_t kept = 0;
	double sum = 0, squares = 0;

	for (size_t i = 0; i < c->count; i++)
		if (c->ns[i] <= most) {
			sum += c->ns[i];
			kept++;
		}
	c->mean = sum / (double)kept;
	for (size_t i = 0; i < c->count; i++)
		if (c->ns[i] <= most)
			squares += (c->ns[i] - c->mean) * (c->ns[i] - c->mean);
	c->variance = squares / (double)(kept - 1) / (double)kept;
}

/* One try of a class, 0 or 1. */
typedef void welch_try(void *context, int which);

/* t; its figures go to standard output. */
static inline double welch_measure(const char *name, size_t tries, welch_try *one, void *context)
{
	struct welch_class classes[2] = {0};
	double *all = malloc(tries * sizeof(*all));
	size_t count = 0;

	for (int i = 0; i < 2; i++)
		classes[i].ns = malloc(tries * sizeof(*all));
	for (size_t i = 0; i < tries + WELCH_FIRST; i++) {
		int which = rand() & 1;
		uint64_t began = welch_now_ns();
		one(context, which);
		double ns = (double)(welch_now_ns() - began);
		if (i < WELCH_FIRST)
			continue;
		classes[which].ns[classes[which].count++] = ns;
		all[count++] = ns;
	}
	qsort(all, count, sizeof(*all), welch_compare);
	for (int i = 0; i < 2; i++)
		welch_settle(&classes[i], all[count - 1 - count / 20]);
	double t = (classes[0].mean - classes[1].mean) /
		   sqrt(classes[0].variance + classes[1].variance);
	printf("%-28s %7zu tries  %10.0f ns  %10.0f ns  t = %+.2f\n", name, tries, classes[0].mean,
		classes[1].mean, t);
	fflush(stdout);
	for (int i = 0; i < 2; i++)
		free(classes[i].ns);
	free(all);
	return fabs(t);
}

/* The one in the middle of three: a real difference is there each time. */
static inline double welch_median(const char *name, size_t tries, welch_try *one, void *context)
{
	double t[3];

	for (int i = 0; i < 3; i++)
		t[i] = welch_measure(name, tries, one, context);
	qsort(t, 3, sizeof(t[0]), welch_compare);
	return t[1];
}

#endif
