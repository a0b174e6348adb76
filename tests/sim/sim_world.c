#include "sim_world.h"

#include "base/check.h"
#include "sim_hop.h"
#include "sim_trust.h"

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
	{.name = "l.example"},
	{.name = "p.example"},
	{.name = "r.example"},
	{.name = "s.example"},
	{.name = "t.example"},
	{.name = "u.example"},
	{.name = "v.example"},
	{.name = "x.example"},
	{.name = "y.example", .foreign = true},
	{.name = "z.example", .foreign = true},
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
	{"s.example", DNS_MX, 10, "mx1.s.example"},
	{"s.example", DNS_MX, 20, "mx2.s.example"},
	{"mx1.s.example", DNS_A, 0, "192.0.2.104"},
	{"mx2.s.example", DNS_A, 0, "192.0.2.105"},
	{"mta-sts.s.example", DNS_A, 0, TRUST_WEB_ADDRESS},
	{"_smtp._tls.s.example", DNS_TXT, 0, "v=TLSRPTv1; rua=https://reports.s.example/v1"},
	{"reports.s.example", DNS_A, 0, "11.0.0.1"}, /* reports go to public addresses only */
	{"t.example", DNS_MX, 10, "mx1.t.example"},
	{"t.example", DNS_MX, 20, "mx2.t.example"},
	{"mx1.t.example", DNS_A, 0, "192.0.2.101"},
	{"mx2.t.example", DNS_A, 0, "192.0.2.102"},
	{"u.example", DNS_MX, 10, "mx1.u.example"},
	{"mx1.u.example", DNS_A, 0, "192.0.2.103"},
	{"mx.v.example", DNS_A, 0, "192.0.2.107"},
	{"x.example", DNS_MX, 10, "mx1.x.example"},
	{"mx1.x.example", DNS_A, 0, "192.0.2.106"},
	{"mta-sts.x.example", DNS_A, 0, TRUST_WEB_ADDRESS},
	{TRUST_EVIL_HOST, DNS_A, 0, TRUST_EVIL_ADDRESS},
	{WORLD_SENDER, DNS_MX, 10, "mx." WORLD_SENDER},
	{"mx." WORLD_SENDER, DNS_A, 0, "192.0.2.60"},
	{WORLD_BRANCH, DNS_MX, 10, "mx." WORLD_SENDER},
	{"y.example", DNS_A, 0, "192.0.2.81"},
	{"z.example", DNS_MX, 5, "mx.z.example"},
	{"mx.z.example", DNS_A, 0, "192.0.2.80"},
	{0},
};

const char world_config[] =
	"hostname: " WORLD_HOST "\n"
	"spool: /sim/spool\n"
	"directory: /sim/directory.db\n"
	"control: /sim/control.sock\n"
	"workers: 2\n"
	"listeners:\n"
	"  mx: { address: \"203.0.113.1:25\", tls: { certificate: /gw.crt, key: /gw.key } }\n"
	"  submission: { address: \"203.0.113.1:465\", tls: { certificate: /gw.crt, key: /gw.key, "
	"client-ca: /ca.crt } }\n"
	"  proxied: { address: \"203.0.113.1:2525\", tls: { certificate: /gw.crt, key: /gw.key }, "
	"proxy: [198.51.100.200], xclient: [198.51.100.201] }\n"
	"  open: { address: \"203.0.113.1:2526\", tls: { certificate: /gw.crt, key: /gw.key }, "
	"open-relay: yes }\n"
	"limits: { message-size: 1M, inline-bytes: 4K, memory: 4M, outbound-connections: 12 }\n"
	"storage: { segment-size: 1M, journal-delay: 50ms }\n";

