/* From text to a value. */
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "directory/names.h"
#include "directory/schema_value.h"

#define USER_BYTES 32u

static int parse_bool(struct span text, bool *out)
{
	static const char *const truths[] = {"true", "yes", "on"};
	static const char *const lies[] = {"false", "no", "off"};

	for (size_t i = 0; i < ARRAY_SIZE(truths); i++) {
		if (span_equal(text, span_str(truths[i]))) {
			*out = true;
			return 0;
		}
		if (span_equal(text, span_str(lies[i]))) {
			*out = false;
			return 0;
		}
	}
	return ERR_SYNTAX;
}

static int parse_number(const struct schema_field *field, struct span text, uint64_t *out)
{
	uint64_t value;
	int err;

	if (field->type == SCHEMA_SIZE)
		err = text_parse_size(text, &value);
	else if (field->type == SCHEMA_DURATION)
		err = text_parse_duration(text, field->unit_ms, &value);
	else
		err = text_parse_u64(text, field->most, &value);
	if (err < 0)
		return ERR_SYNTAX;
	bool off = value == 0 && field->zero_is_off;
	if (!off && (value < field->least || value > field->most))
		return ERR_SYNTAX;
	*out = value;
	return 0;
}

static int parse_choice(const struct schema_field *field, struct span text, int *out)
{
	for (int i = 0; field->choices[i]; i++) {
		if (span_equal(text, span_str(field->choices[i]))) {
			*out = i;
			return 0;
		}
	}
	return ERR_SYNTAX;
}

static int copy(struct span text, struct arena *arena, struct span *out)
{
	struct span kept = arena_copy(arena, text);
	if (!kept.p)
		return ERR_NOMEM;
	*out = kept;
	return 0;
}

static int parse_path(const struct schema_field *field, struct span text, struct span folder,
	struct arena *arena, struct span *out)
{
	bool relative = text.p[0] != '/' && folder.n;
	size_t bytes = text.n + (relative ? folder.n + 1 : 0);

	if (bytes > field->most)
		return ERR_SYNTAX;
	char *whole = arena_alloc(arena, bytes + 1);
	if (!whole)
		return ERR_NOMEM;
	size_t n = 0;
	if (relative) {
		memcpy(whole, folder.p, folder.n);
		n = folder.n;
		if (whole[n - 1] != '/')
			whole[n++] = '/';
	}
	memcpy(whole + n, text.p, text.n);
	for (n += text.n; n > 1 && whole[n - 1] == '/';)
		n--;
	whole[n] = '\0';
	*out = span_of(whole, n);
	return 0;
}

static int parse_ip(
	struct span text, enum netaddr_family family, struct arena *arena, struct span *out)
{
	struct netaddr address;

	if (netaddr_parse_ip(text, &address) < 0 || address.family != family)
		return ERR_SYNTAX;
	return copy(text, arena, out);
}

static int parse_cidr(struct span text, struct arena *arena, struct span *out)
{
	size_t slash = span_find(text, '/');
	struct netaddr address;
	uint64_t bits = 0;

	if (netaddr_parse_ip(span_of(text.p, slash), &address) < 0)
		return ERR_SYNTAX;
	if (slash < text.n && text_parse_u64(span_skip(text, slash + 1),
				      address.family == NETADDR_V4 ? 32 : 128, &bits) < 0)
		return ERR_SYNTAX;
	return copy(text, arena, out);
}

/* The domain part in canonical form, unless it is a pattern itself; then in lower case. */
static int parse_pattern(
	const struct schema_field *field, struct span text, struct arena *arena, struct span *out)
{
	size_t domain_at = text.n;
	struct span domain;

	if (text.n > field->most || span_find(text, ' ') < text.n)
		return ERR_SYNTAX;
	while (domain_at && text.p[domain_at - 1] != '@')
		domain_at--;
	domain = span_skip(text, domain_at);
	if (span_find(domain, '*') == domain.n) {
		int err = name_domain(domain, arena, &domain);
		if (err < 0)
			return err;
	}
	char *whole = arena_alloc(arena, domain_at + domain.n + 1);
	if (!whole)
		return ERR_NOMEM;
	memcpy(whole, text.p, domain_at);
	for (size_t i = 0; i < domain.n; i++)
		whole[domain_at + i] = ascii_lower(domain.p[i]);
	*out = span_of(whole, domain_at + domain.n);
	return 0;
}

static int parse_user(struct span text, struct arena *arena, struct span *out)
{
	if (text.n > USER_BYTES || (text.p[0] >= '0' && text.p[0] <= '9') || text.p[0] == '-')
		return ERR_SYNTAX;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return ERR_SYNTAX;
	}
	return copy(text, arena, out);
}

/* A comma list of addresses with optional ports; blanks around commas are dropped. */
static int parse_servers(const struct schema_field *field, struct span text, struct arena *arena,
	struct span *out, struct buf *why)
{
	char *list = arena_alloc(arena, text.n + 1);
	size_t n = 0;
	uint64_t count = 0;

