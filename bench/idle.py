"""Memory per idle connection: sessions that have said EHLO and then nothing."""

import resource
import socket
import time

from box import Failed
from load import Sink

CONNECT_SECONDS = 60
QUIET_SECONDS = 1.0  # until memory is read


def allow_files(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))


def open_sessions(port, count):
    """Sessions after EHLO. The greetings are awaited together, so that a server may start processes meanwhile."""
    opened = []
    deadline = time.monotonic() + CONNECT_SECONDS
    try:
        for _ in range(count):
            opened.append(socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS))
        for say, code in ((b"EHLO client.bench.test\r\n", b"220"), (None, b"250")):
            for connection in opened:
                reply = b""
                while not reply.endswith(b"\n") or reply.rstrip(b"\r\n").split(b"\n")[-1][3:4] == b"-":
                    if time.monotonic() > deadline:
                        raise Failed(f"the server did not greet {count} sessions in {CONNECT_SECONDS} s")
                    arrived = connection.recv(4096)
                    if not arrived:
                        raise Failed("the server closed an idle session")
                    reply += arrived
                if not reply.startswith(code):
                    raise Failed(f"the server says {reply.decode(errors='replace').strip()}")
                if say:
                    connection.sendall(say)
    except (OSError, Failed) as failure:
        for connection in opened:
            connection.close()
        raise Failed(f"{len(opened)} of {count} idle sessions: {failure}") from None
    return opened


def run(groups, peer):
    """Bytes (PSS) per session: of the first few, and of each beyond."""
    few, many = peer.idle_counts
    allow_files(many + 200)
    sink = Sink(groups)
    sessions = []
    try:
        peer.start(sink.port)
        sessions = open_sessions(peer.port, 2)  # what is started for the first session counts for none
        time.sleep(QUIET_SECONDS)
        memory = [peer.group.pss()]
        for count in (few, many):
            sessions += open_sessions(peer.port, count - len(sessions) + 2)
            time.sleep(QUIET_SECONDS)
            memory.append(peer.group.pss())
        return {
            "counts": [few, many],
            "none": memory[0],
            "first": (memory[1] - memory[0]) / few,
            "further": (memory[2] - memory[1]) / (many - few),
            "per-session": (memory[2] - memory[0]) / many,
        }
    finally:
        for connection in sessions:
            connection.close()
        peer.stop()
        sink.stop()
