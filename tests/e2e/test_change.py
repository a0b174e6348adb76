"""What changes while it runs, and what is told afterwards."""
import threading
import time

import pytest

from lib.smtp import message
from lib.world import wait_until


def test_change_while_mail_flows(gateway, sink):
    """The transport moves between two servers again and again, domains come and go; no session is dropped, no mail is lost."""
    hops = [sink(), sink()]
    server = gateway({"transports": {"t": {"server": hops[0].server_name}}, "domains": {"a.example": {"transport": "t"}}})
    before = server.roles()
    done = threading.Event()
    sent, problems = [], []

    def load(number):
        try:
            with server.client() as client:
                n = 0
                while not done.is_set():
                    to = f"w{number}-{n}@a.example"
                    client.send("a@sender.example", to)
                    sent.append(to)
                    n += 1
        except Exception as e:
            problems.append(repr(e))

    idle = server.client()
    threads = [threading.Thread(target=load, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for n in range(20):
        server.apply({"transports": {"t": {"server": hops[n % 2].server_name, "connections": 5 + n}},
                      "domains": {f"d{n}.example": {"transport": "t"}}})
        time.sleep(0.03)
    done.set()
    for thread in threads:
        thread.join()
    assert not problems
    # The session from before the changes sees the latest state with its next message.
    idle.send("a@sender.example", "last@d19.example")
    idle.close()
    server.wait_empty()
    arrived = [r for hop in hops for m in hop.messages for r in m.rcpts]
    assert sorted(arrived) == sorted([*sent, "last@d19.example"])
    assert hops[0].messages and hops[1].messages
    assert server.roles() == before, "nothing was restarted"
    assert server.status()["directory"]["domains"] == 21


def test_a_transaction_keeps_the_directory_it_began_with(gateway, sink):
    hop = sink()
    server = gateway({"transports": {"t": {"server": hop.server_name}}, "domains": {"a.example": {"transport": "t"}}})
    with server.client() as client:
        client.cmd("MAIL FROM:<a@sender.example>", 250)
        client.cmd("RCPT TO:<x@b.example>", 550)
        server.apply({"domains": {"b.example": {"transport": "t"}}})
        client.cmd("RSET", 250)
        wait_until("the new domain", lambda: client.cmd("MAIL FROM:<a@sender.example>").code == 250
                   and client.cmd("RCPT TO:<x@b.example>").code == 250 or client.cmd("RSET") and False)
        client.data(message())
    assert hop.wait(1)[0].rcpts == ["x@b.example"]


def test_queued_mail_follows_its_domain(gateway, sink):
    """A domain gets another transport, then mailboxes: what waits goes there."""
    old, new = sink(), sink()
    old.rule("rcpt", "451 4.2.0 later")
    server = gateway({"transports": {"t": {"server": old.server_name, "retry-delay": "1h"}, "u": {"server": new.server_name}},
                      "domains": {"a.example": {"transport": "t"}}})
    ids = [server.send("a@sender.example", to) for to in ("x@a.example", "y@a.example")]
    for id in ids:
        server.wait_blocker(id, "deferred")
    server.ctl("queue", "hold", ids[1])
    server.ctl("domain", "set", "a.example", "transport=u")
    server.ctl("queue", "retry", ids[0], code=None)
    assert new.wait(1)[0].rcpts == ["x@a.example"]
    server.apply({"domains": {"a.example": {"mailboxes": True}}, "accounts": {"y@a.example": {}}})
    server.ctl("queue", "release", ids[1])
    server.ctl("queue", "retry", ids[1], code=None)
    server.wait_mailbox("y@a.example")
    server.wait_empty()


def test_a_mended_server_address_takes_effect_at_once(gateway, sink):
    from lib.world import free_port
    hop = sink()
    server = gateway({"transports": {"t": {"server": f"127.0.0.1:{free_port()}", "retry-delay": "1h"}},
                      "domains": {"a.example": {"transport": "t"}}})
    id = server.send("a@sender.example", "x@a.example")
    server.wait_blocker(id, "down")
    server.ctl("transport", "set", "t", f"server={hop.server_name}")
    hop.wait(1, 10)


def test_a_domain_that_mail_waits_for_is_not_removed_unasked(gateway):
    from lib.world import free_port
    objects = {"transports": {"t": {"server": f"127.0.0.1:{free_port()}"}, "out": {"server": "lookup-mx"}},
               "domains": {"a.example": {"transport": "t"}, "b.example": {"transport": "t"}}, "default-transport": "out"}
    server = gateway(objects)
    id = server.send("a@sender.example", "x@a.example")
    server.wait_blocker(id, "down")
    assert "1 message in the queue goes by domain a.example" in server.ctl("domain", "remove", "a.example", "--dry-run").stderr
    refused = server.ctl("domain", "remove", "a.example", code=1).stderr
    assert "1 message" in refused and "--force" in refused
    server.ctl("domain", "remove", "b.example")  # nobody's mail waits for it
    del objects["domains"]
    assert "warning: 1 message" in server.apply(objects, "--prune", "--dry-run").stderr
    assert "a.example" in server.ctl("domain", "list").stdout
    server.ctl("queue", "pause")
    server.ctl("domain", "remove", "a.example", "--force")
    assert "a.example" not in server.ctl("domain", "list").stdout


# ---- the trace

@pytest.fixture
def told(gateway, sink):
    hop = sink()
    hop.rule("rcpt", "451 4.2.0 come back", match="late", times=1)
    hop.rule("rcpt", "550 5.1.1 unknown", match="bad")
    server = gateway({"transports": {"t": {"server": hop.server_name, "retry-delay": "1s"}},
                      "domains": {"a.example": {"transport": "t"}, "c.example": {"mailboxes": True}}, "accounts": {"ann@c.example": {}}})
    ids = {name: server.send(f"{name}@sender.example" if name != "bad" else "ann@c.example", f"{name}@a.example")
           for name in ("good", "late", "bad")}
    server.wait_mailbox("ann@c.example")
    server.wait_empty()
    return server, hop, ids


def kinds(events):
    return [e["event"] for e in events]


def test_the_whole_story(told):
    server, hop, ids = told
    server.wait_event(ids["late"], "Delivery")
    events = server.events(ids["late"])
    assert kinds(events) == ["Reception", "TransientFailure", "Delivery"]
    reception, failure, delivery = events
    assert reception["sender"] == "late@sender.example" and reception["recipients"] == ["late@a.example"]
    assert reception["client"] == "127.0.0.1" and reception["helo"] == "client.example" and reception["listener"] == "mx"
    assert reception["protocol"] == "ESMTP" and reception["size"] > 100
    assert "451 4.2.0 come back" in failure["reply"] and failure["next_try"] and failure["attempt"] == 1
    assert delivery["attempt"] == 2 and "250" in delivery["reply"] and delivery["peer"] == hop.server_name
    assert delivery["transport"] == "t"
    times = [e["time"] for e in events]
    assert times == sorted(times)
    text = server.ctl("trace", ids["late"]).stdout
    assert ids["late"] in text and "TransientFailure" in text and "come back" in text


@pytest.mark.parametrize("query, finds", [
    ("late@sender.example", ["late"]), ("sender=late@sender.example", ["late"]), ("recipient=late@a.example", ["late"]),
    ("recipient=late@sender.example", []), ("@sender.example", ["good", "late"]), ("@a.example", ["good", "late", "bad"]),
    ("127.0.0.1", ["good", "late", "bad"]), ("client=127.0.0.1", ["good", "late", "bad"]), ("client=192.0.2.1", []),
    ("event=Bounce", ["bad"]), ("event=TransientFailure", ["late"]), ("transport=t", ["good", "late", "bad"]),
    ("transport=t sender=good@sender.example", ["good"]), ("nobody@nowhere.example", []), ("since=1h sender=late@sender.example", ["late"]),
    ("until=1h sender=late@sender.example", []), ("come", ["late"])])
def test_queries(told, query, finds):
    server, _, ids = told
    expected = {ids[name] for name in finds}
    known = set(ids.values())
    wait_until("the trace", lambda: {e["id"] for e in server.trace(query) if e.get("id") in known} == expected, 5)


def test_the_trace_is_there_at_once(told):
    server, _, _ = told
    id = server.send("at-once@sender.example", "x@a.example")
    wait_until("the story", lambda: "Reception" in kinds(server.events(id)), 2)


def test_notifications_are_part_of_the_story(told):
    """The bounce names its report; the report's own story tells what it is about."""
    server, _, ids = told
    bounce = server.wait_event(ids["bad"], "Bounce")
    own = wait_until("the report's story", lambda: [e for e in server.trace("recipient=ann@c.example event=Delivery")
                                                     if e["event"] == "Delivery"])[-1]["id"]
    reception = server.events(own, "Reception")[0]
    assert reception["about"] == ids["bad"] and reception["sender"] == ""
    assert bounce.get("notification", own) == own


def test_the_trace_survives_a_restart(told):
    server, _, ids = told
    server.stop()
    server.start(apply=False)
    assert kinds(server.events(ids["late"])) == ["Reception", "TransientFailure", "Delivery"]


def test_the_trace_stays_bounded(gateway, sink):
    hop = sink(keep_bodies=False)
    server = gateway({"transports": {"t": {"server": hop.server_name}}, "domains": {"a.example": {"transport": "t"}}},
                     start={"trace": {"size": "4M"}, "log": {"level": "warn"}})
    to = [f"a-rather-long-recipient-name-{n}@a.example" for n in range(1000)]
    with server.client() as client:
        for n in range(100):
            client.send("a@sender.example", to)
    server.wait_empty(40)
    size = sum(f.stat().st_size for f in (server.home / "trace").rglob("*") if f.is_file())
    assert size <= (4 << 20) * 1.5, size
    id = server.send("a@sender.example", "newest@a.example")
    server.wait_event(id, "Delivery")
