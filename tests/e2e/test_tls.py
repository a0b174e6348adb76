"""TLS towards clients: certificates, versions, what a handshake forgets, sessions resumed, private keys out of reach."""
import base64
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import xml.etree.ElementTree

import pytest

from lib.guarded import PASSWORD, Guarded, Home, received
from lib.memory import holds
from lib.peers import need
from lib.pki import Authority, secret_number
from lib.postern import kill
from lib.smtp import Client, Closed, message
from lib.tls import context, plain
from lib.world import IS_ROOT, wait_until

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture
def guarded(gateway, sink, peer):
    return lambda **options: Guarded(gateway, sink, peer, **options)


# ---- protected links


def test_every_version_with_every_kind_of_key(gateway, sink, peer):
    """By the name that is asked for; and the Received field says how the link was protected (RFC 3848)."""
    home = Guarded(gateway, sink, peer, started=False)
    keys = {f"{kind}.example": home.ca.issue(f"{kind}.example", kind=kind) for kind in ("rsa", "ec", "ed25519")}
    wild = home.ca.issue("*.b.example")
    names = {name: one.files for name, one in keys.items()} | {"*.b.example": wild.files}
    one = Guarded(gateway, sink, peer, tls={"names": names})
    expected = {**{name: key for name, key in keys.items()}, "Mail.B.example": wild, "gw.example.test": one.certificate,
                "unknown.example": one.certificate, "b.example": one.certificate, "x.y.b.example": one.certificate, None: one.certificate}
    for version, listener in ((V12, "mx"), (V13, "mx"), (V12, "submission"), (V13, "submission")):
        for name, certificate in expected.items():
            with one.client(listener, tls=context(version=version), name=name) as client:
                assert client.shown == certificate.der, (name, listener)
                assert client.socket.version() == {V12: "TLSv1.2", V13: "TLSv1.3"}[version]
    for version, listener in ((V12, "mx"), (V13, "submission")):
        to = f"{listener}@a.example"
        with one.client(listener, tls=context(version=version)) as client:
            client.send("ann@sender.example", to)
            cipher = client.socket.cipher()[0]
        field = received(one.site.wait_for(to).body)
        shown = {V12: "TLSv1.2", V13: "TLSv1.3"}[version]
        assert f" with ESMTPS ({shown} {cipher}) id " in field, field
        reception, = [e for e in one.server.trace(f"recipient={to}") if e["event"] == "Reception"]
        assert reception["tls"] == f"{shown} {cipher}"
    assert one.server.log().count("is no certificate for") == 0
    # A client that checks the name is satisfied, and one that expects another name is not.
    with one.client("submission"):
        pass
    with pytest.raises(ssl.SSLCertVerificationError):
        one.client("submission", name="other.example")


def test_in_clear_the_field_says_so(guarded):
    one = guarded()
    with one.client(starttls=False) as client:
        assert "STARTTLS" in client.extensions and "AUTH" not in client.extensions
        client.send("ann@sender.example", "x@a.example")
    assert " with ESMTP id " in received(one.site.wait_for("x@a.example").body)


