"""Next hops that die, stall, drop and refuse: nothing is lost, little is sent twice, and it all goes on when they are back."""
import collections
import time

import pytest

from lib.peers import SmtpSink
from lib.sink import DROP, TAKE_AND_DROP, Stall
from lib.smtp import message
from lib.world import wait_until


def one_hop(server, **fields):
    return {"transports": {"t": {"server": server, **fields}}, "domains": {"a.example": {"transport": "t"}}}


def test_a_dead_destination_is_probed_and_its_backlog_drains(gateway, sink):
    hop = sink()
    hop.stop()
    server = gateway(one_hop(hop.server_name, **{"retry-delay": "1h"}))
    with server.client() as client:
        ids = [client.send("a@sender.example", f"x{n}@a.example") for n in range(100)]
    server.wait_blocker(ids[0], "down")
    server.wait_blocker(ids[-1], "down")
    # Not message by message: a handful of attempts, though a hundred wait.
    assert server.status()["roles"]["delivery"]["delivery"]["attempts"] <= 25
    assert max(server.unit(id)["attempts"] for id in ids) <= 1
    hop.start()
    hop.wait(100, 15)  # the first probe comes within seconds, though retries are an hour away
    server.wait_empty()
    assert sorted(m.rcpts[0] for m in hop.messages) == sorted(f"x{n}@a.example" for n in range(100))
    # What needed a probe ramped up: not a hundred connections at once.
    assert hop.connections <= 25


def test_connections_are_reused(gateway, sink):
    hop = sink()
    server = gateway(one_hop(hop.server_name, connections=3))
    with server.client() as client:
        for n in range(200):
            client.send("a@sender.example", f"x{n}@a.example")
    hop.wait(200)
    assert hop.connections <= 3
    # A lower limit counts for the connections that are open, too.
    server.ctl("transport", "set", "t", "messages-per-connection=10")
    with server.client() as client:
        for n in range(100):
            client.send("a@sender.example", f"y{n}@a.example")
    hop.wait(300)
    per_connection = collections.Counter(m.session.number for m in hop.messages[200:])
    assert max(per_connection.values()) <= 10, per_connection


def test_an_idle_connection_is_closed_politely(gateway, sink):
    hop = sink()
    server = gateway(one_hop(hop.server_name), start={"timeouts": {"idle": "500ms"}})
    server.send("a@sender.example", "x@a.example")
    hop.wait(1)
    wait_until("QUIT", lambda: "QUIT" in hop.commands, 5)


def test_a_server_that_closes_idle_connections(gateway, sink):
    hop = sink()
    server = gateway(one_hop(hop.server_name))
    for n in range(5):
        server.send("a@sender.example", f"x{n}@a.example")
        hop.wait(n + 1)
        for session in list(hop.sessions):
            hop.loop.call_soon_threadsafe(session.writer.close)
        time.sleep(0.1)
    server.wait_empty()
    assert not server.trace("event=TransientFailure")


STAGES = ["connect", "ehlo", "mail", "rcpt", "data", "body", "end"]


@pytest.mark.parametrize("stage", STAGES)
def test_dropped_once_at(gateway, sink, stage):
    hop = sink()
    hop.rule(stage, DROP, times=1)
    server = gateway(one_hop(hop.server_name, **{"retry-delay": "1s"}))
    server.send("a@sender.example", "x@a.example")
    hop.wait(1, 15)
    server.wait_empty()
    assert len(hop.messages) == 1


def test_the_reply_to_the_end_is_lost(gateway, sink):
    """RFC 1047: the hop took it, we cannot know. It comes again, and is never lost."""
    hop = sink()
    hop.rule("end", TAKE_AND_DROP, times=1)
    server = gateway(one_hop(hop.server_name, **{"retry-delay": "1s"}))
    server.send("a@sender.example", "x@a.example")
    hop.wait(2, 15)
    server.wait_empty()
    assert len(hop.messages) == 2


@pytest.mark.parametrize("stage, timeout", [("connect", "greeting"), ("ehlo", "ehlo"), ("mail", "mail"), ("rcpt", "rcpt"), ("data", "data"),
                                            ("end", "body-end")])
def test_stalled_at(gateway, sink, stage, timeout):
    """A hop that says nothing costs one timeout, not a delivery."""
    hop = sink()
    rule = hop.rule(stage, Stall(30))
    server = gateway(one_hop(hop.server_name, **{"retry-delay": "1s"}), start={"timeouts": {timeout: "1s"}})
    id = server.send("a@sender.example", "x@a.example")
    event = server.wait_event(id, "TransientFailure", 10)
    assert "time" in event["reason"].lower(), event
    hop.rules.remove(rule)
    hop.wait(1, 20)
    server.wait_empty()


@pytest.mark.parametrize("stage, reply", [("connect", "421 4.3.2 busy"), ("ehlo", "421 4.3.2 no"), ("mail", "450 4.7.1 later"),
                                          ("rcpt", "450 4.2.0 later"), ("data", "451 4.3.0 later"), ("end", "452 4.3.1 full"),
                                          ("end", "421 4.3.0 closing")])
def test_refused_for_now_at(gateway, sink, stage, reply):
    hop = sink()
    hop.rule(stage, reply, times=1)
    server = gateway(one_hop(hop.server_name, **{"retry-delay": "1s"}))
    id = server.send("a@sender.example", "x@a.example")
    hop.wait(1, 15)
    server.wait_empty()
    assert reply in server.events(id, "TransientFailure")[0]["reply"]
    assert len(hop.messages) == 1


