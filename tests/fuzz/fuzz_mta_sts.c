/* A policy and its record: no crash, all bounds kept, and each name of a policy matches itself. The
 * first byte says which. */
#include "base/check.h"
#include "base/err.h"
#include "codec/mta_sts.h"

#define ARENA_BYTES (1u << 20)
#define RECORDS	    4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void play_policy(struct span body, struct arena *arena)
{
	struct mta_sts_policy p;
	int err = mta_sts_parse(body, arena, &p);

	CHECK(err == 0 || err == ERR_SYNTAX || err == ERR_LIMIT || err == ERR_NOMEM);
	if (err)
		return;
	CHECK(p.mx_count <= MTA_STS_MX && p.max_age_s <= MTA_STS_AGE_MOST);
	CHECK(p.mx_count || p.mode == MTA_STS_NONE);
	for (uint32_t i = 0; i < p.mx_count; i++) {
		struct span mx = p.mx[i];
		bool wild = mx.p[0] == '*';
		for (size_t k = 0; k < mx.n; k++)
			CHECK(mx.p[k] == ascii_lower(mx.p[k]) && mx.p[k] > ' ' && mx.p[k] < 0x7f);
		CHECK(mta_sts_allows(&p, mx));
		CHECK(!wild || mx.p[1] == '.');
	}
	mta_sts_allows(&p, body);
}

/* One record, and several, with NUL between them. */
static void play_records(struct span text, struct arena *arena)
{
	struct span rdata[RECORDS], id;
	uint32_t count = 0;
	int err = mta_sts_record(text, &id);

	CHECK(err == 0 || err == ERR_SYNTAX || err == ERR_NOT_FOUND);
	CHECK(err || (id.n > 0 && id.n <= MTA_STS_ID));
	while (count < RECORDS && text.n) {
		size_t end = span_find(text, '\0');
		rdata[count++] = span_of(text.p, end);
		text = span_skip(text, end + 1);
	}
	err = mta_sts_find_record(rdata, count, arena, &id);
	CHECK(err == 0 || err == ERR_NOT_FOUND || err == ERR_NOMEM);
	CHECK(err || (id.n > 0 && id.n <= MTA_STS_ID));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;

	if (!size)
		return 0;
	arena_init(&arena, ARENA_BYTES);
	struct span in = span_of(data + 1, size - 1);
	if (data[0] == 'r')
		play_records(in, &arena);
	else
		play_policy(in, &arena);
	arena_reset(&arena);
	return 0;
}
