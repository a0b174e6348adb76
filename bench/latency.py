"""Latency at a modest, even rate: a paced client whose messages carry the moment of their connect, and a sink that
notes when each was there whole. Both run as processes of their own, on the clock that they share."""

import os
import selectors
import socket
import struct
import sys
import time

from box import Failed
from peers import free_port

RATE = 100  # messages per second
BODY_BYTES = 10240
MARK = b"X-Sent-At: "
CLIENT_SECONDS = 60  # beyond its schedule
STALL_SECONDS = 15
REPLIES = {
    b"EHLO": b"250-sink.bench.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}


class Session:
    def __init__(self, connection):
        self.connection = connection
        self.got = b""
        self.data = False
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def feed(self, arrived):
        """Answers what came; yields the sending time of each message that is whole."""
        self.got += arrived
        answer = b""
        while True:
            if self.data:
                end = self.got.find(b"\r\n.\r\n")
                if end < 0:
                    break
                at = self.got.find(MARK, 0, end)
                if at >= 0:
                    yield int(self.got[at + len(MARK) : self.got.index(b"\r\n", at)])
                self.got = self.got[end + 5 :]
                self.data = False
                answer += b"250 taken\r\n"
                continue
            end = self.got.find(b"\r\n")
            if end < 0:
                break
            verb = self.got[:4].upper()
            self.got = self.got[end + 2 :]
            self.data = verb == b"DATA"
            answer += REPLIES.get(verb, b"250 ok\r\n")
        if answer:
            self.connection.sendall(answer)


def sink(listener, report):
    """Writes (sent, arrived) pairs of nanoseconds to a file descriptor, for ever."""
    ready = selectors.DefaultSelector()
    ready.register(listener, selectors.EVENT_READ, None)
    while True:
        for key, _ in ready.select():
            if key.data is None:
                connection, _ = listener.accept()
                ready.register(connection, selectors.EVENT_READ, Session(connection))
                connection.sendall(b"220 sink.bench.test ESMTP\r\n")
                continue
            try:
                arrived = key.fileobj.recv(65536)
                now = time.monotonic_ns()
                for sent in key.data.feed(arrived):
                    os.write(report, struct.pack("=qq", sent, now))
            except OSError:
                arrived = b""
            if not arrived:
                ready.unregister(key.fileobj)
                key.fileobj.close()


class Sender:
    """One message over one connection, a command at a time as most clients do."""

    def __init__(self, port, body):
        self.begun = time.monotonic_ns()
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))
        head = b"From: a@x.test\r\nTo: b@y.test\r\nSubject: bench\r\n" + MARK + b"%d\r\n\r\n" % self.begun
        self.steps = [
            (b"220", b"EHLO client.bench.test\r\n"),
            (b"250", b"MAIL FROM:<a@x.test>\r\n"),
            (b"250", b"RCPT TO:<b@y.test>\r\n"),
            (b"250", b"DATA\r\n"),
            (b"354", head + body + b".\r\n"),
            (b"250", b"QUIT\r\n"),
            (b"221", b""),
        ]
        self.got = b""

    def feed(self):
        """Takes what the server says; True when all is done. Failed when it says anything else than it should."""
        arrived = self.socket.recv(65536)
        if not arrived:
            raise Failed("the server closed the connection")
        self.got += arrived
        lines = self.got.split(b"\r\n")
        if lines[-1] or lines[-2][3:4] == b"-":
            return False
        self.got = b""
        code, say = self.steps.pop(0)
        if not lines[-2].startswith(code):
            raise Failed(f"the server says {lines[-2].decode(errors='replace')}")
        if say:
            self.socket.setblocking(True)
            self.socket.sendall(say)
            self.socket.setblocking(False)
        return not self.steps


def client(port, messages):
    """Sends messages at the even rate, whatever becomes of those before (an open loop)."""
    line = b"x" * 78 + b"\r\n"
    body = line * (BODY_BYTES // len(line))
    ready = selectors.DefaultSelector()
    first = time.monotonic() + 0.05
    deadline = first + messages / RATE + CLIENT_SECONDS
    started = active = 0
    while started < messages or active:
        due = first + started / RATE
        now = time.monotonic()
        if now > deadline:
            raise Failed(f"{active} messages are not taken yet")
        if started < messages and now >= due:
            sender = Sender(port, body)
            ready.register(sender.socket, selectors.EVENT_READ, sender)
            started += 1
            active += 1
            continue
        wait = due - now if started < messages else 1.0
        for key, _ in ready.select(max(0.0, wait)):
            if key.data.feed():
                ready.unregister(key.fileobj)
                key.fileobj.close()
                active -= 1


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Sink:
    """The sink as a process."""

    def __init__(self, groups):
        self.port = free_port()
        listener = socket.create_server(("127.0.0.1", self.port), backlog=2000)
        self.records, report = os.pipe()
        os.set_blocking(self.records, False)
        os.set_inheritable(report, True)
        listener.set_inheritable(True)
        argv = [sys.executable, __file__, "sink", listener.fileno(), report]
        self.process = groups.tools.start(argv, pass_fds=(listener.fileno(), report))
        listener.close()
        os.close(report)

    def collect(self, wanted):
        """Pairs (sent, arrived) until there are so many or no more come."""
        pairs = []
        rest = b""
        moved = time.monotonic()
        while len(pairs) < wanted and time.monotonic() - moved < STALL_SECONDS:
            try:
                rest += os.read(self.records, 65536)
            except BlockingIOError:
                time.sleep(0.02)
                continue
            whole = len(rest) // 16 * 16
            pairs += struct.iter_unpack("=qq", rest[:whole])
            rest = rest[whole:]
            moved = time.monotonic()
        return pairs

    def stop(self):
        self.process.kill()
        self.process.wait()
        os.close(self.records)


def run(groups, peer, messages):
    """One round: connect-to-arrival in milliseconds. A tenth as many messages go before, to warm up."""
    sink = Sink(groups)
    try:
        peer.start(sink.port)
        for count in (messages // 10 + 1, messages):
            argv = [sys.executable, __file__, "client", peer.port if peer.relay else sink.port, count]
            process = groups.tools.start(argv)
            pairs = sink.collect(count)
            if process.wait(timeout=CLIENT_SECONDS) != 0:
                raise Failed("the paced client failed")
            if len(pairs) != count:
                raise Failed(f"{count - len(pairs)} of {count} messages were lost")
        spent = [(arrived - sent) / 1e6 for sent, arrived in pairs]
        return {"messages": messages, "p50": percentile(spent, 0.5), "p99": percentile(spent, 0.99), "max": max(spent)}
    finally:
        peer.stop()
        sink.stop()


if __name__ == "__main__":
    if sys.argv[1] == "sink":
        sink(socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3]))
    else:
        try:
            client(int(sys.argv[2]), int(sys.argv[3]))
        except Failed as failure:
            sys.exit(f"latency client: {failure}")
