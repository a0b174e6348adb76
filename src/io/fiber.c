/*
 * The first step onto a stack is setcontext(), all others are _longjmp(): the C library's contexts
 * alone would be two system calls a switch, to keep the signal mask, which is the same everywhere.
 *
 * _FORTIFY_SOURCE would take a jump to another stack for one into a frame that is gone.
 */
#undef _FORTIFY_SOURCE

#include "io/fiber.h"

#include "base/check.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define TELLS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TELLS_ASAN 1
#endif
#endif

#ifdef TELLS_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define FIBER_MAGIC 0x66696272u

/* What AddressSanitizer keeps of a stack while another one is in use. */
struct stack_view {
	void *fake;
	const void *bottom;
	size_t size;
};

struct fiber {
	uint32_t magic;
	struct fiber *next; /* of those that are free */
	char *memory;	    /* the guard, and above it the stack */
	bool entered;	    /* the stack is in use, if only by a loop that waits */
	bool runs, over;
	void (*run)(void *arg);
	void *arg;
	ucontext_t first;
	jmp_buf inside, outside;
	struct stack_view in_view, out_view;
};

struct fibers {
	size_t most, taken;
	struct fiber *free;
};

/* ---- what AddressSanitizer has to know -------------------------------------------------------
 *
 * It takes each jump for one that leaves all frames of its stack behind, and looks for overflows in
 * them no more: what stands still is watched less closely, but nothing good is taken for bad.
 */

static void leaves(struct stack_view *from, const struct stack_view *to)
{
#ifdef TELLS_ASAN
	__sanitizer_start_switch_fiber(&from->fake, to->bottom, to->size);
#else
	(void)from;
	(void)to;
#endif
}

/* `from`, where it is not NULL, becomes what was left. */
static void arrives(const struct stack_view *at, struct stack_view *from)
{
#ifdef TELLS_ASAN
	__sanitizer_finish_switch_fiber(
		at->fake, from ? &from->bottom : NULL, from ? &from->size : NULL);
#else
	(void)at;
	(void)from;
#endif
}

/* Addresses that something else may have next. */
static void forget_poison(const struct fiber *f)
{
#ifdef TELLS_ASAN
	__asan_unpoison_memory_region(f->memory + FIBER_GUARD, FIBER_STACK);
#else
	(void)f;
#endif
}

/* ---- switching ------------------------------------------------------------------------------- */

static __attribute__((noinline)) void go_out(struct fiber *f)
{
	leaves(&f->in_view, &f->out_view);
	if (_setjmp(f->inside) == 0)
		_longjmp(f->outside, 1);
	arrives(&f->in_view, &f->out_view);
}

/* On the fiber's stack, for as long as there is one. makecontext() passes ints only. */
static void main_of(unsigned high, unsigned low)
{
	struct fiber *f = (struct fiber *)((uintptr_t)((uint64_t)high << 32 | low));

	arrives(&f->in_view, &f->out_view);
	for (;;) {
		f->run(f->arg);
		f->over = true;
		go_out(f);
	}
}

static int prepare(struct fiber *f)
{
	uint64_t at = (uintptr_t)f;

	if (getcontext(&f->first) != 0)
		return ERR_NOMEM;
	f->first.uc_link = NULL;
	f->first.uc_stack.ss_sp = f->memory + FIBER_GUARD;
	f->first.uc_stack.ss_size = FIBER_STACK;
	makecontext(&f->first, (void (*)(void))main_of, 2, (unsigned)(at >> 32), (unsigned)at);
	return 0;
}

static __attribute__((noinline)) void go_in(struct fiber *f)
{
	leaves(&f->out_view, &f->in_view);
	if (_setjmp(f->outside) == 0) {
		if (f->entered)
			_longjmp(f->inside, 1);
		f->entered = true;
		setcontext(&f->first);
		CHECK(false);
	}
	arrives(&f->out_view, NULL);
}

static bool go_on(struct fiber *f)
{
	CHECK_MAGIC(f, FIBER_MAGIC);
	CHECK(!f->runs && !f->over);
	f->runs = true;
	go_in(f);
	f->runs = false;
	return f->over;
}

bool fiber_begin(struct fiber *f, void (*run)(void *arg), void *arg)
{
	CHECK(f->over);
	f->run = run;
	f->arg = arg;
	f->over = false;
	return go_on(f);
}

bool fiber_resume(struct fiber *f)
{
	return go_on(f);
}

void fiber_pause(struct fiber *f)
{
	CHECK(f->runs && !f->over);
	go_out(f);
}

/* ---- stacks ---------------------------------------------------------------------------------- */

static struct fiber *fiber_new(void)
{
	const size_t size = FIBER_GUARD + FIBER_STACK;
	struct fiber *f = calloc(1, sizeof(*f));
	char *memory = f ? mmap(NULL, size, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0)
			 : MAP_FAILED;

	if (memory == MAP_FAILED) {
		free(f);
		return NULL;
	}
	f->magic = FIBER_MAGIC;
	f->memory = memory;
	f->over = true;
	f->in_view = (struct stack_view){.bottom = memory + FIBER_GUARD, .size = FIBER_STACK};
	if (mprotect(memory + FIBER_GUARD, FIBER_STACK, PROT_READ | PROT_WRITE) == 0 &&
		prepare(f) == 0)
		return f;
	(void)munmap(memory, size);
	free(f);
	return NULL;
}

static void fiber_free(struct fiber *f)
{
	forget_poison(f);
	(void)munmap(f->memory, FIBER_GUARD + FIBER_STACK);
	f->magic = 0;
	free(f);
}

int fibers_new(size_t most, struct fibers **out)
{
	struct fibers *fibers = calloc(1, sizeof(*fibers));

	if (!fibers)
		return ERR_NOMEM;
	fibers->most = most;
	*out = fibers;
	return 0;
}

void fibers_free(struct fibers **at)
{
	struct fibers *fibers = *at;

	*at = NULL;
	if (!fibers)
		return;
	CHECK(fibers->taken == 0);
	while (fibers->free) {
		struct fiber *f = fibers->free;
		fibers->free = f->next;
		fiber_free(f);
	}
	free(fibers);
}

size_t fibers_left(const struct fibers *fibers)
{
	return fibers->most - fibers->taken;
}

struct fiber *fiber_take(struct fibers *fibers)
{
	struct fiber *f = fibers->free;

	if (fibers_left(fibers) == 0)
		return NULL;
	if (f)
		fibers->free = f->next;
	else
		f = fiber_new();
	fibers->taken += f != NULL;
	return f;
}

/* The one used last is taken first: its pages are there. */
void fiber_give(struct fibers *fibers, struct fiber *f)
{
	CHECK_MAGIC(f, FIBER_MAGIC);
	CHECK(f->over && fibers->taken);
	f->next = fibers->free;
	fibers->free = f;
	fibers->taken--;
}
