#include "counts.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
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
