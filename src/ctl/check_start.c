/* For check: what a start of posternd would find, and, where no server runs, what delivery would
 * say of the files that transports name. */
#include "ctl/ctl.h"

#include "base/err.h"
#include "directory/check.h"
#include "io/tls.h"
#include "role/plain_file.h"
#include "role/prepare.h"
#include "role/tls_files.h"

#include <unistd.h>

#define SAID_BYTES  65536
#define WORDS_BYTES 8192 /* about one file; its path is in it */
#define NOT_STARTED "; posternd does not start with it"

static void add(json_t *findings, enum check_severity severity, struct span about, struct span text,
	const char *advice)
{
	json_array_append_new(findings,
		json_pack("{ss, ss%, so}", "severity", check_severity_name(severity), "about",
			about.n ? about.p : "", about.n, "text",
			json_sprintf("%.*s%s", (int)text.n, text.n ? text.p : "", advice)));
}

/* ---- as posternd does at its start, which ends at the first thing that is wrong -------------- */

static void check_files(const struct config *config, json_t *findings)
{
	struct tls_files files = TLS_FILES_NONE;
	struct buf problem, warnings;
	uint32_t number = 0;

	buf_init(&problem, SAID_BYTES);
	buf_init(&warnings, SAID_BYTES);
	int err = tls_files_read(config, &number, &files, &problem, &warnings);
	tls_files_done(&files);
	if (err == ERR_DENIED && geteuid() != 0)
		add(findings, CHECK_NOTE, SPAN("certificates"), buf_span(&problem),
			"; not all keys were looked at: root can");
	else if (err)
		add(findings, CHECK_ERROR, SPAN("certificates"), buf_span(&problem), NOT_STARTED);
	for (struct span rest = buf_span(&warnings); rest.n;) {
		size_t n = span_find(rest, '\n');

		add(findings, CHECK_WARNING, SPAN("certificates"), span_of(rest.p, n), "");
		rest = span_skip(rest, n + 1);
	}
	buf_done(&problem);
	buf_done(&warnings);
}

/* Only root's roles get users of their own. */
static void check_users(const struct config *config, json_t *findings)
{
	struct users users;
	struct buf problem;

	buf_init(&problem, SAID_BYTES);
	if (prepare_users(config, NULL, &users, &problem))
		add(findings, CHECK_ERROR, SPAN("users"), buf_span(&problem), NOT_STARTED);
	buf_done(&problem);
}

void start_add_findings(const struct config *config, json_t *findings)
{
	check_users(config, findings);
	if (tls_files_wanted(config))
		check_files(config, findings);
}

/* ---- tls-ca ---------------------------------------------------------------------------------- */

/* False: it is good, as far as who runs this can tell. */
static bool say_ca(struct span path, struct buf *out)
{
	struct buf pem, why;
	size_t count;

	buf_init(&pem, TLS_PEM_BYTES + PLAIN_FILE_PIECE);
	buf_init(&why, WORDS_BYTES);
	int err = plain_file_read(path, TLS_PEM_BYTES, &pem);
	if (!err && tls_check_ca(buf_span(&pem), &count, &why)) {
		err = ERR_SYNTAX;
	} else if (err) {
		buf_clear(&why);
		buf_add_str(&why, err_text(err));
	}
	if (err == ERR_NOT_FOUND)
		buf_printf(out, "its tls-ca, %.*s, is not there", (int)path.n, path.p);
	else if (err)
		buf_printf(out, "its tls-ca, %.*s, cannot be used: %.*s", (int)path.n, path.p,
			(int)why.n, why.n ? why.p : "");
	buf_done(&pem);
	buf_done(&why);
	return err != 0;
}

void authorities_add_findings(const struct objects *objects, json_t *findings)
{
	size_t named = 0, told = 0;

	for (size_t i = 0; i < objects_count(objects, OBJECT_TRANSPORT); i++) {
		const struct object *transport = objects_at(objects, OBJECT_TRANSPORT, i);
		struct span path = object_transport(transport)->tls_ca;
		struct buf about, words;

		if (!path.n)
			continue;
		named++;
		buf_init(&about, WORDS_BYTES);
		buf_init(&words, WORDS_BYTES);
		buf_add_str(&about, "transport ");
		buf_add_span(&about, transport->name);
		if (told < CHECK_FINDINGS_PER_KIND && say_ca(path, &words)) {
			told++;
			add(findings, CHECK_WARNING, buf_span(&about), buf_span(&words),
				"; until that is mended its mail waits");
		}
		buf_done(&about);
		buf_done(&words);
	}
	if (named)
		add(findings, CHECK_NOTE, SPAN("tls-ca"),
			SPAN("whether delivery, which has a user of its own, may read these files "
			     "is not known: no server runs"),
			"");
}
