"""Disks that are full, read-only, failing or gone: clients are told so and keep their mail, nothing that was acknowledged is lost, and all
goes on by itself when the disk is well again."""
import os
import shutil

import pytest

from lib.disks import Disk, Ext4
from lib.postern import without_trace
from lib.smtp import Client, Closed, message, stuffed
from lib.world import IS_ROOT, stays, wait_until

SENDER = "ann@c.example"
WELL, FULL, SICK = "well", "full", "sick"
TEXT = ("y" * 70 + "\n") * 3000
SEGMENT = "1M"


@pytest.fixture
def disk(peer):
    """disk(kind, …): a file system for a spool; gone at the end."""
    return lambda kind, *args, **options: peer(kind(*args, **options))


@pytest.fixture
def on(gateway, sink):
    """on(disk): a gateway with its spool there, all else elsewhere, and the hop behind it. The hop is down for mail until open(server)."""
    def make(disk, start=None, **fields):
        hop = sink()
        hop.rule("rcpt", "550 5.1.1 unknown", match="bad")
        server = gateway({"transports": {"t": {"server": hop.server_name, "retry-delay": "1s", **fields}},
                          "domains": {"a.example": {"transport": "t"}, "c.example": {"mailboxes": True}}, "accounts": {SENDER: {}}},
                         start={"spool": str(disk.at / "spool"), "workers": 1, "storage": {"segment-size": SEGMENT}, **(start or {})},
                         apart=True)
        return server, hop
    return make


def health(server):
    return {name: role["spool"]["health"] for name, role in server.status()["roles"].items() if name.startswith("smtpd")}


def is_health(server, which):
    found = health(server)
    return found and all(one == which for one in found.values())


def body_of(to):
    return message(f"for {to}", TEXT, to=to)


class Load:
    """Mail to different recipients, one message each; what became of each."""

    def __init__(self, server):
        self.server = server
        self.acknowledged, self.refused, self.doubtful = [], [], []
        self.replies = []

    def one(self, client, to):
        try:
            client.envelope(SENDER, to)
            reply = client.cmd("DATA")
            if reply.code == 354:
                self.doubtful.append(to)
                client.raw(stuffed(body_of(to)) + b".\r\n")
                reply = client.reply()
                self.doubtful.remove(to)
        except AssertionError as e:  # MAIL or RCPT was refused
            self.refused.append(to)
            self.replies.append(str(e))
            return None
        (self.acknowledged if reply.code == 250 else self.refused).append(to)
        if reply.code != 250:
            self.replies.append(repr(reply))
        return reply

    def until_refused(self, most=300, name="x"):
        """Over one connection; the last reply, None where MAIL was refused or the connection closed."""
        with_client = self.server.client()
        try:
            for n in range(most):
                reply = self.one(with_client, f"{name}{len(self.acknowledged) + len(self.refused)}@a.example")
                if reply is None or reply.code != 250:
                    return reply
        except Closed:
            return None
        finally:
            with_client.close()
        raise AssertionError(f"{most} messages were taken, and none refused")

    def check(self, hop, times=1):
        """What was acknowledged is there, whole; what was refused is not."""
        wait_until("all acknowledged mail", lambda: set(self.acknowledged) <= {r for m in list(hop.messages) for r in m.rcpts}, 30)
        arrived = {}
        for m in hop.messages:
            for to in m.rcpts:
                arrived.setdefault(to, []).append(m.body)
        assert not set(self.refused) & set(arrived), "refused and delivered"
        assert set(arrived) <= set(self.acknowledged) | set(self.doubtful)
        for to, bodies in arrived.items():
            assert len(bodies) <= times, f"{to} came {len(bodies)} times"
            assert all(without_trace(body) == body_of(to) for body in bodies), f"{to} is damaged"


def takes_mail_again(server, timeout=30):
    """New sessions, and a message; its id."""
    def try_once():
        try:
            with Client(server.address) as client:
                return client.send(SENDER, "again@a.example", body_of("again@a.example"))
        except Closed:
            return None
    return wait_until("mail is taken again", try_once, timeout, 0.2)


def is_told_421(server, text):
    client = Client(server.address, greet=False)
    reply = client.reply()
    assert reply.code == 421 and text in reply.text, reply
    assert client.is_closed()


