/*
 * posternctl: a thin client of the control socket. What the files of this folder share.
 *
 *   main.c      options, which command
 *   help.c      --help, of all and of each command
 *   tell.c      why not
 *   connect.c   one request, one reply
 *   show.c      tables and texts for people; everything that came from peers is made harmless
 *   apply.c     check, apply, export
 *   objects.c   transport, domain, account, alias, accept, relay, priority, settings
 *   user.c      accounts with their passwords, and who is wrong about them
 *   secret.c    secrets: asked for, never on a command line
 *   tls.c, certificates.c  certificates
 *   audit.c     audit
 *   queue.c     queue …
 *   status.c    status, trace, explain
 *   status_text.c  how status reads
 *   spool.c     spool verify: reads the spool by itself, needs no server
 *
 * Exit codes: 0 done, 1 refused (the reason is on stderr), 2 wrong usage.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "base/buf.h"
#include "base/span.h"
#include "directory/config.h"

#include <jansson.h>
#include <stdio.h>

enum exit_code { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

#define DEFAULT_CONFIG "/etc/postern/postern.yaml"

struct ctl {
	const char *config_path;
	const char *socket; /* --socket: then the start file is not asked for it */
	char *found;	    /* the socket that it says */
	struct config *config;
	bool json;	/* --json: replies as they come */
	int64_t wait_s; /* --wait: so long for a server that does not answer yet */
	char **args;	/* after the command's name */
	int count;
};

/* ---- main.c
 * ----------------------------------------------------------------------------------- */

/* Loads the start file once; on failure says why and returns an exit code. */
int ctl_config(struct ctl *ctl);
/* Where the server listens, as a path; NULL: not known, and said why. A start file with mistakes in
 * it is gone on with, as far as it says that: whoever mends it may need the server meanwhile. */
const char *ctl_socket(struct ctl *ctl);
/* Takes "--name VALUE" or "--name=VALUE" out of the arguments; NULL where it is not given. */
const char *ctl_option(struct ctl *ctl, const char *name);
/* Takes "--name" out of the arguments. */
bool ctl_flag(struct ctl *ctl, const char *name);
/* False, and says so, where an unknown option is left over. */
bool ctl_no_options_left(const struct ctl *ctl);
/* The remaining arguments joined by blanks; the caller's to free. */
char *ctl_joined(const struct ctl *ctl, int from);
/* A whole file ("-": standard input), NUL-terminated; NULL, and said why. */
char *ctl_read_file(const struct ctl *ctl, const char *path, size_t *length);

/* ---- secret.c
 * --------------------------------------------------------------------------------- */

/* No core file, nor another process of the same user, shall have what this one holds. */
void ctl_keep_secrets(void);
/* A line, without its end: asked for on a terminal, twice, which does not show it, else from
 * standard input. `what`: "password"; to be freed by wipe_buf(). An exit code; then nothing is to
 * be freed, and why was said. */
int ctl_read_secret(const struct ctl *ctl, const char *what, const char *whose, struct buf *out);
/* The same as a member of the request, which has the name of what it is. */
int ctl_add_secret(const struct ctl *ctl, json_t *request, const char *key, const char *whose);
/* False, and says why not, where one is among the arguments. */
bool ctl_no_secrets(const struct ctl *ctl);
/* The same where an argument from there on is no field=value: it may be one that was typed where it
 * does not belong, and is not repeated. */
bool ctl_only_fields(const struct ctl *ctl, int from);

/* ---- objects.c
 * -------------------------------------------------------------------------------- */

/* One of the commands that objects of a kind have, where it is among `ops` (NULL ends them). */
int ctl_object(struct ctl *ctl, const char *kind, const char *const *ops);
/* The arguments from there on as a list of texts; NULL, and said why. */
json_t *ctl_settings_from(const struct ctl *ctl, int from);

/* ---- tell.c
 * ----------------------------------------------------------------------------------- */

