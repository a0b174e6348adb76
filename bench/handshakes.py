"""TLS handshakes: how many a server does in a second, and what each costs it. A connection is TLS from its first byte,
waits for the greeting, says QUIT, and ends. And what it costs that Postern's private keys are in a process of their
own: its loop with the key inside and with the key apart (tls_loop.c), in turn, in short loads."""

import os
import subprocess
import time
from statistics import median

import tls
from box import Failed
from load import SETTLE_SECONDS, WARM_MESSAGES, WARM_SECONDS, finish
from peers import Peer, free_port

KINDS = ("full", "resumed")
SESSIONS = 20  # at a time, of one source; few, since the first handshake of each cannot be a resumed one
LEAST = 400  # handshakes of a load
RESUMED_LEAST = 0.9  # of the handshakes of a load: the first of each session cannot be
PAIRS = 4  # loads of a round, each once with the key inside and once apart
MINUTE = 60


class Program(Peer):
    """One of our own small servers."""

    program = ""
    note = ""
    relay = False

    def argv(self):
        return [self.port, self.link.certificate, self.link.key]

    def start(self, _sink_port=None):
        self.counts = tls.Counts()
        super().start(None)

    def run(self):
        argv = [tls.TOOLS / self.program, *self.argv()]
        self.process = self.group.start(argv, stdout=self.counts.file, stderr=self.log)

    def stop(self):
        if self.group:
            self.counts.close()
        super().stop()


class Plain(Program):
    name, label = "openssl", "OpenSSL, plain loop"
    note = "bench_sink: one process that does nothing else; no QUIT"
    program = "bench_sink"

    def argv(self):
        return [self.port, "implicit", "resume", self.link.certificate, self.link.key]


class Inside(Program):
    name, label = "key-inside", "Postern's loop, key inside"
    note = "tls_loop.c: io/loop.h with the private key in the same process; no QUIT"
    program = "bench_tls_loop"

    def argv(self):
        return ["inside", *super().argv()]


class Apart(Program):
    name, label = "key-apart", "Postern's loop, keys apart"
    note = "the same with the key in a process of its own, as Postern has it; no QUIT"
    program = "bench_tls_loop"

    def argv(self):
        return ["apart", *super().argv()]


LOOPS = (Plain, Inside, Apart)


def shake(groups, peer, count):
    """So many connections: seconds, and what was spoken. Failed unless resumed handshakes are that, and full ones too."""
    link = peer.link
    sources = []
    each = max(1, (os.cpu_count() or 1) // 2)
    for part in range(each):
        counts = tls.Counts()
        share = count // each + (1 if part < count % each else 0)
        if not share:
            continue
        argv = [tls.TOOLS / "bench_source", peer.port, "implicit", *link.words(), min(SESSIONS, share), share]
        argv.append("quit" if peer.relay else "greet")
        sources.append((groups.tools.start(argv, stdout=counts.file, stderr=subprocess.PIPE), counts))
    try:
        for process, _ in sources:
            finish(process, MINUTE + count / 20)
        seen = [counts.read() for _, counts in sources]
    finally:
        for process, counts in sources:
            counts.close()
    done, resumed = (sum(counts[key] for counts in seen) for key in ("handshakes", "resumed"))
    if done != count:
        raise Failed(f"{done} handshakes instead of {count}")
    first = min(count, SESSIONS * each)
    if link.resume and resumed < (count - first) * RESUMED_LEAST or not link.resume and resumed:
        raise Failed(f"{resumed} of {done} handshakes were resumed")
    seconds = (max(c["ended"] for c in seen) - min(c["begun"] for c in seen)) / 1e9
    return seconds, seen[0]["link"]


def warm_up(groups, peer):
    """Handshakes in a second, roughly."""
    count = WARM_MESSAGES
    while True:
        seconds, _ = shake(groups, peer, count)
        if seconds >= WARM_SECONDS:
            return count / seconds
        count = max(count * 2, int(count * WARM_SECONDS / seconds * 1.1))


def process_cpu(process):
    """CPU seconds of one process, to the nanosecond: its clock (clock_getcpuclockid)."""
    return time.clock_gettime((~process.pid << 3) | 2)


def load(groups, peer, count):
    """One load, and all that it cost. `worker`: CPU of the process with the connections, which is what bounds it: it
    never waits for a signature."""
    before = peer.group.cpu(), groups.tools.cpu(), groups.machine_cpu(), time.monotonic()
    program = isinstance(peer, Program)
    own = process_cpu(peer.process) if program else 0
    seconds, spoken = shake(groups, peer, count)
    if program:
        own = process_cpu(peer.process) - own
    time.sleep(SETTLE_SECONDS)
    after = peer.group.cpu(), groups.tools.cpu(), groups.machine_cpu(), time.monotonic()
    cpu, tools_cpu, machine, wall = (new - old for old, new in zip(before, after))
    values = {
        "handshakes": count,
        "rate": count / seconds,
        "cpu": cpu / count * 1000,
        "tools-cpu": tools_cpu / count * 1000,
        "foreign": max(0.0, (machine - cpu - tools_cpu) / wall),
        "spoken": spoken,
    }
    if program:
        values["worker"] = own / count * 1000
        values["other-cpu"] = (cpu - own) / count * 1000
    return values


def run(groups, peer, link, seconds):
    """One round of one server."""
    peer.link = link
    try:
        peer.start(free_port())  # nobody listens there: no mail is sent
        return load(groups, peer, max(LEAST, int(warm_up(groups, peer) * seconds)))
    finally:
        peer.stop()
        peer.link = None


def together(loads):
    """Equal loads as one."""
    merged = {key: sum(values[key] for values in loads) / len(loads) for key in loads[0] if key != "spoken"}
    return merged | {"handshakes": sum(values["handshakes"] for values in loads), "spoken": loads[0]["spoken"]}


def compare(groups, inside, apart, link, seconds):
    """One round of the key inside and apart, in turn, so that what else the machine does hits both: the two, and what
    was lost, as medians of the pairs."""
    loads = {}
    both = (inside, apart)
    try:
        for peer in both:
            peer.link = link
            peer.start()
            loads[peer] = []
        count = max(LEAST, int(min(warm_up(groups, peer) for peer in both) * seconds / PAIRS))
        for number in range(PAIRS):
            for peer in both if number % 2 == 0 else both[::-1]:
                loads[peer].append(load(groups, peer, count))
    finally:
        for peer in both:
            peer.stop()
            peer.link = None
    pairs = list(zip(loads[inside], loads[apart]))
    lost = {
        "handshakes": sum(values["handshakes"] for peer in both for values in loads[peer]),
        "lost": median(1 - a["worker"] / b["worker"] for a, b in pairs),
        "lost-rate": median(1 - b["rate"] / a["rate"] for a, b in pairs),
        "more-cpu": median(b["cpu"] / a["cpu"] - 1 for a, b in pairs),
        "foreign": max(values["foreign"] for peer in both for values in loads[peer]),
    }
    return together(loads[inside]), together(loads[apart]), lost
