/* Who may relay, aliases, accounts and links' protection, as the other roles see them. */
#include "directory/snapshot_build.h"
#include "directory/snapshot_format.h"

#include "base/check.h"
#include "base/prng.h"
#include "common.h"
#include "directory/objects_inner.h"
#include "directory/range.h"

#include <stdio.h>
#include <xxhash.h>

static const struct plan_options options = {.now_ms = 1700000000000};

#define PIN_A "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define PIN_B "sha256:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

#define WHO                                                                                   \
	"transports:\n"                                                                       \
	"  site-a: { server: \"127.0.0.1:2626\" }\n"                                          \
	"  site-b: { server: \"mx.b.example:25\", tls: verify, tls-ca: /etc/ssl/b.pem,\n"     \
	"    tls-pin: [\"" PIN_A "\", \"" PIN_B "\"], sasl: { user: gw, secret: s3cret } }\n" \
	"domains:\n"                                                                          \
	"  a.example: { transport: site-a }\n"                                                \
	"  aa.example: { alias-of: a.example }\n"                                             \
	"  c.example: { mailboxes: true }\n"                                                  \
	"  z.example: { alias-of: c.example }\n"                                              \
	"accounts:\n"                                                                         \
	"  ann@c.example: {}\n"                                                               \
	"  joe@c.example: { disabled: yes, send-as: [info@c.example, \"@z.example\"] }\n"     \
	"aliases:\n"                                                                          \
	"  nick@c.example: [joe@c.example]\n"                                                 \
	"  all@c.example: [ann@c.example, joe@c.example, Else@elsewhere.example]\n"           \
	"relay:\n"                                                                            \
	"  mx: { policy: addresses, from: [198.51.100.7-198.51.100.20, 192.0.2.0/25,\n"       \
	"    192.0.2.128/25, \"2001:db8::/32\"], to: [203.0.113.5] }\n"                       \
	"  submission: { policy: none, advertise-auth: no, senders: any,\n"                   \
	"    certificates: [\"" PIN_A "\"] }\n"                                               \
	"accept: { hosts: [branch.example, other.example], users: [boss@elsewhere.example] }\n"

struct world {
	struct objects *objects;
	struct buf bytes;
	struct snapshot *s;
};

static void build(struct world *w)
{
	if (w->s)
		snapshot_release(&w->s);
	buf_clear(&w->bytes);
	assert_int_equal(snapshot_encode(w->objects, 1, &w->bytes), 0);
	assert_int_equal(snapshot_from_bytes(buf_span(&w->bytes), &w->s), 0);
}

static void apply(struct world *w, struct span text)
{
	struct buf problems;
	struct plan *plan;

	buf_init(&problems, 100000);
	if (objects_plan_apply(w->objects, "f", text, &options, &problems, &plan) < 0)
		fail_msg("%s", text_of(&problems));
	struct objects *next = plan_take(&plan);
	objects_free(&w->objects);
	w->objects = next;
	buf_done(&problems);
	build(w);
}

static void open_world(struct world *w, const char *text)
{
	*w = (struct world){.s = NULL};
	assert_int_equal(objects_new(&w->objects), 0);
	buf_init(&w->bytes, SNAPSHOT_BYTES);
	apply(w, span_str(text));
}

static void close_world(struct world *w)
{
	snapshot_release(&w->s);
	buf_done(&w->bytes);
	objects_free(&w->objects);
}

static void pause_domain(struct world *w, const char *name)
{
	struct buf problems;
	struct plan *plan;

	buf_init(&problems, 1000);
	assert_int_equal(objects_plan_pause(w->objects, PAUSE_DOMAIN, span_str(name), SPAN("ann"),
				 SPAN("moving"), &options, &problems, &plan),
		0);
	struct objects *next = plan_take(&plan);
	objects_free(&w->objects);
	w->objects = next;
	buf_done(&problems);
	build(w);
}

static struct netaddr ip(const char *text)
{
	struct netaddr a;

	assert_int_equal(netaddr_parse_ip(span_str(text), &a), 0);
	return a;
}

/* The range that says so, or "no". */
static void assert_relay(
	struct world *w, const char *listener, bool to, const char *address, const char *expected)
{
	struct netaddr a = ip(address);
	struct address_range range;
	struct relay relay;
	struct buf text;

