"""Starting: after one that is still ending, on a disk that is too small, as another user than before, at a path that is not the one
meant."""
import os
import pwd
import re
import signal
import subprocess
import time

import pytest

from lib.disks import Disk
from lib.postern import Postern
from lib.smtp import Client
from lib.world import BUILD, IS_ROOT, TOP, free_port, wait_until

MAILBOX = {"domains": {"c.example": {"mailboxes": True}}, "accounts": {"ann@c.example": {}}}


@pytest.fixture
def again(gateway):
    """again(server): a second posternd with the start file of the first."""
    def make(server):
        second = Postern(home=server.home, config=server.config.read_text(), user=server.user)
        second.log_path = server.home / "log-2"
        made.append(second)
        second.spawn()
        return second
    made = []
    yield make
    for one in made:
        one.close()


def in_the_middle_of_a_message(server):
    """An end in good order waits for this client, eight seconds."""
    client = server.client()
    client.envelope("a@b.example", ["ann@c.example"])
    assert client.cmd("DATA").code == 354
    client.raw(b"Subject: x\r\n")
    return client


def test_a_restart_by_hand_waits_for_the_end(gateway, again):
    server = gateway(MAILBOX)
    client = in_the_middle_of_a_message(server)
    server.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    time.sleep(0.3)
    second = again(server)
    assert server.process.wait(30) == 0
    assert time.monotonic() - began > 5, "the one before was to end slowly"
    server.process = None
    client.close()
    wait_until("the second one works", lambda: "posternd: ready" in second.log() and second._ready())
    assert "waiting for it to end" in second.log()
    second.send("a@b.example", "ann@c.example")
    second.stop()


def test_one_that_works_is_not_waited_for_long(gateway, again):
    server = gateway(MAILBOX)
    second = again(server)
    assert second.process.wait(10) == 1
    second.process = None
    assert "another posternd uses this spool; end it first" in second.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_waits_can_be_ended(gateway, again, number):
    server = gateway(MAILBOX)
    client = in_the_middle_of_a_message(server)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    second = again(server)
    wait_until("it waits", lambda: "waiting for it to end" in second.log())
    second.process.send_signal(number)
    assert second.process.wait(2) == 0
    second.process = None
    assert server.process.poll() is None
    client.close()
    assert server.process.wait(20) == 0
    server.process = None


# ---- what is new


def warnings_of_new(server):
    return [line for line in server.log_since_start().splitlines() if " warning " in line and "a new, empty" in line]


def test_a_new_spool_and_a_new_directory_are_told_once(gateway):
    """A path that was mistyped, or a disk that is not mounted, would else be a new gateway without a word."""
    server = gateway(MAILBOX)
    told = warnings_of_new(server)
    assert len(told) == 2 and str(server.spool) in told[0] and str(server.home / "directory.db") in told[1], told
    server.stop()
    server.start(apply=False)
    assert warnings_of_new(server) == []
    server.stop()
    server.spool.rename(server.home / "moved-away")
    server.spool.mkdir()  # as the place where a disk is to be mounted
    server.start(apply=False)
    told = warnings_of_new(server)
    assert len(told) == 1 and str(server.spool) in told[0], told


@pytest.mark.skipif(not IS_ROOT, reason="only root has roles with users of their own")
def test_the_advice_makes_all_that_the_roles_need(gateway):
    server = gateway(MAILBOX)
    if "the roles' users do not exist" not in server.log():
        pytest.skip("they do exist here")
    advice = re.search(r'make_them="([^"]*)"', server.log())[1]
    for group in ("postern", "postern-roles"):
        assert f"groupadd --system {group};" in advice
    # None of them in the group of the administrators.
    assert "--gid postern-roles " in advice


@pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")
def test_the_way_back_from_root_is_one_step(gateway):
    server = gateway(MAILBOX, started=False)
    owner = pwd.getpwnam("nobody")
    os.chown(server.home, owner.pw_uid, owner.pw_gid)
    server.start()
    server.send("a@b.example", "ann@c.example")
    server.wait_mailbox("ann@c.example")
    server.stop()
    server.user = "nobody"
    server.spawn()
    assert server.process.wait(10) == 1
    server.process = None
    said, = [line for line in server.log_since_start().splitlines() if "chown" in line]
    advice = re.search(r"\((?:as root: )(chown -R [^)]*)\)", said)[1]
    for path in (server.spool, server.mail, server.home / "trace", server.home / "directory.db"):
        assert f" {path}" in advice
    subprocess.run(advice, shell=True, check=True)
    server.start(apply=False)
    server.send("a@b.example", "ann@c.example")
    server.wait_mailbox("ann@c.example", 2)


@pytest.mark.skipif(not IS_ROOT, reason="root's folders are not root's")
def test_no_advice_gives_a_folder_of_the_system_away(gateway):
    server = gateway(MAILBOX, started=False, start={"mailboxes": "/var/mail"}, user="nobody")
    server.spawn()
    assert server.process.wait(10) == 1
    server.process = None
    assert "a folder of the system" in server.log() and "chown" not in server.log()


# ---- disks that are too small, or full


def refuse_one(server, n):
    """Somebody is refused, each time from another address: so each is told."""
    with Client(server.address, source=(f"127.0.1.{n % 250 + 1}", 0)) as client:
        assert client.cmd("MAIL FROM:<a@b.example>").code == 250
        assert client.cmd("RCPT TO:<unknown@c.example>").code == 550


