/*
 * The heap, the ring, the map of ids, the strings: against the obvious way to do the same.
 */
#include "base/check.h"
#include "base/prng.h"
#include "queue/heap.h"
#include "queue/idtree.h"
#include "queue/intern.h"
#include "queue/ring.h"
#include "queue/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MOST 500

struct mirror {
	uint32_t place[MOST];
	int64_t key[MOST];
	uint32_t since[MOST]; /* order of arrival among equals */
};

static void moved(void *owner, uint32_t item, uint32_t place)
{
	((struct mirror *)owner)->place[item] = place;
}

static uint32_t first_of(const struct mirror *m)
{
	uint32_t best = 0;
	for (uint32_t i = 1; i < MOST; i++)
		if (m->place[i] &&
			(!best || m->key[i] < m->key[best] ||
				(m->key[i] == m->key[best] && m->since[i] < m->since[best])))
			best = i;
	return best;
}

static void heap_is_ordered_and_stable(void **state)
{
	static struct mirror m;
	struct heap heap = {0};
	struct mem mem = {0};
	struct prng prng;
	uint32_t serial = 0;
	(void)state;
	prng_seed(&prng, 1);
	for (int i = 0; i < 30000; i++) {
		uint32_t item = 1 + (uint32_t)prng_below(&prng, MOST - 1);
		int64_t key = (int64_t)prng_below(&prng, 50) - 25;
		if (!m.place[item]) {
			m.key[item] = key;
			m.since[item] = ++serial;
			assert_true(heap_push(&heap, &mem, item, key, moved, &m));
		} else if (prng_below(&prng, 2)) {
			assert_true(heap_holds(&heap, m.place[item], item));
			heap_remove(&heap, m.place[item], moved, &m);
			assert_int_equal(m.place[item], 0);
		} else {
			m.key[item] = key;
			m.since[item] = ++serial;
			heap_change(&heap, m.place[item], key, moved, &m);
		}
		if (heap.count)
			assert_int_equal(heap_first(&heap)->item, first_of(&m));
		if (i % 100 == 0)
			assert_true(heap_sound(&heap));
	}
	uint32_t rank = 0;
	while (heap.count) {
		uint32_t item = first_of(&m);
		bool more;
		assert_int_equal(heap_ahead(&heap, m.place[item], &more), 0);
		assert_false(more);
		item = heap.entries[prng_below(&prng, heap.count)].item;
		uint32_t ahead = 0;
		for (uint32_t other = 1; other < MOST; other++)
			ahead += m.place[other] && (m.key[other] < m.key[item] ||
							   (m.key[other] == m.key[item] &&
								   m.since[other] < m.since[item]));
		assert_int_equal(heap_ahead(&heap, m.place[item], &more), ahead);
		assert_false(more);
		heap_remove(&heap, m.place[item], moved, &m);
		rank++;
	}
	assert_true(rank > 100);
	heap_done(&heap, &mem);
	assert_int_equal(mem.bytes, 0);
}

static void ring_is_a_line(void **state)
{
	static uint32_t line[4 * MOST], tickets[4 * MOST];
	uint32_t n = 0, next = 1;
	struct ring ring = {0};
	struct mem mem = {0};
	struct prng prng;
	(void)state;
	prng_seed(&prng, 2);
	ring.head = ring.tail = UINT32_MAX - 100; /* tickets wrap around */
	for (int i = 0; i < 20000; i++) {
		uint64_t what = prng_below(&prng, 10);
		if (what < 5 && n < 4 * MOST) {
			line[n] = next;
			assert_true(ring_push(&ring, &mem, next++, &tickets[n++]));
		} else if (what < 6 && n < 4 * MOST) {
			memmove(line + 1, line, n * sizeof(line[0]));
			memmove(tickets + 1, tickets, n++ * sizeof(line[0]));
			line[0] = next;
			assert_true(ring_push_front(&ring, &mem, next++, &tickets[0]));
		} else if (n) {
			uint32_t at = what < 8 ? 0 : (uint32_t)prng_below(&prng, n);
			assert_true(ring_holds(&ring, tickets[at], line[at]));
			bool more;
			assert_int_equal(ring_ahead(&ring, tickets[at], UINT32_MAX, &more), at);
			assert_false(more);
			/* it is said when not all places were looked at */
			uint32_t some = ring_ahead(&ring, tickets[at], 3, &more);
			assert_true(some <= at && (more || some == at));
			ring_remove(&ring, tickets[at]);
			assert_false(ring_holds(&ring, tickets[at], line[at]));
			n--;
			memmove(line + at, line + at + 1, (n - at) * sizeof(line[0]));
			memmove(tickets + at, tickets + at + 1, (n - at) * sizeof(line[0]));
		}
		assert_int_equal(ring.count, n);
		assert_int_equal(ring_first(&ring), n ? line[0] : 0);
	}
	ring_done(&ring, &mem);
	assert_int_equal(mem.bytes, 0);
}

