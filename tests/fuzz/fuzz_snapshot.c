/* A snapshot of any bytes, with a checksum that is right, asked for everything. */
#include "directory/snapshot_build.h"
#include "directory/snapshot_format.h"

#include <stdint.h>
#include <stdlib.h>
#include <xxhash.h>

#define INDEXES 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads a text to its end, so that the sanitizer sees a wrong one. */
static void touch(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		(void)*(const volatile char *)&text.p[i];
}

static void ask(const struct snapshot *s, struct span name)
{
	struct transport transport;
	struct domain domain;
	struct account account;

	if (snapshot_domain(s, name, &domain) == 0) {
		touch(domain.name);
		touch(domain.pause.reason);
	}
	if (snapshot_account(s, name, &account) == 0)
		touch(account.address);
	if (snapshot_transport_by_name(s, name, &transport) == 0) {
		touch(transport.host);
		touch(transport.query);
	}
}

static void ask_everything(const struct snapshot *s)
{
	struct span text;
	struct transport transport;
	struct priority_rule rule;
	struct pause pause;

	ask(s, SPAN(""));
	ask(s, SPAN("a.example"));
	ask(s, SPAN("ann@c.example"));
	ask(s, SPAN("site-a"));
	for (uint32_t i = 0; i < INDEXES; i++) {
		if (snapshot_transport(s, i, &transport) == 0) {
			touch(transport.zone);
			touch(transport.helo);
			touch(transport.pause.by);
		}
		if (snapshot_priority(s, i, &rule) == 0) {
			touch(rule.sender);
			touch(rule.client);
		}
	}
	if (snapshot_default_transport(s, &transport) == 0)
		touch(transport.name);
	if (snapshot_postmaster(s, &text) == 0)
		touch(text);
	snapshot_pause(s, &pause);
	touch(pause.reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot_header header;
	struct snapshot *snapshot;

	if (size < sizeof(header))
		return 0;
	char *bytes = malloc(size);
	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	memcpy(&header, bytes, sizeof(header));
	header.magic = SNAPSHOT_MAGIC;
	header.version = SNAPSHOT_VERSION;
	header.bytes = size;
	memcpy(bytes, &header, sizeof(header));
	header.checksum = XXH3_64bits(bytes + SNAPSHOT_CHECKED_FROM, size - SNAPSHOT_CHECKED_FROM);
	memcpy(bytes, &header, sizeof(header));
	if (snapshot_from_bytes(span_of(bytes, size), &snapshot) == 0) {
		ask_everything(snapshot);
		snapshot_release(&snapshot);
	}
	free(bytes);
	return 0;
}
