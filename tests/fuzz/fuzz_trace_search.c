/*
 * A query of any bytes (the first line) over a trace file of any bytes (the rest): what is shown is
 * lines of JSON objects in whole, within the bound; and the file's own role alone can be damaged by
 * it: the events of the other one are still found.
 */
#include "base/check.h"
#include "base/err.h"
#include "sim_disk.h"
#include "trace/search.h"

#include <stdint.h>

#define NOW	     1800000000000ll
#define MESSAGES     20
#define UNREAD_BYTES 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char honest[] =
	"{\"time\":\"2026-11-21T08:00:00.000Z\",\"event\":\"Reception\",\"id\":\"3C5D7F9H\","
	"\"sender\":\"ann@a.example\",\"recipients\":[\"bob@b.example\"]}\n";

static void check_lines(struct span out)
{
	CHECK(out.n <= SEARCH_RESULT);
	while (out.n) {
		size_t n = span_find(out, '\n');

		CHECK(n < out.n && n >= 2 && out.p[0] == '{' && out.p[n - 1] == '}');
		out = span_skip(out, n + 1);
	}
}

static void run(const struct search *search, struct sim_disk *disk)
{
	struct buf out, unread;
	bool more;

	buf_init(&out, SEARCH_RESULT);
	buf_init(&unread, UNREAD_BYTES);
	CHECK(search_run(search, sim_disk_base(disk), &out, &unread, &more) == 0);
	CHECK(buf_ok(&unread));
	buf_done(&unread);
	check_lines(buf_span(&out));
	buf_done(&out);
}

static bool finds_honest(struct sim_disk *disk)
{
	struct search search;
	struct buf out, unread;
	bool more;

	buf_init(&out, SEARCH_RESULT);
	buf_init(&unread, UNREAD_BYTES);
	CHECK(search_parse(SPAN("event=Reception bob@b.example"), SEARCH_MESSAGES, NOW, &search,
		      &out) == 0);
	CHECK(search_run(&search, sim_disk_base(disk), &out, &unread, &more) == 0);
	buf_done(&unread);
	struct span left = buf_span(&out);
	bool found = more; /* a flood may push it out, but that is said */
	for (size_t n; left.n && !found; left = span_skip(left, n + 1)) {
		n = span_find(left, '\n');
		found = span_equal(span_of(left.p, n + 1), SPAN(honest));
	}
	buf_done(&out);
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	size_t line = span_find(in, '\n');
	struct search search;
	struct sim_disk *disk;
	struct buf problem;

	buf_init(&problem, 4096);
	CHECK(sim_disk_new(1, &disk) == 0);
	CHECK(disk_make_dir(sim_disk_base(disk), "delivery") == 0);
	CHECK(disk_make_dir(sim_disk_base(disk), "smtpd-0") == 0);
	CHECK(sim_disk_plant(disk, "smtpd-0/0000000000000001.jsonl", 0, SPAN(honest)) == 0);
	CHECK(sim_disk_plant(disk, "delivery/0000000000000001.jsonl", 0,
		      span_skip(in, MIN(in.n, line + 1))) == 0);
	if (search_parse(span_of(in.p, line), MESSAGES, NOW, &search, &problem) == 0)
		run(&search, disk);
	else
		CHECK(problem.n > 0);
	CHECK(finds_honest(disk));
	buf_done(&problem);
	sim_disk_free(&disk);
	return 0;
}
