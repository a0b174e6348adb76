"""Who speaks for others: PROXY headers and XCLIENT, believed from named peers only."""
import pytest

from lib.guarded import PASSWORD, STRANGER, Guarded, received
from lib.smtp import Client, Closed
from lib.tls import TlsClient, context, proxy_v1, proxy_v2
from lib.world import wait_until

FRIEND = "198.51.100.7"


@pytest.fixture
def world(gateway, sink, peer):
    """named: a proxy and an XCLIENT peer from 127.0.0.1; unnamed: from 127.0.0.9 only, where nobody of us is."""
    return lambda **options: Guarded(gateway, sink, peer, **{"objects": {"relay": {
        name: {"policy": "addresses", "from": [FRIEND, "2001:db8::7"]} for name in ("front", "unnamed", "xclient", "both")}}, "listeners": {
            "unnamed": {"proxy": ["127.0.0.9"], "xclient": ["127.0.0.9"]}, "xclient": {"xclient": ["127.0.0.0-127.0.0.1"]},
            "both": {"proxy": ["127.0.0.1"], "xclient": ["127.0.0.1"]}}, **options})


def connect(one, listener, header=b"", **options):
    client = Client(one.address(listener), greet=False, **options)
    client.raw(header)
    client.expect(220)
    client.ehlo()
    return client


def v2_with_tlvs(address):
    return proxy_v2(address, more=b"\x04\x00\x05hello" + b"\x05\x00\x40" + b"u" * 64)


@pytest.mark.parametrize("header", [proxy_v1, proxy_v2, v2_with_tlvs])
def test_the_client_is_who_the_proxy_says(world, header):
    """For the right to relay, the Received field, the trace, and every byte on its own."""
    one = world()
    for who, right in ((STRANGER, False), (FRIEND, True), ("2001:db8::7", True), ("2001:db8::8", False)):
        with connect(one, "front", header(who)) as client:
            assert one.may_relay(client) == right, who
            id = client.send("ann@sender.example", "x@a.example")
        reception, = one.server.events(id, "Reception")
        assert reception["client"] == who
        literal = f"[IPv6:{who}]" if ":" in who else f"[{who}]"
        assert f"({literal})" in received(one.site.wait(1)[0].body)
        one.site.messages.clear()
    client = Client(one.address("front"), greet=False)
    for byte in header(FRIEND):
        client.raw(bytes([byte]))
    client.expect(220)
    client.ehlo()
    assert one.may_relay(client)
    client.close()


def test_tls_behind_a_proxy(world):
    """The header comes in clear, then TLS: at once, or after STARTTLS."""
    one = world(objects={}, listeners={"submission": {"proxy": ["127.0.0.1"]}})
    for listener in ("front", "submission"):
        with TlsClient(one.address(listener), implicit=listener == "submission", tls=context(one.ca.crt), proxy=proxy_v2(FRIEND)) as client:
            assert client.login("joe@c.example", PASSWORD).code == 235
            id = client.send("joe@c.example", "x@a.example")
        assert one.server.events(id, "Reception")[0]["client"] == FRIEND


