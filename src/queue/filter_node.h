/*
 * A filter in memory: a tree of bounded size in one array. Inside src/queue only.
 */
#ifndef QUEUE_FILTER_NODE_H
#define QUEUE_FILTER_NODE_H

#include "queue/filter.h"

enum filter_kind { FILTER_AND, FILTER_OR, FILTER_NOT, FILTER_TERM };

enum filter_key {
	FILTER_ID,
	FILTER_STATE,
	FILTER_SENDER,
	FILTER_RECIPIENT,
	FILTER_DOMAIN,
	FILTER_TRANSPORT,
	FILTER_DESTINATION,
	FILTER_CLIENT,
	FILTER_USER,
	FILTER_AGE,
	FILTER_SIZE,
	FILTER_ATTEMPTS,
	FILTER_PRIORITY,
	FILTER_REASON,
	FILTER_KEYS
};

enum filter_op {
	FILTER_EQUAL,
	FILTER_NOT_EQUAL,
	FILTER_CONTAINS,
	FILTER_NOT_CONTAINS,
	FILTER_LESS,
	FILTER_GREATER,
	FILTER_AT_MOST,
	FILTER_AT_LEAST,
	FILTER_OPS
};

enum filter_type {
	FILTER_TEXT,   /* = != with "*", ~ !~ */
	FILTER_NUMBER, /* all but ~ !~ */
	FILTER_WORD,   /* one of a few: = != */
	FILTER_NETWORK /* = != with CIDR, ~ !~ on its text */
};

struct filter_key_info {
	const char *name;
	enum filter_type type;
	bool envelope; /* it has to be read from disk */
};
extern const struct filter_key_info filter_keys[FILTER_KEYS];
extern const char *const filter_ops[FILTER_OPS];

/* An operator that says the same as another one, negated: != is not =, !~ is not ~. */
static inline bool filter_op_negates(enum filter_op op)
{
	return op == FILTER_NOT_EQUAL || op == FILTER_NOT_CONTAINS;
}

struct filter_node {
	uint8_t kind, key, op;
	uint8_t prefix;	      /* of a network, in bits */
	uint16_t left, right; /* NOT has left alone */
	uint64_t number;      /* number, word (as its index), id */
	struct netaddr network;
	struct span text; /* in filter.text */
};

#define FILTER_NONE UINT16_MAX

struct filter;
/* It may match some recipients of a unit and not others. */
bool filter_tells_recipients(const struct filter *filter, bool one_domain);

struct filter {
	uint16_t root; /* FILTER_NONE: matches everything */
	uint16_t count;
	bool bare_address;
	char *text; /* values, unquoted, in the order of their terms */
	size_t text_bytes;
	struct filter_node nodes[FILTER_NODES];
};

#endif
