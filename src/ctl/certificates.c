/* The certificates of listeners, as their files have them: for tls show, and for check. */
#include "ctl/ctl.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "directory/check.h"
#include "io/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DAY_S	    86400
#define NAME_BYTES  4096 /* of an issuer, of a certificate's names, of a path */
#define STATE_BYTES 8192 /* the path of a key is in it */
#define SOON_DAYS   14
#define NO_NAMES    "has no names in it (subjectAltName), so clients that look refuse it"

/* ---- one certificate ------------------------------------------------------------------------ */

/* A name in a certificate, as far as it is text. */
static void add_name(json_t *list, const ASN1_STRING *name)
{
	const char *text = (const char *)ASN1_STRING_get0_data(name);
	size_t n = (size_t)ASN1_STRING_length(name);

	json_array_append_new(list, json_stringn(text, n));
}

static void add_address(json_t *list, const ASN1_OCTET_STRING *address)
{
	int n = ASN1_STRING_length(address);
	char text[INET6_ADDRSTRLEN];

	if ((n == 4 || n == 16) && inet_ntop(n == 4 ? AF_INET : AF_INET6,
					   ASN1_STRING_get0_data(address), text, sizeof(text)))
		json_array_append_new(list, json_string(text));
}

static json_t *names_of(const X509 *certificate)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	json_t *list = json_array();

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);

		if (one->type == GEN_DNS)
			add_name(list, one->d.dNSName);
		else if (one->type == GEN_IPADD)
			add_address(list, one->d.iPAddress);
	}
	GENERAL_NAMES_free(all);
	return list;
}

static json_t *issuer_of(const X509 *certificate)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char text[NAME_BYTES];
	int n = 0;

	if (memory && X509_NAME_print_ex(memory, X509_get_issuer_name(certificate), 0,
			      XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0)
		n = BIO_read(memory, text, sizeof(text));
	BIO_free(memory);
	return json_stringn(text, n > 0 ? (size_t)n : 0);
}

static bool seconds_of(const ASN1_TIME *at, time_t *out)
{
	struct tm parts;

	if (!ASN1_TIME_to_tm(at, &parts))
		return false;
	*out = timegm(&parts);
	return true;
}

static json_t *time_text(time_t at)
{
	char text[40];
	struct tm parts;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &parts));
	return json_string(text);
}

static void describe(json_t *out, const X509 *certificate)
{
	time_t begins, ends;

	json_object_set_new(out, "names", names_of(certificate));
	json_object_set_new(out, "issuer", issuer_of(certificate));
	if (!seconds_of(X509_get0_notBefore(certificate), &begins) ||
		!seconds_of(X509_get0_notAfter(certificate), &ends)) {
		json_object_set_new(out, "error", json_string("its times cannot be read"));
		return;
	}
	json_object_set_new(out, "begins", time_text(begins));
	json_object_set_new(out, "ends", time_text(ends));
	json_object_set_new(
		out, "days_left", json_integer((ends - time(NULL)) / DAY_S - (ends < time(NULL))));
}

/* The first of the file, which is the one that is shown to peers. */
static void read_certificate(json_t *out, const char *path)
{
	FILE *file = fopen(path, "rbe");
	X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
	const char *why = file ? "has no certificate in it (PEM is expected)" : strerror(errno);

	if (certificate)
		describe(out, certificate);
	else
		json_object_set_new(out, "error", json_string(why));
	X509_free(certificate);
	ERR_clear_error();
	if (file)
		fclose(file);
}

/* ---- with its key --------------------------------------------------------------------------- */

static bool read_text(const char *path, struct buf *out)
{
	FILE *file = fopen(path, "rbe");

	if (!file)
		return false;
	char *to = buf_reserve(out, TLS_PEM_BYTES);
	if (to)
		buf_wrote(out, fread(to, 1, TLS_PEM_BYTES, file));
	fclose(file);
	return to != NULL;
}

