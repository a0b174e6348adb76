/* What a schema looks like to people: what is allowed, help, reference. */
#include "base/text.h"
#include "directory/schema.h"
#include "directory/schema_value.h"

#include <stdio.h>

#define VALUE_BYTES 8192u
#define NAME_BYTES  64u /* of a field, with its groups */

static void add_bounds(struct buf *buf, const struct schema_field *field, const char *what,
	void (*add)(struct buf *buf, uint64_t value))
{
	buf_add_str(buf, what);
	add(buf, field->least);
	buf_add_str(buf, " to ");
	add(buf, field->most);
	if (field->zero_is_off && field->least > 0)
		buf_add_str(buf, ", or 0");
}

static void add_choices(struct buf *buf, const struct schema_field *field)
{
	buf_add_str(buf, "one of: ");
	for (size_t i = 0; field->choices[i]; i++)
		buf_printf(buf, "%s%s", i ? ", " : "", field->choices[i]);
}

void schema_add_allowed(struct buf *buf, const struct schema_field *field)
{
	switch (field->type) {
	case SCHEMA_BOOL: buf_add_str(buf, "true or false"); break;
	case SCHEMA_U32:
	case SCHEMA_U64: add_bounds(buf, field, "a number from ", buf_add_u64); break;
	case SCHEMA_SIZE: add_bounds(buf, field, "a size from ", text_add_size); break;
	case SCHEMA_DURATION: add_bounds(buf, field, "a time from ", text_add_duration); break;
	case SCHEMA_TIME: buf_add_str(buf, "a time such as 2026-11-21T21:54:37Z"); break;
	case SCHEMA_ENUM: add_choices(buf, field); break;
	case SCHEMA_TEXT:
		buf_printf(buf, "a text of %u to %u bytes", (unsigned)field->least,
			(unsigned)field->most);
		break;
	case SCHEMA_PATH:
		buf_printf(buf, "a path of at most %u bytes", (unsigned)field->most);
		break;
	case SCHEMA_FQDN: buf_add_str(buf, "a fully qualified name such as gw.example.org"); break;
	case SCHEMA_DOMAIN: buf_add_str(buf, "a domain name such as a.example"); break;
	case SCHEMA_HOST: buf_add_str(buf, "a host name or an IP address"); break;
	case SCHEMA_IPV4: buf_add_str(buf, "an IPv4 address"); break;
	case SCHEMA_IPV6: buf_add_str(buf, "an IPv6 address"); break;
	case SCHEMA_CIDR: buf_add_str(buf, "an address or a network such as 192.0.2.0/24"); break;
	case SCHEMA_RANGE:
		buf_add_str(buf, "an address, a network such as 192.0.2.0/24, or the first and "
				 "last address such as 192.0.2.1-192.0.2.9");
		break;
	case SCHEMA_PATTERN:
		buf_add_str(buf, "an address, @domain, a domain, or one of these with \"*\" in it");
		break;
	case SCHEMA_NAME:
		buf_add_str(
			buf, "a transport's name: at most 63 of a-z, 0-9, \".\", \"_\" and \"-\"");
		break;
	case SCHEMA_MAILBOX: buf_add_str(buf, "a mail address such as ann@example.org"); break;
	case SCHEMA_ACCOUNT: buf_add_str(buf, "an address such as ann@c.example"); break;
	case SCHEMA_SENDER:
		buf_add_str(buf, "an address such as ann@c.example, or all of a domain such as "
				 "@c.example");
		break;
	case SCHEMA_PIN:
		buf_add_str(buf, "\"sha256:\" and the 64 hex digits, or the base64, of the SHA-256 "
				 "of a certificate or public key");
		break;
	case SCHEMA_SECRET:
		buf_printf(buf, "a secret of %u to %u bytes", (unsigned)field->least,
			(unsigned)field->most);
		break;
	case SCHEMA_USER: buf_add_str(buf, "a name of a system user or group"); break;
	case SCHEMA_ADDRESS:
		buf_add_str(
			buf, "an IP address with port, such as \"127.0.0.1:2525\" or \"[::1]:25\"");
		break;
	case SCHEMA_SERVERS:
		buf_printf(buf, "a list of at most %u IP addresses, each with an optional port",
			(unsigned)field->most);
		break;
	case SCHEMA_SERVER:
		buf_add_str(buf,
			"host[:port], \"[IPv6 address]:port\", or lookup-mx with settings, "
			"such as \"lookup-mx:zone=customer.example.org\"");
		break;
	case SCHEMA_RETRY:
		buf_add_str(buf, "minutes such as \"60,120,180\", or units and repeats such as "
				 "\"1m, 5m*2, 1h\", each from 1s to 30d, at most 16 steps");
		break;
	case SCHEMA_LIST:
		buf_printf(buf, "one or a list of at most %u, each ", (unsigned)field->most);
		schema_add_allowed(buf, field->item);
		break;
	case SCHEMA_GROUP: buf_add_str(buf, "fields in braces, as in { field: value }"); break;
	case SCHEMA_MAP:
		buf_printf(buf, "1 to %u entries such as name: { field: value }",
			(unsigned)field->most);
		break;
	case SCHEMA_TYPES: break;
	}
}

