#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/err.h"
#include "codec/smtp_command.h"

#define ALL                                                                                \
	(SMTP_WITH_SIZE | SMTP_WITH_8BITMIME | SMTP_WITH_BINARYMIME | SMTP_WITH_SMTPUTF8 | \
		SMTP_WITH_DSN | SMTP_WITH_REQUIRETLS | SMTP_WITH_AUTH)

static struct arena arena;
static struct smtp_command c;
static struct smtp_refusal why;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_reset(&arena);
	return 0;
}

static int parse_with(const char *line, unsigned flags)
{
	return smtp_command_parse(span_str(line), flags, &arena, &c, &why);
}

static enum smtp_verb parse(const char *line)
{
	assert_int_equal(parse_with(line, ALL), 0);
	return c.verb;
}

static void refused_with(const char *line, unsigned flags, unsigned code, const char *enhanced)
{
	char text[32];
	struct smtp_command before = c;
	assert_int_equal(parse_with(line, flags), ERR_SYNTAX);
	assert_memory_equal(&c, &before, sizeof(c));
	struct buf buf;
	buf_init(&buf, sizeof(text));
	buf_printf(&buf, "%u.%u.%u", why.enhanced.class, why.enhanced.subject, why.enhanced.detail);
	assert_true(span_equal(buf_span(&buf), span_str(enhanced)));
	buf_done(&buf);
	assert_int_equal(why.code, code);
	assert_true(strlen(why.text) > 0);
}

static void refused(const char *line, unsigned code, const char *enhanced)
{
	refused_with(line, ALL, code, enhanced);
}

static bool is(struct span got, const char *want)
{
	return span_equal(got, span_str(want));
}

static void verbs_in_any_case(void **state)
{
	(void)state;
	assert_int_equal(parse("DATA"), SMTP_DATA);
	assert_int_equal(parse("rset"), SMTP_RSET);
	assert_int_equal(parse("QuIt  "), SMTP_QUIT); /* white space at the end: section 4.1.1 */
	assert_int_equal(parse("STARTTLS"), SMTP_STARTTLS);
	assert_int_equal(parse("NOOP"), SMTP_NOOP);
	assert_int_equal(parse("NOOP what ever"), SMTP_NOOP);
	assert_true(is(c.argument, "what ever"));
	assert_int_equal(parse("HELP"), SMTP_HELP);
	assert_int_equal(parse("VRFY ann"), SMTP_VRFY);
	assert_true(is(c.argument, "ann"));
	assert_int_equal(parse("EXPN list"), SMTP_EXPN);
	assert_int_equal(parse("XCLIENT ADDR=192.0.2.1"), SMTP_XCLIENT);
	refused("DATA now", 501, "5.5.4");
	refused("QUIT please", 501, "5.5.4");
	refused("VRFY", 501, "5.5.4");
	refused("", 500, "5.5.1");
	refused("FOO bar", 500, "5.5.1");
	refused(" QUIT", 500, "5.5.1");
	refused("QUITE", 500, "5.5.1");
	refused("MAILFROM:<a@b>", 500, "5.5.1");
	refused("GET / HTTP/1.1", 500, "5.5.1");
	assert_int_equal(smtp_command_verb(SPAN("bdat nonsense")), SMTP_BDAT);
	assert_int_equal(smtp_command_verb(SPAN("quit ")), SMTP_QUIT);
	assert_int_equal(smtp_command_verb(SPAN("")), SMTP_UNKNOWN);
	assert_string_equal(smtp_verb_name(SMTP_RCPT), "RCPT");
}

