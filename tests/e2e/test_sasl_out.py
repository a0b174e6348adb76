"""Logging in at next hops: by each mechanism at real servers, never in clear, and nobody sees the secret."""
import base64
import pathlib
import time

import pytest

from lib.accounts import verifiers
from lib.pki import Authority
from lib.sasl import SaslPostfix
from lib.tls_hop import Meddler, TlsSink
from lib.world import folder, remove, wait_until

HERE = "127.0.0.1"
SECRET = "Ein-gar-geheimes-Wort/17"
OTHER = "some-other-word"


@pytest.fixture(scope="module")
def shown():
    made = folder()
    yield Authority(made).issue(HERE, "gw.example.test", file="hop")
    remove(made)


@pytest.fixture
def tls_hop(peer, shown):
    made = []

    def make(certificate=shown, **options):
        made.append(peer(TlsSink(certificate, **options)))
        return made[-1]

    yield make
    for one in made:
        assert not one.violations, one.violations


def by(server_name, secret=SECRET, **fields):
    return {"transports": {"t": {"server": server_name, "retry-delay": "1h", "sasl": {"user": "gw", "secret": secret}, **fields}},
            "domains": {"a.example": {"transport": "t"}}}


def set_secret(server, secret):
    server.ctl("transport", "set", "t", "sasl.user=gw", "--secret", input=secret + "\n")


@pytest.mark.parametrize("mechanisms, used", [("PLAIN", "PLAIN"), ("LOGIN", "LOGIN"), ("SCRAM-SHA-256", "SCRAM-SHA-256"),
                                              ("LOGIN CRAM-MD5 PLAIN SCRAM-SHA-256", "SCRAM-SHA-256")])
def test_postfix_lets_us_in(gateway, peer, shown, mechanisms, used):
    postfix = peer(SaslPostfix(shown, mechanisms, {"gw": SECRET}))
    server = gateway(by(f"{HERE}:{postfix.port}"))
    server.wait_event(server.send("a@sender.example", "x@a.example"), "Delivery")
    assert f"sasl_method={used}, sasl_username=gw" in postfix.log()
    wait_until("the mail", postfix.mailbox)


def places_to_look(server):
    """All that the gateway says or writes where it is no secret."""
    yield "log", server.log()
    for command in (["trace", "since=1h"], ["status"], ["export"], ["audit"], ["queue", "list"], ["transport", "list"],
                    ["transport", "show", "t"], ["queue", "why", "age>=0s"]):
        yield " ".join(command), server.ctl(*command, code=None).stdout + server.ctl("--json", *command, code=None).stdout
    pids = [server.process.pid, *server.pids_of(server.process.pid)]
    for pid in pids:
        for name in ("cmdline", "environ"):
            yield f"{name} of {pid}", pathlib.Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    for path in server.home.rglob("*"):
        if path.is_file() and not path.name.startswith("directory.db") and path.name != "objects.yaml":
            yield str(path), path.read_text(errors="replace")


def forms_of(secret):
    yield secret
    yield base64.b64encode(secret.encode()).decode()
    yield base64.b64encode(b"\0gw\0" + secret.encode()).decode()


def test_a_wrong_secret_and_a_right_one(gateway, peer, shown):
    """Mail waits, and it is said why; the right secret is taken at once, and kept over a restart; nobody sees either."""
    postfix = peer(SaslPostfix(shown, "SCRAM-SHA-256 PLAIN", {"gw": SECRET}))
    server = gateway(by(f"{HERE}:{postfix.port}", OTHER))
    id = server.send("a@sender.example", "x@a.example")
    event = server.wait_event(id, "TransientFailure")
    why = server.ctl("queue", "why", id).stdout
    for said in (event["reason"], why):
        assert f'cannot log in as gw at {HERE}:{postfix.port}' in said and "check the transport's sasl" in said, said
    assert not server.events(id, "Bounce")
    set_secret(server, SECRET)
    server.ctl("queue", "retry", id)
    server.wait_event(id, "Delivery")
    wait_until("the mail", postfix.mailbox)
    server.stop()
    server.start(apply=False)
    server.wait_event(server.send("a@sender.example", "x@a.example"), "Delivery")
    for where, text in places_to_look(server):
        for secret in (SECRET, OTHER):
            assert not [form for form in forms_of(secret) if form in text], f"{where} has the secret"
    assert "gw" in server.ctl("export").stdout
    assert SECRET in server.ctl("export", "--secrets").stdout, "who asks for it has it"


def test_the_secret_changes_at_the_next_hop(gateway, peer, shown):
    """Connections that are open go on; the next one needs the new secret."""
    postfix = peer(SaslPostfix(shown, "PLAIN", {"gw": SECRET}))
    server = gateway(by(f"{HERE}:{postfix.port}", **{"messages-per-connection": 1}))
    server.wait_event(server.send("a@sender.example", "x@a.example"), "Delivery")
    postfix.set_passwords({"gw": OTHER})
    id = server.send("a@sender.example", "x@a.example")
    assert "535" in server.wait_event(id, "TransientFailure")["reason"]
    set_secret(server, OTHER)
    server.ctl("queue", "retry", id)
    server.wait_event(id, "Delivery")


