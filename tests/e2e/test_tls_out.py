"""TLS to next hops: what each value of a transport's tls lets through, and what nobody in between can make of it."""
import hashlib
import ssl
import time

import pytest

from lib.peers import Postfix
from lib.pki import Authority
from lib.sink import DROP
from lib.smtp import Client, message
from lib.tls import TlsClient, context
from lib.tls_hop import Meddler, TlsSink
from lib.world import folder, free_port, remove, wait_until

HERE = "127.0.0.1"


@pytest.fixture(scope="module")
def pki():
    made = folder()
    yield Authority(made)
    remove(made)


@pytest.fixture(scope="module")
def names(dns_server):
    return dns_server({"hops.test": f"mx A {HERE}"})


@pytest.fixture
def tls_hop(peer):
    """tls_hop(certificate, …): a next hop that must have seen nothing a client may not do."""
    made = []

    def make(*args, **options):
        made.append(peer(TlsSink(*args, **options)))
        return made[-1]

    yield make
    for one in made:
        assert not one.violations, one.violations


@pytest.fixture
def safe_gateway(gateway, pki):
    """One with TLS at its listener, and accounts for the notifications."""
    def make(objects, **options):
        server = gateway(started=False, **options)
        shown = pki.issue("gw.example.test").files
        text = server.config.read_text()
        line = f"address: {HERE}:{server.port}\n"
        assert line in text
        server.config.write_text(text.replace(line, f"{line}    tls: {{certificate: {shown['certificate']}, key: {shown['key']}}}\n"))
        server.objects = objects
        return server.start()
    return make


def by(server_name, **fields):
    return {"transports": {"t": {"server": server_name, "retry-delay": "1s", **fields}}, "domains": {"a.example": {"transport": "t"}}}


def trusting(pki):
    """For the start file: the folder of our authority is one where a tls-ca may lie."""
    return {"tls": {"ca-folders": [str(pki.folder)]}}


def with_tls(certificate, level, **more):
    """Settings for a Postfix that receives."""
    return {"smtpd_tls_security_level": level, "smtpd_tls_cert_file": certificate.crt, "smtpd_tls_key_file": certificate.key,
            "smtpd_tls_loglevel": "1", **more}


def shows_no_mail(hop):
    """Nothing of any message was said to it."""
    return {c.split()[0] for c in hop.commands} <= {"EHLO", "HELO", "STARTTLS", "QUIT"} and not hop.messages


def said_in_clear(meddler):
    return {line.split(b" ")[0] for line in meddler.heard.split(b"\r\n")[:-1] if line.isascii()}


# ---- each setting, each kind of hop

CLEAR, ANY = None, "not verified"
LACKS = ("4.7.4", "TLS is required, but is not offered")
REFUSED = ("4.7.5", "STARTTLS was refused (454 not now)")
BROKEN = ("4.7.5", "no TLS with ")
NAME = ("4.7.5", "name")
EXPIRED = ("4.7.5", "expired")
CHAIN = ("4.7.5", "trust")
PIN = ("4.7.5", "pin")
CASES = {  # tls and more: {kind of hop: what the event says of the link, or why not}
    "none": {"good": CLEAR},
    "opportunistic": {"plain": CLEAR, "good": ANY, "expired": ANY, "foreign": ANY, "wrong-name": ANY, "broken": CLEAR, "refuses": CLEAR,
                      "old": ANY},
    "require": {"plain": LACKS, "good": ANY, "expired": ANY, "broken": BROKEN, "refuses": REFUSED, "old": ANY},
    "verify ca": {"plain": LACKS, "good": "verified", "old": "verified", "expired": EXPIRED, "foreign": CHAIN, "wrong-name": NAME,
                  "broken": BROKEN, "refuses": REFUSED},
    "verify": {"good": CHAIN},
    "verify pin": {"foreign": "pinned", "expired": "pinned", "good": PIN, "plain": LACKS},
    "verify key-pin": {"foreign": "pinned", "expired": "pinned", "good": PIN, "broken": BROKEN},
}