static void bytes_that_no_command_has(void **state)
{
	(void)state;
	refused("NOOP \x01", 500, "5.5.2");
	refused("MAIL FROM:<a@b>\rRCPT TO:<c@d>", 500, "5.5.2");
	refused("MAIL FROM:<a\n@b>", 500, "5.5.2");
	assert_int_equal(smtp_command_parse(SPAN("NOOP \0"), ALL, &arena, &c, &why), ERR_SYNTAX);
	assert_int_equal(why.code, 500);
	refused("NOOP \xc3\xbc", 500, "5.5.2");
	refused("EHLO \xc3\xbc", 500, "5.5.2");
	refused("RCPT TO:<\xfc@b>", 501, "5.5.2");
	struct buf line;
	buf_init(&line, 10000);
	buf_add_str(&line, "NOOP ");
	while (line.n <= SMTP_COMMAND_BYTES)
		buf_add_char(&line, 'x');
	assert_int_equal(smtp_command_parse(buf_span(&line), ALL, &arena, &c, &why), ERR_SYNTAX);
	assert_int_equal(why.code, 500);
	line.n = SMTP_COMMAND_BYTES;
	assert_int_equal(smtp_command_parse(buf_span(&line), ALL, &arena, &c, &why), 0);
	buf_done(&line);
}

static void greetings(void **state)
{
	(void)state;
	assert_int_equal(parse("EHLO mail.example.org"), SMTP_EHLO);
	assert_true(is(c.argument, "mail.example.org"));
	assert_int_equal(parse("HELO [IPv6:2001:db8::1]"), SMTP_HELO);
	assert_int_equal(parse("helo my_pc"), SMTP_HELO); /* wrong, but common */
	refused("EHLO", 501, "5.5.4");
	refused("EHLO  ", 501, "5.5.4");
	refused("EHLO a b", 501, "5.5.4");
	refused("EHLO a(b)", 501, "5.5.4");
	refused("EHLO a;b", 501, "5.5.4");
	char line[300] = "EHLO ";
	memset(line + 5, 'x', SMTP_HELO_BYTES);
	parse(line);
	line[5 + SMTP_HELO_BYTES] = 'x';
	refused(line, 501, "5.5.4");
}

static void senders(void **state)
{
	(void)state;
	assert_int_equal(parse("MAIL FROM:<Ann@Example.ORG>"), SMTP_MAIL);
	assert_true(is(c.address.mailbox, "Ann@example.org"));
	assert_false(c.mail.has_size);
	assert_int_equal(c.mail.body, SMTP_BODY_7BIT);
	parse("mail from:<>");
	assert_true(c.address.null);
	refused("MAIL", 501, "5.5.4");
	refused("MAIL TO:<a@b>", 501, "5.5.4");
	refused("MAIL FROM<a@b>", 501, "5.5.4");
	refused("MAIL FROM:", 501, "5.1.7");
	refused("MAIL FROM: <a@b>", 501, "5.1.7");
	refused("MAIL FROM:a@b", 501, "5.1.7");
	refused("MAIL FROM:<a@b>SIZE=1", 501, "5.1.7");
	refused("MAIL FROM:<postmaster>", 501, "5.1.7");
	refused("MAIL FROM:<a@[x9:1]>", 501, "5.1.7");
	assert_int_equal(parse_with("MAIL  FROM: <a@b>  SIZE=1 ", ALL | SMTP_LENIENT), 0);
	assert_int_equal(c.mail.size, 1);
	assert_int_equal(parse_with("MAIL FROM:a@b SIZE=2", ALL | SMTP_LENIENT), 0);
	assert_true(is(c.address.mailbox, "a@b"));
	assert_int_equal(c.mail.size, 2);
}

static void recipients(void **state)
{
	(void)state;
	assert_int_equal(parse("RCPT TO:<ann@example.org>"), SMTP_RCPT);
	assert_int_equal(c.rcpt.notify, NOTIFY_DEFAULT);
	parse("RCPT TO:<Postmaster>");
	assert_true(c.address.postmaster);
	parse("RCPT TO:<@a,@b:ann@example.org>");
	assert_true(is(c.address.mailbox, "ann@example.org"));
	refused("RCPT TO:<>", 501, "5.1.3");
	refused("RCPT TO:<a@b", 501, "5.1.3");
	refused("RCPT FROM:<a@b>", 501, "5.5.4");
	refused("RCPT TO:<a@b> SIZE=1", 555, "5.5.4"); /* not of RCPT */
	struct arena small;
	arena_init(&small, 0);
	assert_int_equal(
		smtp_command_parse(SPAN("RCPT TO:<a@b>"), ALL, &small, &c, &why), ERR_SYNTAX);
	assert_int_equal(why.code, 452);
	arena_reset(&small);
}

