"""The queue as administrators steer it: everything that waits has one exact answer to why, and does what it is told."""
import json
import time

import pytest

from lib.sink import Stall
from lib.world import IS_ROOT, free_port, stays, wait_until

BOXES = {"domains": {"c.example": {"mailboxes": True}}, "accounts": {"ann@c.example": {}}}


@pytest.fixture
def world(gateway, sink):
    """Two transports with a hop each, domains a and b by the first, d by the second, and a mailbox for notifications."""
    hop, other = sink(), sink()
    server = gateway({"transports": {"t": {"server": hop.server_name, "retry-delay": "1h"},
                                     "u": {"server": other.server_name, "retry-delay": "1h"}},
                      "domains": {"a.example": {"transport": "t"}, "b.example": {"transport": "t"}, "d.example": {"transport": "u"},
                                  **BOXES["domains"]}, "accounts": BOXES["accounts"]})
    return server, hop, other


def defer(server, hop, *to):
    """Messages that wait for a retry in an hour; their ids."""
    rule = hop.rule("rcpt", "451 4.2.0 come back later")
    ids = [server.send("ann@c.example", one) for one in to]
    for id in ids:
        server.wait_blocker(id, "deferred")
    hop.rules.remove(rule)
    return ids


def test_deferred(world):
    server, hop, _ = world
    id, = defer(server, hop, "x@a.example")
    unit = server.unit(id)
    assert unit["state"] == "deferred" and unit["attempts"] == 1 and unit["next_try"] == unit["until"]
    assert "451 4.2.0 come back later" in unit["last_reply"]
    why = server.ctl("queue", "why", id).stdout
    assert "x@a.example" in why and "next try at " in why and "451 4.2.0 come back later" in why
    assert "come back later" in server.ctl("queue", "list").stdout
    shown = server.ctl("queue", "show", id).stdout
    assert "x@a.example" in shown and "ann@c.example" in shown
    assert id in json.dumps(server.queue("reason~later")) and not server.queue("reason~nonsense")


def test_retry_now(world):
    server, hop, _ = world
    ids = defer(server, hop, "x@a.example", "y@a.example", "z@b.example")
    server.ctl("queue", "retry", ids[0])
    hop.wait_for("x@a.example")
    assert len(server.queue()) == 2
    assert "1 message" in server.ctl("queue", "retry", "domain=b.example").stdout
    hop.wait_for("z@b.example")
    server.ctl("queue", "retry", "age>0s")
    hop.wait_for("y@a.example")
    server.wait_empty()


def test_hold_and_release(world):
    server, hop, _ = world
    ids = defer(server, hop, "x@a.example", "y@b.example")
    server.ctl("queue", "hold", ids[0], "--reason", "looks odd")
    unit = server.unit(ids[0])
    assert unit["blocker"] == "held" and "looks odd" in unit["why"] and ("by root" if IS_ROOT else "by ") in unit["why"]
    server.ctl("queue", "retry", "age>0s")
    hop.wait_for("y@b.example")
    stays("what is held stays", lambda: server.blocker(ids[0]) == "held" and len(hop.messages) == 1, 0.5)
    assert [m["id"] for m in server.queue("state=held")] == [ids[0]]
    server.ctl("queue", "release", ids[0])
    hop.wait_for("x@a.example")  # it was told to be retried meanwhile
    server.wait_empty()
    wait_until("the story", lambda: [e["action"] for e in server.events(ids[0], "AdminAction")] == ["hold", "retry", "release"])


def test_hold_survives_a_restart(world):
    server, hop, _ = world
    id, = defer(server, hop, "x@a.example")
    server.ctl("queue", "hold", id, "--reason", "evidence")
    server.stop()
    server.start(apply=False)
    unit = server.unit(id)
    assert unit["blocker"] == "held" and "evidence" in unit["why"] and unit["attempts"] == 1


def test_reroute(world):
    server, hop, other = world
    ids = defer(server, hop, "x@a.example", "y@a.example")
    server.ctl("queue", "reroute", ids[0], "--transport", "u")
    server.ctl("queue", "retry", ids[0], code=None)  # being rerouted may have made it ready
    assert other.wait(1)[0].rcpts == ["x@a.example"]
    # And back again.
    server.ctl("queue", "hold", ids[1])
    server.ctl("queue", "reroute", ids[1], "--transport", "u")
    assert server.unit(ids[1])["transport"] == "u"
    server.ctl("queue", "reroute", ids[1], "--transport", "")
    assert server.unit(ids[1])["transport"] == "t"
    server.ctl("queue", "release", ids[1])
    server.ctl("queue", "retry", ids[1], code=None)
    hop.wait_for("y@a.example")


