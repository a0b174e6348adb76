/* XCLIENT's argument: no crash, and nothing comes of it that would break out of a log or a field.
 */
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/xclient.h"

#define ARENA_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_visible(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		CHECK((unsigned char)text.p[i] >= ' ' && text.p[i] != 0x7f);
	CHECK(text_is_utf8(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct xclient x;

	arena_init(&arena, ARENA_BYTES);
	int err = xclient_parse(span_of(data, size), &arena, &x);
	CHECK(err == 0 || err == ERR_SYNTAX || err == ERR_NOMEM);
	if (!err) {
		check_visible(x.name);
		check_visible(x.helo);
		check_visible(x.login);
		CHECK(x.has_address == (x.address.family != NETADDR_NONE));
		CHECK(x.has_helo == (x.helo.n > 0));
		CHECK(!x.login.n || x.has_login);
		CHECK(!x.extended || x.has_extended);
	}
	arena_reset(&arena);
	return 0;
}
