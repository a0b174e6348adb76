#include "codec/sasl.h"
#include "smtpd/session.h"

#include <string.h>

#define AUTH_LINE (SASL_RESPONSE + 2u) /* bytes of a line in an AUTH exchange, with CRLF */

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

/* Whatever it was, it was no answer to a challenge (RFC 4954 section 4). */
static void refuse_line(struct session *s, const char *enhanced, const char *text)
{
	auth_forget(s);
	reply_error(s, 500, enhanced, text);
}

static void run_line(struct session *s, struct span line)
{
	if (s->phase != PHASE_AUTH) {
		command_run(s, line);
		return;
	}
	auth_line(s, line);
	if (line.n)
		explicit_bzero((char *)line.p, line.n);
}

/* Takes one line: of a command, or in an AUTH exchange. 0: it is not whole yet. */
static size_t take_line(struct session *s, struct span in)
{
	bool auth = s->phase == PHASE_AUTH;
	size_t most = auth ? AUTH_LINE : SESSION_LINE;
	size_t window = in.n < most ? in.n : most;
	const char *lf = memchr(in.p, '\n', window);

	if (!lf) {
		if (in.n < most)
			return 0;
		skip_rest(s, in.p[window - 1] == '\r');
		refuse_line(s, auth ? "5.5.6" : "5.5.2", "Line too long");
		return window;
	}
	size_t n = (size_t)(lf - in.p) + 1;
	if (n < 2 || in.p[n - 2] != '\r') {
		skip_rest(s, false);
		refuse_line(s, "5.5.2", "Bare LF: lines end with CR LF");
		return n;
	}
	struct span line = {in.p, n - 2};
	if (memchr(line.p, '\r', line.n) || memchr(line.p, '\0', line.n))
		refuse_line(s, "5.5.2", "A command line holds neither bare CR nor NUL");
	else
		run_line(s, line);
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
		else if (s->phase == PHASE_PROXY)
			used = proxy_take(s, rest);
		else if (s->skip_line)
			used = skip_line(s, rest);
		else
			used = take_line(s, rest);
		if (!used)
			break;
		/* An absolute deadline: only what is complete moves it, not a byte now and then. */
		if ((s->phase == PHASE_COMMAND || s->phase == PHASE_AUTH) && !s->skip_line)
			session_wait(s, s->smtpd->c.config->timeouts.command);
		at += used;
	}
	return s->ending ? in.n : at;
}
