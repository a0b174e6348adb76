#include "codec/smtp_command.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/smtp_params.h"

#define REFUSAL(name, code_, class_, subject_, detail_, text_) \
	static const struct smtp_refusal name = {code_, {class_, subject_, detail_}, text_}

REFUSAL(too_long, 500, 5, 5, 2, "Line too long");
REFUSAL(control_bytes, 500, 5, 5, 2, "Control characters are not allowed in a command");
REFUSAL(not_ascii, 500, 5, 5, 2, "Only ASCII is allowed in this command");
REFUSAL(not_utf8, 501, 5, 5, 2, "Neither ASCII nor valid UTF-8");
REFUSAL(unknown_command, 500, 5, 5, 1, "Command not known");
REFUSAL(no_argument, 501, 5, 5, 4, "This command has no argument");
REFUSAL(bad_name, 501, 5, 5, 4, "Your host name or address literal, please");
REFUSAL(want_string, 501, 5, 5, 4, "This command needs an argument");
REFUSAL(want_from, 501, 5, 5, 4, "Syntax: MAIL FROM:<address>");
REFUSAL(want_to, 501, 5, 5, 4, "Syntax: RCPT TO:<address>");
REFUSAL(bad_sender, 501, 5, 1, 7, "Bad syntax of the sender's address");
REFUSAL(long_sender, 501, 5, 1, 7, "Sender's address too long");
REFUSAL(literal_sender, 501, 5, 1, 7, "Unknown kind of address literal");
REFUSAL(bad_recipient, 501, 5, 1, 3, "Bad syntax of the recipient's address");
REFUSAL(long_recipient, 501, 5, 1, 3, "Recipient's address too long");
REFUSAL(literal_recipient, 501, 5, 1, 3, "Unknown kind of address literal");
REFUSAL(no_memory, 452, 4, 3, 1, "Out of memory for this transaction");
REFUSAL(needs_smtputf8, 550, 5, 6, 7, "An address that is not ASCII needs SMTPUTF8");
REFUSAL(bad_chunk, 501, 5, 5, 4, "Syntax: BDAT octets [LAST]");
REFUSAL(bad_auth, 501, 5, 5, 4, "Syntax: AUTH mechanism [initial-response]");
REFUSAL(bad_initial, 501, 5, 5, 2, "The initial response is no base64");

static const struct verb {
	struct span name;
	enum smtp_verb verb;
	enum { ARGUMENT_NONE, ARGUMENT_OPTIONAL, ARGUMENT_STRING, ARGUMENT_OWN } argument;
	bool utf8; /* RFC 6531 lets UTF-8 into its argument */
} verbs[] = {
	{{"MAIL", 4}, SMTP_MAIL, ARGUMENT_OWN, true},
	{{"RCPT", 4}, SMTP_RCPT, ARGUMENT_OWN, true},
	{{"DATA", 4}, SMTP_DATA, ARGUMENT_NONE, false},
	{{"BDAT", 4}, SMTP_BDAT, ARGUMENT_OWN, false},
	{{"EHLO", 4}, SMTP_EHLO, ARGUMENT_OWN, false},
	{{"HELO", 4}, SMTP_HELO, ARGUMENT_OWN, false},
	{{"QUIT", 4}, SMTP_QUIT, ARGUMENT_NONE, false},
	{{"RSET", 4}, SMTP_RSET, ARGUMENT_NONE, false},
	{{"NOOP", 4}, SMTP_NOOP, ARGUMENT_OPTIONAL, false},
	{{"VRFY", 4}, SMTP_VRFY, ARGUMENT_STRING, true},
	{{"EXPN", 4}, SMTP_EXPN, ARGUMENT_STRING, true},
	{{"HELP", 4}, SMTP_HELP, ARGUMENT_OPTIONAL, false},
	{{"AUTH", 4}, SMTP_AUTH, ARGUMENT_OWN, false},
	{{"STARTTLS", 8}, SMTP_STARTTLS, ARGUMENT_NONE, false},
	{{"XCLIENT", 7}, SMTP_XCLIENT, ARGUMENT_STRING, false},
};

static const struct verb *find_verb(struct span line)
{
	struct span word = span_of(line.p, span_find(line, ' '));

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (span_equal_nocase(verbs[i].name, word))
			return &verbs[i];
	return NULL;
}

static struct span trim_end(struct span line)
{
	/* RFC 5321 section 4.1.1: white space before the CRLF is tolerated. */
	while (line.n && (line.p[line.n - 1] == ' ' || line.p[line.n - 1] == '\t'))
		line.n--;
	return line;
}

enum smtp_verb smtp_command_verb(struct span line)
{
	const struct verb *verb = find_verb(trim_end(line));

	return verb ? verb->verb : SMTP_UNKNOWN;
}

const char *smtp_verb_name(enum smtp_verb verb)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (verbs[i].verb == verb)
			return verbs[i].name.p;
	return "unknown";
}

/*
 * Domain or address literal, but not quite: real clients call themselves "my_pc" and "10.0.0.1",
 * and RFC 5321 section 4.1.4 does not let us turn mail away for a name that proves wrong. What
 * could be mistaken for something else in a Received field is refused.
 */
