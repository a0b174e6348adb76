#include "sim_world.h"

#include "base/check.h"
#include "sim_hop.h"

#include <stdlib.h>

const struct sim_domain world_domains[] = {
	{.name = "a.example"},
	{.name = "b.example"},
	{.name = "c.example", .mailboxes = true},
	{.name = "d.example", .may_fail = true, .patience_ns = 181 * SIM_MINUTE},
	{.name = "e.example", .may_fail = true, .warns = true, .patience_ns = 61 * SIM_MINUTE},
	{.name = "f.example", .may_fail = true, .discards = true, .patience_ns = 16 * SIM_MINUTE},
	{.name = "g.example", .seven_bit = true, .no_utf8 = true},
	{.name = "h.example", .full_boxes = true, .patience_ns = 15 * SIM_MINUTE},
	{.name = "n.example", .may_fail = true},
	{.name = "a.example"}, /* most of the mail */
	{.name = "b.example"},
	{.name = "c.example", .mailboxes = true},
};
const size_t world_domain_count = ARRAY_SIZE(world_domains);

const struct sim_dns_record world_dns[] = {
	{"b.example.zone.example", DNS_MX, 10, "mx1.b.example"},
	{"b.example.zone.example", DNS_MX, 20, "mx2.b.example"},
	{"mx1.b.example", DNS_A, 0, "192.0.2.20"},
	{"mx2.b.example", DNS_A, 0, "192.0.2.21"},
	{"mx2.b.example", DNS_AAAA, 0, "2001:db8::21"},
	{"mx1.b.example.zone.example", DNS_A, 0, "192.0.2.20"},
	{"mx2.b.example.zone.example", DNS_A, 0, "192.0.2.21"},
	{"mx2.b.example.zone.example", DNS_AAAA, 0, "2001:db8::21"},
	{"n.example", DNS_MX, 0, ""},
	{WORLD_SENDER, DNS_MX, 10, "mx." WORLD_SENDER},
	{"mx." WORLD_SENDER, DNS_A, 0, "192.0.2.60"},
	{0},
};

const char world_config[] =
	"hostname: gw.example.test\n"
	"spool: /sim/spool\n"
	"directory: /sim/directory.db\n"
	"control: /sim/control.sock\n"
	"workers: 2\n"
	"listeners:\n"
	"  mx: { address: \"203.0.113.1:25\" }\n"
	"limits: { message-size: 1M, inline-bytes: 4K, memory: 4M, outbound-connections: 12 }\n"
	"storage: { segment-size: 1M, journal-delay: 50ms }\n";

const char world_objects[] =
	"transports:\n"
	"  site-a: { server: \"192.0.2.10:25\", retry-delay: \"1m,2m,5m*4,15m\", retry-count: 400 "
	"}\n"
	"  site-a2: { server: \"192.0.2.11:25\", retry-delay: \"1m,2m,5m*4,15m\", retry-count: 400 "
	"}\n"
	"  site-b: { server: \"lookup-mx:zone=zone.example\", private-hosts: yes, retry-delay: "
	"\"1m,5m*4,15m\",\n"
	"            retry-count: 400, connections: 3 }\n"
	"  site-d: { server: \"192.0.2.30:25\", retry-delay: \"1m,5m*2,10m\", retry-count: 20 }\n"
	"  site-e: { server: \"192.0.2.40:25\", retry-delay: \"1m,5m*2,10m\", retry-count: 8,\n"
	"            delay-warning: 10m }\n"
	"  site-f: { server: \"192.0.2.40:2525\", retry-delay: \"1m,5m\", retry-count: 4,\n"
	"            give-up: discard }\n"
	"  site-g: { server: \"192.0.2.50:25\", retry-delay: \"2m,5m*4,15m\", retry-count: 400,\n"
	"            messages-per-connection: 3 }\n"
	"  site-h: { server: \"192.0.2.70:25\", retry-delay: \"1m\", retry-count: 15 }\n"
	"  outbound: { server: \"lookup-mx\", private-hosts: yes, retry-delay: \"1m,5m*4,15m\", "
	"retry-count: 400 }\n"
	"domains:\n"
	"  a.example: { transport: site-a }\n"
	"  b.example: { transport: site-b }\n"
	"  c.example: { mailboxes: true }\n"
	"  d.example: { transport: site-d }\n"
	"  e.example: { transport: site-e }\n"
	"  f.example: { transport: site-f }\n"
	"  g.example: { transport: site-g }\n"
	"  h.example: { transport: site-h }\n"
	"  n.example: { transport: outbound }\n"
	"accounts:\n"
	"  box0@c.example: {}\n"
	"  box1@c.example: {}\n"
	"  box2@c.example: {}\n"
	"  box3@c.example: {}\n"
	"default-transport: outbound\n";

static const struct sim_hop_kind kinds[] = {
	{.name = "site-a",
		.address = "192.0.2.10:25",
		.extensions = HOP_ALL,
		.trouble = 30,
		.down = true},
	{.name = "site-a2",
		.address = "192.0.2.11:25",
		.extensions = HOP_ALL,
		.trouble = 30,
		.down = true},
	{.name = "mx1.b",
		.address = "192.0.2.20:25",
		.extensions = HOP_ALL,
		.trouble = 60,
		.down = true},
	{.name = "mx2.b",
		.address = "192.0.2.21:25",
		.extensions = HOP_ALL & ~HOP_CHUNKING,
		.trouble = 20},
	{.name = "mx2.b v6", .address = "[2001:db8::21]:25", .extensions = HOP_ALL, .trouble = 20},
	{.name = "site-d",
		.address = "192.0.2.30:25",
		.extensions = HOP_ALL & ~HOP_BINARYMIME,
		.trouble = 40,
		.refuses = 250,
		.down = true},
	{.name = "site-g", .address = "192.0.2.50:25", .trouble = 20, .greylists = true},
	{.name = "site-h", .address = "192.0.2.70:25", .extensions = HOP_ALL, .full_boxes = true},
	{.name = "sender",
		.address = "192.0.2.60:25",
		.extensions = HOP_ALL & ~HOP_DSN,
		.trouble = 20,
		.down = true},
};

struct sim_hops {
	struct sim_hop *hops[ARRAY_SIZE(kinds)];
};

struct netaddr world_address(const char *text)
{
	struct netaddr address;

	CHECK(netaddr_parse(span_str(text), 25, &address) == 0);
	return address;
}

struct sim_hops *world_hops_new(struct sim *sim, struct sim_net *net, struct ledger *ledger)
{
	struct sim_hops *hops = calloc(1, sizeof(*hops));

	CHECK(hops);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		hops->hops[i] = sim_hop_new(sim, net, ledger, &kinds[i]);
	return hops;
}

void world_hops_calm(struct sim_hops *hops)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		sim_hop_calm(hops->hops[i]);
}
