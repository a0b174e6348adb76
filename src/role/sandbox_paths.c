/*
 * Landlock: what of the file system and of TCP a role keeps. Its system calls have no wrappers in
 * the C library; rights that this build's headers do not know are written down here, since the
 * kernel may be newer than they are.
 */
#include "base/check.h"
#include "base/err.h"
#include "role/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Since ABI 2, 3, 4, 5, 6. */
#define FS_REFER	(1ull << 13)
#define FS_TRUNCATE	(1ull << 14)
#define FS_IOCTL_DEV	(1ull << 15)
#define NET_BIND_TCP	(1ull << 0)
#define NET_CONNECT_TCP (1ull << 1)
#define SCOPE_ABSTRACT	(1ull << 0)
#define SCOPE_SIGNAL	(1ull << 1)

#define FS_OF_FILES                                                   \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
		LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                                     \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | LANDLOCK_ACCESS_FS_MAKE_REG | \
		LANDLOCK_ACCESS_FS_MAKE_DIR)
#define FS_FILL	  (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)
#define FS_REMOVE (LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | FS_REFER)

/* As the newest kernel we know takes it; an older one is given a shorter one. */
struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

struct net_rule {
	uint64_t allowed;
	uint64_t port;
};
#define RULE_NET_PORT 2

static long create_ruleset(const struct ruleset *rules, size_t size, unsigned flags)
{
	return syscall(SYS_landlock_create_ruleset, rules, size, flags);
}

int sandbox_landlock_abi(void)
{
	long abi = create_ruleset(NULL, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */);

	return abi > 0 ? (int)abi : 0;
}

void sandbox_init(struct sandbox *sandbox, enum role_kind kind, enum config_sandbox mode)
{
	*sandbox = (struct sandbox){.kind = kind,
		.mode = mode,
		.tcp_connect = kind == ROLE_DELIVERY || kind == ROLE_FETCH};
}

void sandbox_add_path(struct sandbox *sandbox, const char *path, unsigned access)
{
	CHECK(sandbox->path_count < SANDBOX_PATHS);
	sandbox->paths[sandbox->path_count++] = (struct sandbox_path){path, -1, access};
}

void sandbox_add_fd(struct sandbox *sandbox, int fd, unsigned access)
{
	CHECK(sandbox->path_count < SANDBOX_PATHS);
	sandbox->paths[sandbox->path_count++] = (struct sandbox_path){NULL, fd, access};
}

static uint64_t rights_of(unsigned access)
{
	return (access & SANDBOX_READ ? FS_READ : 0) | (access & SANDBOX_WRITE ? FS_WRITE : 0) |
	       (access & SANDBOX_REMOVE ? FS_REMOVE : 0) |
	       (access & SANDBOX_LIST ? LANDLOCK_ACCESS_FS_READ_DIR : 0) |
	       (access & SANDBOX_FILL ? FS_FILL : 0) |
	       (access & SANDBOX_UNLINK ? LANDLOCK_ACCESS_FS_REMOVE_FILE : 0);
}

static struct ruleset rules_for(int abi)
{
	struct ruleset rules = {.fs = FS_REFER - 1}; /* all of ABI 1 */

	if (abi >= 2)
		rules.fs |= FS_REFER;
	if (abi >= 3)
		rules.fs |= FS_TRUNCATE;
	if (abi >= 4)
		rules.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= 5)
		rules.fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		rules.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	return rules;
}

static size_t rules_size(int abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset);
	return abi >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, net);
}

static int add_rule(int ruleset, int fd, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = {.parent_fd = fd, .allowed_access = rights};
	struct stat info;

	if (fstat(fd, &info) == 0 && !S_ISDIR(info.st_mode))
		rule.allowed_access &= FS_OF_FILES;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return err_from_errno(errno);
	return 0;
}

static int add_path(int ruleset, const struct sandbox_path *path, uint64_t handled)
{
	uint64_t rights = rights_of(path->access) & handled;

	if (!path->path)
		return add_rule(ruleset, path->fd, rights);
	int fd = open(path->path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == EACCES ? 0 : err_from_errno(errno);
	int err = add_rule(ruleset, fd, rights);
	close(fd);
	return err;
}

static int restrict_self(const struct sandbox *sandbox, int abi)
{
	struct ruleset rules = rules_for(abi);

	/* Delivery connects to any port: transports name them, and they change at run time. */
	if (sandbox->tcp_connect)
		rules.net &= ~NET_CONNECT_TCP;
	int ruleset = (int)create_ruleset(&rules, rules_size(abi), 0);
	if (ruleset < 0)
		return err_from_errno(errno);
	int err = 0;
	for (size_t i = 0; i < sandbox->path_count && err == 0; i++)
		err = add_path(ruleset, &sandbox->paths[i], rules.fs);
	/* A source address is bound without a port. */
	const struct net_rule any_port = {NET_BIND_TCP, 0};
	if (err == 0 && sandbox->tcp_connect && (rules.net & NET_BIND_TCP) &&
		syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &any_port, 0) < 0)
		err = err_from_errno(errno);
	if (err == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		err = err_from_errno(errno);
	close(ruleset);
	return err;
}

int sandbox_paths(const struct sandbox *sandbox, struct log *log, struct buf *problem)
{
	/* Also with the sandbox off: no program that a role could start may gain anything. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		buf_add_str(problem, "cannot set no_new_privs");
		return ERR_UNSUPPORTED;
	}
	if (sandbox->mode == CONFIG_SANDBOX_OFF) {
		log_write(log, LOG_WARN,
			"sandbox: off: this role keeps every right of its user; set \"sandbox: "
			"required\"",
			LOG_STR("role", role_kind_name(sandbox->kind)));
		return 0;
	}
	int abi = sandbox_landlock_abi();
	int err = abi ? restrict_self(sandbox, abi) : ERR_UNSUPPORTED;
	if (err == 0)
		return 0;
	if (sandbox->mode == CONFIG_SANDBOX_OPTIONAL) {
		log_write(log, LOG_WARN,
			"Landlock is not available: files are guarded by the role's user alone",
			LOG_STR("reason", err_text(err)));
		return 0;
	}
	buf_printf(problem,
		"Landlock is not available (%s): boot with \"lsm=landlock,...\" on a kernel of "
		"5.13 or newer, or "
		"set \"sandbox: optional\" in the start file",
		err_text(err));
	return err;
}
