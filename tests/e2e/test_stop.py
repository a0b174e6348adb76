"""Stopping while a disk takes nothing any more: each role ends by itself, in its time, and says what is not on record."""
import time

import pytest

from lib.disks import Disk, Ext4
from lib.smtp import message
from lib.world import wait_until

SENDER = "ann@c.example"
STOP_S = 10  # delivery has 8 s; what is killed is killed 2 s later
LOST = "after the next start, deliveries of the last moments are repeated"


@pytest.mark.parametrize("apart", [True, False], ids=["spool", "everything"])
def test_stop_on_a_dead_disk(peer, gateway, sink, apart):
    disk = peer(Ext4(64 << 20))
    hop = sink()
    start = {"spool": str(disk.at / "spool"), "workers": 1, "storage": {"segment-size": "1M"}}
    if not apart:
        start["directory"] = str(disk.at / "directory.db")
    server = gateway({"transports": {"t": {"server": hop.server_name, "retry-delay": "1s"}},
                      "domains": {"a.example": {"transport": "t"}, "c.example": {"mailboxes": True}}, "accounts": {SENDER: {}}},
                     start=start, apart=apart)
    hop.rule("rcpt", "450 4.2.1 not now", match="wait")
    waits = server.send(SENDER, "wait@a.example", message("waits"))
    wait_until("it was tried", lambda: "4.2.1" in str(server.queue()))
    disk.shut_down()
    server.ctl("queue", "hold", waits)  # that has to be kept
    began = time.monotonic()
    server.stop(timeout=60)
    assert time.monotonic() - began < STOP_S + 2
    log = server.log()
    assert "sick: nothing is delivered" in log
    assert LOST in log, log[-3000:]
    assert "kill" not in log.lower(), log[-3000:]


def test_a_start_on_a_full_disk_says_so(peer, gateway, sink):
    disk = peer(Disk("20m"))
    hop = sink()
    server = gateway({"transports": {"t": {"server": hop.server_name}}, "domains": {"a.example": {"transport": "t"}}},
                     start={"spool": str(disk.at / "spool"), "workers": 1, "storage": {"segment-size": "1M"}}, apart=True)
    server.stop()
    for name in disk.at.glob("spool/*/*.log"):
        name.unlink()
    disk.fill()
    server.start(apply=False)
    log = server.log_since_start()
    assert "full: mail is refused with 452" in log, log
    assert "full: nothing is delivered until there is space" in log, log
    disk.empty()
    wait_until("it says that all is well", lambda: log_says(server, 'spool="well"') and log_says(server, 'journal="well"'), 30)


def log_says(server, text):
    return text in server.log_since_start()