def test_each_setting_with_each_kind_of_hop(gateway, tls_hop, pki, names):
    good = pki.issue("mx.hops.test")
    shown = {"plain": None, "good": good, "old": good, "broken": good, "refuses": good, "wrong-name": pki.issue("mx.elsewhere.test"),
             "expired": pki.issue("mx.hops.test", days=-2, file="expired"),
             "foreign": Authority(pki.folder, "Other CA").issue("mx.hops.test", file="foreign")}
    hops, transports, domains = {}, {}, {}
    for setting, kinds in CASES.items():
        tls, *more = setting.split()
        for kind in kinds:
            name = f"{setting.replace(' ', '-')}-{kind}"
            hops[name] = hop = tls_hop(shown[kind], ssl.TLSVersion.TLSv1_2 if kind == "old" else None)
            if kind == "broken":
                hop.rule("handshake", DROP)
            if kind == "refuses":
                hop.rule("starttls", "454 4.7.0 not now")
            transports[name] = {"server": f"mx.hops.test:{hop.port}", "tls": tls, "retry-delay": "1h"}
            if "ca" in more:
                transports[name]["tls-ca"] = str(pki.crt)
            elif "pin" in more:
                transports[name]["tls-pin"] = ["sha256:" + "0" * 64, shown["foreign"].pin, shown["expired"].pin]
            elif "key-pin" in more:
                transports[name]["tls-pin"] = [shown["foreign"].key_pin, shown["expired"].key_pin]
            domains[f"{name}.example"] = {"transport": name}
    server = gateway({"transports": transports, "domains": domains}, start={"dns": {"servers": [names.address]}, **trusting(pki)})
    ids = {name: server.send("a@sender.example", f"x@{name}.example") for name in hops}
    problems = []
    for setting, kinds in CASES.items():
        for kind, expected in kinds.items():
            name = f"{setting.replace(' ', '-')}-{kind}"
            event = wait_until("an event", lambda: [e for e in server.events(ids[name]) if e["event"] in ("Delivery", "TransientFailure")])[0]
            if isinstance(expected, tuple):
                fine = event["event"] == "TransientFailure" and all(word in event["reason"] for word in expected) \
                    and shows_no_mail(hops[name])
            else:
                arrived = hops[name].wait(1)[0].tls
                version = "TLSv1.2" if kind == "old" else "TLSv1.3"
                fine = event["event"] == "Delivery" and (arrived is None) == (expected is None) and (
                    "tls" not in event if expected is None else event["tls"].startswith(version) and event["tls"].endswith(f", {expected}")
                    and arrived == version)
            if not fine:
                problems.append((name, event, hops[name].messages))
    assert not problems, "\n".join(map(str, problems))
    assert "mx.hops.test" in hops["opportunistic-good"].names, "the server's name is asked for (SNI)"
    why = server.ctl("queue", "why", ids["verify-ca-wrong-name"]).stdout
    assert "mx.hops.test" in why and "name" in why, why


def test_an_address_can_be_verified(gateway, tls_hop, pki):
    """A server that is given by its address: the certificate has to be for the address."""
    hop, other = tls_hop(pki.issue(HERE, file="address")), tls_hop(pki.issue("127.0.0.2", file="other-address"))
    fields = {"tls": "verify", "tls-ca": str(pki.crt), "retry-delay": "1h"}
    server = gateway({"transports": {"t": {"server": hop.server_name, **fields}, "u": {"server": other.server_name, **fields}},
                      "domains": {"a.example": {"transport": "t"}, "b.example": {"transport": "u"}}}, start=trusting(pki))
    good, bad = server.send("a@sender.example", "x@a.example"), server.send("a@sender.example", "x@b.example")
    assert server.wait_event(good, "Delivery")["tls"].endswith(", verified")
    assert "name" in server.wait_event(bad, "TransientFailure")["reason"] and shows_no_mail(other)
    assert not hop.names or set(hop.names) == {None}, "an address is no server name (RFC 6066)"


