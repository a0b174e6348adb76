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
from lib.smtp import Client, Closed, message
from lib.world import IS_ROOT, wait_until

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
