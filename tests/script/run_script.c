/*
 * Plays SMTP dialogues (*.smtp) against the session machine: each one whole, byte by byte, cut in
 * two at every place, and in random pieces with a writer that gives small rooms or none for a
 * while. The replies, the messages that were committed, and whether the server closed the
 * connection must be the same each time and as written.
 *
 *   # comment                     client 127.0.0.1      limit NAME VALUE      spool full|sick
 *   C: a line to send             C| bytes to send, with \r \n \0 \\ \xHH     C> 5000 x   (a run)
 *   S: a reply line; a final "..." stands for anything
 *   M: SENDER RECIPIENT...        a committed message     B| its stored body   P: its protocol
 *   closed | open                 what the connection is at the end
 */
#include "world.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SCRIPT_BYTES 1000000
#define CUTS_MOST    3000 /* scripts with more input are cut at every n-th place */

struct script {
	const char *path;
	char *text;
	struct buf input;    /* all that the client sends */
	struct buf expected; /* what run() should describe */
	struct buf client;
	struct span limits[32], values[32];
	size_t limit_count;
	enum spool_health health;
};

_Noreturn static void die(const struct script *script, unsigned line, const char *what)
{
	fprintf(stderr, "%s:%u: %s\n", script->path, line, what);
	exit(1);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void add_unescaped(struct buf *out, struct span in)
{
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] != '\\' || i + 1 == in.n) {
			buf_add_char(out, in.p[i]);
			continue;
		}
		char c = in.p[++i];
		if (c == 'x' && i + 2 < in.n && hex_digit(in.p[i + 1]) >= 0) {
			buf_add_char(
				out, (char)(hex_digit(in.p[i + 1]) * 16 + hex_digit(in.p[i + 2])));
			i += 2;
		} else {
			buf_add_char(out, c == 'r' ? '\r' : c == 'n' ? '\n' : c == '0' ? '\0' : c);
		}
	}
}

static struct span word_of(struct span *rest)
{
	while (rest->n && rest->p[0] == ' ')
		*rest = span_skip(*rest, 1);
	struct span word = span_of(rest->p, span_find(*rest, ' '));
	*rest = span_skip(*rest, word.n);
	return word;
}

static void parse_line(struct script *script, struct span line, unsigned number)
{
	struct span rest = line;
	struct span word = word_of(&rest);
	struct span text = rest.n ? span_skip(rest, 1) : rest;
	uint64_t n;

	if (!line.n || line.p[0] == '#')
		return;
	if (span_equal(word, SPAN("C:"))) {
		buf_add_span(&script->input, text);
		buf_add_str(&script->input, "\r\n");
	} else if (span_equal(word, SPAN("C|"))) {
		add_unescaped(&script->input, text);
	} else if (span_equal(word, SPAN("C>"))) {
		if (text_parse_u64(word_of(&text), SCRIPT_BYTES, &n) != 0 || text.n != 2)
			die(script, number, "C> COUNT BYTE");
		while (n--)
			buf_add_char(&script->input, text.p[1]);
	} else if (span_equal(word, SPAN("client"))) {
		buf_clear(&script->client);
		buf_add_span(&script->client, text);
		buf_add_char(&script->client, '\0');
	} else if (span_equal(word, SPAN("limit"))) {
		CHECK(script->limit_count < ARRAY_SIZE(script->limits));
		script->limits[script->limit_count] = word_of(&text);
		script->values[script->limit_count++] = span_trim(text);
	} else if (span_equal(word, SPAN("spool"))) {
		script->health = span_equal(text, SPAN("full")) ? SPOOL_FULL : SPOOL_SICK;
	} else if (span_equal(word, SPAN("S:")) || span_equal(word, SPAN("M:")) ||
		   span_equal(word, SPAN("B|")) || span_equal(word, SPAN("P:")) ||
		   span_equal(line, SPAN("open")) || span_equal(line, SPAN("closed"))) {
		buf_add_span(&script->expected, line);
		buf_add_char(&script->expected, '\n');
	} else {
		die(script, number, "no such line in a script");
	}
}

