#include "sim_fiber.h"

#include "base/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#define FIBER_STACK (512u << 10)

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#endif

#ifdef FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define FIBERS_KEPT 8

/* Stacks that can be used again: a run starts hundreds of thousands of jobs. */
static struct {
	void *stacks[FIBERS_KEPT];
	unsigned count;
} kept;

struct sim_fiber {
	void (*run)(void *arg);
	void *arg;
	void *stack;
	bool ended;
	ucontext_t own, back;
	/* where the sanitizer keeps what it knows of the stacks */
	void *own_shadow, *back_shadow;
	const void *back_stack;
	size_t back_size;
};

static void leave(struct sim_fiber *f, bool for_good)
{
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(
		for_good ? NULL : &f->own_shadow, f->back_stack, f->back_size);
#else
	(void)for_good;
#endif
	CHECK(swapcontext(&f->own, &f->back) == 0);
}

static void arrive(struct sim_fiber *f)
{
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(f->own_shadow, &f->back_stack, &f->back_size);
#else
	(void)f;
#endif
}

static void begin(unsigned high, unsigned low)
{
	struct sim_fiber *f = (struct sim_fiber *)(uintptr_t)((uint64_t)high << 32 | low);

	arrive(f);
	f->run(f->arg);
	f->ended = true;
	leave(f, true);
}

static void *stack_new(void)
{
	if (kept.count)
		return kept.stacks[--kept.count];
	void *stack = mmap(NULL, FIBER_STACK, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(stack != MAP_FAILED);
	return stack;
}

static void stack_free(void *stack)
{
	if (kept.count == FIBERS_KEPT) {
		munmap(stack, FIBER_STACK);
		return;
	}
#ifdef FIBER_ASAN
	/* A job that was killed left its frames behind. */
	__asan_unpoison_memory_region(stack, FIBER_STACK);
#endif
	kept.stacks[kept.count++] = stack;
}

struct sim_fiber *sim_fiber_new(void (*run)(void *arg), void *arg)
{
	struct sim_fiber *f = calloc(1, sizeof(*f));

	CHECK(f);
	f->run = run;
	f->arg = arg;
	f->stack = stack_new();
	CHECK(getcontext(&f->own) == 0);
	f->own.uc_stack.ss_sp = f->stack;
	f->own.uc_stack.ss_size = FIBER_STACK;
	makecontext(&f->own, (void (*)(void))(void *)begin, 2,
		(unsigned)((uint64_t)(uintptr_t)f >> 32), (unsigned)(uintptr_t)f);
	return f;
}

bool sim_fiber_resume(struct sim_fiber *f)
{
	CHECK(!f->ended);
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(&f->back_shadow, f->stack, FIBER_STACK);
#endif
	CHECK(swapcontext(&f->back, &f->own) == 0);
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(f->back_shadow, NULL, NULL);
#endif
	return f->ended;
}

void sim_fiber_stop(struct sim_fiber *f)
{
	leave(f, false);
	arrive(f);
}

void sim_fiber_free(struct sim_fiber **at)
{
	struct sim_fiber *f = *at;

	*at = NULL;
	if (!f)
		return;
	stack_free(f->stack);
	free(f);
}
