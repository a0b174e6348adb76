/* The directory of the simulated gateway at first, as its administrator wrote it. */
#include "sim_relay.h"
#include "sim_trust.h"
#include "sim_world.h"

/* That there is one: what it is, sim_auth.c knows. */
#define WORLD_PASSWORD "verifiers: \"crypt:x\""

static const struct {
	const char *name, *fields;
	bool short_lived; /* its fields say how long it tries */
} transports[] = {
	{"site-a", "server: \"192.0.2.10:25\"", false},
	{"site-a2", "server: \"192.0.2.11:25\"", false},
	{"site-b", "server: \"lookup-mx:zone=zone.example\", private-hosts: yes, connections: 3",
		false},
	{"site-d", "server: \"192.0.2.30:25\", retry-delay: \"1m,5m*2,10m\", retry-count: 20",
		true},
	{"site-e",
		"server: \"192.0.2.40:25\", retry-delay: \"1m,5m*2,10m\", retry-count: 8, "
		"delay-warning: 10m",
		true},
	{"site-f",
		"server: \"192.0.2.40:2525\", retry-delay: \"1m,5m\", retry-count: 4, "
		"give-up: discard",
		true},
	{"site-g", "server: \"192.0.2.50:25\", messages-per-connection: 3", false},
	{"site-h", "server: \"192.0.2.70:25\", retry-delay: \"1m\", retry-count: 15", true},
	{"site-l",
		"server: \"192.0.2.111:25\", sasl: { user: " WORLD_USER ", secret: " WORLD_SECRET
		" }",
		false},
	{"site-r", "server: \"192.0.2.108:25\", tls: require", false},
	{"site-v", "server: \"mx.v.example:25\", tls: verify, tls-ca: " WORLD_CA, false},
	{"signed", "server: lookup-mx, private-hosts: yes, tls: dane", false},
	{"policied", "server: lookup-mx, private-hosts: yes, tls: mta-sts", false},
	{"outbound", "server: lookup-mx, private-hosts: yes", false},
};

static const char rest[] =
	"domains:\n"
	"  a.example: { transport: site-a }\n"
	"  aa.example: { alias-of: a.example }\n"
	"  b.example: { transport: site-b }\n"
	"  c.example: { mailboxes: true }\n"
	"  cc.example: { alias-of: c.example }\n"
	"  d.example: { transport: site-d }\n"
	"  e.example: { transport: site-e }\n"
	"  f.example: { transport: site-f }\n"
	"  g.example: { transport: site-g }\n"
	"  h.example: { transport: site-h }\n"
	"  l.example: { transport: site-l }\n"
	"  n.example: { transport: outbound }\n"
	"  p.example: { transport: site-p }\n"
	"  r.example: { transport: site-r }\n"
	"  s.example: { transport: policied }\n"
	"  t.example: { transport: signed }\n"
	"  u.example: { transport: signed }\n"
	"  v.example: { transport: site-v }\n"
	"  x.example: { transport: policied }\n"
	"accounts:\n"
	"  box0@c.example: { " WORLD_PASSWORD ", send-as: [ \"@" WORLD_SENDER "\", \"@" WORLD_BRANCH
	"\" ] }\n"
	"  box1@c.example: { " WORLD_PASSWORD " }\n"
	"  box2@c.example: { " WORLD_PASSWORD " }\n"
	"  box3@c.example: { " WORLD_PASSWORD ", send-as: [ \"@" WORLD_BRANCH "\" ] }\n"
	"aliases:\n"
	"  nick0@c.example: box0@c.example\n"
	"  nick1@c.example: nick2@c.example\n"
	"  nick2@c.example: box2@c.example\n"
	"relay:\n"
	"  mx: {}\n"
	"  submission: {}\n"
	"  proxied: {}\n"
	"  open: {}\n"
	"default-transport: outbound\n";

static void put_pin(const uint8_t hash[TLS_HASH_BYTES], struct buf *out)
{
	buf_add_str(out, "\"sha256:");
	for (size_t i = 0; i < TLS_HASH_BYTES; i++)
		buf_printf(out, "%02x", hash[i]);
	buf_add_str(out, "\"");
}

static void put_transport(const char *name, const char *fields, bool short_lived, struct buf *out)
{
	/* Each has its own name in EHLO: a next hop knows by it which one it was. */
	buf_printf(out, "  %s: { helo: %s." WORLD_HOST ", %s%s", name, name, fields,
		short_lived ? " }\n" : ", retry-delay: \"1m,2m,5m*4,15m\", retry-count: 400 }\n");
}

void world_put_objects(struct buf *out)
{
	uint8_t key[TLS_HASH_BYTES], certificate[TLS_HASH_BYTES];
	struct buf pinned;

	buf_add_str(out, "transports:\n");
	for (size_t i = 0; i < ARRAY_SIZE(transports); i++)
		put_transport(
			transports[i].name, transports[i].fields, transports[i].short_lived, out);
	sim_cert_key_hash(CERT_P, key);
	sim_cert_hash(CERT_P_NEW, certificate);
	buf_init(&pinned, 1024);
	buf_add_str(&pinned, "server: \"192.0.2.109:25\", tls: verify, tls-pin: [ ");
	put_pin(key, &pinned);
	buf_add_str(&pinned, ", ");
	put_pin(certificate, &pinned);
	buf_add_str(&pinned, " ]");
	buf_add_char(&pinned, '\0');
	put_transport("site-p", pinned.p, false, out);
	buf_done(&pinned);
	buf_add_str(out, "accept:\n  hosts: [ " WORLD_BRANCH " ]\n  users:\n");
	for (unsigned i = 0; i < RELAY_USERS; i++)
		buf_printf(out, "    - s%u@" WORLD_BRANCH "\n", i);
	buf_add_str(out, rest);
}
