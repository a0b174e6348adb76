/* Stands between the spool and the simulated disk: counts calls, and makes chosen reads fail. */
#ifndef TEST_TAP_H
#define TEST_TAP_H

#include "sim_disk.h"

struct tap {
	uint64_t opens, reads, sizes, writes, syncs, dir_syncs, lists; /* calls so far */
	uint64_t read_bytes;
	uint64_t read_opens, truncates,
		log_unlinks; /* … of files of workers: what they may not do */
	/* This file seems to be so long: a hole follows what is there. */
	const char *huge_path;
	uint64_t huge_size;
	bool huge_dense;  /* … whose zeros lie on the disk */
	bool writes_back; /* what is written with bodies reaches the device by itself */
	/* Reads that touch these bytes of files whose path begins so fail with ERR_IO. */
	const char *bad_path; /* NULL: none */
	uint64_t bad_from, bad_to;
	uint64_t good_reads; /* so many of them go well before */
	/* So many reads of this byte have one bit wrong. */
	const char *wrong_path;
	uint64_t wrong_from;
	uint32_t wrong_reads;
};

/* Of this disk, until the next one; there is one tap. */
struct tap *tap_on(struct sim_disk *disk);

#endif