@pytest.mark.parametrize("kind, size", [(Disk, "20m"), (Ext4, 24 << 20)], ids=["tmpfs", "ext4"])
def test_a_full_disk(disk, on, kind, size):
    disk = disk(kind, size)
    server, hop = on(disk)
    server.ctl("queue", "pause")
    load = Load(server)
    with server.client() as client:
        assert load.one(client, "bad-one@a.example").code == 250
        reply = load.until_refused()
        assert reply and reply.code == 452 and reply.enhanced == "4.3.1"
        disk.fill()
        # Who is connected hears it at MAIL, who comes at once.
        wait_until("the spool is full", lambda: is_health(server, FULL))
        assert client.cmd("RSET").code == 250
        assert client.cmd("MAIL FROM:<a@sender.example>", 452).enhanced == "4.3.1"
    is_told_421(server, "full")
    assert "full" in server.log()
    # Deliveries, completions and reports go on, into space that was set aside; and make room.
    assert disk.free < 100_000
    server.ctl("queue", "resume")
    report = server.wait_mailbox(SENDER)[0]
    assert b"bad-one@a.example" in report
    load.acknowledged.remove("bad-one@a.example")
    load.check(hop)
    server.wait_empty()
    # The ballast is still there: what the mail left is enough.
    id = takes_mail_again(server)
    server.wait_event(id, "Delivery")
    assert is_health(server, WELL)
    server.stop()
    assert " 0 damaged" in server.ctl("spool", "verify").stdout


def test_a_disk_that_is_full_at_the_start(disk, on):
    disk = disk(Disk, "20m")
    server, hop = on(disk)
    server.ctl("queue", "pause")
    load = Load(server)
    load.until_refused()
    disk.fill()
    server.stop()
    disk.fill("more")
    server.start(apply=False)
    assert is_health(server, FULL)
    is_told_421(server, "full")
    assert len(server.queue("--limit", "1000")) == len(load.acknowledged)
    server.ctl("queue", "resume")
    load.check(hop)
    disk.empty()
    takes_mail_again(server)


def test_killed_on_a_full_disk(disk, on):
    disk = disk(Ext4, 24 << 20)
    server, hop = on(disk)
    server.deaths_expected = True
    server.ctl("queue", "pause")
    load = Load(server)
    load.until_refused()
    disk.fill()
    server.kill_all()
    disk.fill("more")
    server.start(apply=False)
    assert len(server.queue("--limit", "1000")) == len(load.acknowledged)
    server.ctl("queue", "resume")
    load.check(hop)
    server.wait_empty()
    takes_mail_again(server)


def test_long_bodies_on_a_full_disk(disk, on):
    """Bodies with a file of their own: refused where the disk ends in their middle, and nothing of them stays."""
    disk = disk(Disk, "24m")
    server, hop = on(disk, start={"limits": {"inline-bytes": "64K"}})
    server.ctl("queue", "pause")
    load = Load(server)
    long = message("long", ("z" * 70 + "\n") * 400_000)
    before = disk.free
    with server.client() as client:
        client.envelope(SENDER, "long@a.example")
        assert client.data(long, 452).enhanced == "4.3.1"
        # Half a message takes no room.
        wait_until("the space is free again", lambda: disk.free > before - (3 << 20))
        wait_until("it is well again", lambda: is_health(server, WELL))
        for n in range(5):
            assert load.one(client, f"l{n}@a.example").code == 250
    server.ctl("queue", "resume")
    load.check(hop)


def test_everything_on_the_full_disk(disk, gateway, sink):
    """Spool, mailboxes, trace and directory on one disk, as most machines have it: nothing dies, mail to mailboxes waits."""
    disk = disk(Disk, "32m")
    hop = sink()
    server = gateway({"transports": {"t": {"server": hop.server_name, "retry-delay": "1s"}},
                      "domains": {"a.example": {"transport": "t"}, "c.example": {"mailboxes": True}}, "accounts": {SENDER: {}}},
                     start={"spool": str(disk.at / "spool"), "directory": str(disk.at / "directory.db"), "workers": 1,
                            "storage": {"segment-size": SEGMENT}})
    roles = server.roles()
    server.ctl("queue", "pause")
    to_mailbox = server.send("a@sender.example", SENDER, message("for the mailbox", TEXT))
    load = Load(server)
    load.until_refused()
    disk.fill()
    # No room for so many: all or nothing.
    assert server.apply({"domains": {f"d{n}.example": {"transport": "t"} for n in range(20_000)}}, code=1).stderr
    assert server.status()["directory"]["domains"] == 2
    # The little that lets mail flow fits into pages that the database has.
    server.ctl("queue", "resume")
    load.check(hop)
    assert "full" in server.unit(to_mailbox)["why"]
    disk.empty()
    wait_until("the mail's space is free", lambda: disk.free > 4 << 20, 30)
    server.ctl("queue", "retry", to_mailbox)
    assert len(server.wait_mailbox(SENDER)) == 1
    takes_mail_again(server)
    assert server.roles() == roles, "no role died"
    server.apply({"domains": {"d.example": {"transport": "t"}}})


def no_new_file(server, hop, load, code):
    """While no file can be made, what is open is used on, however long it gets; only bodies that want a file of their own are refused."""
    with server.client() as client:
        for n in range(20):
            assert load.one(client, f"x{n}@a.example").code == 250
        client.envelope(SENDER, "long@a.example")
        client.data(message("long", TEXT * 8), code)
        assert load.one(client, "after@a.example").code == 250
    server.ctl("queue", "resume")
    load.check(hop)
    server.wait_empty()


