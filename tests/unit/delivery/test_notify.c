/* Notifications: who hears of what, and what the trace tells about it. Mailboxes. */
#include "world.h"

#define BODY "Subject: hello\r\n\r\nhello\r\n"

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	world_init(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	world_done(w);
	free(w);
	return 0;
}

/* The message that the hop took for this recipient. */
static const struct taken *taken_for(const struct world *w, const char *rcpt)
{
	for (size_t i = 0; i < w->taken_count; i++)
		if (strstr(w->taken[i].rcpts, rcpt))
			return &w->taken[i];
	return NULL;
}

static void a_failure_is_reported_to_the_sender(void **state)
{
	struct world *w = *state;
	uint64_t id = world_send(w, "a@one.example", "bad@site.example", BODY);

	const struct taken *dsn = taken_for(w, "a@one.example");
	assert_non_null(dsn);
	assert_string_equal(dsn->from, "");
	assert_non_null(strstr(dsn->body, "Final-Recipient: rfc822; bad@site.example"));
	assert_non_null(strstr(dsn->body, "Action: failed"));
	assert_non_null(strstr(dsn->body, "550 5.1.1 no such user"));
	/* Where the transport leads is nobody's business. */
	assert_null(strstr(dsn->body, "Remote-MTA"));
	assert_null(strstr(dsn->body, "192.0.2.1"));
	assert_non_null(strstr(dsn->body, "Received: "));
	assert_int_equal(world_events(w, EVENT_BOUNCE), 1);
	/* The notification has its own story, which says whom it is about. */
	const struct seen *reception = world_event(w, EVENT_RECEPTION, 0);
	assert_non_null(reception);
	assert_true(reception->id != 0 && reception->id != id);
	assert_true(reception->parent == id);
	assert_true(world_event(w, EVENT_DELIVERY, 0)->id == reception->id);
	assert_true(world_event(w, EVENT_BOUNCE, 0)->dsn == reception->id);
	assert_int_equal(world_queued(w), 0);
}

/* The mail exchangers of a domain are in the DNS for everybody to read. */
static void a_mail_exchanger_that_refuses_is_named(void **state)
{
	static const struct dns_row rows[] = {{"far.example", DNS_MX, 10, "mx1.far.example"},
		{"mx1.far.example", DNS_A, 0, "192.0.2.77"}, {0}};
	struct world *w = *state;

	w->rows = rows;
	world_send(w, "a@one.example", "bad@far.example", BODY);
	const struct taken *dsn = taken_for(w, "a@one.example");
	assert_non_null(dsn);
	assert_non_null(strstr(dsn->body, "Remote-MTA: dns; mx1.far.example\r\n"));
	assert_non_null(strstr(dsn->body, "The server mx1.far.example said: 550 "));
	assert_true(world_apply(w,
		"transports:\n"
		"  own: { server: \"lookup-mx:query=192.0.2.53\", private-hosts: yes }\n"
		"  one: { server: \"192.0.2.3:25\" }\n"
		"domains:\n"
		"  one.example: { transport: one }\n"
		"  far.example: { transport: own }\n"));
	world_send(w, "b@one.example", "bad@far.example", BODY);
	world_pass(w, MINUTE);
	dsn = taken_for(w, "b@one.example");
	assert_non_null(dsn);
	assert_null(strstr(dsn->body, "mx1.far.example"));
	assert_non_null(strstr(dsn->body, "The server said: 550 "));
}

static void nothing_is_said_to_the_null_sender(void **state)
{
	struct world *w = *state;

	world_send(w, "", "bad@site.example", BODY);
	assert_int_equal(world_events(w, EVENT_BOUNCE), 1);
	assert_int_equal(w->taken_count, 0);
	assert_int_equal(world_events(w, EVENT_RECEPTION), 0);
	assert_int_equal(world_queued(w), 0);
}

static void a_notification_that_fails_makes_no_other(void **state)
{
	struct world *w = *state;

	world_send(w, "bad@site.example", "bad2@site.example", BODY);
	assert_int_equal(world_events(w, EVENT_BOUNCE), 2);
	assert_int_equal(world_events(w, EVENT_RECEPTION), 1);
	assert_int_equal(world_queued(w), 0);
}

static void notify_never_is_honoured(void **state)
{
	struct world *w = *state;

	world_send(w, "a@one.example", "bad@site.example/never", BODY);
	assert_int_equal(world_events(w, EVENT_BOUNCE), 1);
	assert_int_equal(w->taken_count, 0);
}

