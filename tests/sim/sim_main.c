/*
 * postern_sim: runs the gateway in simulated time, one seed a run, each in a process of its own.
 *
 *   postern_sim --seed N [--verbose]     that one, twice: the traces must be equal
 *   postern_sim --seeds N [--from N]     fresh ones (from the clock), or those from N on
 *   postern_sim --seeds N --seconds S    no new one after so long
 *   postern_sim --mutation NAME --seeds N   with a promise broken: fails unless a seed notices
 */
#include "sim_run.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNNING_MOST 16
#define RUN_SECONDS  200 /* of processor time, for one seed: it hangs */

/* A role that is killed leaves its memory behind. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:detect_stack_use_after_return=0";
}

struct options {
	uint64_t first, count;
	unsigned seconds, jobs;
	struct sim_options run;
	bool verbose, twice, quiet;
};

struct child {
	pid_t pid;
	int result;
	uint64_t seed;
};

struct totals {
	struct sim_result sum;
	uint64_t runs, failed, first_failed;
};

static void be_child(const struct options *o, uint64_t seed, int result)
{
	struct sim_result r, again;

	if (o->quiet && (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)))
		_exit(1);
	setrlimit(RLIMIT_CPU, &(struct rlimit){RUN_SECONDS, RUN_SECONDS});
	sim_run(seed, &o->run, o->verbose ? SIM_VERBOSE : SIM_VIOLATIONS, &r);
	if (o->twice) {
		sim_run(seed, &o->run, SIM_SILENT, &again);
		if (again.trace != r.trace) {
			printf("  seed %llu: two runs have different traces, %016llx and %016llx\n",
				(unsigned long long)seed, (unsigned long long)r.trace,
				(unsigned long long)again.trace);
			r.violations++;
		}
	}
	fflush(stdout);
	if (write(result, &r, sizeof(r)) != sizeof(r))
		_exit(1);
	_exit(r.violations ? 1 : 0);
}

static struct child start(const struct options *o, uint64_t seed)
{
	struct child child = {.seed = seed};
	int fds[2];

	fflush(stdout);
	if (pipe(fds) < 0 || (child.pid = fork()) < 0) {
		perror("postern_sim");
		exit(1);
	}
	if (child.pid == 0) {
		close(fds[0]);
		be_child(o, seed, fds[1]);
	}
	close(fds[1]);
	child.result = fds[0];
	return child;
}

static void add(struct sim_result *sum, const struct sim_result *r)
{
	sum->events += r->events;
	sum->simulated_ns += r->simulated_ns;
	sum->messages += r->messages;
	sum->acknowledged += r->acknowledged;
	sum->delivered += r->delivered;
	sum->bounced += r->bounced;
	sum->discarded += r->discarded;
	sum->notifications += r->notifications;
	sum->excused += r->excused;
	sum->destroyed += r->destroyed;
	sum->lost += r->lost;
	sum->ghosts += r->ghosts;
	sum->corrupted += r->corrupted;
	sum->duplicates += r->duplicates;
	sum->exposed += r->exposed;
	sum->relayed += r->relayed;
	sum->violations += r->violations;
	for (unsigned i = 0; i < SIM_FAULTS; i++)
		sum->faults[i] += r->faults[i];
}

static bool passes_unbroken(const struct options *o, uint64_t seed)
{
	struct options unbroken = *o;
	struct sim_result r;
	int status;

	unbroken.run.mutation = MUTATION_NONE;
	struct child child = start(&unbroken, seed);
	bool whole = read(child.result, &r, sizeof(r)) == sizeof(r);

	close(child.result);
	return waitpid(child.pid, &status, 0) == child.pid && whole && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static void finish(const struct options *o, const struct child *child, int status, struct totals *t)
{
	struct sim_result r = {0};
	bool whole = read(child->result, &r, sizeof(r)) == sizeof(r);

	close(child->result);
	t->runs++;
	if (whole)
		add(&t->sum, &r);
	if (whole && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		if (o->count == 1 && !o->quiet)
			printf("seed %llu: trace %016llx\n", (unsigned long long)child->seed,
				(unsigned long long)r.trace);
		return;
	}
	/* A seed that fails anyway says nothing about a mutation. */
	if (o->quiet && !passes_unbroken(o, child->seed))
		return;
	if (!t->failed++)
		t->first_failed = child->seed;
	if (o->quiet)
		return;
	printf("seed %llu FAILED", (unsigned long long)child->seed);
	if (WIFSIGNALED(status))
		printf(" (signal %d%s)", WTERMSIG(status),
			WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGXCPU ? ": it hangs"
										   : "");
	printf("; again: postern_sim --seed %llu --verbose\n", (unsigned long long)child->seed);
}