static void idtree_keeps_the_order(void **state)
{
	static bool there[20000];
	struct idtree map = {0};
	struct mem mem = {0};
	struct prng prng;
	uint64_t ids[300], entries = 0;
	(void)state;
	prng_seed(&prng, 3);
	assert_int_equal(idtree_find(&map, 1), 0);
	for (int i = 0; i < 100000; i++) {
		uint32_t id = 1 + (uint32_t)prng_below(&prng, 19999);
		if (i > 60000 && !there[id])
			continue;
		if (there[id])
			idtree_remove(&map, &mem, id);
		else
			assert_true(idtree_add(&map, &mem, id, id + 7));
		there[id] = !there[id];
		entries = there[id] ? entries + 1 : entries - 1;
		assert_int_equal(idtree_find(&map, id), there[id] ? id + 7 : 0);
		if (i % 1000)
			continue;
		assert_int_equal(map.entries, entries);
		assert_true(idtree_sound(&map));
		uint64_t after = prng_below(&prng, 20000), want = after;
		size_t n = idtree_after(&map, after, ids, NULL, ARRAY_SIZE(ids));
		for (size_t k = 0; k < n; k++) {
			do
				want++;
			while (want < 20000 && !there[want]);
			assert_int_equal(ids[k], want);
		}
	}
	idtree_done(&map, &mem);
	/* ascending ids leave no half-empty leaves */
	for (uint32_t id = 1; id <= 100000; id++)
		idtree_add(&map, &mem, id, id);
	assert_true(mem.bytes < 100000 * 13);
	assert_int_equal(idtree_find(&map, 77777), 77777);
	idtree_done(&map, &mem);
	assert_int_equal(mem.bytes, 0);
}

static void intern_counts(void **state)
{
	static uint32_t refs[MOST], numbers[MOST];
	struct intern intern = {.seed = 99};
	struct mem mem = {0};
	struct prng prng;
	uint32_t number;
	char text[16];
	(void)state;
	prng_seed(&prng, 4);
	assert_true(intern_take(&intern, &mem, SPAN_NONE, &number));
	assert_int_equal(number, 0);
	assert_int_equal(intern_text(&intern, 0).n, 0);
	for (int i = 0; i < 50000; i++) {
		uint32_t at = (uint32_t)prng_below(&prng, MOST);
		snprintf(text, sizeof(text), "text %u", at);
		if (refs[at] && prng_below(&prng, 2)) {
			intern_give(&intern, &mem, numbers[at]);
			refs[at]--;
		} else {
			assert_true(intern_take(&intern, &mem, span_str(text), &number));
			assert_true(!refs[at] || number == numbers[at]);
			numbers[at] = number;
			refs[at]++;
			assert_true(span_equal(intern_text(&intern, number), span_str(text)));
		}
		assert_int_equal(intern_find(&intern, span_str(text)), refs[at] ? numbers[at] : 0);
	}
	intern_done(&intern, &mem);
	assert_int_equal(mem.bytes, 0);
}

static void slab_reuses(void **state)
{
	struct slab slab;
	struct mem mem = {0};
	(void)state;
	slab_init(&slab, 24);
	for (uint32_t i = 1; i <= 3 * SLAB_CHUNK; i++)
		assert_int_equal(slab_take(&slab, &mem), i);
	size_t bytes = mem.bytes;
	uint64_t *item = slab_at(&slab, 77);
	*item = 5;
	slab_give(&slab, 77);
	slab_give(&slab, 5);
	assert_int_equal(slab_take(&slab, &mem), 5);
	assert_int_equal(slab_take(&slab, &mem), 77);
	assert_int_equal(*item, 0);
	assert_int_equal(mem.bytes, bytes);
	slab_done(&slab, &mem);
	assert_int_equal(mem.bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heap_is_ordered_and_stable),
		cmocka_unit_test(ring_is_a_line),
		cmocka_unit_test(idtree_keeps_the_order),
		cmocka_unit_test(intern_counts),
		cmocka_unit_test(slab_reuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