static void load(struct script *script, const char *path)
{
	*script = (struct script){.path = path};
	buf_init(&script->input, SCRIPT_BYTES * 4);
	buf_init(&script->expected, SCRIPT_BYTES);
	buf_init(&script->client, 100);
	buf_add(&script->client, "192.0.2.7", 10);
	FILE *file = fopen(path, "rb");
	script->text = malloc(SCRIPT_BYTES);
	if (!file || !script->text)
		die(script, 0, strerror(errno));
	struct span all = span_of(script->text, fread(script->text, 1, SCRIPT_BYTES, file));
	fclose(file);
	for (unsigned number = 1; all.n; number++) {
		struct span line = span_of(all.p, span_find(all, '\n'));
		parse_line(script, line, number);
		all = span_skip(all, line.n + 1);
	}
}

static void unload(struct script *script)
{
	free(script->text);
	buf_done(&script->input);
	buf_done(&script->expected);
	buf_done(&script->client);
}

static void set_limit(const struct script *script, struct world *world, size_t at)
{
	struct config_limits *limits = &world->config.limits;
	struct span name = script->limits[at];
	uint64_t value;

	if (text_parse_u64(script->values[at], UINT32_MAX, &value) != 0)
		die(script, 0, "a limit is a number");
	if (span_equal(name, SPAN("message-size")))
		limits->message_size = value;
	else if (span_equal(name, SPAN("recipients")))
		limits->recipients = (uint32_t)value;
	else if (span_equal(name, SPAN("errors")))
		limits->errors = (uint32_t)value;
	else if (span_equal(name, SPAN("commands")))
		limits->commands = (uint32_t)value;
	else if (span_equal(name, SPAN("hops")))
		limits->hops = (uint32_t)value;
	else if (span_equal(name, SPAN("line")))
		limits->line = (uint32_t)value;
	else if (span_equal(name, SPAN("header-bytes")))
		limits->header_bytes = (uint32_t)value;
	else
		die(script, 0, "no such limit");
}

/* ---- one run -------------------------------------------------------------------------------- */

static void describe_replies(struct buf *out, struct span replies)
{
	while (replies.n) {
		size_t n = span_find(replies, '\n');
		buf_add_str(out, "S: ");
		buf_add(out, replies.p, n && replies.p[n - 1] == '\r' ? n - 1 : n);
		buf_add_char(out, '\n');
		replies = span_skip(replies, n + 1);
	}
}

static void describe_message(struct buf *out, const struct world_message *message)
{
	const struct envelope *e = &message->envelope;

	buf_add_str(out, "M: <");
	buf_add_span(out, e->sender);
	buf_add_char(out, '>');
	for (uint32_t i = 0; i < e->rcpt_count; i++) {
		buf_add_str(out, " <");
		buf_add_span(out, e->rcpts[i].address);
		buf_add_char(out, '>');
	}
	buf_add_str(out, "\nP: ");
	buf_add_span(out, e->protocol);
	buf_add_str(out, "\nB| ");
	for (size_t i = 0; i < message->body.n; i++) {
		unsigned char c = (unsigned char)message->body.p[i];
		if (c == '\r')
			buf_add_str(out, "\\r");
		else if (c == '\n')
			buf_add_str(out, "\\n");
		else if (c == '\\')
			buf_add_str(out, "\\\\");
		else if (c < ' ' || c >= 0x7f)
			buf_printf(out, "\\x%02x", c);
		else
			buf_add_char(out, (char)c);
	}
	buf_add_char(out, '\n');
}

