/* What the supervisor reads: the start file, and files of the system that roles need to know. */
#include "base/check.h"
#include "base/err.h"
#include "io/dns_unbound.h"
#include "role/account.h"
#include "role/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the start file ------------------------------------------------------------------------- */

static int read_text(const char *path, struct buf *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_from_errno(errno);
	for (;;) {
		char *to = buf_reserve(text, 4096);
		ssize_t n = to ? read(fd, to, 4096) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		int err = !to ? ERR_LIMIT : n < 0 ? err_from_errno(errno) : 0;
		if (err || n == 0) {
			close(fd);
			return err;
		}
		buf_wrote(text, (size_t)n);
	}
}

/* "/etc/postern/" of "/etc/postern/postern.yaml", absolute where it can be found. */
static struct span folder_of(char *path)
{
	char *slash = strrchr(path, '/');

	return slash ? span_of(path, (size_t)(slash + 1 - path)) : SPAN_NONE;
}

/* Problems and warnings of the parser, a line each, to stderr. */
static void show(const struct buf *lines)
{
	if (lines->n)
		(void)!write(STDERR_FILENO, lines->p, lines->n);
}

int files_read_config(struct supervisor *sv, const char *path)
{
	struct buf problems;

	sv->config_path = realpath(path, NULL);
	if (!sv->config_path)
		sv->config_path = strdup(path);
	if (!sv->config_path)
		return ERR_NOMEM;
	sv->folder = folder_of(sv->config_path);
	buf_init(&problems, CONFIG_TEXT);
	int err = read_text(path, &sv->text);
	if (err)
		buf_printf(&problems, "%s: cannot be read: %s\n", path,
			err == ERR_LIMIT ? "a start file is at most 1M long" : err_text(err));
	else
		err = config_parse_in(
			path, sv->folder, buf_span(&sv->text), &sv->config, &problems);
	show(&problems);
	buf_done(&problems);
	return err;
}

void files_read_again(struct supervisor *sv)
{
	struct config *config = NULL;
	struct buf text, problems;

	buf_init(&text, CONFIG_TEXT);
	buf_init(&problems, CONFIG_TEXT);
	int err = read_text(sv->config_path, &text);
	if (err == 0)
		err = config_parse_in(
			sv->config_path, sv->folder, buf_span(&text), &config, &problems);
	if (err) {
		show(&problems);
		log_write(sv->log, LOG_ERROR,
			"the start file cannot be read again; nothing changed",
			LOG_STR("file", sv->config_path));
	} else {
		const uint8_t level = (uint8_t)config->log_level;
		logsink_set_level(sv->sink, (enum log_level)level);
		for (size_t i = 0; i < sv->slot_count; i++)
			(void)ipc_send(
				&sv->slots[i].port, IPC_LOG_LEVEL, 0, span_of(&level, 1), NULL, 0);
		log_write(sv->log, LOG_INFO,
			"the log level was read again; all else in the start file needs a restart, "
			"but for what is in the files of certificates",
			LOG_STR("file", sv->config_path));
	}
	config_free(&config);
	buf_done(&text);
	buf_done(&problems);
}

/* ---- files of the system -------------------------------------------------------------------- */

static void look_at(struct supervisor *sv, struct watched *watched, enum role_kind kind)
{
	int fd;

	if (!watch_look(watched, &fd))
		return;
	log_write(sv->log, LOG_INFO, "a file of the system changed: handing it over",
		LOG_STR("file", watched->path), LOG_STR("to", role_kind_name(kind)));
	for (size_t i = 0; i < sv->slot_count; i++)
		if (sv->slots[i].kind == kind)
			(void)ipc_send(&sv->slots[i].port, IPC_FILE, 0, SPAN_NONE, &fd, 1);
	close(fd);
}

static void look_at_files(struct timer *timer)
{
	struct supervisor *sv = CONTAINER_OF(timer, struct supervisor, watch_timer);

	look_at(sv, &sv->passwd, ROLE_ADMIN);
	/* Who names the servers in the start file means these. */
	if (!sv->config->dns_servers.n)
		look_at(sv, &sv->resolv_conf, ROLE_DELIVERY);
	tls_keeper_look(sv);
	(void)io_timer_after(sv->io, &sv->watch_timer, WATCH_MS);
}

int files_watch(struct supervisor *sv)
{
	watch_begin(&sv->passwd, ACCOUNT_FILE);
	watch_begin(&sv->resolv_conf, RESOLV_CONF);
	sv->watch_timer.fire = look_at_files;
	return io_timer_after(sv->io, &sv->watch_timer, WATCH_MS);
}