def test_no_inodes_are_left(disk, on):
    disk = disk(Disk, "64m", inodes=80)
    server, hop = on(disk)
    server.ctl("queue", "pause")
    disk.fill_inodes()
    no_new_file(server, hop, Load(server), 452)
    # A start needs a new file.
    server.stop()
    disk.fill_inodes("more")
    server.start(apply=False)

    def every_worker_is_full():
        # A log that is done goes at the start, and a worker may get its place.
        if is_health(server, FULL):
            return True
        disk.fill_inodes("again")
        Load(server).until_refused()
        return False
    wait_until("every worker is full", every_worker_is_full)
    is_told_421(server, "full")
    disk.empty("names")
    takes_mail_again(server)
    hop.wait_for("again@a.example")


@pytest.mark.skipif(not IS_ROOT, reason="an ordinary user owns the spool and cannot shut itself out")
def test_a_spool_that_may_not_be_written(disk, on):
    disk = disk(Disk, "64m")
    server, hop = on(disk)
    server.ctl("queue", "pause")
    for folder in "w0", "b0":
        (server.spool / folder).chmod(0o550)
    no_new_file(server, hop, Load(server), 451)
    for folder in "w0", "b0":
        (server.spool / folder).chmod(0o770)
    with server.client() as client:
        client.send(SENDER, "long@a.example", message("long", TEXT * 8))
    hop.wait_for("long@a.example")


def test_a_device_that_fails_to_sync(disk, on):
    """A thin device has no blocks where the file system sees room: fsync fails. No 250 goes out for what may be lost, nothing is written
    again into what failed, and mail is taken as soon as the device is well."""
    disk = disk(Ext4, 96 << 20, thin="16m", journal=False)
    server, hop = on(disk)
    server.ctl("queue", "pause")
    load = Load(server)
    reply = load.until_refused()
    assert reply is None or reply.code in (451, 452), reply
    wait_until("the spool is not well", lambda: not is_health(server, WELL))
    client = Client(server.address, greet=False)
    assert client.reply().code == 421
    client.close()
    stays("it stays so while the device does", lambda: not is_health(server, WELL), 2)
    disk.below.resize("120m")
    wait_until("the spool is well", lambda: is_health(server, WELL), 30)
    more = Load(server)
    with server.client() as client:
        for n in range(10):
            assert more.one(client, f"more{n}@a.example").code == 250
    load.acknowledged += more.acknowledged
    # What lies there now is what will be there after a power cut.
    server.stop()
    os.sync()
    disk.repair()
    server.start(apply=False)
    assert len(server.queue("--limit", "1000")) == len(load.acknowledged)
    server.ctl("queue", "resume")
    load.check(hop)


@pytest.mark.parametrize("breaks", ["shut_down", "turn_read_only"])
def test_a_file_system_that_fails(disk, on, breaks):
    """EIO from everything, or read-only from one moment to the next: nobody is told a lie, no role dies; after a repair all is there."""
    disk = disk(Ext4, 64 << 20)
    server, hop = on(disk)
    roles = server.roles()
    server.ctl("queue", "pause")
    load = Load(server)
    with server.client() as client:
        for n in range(12):
            assert load.one(client, f"before{n}@a.example").code == 250
    wait_until("delivery knows of all", lambda: len(server.queue("--limit", "1000")) == 12)
    getattr(disk, breaks)()
    reply = load.until_refused()
    assert reply is None or reply.code == 451, reply
    wait_until("the spool is sick", lambda: is_health(server, SICK))
    is_told_421(server, "storage failed")
    assert len(server.queue("--limit", "1000")) >= 12
    assert server.roles() == roles
    # What delivery cannot write down it waits for, until its time to end is over.
    server.deaths_expected = True
    server.stop(timeout=60)
    disk.repair()
    server.start(apply=False)
    server.ctl("queue", "resume")
    load.check(hop)
    takes_mail_again(server)


def test_a_spool_that_was_removed(disk, on):
    """Somebody removed it under us. What was in it is lost, and nothing more: no 250 comes from then on; nothing crashes, and a start
    makes a new one."""
    disk = disk(Disk, "64m")
    server, hop = on(disk)
    roles = server.roles()
    server.ctl("queue", "pause")
    load = Load(server)
    with server.client() as client:
        assert load.one(client, "first@a.example").code == 250
    shutil.rmtree(server.spool)
    with server.client() as client:
        client.envelope(SENDER, "long@a.example")
        client.data(message("long", TEXT * 8), 451)
    assert load.until_refused(1).code == 451
    load.until_refused(1)  # the file made in advance is gone as well
    wait_until("the spool is sick", lambda: is_health(server, SICK))
    is_told_421(server, "storage failed")
    server.queue()
    assert server.roles() == roles
    server.stop()
    server.start(apply=False)
    server.ctl("queue", "resume")
    takes_mail_again(server)
