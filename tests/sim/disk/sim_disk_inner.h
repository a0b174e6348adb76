/*
 * What the files of the simulated disk share. Nobody else includes it.
 *
 *   sim_disk.c        life, knobs, the trace and the dice
 *   sim_disk_names.c  names: what is seen, what is durable, what is between
 *   sim_disk_bytes.c  contents, sector by sector; space
 *   sim_disk_file.c   operations on files
 *   sim_disk_dir.c    operations on names
 *   sim_disk_power.c  power cuts and deaths
 *   sim_disk_touch.c  hands from outside: flips, plants, bad sectors
 */
#ifndef SIM_DISK_INNER_H
#define SIM_DISK_INNER_H

#include "sim_disk.h"

#include "base/check.h"
#include "base/prng.h"

#define SIM_PATH 256

struct inode {
	bool is_dir;
	uint32_t links; /* names that readers see */
	uint32_t durable_links;
	uint32_t opens;
	uint32_t pending; /* directory operations that speak of it */
	uint8_t *seen, *kept;
	uint64_t seen_length, kept_length, room;
	uint64_t allocated; /* bytes */
	uint8_t *dirty;	    /* one byte a sector */
	uint64_t *bad;	    /* sectors that cannot be read until they are written again */
	size_t bad_count;
	bool length_dirty;
};

struct name {
	char path[SIM_PATH];
	struct inode *inode;
};

struct names {
	struct name *list;
	size_t count, room;
};

/* A change of names that is not durable yet: `path` stands for `inode` (NULL: is gone); `from` is
 * gone by the same stroke where it is set. */
struct change {
	char path[SIM_PATH], from[SIM_PATH];
	struct inode *inode;
};

struct sim_disk {
	struct disk base;
	struct prng prng;
	struct names seen, kept;
	struct change *changes;
	size_t change_count, change_room;
	struct inode **inodes;
	size_t inode_count, inode_room;
	struct sim_disk_faults faults;
	uint64_t capacity;
	uint64_t change_total, cut_at;
	uint64_t fail_at[SIM_OPS], calls[SIM_OPS];
	int fail_err[SIM_OPS];
	bool fail_keeps[SIM_OPS];
	bool full_next; /* the rest of a write finds no space */
	bool cut;
	bool lie_sync, lie_sync_dir;
	uint32_t life;
	uint64_t trace, fault_total;
};

struct sim_file {
	struct io_file base;
	struct inode *inode;
	uint32_t life;
	bool writable;
};

static inline struct sim_disk *sd_of(struct disk *disk)
{
	return CONTAINER_OF(disk, struct sim_disk, base);
}

static inline struct sim_file *sd_file_of(struct io_file *file)
{
	return CONTAINER_OF(file, struct sim_file, base);
}

/* The trace and the dice. */
void sd_note(struct sim_disk *d, uint64_t value);
bool sd_chance(struct sim_disk *d, uint32_t of_65536);
bool sd_coin(struct sim_disk *d);
/* Begins a call: 0, or how it fails. */
int sd_enter(struct sim_disk *d, enum sim_op op, bool *scripted);

/* sim_disk_names.c */
struct name *sd_find(const struct names *names, const char *path);
void sd_release(struct sim_disk *d, struct inode *inode);
void sd_set_name(struct sim_disk *d, struct names *names, const char *path, struct inode *inode);
void sd_parent_of(const char *path, char out[SIM_PATH]);
bool sd_is_dir(struct sim_disk *d, const struct names *names, const char *path);
void sd_change_names(struct sim_disk *d, const char *path, const char *from, struct inode *inode);
/* Settles pending changes of one directory (NULL: all): `keep` says which become durable; of the
 * others, `wait` says that they stay pending. */
void sd_settle_names(struct sim_disk *d, const char *dir, enum sim_keep keep, bool wait);
struct inode *sd_new_inode(struct sim_disk *d, bool dir);

/* sim_disk_bytes.c */
uint64_t sd_used_bytes(const struct sim_disk *d);
uint64_t sd_length_most(const struct sim_disk *d, const struct inode *inode);
void sd_ensure(struct inode *inode, uint64_t length);
/* Is any of these bytes in a sector that cannot be read? */
bool sd_is_bad(const struct inode *inode, uint64_t offset, uint64_t n);
void sd_put(struct inode *inode, uint64_t offset, const void *from, size_t n);
void sd_keep_all(struct inode *inode);
void sd_keep_some(struct sim_disk *d, struct inode *inode);
void sd_writeback(struct sim_disk *d);

/* The operations. */
int sd_open(struct disk *disk, const char *path, unsigned flags, struct io_file **out);
void sd_close(struct io_file **at);
int64_t sd_write(struct io_file *base, const struct iovec *parts, size_t count, uint64_t offset);
int64_t sd_read(struct io_file *base, void *to, size_t n, uint64_t offset);
int64_t sd_size(struct io_file *base);
int64_t sd_data(struct io_file *base, uint64_t offset);
bool sd_linked(struct io_file *base);
int sd_sync(struct io_file *base);
void sd_forget(struct io_file *base);
int sd_allocate(struct io_file *base, uint64_t length);
int sd_truncate(struct io_file *base, uint64_t length);
int sd_sync_dir(struct disk *disk, const char *path);
int sd_make_dir(struct disk *disk, const char *path);
int sd_unlink(struct disk *disk, const char *path);
int sd_rename(struct disk *disk, const char *from, const char *to);
int sd_list(
	struct disk *disk, const char *path, int (*each)(void *arg, const char *name), void *arg);
int sd_free_bytes(struct disk *disk, uint64_t *out);

#endif
