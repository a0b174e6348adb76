#include "spool/walk_inner.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>
#include <xxhash.h>

#define BODY_PIECE (256u << 10) /* bytes read at a time */

static int check(struct io_file *io, const struct format_message *message, char *piece, size_t room,
	XXH3_state_t *hash)
{
	uint64_t at = message->body_offset, left = message->body_bytes;
	char end[FORMAT_END_BYTES];

	XXH3_64bits_reset(hash);
	while (left) {
		size_t want = MIN(left, room);
		int64_t got = walk_read(io, piece, want, at);
		if (got < 0)
			return (int)got;
		if ((size_t)got < want)
			return ERR_CORRUPT;
		XXH3_64bits_update(hash, piece, want);
		at += want;
		left -= want;
	}
	if (XXH3_64bits_digest(hash) != message->body_hash)
		return ERR_CORRUPT;
	int64_t got = walk_read(io, end, sizeof(end), at);
	if (got < 0)
		return (int)got;
	return got == sizeof(end) && memcmp(end, FORMAT_END, sizeof(end)) == 0 ? 0 : ERR_CORRUPT;
}

int walk_check_body(
	struct disk *disk, struct io_file *io, const struct format_message *message, bool settle)
{
	struct io_file *own = NULL;

	if (message->body_serial) {
		char path[FORMAT_PATH];
		format_body_path(
			path, message->body_owner, message->body_serial, message->body_number);
		int err = disk_open(disk, path, DISK_READ, &own);
		if (err)
			return err;
		io = own;
		if (settle) {
			disk_sync(own);
			disk_forget(own);
		}
	}
	size_t room = (size_t)MAX(MIN(message->body_bytes, (uint64_t)BODY_PIECE), 1u);
	char *piece = malloc(room);
	XXH3_state_t *hash = XXH3_createState();
	int err = piece && hash ? check(io, message, piece, room, hash) : ERR_NOMEM;
	XXH3_freeState(hash);
	free(piece);
	disk_close(&own);
	return err;
}