def sslscan(address, *options):
    need(subprocess.run(["which", "sslscan"], capture_output=True).returncode == 0, "no sslscan")
    done = subprocess.run(["sslscan", "--xml=-", "--no-colour", "--show-sigs", "--sni-name=gw.example.test", *options, "%s:%d" % address],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return xml.etree.ElementTree.fromstring(done.stdout[done.stdout.index("<?xml"):]).find("ssltest")


MODERN = re.compile(r"TLS_(AES_(128|256)_GCM|CHACHA20_POLY1305)_SHA(256|384)|ECDHE-(RSA|ECDSA)-(AES(128|256)-GCM-SHA(256|384)|CHACHA20-POLY1305)")


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_sslscan_finds_nothing_weak(guarded, kind):
    one = guarded(kind=kind)
    for listener, options in (("submission", ()), ("mx", ("--starttls-smtp",))):
        found = sslscan(one.address(listener), *options)
        protocols = {(p.get("type"), p.get("version")): p.get("enabled") for p in found.findall("protocol")}
        assert {p for p, on in protocols.items() if on == "1"} == {("tls", "1.2"), ("tls", "1.3")}, protocols
        assert len(protocols) == 6, "SSL 2 and 3, and TLS 1.0 and 1.1 were tried"
        ciphers = found.findall("cipher")
        for cipher in ciphers:
            assert MODERN.fullmatch(cipher.get("cipher")), cipher.attrib
            assert cipher.get("sslversion") in ("TLSv1.2", "TLSv1.3") and int(cipher.get("bits")) >= 128
            assert cipher.get("strength") in ("strong", "acceptable"), cipher.attrib
        assert {c.get("sslversion") for c in ciphers} == {"TLSv1.2", "TLSv1.3"}
        for what in found.findall("compression") + found.findall("renegotiation"):
            assert what.get("supported") == "0"
        assert all(h.get("vulnerable") == "0" for h in found.findall("heartbleed"))
        groups = {g.get("name") for g in found.findall("group")}
        assert groups and groups <= {"x25519", "secp256r1 (NIST P-256)", "secp384r1 (NIST P-384)"}, groups
        certificate = found.find("certificates/certificate")
        assert certificate.find("signature-algorithm").text in ("sha256WithRSAEncryption", "ecdsa-with-SHA256")


def s_client(one, *options, input=""):
    done = subprocess.run(["openssl", "s_client", "-connect", "%s:%d" % one.address("submission"), *options], input=input,
                          capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


def test_no_renegotiation_no_compression_no_early_data_no_fallback(guarded):
    """What sslscan does not try as Debian builds it. Renegotiation costs the server far more than the client."""
    one = guarded()
    said = s_client(one, "-tls1_2", "-legacy_renegotiation", "-comp", input="R\n")
    assert "Secure Renegotiation IS supported" in said and "Compression: NONE" in said
    assert "RENEGOTIATING" in said and "no renegotiation" in said, said
    assert "inappropriate fallback" in s_client(one, "-tls1_2", "-fallback_scsv")
    said = s_client(one, "-tls1_3", input="QUIT\r\n")
    assert "New, TLSv1.3" in said and "Early data was not sent" in said, said
    for old in ("-tls1", "-tls1_1"):
        assert "Cipher is (NONE)" in s_client(one, old, "-cipher", "ALL:@SECLEVEL=0")


# ---- what a handshake forgets, and what it does not let in


def test_a_handshake_forgets_what_was_said_before(guarded):
    one = guarded()
    with one.client(starttls=False) as client:
        client.cmd("STARTTLS now", 501)
        client.cmd("MAIL FROM:<before@sender.example>", 250)
        client.cmd("RCPT TO:<x@a.example>", 250)
        client.cmd("STARTTLS", 220)
        client.handshake()
        client.cmd("RCPT TO:<y@a.example>", 503)
        client.cmd("DATA", 503)
        client.cmd(f"AUTH PLAIN {plain('joe@c.example', PASSWORD)}", 503)  # EHLO is forgotten too
        client.ehlo("after.example")
        assert "STARTTLS" not in client.extensions
        assert set(client.extensions["AUTH"].split()) == {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"}
        client.cmd("STARTTLS", 503)
        client.send("ann@sender.example", "z@a.example")
    arrived = one.site.wait_for("z@a.example")
    assert arrived.sender == "ann@sender.example" and arrived.rcpts == ["z@a.example"]
    assert received(arrived.body).startswith("Received: from after.example ")
    with one.client(starttls=False, helo=None) as client:
        client.cmd("STARTTLS", 503)  # RFC 3207 section 4.2: EHLO comes first
        client.cmd("HELO client.example", 250)
        client.cmd("STARTTLS", 503)


@pytest.mark.parametrize("behind", [b"EHLO evil.example\r\n", b"MAIL FROM:<evil@evil.example>\r\n", b"\r\n", b"X",
                                    b"EHLO evil.example\r\nMAIL FROM:<evil@evil.example>\r\nRCPT TO:<x@a.example>\r\nDATA\r\n"])
def test_bytes_before_the_handshake_end_the_session(guarded, behind):
    """CVE-2011-0411: commands that somebody put behind STARTTLS would count as said by the client over TLS."""
    one = guarded()
    with one.client(starttls=False) as client:
        client.raw(b"STARTTLS\r\n" + behind)
        assert client.expect(220)
        with pytest.raises(Closed):
            client.line()
    wait_until("it is told", lambda: any("before the handshake" in str(e) for e in one.server.trace("event=Rejection")))
    # And the same in two packets: what is no hello is no handshake.
    with one.client(starttls=False) as client:
        client.cmd("STARTTLS", 220)
        client.raw(behind + b"NOOP\r\n" * 20)
        rest = b""
        try:
            while data := client.socket.recv(4096):
                rest += data
        except ConnectionError:
            pass
        assert b"250" not in rest and b"500" not in rest, f"only an alert of TLS may come: {rest!r}"
    assert one.site.messages == []


def test_who_speaks_no_tls(guarded):
    """On a listener that begins with it: another protocol, nothing at all, an end in the middle. Others are not held up."""
    one = guarded(start={"timeouts": {"command": "1s"}})
    for words in (b"EHLO client.example\r\n", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x40\x00" + b"A" * 200, b"\x80\x2e\x01\0\x02", b"\0" * 600):
        with Client(one.address("submission"), greet=False) as client:
            client.raw(words)
            assert client.is_closed()
    began = time.monotonic()
    silent = Client(one.address("submission"), greet=False)
    half = one.client(starttls=False)
    half.cmd("STARTTLS", 220)
    with one.client("submission") as client:
        client.send("ann@sender.example", "x@a.example")
    assert silent.is_closed() and half.is_closed() and 0.9 < time.monotonic() - began < 8
    one.site.wait(1)
    assert sum(worker["refused"]["tls"] for worker in workers(one)) == 7


def test_a_hello_byte_by_byte(guarded):
    """Through a memory, so that every byte of the client's is a packet."""
    one = guarded(start={"workers": 1})
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    link = context(one.ca.crt).wrap_bio(into, out, server_hostname="gw.example.test")
    with socket.create_connection(one.address("submission"), 10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def carry(work):
            while True:
                try:
                    result = work()
                except ssl.SSLWantReadError:
                    result = None
                for byte in out.read():
                    sock.sendall(bytes([byte]))
                if result is not None:
                    return result
                data = sock.recv(7)
                assert data, "the server hung up"
                into.write(data)
        carry(lambda: link.do_handshake() or True)
        assert carry(lambda: link.read(1000)).startswith(b"220 ")
        carry(lambda: link.write(b"EHLO client.example\r\n"))
        assert carry(lambda: link.read(5000)).startswith(b"250-")


def test_a_large_message_over_tls(guarded):
    """Longer than what is held in memory, and more than one client reads at a time."""
    one = guarded()
    body = message("large", "".join(f"line {n} of many, so that something is to be carried over the link\n" for n in range(40000)))
    with one.client("submission") as client:
        client.send("ann@sender.example", "x@a.example", body)
        client.send("ann@sender.example", "y@a.example", body, how="bdat", chunk=100_001)
    for to in ("x@a.example", "y@a.example"):
        assert one.site.wait_for(to).body.endswith(body)


# ---- certificates are renewed


def test_new_certificates_without_a_restart(guarded):
    """By SIGHUP, and by posternctl; a session that is open goes on, in the middle of a message."""
    one = guarded(kind="rsa")
    server = one.server
    before = server.roles()
    client = one.client()
    client.envelope("ann@sender.example", "x@a.example")
    client.cmd("DATA", 354)
    old = one.certificate
    second = one.ca.issue("gw.example.test", kind="ec")
    server.process.send_signal(signal.SIGHUP)
    wait_until("the new one is shown", lambda: shown(one) == second.der)
    third = one.ca.issue("gw.example.test", kind="ed25519")
    assert server.ctl("tls", "reload").stdout == "certificates read again: 3\n"
    wait_until("the newest one is shown", lambda: shown(one) == third.der)
    assert shown(one, "submission") == third.der
    client.raw(message())
    client.raw(b".\r\n")
    client.expect(250)
    client.send("ann@sender.example", "y@a.example")
    assert client.shown == old.der
    client.close()
    one.site.wait(2)
    assert server.roles() == before
    # What cannot be used changes nothing, and is said.
    one.certificate.key.write_text("this is no key\n")
    refused = server.ctl("tls", "reload", code=1)
    assert str(one.certificate.key) in refused.stderr, refused.stderr
    server.process.send_signal(signal.SIGHUP)
    wait_until("it is logged", lambda: server.log().count("the ones before stay") >= 2)
    assert shown(one) == third.der
    one.certificate.key.write_bytes(one.ca.issue("other.example").key.read_bytes())
    refused = server.ctl("tls", "reload", code=1)
    assert str(one.certificate.crt) in refused.stderr and str(one.certificate.key) in refused.stderr
    assert shown(one) == third.der


def shown(one, listener="mx"):
    with one.client(listener, tls=context()) as client:
        return client.shown


def test_new_certificates_are_noticed(guarded):
    """As a renewal puts them: nobody says a word to Postern."""
    one = guarded()
    client = one.client()
    new = one.ca.issue("gw.example.test")
    wait_until("the new one is shown", lambda: shown(one) == new.der, timeout=20, every=0.5)
    client.send("ann@sender.example", "x@a.example")
    client.close()
    one.site.wait(1)


def test_a_worker_that_is_killed_gets_the_certificates_again(guarded):
    one = guarded()
    server = one.server
    server.deaths_expected = True
    new = one.ca.issue("gw.example.test")
    server.ctl("tls", "reload")
    before = server.roles()["smtpd"]
    for pid in before:
        kill(pid)
    wait_until("other workers", lambda: len(w := server.roles().get("smtpd", [])) == 2 and not set(w) & set(before))
    assert wait_until("handshakes work", lambda: shown(one) == new.der)


# ---- sessions


def workers(one):
    return [role for name, role in one.server.status()["roles"].items() if name.startswith("smtpd")]


def worker_of(id):
    return id[-7:-4]


def resumable(one, version, certificate=None, listener="mx"):
    """A session, with its ticket: TLS 1.3 sends that after the handshake."""
    tls = context(one.ca.crt, certificate, version)
    with one.client(listener, tls=tls) as client:
        return tls, client.socket.session


@pytest.mark.parametrize("version", [V12, V13])
def test_sessions_are_resumed_by_every_worker(guarded, version):
    """Tickets outlive a worker, too."""
    one = guarded()
    server = one.server
    server.deaths_expected = True
    tls, session = resumable(one, version)
    assert session.has_ticket

    def go_on():
        with one.client(tls=tls, session=session) as client:
            assert client.socket.session_reused
            return worker_of(client.send("ann@sender.example", "x@a.example"))

    resumed_by = set()
    for _ in range(100):
        resumed_by.add(go_on())
        if len(resumed_by) == 2:
            break
    assert len(resumed_by) == 2, "both workers resumed it"
    assert all(worker["tls"] >= worker["tls_resumed"] >= 1 for worker in workers(one))
    before = server.roles()["smtpd"]
    for pid in before:
        kill(pid)
    wait_until("other workers", lambda: len(w := server.roles().get("smtpd", [])) == 2 and not set(w) & set(before))
    assert wait_until("it is resumed", go_on)
    # A forged ticket is no session: a handshake from the beginning.
    with one.client(tls=context(one.ca.crt, version=version)) as client:
        assert not client.socket.session_reused


# ---- clients' certificates


@pytest.mark.parametrize("version", [V12, V13])
def test_certificates_of_clients_give_the_right_to_relay(guarded, version, peer):
    clients = Authority(peer(Home()).path, "Clients CA")
    one = guarded(listeners={"front": {}}, tls={"client-ca": str(clients.crt)})
    listed = [c for c in one.server.json("tls", "show")["certificates"] if c["file"] == str(clients.crt)]
    assert listed and {(c["authorities"], c["state"]) for c in listed} == {(1, "good")} and "days_left" in listed[0]
    assert "(client-ca)" in one.server.ctl("tls", "show").stdout
    server = one.server
    strangers = Authority(peer(Home()).path, "Clients CA")
    friend = clients.issue("printer", client=True)
    cases = [("none", None, False), ("ours", friend, True), ("another authority of the same name", strangers.issue("printer", client=True), False),
             ("expired", clients.issue("late", client=True, days=-1), False), ("a server's", clients.issue("server.example"), False),
             ("our own, of the server", one.certificate, False)]
    for what, certificate, right in cases:
        with one.client("front", tls=context(one.ca.crt, certificate, version)) as client:
            assert one.may_relay(client) == right, what
            assert one.may_relay(client, to="y@a.example")
    # By a resumed session as by a new one.
    tls = context(one.ca.crt, friend, version)
    with one.client("front", tls=tls) as client:
        assert one.may_relay(client)
        session = client.socket.session
    with one.client("front", tls=tls, session=session) as client:
        assert client.socket.session_reused and one.may_relay(client)
    # Pinned: these alone, whoever signed them, at once, and also for what is resumed.
    own = strangers.issue("own", client=True)
    server.ctl("relay", "add", "front", f"certificates={own.pin}")
    for certificate, right in ((friend, False), (own, True), (None, False)):
        with one.client("front", tls=context(one.ca.crt, certificate, version)) as client:
            assert one.may_relay(client) == right
    with one.client("front", tls=tls, session=session) as client:
        assert not one.may_relay(client)
    server.ctl("relay", "set", "front", f"certificates={friend.key_pin},{own.pin}")
    for certificate in (friend, own):
        with one.client("front", tls=context(one.ca.crt, certificate, version)) as client:
            assert one.may_relay(client)
            client.send("evil@evil.example", "x@far.example")
    one.outside.wait(2)
    assert "clients with one of the certificates that the policy lists" in server.ctl("relay", "show").stdout
    said = server.ctl("explain", "--listener", "front", "--client", "192.0.2.99", "--from", "evil@evil.example", "--to", "x@far.example",
                      "--tls", "--certificate", friend.key_pin).stdout
    assert "certificate" in said and "out" in said.splitlines()[-1]
    # In clear nobody has shown one.
    with one.client("front", starttls=False) as client:
        assert not one.may_relay(client)


# ---- mistakes in the files


def refused_start(one):
    server = one.server
    server.spawn()
    assert server.process.wait(20) == 1, server.log()
    server.process = None
    return server.log_since_start()


def test_files_that_cannot_be_used_are_refused_at_the_start(guarded):
    one = guarded(started=False)
    crt, key = one.certificate.crt, one.certificate.key
    whole, own_key = crt.read_bytes(), key.read_bytes()
    other = one.ca.issue("other.example")

    def check(word, *paths):
        log = refused_start(one)
        for path in paths:
            assert str(path) in log, log
        assert word in log and "ready" not in log, log
        told = one.server.ctl("check", code=1).stdout
        assert re.search(f"^error: .*{word}.*posternd does not start with it", told, re.M), told
    key.unlink()
    check("No such file", key)
    key.write_bytes(other.key.read_bytes())
    check("does not belong", crt, key)
    key.write_bytes(b"")
    check("", key)
    encrypted = subprocess.run(["openssl", "ec", "-aes128", "-passout", "pass:x"], input=own_key, capture_output=True, check=True).stdout
    key.write_bytes(encrypted)
    check("", key)
    key.write_bytes(own_key)
    crt.write_bytes(own_key)
    check("", crt)
    crt.write_bytes(whole[:len(whole) // 2])
    check("", crt)
    crt.unlink()
    crt.mkdir()
    check("is no file", crt)
    crt.rmdir()
    crt.write_bytes(whole)
    one.server.start()
    assert "error:" not in one.server.ctl("check").stdout
    assert shown(one) == one.certificate.der


def test_files_that_are_doubtful_are_told(gateway, sink, peer):
    """They are used all the same: mail that is not protected well is better than none."""
    early = Guarded(gateway, sink, peer, started=False)
    late = early.ca.issue("late.example", days=-3)
    soon = early.ca.issue("soon.example", days=5)
    one = Guarded(gateway, sink, peer, tls={"names": {"late.example": late.files, "soon.example": soon.files, "mx.b.example": soon.files}})
    log = one.server.log()
    lines = [line for line in log.splitlines() if " warning " in line]
    assert any(str(late.crt) in line and "expired" in line or "ended" in line for line in lines), log
    assert any(str(soon.crt) in line for line in lines), log
    assert any("is no certificate for mx.b.example" in line for line in lines), log
    assert shown_as(one, "late.example") == late.der
    one.certificate.key.chmod(0o644)
    one.server.process.send_signal(signal.SIGHUP)
    wait_until("it is told", lambda: "everybody on this machine may read this key" in one.server.log())


def shown_as(one, name):
    with one.client(tls=context(), name=name) as client:
        return client.shown


# ---- keys are apart


def test_without_the_role_keys_handshakes_fail_cleanly_and_recover(guarded):
    one = guarded(start={"workers": 1})
    server = one.server
    server.deaths_expected = True
    open_one = one.client()
    pid, = server.roles()["keys"]
    kill(pid)
    # What is protected already stays so, and what needs no key works.
    open_one.send("ann@sender.example", "x@a.example")
    with one.client(starttls=False) as clear:
        clear.send("ann@sender.example", "y@a.example")
    wait_until("another one", lambda: server.roles().get("keys", [pid]) != [pid])
    assert wait_until("handshakes work", lambda: shown(one))
    assert wait_until("logins work", lambda: login_works(one))
    # One that hangs costs new links, and no others.
    pid, = server.roles()["keys"]
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises((OSError, Closed)):
            one.client()
        with one.client(starttls=False) as clear:
            clear.send("ann@sender.example", "z@a.example")
        with pytest.raises((OSError, Closed)):
            one.client()
        open_one.send("ann@sender.example", "u@a.example")
        assert time.monotonic() - began < 5
    finally:
        os.kill(pid, signal.SIGCONT)
    assert wait_until("handshakes work", lambda: shown(one))
    open_one.close()
    one.site.wait(4)


class Shaking:
    """A client of the listener that begins with TLS: its hello is sent, and it does not wait for the answer."""

    def __init__(self, one):
        self.socket = socket.create_connection(one.address("submission"), 20)
        self.come, self.go = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context().wrap_bio(self.come, self.go, server_hostname="gw.example.test")
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        self.socket.sendall(self.go.read())

    def works(self):
        """Does it come to its end?"""
        with self.socket:
            while True:
                try:
                    self.tls.do_handshake()
                    return True
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError:
                    return False
                self.socket.sendall(self.go.read())
                try:
                    came = self.socket.recv(65536)
                except ConnectionError:
                    return False
                if not came:
                    return False
                self.come.write(came)


def hold_signatures(server):
    """The role keys, which does nothing until it is told to go on (SIGCONT)."""
    pid, = server.roles()["keys"]
    os.kill(pid, signal.SIGSTOP)
    return pid


def test_who_waits_for_a_signature_holds_nobody_up(guarded):
    one = guarded(start={"workers": 1})
    open_one = one.client()
    pid = hold_signatures(one.server)
    try:
        began = time.monotonic()
        waiting = [Shaking(one) for _ in range(3)]
        open_one.send("ann@sender.example", "x@a.example")
        with one.client(starttls=False) as clear:
            clear.send("ann@sender.example", "y@a.example")
        waiting.pop().socket.close()
        assert time.monotonic() - began < 1.5, "or they have been given up"
    finally:
        os.kill(pid, signal.SIGCONT)
    assert all(each.works() for each in waiting)
    assert one.server.roles()["keys"] == [pid]
    open_one.close()
    one.site.wait(2)


def test_who_waits_for_a_signature_that_does_not_come(guarded):
    one = guarded(start={"workers": 1})
    server = one.server
    server.deaths_expected = True
    pid = hold_signatures(server)
    began = time.monotonic()
    assert not Shaking(one).works()
    assert 1.5 < time.monotonic() - began < 5
    # It dies meanwhile.
    waiting = [Shaking(one) for _ in range(3)]
    began = time.monotonic()
    kill(pid)
    assert not any(each.works() for each in waiting)
    assert time.monotonic() - began < 1.5, "they were told, not given up"
    wait_until("another one", lambda: server.roles().get("keys", [pid]) != [pid])
    assert wait_until("handshakes work", lambda: shown(one))
    assert Shaking(one).works()


def test_an_orderly_end_while_signatures_are_waited_for(guarded):
    one = guarded(start={"workers": 1})
    pid = hold_signatures(one.server)
    waiting = [Shaking(one) for _ in range(3)]
    threading.Timer(0.5, os.kill, (pid, signal.SIGCONT)).start()
    one.server.stop()
    for each in waiting:
        each.works()


def login_works(one):
    with one.client("front") as client:
        return client.login("joe@c.example", PASSWORD).code == 235


@pytest.mark.skipif(not IS_ROOT, reason="only root reads the memory of others")
@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_private_keys_are_in_the_role_keys_alone(guarded, kind):
    """After handshakes, logins, a renewal and the death of a worker: neither the number nor its text is in the memory of those who speak
    with the network. Nor is what passwords are checked by."""
    one = guarded(kind=kind)
    server = one.server
    server.deaths_expected = True
    server.ctl("tls", "reload")
    kill(server.roles()["smtpd"][0])
    wait_until("two workers", lambda: len(server.roles().get("smtpd", [])) == 2)
    for n in range(8):
        with one.client(("front", "submission")[n % 2]) as client:
            assert client.login("joe@c.example", PASSWORD, ("PLAIN", "SCRAM-SHA-256")[n // 2 % 2]).code == 235
    text = one.certificate.key.read_bytes().splitlines()
    wanted = [*secret_number(one.certificate.private), text[1][20:52]]
    given = one.objects["accounts"]["joe@c.example"]["verifiers"]
    crypt, scram = given.split(" ")
    stored = scram.split(":")[3]
    verifiers = [crypt.removeprefix("crypt:").encode(), stored.encode(), base64.b64decode(stored)]
    roles = server.roles()
    found = {role: set().union(*(holds(pid, *wanted, *verifiers) for pid in pids)) for role, pids in roles.items()}
    assert set(roles) == {"smtpd", "delivery", "admin", "keys", "fetch"}
    assert found["keys"] & set(wanted), "else this test cannot see anything"
    assert found["keys"] & set(verifiers)
    for role in ("smtpd", "delivery", "fetch"):
        assert not found[role], role
    assert not found["admin"] & set(wanted)
