#include "base/err.h"
#include "spool/format.h"
#include "spool/idmap.h"
#include "spool/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SALT 0x1122334455667788ull

static void test_file_header_survives_the_loss_of_one_copy(void **state)
{
	const struct format_file file = {.serial = 0x65a1b2c3, .owner = 7, .salt = SALT};
	struct format_file got;
	char page[FORMAT_PAGE];

	(void)state;
	for (int copy = 0; copy < 2; copy++) {
		format_put_page(page, &file);
		page[copy * FORMAT_PAGE_COPY + 20] ^= 1;
		assert_int_equal(format_get_page(span_of(page, sizeof(page)), &got), 0);
		assert_int_equal(got.serial, file.serial);
		assert_int_equal(got.owner, 7);
		assert_true(got.salt == SALT);
	}
	format_put_page(page, &file);
	page[9] ^= 1;
	page[FORMAT_PAGE_COPY + 30] ^= 1;
	assert_int_equal(format_get_page(span_of(page, sizeof(page)), &got), ERR_CORRUPT);
	assert_int_equal(format_get_page(span_of(page, 100), &got), ERR_CORRUPT);
}

static struct format_batch some_batch(void)
{
	return (struct format_batch){
		.kind = FORMAT_BATCH,
		.serial = 9,
		.owner = 3,
		.sequence = 4,
		.offset = 3 * FORMAT_ALIGN,
		.length = 5000,
		.records_bytes = 640,
		.record_count = 4,
		.message_count = 3,
		.records_hash = 12345,
		.before_serial = 8,
		.before_end = 777,
	};
}

