#include "base/check.h"
#include "base/err.h"
#include "spool/walk_inner.h"

#include <stdlib.h>
#include <xxhash.h>

#define BODY_PIECE (256u << 10) /* bytes read at a time */

static void rewind_to(struct walk_body *body, const struct format_message *message)
{
	body->at = message->body_offset;
	body->left = message->body_bytes;
	body->expected = message->body_hash;
	XXH3_64bits_reset(body->hash);
}

/* A file that is too short needs no hashing. */
static int open_own(struct walk_body *body, struct disk *disk, const struct format_message *message,
	bool settle)
{
	char path[FORMAT_PATH];

	format_body_path(path, message->body_owner, message->body_serial, message->body_number);
	int err = disk_open(disk, path, DISK_READ, &body->own);
	if (err)
		return err;
	if (settle) {
		disk_sync(body->own);
		disk_forget(body->own);
	}
	body->io = body->own;
	int64_t size = disk_size(body->own);
	if (size < 0)
		return (int)size;
	return (uint64_t)size < message->body_offset + message->body_bytes + FORMAT_END_BYTES
		       ? ERR_CORRUPT
		       : 0;
}

int walk_body_begin(struct walk_body *body, struct disk *disk, struct io_file *io,
	const struct format_message *message, bool settle)
{
	*body = (struct walk_body){.io = io};
	int err = message->body_serial ? open_own(body, disk, message, settle) : 0;
	if (err == 0) {
		size_t room = (size_t)MAX(MIN(message->body_bytes, (uint64_t)BODY_PIECE), 1u);
		body->piece = malloc(room);
		body->hash = XXH3_createState();
		err = body->piece && body->hash ? 0 : ERR_NOMEM;
	}
	if (err) {
		walk_body_end(body);
		return err;
	}
	rewind_to(body, message);
	return 0;
}

void walk_body_again(struct walk_body *body, const struct format_message *message)
{
	disk_forget(body->io);
	rewind_to(body, message);
}

static int check_end(const struct walk_body *body)
{
	char end[FORMAT_END_BYTES];

	if (XXH3_64bits_digest(body->hash) != body->expected)
		return ERR_CORRUPT;
	int64_t got = walk_read(body->io, end, sizeof(end), body->at);
	if (got < 0)
		return (int)got;
	return got == sizeof(end) && memcmp(end, FORMAT_END, sizeof(end)) == 0 ? 0 : ERR_CORRUPT;
}

int walk_body_step(struct walk_body *body, uint64_t most)
{
	while (body->left && most) {
		size_t want = (size_t)MIN(MIN(body->left, most), (uint64_t)BODY_PIECE);
		int64_t got = walk_read(body->io, body->piece, want, body->at);
		if (got < 0)
			return (int)got;
		if ((size_t)got < want)
			return ERR_CORRUPT;
		XXH3_64bits_update(body->hash, body->piece, want);
		body->at += want;
		body->left -= want;
		most -= want;
	}
	return body->left ? ERR_AGAIN : check_end(body);
}

void walk_body_end(struct walk_body *body)
{
	XXH3_freeState(body->hash);
	free(body->piece);
	disk_close(&body->own);
	*body = (struct walk_body){0};
}

int walk_check_body(
	struct disk *disk, struct io_file *io, const struct format_message *message, bool settle)
{
	struct walk_body body;

	int err = walk_body_begin(&body, disk, io, message, settle);
	if (err)
		return err;
	err = walk_body_step(&body, UINT64_MAX);
	walk_body_end(&body);
	return err;
}