def test_bounce_and_delete(world):
    server, hop, _ = world
    ids = defer(server, hop, "x@a.example", "y@a.example", "z@b.example")
    server.ctl("queue", "bounce", ids[0], "--reason", "the site has closed")
    report = server.wait_mailbox("ann@c.example")[0]
    assert b"the site has closed" in report and b"x@a.example" in report and b"Action: failed" in report
    assert "the site has closed" in json.dumps(server.wait_event(ids[0], "Bounce"))
    server.ctl("queue", "delete", ids[1])
    assert server.wait_event(ids[1], "Discard")["action"] == "delete"
    assert "1 message" in server.ctl("queue", "delete", "recipient=z@b.example").stdout
    server.wait_empty()
    time.sleep(0.3)
    assert len(server.maildir("ann@c.example")) == 1 and not hop.messages
    server.ctl("queue", "delete", ids[1], code=1)
    server.stop()
    server.start(apply=False)
    assert server.queue() == []
    # Who did it stays on record; what found nothing has no line.
    assert [e["change"] for e in server.json("audit", "--limit", "3")["entries"]] == [
        "queue delete recipient=z@b.example: 1 message, 1 recipient", f"queue delete {ids[1]}: 1 message, 1 recipient",
        f"queue bounce {ids[0]}: 1 message, 1 recipient (the site has closed)"]


FILTERS = [("sender=ann@c.example", 4), ("sender=*@c.example", 4), ("sender=bob@c.example", 0), ("recipient=x@a.example", 1),
           ("recipient=*@a.example", 2), ("domain=b.example", 1), ("domain=b.example or domain=d.example", 2), ("not domain=a.example", 2),
           ("transport=u", 1), ("state=deferred", 4), ("state=held", 0), ("state=deferred attempts>=1", 4), ("attempts>1", 0),
           ("age<1h", 4), ("age>1h", 0), ("size<1M", 4), ("size>1M", 0), ("client=127.0.0.1", 4), ("client=127.0.0.0/8", 4),
           ("client=192.0.2.0/24", 0), ("priority=yes", 0), ("reason~later", 4), ("reason~\"come back\"", 4),
           ("(domain=a.example or domain=b.example) not recipient=x@a.example", 2), ("", 4)]


def test_filters(world):
    server, hop, other = world
    ids = defer(server, hop, "x@a.example", "y@a.example", "z@b.example") + defer(server, other, "w@d.example")
    problems = [f"{f!r}: {n} expected, {len(got)} came" for f, n in FILTERS if len(got := server.queue(f)) != n]
    assert not problems, problems
    assert len(server.queue(f"id={ids[2]}")) == 1
    assert len(server.queue("--limit", "2")) == 2
    groups = {g["transport"]: g for g in server.json("queue", "summary", "transport")["transports"]}
    assert groups["t"]["deferred"] == 3 and groups["u"]["deferred"] == 1 and groups["t"]["destinations"] == 1
    server.ctl("queue", "hold", "domain=a.example")
    assert len(server.queue("state=held")) == 2


def test_more_than_a_page(world):
    server, hop, _ = world
    server.ctl("queue", "pause")
    with server.client() as client:
        for n in range(450):
            client.send("ann@c.example", f"x{n}@a.example")
    assert len(server.queue("--limit", "1000")) == 450
    assert len({m["id"] for m in server.queue("--limit", "433")}) == 433
    assert "450 messages" in server.ctl("queue", "hold", "age>0s").stdout or len(server.queue("state=held", "--limit", "1000")) == 450
    server.ctl("queue", "release", "state=held")
    server.ctl("queue", "resume")
    hop.wait(450, 30)
    server.wait_empty()
    assert len({m.rcpts[0] for m in hop.messages}) == 450


PAUSES = [(["queue", "pause"], ["queue", "resume"], "paused-all"),
          (["transport", "pause", "t"], ["transport", "resume", "t"], "paused-transport"),
          (["domain", "pause", "a.example"], ["domain", "resume", "a.example"], "paused-domain")]


@pytest.mark.parametrize("pause, resume, blocker", PAUSES, ids=["all", "transport", "domain"])
def test_pause_and_resume(world, pause, resume, blocker):
    server, hop, other = world
    server.ctl(*pause, "--reason", "they move house")
    id = server.send("ann@c.example", "x@a.example")
    unit = server.wait_blocker(id, blocker)
    assert "they move house" in unit["why"] and unit["attempts"] == 0
    free = {"paused-all": [], "paused-transport": ["w@d.example"], "paused-domain": ["y@b.example", "w@d.example"]}[blocker]
    for to in free:
        server.send("ann@c.example", to)
        (other if "d.example" in to else hop).wait_for(to)
    server.ctl("queue", "retry", id, code=None)
    stays("what is paused waits", lambda: server.blocker(id) == blocker, 0.5)
    server.stop()
    server.start(apply=False)
    assert server.blocker(id) == blocker, "a pause outlives a restart"
    server.ctl(*resume)
    hop.wait_for("x@a.example")
    server.wait_empty()
    assert not server.events(id, "TransientFailure")


