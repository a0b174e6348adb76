/* RCPT: aliases, and next hops that somebody else knows. The directory of the world says that nick
 * is ann, team is ann, nick, x@a.example and far@b.example, half has a member that is nobody, and
 * circle leads to itself. */
#include "fixture.h"

#include "smtpd/session.h"

#define MAIL	"MAIL FROM:<bob@b.example>\r\n"
#define OK_MAIL "250 2.1.0 Ok\r\n"
#define OK_RCPT "250 2.1.5 Ok\r\n"
#define BODY	"DATA\r\n.\r\n"

static struct peer *hello(struct fixture *f)
{
	struct peer *peer = greeted(f, "192.0.2.7");

	say(f, peer, EHLO, CAPS HELP);
	return peer;
}

/* What the reply began with; the rest is the route's words. */
static void expect_code(struct fixture *f, struct peer *peer, const char *code)
{
	const char *said = peer_replies(peer, &f->text);

	assert_memory_equal(said, code, strlen(code));
	assert_string_equal(strchr(said, '\n') + 1, "");
}

static const struct envelope *message(struct fixture *f, uint32_t at)
{
	assert_true(at < f->world.message_count);
	return &f->world.messages[at].envelope;
}

static void expect_rcpt(const struct envelope *e, uint32_t at, const char *address,
	const char *orcpt, uint8_t notify)
{
	assert_true(at < e->rcpt_count);
	assert_true(span_equal(e->rcpts[at].address, span_str(address)));
	assert_true(span_equal(e->rcpts[at].orcpt, span_str(orcpt)));
	assert_int_equal(e->rcpts[at].notify, notify);
}

/* ---- aliases -------------------------------------------------------------------------------- */

static void an_alias_becomes_what_it_means(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	struct peer *peer = hello(f);
	say(f, peer, MAIL "RCPT TO:<nick@c.example> NOTIFY=SUCCESS,DELAY\r\n", OK_MAIL OK_RCPT);
	peer_send_str(peer, BODY);
	const struct envelope *e = message(f, 0);
	assert_int_equal(e->rcpt_count, 1);
	/* RFC 3461 section 5.2.1 (d): the sender hears of the address that it wrote. */
	expect_rcpt(e, 0, "ann@c.example", "rfc822;nick@c.example", NOTIFY_SUCCESS | NOTIFY_DELAY);
	buf_clear(&peer->replies);
	say(f, peer, MAIL "RCPT TO:<nick@c.example> ORCPT=rfc822;old@d.example\r\n",
		OK_MAIL OK_RCPT);
	peer_send_str(peer, BODY);
	expect_rcpt(message(f, 1), 0, "ann@c.example", "rfc822;old@d.example", 0);
}

static void an_alias_of_many(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	struct peer *peer = hello(f);
	/* Also to where this client may not send itself: the administrator put it there. */
	say(f, peer, MAIL "RCPT TO:<ann@c.example>\r\nRCPT TO:<team@c.example>\r\n",
		OK_MAIL OK_RCPT OK_RCPT);
	say(f, peer, "RCPT TO:<x@a.example>\r\nRCPT TO:<team@c.example>\r\n", OK_RCPT OK_RCPT);
	peer_send_str(peer, BODY);
	const struct envelope *e = message(f, 0);
	assert_int_equal(e->rcpt_count, 3);
	expect_rcpt(e, 0, "ann@c.example", "", 0);
	expect_rcpt(e, 1, "x@a.example", "rfc822;team@c.example", 0);
	expect_rcpt(e, 2, "far@b.example", "rfc822;team@c.example", 0);
	/* One recipient of several does not learn of the others. */
	assert_null(memmem(e->prepend.p, e->prepend.n, "for <", 5));
}