static void check_key(json_t *out, const char *certificate, const char *key)
{
	struct buf chain, pem, why;

	buf_init(&chain, TLS_PEM_BYTES);
	buf_init(&pem, TLS_PEM_BYTES);
	buf_init(&why, NAME_BYTES);
	if (!read_text(key, &pem)) {
		/* Who may not read it sees the rest all the same. */
		const char *member = errno == EACCES ? "not_checked" : "problem";

		buf_printf(&why, "key %.*s: %s", NAME_BYTES / 2, key, strerror(errno));
		json_object_set_new(out, member, json_stringn(why.p, why.n));
	} else if (read_text(certificate, &chain) &&
		   tls_check_pair(buf_span(&chain), buf_span(&pem), NULL, &why)) {
		json_object_set_new(out, "problem", json_stringn(why.p, why.n));
	}
	if (pem.p)
		OPENSSL_cleanse(pem.p, pem.room);
	buf_done(&chain);
	buf_done(&pem);
	buf_done(&why);
}

/* Of several authorities the first is described. */
static void check_authorities(json_t *out, const char *path)
{
	struct buf pem, why;
	size_t count = 0;

	buf_init(&pem, TLS_PEM_BYTES);
	buf_init(&why, NAME_BYTES);
	if (read_text(path, &pem) && tls_check_ca(buf_span(&pem), &count, &why))
		json_object_set_new(out, "problem", json_stringn(why.p, why.n));
	json_object_set_new(out, "authorities", json_integer((json_int_t)count));
	buf_done(&pem);
	buf_done(&why);
}

static bool is_authority(const json_t *one)
{
	return json_object_get(one, "authorities") != NULL;
}

static void judge(json_t *one)
{
	json_int_t days = member_int(one, "days_left");
	const char *state = "good";

	if (*member_text(one, "error"))
		state = "unreadable";
	else if (*member_text(one, "problem"))
		state = "wrong";
	else if (days < 0)
		state = "expired";
	else if (!is_authority(one) && !json_array_size(json_object_get(one, "names")))
		state = "nameless";
	else if (days < SOON_DAYS)
		state = "ends-soon";
	json_object_set_new(one, "state", json_string(state));
}

/* ---- all of them ---------------------------------------------------------------------------- */

static char *path_text(struct span path)
{
	char *text = strndup(path.p, path.n);

	if (!text)
		ctl_no_memory(NULL);
	return text;
}

static void add_certificate(
	json_t *list, struct span listener, struct span name, struct span path, struct span key)
{
	char *file = path_text(path), *key_file = path_text(key);
	json_t *one = json_pack("{ss%, ss%, ss}", "listener", listener.p, listener.n, "for",
		name.n ? name.p : "", name.n, "file", file);

	if (!one)
		ctl_no_memory(NULL);
	read_certificate(one, file);
	if (!*member_text(one, "error"))
		check_key(one, file, key_file);
	judge(one);
	json_array_append_new(list, one);
	free(file);
	free(key_file);
}

static void add_authorities(json_t *list, struct span listener, struct span path)
{
	char *file = path_text(path);
	json_t *one = json_pack(
		"{ss%, ss, ss}", "listener", listener.p, listener.n, "for", "", "file", file);

	if (!one)
		ctl_no_memory(NULL);
	read_certificate(one, file);
	check_authorities(one, file);
	judge(one);
	json_array_append_new(list, one);
	free(file);
}

static json_t *all_certificates(const struct config *config)
{
	json_t *list = json_array();

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];

		if (l->tls.certificate.n)
			add_certificate(list, l->name, SPAN_NONE, l->tls.certificate, l->tls.key);
		for (size_t k = 0; k < l->tls.name_count; k++)
			add_certificate(list, l->name, l->tls.names[k].name,
				l->tls.names[k].certificate, l->tls.names[k].key);
		if (l->tls.client_ca.n)
			add_authorities(list, l->name, l->tls.client_ca);
	}
	return list;
}

/* ---- check ---------------------------------------------------------------------------------- */

static void add_finding(json_t *findings, const json_t *one, const char *what, const char *advice)
{
	const char *listener = member_text(one, "listener"), *name = member_text(one, "for");
	char about[NAME_BYTES], text[2 * NAME_BYTES];

	snprintf(about, sizeof(about), "listeners.%s.tls.%s%s%s%s", listener, *name ? "names." : "",
		name, *name ? "." : "", is_authority(one) ? "client-ca" : "certificate");
	snprintf(text, sizeof(text), "%s %s; ", member_text(one, "file"), what);
	json_array_append_new(
		findings, json_pack("{ss, ss, so}", "severity", check_severity_name(CHECK_WARNING),
				  "about", about, "text", json_sprintf("%s%s", text, advice)));
}

