#include "ctl/ctl.h"

#include "admin/wipe.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define REPLY_MOST (300u << 20) /* bytes */
#define ANSWER_S   120		/* a server that says nothing for so long hangs */
#define TRY_MS	   50		/* with --wait: between two tries to reach it */

/* Who may: by the group of the socket, where that can be seen, else by the start file's. */
static void tell_denied(const struct ctl *ctl, const char *path)
{
	struct stat info;
	const struct group *group = stat(path, &info) == 0 ? getgrgid(info.st_gid) : NULL;

	if (group && info.st_gid != 0)
		ctl_refuse(ctl,
			"%s: permission denied; run it as root (sudo), or become a member of the "
			"group %s (usermod -aG %s USER, then log in again)",
			path, group->gr_name, group->gr_name);
	else if (ctl->config && ctl->config->group.n)
		ctl_refuse(ctl,
			"%s: permission denied; run it as root (sudo), as the user that posternd "
			"was started by, or as a member of the group %.*s (users.group)",
			path, (int)ctl->config->group.n, ctl->config->group.p);
	else
		ctl_refuse(ctl,
			"%s: permission denied; run it as root (sudo), as the user that posternd "
			"was started by, or as a member of the group that users.group of its "
			"start file names",
			path);
}

static void tell_unreached(const struct ctl *ctl, const char *path, int why)
{
	if (why == EACCES || why == EPERM)
		tell_denied(ctl, path);
	else if (why != ENOENT && why != ECONNREFUSED)
		ctl_refuse(ctl, "%s: %s; see the log of posternd", path, strerror(why));
	else if (!ctl->found)
		ctl_refuse(ctl, "%s: %s; is posternd running, and is this its control socket?",
			path, strerror(why));
	else
		ctl_refuse(ctl,
			"%s: %s; is posternd running with this start file (%s)? Start it "
			"(systemctl start postern, or posternd -c %s), or name the right file "
			"with -c",
			path, strerror(why), ctl->config_path, ctl->config_path);
}

static int try_to_connect(const struct sockaddr_un *to)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0)
		return fd;
	int why = errno;
	close(fd);
	errno = why;
	return -1;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One that is just being started has no socket yet, or an old one that nobody listens on. */
static int connect_in_time(const struct sockaddr_un *to, int64_t wait_s)
{
	const struct timespec step = {.tv_nsec = TRY_MS * 1000000l};
	int64_t end = now_ms() + wait_s * 1000;
	int fd;

	while ((fd = try_to_connect(to)) < 0 && (errno == ENOENT || errno == ECONNREFUSED)) {
		int why = errno;

		if (now_ms() >= end) {
			errno = why;
			break;
		}
		nanosleep(&step, NULL);
	}
	return fd;
}

/* *nobody: no server listens; where it is not NULL, that is not told. */
static int connect_control(struct ctl *ctl, bool *nobody)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = ANSWER_S};
	const char *path = ctl_socket(ctl);

	if (!path)
		return -1;
	if (strlen(path) >= sizeof(to.sun_path)) {
		ctl_refuse(ctl, "the path of the control socket is too long (at most %zu bytes)",
			sizeof(to.sun_path) - 1);
		return -1;
	}
	memcpy(to.sun_path, path, strlen(path));
	int fd = connect_in_time(&to, ctl->wait_s);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		return fd;
	}
	int why = errno;
	if (nobody && (why == ENOENT || why == ECONNREFUSED))
		*nobody = true;
	else
		tell_unreached(ctl, to.sun_path, why);
	return -1;
}

static bool write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t wrote = send(fd, p, n, MSG_NOSIGNAL);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return false;
		p += wrote;
		n -= (size_t)wrote;
	}
	return true;
}

static bool read_line(int fd, struct buf *line)
{
	for (;;) {
		char *to = buf_reserve(line, 65536);
		ssize_t n = to ? read(fd, to, 65536) : -1;

		if (n < 0 && to && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		buf_wrote(line, (size_t)n);
		if (line->p[line->n - 1] == '\n') {
			line->n--;
			return true;
		}
	}
}

/* Sends it and reads the reply; says why where there is none. */
static json_t *exchange(const struct ctl *ctl, int fd, const char *text)
{
	json_t *reply = NULL;
	json_error_t error;
	struct buf line;

	buf_init(&line, REPLY_MOST);
	errno = 0;
	if (!write_all(fd, text, strlen(text)) || !write_all(fd, "\n", 1) ||
		!read_line(fd, &line)) {
		if (!buf_ok(&line))
			ctl_no_memory(ctl);
		if (errno == EAGAIN)
			ctl_refuse(ctl, "the server has not answered for %d seconds; see its log",
				ANSWER_S);
		else
			ctl_refuse(ctl,
				"the server closed the connection without an answer; see its log");
	} else {
		reply = json_loadb(line.p, line.n, 0, &error);
		if (reply && !json_is_object(reply)) {
			json_decref(reply);
			reply = NULL;
			ctl_refuse(ctl, "the server's answer cannot be read: it is no object");
		} else if (!reply) {
			/* It tells the end of memory as a mistake in what it reads. */
			ctl_refuse(ctl,
				"the server's answer (%zu bytes) cannot be read: %s; if memory is "
				"short, ask for less at a time (a narrower filter, --limit N)",
				line.n, error.text);
		}
	}
	wipe_buf(&line);
	return reply;
}

static json_t *ask(struct ctl *ctl, json_t *request, bool *nobody)
{
	char *text = json_dumps(request, JSON_COMPACT);

	json_decref(request);
	if (!text) {
		ctl_refuse(ctl,
			"the request cannot be put into words: is everything in it valid UTF-8?");
		return NULL;
	}
	int fd = connect_control(ctl, nobody);
	json_t *reply = NULL;

	if (fd >= 0) {
		reply = exchange(ctl, fd, text);
		close(fd);
	}
	explicit_bzero(text, strlen(text));
	free(text);
	return reply;
}

/* Where it is a refusal, that is told. */
static json_t *taken(const struct ctl *ctl, json_t *reply)
{
	if (!reply || !json_object_get(reply, "error"))
		return reply;
	ctl_tell(ctl, member_text(reply, "error"));
	json_decref(reply);
	return NULL;
}

json_t *ctl_ask_whole(struct ctl *ctl, json_t *request)
{
	return ask(ctl, request, NULL);
}

json_t *ctl_ask(struct ctl *ctl, json_t *request)
{
	return taken(ctl, ctl_ask_whole(ctl, request));
}

json_t *ctl_ask_if_running(struct ctl *ctl, json_t *request, bool *reached)
{
	bool nobody = false;
	json_t *reply = taken(ctl, ask(ctl, request, &nobody));

	*reached = !nobody;
	return reply;
}

int ctl_ask_and_show(
	struct ctl *ctl, json_t *request, void (*show)(struct ctl *ctl, const json_t *reply))
{
	json_t *reply = ctl_ask(ctl, request);

	if (!reply)
		return EXIT_REFUSED;
	if (ctl->json) {
		/* What the server has put into words is for people. */
		json_object_del(reply, "text");
		show_json(ctl, reply);
	} else {
		show(ctl, reply);
	}
	json_decref(reply);
	return EXIT_DONE;
}
