#include "io/dns_anchor.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "io/dns_rdata.h"

#include <stdlib.h>
#include <string.h>

/* RFC 4034 section 5.1.3, RFC 4509, RFC 6605. SHA-1 is no anchor any more (RFC 8624). */
#define DIGEST_SHA256 2
#define DIGEST_SHA384 4

/* RFC 4034 section 2.1, RFC 5011 section 3 */
#define KEY_ZONE     0x0100u
#define KEY_REVOKED  0x0080u
#define KEY_PROTOCOL 3
#define KEY_LEAST    32 /* bytes: Ed25519's */

/* IANA, https://data.iana.org/root-anchors/root-anchors.xml (RFC 9718): KSK-2017 and KSK-2024. */
static const char *const root[] = {
	". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
	". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
};

/*
 * What many use inside, and the root says does not exist: reserved for that (RFC 6761, RFC 8375,
 * "internal" by ICANN), or never delegated for it. No outside name is less safe for it.
 */
static const char *const inside[] = {"test.", "local.", "internal.", "home.arpa.", "intranet.",
	"private.", "corp.", "home.", "lan.", "localdomain.", "mail."};

void dns_anchors_init(struct dns_anchors *anchors)
{
	anchors->count = 0;
}

static void cut(struct dns_anchors *anchors, uint32_t count)
{
	while (anchors->count > count)
		free(anchors->list[--anchors->count].text);
}

void dns_anchors_done(struct dns_anchors *anchors)
{
	cut(anchors, 0);
}

bool dns_anchors_have_root(const struct dns_anchors *anchors)
{
	for (uint32_t i = 0; i < anchors->count; i++)
		if (anchors->list[i].kind == DNS_ANCHOR_ROOT)
			return true;
	return false;
}

/* `text` begins with the zone's name and its dot. */
static int add(struct dns_anchors *anchors, struct span text, bool insecure)
{
	if (anchors->count == ARRAY_SIZE(anchors->list))
		return ERR_LIMIT;
	struct dns_anchor *anchor = &anchors->list[anchors->count];
	char *copy = malloc(text.n + 1);

	if (!copy)
		return ERR_NOMEM;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	anchor->zone_length = span_find(text, ' ');
	anchor->text = copy;
	anchor->kind = DNS_ANCHOR_ZONE;
	if (insecure)
		anchor->kind = DNS_ANCHOR_INSECURE;
	else if (anchor->zone_length == 1)
		anchor->kind = DNS_ANCHOR_ROOT;
	anchors->count++;
	return 0;
}

int dns_anchors_add_root(struct dns_anchors *anchors)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(root) && !err; i++)
		err = add(anchors, span_str(root[i]), false);
	return err;
}

static bool has_zone(const struct dns_anchors *anchors, struct span zone)
{
	for (uint32_t i = 0; i < anchors->count; i++) {
		const struct dns_anchor *anchor = &anchors->list[i];

		if (span_equal(span_of(anchor->text, anchor->zone_length), zone))
			return true;
	}
	return false;
}

int dns_anchors_add_inside(struct dns_anchors *anchors)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(inside) && !err; i++)
		if (!has_zone(anchors, span_str(inside[i])))
			err = add(anchors, span_str(inside[i]), true);
	return err;
}

/* ---- a line ---------------------------------------------------------------------------------- */

static struct span next_field(struct span *rest)
{
	*rest = span_trim(*rest);

	struct span out = {rest->p, 0};
	while (out.n < rest->n && rest->p[out.n] != ' ' && rest->p[out.n] != '\t')
		out.n++;
	*rest = span_skip(*rest, out.n);
	return out;
}

/* The name with its dot. */
static bool add_zone(struct buf *out, struct span name)
{
	char normal[DNS_NAME + 1];
	size_t n = 0;

	if (!span_equal(name, SPAN(".")) && dns_name_normal(name, normal, &n) < 0)
		return false;
	buf_add(out, normal, n);
	buf_add_char(out, '.');
	return true;
}

static bool take_number(struct span *rest, uint64_t most, uint64_t *out)
{
	return text_parse_u64(next_field(rest), most, out) == 0;
}

/* What is left, without its blanks. */
static void join(struct span rest, struct buf *out)
{
	for (struct span part; (part = next_field(&rest)).n != 0;)
		buf_add_span(out, part);
}

