/*
 * An event as text: one JSON object (the trace, the JSON log), or a line for people (the text log).
 * Neither ends with a newline. Peer bytes are escaped in both.
 */
#ifndef TRACE_EVENT_FORMAT_H
#define TRACE_EVENT_FORMAT_H

#include "base/buf.h"
#include "trace/event.h"

void event_json(const struct event *event, struct buf *out);
void event_text(const struct event *event, struct buf *out);

#endif
