"""Mail exchangers by a real authoritative DNS server (RFC 5321 section 5.1, RFC 7505)."""
import pytest

from lib.world import free_port, wait_until

FIRST, SECOND, THIRD = "127.0.0.2", "127.0.0.3", "127.0.0.4"
ZONES = {
    "mx.test": f"""
        two MX 10 first.mx.test.
        two MX 20 second.mx.test.
        equal MX 10 first.mx.test.
        equal MX 10 second.mx.test.
        first A {FIRST}
        second A {SECOND}
        third A {THIRD}
        null MX 0 .
        unreachable MX 10 closed.mx.test.
        unreachable MX 20 second.mx.test.
        closed A 127.0.0.99
        gone MX 10 nowhere.mx.test.
        halfgone MX 10 nowhere.mx.test.
        halfgone MX 20 second.mx.test.
        implicit A {THIRD}
        six MX 10 six-host.mx.test.
        six-host AAAA ::1
        both MX 10 both-host.mx.test.
        both-host AAAA ::1
        both-host A {FIRST}
        alias CNAME two.mx.test.
        nothing TXT "no mail, no address"
        backup MX 10 first.mx.test.
        backup MX 20 gw.example.test.
        backup MX 30 third.mx.test.
        loops MX 10 gw.example.test.
        loops MX 20 third.mx.test.
        loops-by-address MX 10 us.mx.test.
        us A 127.0.0.1
        strict MX 10 first.mx.test.
        strict MX 20 us.mx.test.
        """,
    "example.test": "gw A 127.0.0.1",
    "broken.test": None,
    "customer.test": """
        a.example MX 10 first.mx.test.
        *.wild.example MX 10 second.mx.test.
        literal.example A 127.0.0.4
        """,
}


@pytest.fixture(scope="module")
def names(dns_server):
    return dns_server(ZONES)


@pytest.fixture
def world(gateway, sink, names):
    """A gateway that asks our DNS server, and exchangers on one port of several loopback addresses."""
    port = free_port("127.0.0.1", FIRST, SECOND, THIRD, "::1", "127.0.0.99")  # our listener has it too: on another port it would not be us
    hops = {}

    def hop(address):
        hops[address] = hops.get(address) or sink(host=address, port=port)
        return hops[address]

    server = gateway({"transports": {"out": {"server": f"lookup-mx:port={port}", "private-hosts": True, "retry-delay": "1s"},
                                     "zoned": {"server": f"lookup-mx:zone=customer.test;query={names.address};port={port}", "private-hosts": True},
                                     "strict": {"server": f"lookup-mx:port={port}"}},
                      "domains": {"a.example": {"transport": "zoned"}, "b.wild.example": {"transport": "zoned"},
                                  "literal.example": {"transport": "zoned"}, "strict.mx.test": {"transport": "strict"}},
                      "default-transport": "out"},
                     start={"listeners": {"mx": {"address": f"127.0.0.1:{port}"}}, "dns": {"servers": [names.address]}, "timeouts": {"dns": "5s", "connect": "5s"}})
    return server, hop


def test_the_lowest_preference_goes_first(world):
    server, hop = world
    first, second = hop(FIRST), hop(SECOND)
    for n in range(5):
        server.send("a@sender.example", f"x{n}@two.mx.test")
    first.wait(5)
    assert second.connections == 0
    event = wait_until("trace", lambda: server.trace("recipient=x0@two.mx.test event=Delivery"))[-1]
    assert event["destination"] == "first.mx.test" and event["peer"].startswith(FIRST)


def test_equal_preferences_share(world):
    """RFC 5321 section 5.1: equal ones in an order drawn by chance. Each lookup draws anew, so a few domains are needed."""
    server, hop = world
    first, second = hop(FIRST), hop(SECOND)
    server.send("a@sender.example", [f"x{n}@equal.mx.test" for n in range(3)])
    wait_until("delivery", lambda: len(first.messages) + len(second.messages) == 1)


def test_an_unreachable_exchanger_falls_to_the_next(world):
    server, hop = world
    second = hop(SECOND)
    id = server.send("a@sender.example", "x@unreachable.mx.test")
    second.wait(1, 5)
    assert not server.events(id, "TransientFailure")


def test_an_exchanger_that_greets_with_an_error_falls_to_the_next(world):
    server, hop = world
    first, second = hop(FIRST), hop(SECOND)
    first.rule("connect", "554 5.3.2 not today")
    server.send("a@sender.example", "x@two.mx.test")
    second.wait(1, 5)


