#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/mime_downgrade.h"

/* Both passes, in slices; the output, NUL at its end, or NULL with the reason. */
static char *convert(enum mime_target target, struct span in, size_t slice, bool *needed,
	enum mime_reason *reason)
{
	struct mime_downgrade *d;
	struct buf out;

	assert_int_equal(mime_downgrade_new(target, &d), 0);
	for (struct span left = in; left.n; left = span_skip(left, slice))
		mime_downgrade_scan(d, span_of(left.p, slice < left.n ? slice : left.n));
	int err = mime_downgrade_scan_end(d, needed);
	*reason = mime_downgrade_reason(d);
	if (err) {
		assert_int_equal(err, ERR_UNSUPPORTED);
		mime_downgrade_free(&d);
		return NULL;
	}
	buf_init(&out, MIME_GROWTH * in.n + MIME_EXTRA);
	for (struct span left = in; left.n; left = span_skip(left, slice))
		mime_downgrade_feed(d, span_of(left.p, slice < left.n ? slice : left.n), &out);
	mime_downgrade_end(d, &out);
	assert_true(buf_ok(&out));
	char *text = calloc(1, out.n + 1);
	assert_non_null(text);
	if (out.n)
		memcpy(text, out.p, out.n);
	buf_done(&out);
	mime_downgrade_free(&d);
	return text;
}

static void becomes_n(enum mime_target target, struct span in, const char *expected)
{
	static const size_t slices[] = {1, 2, 3, 7, 1023, 1024, 1025, 1u << 20};

	for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++) {
		bool needed = false;
		enum mime_reason reason;
		char *out = convert(target, in, slices[i], &needed, &reason);

		assert_int_equal(reason, MIME_FINE);
		assert_string_equal(out, expected);
		assert_int_equal(needed, strcmp(in.p, expected) != 0);
		free(out);
	}
}

static void becomes(enum mime_target target, const char *in, const char *expected)
{
	becomes_n(target, span_str(in), expected);
}

static void refused(enum mime_target target, const char *in, enum mime_reason expected)
{
	for (size_t slice = 1; slice < 3000; slice += 999) {
		bool needed;
		enum mime_reason reason;

		assert_null(convert(target, span_str(in), slice, &needed, &reason));
		assert_int_equal(reason, expected);
		assert_true(strlen(mime_reason_text(reason)) > 5);
	}
}

static void seven_bit_mail_stays_byte_for_byte(void **state)
{
	(void)state;
	const char *mails[] = {"", "\r\n", "Subject: x\r\n\r\nhello\r\n",
		"Subject: x\r\n\r\nopen end", "Subject: only a header\r\n", "no header\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\np\r\n--b\r\n\r\n1\r\n--b--\r\n",
		"Content-Type: multipart/mixed\r\n\r\nno boundary\r\n"};

	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		becomes(MIME_TO_7BIT, mails[i], mails[i]);
		becomes(MIME_TO_8BIT, mails[i], mails[i]);
	}
}

static void text_becomes_quoted_printable(void **state)
{
	(void)state;
	becomes(MIME_TO_7BIT,
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: 8bit\r\nSubject: x\r\n\r\n"
		"Gr\xc3\xbc\xc3\x9f"
		"e = 1\r\nblank at the end \r\n\r\n.\r\n",
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nSubject: x\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
		"Gr=C3=BC=C3=9Fe =3D 1\r\nblank at the end=20\r\n\r\n.\r\n");
}

static void eight_bit_stays_where_the_hop_takes_it(void **state)
{
	(void)state;
	const char *mail = "Content-Transfer-Encoding: 8bit\r\n\r\n\xe4\r\n";

	becomes(MIME_TO_8BIT, mail, mail);
}

static void a_mail_without_mime_gets_it(void **state)
{
	(void)state;
	becomes(MIME_TO_7BIT, "Subject: x\r\n\r\nK\xe4se\r\n",
		"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
		"charset=unknown-8bit\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\nK=E4se\r\n");
}

static void a_last_line_without_end_stays_without(void **state)
{
	(void)state;
	becomes(MIME_TO_7BIT, "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n\xe4",
		"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4=\r\n");
}

static void long_lines_get_soft_breaks(void **state)
{
	(void)state;
	char in[2600], *out;
	bool needed;
	enum mime_reason reason;
	size_t column = 0;
	int n = snprintf(in, sizeof(in), "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n");

	memset(in + n, 'x', 2500);
	memcpy(in + n + 2500, "\r\n", 3);
	out = convert(MIME_TO_8BIT, span_str(in), 500, &needed, &reason);
	assert_non_null(out);
	assert_non_null(strstr(out, "quoted-printable"));
	for (const char *p = strstr(out, "\r\n\r\n") + 4; *p; p++) {
		column = *p == '\n' ? 0 : column + 1;
		assert_true(column <= 77); /* with the CR */
	}
	free(out);
}