void tls_add_findings(const struct config *config, json_t *findings)
{
	json_t *list = all_certificates(config);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		json_int_t days = member_int(one, "days_left");
		char what[128];

		/* Of files that cannot be used start_add_findings() speaks. */
		if (*member_text(one, "error") || *member_text(one, "problem"))
			continue;
		if (days < SOON_DAYS) {
			snprintf(what, sizeof(what), days < 0 ? "ended on %s" : "ends on %s",
				member_text(one, "ends"));
			add_finding(findings, one, what, "renew it, then posternctl tls reload");
		}
		if (!is_authority(one) && !json_array_size(json_object_get(one, "names")))
			add_finding(findings, one, NO_NAMES,
				"have it made anew, with the names that clients use");
	}
	json_decref(list);
}

/* ---- show ----------------------------------------------------------------------------------- */

static void add_state(const json_t *one, struct buf *out)
{
	const char *state = member_text(one, "state"),
		   *not_checked = member_text(one, "not_checked");

	if (strcmp(state, "unreadable") == 0)
		buf_printf(out, "UNREADABLE: %s", member_text(one, "error"));
	else if (strcmp(state, "wrong") == 0)
		buf_printf(out, "WRONG: %s", member_text(one, "problem"));
	else if (strcmp(state, "expired") == 0)
		buf_add_str(out, "EXPIRED");
	else if (strcmp(state, "nameless") == 0)
		buf_add_str(out, "NO NAMES: clients that look refuse it");
	else if (strcmp(state, "ends-soon") == 0)
		buf_add_str(out, "ends soon");
	else
		buf_add_str(out, "good");
	if (*not_checked)
		buf_printf(out, " (not looked at: %s)", not_checked);
	buf_add_char(out, '\0');
}

static void add_row(struct table *table, const json_t *one)
{
	const json_t *names = json_object_get(one, "names");
	const char *name = member_text(one, "for");
	struct buf text, state;
	char days[40] = "";

	buf_init(&text, NAME_BYTES);
	buf_init(&state, STATE_BYTES);
	for (size_t i = 0; i < json_array_size(names); i++)
		buf_printf(
			&text, "%s%s", i ? " " : "", json_string_value(json_array_get(names, i)));
	buf_add_char(&text, '\0');
	add_state(one, &state);
	if (json_object_get(one, "days_left"))
		snprintf(days, sizeof(days), "%lld days", (long long)member_int(one, "days_left"));
	const char *const cells[] = {member_text(one, "listener"),
		is_authority(one) ? "(client-ca)"
		: *name		  ? name
				  : "(all others)",
		buf_ok(&text) ? text.p : "(many)", member_text(one, "ends"), days,
		buf_ok(&state) ? state.p : member_text(one, "state"), member_text(one, "issuer"),
		member_text(one, "file")};
	table_add(table, cells);
	buf_done(&text);
	buf_done(&state);
}

/* Somebody should do something about it at once. */
static bool is_bad(const json_t *one)
{
	static const char *const bad[] = {"unreadable", "wrong", "expired"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (strcmp(member_text(one, "state"), bad[i]) == 0)
			return true;
	return false;
}

int certificates_show(struct ctl *ctl)
{
	static const char *const titles[] = {
		"LISTENER", "FOR", "NAMES", "ENDS", "LEFT", "STATE", "ISSUER", "FILE"};
	int code = ctl_config(ctl);

	if (code)
		return code;
	json_t *reply = json_pack("{so}", "certificates", all_certificates(ctl->config));
	const json_t *list = json_object_get(reply, "certificates");
	for (size_t i = 0; i < json_array_size(list); i++)
		if (is_bad(json_array_get(list, i)))
			code = EXIT_REFUSED;
	if (ctl->json) {
		show_json(ctl, reply);
	} else if (!json_array_size(list)) {
		puts("no listener has a certificate");
	} else {
		struct table *table = table_new(ARRAY_SIZE(titles), titles);

		for (size_t i = 0; i < json_array_size(list); i++)
			add_row(table, json_array_get(list, i));
		table_print(&table);
	}
	json_decref(reply);
	return code;
}