	if (!list)
		return ERR_NOMEM;
	for (bool last = false; !last;) {
		size_t comma = span_find(text, ',');
		struct span item = span_trim(span_of(text.p, comma)), host;
		struct netaddr address;
		uint16_t port;
		if (++count > field->most ||
			server_split(item, SERVER_DNS_PORT, &host, &port, why) < 0 ||
			netaddr_parse_ip(host, &address) < 0)
			return ERR_SYNTAX;
		if (n)
			list[n++] = ',';
		memcpy(list + n, item.p, item.n);
		n += item.n;
		last = comma == text.n;
		text = span_skip(text, comma + 1);
	}
	*out = span_of(list, n);
	return 0;
}

/* A bad port is told in words of its own; what else is wrong, the field's own words say. */
static int parse_address(
	const struct schema_field *field, struct span text, struct netaddr *out, struct buf *why)
{
	struct span host;
	uint16_t port;

	if (netaddr_parse(text, (uint16_t)field->least, out) == 0)
		return 0;
	(void)server_split(text, SERVER_PORT, &host, &port, why);
	return ERR_SYNTAX;
}

static int parse_fqdn(struct span text, struct arena *arena, struct span *out)
{
	struct span name;
	int err = name_domain(text, arena, &name);

	if (err == 0 && span_find(name, '.') == name.n)
		err = ERR_SYNTAX;
	if (err == 0)
		*out = name;
	return err;
}

static int parse_retry(struct span text, struct arena *arena, struct retry_list *out)
{
	struct span kept;
	int err = copy(text, arena, &kept);

	if (err == 0 && retry_parse(kept, out) < 0)
		err = ERR_SYNTAX;
	return err;
}

static int parse_list(const struct schema_field *field, struct span text, struct span folder,
	struct arena *arena, struct span *out, struct buf *why)
{
	struct schema_list list;
	int err = 0;

	schema_list_begin(&list, field, folder, arena);
	for (bool last = false; !last && err == 0;)
		err = schema_list_add(&list, schema_list_split(&text, &last), why);
	return schema_list_end(&list, err, out);
}

/* Bounded text of any other kind. */
static int parse_text(
	const struct schema_field *field, struct span text, struct arena *arena, struct span *out)
{
	if (text.n < field->least || text.n > field->most)
		return ERR_SYNTAX;
	return copy(text, arena, out);
}

int schema_value_parse(const struct schema_field *field, struct span text, struct span folder,
	struct arena *arena, void *at, struct buf *why)
{
	uint64_t number;
	int err;

	CHECK(text.n > 0);
	if (!name_is_text(text)) {
		if (why)
			buf_add_str(why,
				"control characters and bytes that are not UTF-8 are not allowed");
		return ERR_SYNTAX;
	}
	switch (field->type) {
	case SCHEMA_BOOL: return parse_bool(text, at);
	case SCHEMA_U32:
		err = parse_number(field, text, &number);
		if (err == 0)
			*(uint32_t *)at = (uint32_t)number;
		return err;
	case SCHEMA_U64:
	case SCHEMA_SIZE:
	case SCHEMA_DURATION: return parse_number(field, text, at);
	case SCHEMA_TIME: return text_parse_time(text, at) < 0 ? ERR_SYNTAX : 0;
	case SCHEMA_ENUM: return parse_choice(field, text, at);
	case SCHEMA_TEXT:
	case SCHEMA_SECRET: return parse_text(field, text, arena, at);
	case SCHEMA_PATH: return parse_path(field, text, folder, arena, at);
	case SCHEMA_FQDN: return parse_fqdn(text, arena, at);
	case SCHEMA_DOMAIN: return name_domain(text, arena, at);
	case SCHEMA_HOST: return name_host(text, arena, at);
	case SCHEMA_IPV4: return parse_ip(text, NETADDR_V4, arena, at);
	case SCHEMA_IPV6: return parse_ip(text, NETADDR_V6, arena, at);
	case SCHEMA_CIDR: return parse_cidr(text, arena, at);
	case SCHEMA_PATTERN: return parse_pattern(field, text, arena, at);
	case SCHEMA_NAME: return name_is_transport(text) ? copy(text, arena, at) : ERR_SYNTAX;
	case SCHEMA_MAILBOX:
	case SCHEMA_ACCOUNT:
	case SCHEMA_SENDER:
	case SCHEMA_RANGE:
	case SCHEMA_PIN: return schema_value_parse_who(field, text, arena, at, why);
	case SCHEMA_USER: return parse_user(text, arena, at);
	case SCHEMA_ADDRESS: return parse_address(field, text, at, why);
	case SCHEMA_SERVERS: return parse_servers(field, text, arena, at, why);
	case SCHEMA_SERVER: return server_parse(text, arena, at, why);
	case SCHEMA_RETRY: return parse_retry(text, arena, at);
	case SCHEMA_LIST: return parse_list(field, text, folder, arena, at, why);
	case SCHEMA_GROUP:
	case SCHEMA_MAP:
	case SCHEMA_TYPES: break;
	}
	return ERR_SYNTAX;
}

int schema_value_default(const struct schema_field *field, struct arena *arena, void *at)
{
	memset(at, 0, schema_value_bytes(field));
	if (!field->value)
		return 0;
	int err = schema_value_parse(field, span_str(field->value), SPAN_NONE, arena, at, NULL);
	/* A default that its own field refuses is a mistake in the table. */
	CHECK(err == 0 || err == ERR_NOMEM);
	return err;
}
