#include "counts.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct counts *counts_map(void)
{
	void *at = MAP_FAILED;

	if (ftruncate(STDOUT_FILENO, sizeof(struct counts)) == 0)
		at = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE, MAP_SHARED,
			STDOUT_FILENO, 0);
	if (at == MAP_FAILED) {
		perror("standard output has to be a file to read and write, for the counters");
		exit(1);
	}
	return at;
}

uint64_t counts_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
