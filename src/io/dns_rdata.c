#include "io/dns_rdata.h"

#include "base/err.h"
#include "base/text.h"

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int dns_name_normal(struct span in, char to[DNS_NAME + 1], size_t *out_length)
{
	size_t label = 0;

	if (in.n && in.p[in.n - 1] == '.')
		in.n--;
	if (!in.n || in.n > DNS_NAME)
		return ERR_SYNTAX;
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '.') {
			if (!label)
				return ERR_SYNTAX;
			label = 0;
		} else if (!is_name_byte(ascii_lower(in.p[i])) || ++label > DNS_LABEL) {
			return ERR_SYNTAX;
		}
	}
	if (!label)
		return ERR_SYNTAX;
	for (size_t i = 0; i < in.n; i++)
		to[i] = ascii_lower(in.p[i]);
	to[in.n] = '\0';
	*out_length = in.n;
	return 0;
}

int dns_name_from_wire(struct span in, char to[DNS_NAME + 1], size_t *out_length)
{
	char text[DNS_NAME + 2]; /* every label is followed by a dot */
	size_t n = 0;

	while (in.n) {
		size_t label = (unsigned char)in.p[0];

		in = span_skip(in, 1);
		if (!label) {
			if (in.n)
				return ERR_SYNTAX;
			if (n)
				return dns_name_normal(span_of(text, n), to, out_length);
			to[0] = '\0';
			*out_length = 0;
			return 0;
		}
		/* Above 63: a compression pointer, or a kind of label that never came into use. */
		if (label > DNS_LABEL || label > in.n || n + label + 1 > sizeof(text))
			return ERR_SYNTAX;
		for (size_t i = 0; i < label; i++) {
			if (!is_name_byte(ascii_lower(in.p[i])))
				return ERR_SYNTAX; /* a dot inside of a label among others */
			text[n++] = in.p[i];
		}
		text[n++] = '.';
		in = span_skip(in, label);
	}
	return ERR_SYNTAX;
}

void dns_records_clear(struct dns_records *records)
{
	records->count = 0;
	records->dropped = 0;
}

static bool add_address(struct dns_records *records, struct span rdata, size_t bytes)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct netaddr *a = &records->u.addresses[records->count];

	if (rdata.n != bytes)
		return false;
	/* ::ffff:192.0.2.1 is a form of programming interfaces, not of the network (RFC 4291). */
	if (bytes == 16 && memcmp(rdata.p, mapped, sizeof(mapped)) == 0)
		return false;
	*a = (struct netaddr){.family = bytes == 4 ? NETADDR_V4 : NETADDR_V6};
	memcpy(a->ip, rdata.p, bytes);
	return true;
}

static bool add_mx(struct dns_records *records, struct span rdata)
{
	char *name = records->names[records->count];
	size_t n;

	if (rdata.n < 3 || dns_name_from_wire(span_skip(rdata, 2), name, &n) < 0)
		return false;
	records->u.mx[records->count] = (struct dns_mx){
		(uint16_t)((unsigned char)rdata.p[0] << 8 | (unsigned char)rdata.p[1]),
		span_of(name, n)};
	return true;
}

void dns_records_add(struct dns_records *records, enum dns_type type, struct span rdata)
{
	bool added = records->count < DNS_RECORDS;

	if (added) {
		switch (type) {
		case DNS_A: added = add_address(records, rdata, 4); break;
		case DNS_AAAA: added = add_address(records, rdata, 16); break;
		case DNS_MX: added = add_mx(records, rdata); break;
		default: records->u.rdata[records->count] = rdata; break;
		}
	}
	if (added)
		records->count++;
	else
		records->dropped++;
}

void dns_records_into(
	const struct dns_records *records, enum dns_type type, struct dns_answer *answer)
{
	answer->count = records->count;
	answer->dropped = records->dropped;
	switch (type) {
	case DNS_A:
	case DNS_AAAA: answer->addresses = records->u.addresses; break;
	case DNS_MX: answer->mx = records->u.mx; break;
	default: answer->rdata = records->u.rdata; break;
	}
}

static int parse_server(struct span entry, struct dns_server *out)
{
	char name[DNS_NAME + 1];
	size_t colon = span_find(entry, ':');
	uint64_t port = DNS_PORT;
	size_t n;

	if (netaddr_parse(entry, DNS_PORT, &out->address) == 0) {
		out->name = SPAN_NONE;
		out->port = out->address.port;
		return 0;
	}
	if (colon < entry.n &&
		(text_parse_u64(span_skip(entry, colon + 1), UINT16_MAX, &port) < 0 || !port))
		return ERR_SYNTAX;
	entry.n = colon;
	if (dns_name_normal(entry, name, &n) < 0)
		return ERR_SYNTAX;
	*out = (struct dns_server){.name = entry, .port = (uint16_t)port};
	return 0;
}

int dns_servers_parse(struct span in, struct dns_server to[DNS_SERVERS], uint32_t *out_count)
{
	uint32_t count = 0;

	for (bool last = false; !last;) {
		size_t comma = span_find(in, ',');
		struct span entry = span_trim(span_of(in.p, comma));
		int err;

		last = comma == in.n;
		if (count == DNS_SERVERS)
			return ERR_LIMIT;
		err = parse_server(entry, &to[count]);
		if (err < 0)
			return err;
		count++;
		in = span_skip(in, comma + 1);
	}
	*out_count = count;
	return 0;
}

uint32_t dns_resolv_conf_parse(struct span text, struct netaddr to[DNS_SERVERS])
{
	static const struct span word = {"nameserver", 10};
	uint32_t count = 0;

	while (text.n && count < DNS_SERVERS) {
		size_t end = span_find(text, '\n');
		struct span line = span_trim(span_of(text.p, end));
		size_t n = 0;

		text = span_skip(text, end + 1);
		if (line.n <= word.n || !span_starts_nocase(line, word) ||
			(line.p[word.n] != ' ' && line.p[word.n] != '\t'))
			continue;
		line = span_trim(span_skip(line, word.n));
		while (n < line.n && !strchr(" \t\r#;", line.p[n]))
			n++;
		if (netaddr_parse_ip(span_of(line.p, n), &to[count]) == 0)
			to[count++].port = DNS_PORT;
	}
	return count;
}