@pytest.mark.parametrize("pause, resume", [p[:2] for p in PAUSES], ids=["all", "transport", "domain"])
def test_paused_time_uses_no_retries(gateway, sink, pause, resume):
    """Retries every second, three of them: without the pause it would be given up within it."""
    hop = sink()
    hop.rule("rcpt", "451 4.2.0 later")
    server = gateway({"transports": {"t": {"server": hop.server_name, "retry-delay": "1s", "retry-count": 3}},
                      "domains": {"a.example": {"transport": "t"}}})
    id = server.send("a@sender.example", "x@a.example")
    server.wait_event(id, "TransientFailure")
    server.ctl(*pause)
    time.sleep(0.2)
    before = server.unit(id)["attempts"]
    time.sleep(4)
    assert server.unit(id)["attempts"] == before
    hop.clear()
    server.ctl(*resume)
    hop.wait(1, 5)
    server.wait_empty()
    assert not server.events(id, "Expiration")


def test_why_active_and_limited(gateway, sink):
    hop = sink()
    hop.rule("end", Stall(3))
    server = gateway({"transports": {"t": {"server": hop.server_name, "connections": 1}}, "domains": {"a.example": {"transport": "t"}}})
    first = server.send("a@sender.example", "x@a.example")
    server.wait_blocker(first, "active")
    second = server.send("a@sender.example", "y@a.example")
    unit = server.wait_blocker(second, "limit-destination")
    assert "may have 1 " in unit["why"]
    assert not server.queue("state=deferred")
    hop.clear()
    hop.wait(2)
    assert hop.connections == 1


def test_why_rate(gateway, sink):
    hop = sink()
    server = gateway({"transports": {"t": {"server": hop.server_name, "rate-per-minute": 2}}, "domains": {"a.example": {"transport": "t"}}})
    ids = [server.send("a@sender.example", f"x{n}@a.example") for n in range(4)]
    hop.wait(1)
    unit = wait_until("a limit", lambda: next((u for u in server.units() if u["blocker"] == "limit-rate"), None))
    assert "2 a minute" in unit["why"] and unit["until"]
    assert len(hop.messages) < 4 and len(ids) == 4
    server.ctl("transport", "set", "t", "rate-per-minute=0")
    hop.wait(4)


def test_why_down(gateway):
    port = free_port()
    server = gateway({"transports": {"t": {"server": f"127.0.0.1:{port}"}}, "domains": {"a.example": {"transport": "t"}}})
    id = server.send("a@sender.example", "x@a.example")
    unit = server.wait_blocker(id, "down")
    assert unit["since"] and unit["until"] and "refused" in unit["why"].lower()
    group, = [g for g in server.json("queue", "summary")["destinations"] if g["transport"] == "t"]
    assert group["is_down"] and group["down"] == 1 and group["next_probe"]


def test_why_dns(gateway, peer):
    """A DNS server that takes its time."""
    import socket
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    server = gateway({"transports": {"out": {"server": "lookup-mx"}}, "default-transport": "out"},
                     start={"dns": {"servers": ["127.0.0.1:%d" % silent.getsockname()[1]]}})
    id = server.send("a@sender.example", "x@slow.example")
    unit = server.wait_blocker(id, "dns")
    assert "DNS" in unit["why"]
    silent.close()


def test_priority_goes_first_and_ordinary_mail_does_not_starve(gateway, sink):
    hop = sink()
    server = gateway({"transports": {"t": {"server": hop.server_name, "connections": 1}}, "domains": {"a.example": {"transport": "t"}},
                      "priorities": [{"sender": "boss@sender.example"}]})
    server.ctl("queue", "pause")
    with server.client() as client:
        for n in range(40):
            client.send("a@sender.example", f"ordinary{n}@a.example")
        for n in range(40):
            client.send("boss@sender.example", f"first{n}@a.example")
    assert len(server.queue("priority=yes", "--limit", "1000")) == 40
    server.ctl("queue", "resume")
    hop.wait(80, 30)
    order = [m.rcpts[0].startswith("first") for m in hop.messages]
    assert sum(order[:40]) >= 30, "prioritised mail goes first"
    assert sum(order[:44]) < 44 and not all(order[:35]), "ordinary mail goes on, too"
    server.ctl("queue", "pause")
    id = server.send("a@sender.example", "late@a.example")
    server.ctl("queue", "prioritise", id)
    assert server.unit(id)["priority"] is True
    server.ctl("queue", "unprioritise", id)
    assert server.unit(id)["priority"] is False
