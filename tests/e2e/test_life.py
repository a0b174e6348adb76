"""Signals, upgrades, and a directory that is damaged or gone."""
import shutil
import signal
import threading
import time

import pytest

from lib.postern import kill, programs
from lib.sink import Stall
from lib.smtp import Closed, message
from lib.world import WAIT_S, folder, remove, wait_until


def one_hop(hop, **fields):
    return {"transports": {"t": {"server": hop.server_name, "retry-delay": "1s", **fields}}, "domains": {"a.example": {"transport": "t"}}}


class Load:
    """Clients that send over and over, and note what was acknowledged."""

    def __init__(self, server, clients=6, size=200):
        self.server, self.size = server, size
        self.acknowledged, self.sent, self.problems = set(), set(), []
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        n = 0
        while not self.done.is_set():
            try:
                with self.server.client(timeout=20) as client:
                    while not self.done.is_set():
                        to = f"w{number}-{n}@a.example"
                        n += 1
                        self.sent.add(to)
                        client.send("a@sender.example", to, message(to, "x" * 70 + "\n" * (self.size // 70 + 1)))
                        self.acknowledged.add(to)
            except (OSError, Closed):
                time.sleep(0.02)
            except AssertionError as e:
                if "421" not in str(e):
                    self.problems.append(str(e))
                time.sleep(0.02)

    def end(self, hop):
        """All that was acknowledged arrives, once, and nothing else than was sent."""
        self.done.set()
        for thread in self.threads:
            thread.join(30)
        wait_until("all acknowledged mail", lambda: self.acknowledged <= {r for m in list(hop.messages) for r in m.rcpts}, 30)
        self.server.wait_empty()
        arrived = [r for m in hop.messages for r in m.rcpts]
        assert not self.problems, self.problems[:5]
        assert set(arrived) <= self.sent
        assert len(arrived) == len(set(arrived)), "sent twice"


def test_hup_reads_the_log_level_again(gateway, sink):
    hop = sink()
    server = gateway(one_hop(hop), start={"log": {"level": "warn"}})
    before = server.roles()
    with server.client() as client:
        client.send("a@sender.example", "quiet@a.example")
        hop.wait(1)
        good = server.config.read_text()
        server.config.write_text(good.replace("level: warn", "level: debug"))
        server.process.send_signal(signal.SIGHUP)
        wait_until("the new level", lambda: "read again" in server.log())
        # The session goes on; from now on it is told of.
        client.send("a@sender.example", "told@a.example")
        wait_until("a log line", lambda: "told@a.example" in server.log())
        assert "quiet@a.example" not in server.log()
        server.config.write_text("hostname: [\n")
        server.process.send_signal(signal.SIGHUP)
        wait_until("the complaint", lambda: "nothing changed" in server.log())
        assert "postern.yaml:" in server.log()
        server.config.write_text(good)
        client.send("a@sender.example", "still@a.example")
        wait_until("a log line", lambda: "still@a.example" in server.log())
    assert server.roles() == before


def test_hup_under_load_disturbs_nothing(gateway, sink):
    hop = sink()
    server = gateway(one_hop(hop), start={"log": {"level": "warn"}})
    before = server.roles()
    load = Load(server)
    for _ in range(20):
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    load.end(hop)
    assert server.roles() == before


def test_term_lets_transactions_end(gateway, sink):
    """Who is in a transaction may end it; idle clients and new ones are sent away."""
    hop = sink()
    server = gateway(one_hop(hop))
    busy, idle = server.client(), server.client()
    busy.envelope("a@sender.example", "x@a.example")
    busy.cmd("DATA", 354)
    busy.raw(b"Subject: half\r\n\r\nhalf\r\n")
    server.process.send_signal(signal.SIGTERM)
    assert idle.reply().code == 421
    assert idle.is_closed()
    busy.raw(b"and the rest\r\n.\r\n")
    busy.expect(250)
    assert busy.reply().code == 421
    assert busy.is_closed()
    busy.close()
    assert server.process.wait(WAIT_S) == 0
    server.process = None
    server.check_log()
    if not hop.messages:  # it may have gone out, or wait for the next life
        server.start(apply=False)
    hop.wait(1)
    assert len(hop.messages) == 1


def test_term_does_not_wait_for_ever(gateway, sink):
    """A client that never ends its message, a hop that never answers: neither holds up an end."""
    hop = sink()
    hop.rule("end", Stall(600))
    server = gateway(one_hop(hop))
    server.send("a@sender.example", "x@a.example")
    wait_until("a delivery under way", lambda: server.status()["roles"]["delivery"]["queue"]["active"] == 1)
    stuck = server.client()
    stuck.envelope("a@sender.example", "y@a.example")
    stuck.cmd("DATA", 354)
    begin = time.monotonic()
    server.stop(timeout=60)
    assert time.monotonic() - begin < 50
    hop.clear()
    server.start(apply=False)
    hop.wait_for("x@a.example")


def test_clients_that_do_not_hang_up_hold_nothing_up(gateway):
    """Also one that was sent away and does not care: it gets a second to read why, and is not waited for."""
    server = gateway()
    idle = server.client()
    over = server.client()
    over.raw(b"NONSENSE\r\n" * 100)
    while over.reply().code != 421:
        pass
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 5
    assert idle.reply().code == 421
    idle.close()
    over.close()


def test_int_ends_it_too(gateway):
    server = gateway()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(WAIT_S) == 0
    server.process = None


def test_upgrade_under_load(gateway, sink):
    """The programs are replaced while they run, a role dies and comes back, then it is stopped and the new ones are started."""
    hop = sink()
    server = gateway(one_hop(hop), started=False)
    server.deaths_expected = True
    server.programs = folder()
    try:
        for name in ("posternd", "posternctl"):
            shutil.copy(programs() / name, server.programs / name)
        server.start()
        load = Load(server)
        for _ in range(3):
            for name in ("posternd", "posternctl"):
                (server.programs / name).unlink()
                shutil.copy(programs() / name, server.programs / name)
            kill(server.roles()["smtpd"][0])
            wait_until("the worker is back", lambda: len(server.roles().get("smtpd", [])) == 2)
            acknowledged = len(load.acknowledged)
            wait_until("mail flows", lambda: len(load.acknowledged) > acknowledged + 5)
            server.stop()
            server.start(apply=False)
            acknowledged = len(load.acknowledged)
            wait_until("mail flows", lambda: len(load.acknowledged) > acknowledged + 5)
        load.end(hop)
    finally:
        if server.process:
            server.stop()
        remove(server.programs)
        server.programs = programs()


def refuses_to_start(server, *words):
    server.spawn()
    assert server.process.wait(WAIT_S) == 1
    server.process = None
    for word in words:
        assert word in server.log_since_start(), server.log_since_start()


DAMAGES = {
    "no database": lambda data: b"this is no database, " * 500,
    "cut in the middle": lambda data: data[:len(data) // 2 // 4096 * 4096 + 100],
    "zeros inside": lambda data: data[:4096] + bytes(len(data) - 4096),
    "a broken header": lambda data: data[:16] + b"\xff" * 84 + data[100:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_directory_is_told(gateway, sink, damage):
    """Not a single message may be refused for good because of it: it does not start, and says why; with the old file all is as before."""
    hop = sink()
    hop.stop()
    server = gateway(one_hop(hop))
    server.deaths_expected = True
    id = server.send("a@sender.example", "x@a.example")
    server.stop()
    path = server.home / "directory.db"
    good = path.read_bytes()
    path.write_bytes(DAMAGES[damage](good))
    refuses_to_start(server, "the directory cannot be opened", "restore it from a backup")
    path.write_bytes(good)
    server.start(apply=False)
    assert [m["id"] for m in server.queue()] == [id]
    hop.start()
    hop.wait(1)


def test_a_directory_that_is_gone(gateway, sink):
    """It begins anew, and empty. What is queued is not returned for that: it waits for its domain to come back."""
    hop = sink()
    hop.stop()
    server = gateway(one_hop(hop))
    id = server.send("a@sender.example", "x@a.example")
    server.wait_blocker(id, "down", "deferred")
    server.stop()
    for path in server.home.glob("directory.db*"):
        path.unlink()
    server.start(apply=False)
    wait_until("the reason", lambda: "directory is empty" in server.unit(id)["why"])
    with server.client() as client:
        client.cmd("MAIL FROM:<a@sender.example>", 250)
        client.cmd("RCPT TO:<y@a.example>", 451)
    assert [m["id"] for m in server.queue()] == [id]
    hop.start()
    server.apply(server.objects)
    server.ctl("queue", "retry", id, code=None)
    hop.wait(1)


@pytest.mark.parametrize("name", ["spool", "control", "directory"])
def test_a_path_that_cannot_be(gateway, name):
    """A file where a folder must be, or the other way round: told with the path."""
    server = gateway(started=False)
    server.deaths_expected = True
    path = {"spool": server.spool, "control": server.home / "control.sock", "directory": server.home / "directory.db"}[name]
    if name == "spool":
        path.write_text("in the way")
    else:
        path.mkdir()
    refuses_to_start(server, str(path))


@pytest.mark.parametrize("text, place, field", [
    ("hostname: gw.example.test\nspool: spool\nlimits:\n  recipients: many\n", ":4", "limits.recipients"),
    ("hostname: gw.example.test\nspool: spool\ntimeouts: { greeting: 5 parsecs }\n", ":3", "timeouts.greeting"),
    ("hostname: gw.example.test\nlisteners:\n  mx: { address: \"nowhere:25\" }\n", ":3", "listeners.mx.address"),
    ("hostname: gw.example.test\nlisteners:\n  mx: { port: 25 }\n", ":3", "port"),
    ("hostname: -bad-\n", ":1", "hostname"),
    ("spool: /tmp/x\n", "", "hostname"),
    ("- a\n- list\n", ":1", ""),
    ("hostname: gw.example.test\n\tspool: x\n", ":2", ""),
    ("hostname: gw.example.test\nlimits: &a { hops: 50 }\nother: *a\n", "", ""),
    ("hostname: \"gw\\0.example\"\n", ":1", ""),
    ("", "", "hostname"),
])
def test_a_start_file_that_is_wrong(gateway, text, place, field):
    server = gateway(started=False)
    server.config.write_text(text)
    refuses_to_start(server, f"postern.yaml{place}", field)


def test_too_few_open_files_allowed(gateway):
    """It says so and what to raise, instead of starting roles that cannot live."""
    server = gateway(started=False)
    server.files = 60
    refuses_to_start(server, "60 files open", "LimitNOFILE=")