/* A newsletter: text in two forms, a picture in base64 already, one plain part. */
static void only_the_parts_that_need_it_change(void **state)
{
	(void)state;
	becomes(MIME_TO_7BIT,
		"From: Shop <a@shop.example>\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/mixed;\r\n\tboundary=\"=_outer (1)\"\r\n"
		"Content-Transfer-Encoding: 8bit\r\n\r\n"
		"This is multi-part.\r\n"
		"--=_outer (1)\r\n"
		"Content-Type: multipart/alternative; BOUNDARY=inner; type=x\r\n\r\n"
		"--inner\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
		"content-transfer-encoding: 8BIT\r\n\r\n\xa3 5\r\n\r\n"
		"--inner \t\r\nContent-Type: text/html\r\n\r\n<p>5</p>\r\n--innerX\r\n"
		"--inner--\r\n"
		"--=_outer (1)\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: "
		"base64\r\n\r\n"
		"R0lG\r\n--=_outer (1)--\r\nepilogue\r\n",
		"From: Shop <a@shop.example>\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/mixed;\r\n\tboundary=\"=_outer (1)\"\r\n"
		"Content-Transfer-Encoding: 7bit\r\n\r\n"
		"This is multi-part.\r\n"
		"--=_outer (1)\r\n"
		"Content-Type: multipart/alternative; BOUNDARY=inner; type=x\r\n\r\n"
		"--inner\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n=A3 5\r\n\r\n"
		"--inner \t\r\nContent-Type: text/html\r\n\r\n<p>5</p>\r\n--innerX\r\n"
		"--inner--\r\n"
		"--=_outer (1)\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: "
		"base64\r\n\r\n"
		"R0lG\r\n--=_outer (1)--\r\nepilogue\r\n");
}

