"""Ends and beginnings: what was acknowledged is there afterwards."""
import threading
import time

import pytest

from lib.peers import smtp_source
from lib.postern import kill, without_trace
from lib.smtp import Closed, message
from lib.world import IS_ROOT, wait_until


def one_hop(hop, **fields):
    return {"transports": {"t": {"server": hop.server_name, **fields}}, "domains": {"a.example": {"transport": "t"}}}


def test_the_queue_survives_a_restart(gateway, sink):
    hop = sink()
    server = gateway(one_hop(hop))
    server.ctl("queue", "pause")
    bodies = {}
    with server.client() as client:
        for n, size in enumerate([10, 1000, 70_000, 1_500_000, 3_000_000] * 4):
            bodies[f"x{n}@a.example"] = message(f"number {n}", "x" * 60 + "\n" + ("y" * 70 + "\n") * (size // 72))
            client.send("a@sender.example", f"x{n}@a.example", bodies[f"x{n}@a.example"])
    queue = server.queue()
    for _ in range(3):
        server.stop()
        assert ", 0 damaged; 0 torn tails" in server.ctl("spool", "verify").stdout
        server.start(apply=False)
        assert [(m["id"], m["size"], m["sender"], m["arrived"]) for m in server.queue()] == \
            [(m["id"], m["size"], m["sender"], m["arrived"]) for m in queue]
    server.ctl("queue", "resume")
    hop.wait(20)
    assert {m.rcpts[0]: without_trace(m.body) for m in hop.messages} == bodies
    server.wait_empty()


def test_attempts_survive_a_restart(gateway, sink):
    hop = sink()
    hop.rule("rcpt", "451 4.2.0 later")
    server = gateway(one_hop(hop, **{"retry-delay": "1h"}))
    id = server.send("a@sender.example", "x@a.example")
    before = server.wait_blocker(id, "deferred")
    server.stop()
    server.start(apply=False)
    after = server.unit(id)
    assert after["attempts"] == 1 and after["blocker"] == "deferred" and "later" in after["why"]
    assert abs(_seconds(after["next_try"]) - _seconds(before["next_try"])) <= 2


def _seconds(text):
    import datetime
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_recipients_that_are_done_stay_done(gateway, sink):
    hop = sink()
    rule = hop.rule("rcpt", "451 4.2.0 later", match="late")
    server = gateway(one_hop(hop, **{"retry-delay": "1h"}))
    id = server.send("a@sender.example", ["done@a.example", "late@a.example"])
    hop.wait(1)
    wait_until("the state", lambda: server.unit(id)["recipients"] == ["late@a.example"])
    server.stop()
    server.start(apply=False)
    hop.rules.remove(rule)
    server.ctl("queue", "retry", id)
    hop.wait(2)
    assert [m.rcpts for m in hop.messages] == [["done@a.example"], ["late@a.example"]]


def test_disk_space_is_given_back(gateway, sink):
    hop = sink(keep_bodies=False)
    server = gateway(one_hop(hop), start={"storage": {"segment-size": "1M"}})
    with server.client() as client:
        for n in range(60):
            client.send("a@sender.example", f"x{n}@a.example", message("x", "y" * 70 + "\n") * (200_000 // 250))
    hop.wait(60)
    server.wait_empty()

    def used():
        return sum(f.stat().st_size for f in server.spool.rglob("*") if f.is_file())
    wait_until("the space is free", lambda: used() < 8_000_000, 15)


def test_stop_under_load_loses_nothing(gateway, sink):
    """SIGTERM again and again while clients send: what got its 250 arrives, exactly once, since nothing was killed."""
    hop = sink()
    server = gateway(one_hop(hop))
    acknowledged, doubtful, done = set(), set(), threading.Event()

    def load(number):
        n = 0
        while not done.is_set():
            try:
                with server.client(timeout=5) as client:
                    while not done.is_set():
                        to = f"w{number}-{n}@a.example"
                        n += 1
                        doubtful.add(to)
                        client.send("a@sender.example", to)
                        acknowledged.add(to)
            except (OSError, Closed, AssertionError):
                time.sleep(0.02)

    threads = [threading.Thread(target=load, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        time.sleep(0.4)
        server.stop()
        server.start(apply=False)
    done.set()
    for thread in threads:
        thread.join()
    server.wait_empty()
    arrived = [r for m in hop.messages for r in m.rcpts]
    assert len(acknowledged) > 50
    assert acknowledged <= set(arrived), f"lost: {acknowledged - set(arrived)}"
    assert set(arrived) <= doubtful
    assert len(arrived) == len(set(arrived)), "sent twice"


def test_smtp_source_under_stops(gateway, sink):
    hop = sink(keep_bodies=False)
    server = gateway(one_hop(hop))
    done = smtp_source(server.address, "-m", "1000", "-s", "20", "-l", "5000", "-t", "x@a.example", "-f", "a@sender.example")
    assert done.returncode == 0, done.stderr
    server.stop()
    server.start(apply=False)
    hop.wait(1000, 30)
    server.wait_empty()
    assert len(hop.messages) == 1000


def test_verify_names_what_is_damaged(gateway, sink):
    """One flipped bit in a stored body costs that message, and it is told; the others go on."""
    hop = sink()
    server = gateway(one_hop(hop), start={"workers": 1})
    server.ctl("queue", "pause")
    ids = [server.send("a@sender.example", f"x{n}@a.example", message(f"n{n}", f"needle-{n}-needle\n")) for n in range(3)]
    server.stop()
    flipped = 0
    for path in server.spool.rglob("*.log"):
        data = path.read_bytes()
        at = data.find(b"needle-1-needle")
        if at >= 0:
            data = data[:at] + b"N" + data[at + 1:]
            path.write_bytes(data)
            flipped += 1
    assert flipped == 1
    done = server.ctl("spool", "verify", code=1)
    assert "1 damaged" in done.stdout and ids[1] in done.stdout
    server.start(apply=False)
    server.ctl("queue", "resume")
    wait_until("the others", lambda: {m.rcpts[0] for m in hop.messages} >= {"x0@a.example", "x2@a.example"})


def test_a_torn_tail_is_no_damage(gateway, sink):
    hop = sink()
    server = gateway(one_hop(hop))
    server.ctl("queue", "pause")
    server.send("a@sender.example", "x@a.example")
    server.stop()
    newest = max(server.spool.glob("w*/*.log"), key=lambda p: p.stat().st_mtime_ns)
    with open(newest, "ab") as f:
        f.write(b"\x7f" * 1000)
    server.ctl("spool", "verify")
    server.start(apply=False)
    server.ctl("queue", "resume")
    hop.wait(1)


@pytest.mark.parametrize("role", ["smtpd", "delivery", "admin", "keys", "fetch"])
def test_a_killed_role_comes_back_and_nothing_is_lost(gateway, sink, role):
    hop = sink()
    server = gateway(one_hop(hop, **{"retry-delay": "1s"}))
    server.deaths_expected = True
    acknowledged = set()
    before = server.roles()

    def send(n):
        for _ in range(50):
            try:
                with server.client(timeout=5) as client:
                    client.send("a@sender.example", f"x{n}@a.example")
                    acknowledged.add(f"x{n}@a.example")
                    return
            except (OSError, Closed, AssertionError):
                time.sleep(0.05)
        raise AssertionError("mail is not taken any more")

    for n in range(30):
        if n in (10, 20):
            for pid in wait_until("the role runs", lambda: server.roles().get(role)):
                kill(pid)
        send(n)
    wait_until("all roles", lambda: {k: len(v) for k, v in server.roles().items()} == {k: len(v) for k, v in before.items()})
    assert not set(server.roles()[role]) & set(before[role])
    wait_until("everything arrived", lambda: acknowledged <= {r for m in hop.messages for r in m.rcpts})
    server.wait_empty()
    assert server.ctl("export").stdout.count("a.example") == 1
    assert "a role died" in server.log()


def test_everything_killed_at_once(gateway, sink):
    hop = sink()
    server = gateway(one_hop(hop))
    server.deaths_expected = True
    server.ctl("queue", "pause")
    with server.client() as client:
        to = [f"x{n}@a.example" for n in range(50)]
        for one in to:
            client.send("a@sender.example", one)
    server.kill_all()
    done = server.ctl("spool", "verify")
    assert " 0 damaged" in done.stdout
    server.start(apply=False)
    assert len(server.queue("--limit", "100")) == 50
    server.ctl("queue", "resume")
    hop.wait(50)
    server.wait_empty()
    assert sorted(m.rcpts[0] for m in hop.messages) == sorted(to)


def test_when_the_supervisor_dies_its_roles_end(gateway, sink):
    server = gateway(one_hop(sink()))
    server.deaths_expected = True
    pids = server.pids_of(server.process.pid)
    kill(server.process.pid)
    server.process.wait()
    server.process = None
    import os
    wait_until("the roles' end", lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 15)
    server.start(apply=False)


def proc_status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def test_the_sandbox_is_on(gateway):
    server = gateway()
    users = set()
    for role, pids in server.roles().items():
        for pid in pids:
            status = proc_status(pid)
            assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1", role
            assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0, role
            uid = status["Uid"].split()
            assert len(set(uid)) == 1
            if IS_ROOT:
                assert uid[0] != "0"
                users.add((role, uid[0]))
                assert status["Groups"].split() in ([], [status["Gid"].split()[0]])
    if IS_ROOT:
        assert len({u for _, u in users}) == 5, "each role has a user of its own"


def test_every_thread_is_in_the_sandbox(gateway):
    import os
    server = gateway()
    for pids in server.roles().values():
        for pid in pids:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/status") as f:
                    text = f.read()
                assert "Seccomp:\t2" in text and "NoNewPrivs:\t1" in text


@pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")
def test_as_an_ordinary_user(gateway, sink):
    hop = sink()
    server = gateway({**one_hop(hop), "domains": {"a.example": {"transport": "t"}, "c.example": {"mailboxes": True}},
                      "accounts": {"ann@c.example": {}}}, user="nobody")
    server.send("a@sender.example", ["x@a.example", "ann@c.example"])
    hop.wait(1)
    server.wait_mailbox("ann@c.example")
    for pids in server.roles().values():
        for pid in pids:
            status = proc_status(pid)
            assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1" and status["Uid"].split()[0] == "65534"
    assert (server.home / "directory.db").stat().st_uid == 65534
