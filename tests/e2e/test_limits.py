"""Many connections, and too few descriptors: what is held goes on, what cannot be had is told or waited for, and nothing is lost."""
import json
import os
import pwd
import resource
import select
import socket
import subprocess
import time

import pytest

from lib.peers import Elsewhere
from lib.smtp import Client, Closed, message
from lib.world import BUILD, free_port, wait_until

MANY = 8000
PER_CONNECTION = 16 << 10


def one_hop(hop, **fields):
    return {"transports": {"t": {"server": hop.server_name, "retry-delay": "1s", **fields}}, "domains": {"a.example": {"transport": "t"}}}


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory(pid):
    """Bytes that are the process's own."""
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) * 1024 for line in f if line.startswith(("Private_Dirty:", "Private_Clean:")))


@pytest.fixture
def many_files():
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    if old[1] < MANY + 1000:
        pytest.skip(f"not more than {old[1]} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (old[1], old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, old)


def connect(address, count, first=b""):
    """Connections that were greeted."""
    sockets = []
    for _ in range(count):
        one = socket.create_connection(address, 60)
        sockets.append(one)
        if first:
            one.sendall(first)
    return sockets


def read_all(sockets, end, timeout=60):
    """What each said until it said `end`."""
    said = {one: b"" for one in sockets}
    waiting = set(sockets)
    poll = select.poll()
    by_number = {one.fileno(): one for one in sockets}
    for one in sockets:
        poll.register(one, select.POLLIN)
    until = time.monotonic() + timeout
    while waiting and time.monotonic() < until:
        for number, _ in poll.poll(1000):
            one = by_number[number]
            data = one.recv(65536)
            said[one] += data
            if end in said[one] or not data:
                waiting.discard(one)
                poll.unregister(one)
    assert not waiting, f"{len(waiting)} of {len(sockets)} got no answer"
    return said


def test_thousands_of_connections_on_one_worker(gateway, sink, many_files):
    hop = sink()
    server = gateway(one_hop(hop), start={"workers": 1, "limits": {"connections": MANY + 20}, "log": {"level": "warn"}})
    pid = server.roles()["smtpd"][0]
    before = memory(pid)
    sockets = connect(server.address, MANY, b"EHLO client.example\r\nMAIL FROM:<a@sender.example>\r\nRCPT TO:<x@a.example>\r\n")
    try:
        assert all(b"250 2.1.5" in text for text in read_all(sockets, b"250 2.1.5").values())
        each = (memory(pid) - before) / MANY
        if b"__asan_init" not in (BUILD / "posternd").read_bytes():
            assert each <= PER_CONNECTION, f"{each:.0f} bytes for a connection"
        # New clients, and mail, as if nothing were.
        for n in range(30):
            server.send("a@sender.example", f"meanwhile{n}@a.example")
        hop.wait(30)
        assert server.status()["roles"]["smtpd 0"]["sessions"] == MANY
        # One more than it may hold is told so.
        extra = [Client(server.address) for _ in range(20)]
        one_more = Client(server.address, greet=False)
        assert one_more.reply().code == 421
        assert one_more.is_closed()
        for client in extra:
            client.close()
        # Every one of them still works.
        for one in sockets:
            one.sendall(b"RSET\r\nQUIT\r\n")
        assert all(b"221 " in text for text in read_all(sockets, b"221 ").values())
    finally:
        for one in sockets:
            one.close()
    wait_until("no sessions", lambda: server.status()["roles"]["smtpd 0"]["sessions"] == 0)
    assert server.roles()["smtpd"] == [pid]


def test_who_is_turned_away_and_stays_takes_up_little(gateway, sink):
    """Each is told 421 and the end; that nobody closes afterwards costs the gateway next to nothing, and those inside nothing."""
    hop = sink()
    server = gateway(one_hop(hop), start={"workers": 1, "limits": {"connections": 10}})
    pid = server.roles()["smtpd"][0]
    inside = [Client(server.address) for _ in range(10)]
    full = descriptors(pid)
    outside = connect(server.address, 500)
    try:
        said = read_all(outside, b"\r\n")
        assert all(text.startswith(b"421 4.3.2") for text in said.values())
        assert descriptors(pid) - full < 30
        for n, client in enumerate(inside):
            client.ehlo()
            client.send("a@sender.example", f"x{n}@a.example")
        hop.wait(10)
        # A place that becomes free is for the next one, whoever still hangs about.
        inside.pop().close()
        wait_until("a place", lambda: server.status()["roles"]["smtpd 0"]["sessions"] == 9)
        assert server.send("a@sender.example", "next@a.example")
    finally:
        for one in outside:
            one.close()
        for client in inside:
            client.close()


@pytest.mark.xdist_group("elsewhere")
def test_connections_of_one_client(gateway, peer):
    """Counted for each address; loopback has no such limit."""
    other = peer(Elsewhere())
    port = free_port("127.0.0.1", other.here)
    server = gateway(start={"workers": 1, "listeners": {"mx": {"address": f"0.0.0.0:{port}"}}, "limits": {"connections-per-client": 3}})
    script = """
import json, socket, sys
host, port = json.load(sys.stdin)
held, said = [], []
def one():
    s = socket.create_connection((host, port), 20)
    said.append(s.makefile("rb").readline().decode()[:9])
    return s
held = [one() for _ in range(5)]
held[0].sendall(b"QUIT\\r\\n")
while held[0].recv(4096): pass
held[0].close()
import time
for _ in range(100):
    s = one()
    if said[-1].startswith("220"): break
    s.close(); said.pop(); time.sleep(0.1)
print(json.dumps(said))
"""
    done = other.inside("/usr/bin/python3", "-c", script, input=json.dumps([other.here, port]))
    assert [line[:3] for line in json.loads(done.stdout)] == ["220", "220", "220", "421", "421", "220"]
    clients = [Client(("127.0.0.1", port)) for _ in range(8)]
    for client in clients:
        client.close()


def allow(server, pid, most):
    """So many descriptors at most; as the gateway's user, since root need not be allowed to."""
    done = subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={most}:"], capture_output=True, text=True, user=server.user,
                          group=pwd.getpwnam(server.user).pw_gid if server.user else None)
    assert done.returncode == 0, done.stderr


