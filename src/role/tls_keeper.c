#include "role/tls_keeper.h"

#include "base/check.h"
#include "base/err.h"
#include "role/supervisor.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SAID_BYTES 65536

static void log_lines(struct supervisor *sv, enum log_level level, const struct buf *lines)
{
	struct span rest = buf_span(lines);

	while (rest.n) {
		size_t n = span_find(rest, '\n');
		log_write(sv->log, level, "certificates", LOG_SPAN("what", span_of(rest.p, n)));
		rest = span_skip(rest, n + 1);
	}
}

/* ---- session tickets ------------------------------------------------------------------------ */

static void give_tickets(struct supervisor *sv, struct slot *slot)
{
	struct span keys = span_of(
		sv->tls.tickets.keys, sv->tls.tickets.count * sizeof(sv->tls.tickets.keys[0]));

	if (slot->kind == ROLE_SMTPD)
		(void)ipc_send(&slot->port, IPC_TICKETS, 0, keys, NULL, 0);
}

static void rotate(struct tls_tickets *tickets)
{
	uint8_t fresh[TLS_TICKET_BYTES];
	ssize_t n;

	do
		n = getrandom(fresh, sizeof(fresh), 0);
	while (n < 0 && errno == EINTR);
	/* Without a new one the old ones stay. */
	if (n != (ssize_t)sizeof(fresh))
		return;
	memcpy(tickets->keys[1], tickets->keys[0], sizeof(fresh));
	memcpy(tickets->keys[0], fresh, sizeof(fresh));
	OPENSSL_cleanse(fresh, sizeof(fresh));
	tickets->count = MIN(tickets->count + 1, 2);
}

static void tickets_due(struct timer *timer)
{
	struct supervisor *sv = CONTAINER_OF(timer, struct supervisor, tls.tickets_timer);

	rotate(&sv->tls.tickets);
	for (size_t i = 0; i < sv->slot_count; i++)
		give_tickets(sv, &sv->slots[i]);
	(void)io_timer_after(sv->io, &sv->tls.tickets_timer, TLS_TICKETS_MS);
}

/* ---- giving --------------------------------------------------------------------------------- */

static int give_keys(struct supervisor *sv, struct slot *slot)
{
	struct buf buf;

	buf_init(&buf, 16);
	buf_put_u32(&buf, sv->tls.set);
	int err = ipc_send(
		&slot->port, IPC_KEYS, 0, buf_span(&buf), &sv->tls.now.keys, sv->tls.now.keys >= 0);
	buf_done(&buf);
	return err;
}

static int give_certificates(struct supervisor *sv, struct slot *slot)
{
	return ipc_send(&slot->port, IPC_CERTIFICATES, 0, SPAN_NONE, &sv->tls.now.certificates, 1);
}

int tls_keeper_give(struct slot *slot)
{
	struct supervisor *sv = slot->sv;

	/* It counts as working when it has its keys, none too. */
	if (slot->kind == ROLE_KEYS)
		return give_keys(sv, slot);
	if (slot->kind != ROLE_SMTPD || !sv->tls.wanted)
		return 0;
	give_tickets(sv, slot);
	/* Else they come when keys has taken theirs. */
	return sv->tls.taken == sv->tls.set ? give_certificates(sv, slot) : 0;
}

void tls_keeper_taken(struct supervisor *sv, uint32_t set)
{
	if (set != sv->tls.set || sv->tls.taken == set)
		return;
	sv->tls.taken = set;
	for (size_t i = 0; i < sv->slot_count && sv->tls.wanted; i++)
		if (sv->slots[i].kind == ROLE_SMTPD)
			(void)give_certificates(sv, &sv->slots[i]);
}

/* ---- reading -------------------------------------------------------------------------------- */

/* `warnings` (lines) are in the log already. */
static int read_files(struct supervisor *sv, struct buf *problem, struct buf *warnings)
{
	struct tls_files files = TLS_FILES_NONE;
	int err = tls_files_read(sv->config, &sv->tls.number, &files, problem, warnings);

	if (err == 0) {
		tls_files_done(&sv->tls.now);
		sv->tls.now = files;
		sv->tls.set++;
		sv->tls.seen_change = false;
		tls_files_expiries(&files, sv->io->wall_ms, warnings);
		log_lines(sv, LOG_WARN, warnings);
	}
	return err;
}

static void expiry_due(struct timer *timer)
{
	struct supervisor *sv = CONTAINER_OF(timer, struct supervisor, tls.expiry_timer);
	struct buf lines;

	buf_init(&lines, SAID_BYTES);
	tls_files_expiries(&sv->tls.now, sv->io->wall_ms, &lines);
	log_lines(sv, LOG_WARN, &lines);
	buf_done(&lines);
	(void)io_timer_after(sv->io, &sv->tls.expiry_timer, TLS_EXPIRY_MS);
}

