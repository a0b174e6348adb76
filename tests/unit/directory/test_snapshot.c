#include "directory/snapshot_build.h"
#include "directory/snapshot_format.h"

#include "base/check.h"
#include "base/prng.h"
#include "common.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

static const struct plan_options options = {.now_ms = 1700000000000};

static void apply(struct objects **objects, struct span text)
{
	struct buf problems;
	struct plan *plan;
	buf_init(&problems, 100000);
	if (objects_plan_apply(*objects, "f", text, &options, &problems, &plan) < 0)
		fail_msg("%s", text_of(&problems));
	struct objects *next = plan_take(&plan);
	objects_free(objects);
	*objects = next;
	buf_done(&problems);
}

static void pause_it(struct objects **objects, enum pause_scope scope, const char *name)
{
	struct buf problems;
	struct plan *plan;
	buf_init(&problems, 1000);
	assert_int_equal(objects_plan_pause(*objects, scope, span_str(name), SPAN("ann"),
				 SPAN("why not"), &options, &problems, &plan),
		0);
	struct objects *next = plan_take(&plan);
	objects_free(objects);
	*objects = next;
	buf_done(&problems);
}

static struct objects *sample(void)
{
	struct objects *objects;
	assert_int_equal(objects_new(&objects), 0);
	apply(&objects,
		SPAN(SAMPLE_OBJECTS
			"priorities: [ { sender: \"@a.example\", client: 192.0.2.0/24 } ]\n"));
	return objects;
}

static void check_sample(const struct snapshot *s)
{
	struct transport transport;
	struct span text;
	struct domain domain;
	struct account account;
	struct priority_rule rule;
	struct pause pause;

	assert_int_equal(snapshot_transport_count(s), 3);
	assert_int_equal(snapshot_domain(s, SPAN("a.example"), &domain), 0);
	assert_int_equal(domain.kind, DOMAIN_TRANSPORT);
	assert_span(domain.name, "a.example");
	assert_int_equal(snapshot_transport(s, domain.transport, &transport), 0);
	assert_span(transport.name, "site-a");
	assert_int_equal(transport.index, domain.transport);
	assert_span(transport.host, "127.0.0.1");
	assert_int_equal(transport.port, 2626);
	assert_int_equal(transport.retry_steps, 3);
	assert_span(transport.retry_text, "60,120,180");
	assert_int_equal(transport.retry[0].delay_s, 3600);
	assert_int_equal(transport.retry_count, 30);
	assert_int_equal(transport.give_up, GIVE_UP_DSN);
	assert_int_equal(transport.delay_warning_s, 4 * 3600);
	assert_int_equal(snapshot_transport_by_name(s, SPAN("mx-only"), &transport), 0);
	assert_int_equal(transport.host.n, 0);
	assert_span(transport.zone, "customer.example.org");
	assert_span(transport.query, "127.0.0.1:5353");
	assert_int_equal(transport.port, 25);
	assert_int_equal(snapshot_default_transport(s, &transport), 0);
	assert_span(transport.name, "outbound");
	assert_int_equal(transport.pause.since_ms, 0);
	assert_int_equal(snapshot_postmaster(s, &text), 0);
	assert_span(text, "ann@c.example");
	assert_int_equal(snapshot_domain(s, SPAN("c.example"), &domain), 0);
	assert_int_equal(domain.kind, DOMAIN_MAILBOXES);
	assert_int_equal(snapshot_account(s, SPAN("ann@c.example"), &account), 0);
	assert_span(account.address, "ann@c.example");
	static const char *const absent[] = {
		"", "example", "b.a.example", "a.exampl", "a.example.", "A.example"};
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(snapshot_domain(s, span_str(absent[i]), &domain), ERR_NOT_FOUND);
	assert_int_equal(snapshot_account(s, SPAN("bob@c.example"), &account), ERR_NOT_FOUND);
	assert_int_equal(snapshot_transport_by_name(s, SPAN("x"), &transport), ERR_NOT_FOUND);
	assert_int_equal(snapshot_transport(s, 3, &transport), ERR_NOT_FOUND);
	assert_int_equal(snapshot_priority_count(s), 1);
	assert_int_equal(snapshot_priority(s, 0, &rule), 0);
	assert_span(rule.sender, "@a.example");
	assert_span(rule.client, "192.0.2.0/24");
	assert_int_equal(rule.domain.n, 0);
	assert_int_equal(snapshot_priority(s, 1, &rule), ERR_NOT_FOUND);
	snapshot_pause(s, &pause);
	assert_int_equal(pause.since_ms, 0);
}

