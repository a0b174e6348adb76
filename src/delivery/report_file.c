/*
 * How TLS reports are kept: rows, each followed by its failures.
 */
#include "delivery/report_row.h"

#include "base/cursor.h"
#include "base/err.h"
#include "io/dns.h"

#define REPORT_FILE (64u << 20)

static void put_address(struct buf *out, const struct netaddr *address)
{
	buf_put_u8(out, (uint8_t)address->family);
	buf_add(out, address->ip, sizeof(address->ip));
}

static struct netaddr get_address(struct cursor *in)
{
	struct netaddr address = {.family = cursor_u8(in)};
	struct span ip = cursor_bytes(in, sizeof(address.ip));

	if (ip.n == sizeof(address.ip))
		memcpy(address.ip, ip.p, ip.n);
	if (address.family != NETADDR_V4 && address.family != NETADDR_V6)
		address = (struct netaddr){.family = NETADDR_NONE};
	return address;
}

static void put_row(struct buf *out, const struct report_row *row)
{
	buf_put_u64(out, (uint64_t)row->day);
	buf_put_u8(out, (uint8_t)row->type);
	buf_put_bytes16(out, span_of(row->domain, row->domain_length));
	buf_put_u64(out, row->successes);
	buf_put_u64(out, row->failures);
	buf_put_bytes32(out, buf_span(&row->lines));
	buf_put_bytes32(out, buf_span(&row->mx));
	buf_put_u32(out, row->detail_count);
	for (const struct list *node = row->details.next; node != &row->details;
		node = node->next) {
		const struct report_detail *detail = CONTAINER_OF(node, struct report_detail, node);

		buf_put_u8(out, (uint8_t)detail->result);
		buf_put_u64(out, detail->sessions);
		put_address(out, &detail->local);
		put_address(out, &detail->peer);
		buf_put_bytes16(out, span_of(detail->text, detail->host_length));
		buf_put_bytes16(
			out, span_of(detail->text + detail->host_length, detail->text_length));
	}
}

static int get_row(struct report *report, struct cursor *in)
{
	int64_t day = (int64_t)cursor_u64(in);
	uint8_t type = cursor_u8(in);
	struct span domain = cursor_bytes16(in);
	uint64_t successes = cursor_u64(in), failures = cursor_u64(in);
	struct span lines = cursor_bytes32(in), mx = cursor_bytes32(in);
	uint32_t details = cursor_u32(in);

	if (!cursor_ok(in) || type > TLS_RPT_NO_POLICY || !domain.n || domain.n > DNS_NAME)
		return ERR_CORRUPT;
	struct report_row *row = report_row(report, domain, type, day);

	if (!row)
		return ERR_NOMEM;
	row->successes += successes;
	row->failures += failures;
	buf_clear(&row->lines);
	buf_clear(&row->mx);
	buf_add_span(&row->lines, lines);
	buf_add_span(&row->mx, mx);
	for (uint32_t i = 0; i < details && cursor_ok(in); i++) {
		struct report_session session = {.result = cursor_u8(in)};
		uint64_t sessions = cursor_u64(in);

		session.local = get_address(in);
		session.peer = get_address(in);
		session.host = cursor_bytes16(in);
		session.detail = cursor_bytes16(in);
		if (!cursor_ok(in) || (unsigned)session.result >= TLS_RPT_RESULTS)
			return ERR_CORRUPT;
		report_row_fail(row, &session, sessions);
	}
	return cursor_ok(in) ? 0 : ERR_CORRUPT;
}

static uint64_t version(const void *owner)
{
	return ((const struct report *)owner)->version;
}

static void encode(const void *owner, struct buf *out)
{
	const struct report *report = owner;

	for (const struct list *node = report->rows.next; node != &report->rows; node = node->next)
		put_row(out, CONTAINER_OF(node, struct report_row, all));
}

static int restore(void *owner, struct span bytes)
{
	struct cursor in = cursor_of(bytes);
	int err = 0;

	while (!err && cursor_left(&in))
		err = get_row(owner, &in);
	return err;
}

const struct kept_kind report_kept = {
	.file = "d/tls-reports",
	.fresh = "d/tls-reports.new",
	.most = REPORT_FILE,
	.version = version,
	.encode = encode,
	.restore = restore,
	.unreadable = "what was kept for TLS reports cannot be read: today's reports will say less",
	.unwritable = "what goes into TLS reports cannot be kept: after a restart they say less",
};