	snapshot_relay(w->s, span_str(listener), &relay);
	buf_init(&text, 1000);
	int err = to ? snapshot_relay_to(w->s, &relay, &a, &range)
		     : snapshot_relay_from(w->s, &relay, &a, &range);
	if (err == 0)
		range_add(&text, &range);
	else
		buf_add_str(&text, err == ERR_NOT_FOUND ? "no" : "damaged");
	assert_text(&text, expected);
	buf_done(&text);
}

/* ---- relay policies -------------------------------------------------------------------------- */

static void relay_policies(void **state)
{
	struct world w;
	struct relay relay;
	(void)state;

	open_world(&w, WHO);
	assert_int_equal(snapshot_relay(w.s, SPAN("mx"), &relay), 0);
	assert_span(relay.listener, "mx");
	assert_int_equal(relay.policy, RELAY_ADDRESSES);
	assert_int_equal(relay.from_count, 3); /* two of them are one */
	assert_int_equal(relay.to_count, 1);
	assert_true(relay.advertise_auth);
	assert_int_equal(relay.senders, RELAY_SENDERS_OWN);
	assert_int_equal(relay.certificates.n, 0);

	assert_int_equal(snapshot_relay(w.s, SPAN("submission"), &relay), 0);
	assert_int_equal(relay.policy, RELAY_NONE);
	assert_false(relay.advertise_auth);
	assert_int_equal(relay.senders, RELAY_SENDERS_ANY);
	assert_span(relay.certificates, PIN_A);
	assert_int_equal(relay.from_count, 0);

	assert_int_equal(snapshot_relay_at(w.s, 0, &relay), 0);
	assert_span(relay.listener, "mx");
	assert_int_equal(snapshot_relay_at(w.s, 1, &relay), 0);
	assert_int_equal(snapshot_relay_at(w.s, 2, &relay), ERR_NOT_FOUND);
	close_world(&w);
}

/* Nobody may do more at a listener that the directory does not know. */
static void an_unknown_listener_has_the_defaults(void **state)
{
	struct world w;
	struct relay relay = {.policy = RELAY_ANYONE, .from_count = 9};
	(void)state;

	open_world(&w, WHO);
	assert_int_equal(snapshot_relay(w.s, SPAN("lan"), &relay), ERR_NOT_FOUND);
	assert_span(relay.listener, "lan");
	assert_int_equal(relay.policy, RELAY_NONE);
	assert_true(relay.advertise_auth);
	assert_int_equal(relay.senders, RELAY_SENDERS_OWN);
	assert_int_equal(relay.from_count, 0);
	assert_int_equal(relay.certificates.n, 0);
	assert_relay(&w, "lan", false, "192.0.2.1", "no");
	assert_relay(&w, "lan", true, "203.0.113.5", "no");
	struct address_range range;
	assert_int_equal(snapshot_relay_range(w.s, &relay, false, 0, &range), ERR_NOT_FOUND);
	close_world(&w);
}

static void ranges(void **state)
{
	struct world w;
	(void)state;

	open_world(&w, WHO);
	assert_relay(&w, "mx", false, "192.0.2.0", "192.0.2.0/24");
	assert_relay(&w, "mx", false, "192.0.2.255", "192.0.2.0/24");
	assert_relay(&w, "mx", false, "::ffff:192.0.2.7", "192.0.2.0/24");
	assert_relay(&w, "mx", false, "192.0.3.0", "no");
	assert_relay(&w, "mx", false, "192.0.1.255", "no");
	assert_relay(&w, "mx", false, "198.51.100.20", "198.51.100.7-198.51.100.20");
	assert_relay(&w, "mx", false, "198.51.100.21", "no");
	assert_relay(&w, "mx", false, "203.0.113.5", "no"); /* which is where to */
	assert_relay(&w, "mx", false, "2001:db8:1::1", "2001:db8::/32");
	assert_relay(&w, "mx", false, "2001:db9::", "no");
	assert_relay(&w, "mx", true, "203.0.113.5", "203.0.113.5");
	assert_relay(&w, "mx", true, "192.0.2.1", "no");
	assert_relay(&w, "submission", false, "192.0.2.1", "no");

	static const char *const in_order[] = {
		"192.0.2.0/24", "198.51.100.7-198.51.100.20", "2001:db8::/32"};
	struct address_range range;
	struct relay relay;
	assert_int_equal(snapshot_relay(w.s, SPAN("mx"), &relay), 0);
	for (uint32_t i = 0; i < 3; i++) {
		struct buf text;
		buf_init(&text, 100);
		assert_int_equal(snapshot_relay_range(w.s, &relay, false, i, &range), 0);
		range_add(&text, &range);
		assert_text(&text, in_order[i]);
		buf_done(&text);
	}
	assert_int_equal(snapshot_relay_range(w.s, &relay, false, 3, &range), ERR_NOT_FOUND);
	assert_int_equal(snapshot_relay_range(w.s, &relay, true, 1, &range), ERR_NOT_FOUND);
	close_world(&w);
}