static void through_a_sealed_memfd(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct snapshot *s, *held;
	int fd;
	assert_int_equal(snapshot_build(objects, 42, &fd), 0);
	objects_free(&objects); /* it stands on its own */
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(snapshot_open(fd, &s), 0);
	assert_int_equal(snapshot_generation(s), 42);
	check_sample(s);
	held = snapshot_hold(s);
	snapshot_release(&s);
	assert_null(s);
	check_sample(held);
	snapshot_release(&held);
}

static void without_seals_it_is_refused(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct buf bytes;
	struct snapshot *s;
	buf_init(&bytes, SNAPSHOT_BYTES);
	assert_int_equal(snapshot_encode(objects, 1, &bytes), 0);
	int fd = memfd_create("x", MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, bytes.p, bytes.n), (ssize_t)bytes.n);
	assert_int_equal(snapshot_open(fd, &s), ERR_CORRUPT);
	assert_int_equal(snapshot_open(-1, &s), ERR_CORRUPT);
	buf_done(&bytes);
	objects_free(&objects);
}

static void pauses_and_emptiness(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct snapshot *s;
	struct transport transport;
	struct span text;
	struct domain domain;
	struct pause pause;
	struct buf bytes;
	pause_it(&objects, PAUSE_ALL, "");
	pause_it(&objects, PAUSE_DOMAIN, "b.example");
	pause_it(&objects, PAUSE_TRANSPORT, "outbound");
	buf_init(&bytes, SNAPSHOT_BYTES);
	assert_int_equal(snapshot_encode(objects, 7, &bytes), 0);
	assert_int_equal(snapshot_from_bytes(buf_span(&bytes), &s), 0);
	snapshot_pause(s, &pause);
	assert_true(pause.since_ms == options.now_ms);
	assert_span(pause.by, "ann");
	assert_span(pause.reason, "why not");
	assert_int_equal(snapshot_domain(s, SPAN("b.example"), &domain), 0);
	assert_true(domain.pause.since_ms == options.now_ms);
	assert_int_equal(snapshot_domain(s, SPAN("a.example"), &domain), 0);
	assert_int_equal(domain.pause.since_ms, 0);
	assert_int_equal(snapshot_default_transport(s, &transport), 0);
	assert_true(transport.pause.since_ms == options.now_ms);
	snapshot_release(&s);
	objects_free(&objects);

	assert_int_equal(objects_new(&objects), 0);
	buf_clear(&bytes);
	assert_int_equal(snapshot_encode(objects, 0, &bytes), 0);
	assert_int_equal(snapshot_from_bytes(buf_span(&bytes), &s), 0);
	assert_int_equal(snapshot_domain(s, SPAN("a.example"), &domain), ERR_NOT_FOUND);
	assert_int_equal(snapshot_default_transport(s, &transport), ERR_NOT_FOUND);
	assert_int_equal(snapshot_postmaster(s, &text), ERR_NOT_FOUND);
	assert_int_equal(snapshot_transport_count(s), 0);
	snapshot_release(&s);
	objects_free(&objects);
	buf_done(&bytes);
}