static void parameters_of_mail(void **state)
{
	(void)state;
	parse("MAIL FROM:<a@b> SIZE=1000000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159 "
	      "REQUIRETLS AUTH=<>");
	assert_true(c.mail.has_size);
	assert_int_equal(c.mail.size, 1000000);
	assert_int_equal(c.mail.body, SMTP_BODY_8BITMIME);
	assert_true(c.mail.smtputf8 && c.mail.requiretls);
	assert_int_equal(c.mail.ret, RETURN_HEADERS);
	assert_true(is(c.mail.envid, "QQ314159"));
	assert_true(is(c.mail.auth, "<>"));
	parse("MAIL FROM:<a@b> body=binarymime ret=full");
	assert_int_equal(c.mail.body, SMTP_BODY_BINARYMIME);
	assert_int_equal(c.mail.ret, RETURN_FULL);
	parse("MAIL FROM:<a@b> BODY=7BIT AUTH=e+3Dmc2@example.com");
	parse("MAIL FROM:<a@b> SIZE=0");
	assert_true(c.mail.has_size);
	parse("MAIL FROM:<a@b> SIZE=99999999999999999999");
	assert_true(c.mail.size == UINT64_MAX);
	refused("MAIL FROM:<a@b> SIZE=999999999999999999999", 501, "5.5.4");
	refused("MAIL FROM:<a@b> SIZE=-1", 501, "5.5.4");
	refused("MAIL FROM:<a@b> SIZE=", 501, "5.5.4");
	refused("MAIL FROM:<a@b> SIZE", 501, "5.5.4");
	refused("MAIL FROM:<a@b> SIZE=1 SIZE=1", 501, "5.5.4");
	refused("MAIL FROM:<a@b> BODY=9BIT", 504, "5.5.4");
	refused("MAIL FROM:<a@b> BODY", 501, "5.5.4");
	refused("MAIL FROM:<a@b> SMTPUTF8=1", 501, "5.5.4");
	refused("MAIL FROM:<a@b> REQUIRETLS=", 501, "5.5.4");
	refused("MAIL FROM:<a@b> RET=SOME", 501, "5.5.4");
	refused("MAIL FROM:<a@b> RET=FULL RET=HDRS", 501, "5.5.4");
	refused("MAIL FROM:<a@b> NOTIFY=NEVER", 555, "5.5.4");
	refused("MAIL FROM:<a@b> HOLDFOR=5", 555, "5.5.4");
	refused("MAIL FROM:<a@b> =1", 501, "5.5.4");
	refused("MAIL FROM:<a@b> -X=1", 501, "5.5.4");
	refused("MAIL FROM:<a@b> X_Y=1", 501, "5.5.4");
	refused("MAIL FROM:<a@b> AUTH=a=b", 501, "5.5.4");
}

static void only_what_was_offered_is_known(void **state)
{
	(void)state;
	refused_with("MAIL FROM:<a@b> SIZE=1", ALL & ~SMTP_WITH_SIZE, 555, "5.5.4");
	refused_with("MAIL FROM:<a@b> BODY=8BITMIME", 0, 555, "5.5.4");
	refused_with("MAIL FROM:<a@b> BODY=BINARYMIME", SMTP_WITH_8BITMIME, 504, "5.5.4");
	refused_with("MAIL FROM:<a@b> SMTPUTF8", 0, 555, "5.5.4");
	refused_with("MAIL FROM:<a@b> RET=FULL", 0, 555, "5.5.4");
	refused_with("MAIL FROM:<a@b> REQUIRETLS", 0, 555, "5.5.4");
	refused_with("MAIL FROM:<a@b> AUTH=<>", 0, 555, "5.5.4");
	refused_with("RCPT TO:<a@b> NOTIFY=NEVER", 0, 555, "5.5.4");
	assert_int_equal(parse_with("MAIL FROM:<a@b>", 0), 0);
}

