/*
 * What the files of a process's disk share: sim_rdisk.c (the disk and its names), sim_rdisk_file.c
 * (its files).
 */
#ifndef SIM_RDISK_INNER_H
#define SIM_RDISK_INNER_H

#include "sim_rdisk.h"

#define SEAL_OFFSET  4096 /* the first batch of a file … */
#define SEAL_BYTES   96	  /* … with no records */
#define LATE_SYNC_NS (300 * NS_PER_MS)

struct sim_rdisk {
	struct disk base; /* first */
	struct sim_process *process;
	struct disk *under;
	struct sim_disk *sim_disk;
	enum sim_mutation mutation;
	struct sim_serials *serials;
	void (*power_failed)(void *arg);
	void *arg;
	uint64_t operations;
	bool seal_due; /* the next one is not written */
	struct list files;
};

struct rfile {
	struct io_file base; /* first */
	struct io_file *under;
	struct list node;
	bool journal;  /* in delivery's own log */
	char path[64]; /* for those who watch */
	bool closed;
	unsigned late; /* syncs that are still to be done */
};

void rdisk_file_free(struct rfile *f);
int rdisk_open(struct disk *disk, const char *path, unsigned flags, struct io_file **out);
void rdisk_close(struct io_file **file);
int64_t rdisk_write(struct io_file *file, const struct iovec *parts, size_t count, uint64_t offset);
int64_t rdisk_read(struct io_file *file, void *to, size_t n, uint64_t offset);
int64_t rdisk_size(struct io_file *file);
int64_t rdisk_data(struct io_file *file, uint64_t offset);
int rdisk_sync(struct io_file *file);
void rdisk_forget(struct io_file *file);
int rdisk_allocate(struct io_file *file, uint64_t length);
int rdisk_truncate(struct io_file *file, uint64_t length);
struct sim_rdisk *rdisk_of(struct disk *disk);
void rdisk_before(struct sim_rdisk *d);
void rdisk_after(struct sim_rdisk *d);
void rdisk_say(struct sim_rdisk *d, const char *what, const char *path, uint64_t offset, int64_t n,
	int err);

#endif