static void binary_becomes_base64_exactly(void **state)
{
	(void)state;
	static const char mail[] =
		"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
		"--b\r\nContent-Type: image/png\r\n"
		"Content-Transfer-Encoding: binary\r\n\r\n"
		"\x89PNG\r\n\x1a\n\0\xff\r\r\n--b\r\n\r\nsmall\r\n--b--\r\n";

	becomes_n(MIME_TO_8BIT, span_of(mail, sizeof(mail) - 1),
		"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
		"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		"iVBORw0KGgoA/w0=\r\n--b\r\n\r\nsmall\r\n--b--\r\n");
}

static void messages_inside_are_looked_into(void **state)
{
	(void)state;
	becomes(MIME_TO_7BIT,
		"MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n"
		"Subject: inner\r\n\r\n\xe4\r\n--b\r\nContent-Type: message/rfc822\r\n"
		"Content-Transfer-Encoding: 8bit\r\n\r\nSubject: two\r\nMIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=utf-8\r\n\r\n\xc3\xa4\r\n--b--\r\n",
		"MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n"
		"Subject: inner\r\nMIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=unknown-8bit\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n"
		"--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
		"Subject: two\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n--b--\r\n");
}

static void what_is_signed_is_not_touched(void **state)
{
	(void)state;
#define SIGNED(type, part)                                                                \
	"MIME-Version: 1.0\r\nContent-Type: multipart/" type "; micalg=x; boundary=b\r\n" \
	"Content-Transfer-Encoding: 8bit\r\n\r\n--b\r\nContent-Transfer-Encoding: "       \
	"8bit\r\n\r\n" part "\r\n--b--\r\n"
	refused(MIME_TO_7BIT, SIGNED("signed", "\xe4"), MIME_SIGNED);
	refused(MIME_TO_7BIT, SIGNED("Encrypted", "\xe4"), MIME_SIGNED);
	refused(MIME_TO_8BIT, SIGNED("signed", "a\nb"), MIME_SIGNED);
	/* deeper inside, too, and what lies between its parts */
	refused(MIME_TO_7BIT,
		SIGNED("signed", "x\r\n--b\r\nContent-Type: multipart/mixed; "
				 "boundary=c\r\n\r\n\xe4\r\n--c\r\n"
				 "\r\nx\r\n--c--"),
		MIME_SIGNED);
	/* Where nothing needs to change, only the label around it does. */
	becomes(MIME_TO_7BIT, SIGNED("signed", "ascii"),
		"MIME-Version: 1.0\r\nContent-Type: multipart/signed; micalg=x; boundary=b\r\n"
		"Content-Transfer-Encoding: 7bit\r\n\r\n--b\r\nContent-Transfer-Encoding: "
		"8bit\r\n\r\nascii"
		"\r\n--b--\r\n");
#undef SIGNED
}

static void header_fields_cannot_be_converted(void **state)
{
	(void)state;
	refused(MIME_TO_7BIT, "Subject: K\xe4se\r\n\r\nx\r\n", MIME_HEADER);
	refused(MIME_TO_7BIT,
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: "
		"text/plain;\r\n"
		" name=\xe4\r\n\r\nx\r\n--b--\r\n",
		MIME_HEADER);
	refused(MIME_TO_8BIT, "Subject: a\nb\r\n\r\nx\r\n", MIME_HEADER);
}

static void what_may_not_be_encoded_is_refused(void **state)
{
	(void)state;
	refused(MIME_TO_7BIT, "Content-Transfer-Encoding: base64\r\n\r\n\xe4\r\n", MIME_ENCODED);
	refused(MIME_TO_7BIT, "Content-Transfer-Encoding: x-uuencode\r\n\r\n\xe4\r\n",
		MIME_ENCODED);
	refused(MIME_TO_7BIT, "Content-Type: message/partial; id=1\r\n\r\n\xe4\r\n", MIME_ENCODED);
	refused(MIME_TO_7BIT, "Content-Type: multipart/mixed\r\n\r\n\xe4\r\n", MIME_COMPLEX);
	refused(MIME_TO_7BIT, "Content-Type: multipart/mixed; boundary=\"open\r\n\r\n\xe4\r\n",
		MIME_COMPLEX);
}

static void between_the_parts_nothing_is_lost_but_strange_bytes(void **state)
{
	(void)state;
	becomes(MIME_TO_7BIT,
		"Content-Type: multipart/mixed; "
		"boundary=b\r\n\r\npr\xe4\r\n--b\r\n\r\nx\r\n--b--\r\n\xff\r\n",
		"Content-Type: multipart/mixed; "
		"boundary=b\r\n\r\npr?\r\n--b\r\n\r\nx\r\n--b--\r\n?\r\n");
}

static void an_outer_delimiter_ends_inner_parts(void **state)
{
	(void)state;
	becomes(MIME_TO_7BIT,
		"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
		"Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\n\xe4\r\n"
		"--a\r\nContent-Type: text/x\r\n\r\n--ab\r\n\xf6\r\n--a--\r\n",
		"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
		"Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n"
		"Content-Type: text/plain; charset=unknown-8bit\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n"
		"--a\r\nContent-Type: text/x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
		"--ab\r\n=F6\r\n--a--\r\n");
}

static void nesting_and_parts_have_bounds(void **state)
{
	(void)state;
	struct buf in;
	bool needed;
	enum mime_reason reason;

	buf_init(&in, 1u << 22);
	for (int i = 0; i < MIME_DEPTH + 5; i++)
		buf_printf(
			&in, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
	buf_add_str(&in, "\r\n\xe4\r\n");
	assert_null(convert(MIME_TO_7BIT, buf_span(&in), 5000, &needed, &reason));
	assert_int_equal(reason, MIME_ENCODED);

	buf_clear(&in);
	buf_add_str(&in, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (int i = 0; i < MIME_ENTITIES + 5; i++)
		buf_add_str(&in, "--b\r\n\r\n\r\n");
	assert_null(convert(MIME_TO_7BIT, buf_span(&in), 5000, &needed, &reason));
	assert_int_equal(reason, MIME_COMPLEX);

	/* The most that output can grow. */
	buf_clear(&in);
	buf_add_str(&in, "Content-Type: multipart/digest; boundary=b\r\n\r\n");
	for (int i = 0; i < MIME_ENTITIES / 2 - 5; i++)
		buf_add_str(&in, "--b\r\n\r\n\r\n\xe4\r\n");
	char *out = convert(MIME_TO_7BIT, buf_span(&in), 5000, &needed, &reason);
	assert_non_null(out);
	free(out);
	buf_done(&in);
}

/* "--b" and then bare LFs is content, and is encoded as such. */
static void only_crlf_ends_a_delimiter(void **state)
{
	(void)state;
	becomes(MIME_TO_8BIT,
		"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
		"Content-Type: text/x\r\n\r\n--b\n\r\n--b--\r\n",
		"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
		"Content-Type: text/x\r\nContent-Transfer-Encoding: "
		"base64\r\n\r\nLS1iCg==\r\n--b--\r\n");
	becomes(MIME_TO_7BIT, "Content-Type:", "Content-Type:");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seven_bit_mail_stays_byte_for_byte),
		cmocka_unit_test(text_becomes_quoted_printable),
		cmocka_unit_test(eight_bit_stays_where_the_hop_takes_it),
		cmocka_unit_test(a_mail_without_mime_gets_it),
		cmocka_unit_test(a_last_line_without_end_stays_without),
		cmocka_unit_test(long_lines_get_soft_breaks),
		cmocka_unit_test(only_the_parts_that_need_it_change),
		cmocka_unit_test(binary_becomes_base64_exactly),
		cmocka_unit_test(messages_inside_are_looked_into),
		cmocka_unit_test(what_is_signed_is_not_touched),
		cmocka_unit_test(header_fields_cannot_be_converted),
		cmocka_unit_test(what_may_not_be_encoded_is_refused),
		cmocka_unit_test(between_the_parts_nothing_is_lost_but_strange_bytes),
		cmocka_unit_test(an_outer_delimiter_ends_inner_parts),
		cmocka_unit_test(only_crlf_ends_a_delimiter),
		cmocka_unit_test(nesting_and_parts_have_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
