"""The SMTP server as clients see it: RFC 5321 and its extensions, and what it refuses."""
import socket
import time

import pytest

from lib.peers import Elsewhere
from lib.postern import without_trace
from lib.smtp import Client, Closed, message
from lib.world import free_port, stays, wait_until


@pytest.fixture
def mx(gateway, sink):
    """A gateway with a served domain, and the hop behind it."""
    hop = sink()
    server = gateway({"transports": {"t": {"server": hop.server_name}}, "domains": {"a.example": {"transport": "t"}}},
                     start={"limits": {"message-size": "1M", "recipients": 100, "line": 4000, "header-bytes": 20000, "errors": 10,
                                       "commands": 50}})
    return server, hop


def test_ehlo_offers_the_extensions(mx):
    server, _ = mx
    with server.client() as client:
        for name in ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "BINARYMIME", "ENHANCEDSTATUSCODES"):
            assert name in client.extensions
        assert client.extensions["SIZE"] == str(1 << 20)
        assert "RCPTMAX=100" in client.extensions["LIMITS"]
        assert "STARTTLS" not in client.extensions and "AUTH" not in client.extensions
        assert client.greeting.text.startswith("gw.example.test ESMTP")


def test_a_whole_session_in_one_packet(mx):
    """RFC 2920, with BDAT after DATA (RFC 3030) and a recipient that is refused."""
    server, hop = mx
    first, second = message("first"), message("second", "a\n.\nb\n")
    with server.client(helo=None) as client:
        client.raw(b"EHLO c.example\r\nMAIL FROM:<a@sender.example>\r\nRCPT TO:<x@a.example>\r\nRCPT TO:<y@a.example> FOO=1\r\n"
                   b"DATA\r\n")
        assert [client.reply().code for _ in range(5)] == [250, 250, 250, 555, 354]
        client.raw(first + b".\r\n" + b"MAIL FROM:<> SIZE=%d\r\nRCPT TO:<z@a.example>\r\n" % len(second)
                   + b"BDAT 10\r\n" + second[:10] + b"BDAT %d\r\n" % (len(second) - 10) + second[10:] + b"BDAT 0 LAST\r\n"
                   + b"NOOP\r\nQUIT\r\n")
        assert [client.reply().code for _ in range(8)] == [250, 250, 250, 250, 250, 250, 250, 221]
        assert client.is_closed()
    hop.wait(2)
    assert without_trace(hop.wait_for("x@a.example").body) == first
    assert without_trace(hop.wait_for("z@a.example").body) == second
    assert hop.wait_for("z@a.example").sender == ""


def test_size_is_refused_early(mx):
    server, hop = mx
    with server.client() as client:
        reply = client.cmd(f"MAIL FROM:<a@sender.example> SIZE={(1 << 20) + 1}", 552)
        assert reply.enhanced == "5.3.4"
        client.cmd(f"MAIL FROM:<a@sender.example> SIZE={1 << 20}", 250)
        client.cmd("RSET", 250)
    assert any(e["event"] == "Rejection" for e in wait_until("trace", lambda: server.trace("event=Rejection")))


