/* What the files of this folder share. Nobody else includes it. */
#ifndef ADMIN_CORE_H
#define ADMIN_CORE_H

#include "admin/admin.h"
#include "base/buf.h"
#include "base/json_write.h"
#include "base/list.h"
#include "directory/directory.h"
#include "keys/message.h"

#include <jansson.h>

#define ADMIN_WARNINGS (64u << 10)  /* bytes of lines about who may relay */
#define DOOR_PIECE     (256u << 10) /* bytes of a reply that are given to the connection at a time */

struct door;

struct admin {
	struct admin_config config;
	struct directory *directory;
	struct snapshot *snapshot; /* the present generation, mapped: for explain */
	struct buf relay_warnings; /* as they were last told in the log */
	int memfd;
	int secrets[SECRET_KINDS]; /* memfds, or -1 */
	struct list doors;
	uint32_t door_count;
};

/* Who takes the answers to a question. What cannot be read is empty; door->awaited is 0 at the last
 * one. */
struct asking {
	void (*answered)(struct door *door, uint32_t party, struct span json);
	void (*late)(struct door *door);
};

/* What status has heard of the queue so far. */
struct door_status {
	void (*then)(struct door *door);
	int64_t destinations, down;
	unsigned pages;
	bool delivery; /* has a queue and can be asked more of it */
};

/* One control connection and the request that it waits for. */
struct door {
	struct list node;
	struct admin *admin;
	struct io_conn *conn;
	char actor[ADMIN_ACTOR + 1];
	struct buf in;
	size_t searched; /* bytes of `in` without a line end */
	char spill[1];	 /* where bytes go that `in` has no room for */
	struct buf out;
	size_t sent;  /* of `out` */
	bool busy;    /* a request is being answered */
	bool eof;     /* the peer sends no more */
	bool running; /* next_request() is at work on it … */
	bool ended;   /* … and frees it at its end */
	bool refused; /* the answer could not be made; what is sent says so */
	bool gone;    /* the connection is lost; the door lives until its request is over */
	/* the request */
	json_t *request;
	struct json_write json;
	/* answers of other roles */
	const struct asking *asking;
	uint32_t ticket;
	uint32_t awaited;
	bool asked[ADMIN_PARTIES];			    /* has not answered */
	void (*heard)(struct door *door, struct span json); /* of door_ask() */
	uint64_t lifted;				    /* by this request: locks.c */
	struct timer timer;
	struct search_job *search;
	struct hashing *hashing;    /* a password of this request is being hashed; or NULL */
	struct buf verifiers;	    /* what came of it */
	struct import_tally *tally; /* of accounts from a file; or NULL */
	struct depends *depends;    /* what was counted for this request; or NULL */
	struct anchors *anchors;    /* what is known of the tls-ca files that it names; or NULL */
	struct door_status status;
	struct queue_change *change; /* what this request does to the queue; or NULL */
};

/* ---- door.c
 * ----------------------------------------------------------------------------------- */

extern const struct io_conn_handler door_handler;
/* The reply is in door->out, whole: sends it and goes on. */
void door_reply(struct door *door);
/* Throws away what was begun and replies with an error. */
void door_refuse(struct door *door, const char *text);
void door_refuse_span(struct door *door, struct span text);
void door_free(struct door *door);
/* bounds.c: at most ADMIN_VALUES. */
bool json_has_few_values(struct span text);
/* Values inside one another are read, and written, one call inside the other. */
bool json_depth_fits(struct span text);
/* change.c: with the problems, or what the error means. */
void refuse_lines(struct door *door, int err, struct buf *problems);

/* ---- dispatch.c
 * ------------------------------------------------------------------------------- */

/* Answers door->request now or later. */
void dispatch(struct door *door);
struct span request_text(const struct door *door, const char *key);
bool request_flag(const struct door *door, const char *key);
/* Lines as an array of strings. */
void put_lines(struct json_write *json, const char *key, struct span lines);
uint32_t request_number(const struct door *door, const char *key, uint32_t unless);

/* ---- the commands
 * ----------------------------------------------------------------------------- */

void cmd_apply(struct door *door);
void cmd_export(struct door *door);
void cmd_object(struct door *door);
void cmd_pause(struct door *door);
void cmd_resume(struct door *door);
void cmd_audit(struct door *door);
void cmd_check(struct door *door);
void cmd_queue(struct door *door);
void cmd_status(struct door *door);
void cmd_trace(struct door *door);
void cmd_explain(struct door *door);
void cmd_relay(struct door *door);
void cmd_user(struct door *door);
void cmd_import(struct door *door);
void cmd_tls(struct door *door);

