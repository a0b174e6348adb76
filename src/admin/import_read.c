/* One line of a file of accounts. */
#include "admin/import.h"
#include "base/check.h"
#include "base/err.h"

#include <crypt.h>
#include <string.h>

static const char *const formats[] = {
	[IMPORT_HTPASSWD] = "htpasswd",
	[IMPORT_PASSWD] = "passwd",
	[IMPORT_SHADOW] = "shadow",
	[IMPORT_DOVECOT] = "dovecot",
};

int import_format_parse(struct span name, enum import_format *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (!span_equal(name, span_str(formats[i])))
			continue;
		*out = (enum import_format)i;
		return 0;
	}
	return ERR_NOT_FOUND;
}

/* ---- hashes --------------------------------------------------------------------------------- */

#define HASH64 "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* crypt(5). What stands behind the last "$" has so many characters, or, of forms where nothing
 * marks it, all. */
static const struct method {
	const char *prefix;
	uint32_t hash, whole; /* 0: not that way */
	bool weak;
} methods[] = {
	{"$y$", 43, 0, false}, {"$gy$", 43, 0, false}, {"$7$", 43, 0, false}, {"$6$", 86, 0, false},
	{"$5$", 43, 0, false}, {"$2a$", 0, 60, false}, {"$2b$", 0, 60, false},
	{"$2x$", 0, 60, true}, {"$2y$", 0, 60, false}, {"$sha1$", 28, 0, true},
	{"$md5", 22, 0, true}, {"$3$", 32, 0, true}, {"$1$", 22, 0, true}, {"_", 0, 20, true},
	{"", 0, 13, true}, /* of the beginnings: DES, which knows eight characters of a password */
};

static bool starts(struct span text, struct span prefix)
{
	return text.n >= prefix.n && memcmp(text.p, prefix.p, prefix.n) == 0;
}

static const struct method *method_of(struct span hash)
{
	size_t i = 0;

	while (!starts(hash, span_str(methods[i].prefix)))
		i++;
	return &methods[i];
}

static bool is_whole(const struct method *method, struct span hash)
{
	const char *dollar = memrchr(hash.p, '$', hash.n);
	struct span last = hash;

	if (method->whole && hash.n != method->whole)
		return false;
	if (dollar)
		last = span_skip(hash, (size_t)(dollar + 1 - hash.p));
	else if (*method->prefix == '_')
		last = span_skip(hash, 1);
	if (method->hash && last.n != method->hash)
		return false;
	for (size_t i = 0; i < last.n; i++)
		if (!strchr(HASH64, last.p[i]))
			return false;
	return last.n > 0;
}

static const char *what_it_is(struct span hash)
{
	if (!hash.n)
		return "has no password";
	if (starts(hash, SPAN("$apr1$")))
		return "has a hash of Apache's own ($apr1$), which crypt(3) does not know: let the "
		       "user set a new password, or make it with htpasswd -B";
	if (starts(hash, SPAN("$argon2")))
		return "has a hash of Argon2, which crypt(3) does not know: let the user set a new "
		       "password";
	if (span_equal(hash, SPAN("x")))
		return "has its password in another file: import that one, /etc/shadow";
	if (strchr("*!", hash.p[0]))
		return "has no password that anybody could log in with";
	return "has no hash of crypt(3)";
}

static bool add_crypt(struct span hash, struct buf *out, bool *weak, const char **why)
{
	char text[SECRET_CRYPT + 1];
	const struct method *method = method_of(hash);
	bool known = false;

	if (hash.n && hash.n <= SECRET_CRYPT && !memchr(hash.p, 0, hash.n)) {
		memcpy(text, hash.p, hash.n);
		text[hash.n] = '\0';
		int salt = crypt_checksalt(text);
		known = (salt == CRYPT_SALT_OK || salt == CRYPT_SALT_METHOD_LEGACY ||
				salt == CRYPT_SALT_TOO_CHEAP) &&
			is_whole(method, hash);
	}
	if (!known) {
		*why = what_it_is(hash);
		return false;
	}
	*weak = method->weak;
	buf_add_str(out, "crypt:");
	buf_add_span(out, hash);
	return true;
}

/* ---- Dovecot's schemes ---------------------------------------------------------------------- */

/* "10000,salt,stored key,server key" */
static bool add_scram(struct span text, struct buf *out, const char **why)
{
	struct password_verifiers verifiers;
	size_t before = out->n;

	buf_add_str(out, "scram-sha-256:");
	for (size_t i = 0; i < text.n; i++)
		buf_add_char(out, text.p[i] == ',' ? ':' : text.p[i]);
	struct span made = span_skip(buf_span(out), before);
	bool right = buf_ok(out) && verifiers_parse(made, &verifiers) == 0;
	explicit_bzero(&verifiers, sizeof(verifiers));
	*why = "has a verifier of SCRAM-SHA-256 that cannot be read";
	return right;
}

static bool is_crypt_scheme(struct span scheme)
{
	static const char *const schemes[] = {"CRYPT", "BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT",
		"MD5-CRYPT", "DES-CRYPT", "MD5"};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (span_equal_nocase(scheme, span_str(schemes[i])))
			return true;
	return false;
}

static const char *why_not(struct span scheme)
{
	static const char *const plain[] = {"PLAIN", "CLEARTEXT", "CLEAR", "PLAIN-TRUNC"};

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (span_equal_nocase(scheme, span_str(plain[i])))
			return "has a password that is not hashed: set it with posternctl user "
			       "password";
	return "has a hash of a scheme (what stands in braces) that crypt(3) does not know: let "
	       "the user set a new password";
}

static bool add_password(struct span text, struct buf *out, bool *weak, const char **why)
{
	size_t end = span_find(text, '}');

	*weak = false;
	if (!text.n || text.p[0] != '{' || end == text.n)
		return add_crypt(text, out, weak, why);
	struct span scheme = span_of(text.p + 1, end - 1), rest = span_skip(text, end + 1);
	if (is_crypt_scheme(scheme))
		return add_crypt(rest, out, weak, why);
	if (span_equal_nocase(scheme, SPAN("SCRAM-SHA-256")))
		return add_scram(rest, out, why);
	*why = why_not(scheme);
	return false;
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* Of a file of all accounts of a system most are such. */
static bool is_locked(enum import_format format, struct span password)
{
	if (format != IMPORT_PASSWD && format != IMPORT_SHADOW)
		return false;
	return password.n && strchr("*!", password.p[0]);
}

static struct span trimmed(struct span line)
{
	while (line.n && strchr(" \t\r", line.p[line.n - 1]))
		line.n--;
	while (line.n && strchr(" \t", line.p[0]))
		line = span_skip(line, 1);
	return line;
}

enum import_line import_read(enum import_format format, struct span line,
	struct import_account *out, struct buf *verifiers, const char **why)
{
	if (memchr(line.n ? line.p : "", 0, line.n) || line.n > IMPORT_LINE) {
		*why = "is too long, or no text";
		return IMPORT_WRONG;
	}
	line = trimmed(line);
	if (!line.n || line.p[0] == '#')
		return IMPORT_NOTHING;
	size_t colon = span_find(line, ':');
	*why = "is not user:hash";
	if (colon == line.n || !colon || colon > IMPORT_USER)
		return IMPORT_WRONG;
	struct span rest = span_skip(line, colon + 1);
	struct span password = span_of(rest.p, span_find(rest, ':'));
	out->user = span_of(line.p, colon);
	if (is_locked(format, password))
		return IMPORT_LOCKED;
	return add_password(password, verifiers, &out->weak, why) ? IMPORT_ACCOUNT : IMPORT_WRONG;
}
