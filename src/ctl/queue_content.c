/*
 * queue show --header, --body: a message as it is queued. To a terminal without what it would obey;
 * to a file or a pipe byte by byte.
 */
#include "ctl/queue.h"

#include "base/base64.h"
#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes that are no text, and what a terminal obeys, as \xHH; line ends as they are there. */
static void put_safe(struct span bytes)
{
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];

		if (c == '\r' && i + 1 < bytes.n && bytes.p[i + 1] == '\n')
			continue;
		if (c == '\n' || c == '\t' || (c >= ' ' && c < 0x7f))
			putchar(c);
		else
			printf("\\x%02x", c);
	}
}

static bool put(const struct ctl *ctl, const json_t *reply, bool terminal)
{
	const json_t *data = json_object_get(reply, "data");
	struct buf bytes;

	buf_init(&bytes, 1u << 24);
	bool fits =
		base64_decode(span_of(json_string_value(data), json_string_length(data)), &bytes);

	if (!fits)
		ctl_refuse(ctl, "the server's answer cannot be read");
	else if (terminal)
		put_safe(buf_span(&bytes));
	else if (bytes.n && fwrite(bytes.p, 1, bytes.n, stdout) != bytes.n)
		fits = ctl_refuse(ctl, "it cannot be written: %s", strerror(errno)) == EXIT_DONE;
	buf_done(&bytes);
	return fits;
}

int queue_content(struct ctl *ctl, const char *id, const char *part)
{
	bool terminal = isatty(STDOUT_FILENO) != 0;
	json_int_t offset = 0;

	if (ctl->json)
		return ctl_usage(ctl, "--header and --body are the message itself, and no JSON");
	do {
		json_t *request = queue_request("content");

		queue_put(request, "id", id);
		queue_put(request, "part", part);
		queue_put_json(request, "offset", json_integer(offset));
		json_t *reply = ctl_ask(ctl, request);

		if (!reply)
			return EXIT_REFUSED;
		json_int_t next = member_int(reply, "next");
		bool done = put(ctl, reply, terminal);

		json_decref(reply);
		if (!done)
			return EXIT_REFUSED;
		if (next && next <= offset)
			return ctl_refuse(ctl, "the server's answer cannot be read");
		offset = next;
	} while (offset);
	return EXIT_DONE;
}
