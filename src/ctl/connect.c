#include "ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define REPLY_MOST (300u << 20) /* bytes */

static int connect_control(struct ctl *ctl)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	if (ctl_config(ctl))
		return -1;
	struct span path = ctl->config->control;
	if (path.n >= sizeof(to.sun_path)) {
		ctl_refuse("the path of the control socket is too long (at most %zu bytes)",
			sizeof(to.sun_path) - 1);
		return -1;
	}
	memcpy(to.sun_path, path.p, path.n);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	int why = errno;
	if (fd >= 0)
		close(fd);
	if (why == EACCES || why == EPERM)
		ctl_refuse(
			"%s: %s; run it as root or as a member of the group of the control socket",
			to.sun_path, strerror(why));
	else
		ctl_refuse("%s: %s; is posternd running with this start file (%s)?", to.sun_path,
			strerror(why), ctl->config_path);
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

json_t *ctl_ask(struct ctl *ctl, json_t *request)
{
	json_t *reply = NULL;
	json_error_t error;
	struct buf line;
	char *text = json_dumps(request, JSON_COMPACT);
	int fd;

	json_decref(request);
	if (!text) {
		ctl_refuse(
			"the request cannot be put into words: is everything in it valid UTF-8?");
		return NULL;
	}
	fd = connect_control(ctl);
	if (fd < 0) {
		free(text);
		return NULL;
	}
	buf_init(&line, REPLY_MOST);
	if (!write_all(fd, text, strlen(text)) || !write_all(fd, "\n", 1) || !read_line(fd, &line))
		ctl_refuse("the server closed the connection without an answer; see its log");
	else if (!(reply = json_loadb(line.p, line.n, 0, &error)) || !json_is_object(reply))
		ctl_refuse("the server's answer cannot be read: %s", error.text);
	close(fd);
	free(text);
	buf_done(&line);
	if (reply && json_object_get(reply, "error")) {
		fputs("posternctl: ", stderr);
		fflush(stderr);
		const char *why = member_text(reply, "error");
		struct buf safe;

		buf_init(&safe, REPLY_MOST);
		for (const char *p = why; *p; p++) {
			if (((unsigned char)*p < ' ' && *p != '\n') || *p == 0x7f)
				buf_add_char(&safe, '?');
			else
				buf_add_char(&safe, *p);
		}
		buf_add_char(&safe, '\n');
		fwrite(safe.p, 1, safe.n, stderr);
		buf_done(&safe);
		json_decref(reply);
		return NULL;
	}
	return reply;
}

int ctl_ask_and_show(
	struct ctl *ctl, json_t *request, void (*show)(struct ctl *ctl, const json_t *reply))
{
	json_t *reply = ctl_ask(ctl, request);

	if (!reply)
		return EXIT_REFUSED;
	if (ctl->json)
		show_json(reply);
	else
		show(ctl, reply);
	json_decref(reply);
	return EXIT_DONE;
}