static uint64_t routes_of(const char *text)
{
	struct objects *objects;
	struct snapshot *s;
	struct buf bytes;

	assert_int_equal(objects_new(&objects), 0);
	apply(&objects, span_str(text));
	buf_init(&bytes, SNAPSHOT_BYTES);
	assert_int_equal(snapshot_encode(objects, 1, &bytes), 0);
	assert_int_equal(snapshot_from_bytes(buf_span(&bytes), &s), 0);
	uint64_t hash = snapshot_routes_hash(s);
	snapshot_release(&s);
	buf_done(&bytes);
	objects_free(&objects);
	return hash;
}

/* What is queued is routed anew when it may go elsewhere, and only then. */
static void routes_change_with_what_says_where(void **state)
{
	(void)state;
	uint64_t plain = routes_of("transports: { t: { server: lookup-mx } }\n");
	assert_true(
		plain == routes_of("transports: { t: { server: lookup-mx, retry-count: 3 } }\n"));
	assert_true(plain != routes_of("transports: { t: { server: a.example } }\n"));
	assert_true(plain != routes_of("transports: { t: { server: lookup-mx, private-hosts: yes } "
				       "}\n"));
}

static void private_hosts(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct snapshot *s;
	struct transport transport;
	struct buf bytes;

	apply(&objects,
		SPAN("transports: { inside: { server: lookup-mx, private-hosts: yes } }\n"));
	buf_init(&bytes, SNAPSHOT_BYTES);
	assert_int_equal(snapshot_encode(objects, 1, &bytes), 0);
	assert_int_equal(snapshot_from_bytes(buf_span(&bytes), &s), 0);
	assert_int_equal(snapshot_transport_by_name(s, SPAN("inside"), &transport), 0);
	assert_true(transport.private_hosts);
	assert_int_equal(snapshot_transport_by_name(s, SPAN("outbound"), &transport), 0);
	assert_false(transport.private_hosts);
	snapshot_release(&s);
	buf_done(&bytes);
	objects_free(&objects);
}

#define MANY 100000

static void a_hundred_thousand_domains(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct buf text, bytes, again;
	struct snapshot *s;
	struct domain domain;
	char name[64];

	buf_init(&text, 1 << 26);
	buf_add_str(&text, "domains:\n");
	for (int i = 0; i < MANY; i++)
		buf_printf(&text, "  customer-%d.example: { transport: %s }\n", i,
			i % 2 ? "site-a" : "mx-only");
	apply(&objects, buf_span(&text));
	buf_init(&bytes, SNAPSHOT_BYTES);
	buf_init(&again, SNAPSHOT_BYTES);
	assert_int_equal(snapshot_encode(objects, 9, &bytes), 0);
	assert_int_equal(snapshot_encode(objects, 9, &again), 0);
	assert_true(span_equal(buf_span(&bytes), buf_span(&again)));
	assert_true(bytes.n < (size_t)MANY * 64);
	assert_int_equal(snapshot_from_bytes(buf_span(&bytes), &s), 0);
	for (int i = 0; i < MANY; i++) {
		struct transport transport;
		snprintf(name, sizeof(name), "customer-%d.example", i);
		assert_int_equal(snapshot_domain(s, span_str(name), &domain), 0);
		assert_int_equal(snapshot_transport(s, domain.transport, &transport), 0);
		assert_span(transport.name, i % 2 ? "site-a" : "mx-only");
	}
	snprintf(name, sizeof(name), "customer-%d.example", MANY);
	assert_int_equal(snapshot_domain(s, span_str(name), &domain), ERR_NOT_FOUND);
	snapshot_release(&s);
	buf_done(&text);
	buf_done(&bytes);
	buf_done(&again);
	objects_free(&objects);
}

