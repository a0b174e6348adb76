#include "codec/smtp_params.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#define REFUSAL(name, code_, text_) \
	static const struct smtp_refusal name = {code_, {5, 5, 4}, text_}

REFUSAL(bad_parameter, 501, "Malformed parameter");
REFUSAL(given_twice, 501, "Parameter given twice");
REFUSAL(unknown_parameter, 555, "Unknown parameter");
REFUSAL(bad_size, 501, "SIZE is a number of octets");
REFUSAL(bad_body, 504, "BODY type not known or not offered");
REFUSAL(bad_ret, 501, "RET is FULL or HDRS");
REFUSAL(bad_envid, 501, "ENVID is xtext of at most 100 characters");
REFUSAL(bad_notify, 501, "NOTIFY is NEVER, or a list of SUCCESS, FAILURE, DELAY");
REFUSAL(bad_orcpt, 501, "ORCPT is an address type, a semicolon, and xtext");
REFUSAL(bad_auth, 501, "AUTH is xtext or <>");
REFUSAL(no_value, 501, "This parameter has no value");

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	c = ascii_lower(c);
	return is_digit(c) || (c >= 'a' && c <= 'z');
}

/* RFC 3461 section 4 wants upper case, and so may the next hop. */
static int hex_upper(char c)
{
	if (is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xtext whose decoded bytes are printable; with `high`, also those over 0x7f. */
static bool xtext_valid(struct span in, bool high)
{
	for (size_t i = 0; i < in.n; i++) {
		int c = (unsigned char)in.p[i];
		if (c <= ' ' || c > '~' || c == '=')
			return false;
		if (c != '+')
			continue;
		if (in.n - i < 3)
			return false;
		int high_half = hex_upper(in.p[i + 1]), low_half = hex_upper(in.p[i + 2]);
		if (high_half < 0 || low_half < 0)
			return false;
		c = high_half << 4 | low_half;
		if (c < ' ' || c == 0x7f || (c > 0x7f && !high))
			return false;
		i += 2;
	}
	return in.n > 0;
}

void smtp_xtext_decode(struct buf *buf, struct span xtext)
{
	for (size_t i = 0; i < xtext.n; i++) {
		char c = xtext.p[i];
		if (c == '+' && xtext.n - i >= 3 && hex_upper(xtext.p[i + 1]) >= 0 &&
			hex_upper(xtext.p[i + 2]) >= 0) {
			c = (char)(hex_upper(xtext.p[i + 1]) << 4 | hex_upper(xtext.p[i + 2]));
			i += 2;
		}
		buf_add_char(buf, c);
	}
}

void smtp_xtext_encode(struct buf *buf, struct span bytes)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];
		if (c > ' ' && c < 0x7f && c != '+' && c != '=') {
			buf_add_char(buf, (char)c);
		} else {
			char out[3] = {'+', hex[c >> 4], hex[c & 15]};
			buf_add(buf, out, sizeof(out));
		}
	}
}