static const struct sim_hop_kind kinds[] = {
	{.name = "site-a",
		.address = "192.0.2.10:25",
		.extensions = HOP_ALL,
		.trouble = 30,
		.down = true,
		.cert = CERT_SELF,
		.attacked = 50},
	{.name = "site-a2",
		.address = "192.0.2.11:25",
		.extensions = HOP_ALL,
		.trouble = 30,
		.down = true,
		.cert = CERT_SELF},
	{.name = "mx1.b",
		.address = "192.0.2.20:25",
		.extensions = HOP_ALL,
		.trouble = 60,
		.down = true},
	{.name = "mx2.b",
		.address = "192.0.2.21:25",
		.extensions = HOP_ALL & ~HOP_CHUNKING,
		.trouble = 20,
		.cert = CERT_SELF,
		.attacked = 50},
	{.name = "mx2.b v6",
		.address = "[2001:db8::21]:25",
		.extensions = HOP_ALL,
		.trouble = 20,
		.cert = CERT_SELF},
	{.name = "site-d",
		.address = "192.0.2.30:25",
		.extensions = HOP_ALL & ~HOP_BINARYMIME,
		.trouble = 40,
		.refuses = 250,
		.down = true,
		.cert = CERT_SELF,
		.attacked = 50},
	{.name = "site-g", .address = "192.0.2.50:25", .trouble = 20, .greylists = true},
	{.name = "site-h",
		.address = "192.0.2.70:25",
		.extensions = HOP_ALL,
		.full_boxes = true,
		.cert = CERT_SELF},
	{.name = "site-l",
		.address = "192.0.2.111:25",
		.extensions = HOP_ALL,
		.trouble = 40,
		.login = true,
		.cert = CERT_L,
		.attacked = 100},
	{.name = "site-p",
		.address = "192.0.2.109:25",
		.extensions = HOP_ALL | HOP_REQUIRETLS,
		.trouble = 40,
		.cert = CERT_P,
		.attacked = 200},
	{.name = "site-r",
		.address = "192.0.2.108:25",
		.extensions = HOP_ALL,
		.trouble = 60,
		.down = true,
		.cert = CERT_SELF,
		.attacked = 300},
	{.name = "site-v",
		.address = "192.0.2.107:25",
		.host = "mx.v.example",
		.extensions = HOP_ALL | HOP_REQUIRETLS,
		.trouble = 40,
		.cert = CERT_V,
		.attacked = 300},
	{.name = "mx1.t",
		.address = "192.0.2.101:25",
		.host = "mx1.t.example",
		.extensions = HOP_ALL | HOP_REQUIRETLS,
		.trouble = 60,
		.down = true,
		.cert = CERT_T1,
		.attacked = 300},
	{.name = "mx2.t",
		.address = "192.0.2.102:25",
		.host = "mx2.t.example",
		.extensions = HOP_ALL,
		.trouble = 40,
		.cert = CERT_T2,
		.attacked = 300},
	{.name = "mx1.u",
		.address = "192.0.2.103:25",
		.host = "mx1.u.example",
		.extensions = HOP_ALL,
		.trouble = 40,
		.cert = CERT_SELF,
		.attacked = 200},
	{.name = "mx1.s",
		.address = "192.0.2.104:25",
		.host = "mx1.s.example",
		.extensions = HOP_ALL,
		.trouble = 60,
		.down = true,
		.cert = CERT_S1,
		.attacked = 300},
	{.name = "mx2.s",
		.address = "192.0.2.105:25",
		.host = "mx2.s.example",
		.extensions = HOP_ALL | HOP_REQUIRETLS,
		.trouble = 40,
		.cert = CERT_S2,
		.attacked = 300},
	{.name = "mx1.x",
		.address = "192.0.2.106:25",
		.host = "mx1.x.example",
		.extensions = HOP_ALL,
		.trouble = 40,
		.cert = CERT_X1,
		.attacked = 300},
	{.name = "y",
		.address = "192.0.2.81:25",
		.extensions = HOP_ALL,
		.trouble = 30,
		.cert = CERT_SELF},
	{.name = "z", .address = "192.0.2.80:25", .extensions = HOP_ALL, .trouble = 30},
	{.name = "evil",
		.address = TRUST_EVIL_ADDRESS ":25",
		.host = TRUST_EVIL_HOST,
		.extensions = HOP_ALL | HOP_REQUIRETLS,
		.cert = CERT_ROGUE},
	{.name = "sender",
		.address = "192.0.2.60:25",
		.extensions = HOP_ALL & ~HOP_DSN,
		.trouble = 20,
		.down = true,
		.cert = CERT_SELF,
		.attacked = 20},
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
