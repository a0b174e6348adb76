/*
 * What the files of a simulated connection share: sim_conn.c (what its owner calls),
 * sim_conn_event.c (what its owner is told), sim_conn_tls.c (its protection).
 */
#ifndef SIM_CONN_INNER_H
#define SIM_CONN_INNER_H

#include "sim_io.h"
#include "sim_tls.h"

extern const struct sim_end_calls sim_conn_end_calls;

#define COPY_BYTES 16384

struct piece {
	struct piece *next;
	struct io_file *file; /* NULL: bytes */
	uint64_t offset;
	uint64_t n;
	char *bytes;
};

/* While it shakes hands, and from then on. */
struct conn_tls {
	struct conn *conn;
	struct sim_tls *tls;
	bool open;
	bool checks;			  /* client: not every certificate will do */
	enum tls_failure verdicts[CERTS]; /* client: what it finds of each */
	uint64_t session;		  /* client: which may be resumed; 0: none */
	int64_t end;			  /* of the wire: ERR_MORE, or how it failed */
	struct tls_info info;
	struct timer deadline;
};

struct conn {
	struct io_conn base; /* first */
	struct sim_process *process;
	struct list node;
	struct sim_end *end;
	const struct io_conn_handler *handler;
	void *owner;
	struct piece *first, **last;
	uint64_t unsent, unsent_bytes;
	bool connecting, paused, lingers, told, eof, drain;
	int failed;
	struct conn_tls *tls; /* NULL: in clear */
	struct timer again, linger;
};

struct timers *sim_conn_events(struct conn *c);
void sim_conn_drop_pieces(struct conn *c);
void sim_conn_destroy(struct conn *c);
void sim_conn_look_again(struct conn *c, uint64_t after);
int sim_conn_flush(struct conn *c);
/* Something is still to be written. */
bool sim_conn_waits(const struct conn *c);
/* Of the protected bytes, where it is protected. */
bool sim_conn_has_input(struct conn *c);
int64_t sim_conn_read(struct conn *c, void *to, size_t n);
/* Goes on with the handshake. */
void sim_conn_shake(struct conn *c);
void sim_conn_tls_free(struct conn *c);
void sim_conn_again_fired(struct timer *timer);
void sim_conn_linger_over(struct timer *timer);

#endif
