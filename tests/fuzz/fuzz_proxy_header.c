/* The beginning of a connection: no crash, the same answer however much is there, and no header
 * that reads past itself. */
#include "base/check.h"
#include "base/err.h"
#include "codec/proxy_header.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory of its own size, so that a byte too far is seen. */
static int parse(const uint8_t *data, size_t size, struct proxy_header *out, size_t *used)
{
	char *copy = malloc(size ? size : 1);

	CHECK(copy);
	if (size)
		memcpy(copy, data, size);
	int err = proxy_header_parse(span_of(copy, size), out, used);
	free(copy);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header out, again;
	size_t used = 0, less = 0;
	int err = parse(data, size, &out, &used);

	CHECK(err == 0 || err == ERR_MORE || err == ERR_SYNTAX || err == ERR_LIMIT ||
		err == ERR_UNSUPPORTED || err == ERR_CORRUPT);
	/* There is a length at which it knows. */
	CHECK(err != ERR_MORE || size < PROXY_HEADER_MOST);
	if (err)
		return 0;
	CHECK(used > 0 && used <= size && used <= PROXY_HEADER_MOST);
	CHECK(out.local || (out.client.family && out.server.family));
	CHECK(parse(data, used, &again, &less) == 0 && less == used);
	CHECK(again.local == out.local && netaddr_same_ip(&again.client, &out.client));
	CHECK(parse(data, used - 1, &again, &less) == ERR_MORE);
	return 0;
}
