"""The gateway under test: a start file and a folder of its own, the real programs."""
import json
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import subprocess

import yaml

from .smtp import Client
from .world import BUILD, IS_ROOT, WAIT_S, folder, free_port, remove, wait_until

ROLES = ("smtpd", "delivery", "admin", "keys", "fetch")
_programs = None


def programs():
    """A folder with copies of the programs: other users may not be allowed to look into the build folder, and a build may
    go on while tests run."""
    global _programs
    if _programs is None:
        _programs = folder()
        for name in ("posternd", "posternctl"):
            source = BUILD / name
            assert source.exists(), f"{source} is missing; build first (make build), or set POSTERN_BUILD"
            shutil.copy(source, _programs / name)
            (_programs / name).chmod(0o755)
    return _programs


def remove_programs():
    if _programs:
        remove(_programs)


class Postern:
    """start: fields for the start file beside the usual ones; objects: as for apply; user: run as that user; apart: mailboxes and trace
    stay here wherever the spool is."""

    def __init__(self, objects=None, start=None, user=None, home=None, config=None, apart=False):
        self.home = pathlib.Path(home) if home else folder()
        self.owns_home = home is None
        self.user = user if IS_ROOT else None
        self.log_path = self.home / "log"
        self.process = None
        self.objects = objects
        self.deaths_expected = False  # a test kills roles itself
        self.files = None  # the limit of open files
        self.programs = programs()
        self.config = self.home / "postern.yaml"
        if config is None:
            self.port = free_port()
            config = {
                "hostname": "gw.example.test",
                "spool": str(self.home / "spool"),
                "directory": str(self.home / "directory.db"),
                "control": str(self.home / "control.sock"),
                "workers": 2,
                "listeners": {"mx": {"address": f"127.0.0.1:{self.port}"}},
            }
            if apart:
                config.update({"mailboxes": str(self.home / "mail"), "trace": {"path": str(self.home / "trace")}})
            config.update(start or {})
            self.address = ("127.0.0.1", self.port)
            for listener in config["listeners"].values():
                host, port = listener["address"].rsplit(":", 1)
                self.address = (host.strip("[]").replace("0.0.0.0", "127.0.0.1"), int(port))
                break
            self.config.write_text(yaml.safe_dump(config, sort_keys=False))
        else:
            self.config.write_text(config)
            host, port = next(iter(yaml.safe_load(config)["listeners"].values()))["address"].rsplit(":", 1)
            self.address = (host, int(port))
        config = yaml.safe_load(self.config.read_text())
        self.spool = pathlib.Path(config["spool"])
        self.mail = pathlib.Path(config.get("mailboxes", self.spool.parent / "mail"))
        if self.user:
            entry = pwd.getpwnam(self.user)
            os.chown(self.home, entry.pw_uid, entry.pw_gid)

    # ---- life

    def start(self, apply=True):
        self.spawn()
        wait_until("the gateway's start", self._ready)
        if apply and self.objects is not None:
            self.apply(self.objects)
        return self

    def spawn(self):
        self.log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([self.programs / "posternd", "-c", self.config], stderr=log, stdout=log,
                                            stdin=subprocess.DEVNULL, cwd="/", user=self.user, start_new_session=True,
                                            preexec_fn=self._limit if self.files else None,
                                            group=pwd.getpwnam(self.user).pw_gid if self.user else None,
                                            extra_groups=[] if self.user else None)

    def _limit(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.files, self.files))

    def _ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"posternd ended with {self.process.returncode}:\n{self.log()}")
        status = self.ctl("--json", "status", code=None)
        if status.returncode:
            return False
        roles = json.loads(status.stdout)["roles"]
        return roles.get("delivery", {}).get("loaded") and len(roles) > 1

    def stop(self, timeout=WAIT_S):
        """Ends it as an administrator would; it must end cleanly, and never have found a mistake of its own."""
        if self.process is None:
            return
        process, self.process = self.process, None
        early = process.poll()
        if early is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                for pid in self.pids_of(process.pid):
                    kill(pid)
                kill(process.pid)
                process.wait()
                raise AssertionError(f"no end within {timeout} seconds of SIGTERM:\n{self.log()[-4000:]}") from None
        assert early is None, f"posternd had ended on its own with {early}:\n{self.log()[-4000:]}"
        assert process.returncode == 0, f"posternd ended with {process.returncode}:\n{self.log()[-4000:]}"
        self.check_log()

    def kill_all(self):
        """kill -9 of the supervisor and all roles at once."""
        process, self.process = self.process, None
        pids = [process.pid, *self.pids_of(process.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        process.wait()

    def check_log(self):
        text = self.log()
        bad_words = ["internal check failed", "AddressSanitizer", "runtime error:", "LeakSanitizer", "Bad system call"]
        for bad in bad_words + ([] if self.deaths_expected else ["a role died"]):
            assert bad not in text, f"the log has \"{bad}\":\n" + text[max(0, text.find(bad) - 3000):][:6000]

    def close(self):
        """The end of a test, whatever became of it."""
        try:
            if self.process is not None:
                self.stop()
        finally:
            if self.owns_home:
                remove(self.home)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_since_start(self):
        return self.log_path.read_bytes()[self.log_from:].decode(errors="replace")

    # ---- processes

    @staticmethod
    def pids_of(parent):
        with open(f"/proc/{parent}/task/{parent}/children") as f:
            return [int(word) for word in f.read().split()]

    def roles(self):
        """{name: [pids]} of the roles that run."""
        found = {}
        for pid in self.pids_of(self.process.pid):
            try:
                name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:
                continue
            for role in ROLES:
                if role in name:
                    found.setdefault(role, []).append(pid)
        return found

    # ---- posternctl

    def ctl(self, *args, code=0, input=None, user=None):
        done = subprocess.run([self.programs / "posternctl", "-c", self.config, *map(str, args)], capture_output=True, text=True,
                              input=input, timeout=60, user=user or self.user)
        if code is not None:
            assert done.returncode == code, f"posternctl {args} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}"
        return done

    def json(self, *args):
        return json.loads(self.ctl("--json", *args).stdout)

    def apply(self, objects, *options, code=0):
        text = objects if isinstance(objects, str) else yaml.safe_dump(objects, sort_keys=False)
        path = self.home / "objects.yaml"
        path.write_text(text)
        return self.ctl("apply", "-f", path, *options, code=code)

    def queue(self, *filter):
        return self.json("queue", "list", *filter)["messages"]

    def units(self, *filter):
        return [unit for message in self.queue(*filter) for unit in message["units"]]

    def unit(self, id):
        """The only unit of a message."""
        message, = self.json("queue", "show", id)["messages"]
        units = message["units"]
        assert len(units) == 1, units
        return units[0]

    def blocker(self, id):
        return self.unit(id)["blocker"]

    def wait_blocker(self, id, *blockers, timeout=WAIT_S):
        return wait_until(f"{id} is {blockers}", lambda: (u := self.unit(id))["blocker"] in blockers and u, timeout)

    def wait_empty(self, timeout=WAIT_S):
        wait_until("an empty queue", lambda: not self.queue(), timeout)

    def status(self):
        return self.json("status")

    def trace(self, *query):
        return self.json("trace", *query)["events"]

    def events(self, id, kind=None):
        return [e for e in self.trace(id) if e.get("id") == id and (kind is None or e["event"] == kind)]

    def wait_event(self, id, kind, timeout=WAIT_S):
        return wait_until(f"{kind} of {id}", lambda: self.events(id, kind), timeout)[-1]

    # ---- mail

    def client(self, **options):
        return Client(self.address, **options)

    def send(self, sender, to, body=None, **options):
        """One message over a connection of its own; its id."""
        with self.client() as client:
            return client.send(sender, to, body, **options)

    def maildir(self, address):
        """What lies in a mailbox: the files of new, in the order of their names."""
        local, domain = address.rsplit("@", 1)
        new = self.mail / domain / local / "new"
        return sorted(new.iterdir()) if new.is_dir() else []

    def wait_mailbox(self, address, count=1, timeout=WAIT_S):
        wait_until(f"{count} messages for {address}", lambda: len(self.maildir(address)) >= count, timeout)
        return [path.read_bytes() for path in self.maildir(address)]


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


TRACE_FIELDS = re.compile(rb"(?:Received: from [^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n)")
MAILBOX_FIELDS = re.compile(rb"Return-Path: <[^\r\n]*>\r?\nDelivered-To: [^\r\n]+\r?\n")


def without_trace(arrived, mailbox=False):
    """The message without the fields that the gateway prepended; that there are such, and no others, is checked."""
    if mailbox:
        found = MAILBOX_FIELDS.match(arrived)
        assert found, f"no Return-Path and Delivered-To at the start: {arrived[:300]!r}"
        arrived = arrived[found.end():]
    found = TRACE_FIELDS.match(arrived)
    assert found, f"no Received field at the start: {arrived[:300]!r}"
    return arrived[found.end():]
