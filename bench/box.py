"""Boxes that a measured program runs in: a cgroup, so that all its processes are counted and ended together, and
where it insists on fixed paths, a root of its own in a mount namespace. Nothing of the machine is changed."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

CGROUP_NAME = "postern-bench"
STOP_SECONDS = 10  # to end on SIGTERM, before SIGKILL
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
SYNC_CALLS = ("fsync", "fdatasync", "syncfs", "sync_file_range", "msync")
ETC = ("passwd", "group", "hosts", "nsswitch.conf", "services", "localtime", "ld.so.cache", "ld.so.conf")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


class Failed(Exception):
    """A measurement that did not come about: why, for people."""


class Groups:
    """cgroup v2 directories of our own; the file system is mounted on a directory of ours if nobody has."""

    def __init__(self, work):
        self.mounted = None
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
        roots = [m[1] for m in mounts if m[2] == "cgroup2"]
        if not roots:
            self.mounted = work / "cgroup2"
            self.mounted.mkdir()
            subprocess.run(["mount", "-t", "cgroup2", "none", self.mounted], check=True)
            roots = [self.mounted]
        self.machine = Path(roots[0])
        self.root = self.machine / f"{CGROUP_NAME}.{os.getpid()}"
        self.root.mkdir()
        self.tools = Group(self.root / "tools")

    def new(self, name):
        return Group(self.root / name)

    def machine_cpu(self):
        """CPU seconds that all processes of the machine used, ours and others'."""
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[:7])
        return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")

    def close(self):
        for path in sorted(self.root.rglob("*"), reverse=True):
            if path.is_dir():
                Group(path, new=False).close()
        self.root.rmdir()
        if self.mounted:
            subprocess.run(["umount", self.mounted], check=True)


class Group:
    """One cgroup: start programs in it, read what they used, end them."""

    def __init__(self, path, new=True):
        self.path = path
        self.started = []
        if new:
            path.mkdir()

    def start(self, argv, **options):
        def enter():
            with open(self.path / "cgroup.procs", "w") as procs:
                procs.write("0")

        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("env", ENVIRONMENT)
        process = subprocess.Popen([str(a) for a in argv], preexec_fn=enter, start_new_session=True, **options)
        self.started.append(process)
        return process

    def pids(self):
        return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]

    def cpu(self):
        """CPU seconds of all processes that ever ran here, also of those that have ended."""
        for line in (self.path / "cpu.stat").read_text().splitlines():
            if line.startswith("usage_usec "):
                return int(line.split()[1]) / 1e6
        raise Failed("no usage_usec in cpu.stat")

    def pss(self):
        """Bytes of memory: proportional set sizes summed, so that what processes share counts once."""
        total = 0
        for pid in self.pids():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended meanwhile
            for line in rollup.splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    def end(self, first=signal.SIGTERM):
        """Asks the programs we started, then kills by pid whatever is left in the group."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(first)
        deadline = time.monotonic() + STOP_SECONDS
        while self.pids():
            for process in self.started:
                process.poll()  # a child of ours stays listed until it is waited for
            if time.monotonic() > deadline - STOP_SECONDS / 2 and all(p.poll() is not None for p in self.started):
                break  # the main program is gone and the rest lingers
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        deadline = time.monotonic() + STOP_SECONDS
        while self.pids() and time.monotonic() < deadline:
            for pid in self.pids():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for process in self.started:
                process.poll()
            time.sleep(0.02)
        for process in self.started:
            process.wait()
        self.started.clear()

    def close(self):
        self.end()
        for _ in range(100):
            try:
                self.path.rmdir()
                return
            except OSError:  # the last process is not quite gone
                time.sleep(0.02)


class Cage:
    """A root directory with this machine's /usr, the peers' packages in /peers, and an /etc, /var and /run of its
    own. No name server is to be had in it."""

    def __init__(self, root, packages):
        self.root = root
        self.packages = packages
        for name in "usr peers etc dev proc run tmp var/empty var/spool var/log var/lib".split():
            (root / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
            if Path("/", name).is_symlink():
                (root / name).symlink_to(os.readlink(f"/{name}"))
        (root / "var/run").symlink_to("/run")
        (root / "tmp").chmod(0o1777)
        for name in ETC:
            if Path("/etc", name).exists():
                shutil.copy(f"/etc/{name}", root / "etc" / name)
        (root / "etc/resolv.conf").write_text("")
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        for name in DEVICES:
            (root / "dev" / name).touch()

    def argv(self, argv, environment=()):
        """The command that runs argv in here. The mounts live and end with the processes."""
        mounts = [f"mount --bind {what} {self.root}/{at}" for what, at in (("/usr", "usr"), (self.packages, "peers"))]
        mounts += [f"mount --bind /dev/{name} {self.root}/dev/{name}" for name in DEVICES]
        mounts += [f"mount --rbind /proc {self.root}/proc"]
        run = ["chroot", str(self.root), "env", *environment, *argv]
        script = " && ".join(mounts) + ' && exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "cage", *run]


class Syncs:
    """Counts the calls that force data to disk, by the processes of a group and their children: with the kernel's
    own tracing where it is there, since it hardly slows the program (slower means more messages in a group commit);
    else with strace."""

    def __init__(self, group, work):
        self.group = group
        self.work = work / "syncs"
        self.strace = None
        self.mount = None

    def __enter__(self):
        self.work.mkdir(exist_ok=True)
        threads = (self.group.path / "cgroup.threads").read_text().split()
        tried = subprocess.run(["mount", "-t", "tracefs", "none", self.work], capture_output=True)
        if tried.returncode == 0:
            self.mount = self.work
            self.instance = self.work / "instances" / f"{CGROUP_NAME}.{os.getpid()}"
            self.instance.mkdir()
            (self.instance / "options/event-fork").write_text("1")
            (self.instance / "set_event_pid").write_text(" ".join(threads))
            for call in SYNC_CALLS:
                event = self.instance / f"events/syscalls/sys_enter_{call}/enable"
                if event.exists():
                    event.write_text("1")
            self.how = "kernel tracing"
            return self
        self.out = self.work / "strace.out"
        argv = ["strace", "-f", "-c", "-U", "name,calls", "-e", "trace=" + ",".join(SYNC_CALLS), "-o", str(self.out)]
        for thread in threads:
            argv += ["-p", thread]
        self.strace = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)  # to attach to all of them
        self.how = "strace"
        return self

    def count(self):
        if self.strace:
            self.strace.send_signal(signal.SIGINT)
            self.strace.wait(timeout=STOP_SECONDS)
            rows = [line.split() for line in self.out.read_text().splitlines()]
            return sum(int(row[1]) for row in rows if len(row) == 2 and row[0] in SYNC_CALLS)
        total = 0
        for stats in self.instance.glob("per_cpu/cpu*/stats"):
            for line in stats.read_text().splitlines():
                if line.split(":")[0] in ("entries", "overrun", "dropped events"):
                    total += int(line.split(":")[1])
        return total

    def __exit__(self, *_):
        if self.strace and self.strace.poll() is None:
            self.strace.send_signal(signal.SIGINT)
            self.strace.wait(timeout=STOP_SECONDS)
        if self.mount:
            try:
                self.instance.rmdir()
            finally:
                subprocess.run(["umount", self.mount], check=True)