@pytest.mark.parametrize("how", ["data", "bdat"])
def test_size_is_refused_when_the_client_lied(mx, how):
    server, hop = mx
    body = message("big", "x" * 70 + "\n") + b"y" * 78 * 0 + b"z" * ((1 << 20) + 100) + b"\r\n"
    body = message("big") + (b"z" * 78 + b"\r\n") * (((1 << 20) // 80) + 10)
    with server.client() as client:
        client.envelope("a@sender.example", "x@a.example", mail="SIZE=100")
        reply = client.data(body, 552) if how == "data" else client.bdat(body, 552)
        assert reply.enhanced == "5.3.4"
        # The session goes on.
        client.send("a@sender.example", "y@a.example")
    hop.wait_for("y@a.example")
    assert len(hop.messages) == 1


SMUGGLED = b"MAIL FROM:<admin@a.example>\r\nRCPT TO:<victim@a.example>\r\nDATA\r\nSubject: smuggled\r\n\r\n"


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\r", b"\r.\r", b"\n.\r", b"\r\n.\n\r\n", b"\0\r\n.\n"])
def test_smuggling_is_refused(mx, end):
    """What another server might take for the end of a body is not one, and the whole is refused: nothing gets through."""
    server, hop = mx
    with server.client() as client:
        client.envelope("a@sender.example", "x@a.example")
        client.cmd("DATA", 354)
        client.raw(message("outer") + b"text" + end + SMUGGLED + b"\r\n.\r\n")
        assert client.expect(550).enhanced == "5.6.0"
        client.send("a@sender.example", "y@a.example")
    hop.wait_for("y@a.example")
    server.wait_empty()
    assert [m.rcpts for m in hop.messages] == [["y@a.example"]]


def test_bare_line_feeds_in_bdat_are_refused_unless_binary(mx):
    server, hop = mx
    with server.client() as client:
        client.envelope("a@sender.example", "x@a.example")
        client.bdat(b"Subject: x\n\nbare\n", 550)
        client.send("a@sender.example", "y@a.example", b"Subject: x\n\nbare\n", mail="BODY=BINARYMIME", how="bdat")
        client.envelope("a@sender.example", "x@a.example", mail="BODY=BINARYMIME")
        client.cmd("DATA", 503)  # RFC 3030 section 3
    hop.wait_for("y@a.example")


@pytest.mark.parametrize("body", [message("nul", "a\0b\n"), message("long line") + b"x" * 4001 + b"\r\n",
                                  b"X-Long: " + b" a\r\n" * 10000 + b"\r\ntext\r\n"], ids=["nul", "long line", "long header"])
def test_content_beyond_the_limits_is_refused(mx, body):
    server, hop = mx
    with server.client() as client:
        client.envelope("a@sender.example", "x@a.example")
        assert client.data(body, 550).enhanced == "5.6.0"
        client.send("a@sender.example", "y@a.example")
    hop.wait_for("y@a.example")
    assert len(hop.messages) == 1


def test_smtputf8(mx):
    server, hop = mx
    body = message("Grüße", "Zwölf\n")
    with server.client() as client:
        assert client.cmd("MAIL FROM:<jörg@sender.example>").code in (550, 553)
        client.cmd("MAIL FROM:<a@sender.example>", 250)
        assert client.cmd("RCPT TO:<jörg@a.example>", 553).enhanced == "5.6.7"
        client.cmd("RSET", 250)
        client.send("jörg@sender.example", "jörg@a.example", body, mail="SMTPUTF8 BODY=8BITMIME")
    got = hop.wait(1)[0]
    assert got.sender == "jörg@sender.example" and got.rcpts == ["jörg@a.example"]
    assert "SMTPUTF8" in got.mail_params and without_trace(got.body) == body
    assert b"with UTF8SMTP" in got.body.split(b"\r\nFrom:")[0]


def test_addresses_in_one_canonical_form(mx):
    """Quotes that are not needed, case of the domain, international domains in both forms: the same mailbox."""
    server, hop = mx
    server.apply({"domains": {"xn--bcher-kva.example": {"transport": "t"}}})
    with server.client() as client:
        client.send("a@sender.example", ['"joe"@A.Example', "JOE@a.EXAMPLE"])
        client.send("a@sender.example", "x@xn--bcher-kva.example")
        client.send("a@sender.example", "y@bücher.example", mail="SMTPUTF8")
        client.send("a@sender.example", '"with a blank"@a.example')
    hop.wait(4)
    taken = [r for m in hop.messages for r in m.rcpts]
    assert '"joe"@a.example' not in taken and "joe@a.example" in taken
    assert "x@xn--bcher-kva.example" in taken and "y@xn--bcher-kva.example" in taken
    assert '"with a blank"@a.example' in taken


@pytest.mark.parametrize("command, codes", [
    ("MAIL FROM:<a@b.example>", (503,)), ("RCPT TO:<x@a.example>", (503,)), ("DATA", (503,)), ("BDAT 0 LAST", (503,)),
    ("STARTTLS", (502,)), ("AUTH PLAIN AAAA", (502,)), ("EXPN list", (502,)), ("FOO", (500,)), ("NOOP", (250,)),
    ("HELP", (214,)), ("VRFY x@a.example", (252,)), ("VRFY nobody@nowhere.example", (252,)), ("RSET", (250,)), ("EHLO", (501,)),
    ("MAIL FROM:a@b.example", (501, 503)),
])
def test_before_a_greeting(mx, command, codes):
    server, _ = mx
    with server.client(helo=None) as client:
        assert client.cmd(command).code in codes
        client.ehlo()


@pytest.mark.parametrize("command, codes", [
    ("MAIL FROM:<a@b.example", (501,)), ("MAIL FROM:<a@b@c>", (501, 553)), ("MAIL FROM:<a@-b.example>", (501, 553)),
    ("MAIL FROM:<a@b.example> SIZE=abc", (501,)), ("MAIL FROM:<a@b.example> SIZE=1 SIZE=1", (501,)),
    ("MAIL FROM:<a@b.example> FOO=1", (555,)), ("MAIL FROM:<a@b.example> BODY=9BIT", (501, 504)), ("MAIL TO:<a@b.example>", (501,)),
    ("MAIL FROM:<a@b.example> RET=SOME", (501,)), ("MAIL FROM:<" + "a" * 300 + "@b.example>", (501, 553)),
    ("MAIL FROM:<a@[1.2.3]>", (501, 553)), ("MAIL FROM:<a..b@c.example>", (501, 553)),
])
def test_bad_syntax_is_refused(mx, command, codes):
    server, _ = mx
    with server.client() as client:
        assert client.cmd(command).code in codes
        client.cmd("MAIL FROM:<a@b.example>", 250)


def test_relay_is_refused_for_strangers_and_allowed_from_loopback(gateway, sink, peer):
    other = peer(Elsewhere())
    port = free_port("127.0.0.1", other.here)
    hop = sink()
    server = gateway({"transports": {"t": {"server": hop.server_name}}, "domains": {"a.example": {"transport": "t"}},
                      "default-transport": "t"},
                     start={"listeners": {"mx": {"address": f"0.0.0.0:{port}"}}})
    replies = other.dialogue((other.here, port), [
        "EHLO stranger.example", "MAIL FROM:<a@sender.example>", "RCPT TO:<x@elsewhere.example>", "RCPT TO:<y@a.example>",
        "RCPT TO:<%z@elsewhere.example>", "RCPT TO:<\"z@elsewhere.example\"@a.example>", "RCPT TO:<@a.example:z@elsewhere.example>",
        "RCPT TO:<postmaster>", "DATA", "Subject: x\r\n\r\nHello.\r\n.", "QUIT"])
    codes = [int(r[:3]) for r in replies]
    assert codes[:3] == [220, 250, 250]
    assert codes[3] == 550 and " 5.7.1 " in replies[3], replies[3]
    assert codes[4] == 250
    assert codes[5] == 550
    assert codes[6] == 550 and " 5.7.1 " in replies[6], replies[6]  # the server of a.example might read a second hop in it
    assert codes[7] == 550
    assert codes[9:] == [354, 250, 221]
    got = hop.wait_for("y@a.example")
    assert set(got.rcpts) == {"y@a.example"}
    refused = wait_until("the refusal's trace", lambda: server.trace(f"client={other.there} event=Rejection"))
    assert any(e["recipients"] == ["x@elsewhere.example"] for e in refused)
    server.send("a@sender.example", "x@elsewhere.example")
    hop.wait_for("x@elsewhere.example")


def test_recipients_beyond_the_limit_are_told_452(mx):
    server, hop = mx
    with server.client() as client:
        client.cmd("MAIL FROM:<a@sender.example>", 250)
        for n in range(100):
            client.cmd(f"RCPT TO:<r{n}@a.example>", 250)
        assert client.cmd("RCPT TO:<r100@a.example>", 452).enhanced == "4.5.3"
        client.data(message())
    assert sum(len(m.rcpts) for m in hop.wait(1)) == 100


def test_a_mailbox_domain_knows_its_accounts(gateway):
    server = gateway({"domains": {"c.example": {"mailboxes": True}}, "accounts": {"ann@c.example": {}}})
    with server.client() as client:
        client.cmd("MAIL FROM:<a@sender.example>", 250)
        assert client.cmd("RCPT TO:<nobody@c.example>", 550).enhanced == "5.1.1"
        client.cmd("RCPT TO:<ANN@C.EXAMPLE>", 250)
        client.data(message())
    assert len(server.wait_mailbox("ann@c.example")) == 1


def test_errors_and_idle_commands_end_a_session(mx):
    server, _ = mx
    with server.client() as client:
        codes = []
        with pytest.raises((Closed, AssertionError, OSError)):
            for _ in range(30):
                codes.append(client.cmd("FOO").code)
                assert codes[-1] != 421
        assert codes[-1] == 421 and 9 <= len(codes) <= 12
    with server.client() as client:
        codes = []
        with pytest.raises((Closed, AssertionError, OSError)):
            for _ in range(100):
                codes.append(client.cmd("NOOP").code)
                assert codes[-1] != 421
        assert codes[-1] == 421 and 45 <= len(codes) <= 55


def test_a_command_line_that_never_ends(mx):
    server, _ = mx
    with server.client() as client:
        client.raw(b"NOOP " + b"x" * 100_000 + b"\r\n")
        assert client.reply().code == 500
        client.cmd("NOOP", 250)


def test_deadlines_are_absolute(gateway):
    """A client that trickles does not hold a session for ever."""
    server = gateway(start={"timeouts": {"command": "2s", "session": "1h"}})
    client = Client(server.address, helo=None)
    start = time.monotonic()
    try:
        while time.monotonic() - start < 10:
            client.raw(b"N")
            client.socket.settimeout(0.3)
            try:
                if client.socket.recv(4096).startswith(b"421"):
                    break
            except socket.timeout:
                pass
    finally:
        client.close()
    assert 1.5 < time.monotonic() - start < 5


def test_connections_beyond_the_limit_are_told_421(gateway):
    server = gateway(start={"workers": 1, "limits": {"connections": 5}})
    clients = [server.client() for _ in range(5)]
    extra = Client(server.address, greet=False)
    assert extra.reply().code == 421
    assert extra.is_closed()
    clients.pop().__exit__(None)
    wait_until("a place again", lambda: Client(server.address, greet=False).reply().code == 220)
    for client in clients:
        client.cmd("NOOP", 250)
        client.close()


def test_many_idle_connections(gateway):
    server = gateway(start={"workers": 1})
    clients = [Client(server.address) for _ in range(300)]
    for client in clients:
        client.raw(b"NOOP\r\n")
    assert all(client.reply().code == 250 for client in clients)
    for client in clients:
        client.close()
    wait_until("no sessions", lambda: server.status()["roles"]["smtpd 0"]["sessions"] == 0)


def test_a_client_that_vanishes_in_a_body_leaves_nothing(mx):
    server, hop = mx
    for end in (b"", b"\r", b"\r\n", b"\r\n."):
        client = server.client()
        client.envelope("a@sender.example", "x@a.example")
        client.cmd("DATA", 354)
        client.raw(message("half") + b"half a mess" + end)
        client.close()
    time.sleep(0.3)
    assert server.queue() == [] and hop.messages == []


def test_too_many_hops_is_a_loop(gateway, sink):
    hop = sink()
    server = gateway({"transports": {"t": {"server": hop.server_name}}, "domains": {"a.example": {"transport": "t"}}},
                     start={"limits": {"hops": 10}})
    received = b"".join(b"Received: from a.example by b.example; Sat, 21 Nov 2026 09:00:00 +0000\r\n" for _ in range(11))
    with server.client() as client:
        client.envelope("a@sender.example", "x@a.example")
        assert client.data(received + message(), 554).enhanced == "5.4.6"
        client.send("a@sender.example", "x@a.example", received[:-len(received) // 11] + message())
    assert len(hop.wait(1)) == 1


def test_no_transport_for_strangers_domains_is_refused(gateway, sink):
    server = gateway({"domains": {"c.example": {"mailboxes": True}}})
    with server.client() as client:
        client.cmd("MAIL FROM:<a@sender.example>", 250)
        assert client.cmd("RCPT TO:<x@elsewhere.example>").code == 550


def test_ipv6_listener(gateway, sink):
    hop = sink()
    port = free_port("::1")
    server = gateway({"transports": {"t": {"server": hop.server_name}}, "domains": {"a.example": {"transport": "t"}}},
                     start={"listeners": {"six": {"address": f"[::1]:{port}"}}})
    server.send("a@sender.example", "x@a.example")
    assert b"[IPv6:::1]" in hop.wait(1)[0].body
