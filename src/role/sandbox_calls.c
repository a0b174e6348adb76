/*
 * seccomp: the system calls that a role keeps. Anything else ends the process, which the
 * supervisor reports and starts again. The lists name what the role does and what the C library,
 * libuv, libunbound and SQLite do on its behalf.
 */
#include "base/check.h"
#include "base/err.h"
#include "role/sandbox_inner.h"

#include <errno.h>
#include <string.h>

/* Every role: memory, time, threads, the loop, its sockets. */
static const int common_calls[] = {
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getppid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getrusage),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo), /* of qsort(), for OpenSSL */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(eventfd2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(pipe2),
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
};

/* Who has files. */
static const int file_calls[] = {
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(lseek),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(openat),
	SCMP_SYS(getdents64),
	SCMP_SYS(fdatasync),
	SCMP_SYS(fsync),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(fadvise64),
	SCMP_SYS(fstatfs),
	SCMP_SYS(mkdirat),
	SCMP_SYS(unlinkat),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
};

/* The queue, DNS and the client: bodies go out by sendfile, names of mailboxes are linked. */
static const int delivery_calls[] = {
	SCMP_SYS(sendfile),
	SCMP_SYS(sendto),
	SCMP_SYS(connect),
	SCMP_SYS(bind),
	SCMP_SYS(linkat),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
};

/* libcurl's connections. */
static const int fetch_calls[] = {
	SCMP_SYS(sendto),
	SCMP_SYS(connect),
	SCMP_SYS(bind),
};

/* SQLite, and the snapshot's memfd. */
static const int admin_calls[] = {
	SCMP_SYS(memfd_create),
	SCMP_SYS(dup),
	SCMP_SYS(open),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(access),
	SCMP_SYS(unlink),
	SCMP_SYS(getcwd),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(fchmod),
};

#ifdef SANITIZED
static const int sanitizer_calls[] = {
	SCMP_SYS(mmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(open),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(personality),
	SCMP_SYS(ptrace),
	SCMP_SYS(wait4),
	SCMP_SYS(prlimit64),
	SCMP_SYS(getrlimit),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(kill),
	SCMP_SYS(tgkill),
	SCMP_SYS(tkill),
	SCMP_SYS(clone),
	SCMP_SYS(access),
	SCMP_SYS(msync),
	SCMP_SYS(mincore),
	SCMP_SYS(prctl),
	SCMP_SYS(arch_prctl),
	SCMP_SYS(getcwd),
	SCMP_SYS(ioctl),
};
#endif

static int allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
		/* A call that this machine's architecture lacks cannot be made either. */
		if (err < 0 && err != -EDOM)
			return err;
	}
	return 0;
}

static int fill(scmp_filter_ctx filter, enum role_kind kind)
{
	int err = sandbox_allow_in_part(filter, kind);

	if (err == 0)
		err = allow(filter, common_calls, ARRAY_SIZE(common_calls));
	if (err == 0 && !sandbox_has_no_files(kind))
		err = allow(filter, file_calls, ARRAY_SIZE(file_calls));
	if (err == 0 && sandbox_has_no_files(kind))
		err = sandbox_refuse_files(filter);
	if (err == 0 && kind == ROLE_FETCH)
		err = allow(filter, fetch_calls, ARRAY_SIZE(fetch_calls));
	if (err == 0 && kind == ROLE_DELIVERY)
		err = allow(filter, delivery_calls, ARRAY_SIZE(delivery_calls));
	if (err == 0 && kind == ROLE_ADMIN)
		err = allow(filter, admin_calls, ARRAY_SIZE(admin_calls));
#ifdef SANITIZED
	if (err == 0)
		err = allow(filter, sanitizer_calls, ARRAY_SIZE(sanitizer_calls));
#endif
	return err;
}

static int guard_shared(scmp_filter_ctx filter, enum role_kind kind)
{
	(void)kind;
	return sandbox_guard_shared(filter);
}

static int load(
	uint32_t otherwise, int (*rules)(scmp_filter_ctx, enum role_kind), enum role_kind kind)
{
	scmp_filter_ctx filter = seccomp_init(otherwise);
	if (!filter)
		return -ENOMEM;
	/* All threads that run, not this one alone. */
	int err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	/* A tree, not a list: a filter runs at every call. */
	if (err == 0)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (err == 0)
		err = rules(filter, kind);
	if (err == 0)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}

/* Of two filters the stricter counts. The other one first: it still allows to load the next. */
static int load_both(enum role_kind kind)
{
	int err = load(SCMP_ACT_ALLOW, guard_shared, kind);

	return err ? err : load(SCMP_ACT_KILL_PROCESS, fill, kind);
}

int sandbox_calls(const struct sandbox *sandbox, struct log *log, struct buf *problem)
{
	if (sandbox->mode == CONFIG_SANDBOX_OFF)
		return 0;
	int err = load_both(sandbox->kind);
	if (err == 0)
		return 0;
	if (sandbox->mode == CONFIG_SANDBOX_OPTIONAL) {
		log_write(log, LOG_WARN,
			"seccomp is not available: the role keeps all system calls",
			LOG_STR("reason", strerror(-err)));
		return 0;
	}
	buf_printf(problem,
		"seccomp is not available (%s): use a kernel with CONFIG_SECCOMP_FILTER, or set "
		"\"sandbox: "
		"optional\" in the start file",
		strerror(-err));
	return ERR_UNSUPPORTED;
}
