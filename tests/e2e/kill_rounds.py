"""Rounds of real kill -9 under load: each role in turn, everything at once, and the same with a full disk.

usage: kill_rounds.py ROUNDS

Clients send messages with a token each and note what became of it: acknowledged (250), refused, or in doubt (the connection
died before the reply). Postfix's smtp-source sends beside them. The next hop keeps a ledger. After each round:

  lost         acknowledged, and did not arrive: none may be
  ghosts       refused, and arrived nevertheless: none may be
  damaged      arrived with other bytes than were sent: none may be
  duplicates   arrived more than once: only what had arrived shortly before a kill of the role that keeps the account of it
               (RFC 1047), and never more than were under way
"""
import collections
import random
import re
import subprocess
import sys
import threading
import time

import pytest

from lib import postern
from lib.disks import Ext4
from lib.peers import SBIN, environment
from lib.sink import Sink
from lib.smtp import Closed, stuffed
from lib.world import wait_until

WORKERS = 8
SOURCE_MESSAGES = 150
# The journal is synced this often (storage.journal-delay), and a machine under load may take a while longer.
UNDER_WAY_S = 2.0
TOKEN = re.compile(rb"X-Token: (\S+)\r\n")
TARGETS = ("smtpd", "delivery", "admin", "everything", "delivery", "smtpd and delivery")
# In every second run through these the disk is full before the blow falls, and until after it.
SPOOL_DISK = 192 << 20
FULL_S = 0.5