static void a_hop_without_dsn_is_told_as_relayed(void **state)
{
	struct world *w = *state;
	uint64_t id = world_send(w, "a@one.example", "b@site.example/success", BODY);

	const struct taken *dsn = taken_for(w, "a@one.example");
	assert_non_null(dsn);
	assert_non_null(strstr(dsn->body, "Action: relayed"));
	const struct seen *relayed = world_event(w, EVENT_RELAYED, 0);
	assert_non_null(relayed);
	assert_true(relayed->id == id);
	assert_true(relayed->dsn == world_event(w, EVENT_RECEPTION, 0)->id);
}

static void a_hop_with_dsn_gets_the_request(void **state)
{
	struct world *w = *state;

	w->ehlo = "250-hop.example\r\n250-PIPELINING\r\n250 DSN";
	world_send(w, "a@one.example", "b@site.example/success", BODY);
	assert_null(taken_for(w, "a@one.example"));
	assert_int_equal(world_events(w, EVENT_RELAYED), 0);
}

/* One recipient a transaction; after the first the hop is another one. */
static void another_hop(struct world *w, struct hop *hop, const char *line, char *reply)
{
	static const char *const ehlo[] = {
		"250-hop.example\r\n250-PIPELINING\r\n250 DSN", "250 hop.example"};

	if (strcmp(hop->ip, "192.0.2.1") != 0)
		return;
	if (strncmp(line, "EHLO", 4) == 0)
		strcpy(reply, ehlo[w->scratch & 1]);
	if (strncmp(line, "RCPT", 4) == 0 && hop->accepted == 1)
		strcpy(reply, "452 4.5.3 too many recipients");
	if (strcmp(line, ".") == 0)
		w->scratch++;
	if (strncmp(line, "MAIL", 4) == 0 && hop->mails == 1)
		strcpy(reply, "DROP");
}

/* RFC 3461 section 5.2.2: only those go without a notification of ours whose hop took the
 * request. */
static void each_transaction_says_who_notifies(void **state)
{
	struct world *w = *state;

	for (int first = 0; first < 2; first++) {
		w->script = another_hop;
		w->scratch = first;
		world_send(w, "a@one.example", "r1@site.example/success r2@site.example/success",
			BODY);
		w->script = NULL;
		world_pass(w, MINUTE);
		assert_int_equal(world_events(w, EVENT_RELAYED), (size_t)first + 1);
		assert_string_equal(world_event(w, EVENT_RELAYED, (size_t)first)->rcpts,
			first ? "r1@site.example " : "r2@site.example ");
	}
	assert_int_equal(world_taken(w, "a@one.example"), 2);
}

static void success_in_a_mailbox_is_told(void **state)
{
	struct world *w = *state;

	world_send(w, "a@one.example", "ann@box.example/success", BODY);
	assert_non_null(strstr(taken_for(w, "a@one.example")->body, "Action: delivered"));
}

/* RFC 3464 section 2.3.9: three retries, ten minutes each; the first attempt was at once. */
static void a_delay_says_until_when_it_is_tried(void **state)
{
	struct world *w = *state;

	assert_true(world_apply(w,
		"transports:\n"
		"  site: { server: \"192.0.2.1:2626\", retry-delay: \"10m\", retry-count: 3, "
		"delay-warning: 15m }\n"
		"  one:  { server: \"192.0.2.3:25\" }\n"
		"domains:\n"
		"  site.example: { transport: site }\n"
		"  one.example:  { transport: one }\n"));
	world_send(w, "a@one.example", "later@site.example", BODY);
	world_pass(w, 20 * MINUTE);
	const struct taken *dsn = taken_for(w, "a@one.example");
	assert_non_null(dsn);
	assert_non_null(strstr(dsn->body, "Action: delayed"));
	struct buf date;
	buf_init(&date, 100);
	buf_add_str(&date, "Will-Retry-Until: ");
	text_add_date(&date, WORLD_WALL + (int64_t)(30 * MINUTE));
	buf_add_char(&date, '\0');
	assert_non_null(strstr(dsn->body, date.p));
	buf_done(&date);
	world_pass(w, 20 * MINUTE);
	assert_int_equal(world_events(w, EVENT_EXPIRATION), 1);
}

static void giving_up_is_told(void **state)
{
	struct world *w = *state;

	world_send(w, "a@one.example", "later@site.example", BODY);
	world_pass(w, 2 * HOUR);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 4);
	assert_int_equal(world_events(w, EVENT_EXPIRATION), 1);
	const char *dsn = taken_for(w, "a@one.example")->body;
	assert_non_null(strstr(dsn, "mailbox busy"));
	struct buf since;
	buf_init(&since, 100);
	buf_add_str(&since, "    It had been tried since ");
	text_add_date(&since, WORLD_WALL);
	buf_add_char(&since, '\0');
	assert_non_null(strstr(dsn, since.p));
	buf_done(&since);
	assert_int_equal(world_queued(w), 0);
}

