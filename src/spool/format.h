/*
 * What a log looks like on disk. Everything is little-endian; whatever is read back is treated as
 * hostile: a worker that was taken over may have written it, or a dying disk.
 *
 *   file   = header page | batch | batch | …       each batch begins at a multiple of FORMAT_ALIGN
 *   batch  = batch header | record | record | … | body | body | …
 *   record = record header | payload | padding to 16 bytes
 *
 * Alignment keeps a batch's pages apart from those of batches that are durable already, so a
 * failed write can never hurt them, and lets recovery find the next batch after a damaged one.
 *
 * Every checksum is XXH3 seeded with the file's random salt: bytes of a message body can never pass
 * for a batch or a record, since their author does not know the salt. Serial, offset and a sequence
 * number that never repeats in a file bind a batch to its place, so that the remains of a refused
 * batch cannot come back as part of a later one.
 *
 * A batch header proves more than itself: batches of a log are written one after the other, each
 * after the sync of the one before, so all bytes before it were durable. And it says where the log
 * ended before this file ("before_serial", "before_end"): that file is whole up to there and ends
 * there, and files between it and this one hold nothing. That is the seal on a file whose sync
 * failed.
 */
#ifndef SPOOL_FORMAT_H
#define SPOOL_FORMAT_H

#include "base/buf.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define FORMAT_ALIGN	     4096u
#define FORMAT_PAGE	     4096u /* the header page; the first batch follows it */
#define FORMAT_PAGE_COPY     2048u /* where the second copy of the file header lies in the page */
#define FORMAT_FILE_HEADER   64u
#define FORMAT_BATCH_HEADER  96u
#define FORMAT_RECORD_ALIGN  16u
#define FORMAT_RECORD	     32u	 /* the record header */
#define FORMAT_RECORD_BYTES  (17u << 20) /* no payload is longer */
#define FORMAT_BATCH_RECORDS (1u << 30)	 /* no batch has more bytes of records */
#define FORMAT_PLACES	     (1u << 24)	 /* places (message numbers) in a file */
#define FORMAT_END	     ".\r\n"	 /* follows every body */
#define FORMAT_END_BYTES     3u

/*
 * What a worker's log may hold, whatever it says of itself, and whatever the settings were when it
 * was written: the schema's greatest segment-size, inline-bytes and message-size, and what comes on
 * top. All that is read, allocated or looked through on a worker's word is bounded by these.
 */
#define FORMAT_SEGMENT_BYTES  (1ull << 32) /* a file as long as this is closed … */
#define FORMAT_BATCH_BYTES    (128u << 20) /* … after its last batch */
#define FORMAT_FILE_BYTES     (FORMAT_SEGMENT_BYTES + 2ull * FORMAT_BATCH_BYTES)
#define FORMAT_WORKER_RECORDS (34u << 20)  /* bytes of records in a batch */
#define FORMAT_INLINE_BYTES   (65u << 20)  /* of a body in the log */
#define FORMAT_BODY_BYTES     (1ull << 32) /* of a body in a file of its own, dots doubled */
#define FORMAT_HOLES	      (1u << 17)   /* places given, as to refused messages, and not used */

struct format_file {
	uint32_t serial;
	uint8_t owner;
	uint64_t salt;
};

enum format_kind {
	FORMAT_BATCH = 1,
	FORMAT_VOID =
		2, /* a batch stood here and was refused; the file ends here until one is written */
};

struct format_batch {
	uint8_t kind;	 /* enum format_kind */
	uint32_t serial; /* of the file */
	uint8_t owner;
	uint32_t sequence; /* rises with each attempt at writing a batch into this file */
	uint64_t offset;   /* of this header in the file */
	uint64_t length;   /* header, records and bodies */
	uint32_t records_bytes;
	uint32_t record_count;
	uint32_t message_count;
	uint64_t records_hash;
	uint32_t before_serial; /* where the log ended before this file; 0: nothing is known */
	uint64_t before_end;
};

enum format_type {
	/* A message: struct format_message, then the encoded envelope. id: the place it lies in. */
	FORMAT_MESSAGE = 1,
	/* The rest occurs in delivery's log alone. */
	FORMAT_STATE = 2,      /* the queue's state of the message at place id */
	FORMAT_DONE = 3,       /* u64 each: places that are free */
	FORMAT_CHECKPOINT = 4, /* id: SPOOL_ID(serial, owner, 0); bitmap of its free places */
	FORMAT_EXTENT = 5,     /* id: likewise; struct format_extent */
};

struct format_record {
	uint8_t type;	   /* enum format_type */
	uint32_t sequence; /* of its batch */
	uint64_t id;
	struct span payload;
};