def test_a_tls_ca_that_goes_away(gateway, tls_hop, pki):
    """What cannot be checked is not sent; once the file is there again, it is."""
    hop = tls_hop(pki.issue(HERE, file="address"))
    server = gateway(started=False)
    ca = server.home / "ca.pem"
    ca.write_bytes(pki.crt.read_bytes())
    server.start()
    server.apply(by(hop.server_name, tls="verify", **{"tls-ca": str(ca)}))
    ca.unlink()
    id = server.send("a@sender.example", "x@a.example")
    reason = server.wait_event(id, "TransientFailure")["reason"]
    assert str(ca) in reason and "posternctl transport set" in reason
    assert not hop.connections
    ca.write_bytes(pki.crt.read_bytes())
    time.sleep(1.1)  # so long it is not read again
    server.ctl("queue", "retry", id)
    assert hop.wait(1)[0].tls


# ---- somebody in between

def strip(data):
    return data.replace(b"STARTTLS", b"XXXXTLSX")


def inject(data):
    return data.replace(b"220 2.0.0 go on\r\n", b"220 2.0.0 go on\r\n250-forged\r\n250 SIZE 1\r\n")


def refuse(data):
    return data.replace(b"220 2.0.0 go on", b"502 5.5.1 unknown")


@pytest.mark.parametrize("change", [strip, inject, refuse])
def test_no_downgrade(gateway, tls_hop, peer, pki, change):
    hop = tls_hop(pki.issue(HERE, file="address"))
    between = peer(Meddler((HERE, hop.port), change))
    levels = {"require": {}, "verify": {"tls-ca": str(pki.crt)}, "pinned": {"tls-pin": [hop.certificate.pin]}}
    server = gateway({"transports": {name: {"server": between.server_name, "tls": "verify" if name == "pinned" else name, "retry-delay": "1h",
                                            **more} for name, more in levels.items()},
                      "domains": {f"{name}.example": {"transport": name} for name in levels}}, start=trusting(pki))
    for name in levels:
        reason = server.wait_event(server.send("a@sender.example", f"x@{name}.example"), "TransientFailure")["reason"]
        assert {strip: "not offered", inject: "more came in clear", refuse: "was refused"}[change] in reason, reason
    assert said_in_clear(between) <= {b"EHLO", b"STARTTLS", b"QUIT"} and shows_no_mail(hop)
    between.change = lambda data: data
    server.ctl("queue", "retry", "age>=0s")
    assert all(m.tls for m in hop.wait(3))


def test_opportunistic_goes_on_without_what_was_taken_away(gateway, tls_hop, peer, pki):
    """That is what opportunistic means; but never with bytes that somebody put behind the reply to STARTTLS."""
    hop = tls_hop(pki.issue(HERE, file="address"))
    between = peer(Meddler((HERE, hop.port), inject))
    server = gateway(by(between.server_name))
    id = server.send("a@sender.example", "x@a.example")
    assert "more came in clear" in server.wait_event(id, "TransientFailure")["reason"]
    between.change = strip
    server.ctl("queue", "retry", id)
    assert hop.wait(1)[0].tls is None and "tls" not in server.wait_event(id, "Delivery")


# ---- sessions