static void every_address_of_a_version(void **state)
{
	struct world w;
	(void)state;

	open_world(&w, "relay: { v4: { policy: addresses, from: 0.0.0.0/0 },\n"
		       "  v6: { policy: addresses, from: \"::/0\" },\n"
		       "  low: { policy: addresses, from: [\"::/80\", 255.255.255.255] } }\n");
	assert_relay(&w, "v4", false, "0.0.0.0", "0.0.0.0/0");
	assert_relay(&w, "v4", false, "255.255.255.255", "0.0.0.0/0");
	assert_relay(&w, "v4", false, "::1", "no");
	assert_relay(&w, "v6", false, "::", "::/0");
	assert_relay(&w, "v6", false, "ffff::1", "::/0");
	assert_relay(&w, "v6", false, "192.0.2.1", "no");
	assert_relay(&w, "v6", false, "::ffff:192.0.2.1", "no");
	/* A network of version 6 in which IPv4's old form lies. */
	assert_relay(&w, "low", false, "::1", "::/80");
	assert_relay(&w, "low", false, "::ffff:192.0.2.1", "no");
	assert_relay(&w, "low", false, "255.255.255.255", "255.255.255.255");
	close_world(&w);
}

/* ---- many ranges ----------------------------------------------------------------------------- */

#define LISTENERS 25u
#define EACH	  4000u /* ranges of one listener: 100,000 all together */
#define LOOKUPS	  8000u /* of all listeners */

static struct address_range random_range(struct prng *prng, struct buf *text)
{
	bool v6 = prng_below(prng, 3) == 0;
	struct netaddr first = {.family = v6 ? NETADDR_V6 : NETADDR_V4};
	unsigned bytes = v6 ? 16 : 4, width = (unsigned)prng_below(prng, 3);

	/* Not too far from each other, so that some meet. */
	for (unsigned i = v6 ? 13 : 1; i < bytes; i++)
		first.ip[i] = (uint8_t)prng_u64(prng);
	first.ip[0] = v6 ? 0x20 : 10;
	struct netaddr last = first;
	for (unsigned i = bytes - width; i < bytes; i++)
		last.ip[i] = (uint8_t)(last.ip[i] + prng_below(prng, 256u - last.ip[i]));
	struct address_range range = {first, last};
	range_add(text, &range);
	return range;
}

/* Straight into the objects: reading so long lists is another matter. */
static void add_relay(
	struct world *w, struct prng *prng, unsigned number, struct address_range *given)
{
	struct object_set *set = &w->objects->sets[OBJECT_RELAY];
	char name[16];
	struct buf text;

	buf_init(&text, 1 << 20);
	for (unsigned i = 0; i < EACH; i++) {
		if (i)
			buf_add_char(&text, '\n');
		given[i] = random_range(prng, &text);
	}
	struct object_relay relay = {.policy = RELAY_ADDRESSES, .from = buf_span(&text)};
	snprintf(name, sizeof(name), "l%02u", number);
	assert_int_equal(object_set_room(set, LISTENERS), 0);
	assert_int_equal(
		object_new(OBJECT_RELAY, span_str(name), &relay, 0, 0, &set->items[set->count++]),
		0);
	buf_done(&text);
}