static void run_all(const struct options *o, struct totals *t)
{
	struct child running[RUNNING_MOST];
	unsigned count = 0;
	uint64_t next = 0;
	time_t began = time(NULL);

	for (;;) {
		bool more = next < o->count && (!o->seconds || time(NULL) - began < o->seconds) &&
			    !(o->run.mutation && t->failed);
		while (more && count < o->jobs) {
			running[count++] = start(o, o->first + next++);
			more = next < o->count;
		}
		if (!count)
			return;
		int status;
		pid_t pid = wait(&status);
		for (unsigned i = 0; i < count; i++) {
			if (running[i].pid != pid)
				continue;
			finish(o, &running[i], status, t);
			running[i] = running[--count];
			break;
		}
	}
}

static void print(const struct totals *t)
{
	const struct sim_result *s = &t->sum;

	printf("faults:");
	for (unsigned i = 0; i < SIM_FAULTS; i++)
		printf("%s %s %llu", i ? "," : "", sim_fault_name(i),
			(unsigned long long)s->faults[i]);
	printf("\nmessages %llu, recipients acknowledged %llu: delivered %llu, bounced %llu, ended "
	       "without a word as asked %llu; "
	       "notifications %llu, repeated as RFC 1047 allows %llu, destroyed by the disk %llu\n",
		(unsigned long long)s->messages, (unsigned long long)s->acknowledged,
		(unsigned long long)s->delivered, (unsigned long long)s->bounced,
		(unsigned long long)s->discarded, (unsigned long long)s->notifications,
		(unsigned long long)s->excused, (unsigned long long)s->destroyed);
	printf("%llu seeds, %.1f simulated days, %llu events, %llu crashes: lost %llu, ghosts "
	       "%llu, corrupted %llu, "
	       "duplicates %llu, exposed %llu, relayed %llu; %llu seeds failed\n",
		(unsigned long long)t->runs, (double)s->simulated_ns / 1e9 / 86400,
		(unsigned long long)s->events,
		(unsigned long long)(s->faults[FAULT_KILL_WORKER] + s->faults[FAULT_KILL_DELIVERY] +
				     s->faults[FAULT_POWER_CUT]),
		(unsigned long long)s->lost, (unsigned long long)s->ghosts,
		(unsigned long long)s->corrupted, (unsigned long long)s->duplicates,
		(unsigned long long)s->exposed, (unsigned long long)s->relayed,
		(unsigned long long)t->failed);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: postern_sim [--seed N] [--seeds N] [--from N] [--seconds S] [--jobs N] "
		"[--mutation NAME] [--twice] [--verbose]\n");
	return 2;
}

static enum sim_focus focus_of(enum sim_mutation mutation)
{
	switch (mutation) {
	case MUTATION_NO_EXTENT:
	case MUTATION_NO_PROOF: return FOCUS_FLIPS;
	case MUTATION_COUNT_PAUSE: return FOCUS_PAUSES;
	case MUTATION_DROP_PARTLY:
	case MUTATION_FORGET_POLICIES: return FOCUS_DEATHS;
	case MUTATION_ANY_HOST:
	case MUTATION_RELAX_ALL: return FOCUS_TRUST;
	case MUTATION_UNKNOWN_HOPS: return FOCUS_RELAY;
	default: return FOCUS_NONE;
	}
}

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {{"seed", 1, NULL, 's'}, {"seeds", 1, NULL, 'n'},
		{"from", 1, NULL, 'f'}, {"seconds", 1, NULL, 't'}, {"jobs", 1, NULL, 'j'},
		{"mutation", 1, NULL, 'm'}, {"twice", 0, NULL, 'w'}, {"verbose", 0, NULL, 'v'},
		{0}};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 's':
			o->first = strtoull(optarg, NULL, 0);
			o->count = 1;
			o->twice = true;
			break;
		case 'n': o->count = strtoull(optarg, NULL, 0); break;
		case 'f': o->first = strtoull(optarg, NULL, 0); break;
		case 't': o->seconds = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'j': o->jobs = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'm':
			o->run.mutation = sim_mutation_parse(optarg);
			if (o->run.mutation == SIM_MUTATIONS)
				return false;
			break;
		case 'w': o->twice = true; break;
		case 'v': o->verbose = true; break;
		default: return false;
		}
	}
	o->run.focus = focus_of(o->run.mutation);
	o->quiet = o->run.mutation && !o->verbose && o->count > 1;
	return o->jobs && o->jobs <= RUNNING_MOST;
}

int main(int argc, char **argv)
{
	struct options o = {.first = (uint64_t)time(NULL) * 1000, .count = 1};
	struct totals t = {0};
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	o.jobs = processors > 0 && processors < RUNNING_MOST ? (unsigned)processors : 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!parse(argc, argv, &o))
		return usage();
	run_all(&o, &t);
	if (o.run.mutation && o.quiet) {
		if (t.failed)
			printf("mutation %s: noticed, by seed %llu, the %llu. of %llu\n",
				sim_mutation_name(o.run.mutation),
				(unsigned long long)t.first_failed, (unsigned long long)t.runs,
				(unsigned long long)o.count);
		else
			printf("mutation %s: NOT noticed by %llu seeds\n",
				sim_mutation_name(o.run.mutation), (unsigned long long)t.runs);
		return t.failed ? 0 : 1;
	}
	if (o.count > 1 || t.failed)
		print(&t);
	return t.failed ? 1 : 0;
}