/* Everything that may be asked; spans that come back are read to their end. */
static void ask_everything(const struct snapshot *s)
{
	static const char *const names[] = {
		"", "a.example", "b.example", "c.example", "ann@c.example", "site-a"};
	struct transport transport;
	struct span text;
	struct domain domain;
	struct account account;
	struct priority_rule rule;
	struct pause pause;

	for (size_t i = 0; i < 6; i++) {
		if (snapshot_domain(s, span_str(names[i]), &domain) == 0)
			for (size_t k = 0; k < domain.name.n; k++)
				(void)*(const volatile char *)&domain.name.p[k];
		snapshot_account(s, span_str(names[i]), &account);
		snapshot_transport_by_name(s, span_str(names[i]), &transport);
	}
	for (uint32_t i = 0; i < MIN(snapshot_transport_count(s), 9u); i++) {
		if (snapshot_transport(s, i, &transport) < 0)
			continue;
		assert_in_range(transport.retry_steps, 1, RETRY_STEPS);
		for (size_t k = 0; k < transport.zone.n; k++)
			(void)*(const volatile char *)&transport.zone.p[k];
	}
	for (uint32_t i = 0; i < MIN(snapshot_priority_count(s), 9u); i++)
		snapshot_priority(s, i, &rule);
	snapshot_default_transport(s, &transport);
	if (!snapshot_postmaster(s, &text))
		for (size_t k = 0; k < text.n; k++)
			(void)*(const volatile char *)&text.p[k];
	snapshot_pause(s, &pause);
}

static void any_changed_byte_is_found(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct snapshot *s;
	struct buf bytes;
	buf_init(&bytes, SNAPSHOT_BYTES);
	assert_int_equal(snapshot_encode(objects, 1, &bytes), 0);
	for (size_t i = 0; i < bytes.n; i++) {
		bytes.p[i] ^= 0x10;
		assert_int_equal(snapshot_from_bytes(buf_span(&bytes), &s), ERR_CORRUPT);
		bytes.p[i] ^= 0x10;
	}
	for (size_t n = 0; n < bytes.n; n += 13)
		assert_int_equal(snapshot_from_bytes(span_of(bytes.p, n), &s), ERR_CORRUPT);
	buf_done(&bytes);
	objects_free(&objects);
}

/* Hostile: wrong inside, with a checksum that is right. */
static void hostile_bytes_never_crash(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct prng prng;
	struct buf bytes;
	pause_it(&objects, PAUSE_ALL, "");
	pause_it(&objects, PAUSE_DOMAIN, "b.example");
	buf_init(&bytes, SNAPSHOT_BYTES);
	assert_int_equal(snapshot_encode(objects, 1, &bytes), 0);
	prng_seed(&prng, 2);
	for (int round = 0; round < 20000; round++) {
		char *copy = test_malloc(bytes.n);
		struct snapshot_header header;
		struct snapshot *s;
		memcpy(copy, bytes.p, bytes.n);
		for (int i = 0; i < 3; i++) {
			uint32_t value = (uint32_t)prng_u64(&prng) >> prng_below(&prng, 32);
			size_t at = 16 + prng_below(&prng, bytes.n - 20);
			memcpy(copy + at / 4 * 4, &value, 4);
		}
		memcpy(&header, copy, sizeof(header));
		header.checksum =
			XXH3_64bits(copy + SNAPSHOT_CHECKED_FROM, bytes.n - SNAPSHOT_CHECKED_FROM);
		memcpy(copy, &header, sizeof(header));
		if (snapshot_from_bytes(span_of(copy, bytes.n), &s) == 0) {
			ask_everything(s);
			snapshot_release(&s);
		}
		test_free(copy);
	}
	buf_done(&bytes);
	objects_free(&objects);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(through_a_sealed_memfd),
		cmocka_unit_test(without_seals_it_is_refused),
		cmocka_unit_test(pauses_and_emptiness),
		cmocka_unit_test(routes_change_with_what_says_where),
		cmocka_unit_test(private_hosts),
		cmocka_unit_test(a_hundred_thousand_domains),
		cmocka_unit_test(any_changed_byte_is_found),
		cmocka_unit_test(hostile_bytes_never_crash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