static void giving_up_after_an_outage_is_told(void **state)
{
	struct world *w = *state;

	strcpy(w->dead[0], "192.0.2.1");
	world_send(w, "a@one.example", "b@site.example", BODY);
	world_pass(w, 2 * HOUR);
	assert_int_equal(world_events(w, EVENT_EXPIRATION), 1);
	const char *dsn = taken_for(w, "a@one.example")->body;
	assert_non_null(strstr(dsn, "Status: 4.4.1\r\n"));
	assert_non_null(
		strstr(dsn, "x-postern; no connection to a mail server for site.example\r\n"));
	assert_non_null(strstr(dsn, "It had been tried since "));
	assert_null(strstr(dsn, "192.0.2.1"));
	/* The trace is for those who can mend it. */
	assert_non_null(strstr(world_event(w, EVENT_EXPIRATION, 0)->text, "192.0.2.1"));
	assert_int_equal(world_queued(w), 0);
}

static void a_transport_may_discard_instead(void **state)
{
	struct world *w = *state;

	strcpy(w->dead[0], "192.0.2.9");
	world_send(w, "a@one.example", "b@bin.example", BODY);
	world_pass(w, HOUR);
	assert_int_equal(world_events(w, EVENT_DISCARD), 1);
	assert_int_equal(world_events(w, EVENT_EXPIRATION), 0);
	assert_int_equal(w->taken_count, 0);
	assert_int_equal(world_queued(w), 0);
}

static void a_bounce_by_an_administrator_is_told_once(void **state)
{
	struct world *w = *state;

	strcpy(w->dead[0], "192.0.2.1");
	world_send(w, "a@one.example", "b@site.example", BODY);
	char *reply = world_control(w, "{\"op\":\"bounce\",\"filter\":\"domain=site.example\","
				       "\"by\":\"root\",\"reason\":\"closed\\r\\nX: y\"}");
	assert_non_null(strstr(reply, "\"messages\":1"));
	free(reply);
	world_pass(w, MINUTE);
	assert_int_equal(world_events(w, EVENT_ADMIN_ACTION), 1);
	assert_int_equal(world_events(w, EVENT_BOUNCE), 1);
	assert_int_equal(world_taken(w, "a@one.example"), 1);
	assert_null(strstr(taken_for(w, "a@one.example")->body, "\r\nX: y"));
	/* What administrators say with it is said to the sender. */
	assert_non_null(strstr(taken_for(w, "a@one.example")->body, "Reason: closed"));
	assert_int_equal(world_queued(w), 0);
}

/* ---- mailboxes -------------------------------------------------------------------------- */

static void mail_lands_in_mailboxes(void **state)
{
	struct world *w = *state;

	world_send(w, "a@one.example", "ann@box.example bob@box.example", BODY);
	assert_int_equal(world_events(w, EVENT_DELIVERY), 2);
	const struct seen *ann = world_event(w, EVENT_DELIVERY, 0);
	struct span file;
	assert_int_equal(sim_disk_peek(w->boxes, ann->destination, &file), 0);
	assert_non_null(memmem(file.p, file.n, "Delivered-To: ann@box.example", 29));
	assert_int_equal(world_queued(w), 0);
	world_sound(w);
}

static void an_account_that_vanished_bounces(void **state)
{
	struct world *w = *state;

	world_pause(w, PAUSE_DOMAIN, "box.example", true);
	world_send(w, "a@one.example", "ann@box.example bob@box.example", BODY);
	assert_true(world_apply(w, "transports:\n  one: { server: \"192.0.2.3:25\" }\n"
				   "domains:\n  box.example: { mailboxes: true }\n"
				   "  one.example: { transport: one }\n"
				   "accounts:\n  bob@box.example: {}\n"));
	world_pause(w, PAUSE_DOMAIN, "box.example", false);
	assert_string_equal(world_event(w, EVENT_BOUNCE, 0)->rcpts, "ann@box.example ");
	assert_int_equal(world_event(w, EVENT_BOUNCE, 0)->code, 550);
	assert_string_equal(world_event(w, EVENT_DELIVERY, 0)->rcpts, "bob@box.example ");
	assert_non_null(taken_for(w, "a@one.example"));
}

static void a_message_that_was_here_before_loops(void **state)
{
	struct world *w = *state;

	world_send(w, "a@one.example", "ann@box.example",
		"Delivered-To: Ann@Box.example\r\nSubject: x\r\n\r\nhello\r\n");
	const struct seen *bounce = world_event(w, EVENT_BOUNCE, 0);
	assert_non_null(bounce);
	assert_int_equal(bounce->code, 554);
	assert_int_equal(world_events(w, EVENT_DELIVERY), 1); /* of the notification */
}

