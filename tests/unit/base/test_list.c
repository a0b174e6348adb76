#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
	int number;
	struct list node;
};

static int sum_in_order(struct list *head)
{
	int sum = 0;
	LIST_FOR_EACH(node, head)
	sum = sum * 10 + CONTAINER_OF(node, struct item, node)->number;
	return sum;
}

static void order_is_kept(void **state)
{
	(void)state;
	struct list head;
	struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
	list_init(&head);
	assert_true(list_empty(&head));
	assert_null(LIST_FIRST(&head, struct item, node));
	list_push_back(&head, &b.node);
	list_push_back(&head, &c.node);
	list_push_front(&head, &a.node);
	assert_int_equal(sum_in_order(&head), 123);
	assert_ptr_equal(LIST_FIRST(&head, struct item, node), &a);
	list_remove(&b.node);
	assert_int_equal(sum_in_order(&head), 13);
	list_remove(&b.node); /* twice does no harm */
	assert_int_equal(sum_in_order(&head), 13);
	list_add_after(&a.node, &b.node);
	assert_int_equal(sum_in_order(&head), 123);
}

static void elements_may_leave_while_walking(void **state)
{
	(void)state;
	struct list head;
	struct item items[6];
	list_init(&head);
	for (int i = 0; i < 6; i++) {
		items[i].number = i + 1;
		list_push_back(&head, &items[i].node);
	}
	LIST_FOR_EACH(node, &head)
	if (CONTAINER_OF(node, struct item, node)->number % 2)
		list_remove(node);
	assert_int_equal(sum_in_order(&head), 246);
	LIST_FOR_EACH(node, &head)
	list_remove(node);
	assert_true(list_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_kept),
		cmocka_unit_test(elements_may_leave_while_walking),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