/* Plays the input in pieces: of `piece` bytes, or one cut at `cut`, or random ones. */
static void run(
	const struct script *script, size_t piece, size_t cut, uint64_t seed, struct buf *out)
{
	struct world *world = malloc(sizeof(*world));
	struct span left = buf_span(&script->input);

	CHECK(world);
	world_open(world);
	for (size_t i = 0; i < script->limit_count; i++)
		set_limit(script, world, i);
	prng_seed(&world->prng, seed);
	if (seed) {
		world->writer.room_most = 1 + (uint32_t)prng_below(&world->prng, 40);
		world->writer.room_random = true;
		world->writer.short_of_memory = (uint32_t)prng_below(&world->prng, 200);
	}
	world_start(world);
	struct peer *peer = world_connect(world, script->client.p, out);
	if (peer) {
		world->writer.health = script->health;
		for (bool first = true; left.n; first = false) {
			size_t n = piece;
			if (seed)
				n = 1 + prng_below(&world->prng, 1 + prng_below(&world->prng, 60));
			else if (cut)
				n = first ? cut : left.n;
			n = MIN(n, left.n);
			peer_send(peer, span_of(left.p, n));
			left = span_skip(left, n);
		}
		describe_replies(out, buf_span(&peer->replies));
		for (uint32_t i = 0; i < world->message_count; i++)
			describe_message(out, &world->messages[i]);
		buf_add_str(out, peer->closed ? "closed\n" : "open\n");
	}
	world_close(world);
	free(world);
}

/* ---- comparing ------------------------------------------------------------------------------ */

static struct span line_of(struct span *left)
{
	struct span line = span_of(left->p, span_find(*left, '\n'));

	*left = span_skip(*left, line.n + 1);
	return line;
}

static bool line_matches(struct span expected, struct span got)
{
	if (span_ends_nocase(expected, SPAN("...")) && got.n >= expected.n - 3)
		return memcmp(expected.p, got.p, expected.n - 3) == 0;
	return span_equal(expected, got);
}

/* Replies must be as written. Of messages and their bodies the script may leave lines out. */
static bool matches(const struct script *script, struct span got, struct buf *why)
{
	struct span expected = buf_span(&script->expected);

	while (got.n) {
		struct span line = line_of(&got);
		struct span was = expected;
		struct span want = line_of(&expected);
		bool may_miss = line.n > 0 && (line.p[0] == 'B' || line.p[0] == 'P' ||
						      line.p[0] == 'o' || line.p[0] == 'c');

		if (line_matches(want, line))
			continue;
		expected = was;
		if (may_miss && (!want.n || want.p[0] != line.p[0]))
			continue;
		buf_printf(why, "expected  %.*s\n     got  %.*s\n", (int)want.n, want.p,
			(int)line.n, line.p);
		return false;
	}
	if (expected.n)
		buf_printf(why, "expected  %.*s\n     got  nothing more\n",
			(int)span_find(expected, '\n'), expected.p);
	return !expected.n;
}

static bool check_run(const struct script *script, size_t piece, size_t cut, uint64_t seed)
{
	struct buf got, why;

	buf_init(&got, 16u << 20);
	buf_init(&why, 1u << 20);
	run(script, piece, cut, seed, &got);
	bool same = matches(script, buf_span(&got), &why);
	if (!same)
		fprintf(stderr, "%s: pieces of %zu, cut at %zu, seed %llu:\n%.*s----\n%.*s\n",
			script->path, piece, cut, (unsigned long long)seed, (int)why.n, why.p,
			(int)got.n, got.p);
	buf_done(&got);
	buf_done(&why);
	return same;
}

static bool play(const char *path)
{
	struct script script;

	load(&script, path);
	size_t step = 1 + script.input.n / CUTS_MOST;
	bool good = check_run(&script, SIZE_MAX, 0, 0) && check_run(&script, 1, 0, 0) &&
		    check_run(&script, 2, 0, 0) && check_run(&script, 3, 0, 0);
	for (size_t cut = 1; good && cut < script.input.n; cut += step)
		good = check_run(&script, SIZE_MAX, cut, 0);
	for (uint64_t seed = 1; good && seed <= 100; seed++)
		good = check_run(&script, 0, 0, seed);
	printf("%s %s\n", good ? "ok  " : "FAIL", path);
	unload(&script);
	return good;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed += !play(argv[i]);
	return failed || argc < 2 ? 1 : 0;
}
