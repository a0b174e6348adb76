/*
 * What a role has to say to the administrator. A log record is a level, an event name, and
 * fields; the sink (io/logsink) writes it as one line of text or JSON to stderr. Peer bytes go in
 * as fields and are escaped there, never into the message text.
 *
 * Pure: builds lines; the sink carries time and output.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/span.h"

#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

enum log_field_kind { LOG_FIELD_SPAN, LOG_FIELD_U64, LOG_FIELD_ID };

struct log_field {
	const char *name;
	enum log_field_kind kind;
	struct span span;
	uint64_t u64;
};

struct log {
	enum log_level least; /* records below it are dropped */
	void (*write)(struct log *log, enum log_level level, const char *message,
		const struct log_field *fields, size_t count);
};

#define LOG_SPAN(n, v) ((struct log_field){.name = (n), .kind = LOG_FIELD_SPAN, .span = (v)})
#define LOG_STR(n, v)  LOG_SPAN(n, span_str(v))
#define LOG_U64(n, v)  ((struct log_field){.name = (n), .kind = LOG_FIELD_U64, .u64 = (v)})
#define LOG_ID(n, v)   ((struct log_field){.name = (n), .kind = LOG_FIELD_ID, .u64 = (v)})

/* log may be NULL (tests). The message is a constant sentence of ours. */
#define log_write(log_, level_, message_, ...)                                  \
	do {                                                                    \
		struct log *log_to = (log_);                                    \
		if (log_to && (level_) >= log_to->least) {                      \
			const struct log_field log_fields[] = {__VA_ARGS__};    \
			log_to->write(log_to, (level_), (message_), log_fields, \
				sizeof(log_fields) / sizeof(struct log_field)); \
		}                                                               \
	} while (0)

#endif