/* EmbeddedUnicodeChar of RFC 6533 section 3, "\x{20AC}": its length, or 0. */
static size_t embedded_length(struct span in)
{
	uint32_t value = 0;
	size_t digits = 0;

	if (in.n < 3 || memcmp(in.p, "\\x{", 3) != 0)
		return 0;
	for (; 3 + digits < in.n && hex_upper(in.p[3 + digits]) >= 0 && digits < 6; digits++)
		value = value << 4 | (uint32_t)hex_upper(in.p[3 + digits]);
	if (digits < 2 || 3 + digits >= in.n || in.p[3 + digits] != '}')
		return 0;
	if (!value || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	return digits + 4;
}

/* utf-8-enc-addr of RFC 6533 section 3; raw UTF-8 in it is for SMTPUTF8 transactions. */
static bool utf8_address_valid(struct span in)
{
	for (size_t at = 0, n; at < in.n; at += n) {
		unsigned char c = (unsigned char)in.p[at];
		if (c == '\\')
			n = embedded_length(span_skip(in, at));
		else if (c <= ' ' || c == 0x7f || c == '+' || c == '=')
			n = 0;
		else
			n = text_utf8_length(span_skip(in, at));
		if (!n)
			return false;
	}
	return in.n > 0;
}

static const struct smtp_refusal *set_size(struct smtp_command *command, struct span value)
{
	/* RFC 1870 section 3: 1*20DIGIT, which can be more than 64 bits hold. */
	command->mail.has_size = true;
	switch (value.n <= 20 ? text_parse_u64(value, UINT64_MAX, &command->mail.size)
			      : ERR_SYNTAX) {
	case 0: return NULL;
	case ERR_LIMIT: command->mail.size = UINT64_MAX; return NULL;
	default: return &bad_size;
	}
}

static const struct smtp_refusal *set_body(struct smtp_command *command, struct span value)
{
	if (span_equal_nocase(value, SPAN("7BIT")))
		command->mail.body = SMTP_BODY_7BIT;
	else if (span_equal_nocase(value, SPAN("8BITMIME")))
		command->mail.body = SMTP_BODY_8BITMIME;
	else if (span_equal_nocase(value, SPAN("BINARYMIME")))
		command->mail.body = SMTP_BODY_BINARYMIME;
	else
		return &bad_body;
	return NULL;
}

static const struct smtp_refusal *set_smtputf8(struct smtp_command *command, struct span value)
{
	(void)value;
	command->mail.smtputf8 = true;
	return NULL;
}

static const struct smtp_refusal *set_requiretls(struct smtp_command *command, struct span value)
{
	(void)value;
	command->mail.requiretls = true;
	return NULL;
}

static const struct smtp_refusal *set_ret(struct smtp_command *command, struct span value)
{
	if (span_equal_nocase(value, SPAN("FULL")))
		command->mail.ret = RETURN_FULL;
	else if (span_equal_nocase(value, SPAN("HDRS")))
		command->mail.ret = RETURN_HEADERS;
	else
		return &bad_ret;
	return NULL;
}

static const struct smtp_refusal *set_envid(struct smtp_command *command, struct span value)
{
	if (value.n > SMTP_ENVID_BYTES || !xtext_valid(value, false))
		return &bad_envid;
	command->mail.envid = value;
	return NULL;
}

static const struct smtp_refusal *set_auth(struct smtp_command *command, struct span value)
{
	if (value.n > SMTP_AUTH_PARAM_BYTES || !xtext_valid(value, true))
		return &bad_auth;
	command->mail.auth = value;
	return NULL;
}

static const struct smtp_refusal *set_notify(struct smtp_command *command, struct span value)
{
	uint8_t notify = 0;

	for (size_t at = 0; at <= value.n;) {
		struct span word = span_skip(value, at);
		word.n = span_find(word, ',');
		if (span_equal_nocase(word, SPAN("NEVER")))
			notify |= NOTIFY_NEVER;
		else if (span_equal_nocase(word, SPAN("SUCCESS")))
			notify |= NOTIFY_SUCCESS;
		else if (span_equal_nocase(word, SPAN("FAILURE")))
			notify |= NOTIFY_FAILURE;
		else if (span_equal_nocase(word, SPAN("DELAY")))
			notify |= NOTIFY_DELAY;
		else
			return &bad_notify;
		at += word.n + 1;
	}
	if ((notify & NOTIFY_NEVER) && notify != NOTIFY_NEVER)
		return &bad_notify;
	command->rcpt.notify = notify;
	return NULL;
}

static const struct smtp_refusal *set_orcpt(struct smtp_command *command, struct span value)
{
	size_t semicolon = span_find(value, ';');
	struct span type = span_of(value.p, semicolon);
	struct span address = span_skip(value, semicolon + 1);
	bool valid = type.n > 0 && semicolon < value.n && value.n <= SMTP_ORCPT_BYTES;

	for (size_t i = 0; i < type.n; i++)
		valid = valid && (is_alnum(type.p[i]) || type.p[i] == '-');
	if (span_equal_nocase(type, SPAN("utf-8")))
		valid = valid && utf8_address_valid(address);
	else /* Postfix writes UTF-8 addresses so where it means "utf-8" (RFC 6533 section 3). */
		valid = valid && xtext_valid(address, true);
	if (!valid)
		return &bad_orcpt;
	command->rcpt.orcpt = value;
	return NULL;
}

static const struct param {
	struct span name;
	enum smtp_verb verb;
	unsigned with; /* known if one of these is on */
	bool has_value;
	const struct smtp_refusal *(*set)(struct smtp_command *command, struct span value);
} params[] = {
	{{"SIZE", 4}, SMTP_MAIL, SMTP_WITH_SIZE, true, set_size},
	{{"BODY", 4}, SMTP_MAIL, SMTP_WITH_8BITMIME | SMTP_WITH_BINARYMIME, true, set_body},
	{{"SMTPUTF8", 8}, SMTP_MAIL, SMTP_WITH_SMTPUTF8, false, set_smtputf8},
	{{"RET", 3}, SMTP_MAIL, SMTP_WITH_DSN, true, set_ret},
	{{"ENVID", 5}, SMTP_MAIL, SMTP_WITH_DSN, true, set_envid},
	{{"REQUIRETLS", 10}, SMTP_MAIL, SMTP_WITH_REQUIRETLS, false, set_requiretls},
	{{"AUTH", 4}, SMTP_MAIL, SMTP_WITH_AUTH, true, set_auth},
	{{"NOTIFY", 6}, SMTP_RCPT, SMTP_WITH_DSN, true, set_notify},
	{{"ORCPT", 5}, SMTP_RCPT, SMTP_WITH_DSN, true, set_orcpt},
};

/* esmtp-keyword of RFC 5321 section 4.1.2 */
static bool keyword_valid(struct span name)
{
	if (!name.n || !is_alnum(name.p[0]))
		return false;
	for (size_t i = 1; i < name.n; i++)
		if (!is_alnum(name.p[i]) && name.p[i] != '-')
			return false;
	return true;
}

/* One "KEY" or "KEY=value"; `seen` has a bit for each parameter of the table. */
static const struct smtp_refusal *take_param(
	struct span in, unsigned flags, struct smtp_command *command, unsigned *seen)
{
	size_t equals = span_find(in, '=');
	struct span name = span_of(in.p, equals);
	struct span value = span_skip(in, equals + 1);

	if (!keyword_valid(name) || (equals < in.n && !value.n))
		return &bad_parameter;
	for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
		const struct param *p = &params[i];
		if (p->verb != command->verb || !(p->with & flags) ||
			!span_equal_nocase(p->name, name))
			continue;
		if (*seen & 1u << i)
			return &given_twice;
		*seen |= 1u << i;
		if (p->has_value != (equals < in.n))
			return p->has_value ? &bad_parameter : &no_value;
		return p->set(command, value);
	}
	return &unknown_parameter;
}

const struct smtp_refusal *smtp_params_parse(
	struct span in, unsigned flags, struct smtp_command *command)
{
	unsigned seen = 0;

	for (struct span left = span_trim(in); left.n; left = span_trim(left)) {
		size_t n = span_find(left, ' ');
		const struct smtp_refusal *refusal =
			take_param(span_of(left.p, n), flags, command, &seen);
		if (refusal)
			return refusal;
		left = span_skip(left, n);
	}
	if (command->mail.body == SMTP_BODY_8BITMIME && !(flags & SMTP_WITH_8BITMIME))
		return &bad_body;
	if (command->mail.body == SMTP_BODY_BINARYMIME && !(flags & SMTP_WITH_BINARYMIME))
		return &bad_body;
	return NULL;
}