class Ledger:
    """What was sent, and what arrived."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged, self.refused, self.doubtful = set(), set(), set()
        self.sizes = {}
        self.arrivals = collections.defaultdict(list)
        self.damaged = []
        self.source = collections.Counter()

    def arrived(self, message):
        found = TOKEN.search(message.body)
        with self.lock:
            if not found:
                self.source[message.rcpts[0]] += 1
                return
            token = found[1].decode()
            self.arrivals[token].append(message.time)
            if message.body.split(b"\r\n\r\n", 1)[1] != body_of(token):
                self.damaged.append(token)


def body_of(token):
    """Some short, some long enough for a file of their own in the spool; lines with dots."""
    n = int(token.rsplit("-", 1)[1])
    lines = 20_000 if n % 97 == 0 else 400 if n % 7 == 0 else 20
    return (b"." + token.encode() + b"\r\n") * lines


class Worker(threading.Thread):
    def __init__(self, number, server, ledger):
        super().__init__(daemon=True)
        self.number, self.server, self.ledger = number, server, ledger
        self.stopping = False
        self.count = 0

    def run(self):
        while not self.stopping:
            try:
                with self.server.client(timeout=10) as client:
                    while not self.stopping:
                        self.one(client)
            except (OSError, Closed, AssertionError):
                time.sleep(0.02)

    def one(self, client):
        token = f"{self.number}-{self.count}"
        self.count += 1
        message = f"From: <a@sender.example>\r\nX-Token: {token}\r\nSubject: load\r\n\r\n".encode() + body_of(token)
        client.raw(b"MAIL FROM:<a@sender.example>\r\nRCPT TO:<x@a.example>\r\nDATA\r\n")
        for code in (250, 250, 354):
            client.expect(code)
        with self.ledger.lock:
            self.ledger.doubtful.add(token)
        client.raw(stuffed(message) + b".\r\n")
        reply = client.reply()
        with self.ledger.lock:
            self.ledger.doubtful.discard(token)
            (self.ledger.acknowledged if reply.code == 250 else self.ledger.refused).add(token)


def smtp_source(server, round_number):
    if not (SBIN / "smtp-source").exists():
        return None
    return subprocess.Popen([SBIN / "smtp-source", "-m", str(SOURCE_MESSAGES), "-s", "4", "-l", "3000", "-f", "s@sender.example", "-t",
                             f"source{round_number}@a.example", "127.0.0.1:%d" % server.port], env=environment(),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def strike(server, target):
    """The moments of the deaths of what keeps the account of deliveries."""
    now = time.time()
    if target == "everything":
        server.kill_all()
        server.start(apply=False)
        return [now]
    victims = [role for role in ("smtpd", "delivery", "admin") if role in target]
    for role in victims:
        for pid in server.roles().get(role, []):
            postern.kill(pid)
    return [now] if "delivery" in victims else []


def own_disk():
    """None where nothing may be mounted."""
    try:
        return Ext4(SPOOL_DISK)
    except pytest.skip.Exception as e:
        print(f"no rounds with a full disk: {e}")
        return None


def fill(disk):
    """To the last byte, again and again while mail that goes out makes room."""
    end = time.monotonic() + FULL_S
    while time.monotonic() < end:
        disk.fill()
        time.sleep(0.02)


def is_well(server):
    return all(role["spool"]["health"] == "well" for name, role in server.status()["roles"].items() if name.startswith("smtpd"))


def settle(server, counts):
    """All roles run again, the queue is empty, and mail is taken."""
    wait_until("all roles run", lambda: {k: len(v) for k, v in server.roles().items()} == counts, 30)
    wait_until("an empty queue", lambda: server._ready() and not server.queue(), 60, 0.1)
    wait_until("a spool that is well", lambda: is_well(server), 30, 0.1)


def check(ledger, deaths):
    with ledger.lock:
        arrivals = dict(ledger.arrivals)
        lost = ledger.acknowledged - set(arrivals)
        ghosts = ledger.refused & set(arrivals)
        unknown = set(arrivals) - ledger.acknowledged - ledger.refused - ledger.doubtful
        twice = {t: times for t, times in arrivals.items() if len(times) > 1}
        damaged = list(ledger.damaged)
    # Each repetition must be explained by a death soon after the arrival before it.
    unexplained = [t for t, times in twice.items()
                   if any(not any(before - 1 <= death <= before + UNDER_WAY_S for death in deaths) for before in times[:-1])]
    problems = [f"{name}: {sorted(what)[:10]}" for name, what in
                (("lost", lost), ("ghosts", ghosts), ("never sent", unknown), ("damaged", damaged),
                 ("duplicates without a reason", unexplained)) if what]
    return problems, sum(len(t) - 1 for t in twice.values())


def main(rounds):
    hop = Sink(keep_bodies=False)
    hop.keep_commands = False
    ledger = Ledger()
    hop.on_keep = ledger.arrived
    disk = own_disk()
    spool = {"spool": str(disk.at / "spool")} if disk else {}
    server = postern.Postern({"transports": {"t": {"server": hop.server_name, "retry-delay": "1s"}},
                              "domains": {"a.example": {"transport": "t"}}},
                             start={"storage": {"segment-size": "4M"}, "log": {"level": "warn"}, **spool}, apart=True)
    server.deaths_expected = True
    problems, deaths, sources = [], [], 0
    try:
        server.start()
        counts = {k: len(v) for k, v in server.roles().items()}
        for number in range(rounds):
            target = TARGETS[number % len(TARGETS)]
            full = disk and number // len(TARGETS) % 2 == 1
            begin = time.monotonic()
            workers = [Worker(number * WORKERS + n, server, ledger) for n in range(WORKERS)]
            for worker in workers:
                worker.start()
            source = smtp_source(server, number)
            time.sleep(random.uniform(0.2, 1.2))
            if full:
                fill(disk)
            deaths += strike(server, target)
            time.sleep(0.3)
            if full:
                disk.empty()
            for worker in workers:
                worker.stopping = True
            for worker in workers:
                worker.join(30)
            if source and source.wait(60) == 0:
                sources += SOURCE_MESSAGES
                wait_until("smtp-source's mail", lambda: ledger.source[f"source{number}@a.example"] >= SOURCE_MESSAGES, 30)
            settle(server, counts)
            problems, twice = check(ledger, deaths)
            print(f"round {number + 1:3} {target + (', full' if full else ''):26} {len(ledger.acknowledged):6} acknowledged, {len(ledger.doubtful):3} in doubt, "
                  f"{len(ledger.refused):3} refused, {len(ledger.acknowledged - set(ledger.arrivals)):3} lost, "
                  f"{twice:3} twice, {time.monotonic() - begin:.1f} s", flush=True)
            if problems:
                break
        if not problems:
            server.stop()
            verified = server.ctl("spool", "verify").stdout
            assert " 0 damaged" in verified, verified
            assert not hop.violations, hop.violations
    except BaseException:
        print(server.log()[-8000:])
        raise
    finally:
        hop.close()
        if server.process is not None:
            server.kill_all()
        log = server.log()
        postern.remove(server.home)
        postern.remove_programs()
        if disk:
            disk.close()
    if problems:
        print(log[-8000:])
        print("\n".join(problems))
        return 1
    print(f"{rounds} rounds, {len(ledger.acknowledged)} acknowledged and {sources} of smtp-source: 0 lost, {twice} twice")
    return 0


sys.exit(main(int(sys.argv[1])))
