/* tls: the certificates of listeners, and reading them again; TLS reports that are sent at once. */
#include "ctl/ctl.h"

#include "base/check.h"
#include "base/text.h"
#include "directory/check.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_S	   86400
#define NAME_BYTES 4096 /* of an issuer, and of a certificate's names */

/* ---- reload --------------------------------------------------------------------------------- */

static int reload(struct ctl *ctl)
{
	json_t *reply = ctl_ask(ctl, json_pack("{ss, ss}", "cmd", "tls", "op", "reload"));

	if (!reply)
		return EXIT_REFUSED;
	bool done = json_is_true(json_object_get(reply, "done"));
	if (!done)
		ctl_tell(ctl, member_text(reply, "text"));
	else if (ctl->json)
		show_json(ctl, reply);
	else {
		show_text(member_text(reply, "text"), true);
		putchar('\n');
	}
	json_decref(reply);
	return done ? EXIT_DONE : EXIT_REFUSED;
}

/* ---- report ---------------------------------------------------------------------------------- */

static int report(struct ctl *ctl)
{
	json_t *reply = ctl_ask(ctl, json_pack("{ss, ss}", "cmd", "tls", "op", "report"));

	if (!reply)
		return EXIT_REFUSED;
	long long domains = (long long)member_int(reply, "domains");
	if (ctl->json)
		show_json(ctl, reply);
	else if (domains)
		printf("%lld domain%s had mail by lookup-mx since the last report: those that ask "
		       "for "
		       "reports get them now\n",
			domains, domains == 1 ? "" : "s");
	else
		puts("nothing was gathered since the last report");
	json_decref(reply);
	return EXIT_DONE;
}

/* ---- certificates --------------------------------------------------------------------------- */

/* A name in a certificate, as far as it is text. */
static void add_name(json_t *list, const ASN1_STRING *name)
{
	const char *text = (const char *)ASN1_STRING_get0_data(name);
	size_t n = (size_t)ASN1_STRING_length(name);

	json_array_append_new(list, json_stringn(text, n));
}

static json_t *names_of(const X509 *certificate)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	json_t *list = json_array();

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);

		if (one->type == GEN_DNS)
			add_name(list, one->d.dNSName);
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
	const char *why = file ? "has no certificate in it" : strerror(errno);

	if (certificate)
		describe(out, certificate);
	else
		json_object_set_new(out, "error", json_string(why));
	X509_free(certificate);
	ERR_clear_error();
	if (file)
		fclose(file);
}

static void add_certificate(json_t *list, struct span listener, struct span name, struct span path)
{
	char *file = strndup(path.p, path.n);
	json_t *one = json_pack("{ss%, ss%, ss}", "listener", listener.p, listener.n, "for",
		name.n ? name.p : "", name.n, "file", file ? file : "");

	if (!file || !one)
		ctl_no_memory(NULL);
	read_certificate(one, file);
	json_array_append_new(list, one);
	free(file);
}

static json_t *all_certificates(const struct config *config)
{
	json_t *list = json_array();

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];

		if (l->tls.certificate.n)
			add_certificate(list, l->name, SPAN_NONE, l->tls.certificate);
		for (size_t k = 0; k < l->tls.name_count; k++)
			add_certificate(
				list, l->name, l->tls.names[k].name, l->tls.names[k].certificate);
	}
	return list;
}

/* ---- check ---------------------------------------------------------------------------------- */

#define SOON_DAYS 14

static void add_finding(json_t *findings, const json_t *one, enum check_severity severity,
	const char *what, const char *advice)
{
	const char *listener = member_text(one, "listener"), *name = member_text(one, "for");
	char about[NAME_BYTES], text[NAME_BYTES];

	snprintf(about, sizeof(about), "listeners.%s.tls.%s%s%scertificate", listener,
		*name ? "names." : "", name, *name ? "." : "");
	snprintf(text, sizeof(text), "%s %s; %s", member_text(one, "file"), what, advice);
	json_array_append_new(
		findings, json_pack("{ss, ss, ss}", "severity", check_severity_name(severity),
				  "about", about, "text", text));
}

void tls_add_findings(const struct config *config, json_t *findings)
{
	json_t *list = all_certificates(config);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		const char *error = member_text(one, "error");
		json_int_t days = member_int(one, "days_left");
		char what[128];

		if (*error) {
			add_finding(findings, one, CHECK_WARNING, error,
				"posternd does not start with it (posternd --check says more)");
		} else if (days < SOON_DAYS) {
			snprintf(what, sizeof(what), days < 0 ? "ended on %s" : "ends on %s",
				member_text(one, "ends"));
			add_finding(findings, one, CHECK_WARNING, what,
				"renew it, then posternctl tls reload");
		}
	}
	json_decref(list);
}

/* ---- show ----------------------------------------------------------------------------------- */

static void add_row(struct table *table, const json_t *one)
{
	const json_t *names = json_object_get(one, "names");
	struct buf text;
	char days[40] = "";

	buf_init(&text, NAME_BYTES);
	for (size_t i = 0; i < json_array_size(names); i++)
		buf_printf(
			&text, "%s%s", i ? " " : "", json_string_value(json_array_get(names, i)));
	buf_add_char(&text, '\0');
	if (json_object_get(one, "days_left"))
		snprintf(days, sizeof(days), "%lld days", (long long)member_int(one, "days_left"));
	const char *error = member_text(one, "error"), *name = member_text(one, "for");
	const char *const cells[] = {member_text(one, "listener"), *name ? name : "(all others)",
		*error		? error
		: buf_ok(&text) ? text.p
				: "(many)",
		member_text(one, "ends"), days, member_text(one, "issuer"),
		member_text(one, "file")};
	table_add(table, cells);
	buf_done(&text);
}

static int show(struct ctl *ctl)
{
	static const char *const titles[] = {
		"LISTENER", "FOR", "NAMES", "ENDS", "LEFT", "ISSUER", "FILE"};
	int code = ctl_config(ctl);

	if (code)
		return code;
	json_t *reply = json_pack("{so}", "certificates", all_certificates(ctl->config));
	const json_t *list = json_object_get(reply, "certificates");
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_object_get(json_array_get(list, i), "error"))
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

int ctl_tls(struct ctl *ctl)
{
	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count != 1)
		return ctl_usage(ctl, "tls what? show, reload or report");
	if (strcmp(ctl->args[0], "reload") == 0)
		return reload(ctl);
	if (strcmp(ctl->args[0], "report") == 0)
		return report(ctl);
	if (strcmp(ctl->args[0], "show") == 0)
		return show(ctl);
	return ctl_usage(ctl, "tls: unknown: %s", ctl->args[0]);
}