static void all_of_an_alias_or_nothing(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	struct peer *peer = hello(f);
	say(f, peer, MAIL, OK_MAIL);
	peer_send_str(peer, "RCPT TO:<half@c.example>\r\n");
	expect_code(f, peer, "5");
	peer_send_str(peer, "RCPT TO:<circle@c.example>\r\n");
	expect_code(f, peer, "451 4.3.5 ");
	say(f, peer, "DATA\r\n", "554 5.5.1 No valid recipients\r\n");
	say(f, peer, "RCPT TO:<x@a.example>\r\n", OK_RCPT);
	peer_send_str(peer, BODY);
	assert_int_equal(message(f, 0)->rcpt_count, 1);
}

/* Memory ends in the middle of an alias. */
static void no_part_of_an_alias_stays(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	struct peer *peer = hello(f);
	say(f, peer, MAIL, OK_MAIL);
	size_t others = SMTPD_ENVELOPES - 1 - f->world.smtpd->envelope_bytes;
	f->world.smtpd->envelope_bytes += others;
	say(f, peer, "RCPT TO:<team@c.example>\r\n", "452 4.3.1 Out of memory; try later\r\n");
	f->world.smtpd->envelope_bytes -= others;
	say(f, peer, "DATA\r\n", "554 5.5.1 No valid recipients\r\n");
	say(f, peer, "RCPT TO:<team@c.example>\r\n", OK_RCPT);
	peer_send_str(peer, BODY);
	assert_int_equal(message(f, 0)->rcpt_count, 3);
}

static void the_limit_counts_what_the_client_gave(void **state)
{
	struct fixture *f = *state;

	f->world.config.limits.recipients = 2;
	world_start(&f->world);
	struct peer *peer = greeted(f, "192.0.2.7");
	peer_send_str(peer, EHLO);
	buf_clear(&peer->replies);
	say(f, peer, MAIL "RCPT TO:<team@c.example>\r\nRCPT TO:<nick@c.example>\r\n",
		OK_MAIL OK_RCPT OK_RCPT);
	say(f, peer, "RCPT TO:<joe@c.example>\r\nRCPT TO:<y@a.example>\r\n",
		OK_RCPT "452 4.5.3 Too many recipients; send another message to the rest\r\n");
}

/* An original that needs encoding. */
static void originals_are_encoded(void **state)
{
	char memory[2000];
	struct buf work = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
	char longest[600];

	(void)state;
	assert_true(span_equal(
		path_original(SPAN("a+b=c@d.example"), &work), SPAN("rfc822;a+2Bb+3Dc@d.example")));
	assert_true(span_equal(path_original(SPAN("\"a b\"@d.example"), &work),
		SPAN("rfc822;\"a+20b\"@d.example")));
	assert_true(span_equal(path_original(SPAN("\"\xc3\xa4 +\"@d.example"), &work),
		SPAN("utf-8;\"\xc3\xa4\\x{20}\\x{2B}\"@d.example")));
	memset(longest, '+', sizeof(longest));
	assert_int_equal(path_original(span_of(longest, sizeof(longest)), &work).n, 0);
}

/* ---- next hops ------------------------------------------------------------------------------ */

static const struct relay by_hops = {.policy = RELAY_ADDRESSES, .advertise_auth = true};

/* The listener relays for whatever goes to 203.0.113.5. */
static struct peer *asking(struct fixture *f, const char *address)
{
	world_start(&f->world);
	world_set_relay(new_snapshot(f), &by_hops, "203.0.113.5");
	f->world.hops.known = true;
	assert_int_equal(netaddr_parse_ip(span_str(address), &f->world.hops.address), 0);
	return hello(f);
}

static void where_mail_would_go_decides(void **state)
{
	struct fixture *f = *state;
	struct peer *peer = asking(f, "203.0.113.5");

	f->world.hops.hold = true;
	say(f, peer,
		MAIL
		"RCPT TO:<far@b.example> NOTIFY=NEVER ORCPT=rfc822;f\r\nRCPT TO:<x@a.example>\r\n",
		OK_MAIL);
	peer_send_str(peer, "NOOP\r\n");
	expect(f, peer, "");
	f->world.hops.hold = false;
	world_settle(&f->world);
	expect(f, peer, OK_RCPT OK_RCPT "250 2.0.0 Ok\r\n");
	assert_int_equal(f->world.hops.asked, 1);
	peer_send_str(peer, BODY);
	expect_rcpt(message(f, 0), 0, "far@b.example", "rfc822;f", NOTIFY_NEVER);
	assert_string_equal(last_event(f)->relay, "to");
}

