/* Paths and mailboxes: no crash, and what comes out is canonical (parsing it again changes
 * nothing). */
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/address.h"

#define ARENA_BYTES (1u << 16)

static void check(const struct address *a, struct arena *arena)
{
	struct address again;

	if (a->null || a->postmaster)
		return;
	CHECK(a->mailbox.n <= ADDRESS_MAILBOX_BYTES && a->local.n <= ADDRESS_LOCAL_BYTES);
	CHECK(a->local.n + 1 + a->domain.n == a->mailbox.n);
	CHECK(text_is_utf8(a->mailbox));
	for (size_t i = 0; i < a->mailbox.n; i++) {
		unsigned char c = (unsigned char)a->mailbox.p[i];
		CHECK(c >= ' ' && c != 0x7f && (c < 0x80 || a->utf8));
	}
	for (size_t i = 0; i < a->domain.n; i++)
		CHECK((unsigned char)a->domain.p[i] < 0x80 && a->domain.p[i] != '@');
	CHECK(address_parse_mailbox(a->mailbox, arena, &again) == 0);
	CHECK(span_equal(again.mailbox, a->mailbox) && again.utf8 == a->utf8 &&
		again.literal == a->literal && !again.ulabel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct span domain;
	struct arena arena;
	struct address a;
	size_t used;

	arena_init(&arena, ARENA_BYTES);
	for (unsigned flags = 0; flags < 8; flags++) {
		if (address_parse_path(in, flags, &arena, &a, &used) == 0) {
			CHECK(used <= size);
			check(&a, &arena);
		}
	}
	if (address_parse_mailbox(in, &arena, &a) == 0)
		check(&a, &arena);
	if (address_parse_domain(in, &arena, &domain) == 0)
		CHECK(domain.n > 0 && domain.n <= ADDRESS_DOMAIN_BYTES);
	arena_reset(&arena);
	return 0;
}