@pytest.mark.parametrize("fields", [{}, {"tls": "require"}], ids=["opportunistic", "require"])
def test_never_in_clear(gateway, tls_hop, peer, fields):
    """Neither where TLS is not offered, nor where somebody takes it away, nor where it breaks."""
    plain = tls_hop(None, extensions=("PIPELINING", "AUTH PLAIN LOGIN"))
    behind = tls_hop(tls_extensions=["AUTH PLAIN"])
    between = peer(Meddler((HERE, behind.port), lambda data: data.replace(b"STARTTLS", b"AUTH PLAIN LOGIN")))
    broken = tls_hop(extensions=("PIPELINING", "AUTH PLAIN LOGIN"))
    broken.rule("handshake", "drop")
    hops = {"plain": plain, "between": between, "broken": broken}
    server = gateway({"transports": {n: by(h.server_name, **fields)["transports"]["t"] for n, h in hops.items()},
                      "domains": {f"{n}.example": {"transport": n} for n in hops}})
    for name in hops:
        reason = server.wait_event(server.send("a@sender.example", f"x@{name}.example"), "TransientFailure")["reason"]
        assert "TLS" in reason, reason
    time.sleep(0.2)
    assert not plain.logins and not broken.logins and not behind.logins and b"AUTH" not in between.heard
    assert not plain.messages and not broken.messages and not behind.messages


def test_tls_none_and_a_login_do_not_go_together(gateway, tls_hop):
    hop = tls_hop(None, extensions=("PIPELINING", "AUTH PLAIN"))
    server = gateway({"domains": {"c.example": {"mailboxes": True}}})
    refused = server.apply(by(hop.server_name, tls="none"), code=1)
    assert "sasl" in refused.stderr and "tls" in refused.stderr
    server.apply(by(hop.server_name, tls="require"))
    server.ctl("transport", "set", "t", "tls=none", code=1)


def first_of(line, iterations):
    """A server's first message of SCRAM, to the client's."""
    nonce = base64.b64decode(line.split()[2]).decode().split(",r=")[1]
    return base64.b64encode(f"r={nonce}server,s={base64.b64encode(b'saltsaltsalt').decode()},i={iterations}".encode()).decode()


ODD = {  # what is offered after TLS, what it says to AUTH and then: what the mail waits for
    "nothing offered": ([], None, None, "offers no AUTH"),
    "only what we do not know": (["AUTH CRAM-MD5 GSSAPI"], None, None, "offers no AUTH"),
    "refused": (["AUTH PLAIN"], "535 5.7.8 go away", None, "go away"),
    "refused for now": (["AUTH PLAIN"], "454 4.7.0 database is down", None, "database is down"),
    "closes": (["AUTH PLAIN"], "421 4.3.2 not now", None, "not now"),
    "wants more": (["AUTH PLAIN"], "334 bW9yZQ==", None, "wants more"),
    "content too soon": (["AUTH SCRAM-SHA-256"], "235 2.7.0 come in", None, "before it proved"),
    "no base64": (["AUTH SCRAM-SHA-256"], "334 !!!!", None, "cannot log in"),
    "endless work": (["AUTH SCRAM-SHA-256"], 2000000000, None, "cannot log in"),
    "no work": (["AUTH SCRAM-SHA-256"], 1, None, "cannot log in"),
    "no proof": (["AUTH SCRAM-SHA-256"], 4096, "235 2.7.0 come in", "before it proved"),
    "a wrong proof": (["AUTH SCRAM-SHA-256"], 4096, "334 " + base64.b64encode(b"v=" + base64.b64encode(b"x" * 32)).decode(), "cannot log in"),
}


def test_servers_that_are_odd_about_logins(gateway, tls_hop):
    """Mail waits, whatever they say: it is a setting, here or there, and none of the sender's business. Who cannot prove that he knows
    the secret gets no mail."""
    hops = {}
    for name, (offered, answer, more, _) in ODD.items():
        hops[name] = hop = tls_hop(tls_extensions=offered)
        if isinstance(answer, int):
            hop.rule("auth", lambda _, hop=hop, n=answer: "334 " + first_of(hop.logins[-1], n))
        elif answer:
            hop.rule("auth", answer)
        if more:
            hop.rule("auth-more", more)
    keys = {name: name.replace(" ", "-") for name in ODD}
    server = gateway({"transports": {keys[n]: {"server": h.server_name, "sasl": {"user": "gw", "secret": SECRET}, "retry-delay": "1h"}
                                     for n, h in hops.items()},
                      "domains": {f"{keys[n]}.example": {"transport": keys[n]} for n in hops}})
    ids = {name: server.send("a@sender.example", f"x@{keys[name]}.example") for name in ODD}
    for name, (_, _, _, words) in ODD.items():
        event = server.wait_event(ids[name], "TransientFailure")
        assert words in event.get("reason", event.get("reply")), (name, event)
        assert not hops[name].messages and not server.events(ids[name], "Bounce")
    assert not [form for form in forms_of(SECRET) if form in server.log()]


def test_from_postern_to_postern(gateway, shown):
    """By SCRAM with the channel's binding; without a login the mail would not be relayed."""
    last = gateway({"domains": {"c.example": {"mailboxes": True}}, "accounts": {"gw@c.example": {"verifiers": verifiers(SECRET)},
                    "joe@c.example": {}}}, started=False)
    text = last.config.read_text()
    line = f"address: {HERE}:{last.port}\n"
    assert line in text
    last.config.write_text(text.replace(line, f"{line}    tls: {{certificate: {shown.crt}, key: {shown.key}}}\n"))
    last.start()
    objects = by("%s:%d" % last.address, tls="require")
    objects["transports"]["t"]["sasl"]["user"] = "gw@c.example"
    objects["domains"] = {"c.example": {"transport": "t"}}
    first = gateway(objects)
    event = first.wait_event(first.send("gw@c.example", "joe@c.example"), "Delivery")
    assert "TLSv1.3" in event["tls"]
    arrived = last.wait_mailbox("joe@c.example")[0]
    assert b"with ESMTPSA" in arrived
    received = next(e for e in last.trace("recipient=joe@c.example") if e["event"] == "Reception")
    assert received["user"] == "gw@c.example"