static void or_speaks_against_it(void **state)
{
	struct fixture *f = *state;
	struct peer *peer = asking(f, "203.0.113.6");

	say(f, peer, MAIL, OK_MAIL);
	peer_send_str(peer, "RCPT TO:<far@b.example>\r\n");
	expect_code(f, peer, "550 5.7.1 ");
	assert_int_equal(f->world.hops.asked, 1);
	/* What needs no right is not asked for. */
	say(f, peer, "RCPT TO:<x@a.example>\r\n", OK_RCPT);
	assert_int_equal(f->world.hops.asked, 1);
}

static void nobody_knows_where_it_goes(void **state)
{
	struct fixture *f = *state;
	struct peer *peer = asking(f, "203.0.113.5");

	f->world.hops.known = false;
	say(f, peer, MAIL, OK_MAIL);
	peer_send_str(peer, "RCPT TO:<far@b.example>\r\n");
	expect_code(f, peer, "451 4.");
	f->world.hops.err = ERR_LIMIT;
	peer_send_str(peer, "RCPT TO:<far@b.example>\r\n");
	expect_code(f, peer, "451 4.");
	/* An answer that does not come. */
	f->world.hops.err = 0;
	f->world.hops.hold = true;
	peer_send_str(peer, "RCPT TO:<far@b.example>\r\n");
	world_pass_ms(&f->world, 24999);
	expect(f, peer, "");
	world_pass_ms(&f->world, 1);
	expect_code(f, peer, "451 4.");
	f->world.hops.hold = false;
	f->world.hops.known = true;
	say(f, peer, "RCPT TO:<far@b.example>\r\n", OK_RCPT);
}

static void peers_that_go_away(void **state)
{
	struct fixture *f = *state;
	struct peer *rude = asking(f, "203.0.113.5"), *half = hello(f);

	f->world.hops.hold = true;
	say(f, rude, MAIL "RCPT TO:<far@b.example>\r\n", OK_MAIL);
	say(f, half, MAIL "RCPT TO:<far@b.example>\r\n", OK_MAIL);
	peer_eof(rude, ERR_CLOSED);
	peer_eof(half, 0);
	assert_true(rude->closed);
	assert_false(half->closed);
	f->world.hops.hold = false;
	world_settle(&f->world);
	expect(f, half, OK_RCPT);
	assert_true(half->closed);
	/* And one whose server goes away: teardown. */
	f->world.hops.hold = true;
	say(f, hello(f), MAIL "RCPT TO:<far@b.example>\r\n", OK_MAIL);
}

/* The transaction keeps the generation that it began with. */
static void the_directory_changes_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct peer *peer = asking(f, "203.0.113.5");

	f->world.hops.hold = true;
	say(f, peer, MAIL "RCPT TO:<far@b.example>\r\n", OK_MAIL);
	struct snapshot *next = world_snapshot_new();
	smtpd_set_snapshot(f->world.smtpd, next);
	snapshot_release(&next);
	f->world.hops.hold = false;
	world_settle(&f->world);
	expect(f, peer, OK_RCPT);
	peer_send_str(peer, "RSET\r\n" MAIL "RCPT TO:<far@b.example>\r\n");
	assert_non_null(strstr(peer_replies(peer, &f->text), "\r\n550 5.7.1 "));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_alias_becomes_what_it_means),
		TEST(an_alias_of_many),
		TEST(all_of_an_alias_or_nothing),
		TEST(no_part_of_an_alias_stays),
		TEST(the_limit_counts_what_the_client_gave),
		cmocka_unit_test(originals_are_encoded),
		TEST(where_mail_would_go_decides),
		TEST(or_speaks_against_it),
		TEST(nobody_knows_where_it_goes),
		TEST(peers_that_go_away),
		TEST(the_directory_changes_meanwhile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
