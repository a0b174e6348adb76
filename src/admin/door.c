/*
 * Control connections: a line in, a line out. A client that half-closes its side still gets the
 * reply; one that goes away leaves its request to end by itself.
 */
#include "admin/core.h"
#include "admin/wipe.h"
#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define DOOR_READ (64u << 10) /* bytes read at a time */
#define DOOR_IDLE_MS \
	(UINT64_C(10) * 60 * 1000) /* without a request, or without reading its reply */

static void next_request(struct door *door);
static void wait_idly(struct door *door);

int admin_accept(struct admin *admin, struct io_conn *conn, struct span actor,
	const struct io_conn_handler **handler, void **owner)
{
	struct door *door;

	if (admin->door_count >= ADMIN_DOORS || !(door = calloc(1, sizeof(*door)))) {
		static const char busy[] =
			"{\"error\":\"too many control connections; close some\"}\n";
		struct iovec part = {(void *)(uintptr_t)busy, sizeof(busy) - 1};

		io_conn_send(conn, &part, 1, false);
		io_conn_close(&conn, true);
		return ERR_LIMIT;
	}
	door->admin = admin;
	door->conn = conn;
	size_t n = MIN(actor.n, sizeof(door->actor) - 1);
	if (n)
		memcpy(door->actor, actor.p, n);
	buf_init(&door->in, ADMIN_REQUEST);
	buf_init(&door->out, ADMIN_REPLY);
	list_push_back(&admin->doors, &door->node);
	admin->door_count++;
	wait_idly(door);
	*handler = &door_handler;
	*owner = door;
	return 0;
}

void door_free(struct door *door)
{
	struct admin *admin = door->admin;

	trace_forget(door);
	depends_forget(door);
	anchors_forget(door);
	secret_forget(door);
	import_forget(door);
	queue_change_forget(door);
	list_remove(&door->node);
	admin->door_count--;
	io_timer_stop(admin->config.io, &door->timer);
	io_conn_close(&door->conn, true);
	json_decref(door->request);
	wipe_buf(&door->in);
	buf_done(&door->out);
	free(door);
}

/* Nobody may keep one of ADMIN_DOORS for ever by doing nothing. */
static void idle_too_long(struct timer *timer)
{
	struct door *door = CONTAINER_OF(timer, struct door, timer);

	io_conn_close(&door->conn, false);
	door_free(door);
}

static void wait_idly(struct door *door)
{
	door->timer.fire = idle_too_long;
	if (io_timer_after(door->admin->config.io, &door->timer, DOOR_IDLE_MS))
		door->ended = true; /* no memory: it had better go at once */
}

/* ---- replies -------------------------------------------------------------------------------- */

/* The next piece; true when all is out. */
static bool send_some(struct door *door)
{
	while (door->sent < door->out.n) {
		size_t n = MIN(door->out.n - door->sent, DOOR_PIECE);
		struct iovec part = {door->out.p + door->sent, n};

		if (io_conn_send(door->conn, &part, 1, false)) {
			io_conn_close(&door->conn, false);
			return true;
		}
		door->sent += n;
		if (io_conn_unsent(door->conn))
			return false; /* drained() goes on */
	}
	return true;
}

/* Ends the door now, or, where next_request() is at work on it further up, when that is done. */
static void end_door(struct door *door)
{
	if (door->running)
		door->ended = true;
	else
		door_free(door);
}

static void request_over(struct door *door)
{
	door->busy = false;
	buf_clear(&door->out);
	door->sent = 0;
	if (!door->conn || door->gone) {
		end_door(door);
		return;
	}
	io_conn_resume(door->conn);
	next_request(door);
}

void door_reply(struct door *door)
{
	queue_change_forget(door);
	json_decref(door->request);
	door->request = NULL;
	depends_forget(door);
	anchors_forget(door);
	secret_forget(door);
	import_forget(door);
	door->awaited = 0;
	io_timer_stop(door->admin->config.io, &door->timer);
	if (!buf_ok(&door->out) && !door->refused) {
		door->refused = true;
		door_refuse(door, "the answer is too long; ask for less at a time");
		return;
	}
	door->refused = false;
	buf_add_char(&door->out, '\n');
	/* Not even memory for that: it cannot be told. */
	if (!buf_ok(&door->out))
		io_conn_close(&door->conn, false);
	if (door->gone || !door->conn || send_some(door))
		request_over(door);
	else
		wait_idly(door);
}

