/* Secrets in memory of any bytes, with a checksum that is right, asked for everything; and the
 * same bytes as what is kept of a password. */
#include "base/buf.h"
#include "base/check.h"
#include "directory/secrets_inner.h"

#include <stdint.h>
#include <stdlib.h>
#include <xxhash.h>

#define PLACES 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads a text to its end, so that the sanitizer sees a wrong one. */
static void touch(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		(void)*(const volatile char *)&text.p[i];
}

static void ask_everything(const struct secrets *secrets)
{
	static const char *const names[] = {"", "a", "site-b", "joe@c.example"};
	struct span name, value;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (secrets_find(secrets, span_str(names[i]), &value) == 0)
			touch(value);
	for (uint32_t i = 0; i < PLACES; i++) {
		if (secrets_at(secrets, i, &name, &value) == 0) {
			touch(name);
			touch(value);
		}
	}
}

static void as_memory(const uint8_t *data, size_t size)
{
	struct secrets_header header;
	struct secrets *secrets;

	if (size < sizeof(header))
		return;
	char *bytes = malloc(size);
	if (!bytes)
		return;
	memcpy(bytes, data, size);
	memcpy(&header, bytes, sizeof(header));
	header.magic = SECRETS_MAGIC;
	header.version = SECRETS_VERSION;
	header.bytes = size;
	memcpy(bytes, &header, sizeof(header));
	header.checksum = XXH3_64bits(bytes + SECRETS_CHECKED_FROM, size - SECRETS_CHECKED_FROM);
	memcpy(bytes, &header, sizeof(header));
	if (secrets_from_bytes(span_of(bytes, size), &secrets) == 0) {
		ask_everything(secrets);
		secrets_free(&secrets);
	}
	free(bytes);
}

/* What was read says the same when it was written and read again. */
static void as_verifiers(struct span value)
{
	struct password_verifiers v, again;
	struct buf text, text_again;

	if (verifiers_parse(value, &v) < 0)
		return;
	buf_init(&text, 2 * SECRET_BYTES);
	buf_init(&text_again, 2 * SECRET_BYTES);
	verifiers_add(&text, &v);
	CHECK(verifiers_parse(buf_span(&text), &again) == 0);
	verifiers_add(&text_again, &again);
	CHECK(span_equal(buf_span(&text), buf_span(&text_again)));
	buf_done(&text);
	buf_done(&text_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_memory(data, size);
	as_verifiers(span_of(data, size));
	return 0;
}