/* ---- help and reference --------------------------------------------------------------------- */

static void add_help(struct buf *buf, const struct schema *schema, const char *prefix)
{
	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_field *field = &schema->fields[i];
		char name[NAME_BYTES];
		snprintf(name, sizeof(name), "%s%s", prefix, field->name);
		if (field->type == SCHEMA_GROUP) {
			snprintf(name, sizeof(name), "%s%s.", prefix, field->name);
			add_help(buf, field->sub, name);
			continue;
		}
		buf_printf(buf, "  %-24s %s", name, field->doc);
		if (field->required)
			buf_add_str(buf, " (required)");
		else if (field->value)
			buf_printf(buf, " (default %s)", field->value);
		buf_add_char(buf, '\n');
	}
}

void schema_add_help(struct buf *buf, const struct schema *schema)
{
	add_help(buf, schema, "");
}

/* scdoc gives a meaning to these. */
static void add_scdoc(struct buf *buf, const char *text)
{
	for (; *text; text++) {
		if (*text == '_' || *text == '*' || *text == '\\' || *text == '#')
			buf_add_char(buf, '\\');
		buf_add_char(buf, *text);
	}
}

static void add_field_reference(
	struct buf *buf, const struct schema_field *field, const char *prefix)
{
	struct buf allowed;

	buf_add_char(buf, '*');
	buf_add_str(buf, prefix);
	buf_add_str(buf, field->name);
	buf_add_str(buf, "*\n\t");
	add_scdoc(buf, field->doc);
	buf_add_str(buf, "\n\n\tAllowed: ");
	buf_init(&allowed, VALUE_BYTES);
	schema_add_allowed(&allowed, field);
	buf_add_char(&allowed, '\0');
	if (buf_ok(&allowed))
		add_scdoc(buf, allowed.p);
	buf_done(&allowed);
	buf_add_str(buf, ".");
	if (field->required) {
		buf_add_str(buf, " Required.");
	} else if (field->value) {
		buf_add_str(buf, " Default: ");
		add_scdoc(buf, field->value);
		buf_add_char(buf, '.');
	}
	if (field->example) {
		buf_add_str(buf, " Example: ");
		add_scdoc(buf, field->example);
		buf_add_char(buf, '.');
	}
	if (field->since)
		buf_printf(buf, " Since %s.", field->since);
	buf_add_str(buf, "\n\n");
}

static void add_fields_reference(struct buf *buf, const struct schema *schema, const char *prefix)
{
	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_field *field = &schema->fields[i];
		if (!field->sub) {
			add_field_reference(buf, field, prefix);
			continue;
		}
		struct buf deeper;
		buf_init(&deeper, VALUE_BYTES);
		buf_printf(&deeper, "%s%s.%s%c", prefix, field->name,
			field->type == SCHEMA_MAP ? "NAME." : "", '\0');
		if (buf_ok(&deeper)) {
			if (field->type == SCHEMA_MAP)
				add_field_reference(buf, field, prefix);
			add_fields_reference(buf, field->sub, deeper.p);
		}
		buf_done(&deeper);
	}
}

void schema_add_reference(struct buf *buf, const struct schema *schema)
{
	buf_add_str(buf, "## ");
	add_scdoc(buf, schema->plural ? schema->plural : schema->kind);
	buf_add_str(buf, "\n\n");
	add_scdoc(buf, schema->doc);
	buf_add_str(buf, "\n\n");
	add_fields_reference(buf, schema, "");
}