@pytest.mark.parametrize("stage, reply", [("mail", "550 5.7.1 not you"), ("rcpt", "550 5.1.1 unknown"), ("data", "554 5.5.0 no"),
                                          ("end", "552 5.3.4 too big")])
def test_refused_for_good_at(gateway, sink, stage, reply):
    hop = sink()
    hop.rule(stage, reply)
    server = gateway({**one_hop(hop.server_name), "domains": {"a.example": {"transport": "t"}, "c.example": {"mailboxes": True}},
                      "accounts": {"ann@c.example": {}}})
    id = server.send("ann@c.example", "x@a.example")
    assert reply in server.wait_event(id, "Bounce")["reply"]
    assert reply[:9].encode() in server.wait_mailbox("ann@c.example")[0]


def test_each_recipient_has_its_own_fate(gateway, sink):
    hop = sink()
    hop.rule("rcpt", "550 5.1.1 unknown", match="bad")
    hop.rule("rcpt", "450 4.2.1 later", match="late", times=1)
    server = gateway({**one_hop(hop.server_name, **{"retry-delay": "1s"}),
                      "domains": {"a.example": {"transport": "t"}, "c.example": {"mailboxes": True}}, "accounts": {"ann@c.example": {}}})
    server.send("ann@c.example", ["good@a.example", "bad@a.example", "late@a.example"])
    hop.wait(2, 15)
    assert [m.rcpts for m in hop.messages] == [["good@a.example"], ["late@a.example"]]
    report = server.wait_mailbox("ann@c.example")[0]
    assert b"bad@a.example" in report and b"late@a.example" not in report.split(b"message/rfc822")[0].replace(b"<late", b"")
    server.wait_empty()


def test_many_recipients_and_a_hop_that_takes_few_at_a_time(gateway, sink):
    hop = sink()
    hop.rule("rcpt", lambda _: None)

    def few(_):
        session = next(s for s in hop.sessions if s.message)
        return "452 4.5.3 too many recipients" if len(session.message.rcpts) >= 100 else None
    hop.rules[0]["answer"] = few
    server = gateway(one_hop(hop.server_name, connections=1))
    to = [f"x{n}@a.example" for n in range(950)]
    server.send("a@sender.example", to)
    wait_until("all recipients", lambda: sum(len(m.rcpts) for m in hop.messages) == 950, 20)
    assert sorted(r for m in hop.messages for r in m.rcpts) == sorted(to)
    server.wait_empty()


@pytest.mark.parametrize("extensions", [None, (), ("SIZE 1000000",), ("PIPELINING",), ("8BITMIME", "DSN"), ("CHUNKING", "PIPELINING")],
                         ids=["no EHLO", "none", "SIZE", "PIPELINING", "8BITMIME+DSN", "CHUNKING"])
def test_hops_with_few_extensions(gateway, sink, extensions):
    hop = sink(extensions=extensions)
    server = gateway(one_hop(hop.server_name))
    server.send("a@sender.example", ["x@a.example", "y@a.example"], message("x", ".dot\n"))
    assert hop.wait(1)[0].rcpts == ["x@a.example", "y@a.example"]


def test_a_message_longer_than_the_hop_takes_bounces_without_sending_it(gateway, sink):
    hop = sink(extensions=("SIZE 1000", "PIPELINING"))
    server = gateway({**one_hop(hop.server_name), "domains": {"a.example": {"transport": "t"}, "c.example": {"mailboxes": True}},
                      "accounts": {"ann@c.example": {}}})
    id = server.send("ann@c.example", "x@a.example", message("big", "text\n" * 500))
    bounce = server.wait_event(id, "Bounce")
    assert "5.3.4" in (bounce.get("reason") or bounce.get("reply"))
    assert "DATA" not in hop.commands


# ---- Postfix's smtp-sink, made to misbehave

@pytest.mark.parametrize("options, event", [(["-f", "rcpt"], "Bounce"), (["-f", "data"], "Bounce"), (["-r", "rcpt"], "TransientFailure"),
                                            (["-r", "."], "TransientFailure"), (["-q", "data"], "TransientFailure"),
                                            (["-Q", "mail"], "TransientFailure")], ids=lambda v: " ".join(v) if isinstance(v, list) else v)
def test_smtp_sink_refuses_and_drops(gateway, peer, options, event):
    hop = peer(SmtpSink(*options))
    server = gateway(one_hop(hop.server_name, **{"retry-delay": "1s"}))
    id = server.send("a@sender.example", "x@a.example")
    server.wait_event(id, event)
    if event == "TransientFailure":
        assert server.queue()
        healthy = peer(SmtpSink())
        server.ctl("transport", "set", "t", f"server={healthy.server_name}")
        server.ctl("queue", "retry", id, code=None)  # it may be gone by itself
        wait_until("delivery", lambda: any(b"Subject: a test" in b for b in healthy.bodies()))
    server.wait_empty()


def test_smtp_sink_stalls(gateway, peer):
    hop = peer(SmtpSink("-w", "3"))
    server = gateway(one_hop(hop.server_name))
    id = server.send("a@sender.example", "x@a.example")
    server.wait_blocker(id, "active")
    server.wait_empty(15)
    assert len(hop.bodies()) == 1
