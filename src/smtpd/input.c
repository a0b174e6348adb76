#include "smtpd/session.h"

#include <string.h>

/* A refused line counts as one error and is passed over up to its CRLF, however long it is and
 * whatever it holds, so that no part of it can be taken for a command (SMTP smuggling). */
static void skip_rest(struct session *s, bool last_was_cr)
{
	s->skip_line = true;
	s->skip_cr = last_was_cr;
}

static size_t skip_line(struct session *s, struct span in)
{
	size_t at = 0;

	while (at < in.n) {
		const char *lf = memchr(in.p + at, '\n', in.n - at);

		if (!lf) {
			s->skip_cr = in.p[in.n - 1] == '\r';
			return in.n;
		}
		size_t end = (size_t)(lf - in.p);
		bool cr = end > 0 ? in.p[end - 1] == '\r' : s->skip_cr;
		at = end + 1;
		s->skip_cr = false;
		if (cr) {
			s->skip_line = false;
			break;
		}
	}
	return at;
}

/* Takes one command line. 0: it is not whole yet. */
static size_t take_line(struct session *s, struct span in)
{
	size_t window = in.n < SESSION_LINE ? in.n : SESSION_LINE;
	const char *lf = memchr(in.p, '\n', window);

	if (!lf) {
		if (in.n < SESSION_LINE)
			return 0;
		skip_rest(s, in.p[window - 1] == '\r');
		reply_error(s, 500, "5.5.2", "Line too long");
		return window;
	}
	size_t n = (size_t)(lf - in.p) + 1;
	if (n < 2 || in.p[n - 2] != '\r') {
		skip_rest(s, false);
		reply_error(s, 500, "5.5.2", "Bare LF: lines end with CR LF");
		return n;
	}
	struct span line = {in.p, n - 2};
	if (memchr(line.p, '\r', line.n) || memchr(line.p, '\0', line.n))
		reply_error(s, 500, "5.5.2", "A command line holds neither bare CR nor NUL");
	else
		command_run(s, line);
	return n;
}

size_t input_run(struct session *s, struct span in)
{
	size_t at = 0;

	while (at < in.n && !session_blocked(s)) {
		struct span rest = span_skip(in, at);
		size_t used;

		if (session_in_body(s))
			used = body_copy(s, rest);
		else if (s->skip_line)
			used = skip_line(s, rest);
		else
			used = take_line(s, rest);
		if (!used)
			break;
		/* An absolute deadline: only what is complete moves it, not a byte now and then. */
		if (!session_in_body(s) && !s->skip_line)
			session_wait(s, s->smtpd->c.config->timeouts.command);
		at += used;
	}
	return s->ending ? in.n : at;
}