static const struct smtp_refusal *take_helo(struct span in, struct smtp_command *command)
{
	if (!in.n || in.n > SMTP_HELO_BYTES)
		return &bad_name;
	for (size_t i = 0; i < in.n; i++) {
		char c = ascii_lower(in.p[i]);
		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && !strchr(".-_:[]", c))
			return &bad_name;
	}
	command->argument = in;
	return NULL;
}

static const struct smtp_refusal *path_refusal(int err, bool sender)
{
	switch (err) {
	case 0: return NULL;
	case ERR_NOMEM: return &no_memory;
	case ERR_LIMIT: return sender ? &long_sender : &long_recipient;
	case ERR_UNSUPPORTED: return sender ? &literal_sender : &literal_recipient;
	default: return sender ? &bad_sender : &bad_recipient;
	}
}

/* "FROM:<path> parameters" or "TO:<path> parameters" */
static const struct smtp_refusal *take_path(
	struct span in, unsigned flags, struct arena *arena, struct smtp_command *command)
{
	bool sender = command->verb == SMTP_MAIL;
	const struct span word = sender ? SPAN("FROM:") : SPAN("TO:");
	unsigned how = sender ? ADDRESS_NULL_ALLOWED : ADDRESS_POSTMASTER_ALLOWED;
	size_t used;

	if (flags & SMTP_LENIENT) {
		in = span_trim(in);
		how |= ADDRESS_LENIENT;
	}
	if (!span_starts_nocase(in, word))
		return sender ? &want_from : &want_to;
	in = span_skip(in, word.n);
	int err = address_parse_path(in, how, arena, &command->address, &used);
	if (err)
		return path_refusal(err, sender);
	in = span_skip(in, used);
	if (in.n && in.p[0] != ' ')
		return sender ? &bad_sender : &bad_recipient;
	const struct smtp_refusal *refusal = smtp_params_parse(in, flags, command);
	if (!refusal && sender && command->utf8 && !command->mail.smtputf8)
		refusal = &needs_smtputf8;
	return refusal;
}

/* RFC 3030 section 2: "BDAT" SP chunk-size [SP "LAST"] */
static const struct smtp_refusal *take_chunk(struct span in, struct smtp_command *command)
{
	size_t digits = span_find(in, ' ');
	struct span last = span_trim(span_skip(in, digits));

	if (last.n && !span_equal_nocase(last, SPAN("LAST")))
		return &bad_chunk;
	if (text_parse_u64(span_of(in.p, digits), UINT64_MAX, &command->chunk_bytes) != 0)
		return &bad_chunk;
	command->chunk_last = last.n > 0;
	return NULL;
}

static bool is_base64(char c)
{
	char l = ascii_lower(c);
	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=';
}

/* RFC 4954 section 4; the name is a SASL mechanism's (RFC 4422 section 3.1). */
static const struct smtp_refusal *take_auth(struct span in, struct smtp_command *command)
{
	size_t n = span_find(in, ' ');
	struct span initial = span_trim(span_skip(in, n));

	if (!n || n > 20)
		return &bad_auth;
	for (size_t i = 0; i < n; i++) {
		char c = ascii_lower(in.p[i]);
		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_')
			return &bad_auth;
	}
	for (size_t i = 0; i < initial.n; i++)
		if (!is_base64(initial.p[i]))
			return &bad_initial;
	command->mechanism = span_of(in.p, n);
	command->initial = initial;
	return NULL;
}

static const struct smtp_refusal *take_argument(const struct verb *verb, struct span in,
	unsigned flags, struct arena *arena, struct smtp_command *command)
{
	switch (verb->argument) {
	case ARGUMENT_NONE: return in.n ? &no_argument : NULL;
	case ARGUMENT_STRING:
		if (!in.n)
			return &want_string;
		/* fall through */
	case ARGUMENT_OPTIONAL: command->argument = span_trim(in); return NULL;
	case ARGUMENT_OWN: break;
	}
	switch (verb->verb) {
	case SMTP_MAIL:
	case SMTP_RCPT: return take_path(in, flags, arena, command);
	case SMTP_BDAT: return take_chunk(in, command);
	case SMTP_AUTH: return take_auth(in, command);
	default: return take_helo(span_trim(in), command);
	}
}

/* What holds for the bytes of every command. *high: some are not ASCII. */
static const struct smtp_refusal *check_bytes(struct span line, bool *high)
{
	unsigned char all = 0;

	if (line.n > SMTP_COMMAND_BYTES)
		return &too_long;
	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];
		all |= c;
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return &control_bytes;
	}
	*high = all & 0x80;
	return *high && !text_is_utf8(line) ? &not_utf8 : NULL;
}

int smtp_command_parse(struct span line, unsigned flags, struct arena *arena,
	struct smtp_command *out, struct smtp_refusal *refusal)
{
	struct smtp_command command = {0};
	const struct smtp_refusal *why;
	const struct verb *verb = NULL;

	line = trim_end(line);
	why = check_bytes(line, &command.utf8);
	if (!why) {
		verb = find_verb(line);
		if (!verb)
			why = &unknown_command;
		else if (command.utf8 && !verb->utf8)
			why = &not_ascii;
	}
	if (!why) {
		command.verb = verb->verb;
		why = take_argument(
			verb, span_skip(line, verb->name.n + 1), flags, arena, &command);
	}
	if (why) {
		*refusal = *why;
		return ERR_SYNTAX;
	}
	*out = command;
	return 0;
}
