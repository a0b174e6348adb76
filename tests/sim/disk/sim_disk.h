/*
 * A disk in memory that behaves as badly as real ones may, from one seed, always alike: what was
 * not synced is lost or kept sector by sector when the power fails, names that were not synced
 * come and go, space runs out, writes fall short, a sync fails once and the kernel forgets about
 * it (pages kept in memory or dropped), bits flip.
 *
 * Model: every file has what readers see and what is on stable storage, in sectors of 512 bytes.
 * Directory changes are a list of operations that sync_dir() makes durable; at a power cut any
 * subset of the others is kept. Syncing a file says nothing about its name.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "io/disk.h"

#define SIM_SECTOR 512u
#define SIM_BLOCK  4096u /* unit of allocation */

struct sim_disk;

enum sim_op {
	SIM_OPEN, /* that makes a file */
	SIM_WRITE,
	SIM_SYNC,
	SIM_ALLOCATE,
	SIM_TRUNCATE,
	SIM_SYNC_DIR,
	SIM_MAKE_DIR,
	SIM_UNLINK,
	SIM_RENAME,
	SIM_READ,
	SIM_OPS
};

/* How often things go wrong by themselves, in 65536ths of all calls of their kind. */
struct sim_disk_faults {
	uint32_t write_short;	 /* fewer bytes than asked */
	uint32_t write_no_space; /* ERR_NO_SPACE, after a part was written */
	uint32_t write_error;	 /* ERR_IO, after a part was written */
	uint32_t sync_error;	 /* any sector kept or lost; never dirty again */
	uint32_t sync_dir_error; /* likewise, of names */
	uint32_t make_error;	 /* open with CREATE, allocate: ERR_NO_SPACE or ERR_IO */
	uint32_t read_error;	 /* ERR_IO */
	uint32_t writeback;	 /* some dirty sectors become durable by themselves */
};

enum sim_keep { SIM_KEEP_RANDOM, SIM_KEEP_NOTHING, SIM_KEEP_EVERYTHING };

int sim_disk_new(uint64_t seed, struct sim_disk **out);
void sim_disk_free(struct sim_disk **disk);
struct disk *sim_disk_base(struct sim_disk *disk);

void sim_disk_set_faults(struct sim_disk *disk, const struct sim_disk_faults *faults);
/* The device's size; 0: no bound. */
void sim_disk_set_capacity(struct sim_disk *disk, uint64_t bytes);
/* The nth call of that kind from now (1: the next) fails with err, once. A sync keeps the pages in
 * memory or drops them. */
void sim_disk_fail_nth(
	struct sim_disk *disk, enum sim_op op, uint64_t nth, int err, bool keep_pages);

/* Calls that change something, so far. */
uint64_t sim_disk_changes(const struct sim_disk *disk);
/* The power fails at the nth change from now: that one happens in part, all later calls fail. */
void sim_disk_cut_at(struct sim_disk *disk, uint64_t nth);
bool sim_disk_is_cut(const struct sim_disk *disk);

/* The machine comes up again after a power cut; open files are no longer of any use. */
void sim_disk_power_cycle(struct sim_disk *disk, enum sim_keep keep);
/* The process died, the machine did not: all that was written is still to be read. */
void sim_disk_process_died(struct sim_disk *disk);

/* Flips one bit, in memory and on the medium. ERR_NOT_FOUND. */
int sim_disk_flip(struct sim_disk *disk, const char *path, uint64_t bit);
/* The sector cannot be read any more, until it is written again. ERR_NOT_FOUND. */
int sim_disk_spoil(struct sim_disk *disk, const char *path, uint64_t offset);
/* Overwrites bytes likewise (the file grows as needed and is made where it is missing). */
int sim_disk_plant(struct sim_disk *disk, const char *path, uint64_t offset, struct span bytes);
/* The contents as readers see them, until the next change. */
int sim_disk_peek(struct sim_disk *disk, const char *path, struct span *out);

/* Of everything that was ever asked and answered: equal seeds, equal numbers. */
uint64_t sim_disk_trace(const struct sim_disk *disk);
/* Faults that happened. */
uint64_t sim_disk_fault_count(const struct sim_disk *disk);

/* For mutations: syncs (or directory syncs) do nothing and say all is well. */
void sim_disk_lie(struct sim_disk *disk, bool sync, bool sync_dir);

#endif