void tls_keeper_init(struct tls_keeper *tls)
{
	*tls = (struct tls_keeper){.now = TLS_FILES_NONE};
}

int tls_keeper_begin(struct supervisor *sv, struct buf *problem)
{
	struct tls_keeper *tls = &sv->tls;

	tls->wanted = tls_files_wanted(sv->config);
	if (!tls->wanted)
		return 0;
	struct buf warnings;

	buf_init(&warnings, SAID_BYTES);
	int err = read_files(sv, problem, &warnings);
	buf_done(&warnings);
	if (err)
		return err;
	tls->seen = calloc(tls->now.stamp_count, sizeof(*tls->seen));
	if (!tls->seen)
		return ERR_NOMEM;
	tls->tickets_timer.fire = tickets_due;
	tls->expiry_timer.fire = expiry_due;
	rotate(&tls->tickets);
	err = io_timer_after(sv->io, &tls->tickets_timer, TLS_TICKETS_MS);
	return err ? err : io_timer_after(sv->io, &tls->expiry_timer, TLS_EXPIRY_MS);
}

void tls_keeper_stop(struct supervisor *sv)
{
	io_timer_stop(sv->io, &sv->tls.tickets_timer);
	io_timer_stop(sv->io, &sv->tls.expiry_timer);
}

void tls_keeper_end(struct supervisor *sv)
{
	tls_files_done(&sv->tls.now);
	free(sv->tls.seen);
	OPENSSL_cleanse(&sv->tls.tickets, sizeof(sv->tls.tickets));
}

/* What is said: a line for what was done, or why not; then one for each warning. */
static int reload(struct supervisor *sv, struct buf *said)
{
	struct buf warnings;

	buf_init(&warnings, SAID_BYTES / 2);
	int err = read_files(sv, said, &warnings);
	if (err) {
		buf_done(&warnings);
		log_write(sv->log, LOG_ERROR,
			"the certificates cannot be read again; the ones before stay",
			LOG_SPAN("why", buf_span(said)));
		return err;
	}
	log_write(sv->log, LOG_INFO, "the certificates were read again",
		LOG_U64("certificates", sv->tls.now.expiry_count));
	buf_printf(said, "certificates read again: %zu\n", sv->tls.now.expiry_count);
	buf_add_span(said, buf_span(&warnings));
	buf_done(&warnings);
	for (size_t i = 0; i < sv->slot_count; i++)
		if (sv->slots[i].kind == ROLE_KEYS)
			(void)give_keys(sv, &sv->slots[i]);
	return 0;
}

void tls_keeper_reload(struct supervisor *sv)
{
	struct buf said;

	if (!sv->tls.wanted)
		return;
	buf_init(&said, SAID_BYTES);
	(void)reload(sv, &said);
	buf_done(&said);
}

void tls_keeper_asked(struct slot *admin, uint32_t request)
{
	struct supervisor *sv = admin->sv;
	struct buf said, reply;

	buf_init(&said, SAID_BYTES);
	buf_init(&reply, SAID_BYTES + 16);
	if (!sv->tls.wanted)
		buf_add_str(&said,
			"no listener had a certificate in the start file when this server was "
			"started; if one has now, restart it");
	bool done = sv->tls.wanted && reload(sv, &said) == 0;
	buf_put_u8(&reply, done);
	buf_put_bytes16(&reply, span_of(said.p, MIN(said.n, UINT16_MAX)));
	(void)ipc_send(&admin->port, IPC_TLS_RELOADED, request, buf_span(&reply), NULL, 0);
	buf_done(&said);
	buf_done(&reply);
}

/*
 * Whoever renews a certificate replaces two files, one after the other, and perhaps many times: so
 * they are read when two looks see the same. What was wrong is not read again before it changes.
 */
void tls_keeper_look(struct supervisor *sv)
{
	struct tls_keeper *tls = &sv->tls;
	size_t bytes = tls->now.stamp_count * sizeof(*tls->seen);

	if (!tls->wanted)
		return;
	struct tls_stamp *looked = calloc(tls->now.stamp_count, sizeof(*looked));
	if (!looked)
		return;
	bool changed = tls_files_changed(sv->config, &tls->now, looked);
	bool same = memcmp(looked, tls->seen, bytes) == 0;
	memcpy(tls->seen, looked, bytes);
	free(looked);
	if (!changed || !same) {
		tls->seen_change = changed;
		return;
	}
	if (!tls->seen_change)
		return;
	tls->seen_change = false;
	tls_keeper_reload(sv);
}