def test_one_exchanger_that_does_not_exist_is_left_out(world):
    server, hop = world
    second = hop(SECOND)
    server.send("a@sender.example", "x@halfgone.mx.test")
    second.wait(1, 5)


def test_no_mx_means_the_address(world):
    server, hop = world
    third = hop(THIRD)
    server.send("a@sender.example", "x@implicit.mx.test")
    third.wait(1)


def test_an_alias_is_followed(world):
    server, hop = world
    hop(FIRST)
    server.send("a@sender.example", "x@alias.mx.test")
    hop(FIRST).wait(1)


def test_ipv6(world):
    server, hop = world
    six = hop("::1")
    server.send("a@sender.example", "x@six.mx.test")
    six.wait(1)


def test_ipv6_first_then_ipv4(world):
    server, hop = world
    first = hop(FIRST)
    server.send("a@sender.example", "x@both.mx.test")
    first.wait(1)  # nothing listens on ::1
    six = hop("::1")
    server.send("a@sender.example", "y@both.mx.test")
    wait_until("both came", lambda: len(first.messages) + len(six.messages) == 2)


@pytest.mark.parametrize("domain, status, word", [
    ("null.mx.test", "5.1.10", "null MX"), ("nowhere.mx.test", "5.1.2", ""), ("nothing.mx.test", "5.4.4", ""), ("gone.mx.test", "5.4.4", ""),
    ("loops.mx.test", "5.4.6", "loops back"), ("loops-by-address.mx.test", "5.4.6", "loops back")])
def test_what_can_never_arrive_bounces_at_once(world, domain, status, word):
    server, hop = world
    hop(FIRST), hop(THIRD)
    id = server.send("a@implicit.mx.test", f"x@{domain}")
    bounce = server.wait_event(id, "Bounce")
    assert status in bounce["reason"] and word.lower() in bounce["reason"].lower(), bounce
    report = hop(THIRD).wait(1)[0]
    assert report.sender == "" and report.rcpts == ["a@implicit.mx.test"]
    assert f"Status: {status}".encode() in report.body and f"x@{domain}".encode() in report.body


def test_servfail_is_for_later(world):
    server, hop = world
    id = server.send("a@sender.example", "x@broken.test")
    event = server.wait_event(id, "TransientFailure")
    assert "4.4.3" in event["reason"] and "SERVFAIL" in event["reason"], event
    unit = server.unit(id)
    assert unit["blocker"] in ("down", "deferred", "active", "dns") and unit["attempts"] >= 1
    assert not server.events(id, "Bounce")


def test_a_backup_exchanger_never_loops(world):
    """We are at 20: only 10 may be tried, never 30 (RFC 5321 section 5.1)."""
    server, hop = world
    first, third = hop(FIRST), hop(THIRD)
    server.send("a@sender.example", "x@backup.mx.test")
    first.wait(1)
    first.stop()
    id = server.send("a@sender.example", "y@backup.mx.test")
    server.wait_event(id, "TransientFailure")
    assert third.connections == 0
    first.start()
    server.ctl("queue", "retry", id)
    first.wait(2)
    assert third.connections == 0


def test_a_zone_is_asked_for_in_place_of_the_domain(world):
    server, hop = world
    first, second, third = hop(FIRST), hop(SECOND), hop(THIRD)
    server.send("a@sender.example", ["x@a.example", "y@b.wild.example", "z@literal.example"])
    assert first.wait(1)[0].rcpts == ["x@a.example"]
    assert second.wait(1)[0].rcpts == ["y@b.wild.example"]
    assert third.wait(1)[0].rcpts == ["z@literal.example"]


def test_a_transport_s_own_dns_server_is_asked(gateway, sink, names):
    """query: for this transport only. The system's servers (here: none that answers) know nothing of the zone."""
    port = free_port(FIRST)
    hop = sink(host=FIRST, port=port)
    nobody = free_port()
    server = gateway({"transports": {"q": {"server": f"lookup-mx:query={names.address};port={port}", "private-hosts": True},
                                     "system": {"server": f"lookup-mx:port={port}"}},
                      "domains": {"two.mx.test": {"transport": "q"}}, "default-transport": "system"},
                     start={"dns": {"servers": [f"127.0.0.1:{nobody}"]}, "timeouts": {"dns": "2s"}})
    server.send("a@sender.example", "x@two.mx.test")
    hop.wait(1)
    id = server.send("a@sender.example", "x@equal.mx.test")
    assert "4.4.3" in server.wait_event(id, "TransientFailure")["reason"]


