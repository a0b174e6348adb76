/*
 * What a hostile DNS can do to us: raw records, as the resolver library hands them over, go through
 * io/dns_rdata into the machine of route/mx, and the result has to keep its promises. Besides,
 * lists of servers and files with trust anchors are read.
 *
 * Input: one byte of flags, one with the length of the domain, the domain; then answers: status and
 * flags, number of records, and each record as a length and its bytes.
 */
#include "base/check.h"
#include "base/cursor.h"
#include "io/dns_anchor.h"
#include "io/dns_rdata.h"
#include "route/mx.h"
#include "route/public.h"

#include <stdlib.h>

static struct dns_records records;

static void check_name(struct span name)
{
	char again[DNS_NAME + 1];
	size_t n;

	CHECK(name.n <= DNS_NAME);
	if (name.n) {
		CHECK(dns_name_normal(name, again, &n) == 0);
		CHECK(span_equal(span_of(again, n), name));
	}
}

static struct dns_answer read_answer(struct cursor *c, enum dns_type type)
{
	struct dns_answer answer = {0};
	uint8_t flags = cursor_u8(c);
	uint32_t count = cursor_u8(c);

	dns_records_clear(&records);
	answer.status = (enum dns_status)(flags % 5);
	answer.secure = flags & 0x80;
	answer.ttl_s = flags & 0x40 ? 0 : UINT32_MAX;
	if (answer.status != DNS_OK)
		return answer;
	for (uint32_t i = 0; i < count && cursor_left(c); i++)
		dns_records_add(&records, type, cursor_bytes(c, cursor_u8(c)));
	dns_records_into(&records, type, &answer);
	CHECK(answer.count <= DNS_RECORDS);
	for (uint32_t i = 0; type == DNS_MX && i < answer.count; i++)
		check_name(answer.mx[i].name);
	if (!answer.count)
		answer.status = DNS_NODATA;
	return answer;
}

static void check_result(const struct mx_query *query, const struct mx_result *r)
{
	CHECK(r->ttl_s >= DNS_TTL_LEAST && r->ttl_s <= DNS_TTL_MOST);
	CHECK((r->verdict.kind == VERDICT_OK) == (r->address_count > 0));
	CHECK(r->address_count <= MX_ADDRESSES && r->host_count <= MX_HOSTS);
	for (uint32_t i = 0; i < r->address_count; i++) {
		const struct mx_address *a = &r->addresses[i];

		CHECK(a->host < r->host_count && a->address.port == 25);
		CHECK(query->host.n || query->private_hosts || route_is_public(&a->address));
		CHECK(a->address.family == NETADDR_V6 ||
			(a->address.ip[0] && a->address.ip[0] < 224));
	}
	for (uint32_t i = 1; i < r->host_count; i++)
		CHECK(r->hosts[i].preference >= r->hosts[i - 1].preference);
}

/* What was taken reads as itself. */
static void check_anchors(struct span text)
{
	struct dns_anchors anchors, again;

	dns_anchors_init(&anchors);
	dns_anchors_init(&again);
	if (dns_anchors_add(&anchors, text, NULL) < 0)
		CHECK(!anchors.count);
	for (uint32_t i = 0; i < anchors.count; i++) {
		const struct dns_anchor *anchor = &anchors.list[i];

		if (anchor->kind == DNS_ANCHOR_INSECURE)
			continue;
		CHECK(dns_anchors_add(&again, span_str(anchor->text), NULL) == 0);
		CHECK(!strcmp(again.list[again.count - 1].text, anchor->text));
	}
	dns_anchors_done(&anchors);
	dns_anchors_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(span_of(data, size));
	struct netaddr own = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}, .port = 25};
	struct route_config self = {SPAN("gw.example"), &own, 1, NULL, 0};
	uint8_t flags = cursor_u8(&c);
	struct span domain = cursor_bytes(&c, cursor_u8(&c));
	struct mx_query query = {.port = 25,
		.v4 = true,
		.v6 = flags & 4,
		.random = flags,
		.private_hosts = flags & 8,
		.self = &self};
	struct dns_server servers[DNS_SERVERS];
	struct mx_question q;
	struct mx_result *result;
	struct mx *mx;
	uint32_t count;

	(void)dns_servers_parse(domain, servers, &count);
	check_anchors(span_of(data, size));
	if (flags & 1)
		query.host = domain;
	else
		query.domain = domain;
	if (flags & 2)
		query.zone = SPAN("zone.example");
	if (mx_new(&query, &mx) < 0)
		return 0;
	while (mx_next(mx, &q)) {
		struct dns_answer answer = read_answer(&c, q.type);

		check_name(q.name);
		mx_answer(mx, q.id, &answer);
		mx_answer(mx, cursor_u8(&c), &answer);
	}
	CHECK(mx_finished(mx));
	CHECK(mx_finish(mx, &result) == 0);
	check_result(&query, result);
	mx_result_free(&result);
	mx_free(&mx);
	return 0;
}
