/*
 * Finds messages' stories in the trace files of all roles. Blocking: for a job on the file lane.
 *
 * A query is words joined by AND:
 *   an id                       that message
 *   sender=A recipient=A        an address, "@domain", or "<>" for the null sender
 *   client=IP                   who handed it in: an address, or a network such as 192.0.2.0/24
 *   user=ann@c.example          who logged in to send it; "@domain" for all of a domain
 *   relay=login                 by what right it was relayed (route_right_name()); of a certificate
 *                               also its fingerprint, relay=sha256:…
 *   listener=mx protocol=ESMTPSA
 *   tls=verified                what was checked of a link's other side, or text of its version and
 *                               cipher; tls=none: a message that came in or left in clear
 *   event=Bounce                by kind
 *   transport=NAME destination=HOST
 *   since=2026-11-21T08:00Z until=…   also a date alone, or a duration back from now: since=2h
 *   anything else               an address or "@domain": sender or recipient; an IP address: client
 *                               or next hop; else text that occurs anywhere in the event
 * A value, or a word without a key, with blanks or "=" in it is put in double quotes, where \" and
 * \\ are a quote and a backslash. The quotes of an address ("a b"@x.example, RFC 5321 section
 * 4.1.2) are its own: they are followed by "@".
 *
 * Two passes: the newest messages of which an event matches, then all events of those messages, in
 * the order of time, and all of the notifications that were made about them. Events without a
 * message (refused clients) stand for themselves.
 *
 * The files of a role are believed as far as what it can know: lines of other kinds are left out,
 * and told. Of each role the newest files are searched, however many there are.
 */
#ifndef TRACE_SEARCH_H
#define TRACE_SEARCH_H

#include "base/buf.h"
#include "base/span.h"
#include "io/disk.h"

#include <stdint.h>

#define SEARCH_WORDS	16
#define SEARCH_BYTES	1024	    /* of a query */
#define SEARCH_MESSAGES 1000	    /* found at most, refused clients counted with them */
#define SEARCH_RESULT	(16u << 20) /* bytes of events at most */
#define SEARCH_UNREAD	20	    /* files that could not be read are named at most */

struct search_word {
	enum {
		WORD_ID,
		WORD_SENDER,
		WORD_RECIPIENT,
		WORD_CLIENT,
		WORD_USER,
		WORD_AUTH,
		WORD_RELAY,
		WORD_LISTENER,
		WORD_PROTOCOL,
		WORD_TLS,
		WORD_EVENT,
		WORD_TRANSPORT,
		WORD_DESTINATION,
		WORD_ADDRESS,
		WORD_IP,
		WORD_TEXT
	} kind;
	struct span value; /* points into the query's own copy */
};

struct search {
	char text[SEARCH_BYTES];
	struct search_word words[SEARCH_WORDS];
	uint32_t count;
	int64_t since_ms, until_ms; /* 0: not given */
	uint32_t most;		    /* messages */
};

/* `problem` gets a line on ERR_SYNTAX. */
int search_parse(
	struct span query, uint32_t most, int64_t now_ms, struct search *out, struct buf *problem);

/* `root` holds one directory for each role. Adds the events, one JSON object a line, oldest first:
 * flat ones, of strings, numbers and arrays of these. `unread` gets a line for each file of which a
 * part could not be read, and which the answer may therefore lack; the others are searched all the
 * same. *more: there may be more than was asked for, or than fits. */
int search_run(const struct search *search, struct disk *root, struct buf *out, struct buf *unread,
	bool *more);

#endif