void door_refuse_span(struct door *door, struct span text)
{
	buf_clear(&door->out);
	json_write_init(&door->json, &door->out);
	json_open_object(&door->json, NULL);
	json_put_string(&door->json, "error", text);
	json_close_object(&door->json);
	door_reply(door);
}

void door_refuse(struct door *door, const char *text)
{
	door_refuse_span(door, span_str(text));
}

/* ---- requests ------------------------------------------------------------------------------- */

/* There may have been a password in it. */
static void drop_line(struct buf *in, size_t n)
{
	size_t before = in->n;

	buf_drop(in, n);
	explicit_bzero(in->p + in->n, before - in->n);
}

static void begin(struct door *door, struct span line)
{
	bool few = json_has_few_values(line) && json_depth_fits(line);
	json_error_t error;

	door->busy = true;
	io_timer_stop(door->admin->config.io, &door->timer);
	buf_clear(&door->out);
	json_write_init(&door->json, &door->out);
	if (few)
		door->request = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, &error);
	drop_line(&door->in, line.n + 1);
	door->searched = 0;
	io_conn_pause(door->conn);
	if (!few)
		door_refuse(door, "the request has too many values, or too many "
				  "inside one another");
	else if (!json_is_object(door->request))
		door_refuse(door, "the request is not a JSON object");
	else
		dispatch(door);
}

/* What all doors together hold of requests that are not whole yet. */
static bool too_much_at_once(const struct admin *admin)
{
	size_t all = 0;

	LIST_FOR_EACH(node, (struct list *)(uintptr_t)&admin->doors)
	all += CONTAINER_OF(node, struct door, node)->in.n;
	return all > ADMIN_REQUESTS;
}

/* Takes requests that are there already one after the other, not one inside the other. */
static void next_request(struct door *door)
{
	if (door->running)
		return;
	door->running = true;
	while (!door->busy && !door->ended) {
		struct span in = buf_span(&door->in);
		size_t end = door->searched + span_find(span_skip(in, door->searched), '\n');

		if (end < in.n) {
			begin(door, span_of(in.p, end));
			continue;
		}
		door->searched = in.n;
		if (door->eof)
			door->ended = true;
		break;
	}
	door->running = false;
	if (!door->busy && !door->ended)
		wait_idly(door);
	if (door->ended)
		door_free(door);
}

/* What is there moves by hand: a buffer that grows by itself leaves a copy behind. */
static char *room_for_more(struct buf *in)
{
	struct buf next;

	if (in->room - in->n >= DOOR_READ || !buf_ok(in))
		return buf_reserve(in, DOOR_READ);
	buf_init(&next, in->bound);
	if (!buf_reserve(&next, MIN(2 * in->n + DOOR_READ, in->bound))) {
		in->overflow = true;
		return NULL;
	}
	buf_add_span(&next, buf_span(in));
	wipe_buf(in);
	*in = next;
	return buf_reserve(in, DOOR_READ);
}

static struct iovec on_buffer(void *owner)
{
	struct door *door = owner;
	char *to = room_for_more(&door->in);

	/* Past the bound the byte is thrown away and the connection ends in on_received(). */
	return to ? (struct iovec){to, DOOR_READ}
		  : (struct iovec){door->spill, sizeof(door->spill)};
}

static void on_received(void *owner, size_t n)
{
	struct door *door = owner;

	bool fits = buf_ok(&door->in);

	if (fits)
		buf_wrote(&door->in, n);
	if (!fits || too_much_at_once(door->admin)) {
		door->eof = true;
		wipe_buf(&door->in);
		door->searched = 0;
		if (door->busy)
			return; /* it ends when its reply is out */
		door->busy = true;
		io_conn_pause(door->conn);
		door_refuse(door, fits ? "too much is being asked at once; try again later"
				       : "the request is too long");
		return;
	}
	next_request(door);
}

/* For other roles, or a job. */
static bool is_waiting(const struct door *door)
{
	return door->awaited || door->search || door->hashing;
}

static void on_drained(void *owner)
{
	struct door *door = owner;

	if (!door->busy || is_waiting(door) || !door->out.n)
		return;
	if (send_some(door))
		request_over(door);
	else
		wait_idly(door);
}

static void on_closed(void *owner, int err)
{
	struct door *door = owner;

	if (!err) {
		door->eof = true;
		next_request(door);
		return;
	}
	door->gone = true;
	if (!door->busy || !is_waiting(door))
		end_door(door);
}

const struct io_conn_handler door_handler = {
	.buffer = on_buffer,
	.received = on_received,
	.drained = on_drained,
	.closed = on_closed,
};