static void stopping_during_a_mailbox_delivery(void **state)
{
	struct world *w = *state;

	w->jobs_wait = true;
	world_send(w, "a@one.example", "ann@box.example bob@box.example", BODY);
	delivery_stop(w->d, 10, NULL, NULL);
	world_pass(w, SECOND);
	world_sound(w);
	assert_int_equal(world_queued(w), 1);
	w->jobs_wait = false;
	world_pass(w, SECOND);
	/* The one that was under way is done, the other one stays for the next start. */
	assert_int_equal(world_events(w, EVENT_DELIVERY), 1);
	assert_int_equal(world_queued(w), 1);
	w->stopped = true;
	world_sound(w);
}

/* Somebody sent as an alias that means several people: each of them hears of it, wherever he is. */
static void an_alias_hears_of_its_mail(void **state)
{
	struct world *w = *state;
	char objects[8192];

	snprintf(objects, sizeof(objects),
		"%saliases: { team@box.example: [ann@box.example, out@one.example] }\n",
		world_objects);
	assert_true(world_apply(w, objects));
	world_send(w, "team@box.example", "bad@site.example", BODY);
	const struct taken *dsn = taken_for(w, "out@one.example");
	assert_non_null(dsn);
	assert_non_null(strstr(dsn->body, "Action: failed"));
	bool kept = false;
	for (size_t i = 0; i < world_events(w, EVENT_DELIVERY); i++)
		kept |= strstr(world_event(w, EVENT_DELIVERY, i)->rcpts, "ann@box.example") != NULL;
	assert_true(kept);
	assert_int_equal(world_queued(w), 0);
}

/* RFC 8689 section 5: what is said of such a message goes as it wanted to go, or not at all. */
static void a_notification_about_mail_that_requires_tls_requires_it(void **state)
{
	struct world *w = *state;

	w->flags = ENVELOPE_REQUIRETLS;
	world_send(w, "a@one.example", "b@site.example", BODY);
	assert_int_equal(w->taken_count, 0);
	const struct seen *bounce = world_event(w, EVENT_BOUNCE, 0);
	assert_non_null(bounce);
	assert_true(bounce->dsn != 0);
	assert_int_equal(world_queued(w), 0);
}

/* Section 5: whatever RET said, the way back may be less safe. */
static void what_required_tls_is_not_returned_whole(void **state)
{
	struct world *w = *state;
	static const enum envelope_return rets[] = {RETURN_DEFAULT, RETURN_FULL, RETURN_HEADERS};

	for (size_t i = 0; i < ARRAY_SIZE(rets); i++) {
		w->flags = ENVELOPE_REQUIRETLS;
		w->ret = rets[i];
		world_send(w, "ann@box.example", "b@site.example",
			"Subject: known\r\n\r\nfor his eyes only\r\n");
	}
	world_pass(w, SECOND);
	assert_int_equal(world_events(w, EVENT_BOUNCE), 3);
	assert_int_equal(world_events(w, EVENT_DELIVERY), 3);
	for (size_t i = 0; i < ARRAY_SIZE(rets); i++) {
		struct span file;

		assert_int_equal(sim_disk_peek(w->boxes,
					 world_event(w, EVENT_DELIVERY, i)->destination, &file),
			0);
		assert_non_null(memmem(file.p, file.n, "Subject: known", 14));
		assert_null(memmem(file.p, file.n, "his eyes", 8));
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_failure_is_reported_to_the_sender),
		TEST(a_mail_exchanger_that_refuses_is_named),
		TEST(nothing_is_said_to_the_null_sender),
		TEST(an_alias_hears_of_its_mail),
		TEST(a_notification_about_mail_that_requires_tls_requires_it),
		TEST(what_required_tls_is_not_returned_whole),
		TEST(a_notification_that_fails_makes_no_other),
		TEST(notify_never_is_honoured),
		TEST(a_hop_without_dsn_is_told_as_relayed),
		TEST(a_hop_with_dsn_gets_the_request),
		TEST(each_transaction_says_who_notifies),
		TEST(success_in_a_mailbox_is_told),
		TEST(a_delay_says_until_when_it_is_tried),
		TEST(giving_up_is_told),
		TEST(giving_up_after_an_outage_is_told),
		TEST(a_transport_may_discard_instead),
		TEST(a_bounce_by_an_administrator_is_told_once),
		TEST(mail_lands_in_mailboxes),
		TEST(an_account_that_vanished_bounces),
		TEST(a_message_that_was_here_before_loops),
		TEST(stopping_during_a_mailbox_delivery),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