/* The fixed part of a message record. */
#define FORMAT_MESSAGE_FIXED 48u
struct format_message {
	uint64_t id;	      /* the message's; another than the record's where it was moved here */
	uint64_t body_offset; /* in this file, or in the body file */
	uint64_t body_bytes;  /* without FORMAT_END, which follows */
	uint64_t body_hash;   /* XXH3, no seed */
	uint32_t
		body_serial; /* 0: the body is in this file; else: in a body file, with this name */
	uint32_t body_number;
	uint8_t body_owner;
	struct span envelope;
};

struct format_extent {
	uint64_t end; /* durable at least up to here */
	bool final;   /* … and nothing beyond counts */
};

/* ---- numbers -------------------------------------------------------------------------------- */

static inline uint64_t format_align(uint64_t offset)
{
	return (offset + FORMAT_ALIGN - 1) & ~(uint64_t)(FORMAT_ALIGN - 1);
}

/* Bytes of a record on disk with a payload of n bytes. */
static inline uint64_t format_record_bytes(uint64_t n)
{
	return (FORMAT_RECORD + n + FORMAT_RECORD_ALIGN - 1) & ~(uint64_t)(FORMAT_RECORD_ALIGN - 1);
}

static inline uint32_t format_id_serial(uint64_t id)
{
	return (uint32_t)(id >> 32);
}

static inline uint8_t format_id_owner(uint64_t id)
{
	return (uint8_t)(id >> 24);
}

static inline uint32_t format_id_place(uint64_t id)
{
	return (uint32_t)(id & (FORMAT_PLACES - 1));
}

/* ---- encode and decode ---------------------------------------------------------------------- */

/* Decoders return 0, or ERR_CORRUPT where magic, checksum or a bound is wrong. */

void format_put_page(char page[FORMAT_PAGE], const struct format_file *file);
int format_get_page(struct span page, struct format_file *out);

void format_put_batch(
	char header[FORMAT_BATCH_HEADER], const struct format_batch *batch, uint64_t salt);
int format_get_batch(struct span header, uint64_t salt, struct format_batch *out);
/* What a lost header page said, from the header of the file's first batch. Only from that one: at
 * its place no body ever lies, and a body's author may choose a salt. */
int format_get_first(struct span header, struct format_file *out);
/* The header is one of this file, at this offset, and its numbers fit together. */
bool format_batch_fits(
	const struct format_batch *batch, const struct format_file *file, uint64_t offset);

/* Appends a record whose payload comes in two parts. */
void format_put_record(
	struct buf *buf, const struct format_record *record, struct span more, uint64_t salt);
/* How many bytes on disk the record whose head begins `in` claims to have; 0: that is no head. What
 * the claim is worth shows when so many bytes are hashed. */
size_t format_record_claims(struct span in);
/* What the head of a damaged record says, whatever that is worth: type, sequence and id.
 * ERR_CORRUPT: it is too short. */
int format_get_head(struct span in, struct format_record *out);
/* The record at the start of `in` with its length on disk. */
int format_get_record(struct span in, uint64_t salt, struct format_record *out, size_t *out_bytes);

void format_put_message(char fixed[FORMAT_MESSAGE_FIXED], const struct format_message *message);
int format_get_message(struct span payload, struct format_message *out);

#define FORMAT_EXTENT_BYTES 16u
void format_put_extent(char bytes[FORMAT_EXTENT_BYTES], const struct format_extent *extent);
int format_get_extent(struct span payload, struct format_extent *out);

uint64_t format_hash(struct span bytes, uint64_t seed);

/* ---- names ---------------------------------------------------------------------------------- */

#define FORMAT_PATH 48 /* bytes of any path in the spool, with the NUL */

/* A worker's logs and its body files lie apart, since it may do less to the former. */
void format_dir(char out[FORMAT_PATH], uint8_t owner);
void format_body_dir(char out[FORMAT_PATH], uint8_t owner);
void format_log_path(char out[FORMAT_PATH], uint8_t owner, uint32_t serial);
void format_body_path(char out[FORMAT_PATH], uint8_t owner, uint32_t serial, uint32_t number);

enum format_name { FORMAT_NAME_OTHER, FORMAT_NAME_LOG, FORMAT_NAME_BODY };
/* What a name in one of these directories stands for. */
enum format_name format_parse_name(const char *name, uint32_t *out_serial, uint32_t *out_number);
enum format_dir { FORMAT_DIR_OTHER, FORMAT_DIR_LOGS, FORMAT_DIR_BODIES };
/* What a name in the spool's root stands for, and whose it is. */
enum format_dir format_parse_dir(const char *name, uint8_t *out_owner);

#endif