static void a_hundred_thousand_ranges(void **state)
{
	struct address_range *given = test_calloc((size_t)LISTENERS * EACH, sizeof(*given));
	struct prng prng;
	struct world w;
	unsigned held = 0;
	(void)state;

	prng_seed(&prng, 11);
	open_world(&w, "");
	for (unsigned l = 0; l < LISTENERS; l++)
		add_relay(&w, &prng, l, &given[l * EACH]);
	build(&w);
	for (unsigned k = 0; k < LOOKUPS; k++) {
		unsigned l = (unsigned)prng_below(&prng, LISTENERS);
		const struct address_range *near = &given[l * EACH + prng_below(&prng, EACH)];
		struct netaddr a = k % 2 ? near->first : near->last;
		struct address_range found;
		struct relay relay;
		char name[16];
		bool naive = false;
		if (k % 4 > 1) /* beside it, as often as not */
			a.ip[a.family == NETADDR_V4 ? 3 : 15] ^= 1;
		for (unsigned i = 0; i < EACH && !naive; i++)
			naive = range_holds(&given[l * EACH + i], &a);
		snprintf(name, sizeof(name), "l%02u", l);
		assert_int_equal(snapshot_relay(w.s, span_str(name), &relay), 0);
		int err = snapshot_relay_from(w.s, &relay, &a, &found);
		assert_int_equal(err, naive ? 0 : ERR_NOT_FOUND);
		assert_true(err || range_holds(&found, &a));
		held += naive;
	}
	assert_in_range(held, LOOKUPS / 2, LOOKUPS - LOOKUPS / 10); /* both cases were seen */
	close_world(&w);
	test_free(given);
}

/* ---- the accept table, aliases, accounts ----------------------------------------------------- */

static void the_accept_table(void **state)
{
	struct world w;
	(void)state;

	open_world(&w, WHO);
	assert_int_equal(snapshot_accept_host(w.s, SPAN("branch.example")), 0);
	assert_int_equal(snapshot_accept_host(w.s, SPAN("other.example")), 0);
	assert_int_equal(snapshot_accept_host(w.s, SPAN("a.branch.example")), ERR_NOT_FOUND);
	assert_int_equal(snapshot_accept_host(w.s, SPAN("example")), ERR_NOT_FOUND);
	assert_int_equal(snapshot_accept_host(w.s, SPAN("")), ERR_NOT_FOUND);
	assert_int_equal(snapshot_accept_host(w.s, SPAN("boss@elsewhere.example")), ERR_NOT_FOUND);
	assert_int_equal(snapshot_accept_user(w.s, SPAN("boss@elsewhere.example")), 0);
	assert_int_equal(snapshot_accept_user(w.s, SPAN("branch.example")), ERR_NOT_FOUND);
	assert_int_equal(snapshot_accept_user(w.s, SPAN_NONE), ERR_NOT_FOUND);
	close_world(&w);
	open_world(&w, "domains: { c.example: { mailboxes: true } }\n");
	assert_int_equal(snapshot_accept_host(w.s, SPAN("branch.example")), ERR_NOT_FOUND);
	assert_int_equal(snapshot_accept_user(w.s, SPAN_NONE), ERR_NOT_FOUND);
	close_world(&w);
}