def test_smtpd_without_descriptors(gateway, sink):
    """Clients that find no descriptor are disconnected, and may come again; those that are there go on, and their mail is stored."""
    hop = sink()
    server = gateway(one_hop(hop), user="nobody",
                     start={"workers": 1, "limits": {"inline-bytes": "64K"}, "storage": {"segment-size": "1M"}})
    before = server.roles()
    pid = before["smtpd"][0]
    allow(server, pid, descriptors(pid) + 12)
    held, turned_away = [], 0
    for _ in range(40):
        client = Client(server.address, greet=False, timeout=20)
        try:
            assert client.reply().code == 220
            held.append(client)
        except (Closed, OSError):
            turned_away += 1
            client.close()
    assert len(held) >= 5 and turned_away >= 20
    assert "raise the limit of open files" in server.log()
    acknowledged, refused = [], []
    for n, client in enumerate(held):
        client.ehlo()
        for size in (10, 3000):  # the second wants a file of its own
            to = f"x{n}-{size}@a.example"
            client.envelope("a@sender.example", to)
            client.cmd("DATA", 354)
            client.raw(message("m", ("y" * 70 + "\n") * size) + b".\r\n")
            code = client.reply().code
            assert code in (250, 451, 452)
            (acknowledged if code == 250 else refused).append(to)
    assert len(acknowledged) >= len(held)
    for client in held:
        client.close()

    def send_again():
        try:
            return server.send("a@sender.example", "again@a.example", message("m", ("y" * 70 + "\n") * 3000))
        except (Closed, OSError):
            return None
    wait_until("mail is taken", send_again)
    wait_until("all mail", lambda: {*acknowledged, "again@a.example"} <= {r for m in list(hop.messages) for r in m.rcpts})
    assert not set(refused) & {r for m in hop.messages for r in m.rcpts}
    assert server.roles() == before


def test_delivery_without_descriptors(gateway, sink):
    """Not one connection more can be had: mail waits, by a retry that is told, and goes when there are descriptors."""
    hop = sink()
    server = gateway({**one_hop(hop, connections=50), "domains": {"a.example": {"transport": "t"}, "c.example": {"mailboxes": True}},
                      "accounts": {"ann@c.example": {}}}, start={"workers": 1}, user="nobody")
    before = server.roles()
    pid = before["delivery"][0]
    server.ctl("queue", "pause")
    with server.client() as client:
        for n in range(60):
            client.send("a@sender.example", f"x{n}@a.example")
            client.send("a@sender.example", "ann@c.example", message(f"number {n}"))
    allow(server, pid, descriptors(pid) + 2)
    server.ctl("queue", "resume")
    time.sleep(2)
    assert server.status()["roles"]["delivery"]["loaded"]
    allow(server, pid, 1024)
    wait_until("retries", lambda: server.ctl("queue", "retry", "age>=0s", code=None).returncode == 0 or not server.queue())
    wait_until("all mail", lambda: len({r for m in list(hop.messages) for r in m.rcpts}) == 60, 40)
    assert len(server.wait_mailbox("ann@c.example", 60, 40)) == 60
    server.wait_empty()
    assert len(hop.messages) == 60
    assert server.roles() == before


def test_descriptors_beyond_the_hard_limit(gateway, sink):
    """As many connections as the start file names need more descriptors than the system gives: told at the start, or served as far as it
    goes; never a crash."""
    hop = sink()
    server = gateway(one_hop(hop), start={"workers": 1}, started=False)
    server.files = 128
    server.start()
    before = server.roles()
    held = []
    for _ in range(150):
        try:
            held.append(Client(server.address, timeout=20))
        except (Closed, OSError):
            pass
    assert 10 <= len(held) < 128
    assert held[0].send("a@sender.example", "x@a.example")
    hop.wait(1)
    for client in held:
        client.close()
    wait_until("a place", lambda: server.send("a@sender.example", "y@a.example"))
    hop.wait(2)
    assert server.roles() == before
