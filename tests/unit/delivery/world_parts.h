/* What the files of the world share. */
#ifndef TEST_DELIVERY_WORLD_PARTS_H
#define TEST_DELIVERY_WORLD_PARTS_H

#include "world.h"

extern const struct io_ops world_io_ops;
extern const struct dns_ops world_dns_ops;
extern const struct fetch_ops world_fetch_ops;

bool hop_input(struct hop *hop);
/* One step of one connection; true: something happened, and the list may have changed. */
bool hop_step(struct world *w, struct hop *hop);
void hop_free(struct hop *hop);
bool world_run_job(struct world *w, int lane);
void world_dns_answer(struct world *w);
void world_fetch_answer(struct world *w);
void world_on_log(struct log *log, enum log_level level, const char *message,
	const struct log_field *fields, size_t count);
void world_on_event(struct event_sink *sink, const struct event *event);
void world_on_notice(void *context, const struct spool_notice *notice);
void world_on_writer_health(void *context, enum spool_health health);

#endif