def test_a_check_by_the_proxy_itself(world):
    """LOCAL and UNKNOWN name nobody: it is the proxy that speaks."""
    one = world()
    for header in (proxy_v2(None), b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"):
        with connect(one, "front", header) as client:
            id = client.send("ann@sender.example", "x@a.example")
        assert one.server.events(id, "Reception")[0]["client"] == "127.0.0.1"


@pytest.mark.parametrize("header", [b"EHLO client.example\r\n", b"PROXY\r\n", b"PROXY TCP4 1.2.3.4\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 99999 25\r\n",
                                    b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", b"PROXY TCP6 198.51.100.7 192.0.2.1 1 2\r\n",
                                    b"proxy tcp4 198.51.100.7 192.0.2.1 1 2\r\n", b"PROXY TCP4 198.51.100.7 192.0.2.1 1 2\n" + b"x" * 200,
                                    b"PROXY TCP4 " + b"1" * 200 + b"\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c" + b"\0" * 12,
                                    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff" + b"\0" * 3000, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04" + b"\0" * 4,
                                    b"\x16\x03\x01\0\x05hello"], ids=range(13))
def test_no_session_without_a_right_header(world, header):
    """Nothing is said, not even a greeting: the peer speaks something else."""
    one = world()
    with Client(one.address("front"), greet=False) as client:
        client.raw(header)
        client.socket.settimeout(10)
        with pytest.raises(Closed):
            client.line()
    rejection = wait_until("it is told", lambda: [e for e in one.server.trace("since=1h") if e["event"] == "Rejection"])[0]
    assert rejection["why"] == "proxy" and rejection["client"] == "127.0.0.1"


def test_others_are_not_believed(world):
    """The header is no command, XCLIENT is not offered, and neither changes who the client is."""
    one = world()
    for header in (proxy_v1(FRIEND), proxy_v2(FRIEND)):
        client = Client(one.address("unnamed"), greet=False)
        client.raw(header)
        client.expect(220)
        assert client.reply().code in (500, 502)
        client.close()
    with connect(one, "unnamed") as client:
        assert "XCLIENT" not in client.extensions
        client.cmd(f"XCLIENT ADDR={FRIEND}", 502)
        client.cmd(f"PROXY TCP4 {FRIEND} 192.0.2.1 1 2", 500, 502)
        id = client.send("ann@sender.example", "x@a.example")
    assert one.server.events(id, "Reception")[0]["client"] == "127.0.0.1"
    # Once is enough: a second header is the client's own.
    client = Client(one.address("front"), greet=False)
    client.raw(proxy_v1(STRANGER) + proxy_v1(FRIEND))
    client.expect(220)
    assert client.reply().code in (500, 502)
    client.ehlo()
    assert not one.may_relay(client)
    client.close()
    # Whom the proxy speaks for may not speak for others, though the proxy might: it is asked about itself.
    with connect(one, "front", proxy_v1("127.0.0.9")) as client:
        client.cmd(f"XCLIENT ADDR={FRIEND}", 502)


def test_xclient(world):
    one = world()
    with connect(one, "xclient") as client:
        assert {"ADDR", "LOGIN"} <= set(client.extensions["XCLIENT"].split())
        client.cmd("MAIL FROM:<a@sender.example>", 250)
        client.cmd(f"XCLIENT ADDR={FRIEND}", 503)
        client.cmd("RSET", 250)
        for wrong in ("XCLIENT", "XCLIENT ADDR", "XCLIENT ADDR=1.2.3", "XCLIENT FOO=bar", "XCLIENT ADDR=198.51.100.7 ADDR=x"):
            client.cmd(wrong, 501)
        client.cmd(f"XCLIENT ADDR={STRANGER}", 220)  # a session from the beginning
        client.cmd("MAIL FROM:<a@sender.example>", 503)
        client.ehlo("told.example")
        assert not one.may_relay(client)
        id = client.send("ann@sender.example", "x@a.example")
        client.cmd(f"XCLIENT ADDR={FRIEND} HELO=named.example", 220)
        client.ehlo()
        assert one.may_relay(client)
        client.cmd("XCLIENT ADDR=IPV6:2001:db8::8", 220)
        client.ehlo()
        assert not one.may_relay(client)
        # An address that is withheld is not the peer's, which may relay.
        client.cmd("XCLIENT ADDR=[UNAVAILABLE]", 220)
        client.ehlo()
        assert not one.may_relay(client)
        # Who logged in, says the peer, may.
        client.cmd(f"XCLIENT ADDR={STRANGER} LOGIN=joe@c.example", 220)
        client.ehlo()
        assert one.may_relay(client, "joe@c.example")
        client.cmd(f"XCLIENT ADDR={STRANGER} LOGIN=[UNAVAILABLE]", 220)
        client.ehlo()
        assert not one.may_relay(client, "joe@c.example")
    assert one.server.events(id, "Reception")[0]["client"] == STRANGER
    assert f"([{STRANGER}])" in received(one.site.wait(1)[0].body)


def test_xclient_behind_a_proxy(world):
    """Behind a header it is the proxy's client that speaks, who may be anybody."""
    one = world()
    with connect(one, "both", proxy_v1(STRANGER)) as client:
        assert "XCLIENT" not in client.extensions
        client.cmd(f"XCLIENT ADDR={FRIEND}", 502)
        client.cmd(f"XCLIENT ADDR={FRIEND} LOGIN=joe@c.example", 502)
        assert not one.may_relay(client)