/* Why not, on standard error: as text, or, with --json, as a line {"error":TEXT}. */
void ctl_tell(const struct ctl *ctl, const char *text);
/* What is not as it should be and keeps nothing from being done; likewise, {"warning":TEXT}. */
void ctl_warn(const struct ctl *ctl, const char *text);
/* Says what is wrong with the command line and how to get help; EXIT_USAGE. */
int ctl_usage(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says why it cannot be done; EXIT_REFUSED. */
int ctl_refuse(const struct ctl *ctl, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The same of many lines. */
int ctl_refuse_lines(const struct ctl *ctl, const char *what, const struct buf *lines);
/* Says that there is not enough memory for it, and ends with EXIT_REFUSED: nothing is half shown as
 * if it were whole. NULL: in a text for people. */
void ctl_no_memory(const struct ctl *ctl) __attribute__((noreturn));

/* ---- help.c
 * ----------------------------------------------------------------------------------- */

void help_all(FILE *to);
/* All that there is to say about one command, or, unless it is NULL, about one of its own
 * ("queue list"); false: there is no such. */
bool help_command(const char *name, const char *own);

/* ---- connect.c
 * -------------------------------------------------------------------------------- */

/* Sends a request (taken over) and returns the reply, NULL where there was none or it is an error;
 * then the reason has been printed. */
json_t *ctl_ask(struct ctl *ctl, json_t *request);
/* The same, but a refusal, {"error":TEXT}, is returned as the reply that it is. */
json_t *ctl_ask_whole(struct ctl *ctl, json_t *request);
/* As ctl_ask(), without a word where no server listens: then *reached is false. */
json_t *ctl_ask_if_running(struct ctl *ctl, json_t *request, bool *reached);
/* Asks, then prints the reply as JSON with --json, else by show(). */
int ctl_ask_and_show(
	struct ctl *ctl, json_t *request, void (*show)(struct ctl *ctl, const json_t *reply));

/* ---- show.c
 * ----------------------------------------------------------------------------------- */

/* What a terminal would obey becomes \xHH; newlines stay where `lines`. */
void show_text(const char *text, bool lines);
void show_text_on(FILE *file, const char *text, bool lines);
void add_safe(struct buf *out, const char *text, bool lines);
/* status_text.c */
void show_status(struct ctl *ctl, const json_t *status);
/* differs.c: where the start file is not what the server runs with (`runs`, all its fields): a list
 * of {field, file, runs}; and one of them in words, behind the field's name. */
json_t *start_file_differs(const struct ctl *ctl, const json_t *runs);
void add_differing(struct buf *out, const json_t *one);
/* What a change of the directory did. */
void show_changes(struct ctl *ctl, const json_t *reply);
/* What goes with it, on standard error. */
void show_warnings(const json_t *warnings);
/* As JSON: a whole reply, or a value within a line. */
void show_json(const struct ctl *ctl, const json_t *value);
void show_error_json(const json_t *value); /* one line on standard error */
void show_value(const json_t *value);
/* A string member, or "". */
const char *member_text(const json_t *object, const char *key);
json_int_t member_int(const json_t *object, const char *key);
/* Columns of strings: count values, then show_table_end(). Widths fit what is in it. */
#define TABLE_COLUMNS 16
struct table;
struct table *table_new(size_t columns, const char *const *titles);
void table_add(struct table *table, const char *const *cells);
void table_print(struct table **table);
void table_free(struct table **table);
/* "1.2 KiB", "5.0 MiB" */
const char *size_text(json_int_t bytes, char out[32]);
/* "45s", "12m", "3h20m", "5d07h" */
const char *age_text(json_int_t seconds, char out[32]);

/* ---- commands
 * --------------------------------------------------------------------------------- */

int ctl_check(struct ctl *ctl);
int ctl_status(struct ctl *ctl);
int ctl_apply(struct ctl *ctl);
int ctl_export(struct ctl *ctl);
int ctl_transport(struct ctl *ctl);
int ctl_domain(struct ctl *ctl);
int ctl_account(struct ctl *ctl);
int ctl_user(struct ctl *ctl);
int ctl_alias(struct ctl *ctl);
int ctl_accept(struct ctl *ctl);
int ctl_tls(struct ctl *ctl);
/* tell.c: `name` is none of these, which NULL ends; names the one that was meant, if one was. */
int ctl_unknown(const struct ctl *ctl, const char *of, const char *name, const char *const *names);
struct objects;
/* certificates.c: those of listeners; and what is wrong, or soon will be, with them and their keys.
 */
int certificates_show(struct ctl *ctl);
void tls_add_findings(const struct config *config, json_t *findings);
/* check_start.c: with what posternd would not start; and what is wrong with tls-ca files, as far as
 * that can be seen without a server. */
void start_add_findings(const struct config *config, json_t *findings);
void authorities_add_findings(const struct objects *objects, json_t *findings);
int ctl_relay(struct ctl *ctl);
int ctl_relay_show(struct ctl *ctl); /* status.c: who may relay now */
int ctl_priority(struct ctl *ctl);
int ctl_settings(struct ctl *ctl);
int ctl_audit(struct ctl *ctl);
int ctl_queue(struct ctl *ctl);
int ctl_trace(struct ctl *ctl);
int ctl_explain(struct ctl *ctl);
int ctl_spool(struct ctl *ctl);

#endif