static void test_batch_header_round_trip_and_every_flip(void **state)
{
	const struct format_file file = {.serial = 9, .owner = 3, .salt = SALT};
	const struct format_batch batch = some_batch();
	struct format_batch got;
	char header[FORMAT_BATCH_HEADER];

	(void)state;
	format_put_batch(header, &batch, SALT);
	assert_int_equal(format_get_batch(span_of(header, sizeof(header)), SALT, &got), 0);
	assert_true(got.length == 5000 && got.record_count == 4 && got.message_count == 3);
	assert_true(got.before_serial == 8 && got.before_end == 777 && got.records_hash == 12345);
	assert_true(format_batch_fits(&got, &file, 3 * FORMAT_ALIGN));
	assert_false(format_batch_fits(&got, &file, 4 * FORMAT_ALIGN));
	/* Another file's salt: what a client wrote into its message can never be right. */
	assert_int_equal(
		format_get_batch(span_of(header, sizeof(header)), SALT + 1, &got), ERR_CORRUPT);
	for (size_t bit = 0; bit < sizeof(header) * 8; bit++) {
		header[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_equal(
			format_get_batch(span_of(header, sizeof(header)), SALT, &got), ERR_CORRUPT);
		header[bit / 8] ^= (char)(1 << bit % 8);
	}
}

/* Whoever writes a body may know all of a header but the salt, and choose one. */
static void test_only_the_first_batch_stands_in_for_the_file_header(void **state)
{
	struct format_batch batch = some_batch();
	struct format_file got;
	char header[FORMAT_BATCH_HEADER];

	(void)state;
	batch.offset = FORMAT_PAGE;
	format_put_batch(header, &batch, SALT);
	assert_int_equal(format_get_first(span_of(header, sizeof(header)), &got), 0);
	assert_true(got.serial == 9 && got.owner == 3 && got.salt == SALT);
	for (size_t bit = 0; bit < sizeof(header) * 8; bit++) {
		header[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_equal(
			format_get_first(span_of(header, sizeof(header)), &got), ERR_CORRUPT);
		header[bit / 8] ^= (char)(1 << bit % 8);
	}
	assert_int_equal(format_get_first(span_of(header, sizeof(header) - 1), &got), ERR_CORRUPT);
	batch.offset = 2 * FORMAT_PAGE;
	format_put_batch(header, &batch, SALT);
	assert_int_equal(format_get_first(span_of(header, sizeof(header)), &got), ERR_CORRUPT);
}

static void test_batches_that_do_not_fit_are_refused(void **state)
{
	const struct format_file file = {.serial = 9, .owner = 3, .salt = SALT};
	struct format_batch b;

	(void)state;
	b = some_batch(), b.serial = 10;
	assert_false(format_batch_fits(&b, &file, b.offset));
	b = some_batch(), b.owner = 4;
	assert_false(format_batch_fits(&b, &file, b.offset));
	b = some_batch(), b.kind = 3;
	assert_false(format_batch_fits(&b, &file, b.offset));
	b = some_batch(), b.length = 10;
	assert_false(format_batch_fits(&b, &file, b.offset));
	b = some_batch(), b.length = UINT64_MAX;
	assert_false(format_batch_fits(&b, &file, b.offset));
	b = some_batch(), b.records_bytes = UINT32_MAX;
	assert_false(format_batch_fits(&b, &file, b.offset));
	b = some_batch(), b.record_count = 1000;
	assert_false(format_batch_fits(&b, &file, b.offset));
	b = some_batch(), b.before_serial = 9;
	assert_false(format_batch_fits(&b, &file, b.offset));
	b = some_batch(), b.before_end = UINT64_MAX;
	assert_false(format_batch_fits(&b, &file, b.offset));
}

static void test_record_round_trip_and_every_flip(void **state)
{
	const struct format_record record = {.type = FORMAT_MESSAGE,
		.sequence = 6,
		.id = 0x123456789a,
		.payload = SPAN("fixed part, ")};
	struct format_record got;
	struct buf buf;
	size_t bytes = 0;

	(void)state;
	buf_init(&buf, 4096);
	format_put_record(&buf, &record, SPAN("and the rest"), SALT);
	assert_int_equal(buf.n % FORMAT_RECORD_ALIGN, 0);
	assert_int_equal(buf.n, format_record_bytes(24));
	assert_int_equal(format_get_record(buf_span(&buf), SALT, &got, &bytes), 0);
	assert_int_equal(bytes, buf.n);
	assert_true(got.id == record.id && got.sequence == 6 && got.type == FORMAT_MESSAGE);
	assert_true(span_equal(got.payload, SPAN("fixed part, and the rest")));
	for (size_t bit = 0; bit < (FORMAT_RECORD + 24) * 8; bit++) {
		buf.p[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_equal(
			format_get_record(buf_span(&buf), SALT, &got, &bytes), ERR_CORRUPT);
		buf.p[bit / 8] ^= (char)(1 << bit % 8);
	}
	for (size_t n = 0; n < buf.n; n++)
		assert_int_equal(
			format_get_record(span_of(buf.p, n), SALT, &got, &bytes), ERR_CORRUPT);
	buf_done(&buf);
}

static void test_names(void **state)
{
	char path[FORMAT_PATH];
	uint32_t serial = 0, number = 0;
	uint8_t owner = 0;

	(void)state;
	format_log_path(path, 3, 0xabc);
	assert_string_equal(path, "w3/00000abc.log");
	format_body_path(path, SPOOL_OWNER_DELIVERY, 0xffffffff, 4294967295u);
	assert_string_equal(path, "d/ffffffff-4294967295.body");
	assert_int_equal(format_parse_name("00000abc.log", &serial, &number), FORMAT_NAME_LOG);
	assert_int_equal(serial, 0xabc);
	assert_int_equal(format_parse_name("ffffffff-17.body", &serial, &number), FORMAT_NAME_BODY);
	assert_int_equal(number, 17);
	static const char *const others[] = {"", ".", "x", "abc.log", "00000ABC.log",
		"00000abc.log~", "000000abc.log", "00000abc-.body", "00000abc-017.body",
		"00000abc-4294967296.body", "00000abc-1.log", "-1.body", "00000000.log",
		"00000000-1.body"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(format_parse_name(others[i], &serial, &number), FORMAT_NAME_OTHER);
	assert_int_equal(format_parse_dir("d", &owner), FORMAT_DIR_LOGS);
	assert_int_equal(owner, SPOOL_OWNER_DELIVERY);
	assert_int_equal(format_parse_dir("w63", &owner), FORMAT_DIR_LOGS);
	assert_int_equal(owner, 63);
	assert_int_equal(format_parse_dir("b7", &owner), FORMAT_DIR_BODIES);
	assert_int_equal(owner, 7);
	static const char *const no_dirs[] = {
		"", "w", "w64", "w255", "w01", "w-1", "dd", "x0", "w1x", "b", "b64", "b00", "bd"};
	for (size_t i = 0; i < sizeof(no_dirs) / sizeof(no_dirs[0]); i++)
		assert_int_equal(format_parse_dir(no_dirs[i], &owner), FORMAT_DIR_OTHER);
}

static void test_idmap_against_an_array(void **state)
{
	enum { IDS = 700 };
	struct idmap map = {0};
	uint64_t values[IDS] = {0}, got;
	uint32_t x = 1;

	(void)state;
	for (int i = 0; i < 40000; i++) {
		x = x * 1664525 + 1013904223;
		uint32_t n = (x >> 8) % IDS;
		uint64_t id = ((uint64_t)n << 40 | n % 3) + 1;
		if (x >> 30) {
			values[n] = (uint64_t)i + 1;
			assert_int_equal(idmap_put(&map, id, values[n]), 0);
		} else {
			idmap_remove(&map, id);
			values[n] = 0;
		}
		n = (n + 13) % IDS;
		id = ((uint64_t)n << 40 | n % 3) + 1;
		assert_int_equal(idmap_get(&map, id, &got), values[n] != 0);
		if (values[n])
			assert_true(got == values[n]);
	}
	idmap_clear(&map);
	assert_false(idmap_get(&map, 1, &got));
	idmap_done(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_header_survives_the_loss_of_one_copy),
		cmocka_unit_test(test_batch_header_round_trip_and_every_flip),
		cmocka_unit_test(test_only_the_first_batch_stands_in_for_the_file_header),
		cmocka_unit_test(test_batches_that_do_not_fit_are_refused),
		cmocka_unit_test(test_record_round_trip_and_every_flip),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_idmap_against_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