def test_what_the_trace_lacks_is_told(peer, gateway):
    disk = peer(Disk("8m"))
    server = gateway(MAILBOX, start={"workers": 1, "trace": {"path": str(disk.at / "trace"), "size": "4M"}})
    assert "missing" not in server.ctl("trace", "event=Rejection").stderr
    server.send("a@b.example", "ann@c.example")
    disk.fill()
    for n in range(30):
        refuse_one(server, n)
        time.sleep(0.1)
    found = wait_until("it is told", lambda: "missing" in (f := server.ctl("trace", "event=Rejection")).stderr and f)
    lines = re.search(r"a part of the trace is missing: (\d+) lines? of smtpd 0 could not be written, from (\S+) to (\S+): .*space",
                      found.stderr)
    assert lines and int(lines[1]) > 0 and lines[2] <= lines[3]
    assert server.json("trace", "event=Rejection")["unwritten"]
    # Of what was before, or is long after, nothing is missing.
    assert "missing" not in server.ctl("trace", "event=Rejection", "until=2020-01-01").stderr
    # And the log is not full of it.
    assert 1 <= len([line for line in server.log().splitlines() if "smtpd 0: the trace cannot be written" in line]) <= 2
    disk.empty()
    refuse_one(server, 100)
    wait_until("it is written again", lambda: "smtpd 0: the trace is written again" in server.log())
    assert "Rejection" in server.ctl("trace", "event=Rejection").stdout


def test_times_in_the_trace_are_for_people(gateway, sink):
    hop = sink()
    server = gateway({"transports": {"t": {"server": hop.server_name}}, "domains": {"a.example": {"transport": "t"}}})
    id = server.send("a@b.example", "x@a.example")
    server.wait_event(id, "Delivery")
    text = server.ctl("trace", id).stdout
    assert re.search(r" took=[\d.]+(us|ms|s)\b", text) and "_us=" not in text and text.count(" attempt=") == 1
    assert isinstance(server.events(id, "Delivery")[0]["attempt_us"], int)


def test_a_disk_that_is_too_small_is_told(peer, gateway):
    """It is nearly empty, yet no mail is taken: why, and what would do."""
    disk = peer(Disk("24m"))
    server = gateway(MAILBOX, started=False, start={"spool": str(disk.at / "spool"), "workers": 1}, apart=True)
    needs = r"needs 256\.0 MiB for its reserve, 4 files of 64\.0 MiB, and 2\d\.\d MiB are free.*lower storage\.segment-size to [23]M"
    checked = subprocess.run([server.programs / "posternd", "-c", server.config, "--check"], capture_output=True, text=True)
    assert checked.returncode == 0 and re.search("warning: .*" + needs, checked.stderr)
    assert re.search(f"warning: {disk.at}/spool: .*{needs}", server.ctl("check").stdout)
    server.start()
    assert re.search(f" warning supervisor: the spool's disk is too small .*{needs}", server.log())
    said = wait_until("its health is told", lambda: re.search(r" error smtpd 0: the spool's health changed .*", server.log()))[0]
    assert "452" in said and "421" in said
    assert re.search(r"the next file, which needs 64\.0 MiB: 2\d\.\d MiB are free; see storage\.segment-size", said)
    assert "421" in server.ctl("status").stdout
    server.stop()
    # What was advised is enough, and then nothing is said.
    server.config.write_text(server.config.read_text() + "storage: { segment-size: 2M }\n")
    server.start()
    assert "too small" not in server.log_since_start()
    assert "too small" not in server.ctl("check").stdout and "reserve" not in server.ctl("check").stdout
    server.send("a@b.example", "ann@c.example")
    server.wait_mailbox("ann@c.example")


# ---- the start file on disk, and the one that runs


def differs(server):
    return {one["field"]: (one["file"], one["runs"]) for one in server.status()["start_file_differs"]}


def test_a_start_file_that_was_changed_is_told(gateway):
    server = gateway(MAILBOX, start={"limits": {"hops": 60}, "log": {"level": "info"}})
    assert differs(server) == {} and "start file" not in server.ctl("status").stdout
    before = server.config.read_text()
    # What means the same is the same.
    server.config.write_text("# a comment\n" + before + "storage: { segment-size: 65536K }\n")
    assert differs(server) == {}
    port = free_port()
    server.config.write_text(before.replace("hops: 60", "hops: 70").replace("level: info", "level: debug")
                             .replace("listeners:\n", f'listeners:\n  more: {{ address: "127.0.0.1:{port}" }}\n'))
    assert differs(server) == {"limits.hops": ("70", "60"), "log.level": ("debug", "info"),
                               "listeners.more.address": (f"127.0.0.1:{port}", "")}
    for command in ("status", "check"):
        said = server.ctl(command).stdout
        assert re.search(r"limits\.hops:? is 70 in the start file, and the server runs with 60: restart posternd", said)
    server.process.send_signal(signal.SIGHUP)
    wait_until("the log level is read", lambda: "log.level" not in differs(server))
    assert "limits.hops" in differs(server)
    server.config.write_text(re.sub(r"listeners:\n  mx:", "listeners:\n  renamed:", before))
    assert differs(server)["listeners.mx.address"][0] == "" and differs(server)["listeners.renamed.address"][1] == ""
    server.stop()
    server.start(apply=False)
    assert differs(server) == {}


# ---- the first five minutes


@pytest.mark.xdist_group("fixed ports")
def test_the_demo_tells_a_story_without_the_log_in_it(tmp_path):
    said = tmp_path / "said"
    with open(said, "wb") as out:
        demo = subprocess.Popen([TOP / "scripts" / "demo", BUILD], stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        wait_until("it runs", lambda: "Postern is running" in said.read_text() or demo.poll() is not None, 60)
        text = said.read_text()
        assert demo.poll() is None, text
        assert "Delivery" in text and "lies in" in text
        assert " supervisor: " not in text and " smtpd 0: " not in text
        log = re.search(r"Its log is (\S+)\.\n", text)[1]
        with open(log) as f:
            assert "posternd: ready" in f.read()
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(40) == 0