static bool is_hex(struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = ascii_lower(text.p[i]);

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

static const char *add_ds(struct span rest, struct buf *out)
{
	uint64_t tag, algorithm, digest;

	if (!take_number(&rest, UINT16_MAX, &tag) || !take_number(&rest, UINT8_MAX, &algorithm) ||
		!take_number(&rest, UINT8_MAX, &digest))
		return "key tag, algorithm and digest type have to follow DS";
	if (digest != DIGEST_SHA256 && digest != DIGEST_SHA384)
		return "the digest type has to be 2 (SHA-256) or 4 (SHA-384)";
	buf_printf(out, " IN DS %u %u %u ", (unsigned)tag, (unsigned)algorithm, (unsigned)digest);
	size_t before = out->n;
	join(rest, out);
	struct span hex = span_skip(buf_span(out), before);
	if (hex.n != (digest == DIGEST_SHA256 ? 64 : 96) || !is_hex(hex))
		return "the digest is not as long as its type wants, or not hexadecimal";
	return NULL;
}

static const char *add_key(struct span rest, struct buf *out)
{
	uint64_t flags, protocol, algorithm;
	struct buf key;

	if (!take_number(&rest, UINT16_MAX, &flags) || !take_number(&rest, UINT8_MAX, &protocol) ||
		!take_number(&rest, UINT8_MAX, &algorithm))
		return "flags, protocol and algorithm have to follow DNSKEY";
	if (!(flags & KEY_ZONE) || (flags & KEY_REVOKED) || protocol != KEY_PROTOCOL)
		return "it is no zone's key (flags 256 or 257, protocol 3), or a revoked one";
	buf_printf(out, " IN DNSKEY %u %u %u ", (unsigned)flags, (unsigned)protocol,
		(unsigned)algorithm);
	size_t before = out->n;
	join(rest, out);
	buf_init(&key, DNS_ANCHOR_TEXT);
	bool right = base64_decode(span_skip(buf_span(out), before), &key) && key.n >= KEY_LEAST;
	buf_done(&key);
	return right ? NULL : "the key is no base64, or too short";
}

/* One line without its comment. NULL: fine. */
static const char *read_record(struct span line, struct buf *out)
{
	struct span name = next_field(&line), word;
	uint64_t ttl;

	if (!add_zone(out, name))
		return "it has to begin with the name of a zone";
	do
		word = next_field(&line);
	while (span_equal_nocase(word, SPAN("IN")) || text_parse_u64(word, UINT32_MAX, &ttl) == 0);
	if (span_equal_nocase(word, SPAN("DS")))
		return add_ds(line, out);
	if (span_equal_nocase(word, SPAN("DNSKEY")))
		return add_key(line, out);
	return "it is neither a DS nor a DNSKEY record";
}

static const char *read_line(struct span line, struct buf *out, bool *insecure)
{
	struct span rest = line;

	*insecure = span_equal_nocase(next_field(&rest), SPAN("insecure")) && rest.n;
	if (!*insecure)
		return read_record(line, out);
	struct span zone = next_field(&rest);
	if (span_trim(rest).n || span_equal(zone, SPAN(".")) || !add_zone(out, zone))
		return "\"insecure\" has to be followed by the name of a zone";
	return NULL;
}

static void tell(struct buf *problem, uint32_t number, const char *what)
{
	if (problem)
		buf_printf(problem, "line %u: %s", number, what);
}

static int add_line(
	struct dns_anchors *anchors, struct span line, uint32_t number, struct buf *problem)
{
	struct buf record;
	bool insecure;

	buf_init(&record, DNS_ANCHOR_TEXT);
	const char *wrong = read_line(line, &record, &insecure);
	int err = wrong ? ERR_SYNTAX : 0;

	if (!wrong && !buf_ok(&record)) {
		wrong = "it is too long";
		err = ERR_LIMIT;
	}
	if (wrong)
		tell(problem, number, wrong);
	else
		err = add(anchors, buf_span(&record), insecure);
	buf_done(&record);
	return err;
}

int dns_anchors_add(struct dns_anchors *anchors, struct span text, struct buf *problem)
{
	uint32_t before = anchors->count, number = 0;
	int err = 0;

	while (text.n && !err) {
		struct span line = span_of(text.p, span_find(text, '\n'));

		text = span_skip(text, line.n + 1);
		number++;
		line.n = span_find(line, ';');
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		line = span_trim(line);
		if (!line.n)
			continue;
		if (anchors->count - before == DNS_ANCHORS) {
			tell(problem, number, "there are too many anchors");
			err = ERR_LIMIT;
		} else {
			err = add_line(anchors, line, number, problem);
		}
	}
	if (err)
		cut(anchors, before);
	return err;
}