/* RFC 3461 */
static void delivery_status_parameters(void **state)
{
	(void)state;
	parse("RCPT TO:<carol@ivory.edu> NOTIFY=FAILURE,DELAY ORCPT=rfc822;carol@ivory.edu");
	assert_int_equal(c.rcpt.notify, NOTIFY_FAILURE | NOTIFY_DELAY);
	assert_true(is(c.rcpt.orcpt, "rfc822;carol@ivory.edu"));
	parse("RCPT TO:<a@b> notify=never");
	assert_int_equal(c.rcpt.notify, NOTIFY_NEVER);
	parse("RCPT TO:<a@b> NOTIFY=SUCCESS ORCPT=rfc822;Bob+2BSmith@big.example");
	parse("RCPT TO:<a@b> ORCPT=x400;/S+3Dx");
	parse("RCPT TO:<a@b> ORCPT=rfc822;j+C3+B6rg@a.example"); /* as Postfix 3.7 says it */
	refused("RCPT TO:<a@b> NOTIFY=", 501, "5.5.4");
	refused("RCPT TO:<a@b> NOTIFY=NEVER,SUCCESS", 501, "5.5.4");
	refused("RCPT TO:<a@b> NOTIFY=SUCCESS,", 501, "5.5.4");
	refused("RCPT TO:<a@b> NOTIFY=SOMETIMES", 501, "5.5.4");
	refused("RCPT TO:<a@b> NOTIFY=DELAY NOTIFY=DELAY", 501, "5.5.4");
	refused("RCPT TO:<a@b> ORCPT=rfc822", 501, "5.5.4");
	refused("RCPT TO:<a@b> ORCPT=rfc822;", 501, "5.5.4");
	refused("RCPT TO:<a@b> ORCPT=;x", 501, "5.5.4");
	refused("RCPT TO:<a@b> ORCPT=rfc822;a+2", 501, "5.5.4");
	refused("RCPT TO:<a@b> ORCPT=rfc822;a+2bb", 501, "5.5.4"); /* upper case, it says */
	refused("RCPT TO:<a@b> ORCPT=rfc822;a+0D+0Ab", 501, "5.5.4");
	refused("RCPT TO:<a@b> ORCPT=rfc822;a=b", 501, "5.5.4");
	refused("RCPT TO:<a@b> ORCPT=rfc 822;a", 501, "5.5.4");
	refused("MAIL FROM:<a@b> ENVID=+", 501, "5.5.4");
	refused("MAIL FROM:<a@b> ENVID=a+00b", 501, "5.5.4");
	parse("MAIL FROM:<a@b> ENVID=a+20b");

	struct buf line;
	buf_init(&line, 4000);
	buf_add_str(&line, "MAIL FROM:<a@b> ENVID=");
	for (int i = 0; i < SMTP_ENVID_BYTES; i++)
		buf_add_char(&line, 'e');
	assert_int_equal(smtp_command_parse(buf_span(&line), ALL, &arena, &c, &why), 0);
	buf_add_char(&line, 'e');
	assert_int_equal(smtp_command_parse(buf_span(&line), ALL, &arena, &c, &why), ERR_SYNTAX);
	buf_clear(&line);
	buf_add_str(&line, "RCPT TO:<a@b> ORCPT=rfc822;");
	for (int i = 0; i < SMTP_ORCPT_BYTES - 7; i++)
		buf_add_char(&line, 'o');
	assert_int_equal(smtp_command_parse(buf_span(&line), ALL, &arena, &c, &why), 0);
	buf_add_char(&line, 'o');
	assert_int_equal(smtp_command_parse(buf_span(&line), ALL, &arena, &c, &why), ERR_SYNTAX);
	buf_done(&line);
}

