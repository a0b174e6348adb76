/*
 * A doubly linked list through a node inside each element; the head is a node too. A node that is
 * in no list is empty (points at itself), so that removing it twice does no harm.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/check.h"

#include <stdbool.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_after(struct list *at, struct list *node)
{
	node->prev = at;
	node->next = at->next;
	at->next->prev = node;
	at->next = node;
}

static inline void list_push_back(struct list *head, struct list *node)
{
	list_add_after(head->prev, node);
}

static inline void list_push_front(struct list *head, struct list *node)
{
	list_add_after(head, node);
}

static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* The first element as its type, or NULL. */
#define LIST_FIRST(head, type, member) \
	(list_empty(head) ? NULL : CONTAINER_OF((head)->next, type, member))

/* Safe against removing the current element. */
#define LIST_FOR_EACH(node, head)                                                         \
	for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
		node = node##_next, node##_next = node->next)

#endif
