"""TLS on both sides of a relay: bench_source speaks STARTTLS (or TLS at once) to the peer, the peer speaks STARTTLS
to bench_sink. Messages are numbered, so that each arrives once or the load counts as failed. The certificates, too,
and the tools' counters, which handshakes.py reads as well."""

import os
import struct
import subprocess
import time

from box import Failed
from load import SESSIONS, START_SECONDS, Sink, end
from load import measure as measure_load
from peers import BUILD, HOSTNAME, free_port, greets

KINDS = {
    "ecdsa": ("ECDSA P-256", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    "rsa": ("RSA 2048", ["rsa:2048"]),
}
DAYS = "30"
NUMBERS = ("messages", "twice", "strange", "connections", "handshakes", "resumed", "begun", "ended")
LAYOUT = struct.Struct(f"={len(NUMBERS)}Q64s")  # counts.h
TOOLS = BUILD / "bench"


def build_tools():
    if not (BUILD / "build.ninja").exists():
        raise SystemExit(f"bench/run: {BUILD} is no build directory; make build makes it (or set BUILD)")
    subprocess.run(["ninja", "-C", BUILD, "bench_tools"], check=True, stdout=subprocess.DEVNULL)


class Link:
    """How TLS is spoken in one measurement. A peer has it, or None."""

    def __init__(self, work, kind, entry="starttls", resume=True):
        self.kind = kind
        self.entry = entry  # starttls or implicit: towards the peer; from it, it is always STARTTLS
        self.resume = resume
        self.certificate = work / f"{kind}.crt"
        self.key = work / f"{kind}.key"
        if not self.certificate.exists():
            argv = ["openssl", "req", "-x509", "-nodes", "-days", DAYS, "-subj", f"/CN={HOSTNAME}"]
            argv += ["-addext", f"subjectAltName=DNS:{HOSTNAME}", "-newkey", *KINDS[kind][1]]
            argv += ["-keyout", self.key, "-out", self.certificate]
            subprocess.run(argv, check=True, capture_output=True)

    def words(self):
        """What the tools want to know of it."""
        return ["resume" if self.resume else "afresh"]


class Counts:
    """The counters of a tool, in a file of memory that is its standard output."""

    def __init__(self):
        self.file = os.memfd_create("counts")

    def read(self):
        data = os.pread(self.file, LAYOUT.size, 0)
        if len(data) < LAYOUT.size:  # it has not begun
            data = bytes(LAYOUT.size)
        *numbers, spoken = LAYOUT.unpack(data)
        return {**dict(zip(NUMBERS, numbers)), "link": spoken.split(b"\0")[0].decode()}

    def close(self):
        os.close(self.file)


class TlsSink(Sink):
    """bench_sink, and sources whose messages it knows by number. Without a link all is in clear."""

    def __init__(self, groups, link):
        self.groups = groups
        self.link = link
        self.port = free_port()
        self.counts = Counts()
        self.sources = []
        self.sent = 0
        argv = [TOOLS / "bench_sink", self.port, "starttls" if link else "none"]
        argv += [*link.words(), link.certificate, link.key] if link else ["afresh", "-", "-"]
        self.process = groups.tools.start(argv, stdout=self.counts.file)
        deadline = time.monotonic() + START_SECONDS
        while not greets(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed("bench_sink does not start")
            time.sleep(0.01)

    def count(self):
        return self.counts.read()["messages"]

    def extra(self, wanted):
        counts = self.counts.read()
        return counts["twice"] + counts["strange"]

    def source(self, peer, messages, size, keep):
        entry = "none"
        if self.link:
            entry = self.link.entry if peer.relay else "starttls"
        argv = [TOOLS / "bench_source", peer.port, entry, *(self.link.words() if self.link else ["afresh"])]
        argv += [min(SESSIONS, messages), messages, "kept" if keep else "mail", self.sent + 1, size]
        self.sent += messages
        counts = Counts()
        self.sources.append(counts)
        return self.groups.tools.start(argv, stdout=counts.file, stderr=subprocess.PIPE)

    def stop(self):
        end(self.process)
        for counts in [self.counts, *self.sources]:
            counts.close()


def seen(link, into, out):
    """What the two tools saw of TLS: handshakes per message, the share of them that were resumed, what was spoken.
    That all mail was under TLS is certain: the source starts it, and the sink takes none in clear."""
    for counts in (into, out):
        if not counts["handshakes"] or (counts["resumed"] and not link.resume):
            raise Failed(f"{counts['handshakes']} handshakes, {counts['resumed']} of them resumed")
    return {
        "in-handshakes": into["handshakes"] / into["messages"],
        "in-resumed": into["resumed"] / into["handshakes"],
        "out-handshakes": out["handshakes"] / out["messages"],
        "out-resumed": out["resumed"] / out["handshakes"],
        "spoken": into["link"],
        "spoken-out": out["link"],
    }


def measure(groups, peer, sink, size, keep, messages, seconds):
    """One round of one cell: what every load tells, and what was seen of TLS."""
    values = measure_load(groups, peer, sink, size, keep, messages, seconds)
    if sink.link:
        values |= seen(sink.link, sink.sources[-1].read(), sink.counts.read())
    return values