/* RFC 6531, RFC 6533 */
static void international_commands(void **state)
{
	(void)state;
	parse("MAIL FROM:<j\xc3\xbcrgen@example.org> SMTPUTF8");
	assert_true(c.address.utf8);
	refused("MAIL FROM:<j\xc3\xbcrgen@example.org>", 550, "5.6.7");
	refused("MAIL FROM:<a@b\xc3\xbc.example>", 550, "5.6.7");
	refused_with("MAIL FROM:<j\xc3\xbcrgen@example.org>", 0, 550, "5.6.7");
	parse("RCPT TO:<ann@example.org>");
	assert_false(c.utf8);
	parse("RCPT TO:<ann@\xc3\xbc.example>");
	assert_true(c.utf8 && !c.address.utf8);
	parse("RCPT TO:<a@b> ORCPT=utf-8;j\xc3\xbcrgen@example.org");
	assert_true(c.utf8);
	parse("RCPT TO:<a@b> ORCPT=utf-8;j\\x{FC}rgen@example.org");
	assert_false(c.utf8);
	parse("RCPT TO:<a@b> ORCPT=UTF-8;\\x{10FFFF}\\x{2B}\\x{5C}");
	refused("RCPT TO:<a@b> ORCPT=rfc822;j\xc3\xbcrgen@example.org", 501, "5.5.4");
	static const char *const bad[] = {"", "\\", "\\x", "\\x{}", "\\x{F}", "\\x{FC", "\\x{fc}",
		"\\x{110000}", "\\x{D800}", "\\x{00}", "\\x{0000041}", "a+b", "a=b", "\\y{41}"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct buf line;
		buf_init(&line, 200);
		buf_printf(&line, "RCPT TO:<a@b> ORCPT=utf-8;%s", bad[i]);
		buf_add_char(&line, '\0');
		refused(line.p, 501, "5.5.4");
		buf_done(&line);
	}
	parse("VRFY j\xc3\xbcrgen SMTPUTF8");
	assert_true(c.utf8);
}

/* RFC 3030 */
static void chunks(void **state)
{
	(void)state;
	assert_int_equal(parse("BDAT 86"), SMTP_BDAT);
	assert_int_equal(c.chunk_bytes, 86);
	assert_false(c.chunk_last);
	parse("bdat 0 last");
	assert_int_equal(c.chunk_bytes, 0);
	assert_true(c.chunk_last);
	refused("BDAT", 501, "5.5.4");
	refused("BDAT LAST", 501, "5.5.4");
	refused("BDAT 1 FIRST", 501, "5.5.4");
	refused("BDAT 1LAST", 501, "5.5.4");
	refused("BDAT 1 LAST LAST", 501, "5.5.4");
	refused("BDAT -1", 501, "5.5.4");
	refused("BDAT 99999999999999999999999", 501, "5.5.4");
}

/* RFC 4954 */
static void authentication(void **state)
{
	(void)state;
	assert_int_equal(parse("AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ="), SMTP_AUTH);
	assert_true(is(c.mechanism, "PLAIN"));
	assert_true(is(c.initial, "dGVzdAB0ZXN0ADEyMzQ="));
	parse("AUTH EXTERNAL =");
	assert_true(is(c.initial, "="));
	parse("AUTH SCRAM-SHA-256");
	assert_int_equal(c.initial.n, 0);
	refused("AUTH", 501, "5.5.4");
	refused("AUTH PL*IN", 501, "5.5.4");
	/* RFC 4954 section 6 */
	refused("AUTH PLAIN a*b", 501, "5.5.2");
	refused("AUTH PLAIN a b", 501, "5.5.2");
	refused("AUTH ABCDEFGHIJKLMNOPQRSTU", 501, "5.5.4");
}

static void xtext_comes_back(void **state)
{
	(void)state;
	struct buf x, back;
	char all[256];
	buf_init(&x, 1000);
	buf_init(&back, 1000);
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	smtp_xtext_encode(&x, span_of(all, sizeof(all)));
	for (size_t i = 0; i < x.n; i++)
		assert_true(x.p[i] > ' ' && x.p[i] < 0x7f && x.p[i] != '=');
	smtp_xtext_decode(&back, buf_span(&x));
	assert_true(span_equal(buf_span(&back), span_of(all, sizeof(all))));
	buf_clear(&x);
	smtp_xtext_encode(&x, SPAN("a+b=c d"));
	assert_true(span_equal(buf_span(&x), SPAN("a+2Bb+3Dc+20d")));
	buf_done(&x);
	buf_done(&back);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(verbs_in_any_case),
		TEST(bytes_that_no_command_has),
		TEST(greetings),
		TEST(senders),
		TEST(recipients),
		TEST(parameters_of_mail),
		TEST(only_what_was_offered_is_known),
		TEST(delivery_status_parameters),
		TEST(international_commands),
		TEST(chunks),
		TEST(authentication),
		TEST(xtext_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