def test_an_address_literal_needs_no_dns(world):
    server, hop = world
    third = hop(THIRD)
    server.send("a@sender.example", f"x@[{THIRD}]")
    assert third.wait(1)[0].rcpts == [f"x@[{THIRD}]"]


def test_private_exchangers_are_refused_unless_the_transport_says_so(world):
    """A stranger's DNS must not send us to a server of our own network."""
    server, hop = world
    first, third = hop(FIRST), hop(THIRD)
    id = server.send("a@implicit.mx.test", "x@strict.mx.test")
    reason = server.wait_event(id, "Bounce")["reason"]
    assert "5.4.4" in reason and f"first.mx.test of strict.mx.test has the address {FIRST}" in reason and "private-hosts" in reason
    assert third.wait(1)[0].sender == "" and first.connections == 0
    server.ctl("transport", "set", "strict", "private-hosts=yes")
    server.send("a@implicit.mx.test", "x@strict.mx.test")
    first.wait(1)


def test_explain_says_what_the_dns_says(world):
    server, hop = world

    def explain(to):
        return server.json("explain", "--client", "127.0.0.1", "--from", "a@sender.example", "--to", to)

    good = explain("x@two.mx.test")
    assert [h["name"] for h in good["dns"]["hosts"]] == ["first.mx.test", "second.mx.test"] and good["next"] == "delivered"
    assert good["dns"]["hosts"][0]["addresses"] == [FIRST]
    loop = explain("x@loops.mx.test")
    assert loop["next"] == "bounces" and loop["failure"]["enhanced"] == "5.4.6"
    private = explain("x@strict.mx.test")
    assert private["failure"]["enhanced"] == "5.4.4" and "private-hosts" in str(private["steps"])
    assert explain("x@broken.test")["next"] == "waits"


def test_explain_knows_what_is_down(gateway, sink):
    hop = sink()
    hop.stop()
    server = gateway({"transports": {"t": {"server": hop.server_name, "retry-delay": "1h"}}, "domains": {"a.example": {"transport": "t"}}})
    ask = ["explain", "--client", "192.0.2.1", "--from", "a@sender.example", "--to", "x@a.example"]
    assert server.json(*ask)["next"] == "delivered"
    server.wait_event(server.send("a@sender.example", "x@a.example"), "TransientFailure")
    told = server.json(*ask)
    assert told["next"] == "waits" and told["down"]["since"] and told["down"]["next_probe"]
    assert told["down"]["last_failure"]["enhanced"] == "4.4.1"
    assert any(step["rule"] == "down" and "transport t is down since " in step["text"] for step in told["steps"])


def test_another_server_on_our_own_address(gateway, sink, names):
    """RFC 5321 section 5.1 drops us, not our neighbours on the same machine."""
    hop = sink()
    server = gateway({"transports": {"t": {"server": f"lookup-mx:port={hop.port}", "private-hosts": True}}, "default-transport": "t"},
                     start={"dns": {"servers": [names.address]}})
    server.send("a@sender.example", "x@loops-by-address.mx.test")
    assert hop.wait(1)[0].rcpts == ["x@loops-by-address.mx.test"]


def test_a_fixed_server_by_name(gateway, sink, names):
    port = free_port(SECOND)
    hop = sink(host=SECOND, port=port)
    server = gateway({"transports": {"t": {"server": f"second.mx.test:{port}"}, "typo": {"server": f"no-such-host.mx.test:{port}"}},
                      "domains": {"a.example": {"transport": "t"}, "b.example": {"transport": "typo"}}},
                     start={"dns": {"servers": [names.address]}})
    server.send("a@sender.example", "x@a.example")
    hop.wait(1)
    # A mistake of the administrator does not bounce mail.
    id = server.send("a@sender.example", "x@b.example")
    assert "4.4.4" in server.wait_event(id, "TransientFailure")["reason"]


def test_a_fixed_server_that_is_ourselves_bounces(gateway):
    server = gateway(started=False, objects=None)
    server.objects = {"transports": {"me": {"server": f"127.0.0.1:{server.port}"}}, "domains": {"a.example": {"transport": "me"},
                      "c.example": {"mailboxes": True}}, "accounts": {"ann@c.example": {}}}
    server.start()
    id = server.send("ann@c.example", "x@a.example")
    bounce = server.wait_event(id, "Bounce")
    assert "5.4.6" in bounce["reason"] and "loop" in bounce["reason"]
    report = server.wait_mailbox("ann@c.example")[0]
    assert b"Status: 5.4.6" in report