static void aliases(void **state)
{
	struct world w;
	struct span target;
	uint32_t index, count;
	(void)state;

	open_world(&w, WHO);
	assert_int_equal(snapshot_alias(w.s, SPAN("nick@c.example"), &index, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(snapshot_alias_target(w.s, index, 0, &target), 0);
	assert_span(target, "joe@c.example");
	assert_int_equal(snapshot_alias_target(w.s, index, 1, &target), ERR_NOT_FOUND);
	assert_int_equal(snapshot_alias(w.s, SPAN("all@c.example"), &index, &count), 0);
	assert_int_equal(count, 3);
	static const char *const all[] = {
		"ann@c.example", "joe@c.example", "Else@elsewhere.example"};
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(snapshot_alias_target(w.s, index, i, &target), 0);
		assert_span(target, all[i]);
	}
	assert_int_equal(snapshot_alias(w.s, SPAN("joe@c.example"), &index, &count), ERR_NOT_FOUND);
	assert_int_equal(snapshot_alias_target(w.s, 2, 0, &target), ERR_NOT_FOUND);
	close_world(&w);
}

static void accounts(void **state)
{
	struct world w;
	struct account account;
	(void)state;

	open_world(&w, WHO);
	assert_true(objects_mark_secret(
		w.objects, SECRET_ACCOUNT, SPAN("ann@c.example"), UINT64_C(5) << 32 | 7));
	build(&w);
	assert_int_equal(snapshot_account(w.s, SPAN("ann@c.example"), &account), 0);
	assert_span(account.address, "ann@c.example");
	assert_true(account.logins_since == (UINT64_C(5) << 32 | 7));
	assert_false(account.disabled);
	assert_int_equal(account.send_as.n, 0);
	assert_int_equal(snapshot_account(w.s, SPAN("joe@c.example"), &account), 0);
	assert_true(account.disabled);
	assert_span(account.send_as, "info@c.example\n@z.example");
	assert_int_equal(account.logins_since, 0);
	assert_int_equal(snapshot_account(w.s, SPAN("nick@c.example"), &account), ERR_NOT_FOUND);
	close_world(&w);
}

static void links(void **state)
{
	struct world w;
	struct transport t;
	(void)state;

	open_world(&w, WHO);
	assert_int_equal(snapshot_transport_by_name(w.s, SPAN("site-b"), &t), 0);
	assert_int_equal(t.tls, TLS_VERIFY);
	assert_span(t.tls_ca, "/etc/ssl/b.pem");
	assert_span(t.sasl_user, "gw");
	assert_int_equal(t.tls_pin_count, 2);
	assert_int_equal(t.tls_pins[0][1], 0x11);
	assert_int_equal(t.tls_pins[1][1], 0xee);
	assert_int_equal(snapshot_transport_by_name(w.s, SPAN("site-a"), &t), 0);
	assert_int_equal(t.tls_pin_count, 0);
	assert_int_equal(t.tls_ca.n, 0);
	assert_int_equal(t.sasl_user.n, 0);
	close_world(&w);
}

/* ---- aliases of domains ---------------------------------------------------------------------- */

static void another_name_of_a_domain(void **state)
{
	struct world w;
	struct transport t;
	struct domain d;
	(void)state;

	open_world(&w, WHO);
	assert_int_equal(snapshot_domain(w.s, SPAN("aa.example"), &d), 0);
	assert_span(d.name, "aa.example");
	assert_span(d.alias_of, "a.example");
	assert_int_equal(d.kind, DOMAIN_TRANSPORT);
	assert_int_equal(snapshot_transport(w.s, d.transport, &t), 0);
	assert_span(t.name, "site-a");
	assert_int_equal(d.pause.since_ms, 0);
	assert_int_equal(snapshot_domain(w.s, SPAN("z.example"), &d), 0);
	assert_span(d.alias_of, "c.example");
	assert_int_equal(d.kind, DOMAIN_MAILBOXES);
	assert_int_equal(snapshot_domain(w.s, SPAN("a.example"), &d), 0);
	assert_int_equal(d.alias_of.n, 0);
	assert_int_equal(snapshot_paused_domain(w.s, 0, &d), ERR_NOT_FOUND);

	pause_domain(&w, "a.example");
	assert_int_equal(snapshot_domain(w.s, SPAN("aa.example"), &d), 0);
	assert_true(d.pause.since_ms == options.now_ms);
	assert_span(d.pause.reason, "moving");
	assert_int_equal(snapshot_domain(w.s, SPAN("z.example"), &d), 0);
	assert_int_equal(d.pause.since_ms, 0);
	/* The queue may have mail for either name. */
	assert_int_equal(snapshot_paused_domain(w.s, 0, &d), 0);
	assert_span(d.name, "a.example");
	assert_int_equal(snapshot_paused_domain(w.s, 1, &d), 0);
	assert_span(d.name, "aa.example");
	assert_int_equal(snapshot_paused_domain(w.s, 2, &d), ERR_NOT_FOUND);
	close_world(&w);
}

static uint64_t routes_of(const char *text)
{
	struct world w;

	open_world(&w, text);
	uint64_t hash = snapshot_routes_hash(w.s);
	close_world(&w);
	return hash;
}

#define TWO_DOMAINS                                                      \
	"transports: { t: { server: a.example, tls: opportunistic } }\n" \
	"domains: { a.example: { transport: t }, b.example: { transport: t }"

static void routes_change_with_what_aliases_mean(void **state)
{
	(void)state;
	uint64_t plain = routes_of(TWO_DOMAINS " }\n");
	uint64_t aliased = routes_of(TWO_DOMAINS ", c.example: { alias-of: a.example } }\n");
	assert_true(plain != aliased);
	assert_true(aliased != routes_of(TWO_DOMAINS ", c.example: { alias-of: b.example } }\n"));
	assert_true(aliased != routes_of(TWO_DOMAINS ", c.example: { transport: t } }\n"));

	uint64_t nick = routes_of(TWO_DOMAINS " }\naliases: { nick@a.example: [joe@a.example] }\n");
	assert_true(nick != plain);
	assert_true(nick !=
		    routes_of(TWO_DOMAINS " }\naliases: { nick@a.example: [ann@a.example] }\n"));
	/* Who may relay, who may log in and how links are protected say not where mail goes. */
	assert_true(plain ==
		    routes_of("transports: { t: { server: a.example, tls: require, sasl: { user: "
			      "gw, secret: x } } }\n"
			      "domains: { a.example: { transport: t }, b.example: { transport: t } "
			      "}\n"
			      "relay: { mx: { policy: addresses, from: [192.0.2.0/24] } }\n"
			      "accept: { hosts: [x.example] }\n"));
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void touch(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		(void)*(const volatile char *)&text.p[i];
}

static void ask_everything(const struct snapshot *s)
{
	static const char *const names[] = {"", "mx", "submission", "nick@c.example",
		"all@c.example", "branch.example", "boss@elsewhere.example", "joe@c.example",
		"aa.example", "z.example", "site-b"};
	struct address_range range;
	struct netaddr a = ip("198.51.100.9"), b = ip("2001:db8::1");
	struct transport transport;
	struct account account;
	struct domain domain;
	struct span target;
	struct relay relay;
	uint32_t index, count;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct span name = span_str(names[i]);
		snapshot_accept_host(s, name);
		snapshot_accept_user(s, name);
		if (snapshot_relay(s, name, &relay) == 0) {
			touch(relay.certificates);
			snapshot_relay_from(s, &relay, &a, &range);
			snapshot_relay_to(s, &relay, &b, &range);
			for (uint32_t k = 0; k < 4; k++)
				if (snapshot_relay_range(s, &relay, k & 1, k / 2, &range) == 0)
					assert_true(range_holds(&range, &range.first));
		}
		if (snapshot_alias(s, name, &index, &count) == 0)
			for (uint32_t k = 0; k < MIN(count, 4u); k++)
				if (snapshot_alias_target(s, index, k, &target) == 0)
					touch(target);
		if (snapshot_account(s, name, &account) == 0)
			touch(account.send_as);
		if (snapshot_domain(s, name, &domain) == 0)
			touch(domain.alias_of);
		if (snapshot_transport_by_name(s, name, &transport) == 0) {
			assert_true(transport.tls_pin_count <= TRANSPORT_PINS);
			touch(transport.tls_ca);
		}
	}
}

/* Wrong inside, with a checksum that is right. */
static void hostile_bytes_never_crash(void **state)
{
	struct prng prng;
	struct world w;
	unsigned opened = 0;
	(void)state;

	open_world(&w, WHO);
	prng_seed(&prng, 5);
	for (int round = 0; round < 20000; round++) {
		char *copy = test_malloc(w.bytes.n);
		struct snapshot_header header;
		struct snapshot *s;
		memcpy(copy, w.bytes.p, w.bytes.n);
		for (int i = 0; i < 3; i++) {
			uint32_t value = (uint32_t)prng_u64(&prng) >> prng_below(&prng, 32);
			size_t at =
				sizeof(header) + prng_below(&prng, w.bytes.n - sizeof(header) - 4);
			memcpy(copy + at / 4 * 4, &value, 4);
		}
		memcpy(&header, copy, sizeof(header));
		header.checksum = XXH3_64bits(
			copy + SNAPSHOT_CHECKED_FROM, w.bytes.n - SNAPSHOT_CHECKED_FROM);
		memcpy(copy, &header, sizeof(header));
		if (snapshot_from_bytes(span_of(copy, w.bytes.n), &s) == 0) {
			opened++;
			ask_everything(s);
			snapshot_release(&s);
		}
		test_free(copy);
	}
	assert_true(opened > 10000);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(relay_policies),
		cmocka_unit_test(an_unknown_listener_has_the_defaults),
		cmocka_unit_test(ranges),
		cmocka_unit_test(every_address_of_a_version),
		cmocka_unit_test(a_hundred_thousand_ranges),
		cmocka_unit_test(the_accept_table),
		cmocka_unit_test(aliases),
		cmocka_unit_test(accounts),
		cmocka_unit_test(links),
		cmocka_unit_test(another_name_of_a_domain),
		cmocka_unit_test(routes_change_with_what_aliases_mean),
		cmocka_unit_test(hostile_bytes_never_crash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