def test_tls_sessions_are_resumed_while_the_same_is_asked(gateway, tls_hop, pki):
    hop = tls_hop(pki.issue(HERE, file="address"))
    server = gateway(by(hop.server_name, tls="verify", **{"tls-ca": str(pki.crt), "messages-per-connection": 1}), start=trusting(pki))

    def send(expected):
        hop.links.clear()
        id = server.send("a@sender.example", "x@a.example")
        assert server.wait_event(id, "Delivery")["tls"].endswith(expected)
        return hop.links[-1][1]

    assert [send(", verified") for _ in range(3)] == [False, True, True]
    server.ctl("transport", "set", "t", f"tls-pin={hop.certificate.pin}")
    assert [send(", pinned") for _ in range(2)] == [False, True]
    server.ctl("transport", "set", "t", "tls=require", "tls-pin=", "tls-ca=")
    assert [send(", not verified") for _ in range(2)] == [False, True]
    # What was begun without a look at the certificate does not pass for a checked one.
    other = Authority(pki.folder, "Unrelated CA")
    server.ctl("transport", "set", "t", "tls=verify", f"tls-ca={other.crt}", "retry-delay=1h")
    count = len(hop.messages)
    id = server.send("a@sender.example", "x@a.example")
    assert "trust" in server.wait_event(id, "TransientFailure")["reason"] and len(hop.messages) == count


def test_the_setting_changes_while_mail_is_queued(gateway, tls_hop, pki):
    plain, hop = tls_hop(None), tls_hop(pki.issue(HERE, file="address"))
    server = gateway({"transports": {"t": {"server": plain.server_name, "tls": "require", "retry-delay": "1h"},
                                     "u": {"server": hop.server_name, "tls": "none", "retry-delay": "1h"}},
                      "domains": {"a.example": {"transport": "t"}, "b.example": {"transport": "u"}}}, start=trusting(pki))
    id = server.send("a@sender.example", "x@a.example")
    server.wait_event(id, "TransientFailure")
    why = server.ctl("queue", "why", id).stdout
    assert "TLS is required, but is not offered (no STARTTLS)" in why
    server.ctl("transport", "set", "t", "tls=opportunistic")
    plain.wait(1)
    # A connection that is open and was in clear carries nothing more.
    server.send("a@sender.example", "x1@b.example")
    hop.wait(1)
    server.ctl("transport", "set", "u", "tls=require")
    server.send("a@sender.example", "x2@b.example")
    assert [m.tls for m in hop.wait(2)] == [None, "TLSv1.3"]
    server.ctl("transport", "set", "u", "tls=verify", f"tls-ca={pki.crt}")
    id = server.send("a@sender.example", "x3@b.example")
    assert server.wait_event(id, "Delivery")["tls"].endswith(", verified") and hop.connections == 3


# ---- Postfix

