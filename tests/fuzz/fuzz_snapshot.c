/* A snapshot of any bytes, with a checksum that is right, asked for everything. */
#include "base/check.h"
#include "directory/range.h"
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
		touch(domain.alias_of);
	}
	if (snapshot_account(s, name, &account) == 0) {
		touch(account.address);
		touch(account.send_as);
	}
	if (snapshot_transport_by_name(s, name, &transport) == 0) {
		touch(transport.host);
		touch(transport.query);
		touch(transport.sasl_user);
		touch(span_of(transport.tls_pins,
			transport.tls_pin_count * sizeof(transport.tls_pins[0])));
	}
}

static void ask_relay(const struct snapshot *s, const struct relay *relay)
{
	static const struct netaddr addresses[] = {
		{.family = NETADDR_V4, .ip = {192, 0, 2, 1}},
		{.family = NETADDR_V6, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}},
		{.family = NETADDR_NONE},
	};
	struct address_range range;

	touch(relay->listener);
	touch(relay->certificates);
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		if (snapshot_relay_from(s, relay, &addresses[i], &range) == 0)
			CHECK(range_holds(&range, &addresses[i]));
		if (snapshot_relay_to(s, relay, &addresses[i], &range) == 0)
			CHECK(range_holds(&range, &addresses[i]));
	}
	for (uint32_t i = 0; i < INDEXES; i++)
		if (snapshot_relay_range(s, relay, i & 1, i / 2, &range) == 0)
			CHECK(range_compare_address(&range.first, &range.last) <= 0);
}

static void ask_who(const struct snapshot *s, struct span name)
{
	struct relay relay;
	uint32_t index, count;
	struct span target;

	snapshot_relay(s, name, &relay);
	snapshot_accept_host(s, name);
	snapshot_accept_user(s, name);
	if (snapshot_alias(s, name, &index, &count) == 0)
		for (uint32_t i = 0; i < MIN(count, INDEXES); i++)
			if (snapshot_alias_target(s, index, i, &target) == 0)
				touch(target);
	for (uint32_t i = 0; i < INDEXES; i++)
		if (snapshot_relay_at(s, i, &relay) == 0)
			ask_relay(s, &relay);
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
	ask(s, SPAN("z.example"));
	ask_who(s, SPAN("mx"));
	ask_who(s, SPAN("nick@c.example"));
	ask_who(s, SPAN("branch.example"));
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