/* change.c: how a request wants its plan made; and carries a plan out, if there is one, and
 * replies. Frees it, and `problems`. */
struct plan_options plan_options_of(const struct door *door);
void plan_finish(struct door *door, int err, struct plan *plan, struct buf *problems);
/* The same for a plan that was made with options.present. */
void plan_finish_present(struct door *door, int err, struct plan *plan, struct buf *problems);
/* Something was done that is no change: in the audit and the trace. On an error, which `why` has a
 * line about, it must not be done. */
int change_note(struct door *door, struct span words, struct buf *why);

/* secret.c: true: a password is hashed first, and the request begins again then, or was refused. */
bool secret_first(struct door *door, enum object_kind kind);
/* What is to be set with the object: 0 or 1. */
size_t secret_of_request(
	const struct door *door, enum object_kind kind, struct plan_secret_input *out);
void secret_forget(struct door *door);

/* import.c: members of the reply about a file of accounts. */
void import_put_tally(struct door *door);
void import_forget(struct door *door);

/* objects_show.c */
void objects_reply_list(struct door *door, enum object_kind kind);
void objects_reply_one(struct door *door, enum object_kind kind, struct span name);

/* trace.c: a search that runs for the door ends unheard. */
void trace_forget(struct door *door);

/* admin.c: a change was committed; everybody gets the new generation. */
int admin_publish(struct admin *admin);
/* Likewise the secrets of a kind, which comes first. */
int admin_publish_secrets(struct admin *admin, enum secret_kind kind, struct buf *why);

/* depends.c: true: the mail that goes by what the plan takes away is counted first; the request
 * begins again when that is known, or was refused. */
bool depends_first(struct door *door, const struct plan *plan);
/* A sentence about that mail; false: there is none. */
bool depends_add_words(const struct door *door, struct buf *out);
void depends_forget(struct door *door);

/* anchors.c: `paths` of the files that are to be looked at; those of transports are added. */
void anchors_begin(struct buf *paths);
void anchors_add(struct buf *paths, const struct object *transport);
/* True: delivery is asked about them first; the request begins again when it has answered, or was
 * refused. Frees `paths`. */
bool anchors_first(struct door *door, struct buf *paths);
/* A sentence, "its tls-ca …", about the one that this transport names; false: nothing is wrong. */
bool anchors_add_words(const struct door *door, const struct object *transport, struct buf *out);
void anchors_forget(struct door *door);

/* objects.c: the plan of a request with objects as text. */
int apply_plan(struct door *door, struct buf *problems, struct plan **out);

/* queue.c: delivery is asked; the request goes on there, unless there is an error. */
int queue_ask(struct door *door, const json_t *request, const struct asking *asking);
const char *queue_why_not(int err);
#define QUEUE_UNREADABLE "delivery gave an answer that cannot be read; see the log"
#define QUEUE_LATE	 "delivery does not answer; see the log, and posternctl status"

/* queue_change.c: requests that do something to the queue. */
bool queue_is_change(struct span op);
void queue_change_begin(struct door *door, const json_t *request);
/* Before the request is; what was done is on record then. */
void queue_change_forget(struct door *door);

/* status_worker.c: writes what a worker answered as the member `name`, as far as it is believed.
 * False: it is no answer. */
bool status_put_worker(struct json_write *out, const char *name, struct span answer);

/* status_queue.c: writes the member "queue", and goes on with then(). */
void status_ask_queue(struct door *door, void (*then)(struct door *door));

/* ask.c: a new question, with answers to it only; each party is asked; then the answers are waited
 * for, if there are any to be. */
void ask_begin(struct door *door, const struct asking *asking);
int ask_party(struct door *door, uint32_t party, enum admin_question question, struct span request);
void ask_wait(struct door *door, uint64_t ms);
/* The same of the supervisor, who answers in words of its own. */
int ask_tls_reload(struct door *door);

/* ask.c: delivery is asked; heard() gets one JSON object, nothing where none comes in time, at
 * once where delivery does not run. The request goes on there. */
void door_ask(
	struct door *door, struct span request, void (*heard)(struct door *door, struct span json));
/* The same of keys, about who is wrong about passwords too often. */
void door_ask_locks(struct door *door, const struct keys_locks *question,
	void (*heard)(struct door *door, struct span json));
/* What was wrong about an account's password until now is forgotten. */
void admin_lift(struct admin *admin, struct span account);

/* locks.c */
void user_locks(struct door *door);
void user_unlock(struct door *door);
#define LOCKS_UNHEARD "the role keys does not answer; see the log, and posternctl status"

#endif