def test_postfix_on_both_sides(safe_gateway, peer, pki):
    """Postfix that verifies us, and we that verify Postfix; big bodies, byte for byte."""
    shown = pki.issue("mail.a.example", HERE)
    behind = peer(Postfix(deliver=["a.example"], settings=with_tls(shown, "encrypt", smtpd_tls_received_header="yes")))
    server = safe_gateway(by(f"{HERE}:{behind.port}", tls="verify", **{"tls-ca": str(pki.crt)}), start=trusting(pki))
    before = peer(Postfix(relay=server.address, settings={"smtp_tls_security_level": "verify", "smtp_tls_CAfile": pki.crt,
                                                          "smtp_tls_verify_cert_match": "gw.example.test", "smtp_tls_loglevel": "1"}))
    big = message("big", "".join(f"{n:06d} 0123456789 abcdefghijklmnopqrstuvwxyz\n.\n" for n in range(200000)))
    with Client(before.address) as client:
        for n in range(5):
            client.send("a@sender.example", f"x{n}@a.example", message(f"mail {n}"))
        client.send("a@sender.example", "big@a.example", big)
    wait_until("all mail", lambda: len(behind.mailbox()) == 6)
    assert "Verified TLS connection established to 127.0.0.1" in before.log()
    assert "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384" in behind.log()
    arrived = max(behind.mailbox(), key=len)
    assert arrived.endswith(big.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n"))
    assert b"with ESMTPS" in arrived
    assert all(e["tls"] == "TLSv1.3 TLS_AES_256_GCM_SHA384, verified" for e in server.trace("event=Delivery") if e["event"] == "Delivery")


def test_a_postfix_that_insists_on_tls_and_one_that_has_none(gateway, peer, pki):
    secret = peer(Postfix(deliver=["a.example"], settings=with_tls(pki.issue("mail.a.example"), "encrypt")))
    plain = peer(Postfix(deliver=["a.example"]))
    server = gateway({"transports": {"none": {"server": f"{HERE}:{secret.port}", "tls": "none", "retry-delay": "1h"},
                                     "require": {"server": f"{HERE}:{plain.port}", "tls": "require", "retry-delay": "1h"}},
                      "domains": {"a.example": {"transport": "none"}, "b.example": {"transport": "require"}},
                      "default-transport": "none"})
    # Its refusal is for good, and by a server whose word counts; the sender learns why.
    report = server.wait_event(server.send("a@sender.example", "x@a.example"), "Bounce")
    assert "Must issue a STARTTLS command first" in report["reply"]
    id = server.send("a@sender.example", "x@b.example")
    assert "TLS is required" in server.wait_event(id, "TransientFailure")["reason"]


@pytest.mark.parametrize("extensions", [("PIPELINING", "8BITMIME", "CHUNKING"), ("8BITMIME",)], ids=["BDAT", "DATA, in lockstep"])
def test_big_bodies_byte_by_byte(gateway, tls_hop, pki, extensions):
    hop = tls_hop(pki.issue(HERE, file="address"), extensions=extensions)
    server = gateway(by(hop.server_name, tls="require"))
    body = message("big", "".join("." * (n % 70) + f" {n}\n" for n in range(300000)))
    server.send("a@sender.example", "x@a.example", body)
    assert hop.wait(1, 60)[0].body.endswith(body) and hop.messages[0].tls


# ---- REQUIRETLS (RFC 8689)

def secured(server):
    return TlsClient(server.address, tls=context())


def test_requiretls(safe_gateway, tls_hop, pki):
    shown = pki.issue(HERE, file="address")
    lacks, has = tls_hop(shown), tls_hop(shown, tls_extensions=["REQUIRETLS"])
    fields = {"tls": "verify", "tls-ca": str(pki.crt)}
    server = safe_gateway({"transports": {"lacks": {"server": lacks.server_name, **fields}, "has": {"server": has.server_name, **fields},
                                          "blind": {"server": has.server_name}},
                           "domains": {"lacks.example": {"transport": "lacks"}, "has.example": {"transport": "has"},
                                       "blind.example": {"transport": "blind"}, "c.example": {"mailboxes": True}},
                           "accounts": {"ann@c.example": {}}}, start=trusting(pki))
    with server.client() as client:
        assert "REQUIRETLS" not in client.extensions
        assert client.cmd("MAIL FROM:<ann@c.example> REQUIRETLS").code in (501, 555)
    with secured(server) as client:
        assert "REQUIRETLS" in client.extensions
        client.send("ann@c.example", "x@has.example", mail="REQUIRETLS")
        client.send("ann@c.example", "x@lacks.example", mail="REQUIRETLS")
        blind = client.send("ann@c.example", "x@blind.example", mail="REQUIRETLS")
        client.send("ann@c.example", "y@lacks.example")
    assert "REQUIRETLS" in has.wait(1)[0].mail_params and has.messages[0].tls
    assert lacks.wait(1)[0].rcpts == ["y@lacks.example"] and "REQUIRETLS" not in lacks.messages[0].mail_params
    assert "no next server could be verified" in server.wait_event(blind, "Bounce")["reason"]
    reports = server.wait_mailbox("ann@c.example", 2)
    assert all(b"Status: 5.7.30" in r for r in reports) and len(has.messages) == 1


@pytest.fixture
def by_hosts(safe_gateway, dns_server, tls_hop, pki):
    """A domain, hosts.test, with a mail exchanger at each of these addresses: the gateway, and they."""
    def make(*addresses):
        port = free_port(*addresses)
        zone = "".join(f"@ MX {10 * i} mx{i}\nmx{i} A {address}\n" for i, address in enumerate(addresses, 1))
        hops = [tls_hop(pki.issue(f"mx{i}.hosts.test"), host=address, port=port) for i, address in enumerate(addresses, 1)]
        fields = {"server": f"lookup-mx:port={port}", "private-hosts": True, "tls": "verify", "tls-ca": str(pki.crt), "retry-delay": "1s"}
        return safe_gateway({"transports": {"out": fields}, "default-transport": "out", "domains": {"c.example": {"mailboxes": True}},
                             "accounts": {"ann@c.example": {}}},
                            start={"dns": {"servers": [dns_server({"hosts.test": zone}).address]}, **trusting(pki)}), hops
    return make


def test_requiretls_asks_all_hosts(by_hosts):
    server, (first, second, third) = by_hosts("127.0.0.61", "127.0.0.62", "127.0.0.63")
    third.tls_extensions = ("REQUIRETLS",)
    with secured(server) as client:
        required = [client.send(sender, "x@hosts.test", mail="REQUIRETLS") for sender in ("ann@c.example", "")]
        other = client.send("ann@c.example", "y@hosts.test")
        assert all(server.wait_event(id, "Delivery")["destination"] == "mx3.hosts.test" for id in required)
        assert server.wait_event(other, "Delivery")["destination"] == "mx1.hosts.test", "other mail goes where it would have gone"
        assert all("REQUIRETLS" in m.mail_params for m in third.messages) and shows_no_mail(second)
        # One that cannot be asked may have it: the message waits, and other mail does not.
        third.stop()
        waits = client.send("ann@c.example", "x@hosts.test", mail="REQUIRETLS")
        assert "REQUIRETLS needed" in server.wait_event(waits, "TransientFailure")["reason"]
        server.wait_event(client.send("ann@c.example", "y@hosts.test"), "Delivery")
    third.start()
    assert server.wait_event(waits, "Delivery")["destination"] == "mx3.hosts.test"


def test_requiretls_where_no_host_has_it(by_hosts):
    server, (first, second) = by_hosts("127.0.0.64", "127.0.0.65")
    with secured(server) as client:
        bounced = client.send("ann@c.example", "x@hosts.test", message("known", "for his eyes only\n"), mail="REQUIRETLS RET=FULL")
        assert "550 5.7.30" in server.wait_event(bounced, "Bounce")["reason"] and shows_no_mail(first) and shows_no_mail(second)
        report = server.wait_mailbox("ann@c.example", 1)[0]
        assert b"Status: 5.7.30" in report and b"known" in report and b"his eyes" not in report
        # Nobody would hear of the null sender's: it goes, to the right server over TLS.
        event = server.wait_event(client.send("", "x@hosts.test", mail="REQUIRETLS"), "Delivery")
    assert event["tls"].endswith(", verified") and "REQUIRETLS" not in first.wait(1)[0].mail_params


def test_requiretls_from_postern_to_postern(safe_gateway, pki):
    last = safe_gateway({"domains": {"a.example": {"mailboxes": True}}, "accounts": {"joe@a.example": {}}})
    first = safe_gateway({"transports": {"t": {"server": "%s:%d" % last.address, "tls": "verify", "tls-pin": [pki.issue("gw.example.test").pin]}},
                          "domains": {"a.example": {"transport": "t"}}}, start=trusting(pki))
    first.ctl("transport", "set", "t", f"tls-pin={pin_of(last)}")
    with secured(first) as client:
        id = client.send("a@sender.example", "joe@a.example", mail="REQUIRETLS")
    assert first.wait_event(id, "Delivery")["tls"].endswith(", pinned")
    assert b"with ESMTPS" in last.wait_mailbox("joe@a.example")[0]


def pin_of(server):
    with secured(server) as client:
        return "sha256:" + hashlib.sha256(client.shown).hexdigest()
