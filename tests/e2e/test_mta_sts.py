"""MTA-STS (RFC 8461): policies from a real web server over HTTPS, and everything that such a server can do wrong."""
import os
import subprocess

import pytest

from lib.peers import Knot, need
from lib.pki import Authority
from lib.tls_hop import Meddler, TlsSink
from lib.web import Trusting, Web, drip, endless, text
from lib.world import IS_ROOT, folder, free_port, remove, wait_until

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
NET = f"127.0.{100 + WORKER}"
WEB = f"{NET}.1"
PUBLIC = f"192.31.196.{10 + WORKER}"  # of a network that is public by its rules and nobody's host (RFC 7535)
PATH = "/.well-known/mta-sts.txt"


def policy(mode, *mx, max_age=604800):
    return f"version: STSv1\r\nmode: {mode}\r\n" + "".join(f"mx: {one}\r\n" for one in mx) + f"max_age: {max_age}\r\n"


GOOD = {"good": "enforce", "wrong-name": "enforce", "untrusted": "enforce", "stripped": "enforce", "unnamed": "enforce", "tested": "testing",
        "tested-clear": "testing", "off": "none", "kept": "enforce"}
BAD = {  # what the policy host does
    "redirect": text("", status=302, Location=f"https://mta-sts.good.test{PATH}"), "redirect-307": text("", status=307, Location="/other"),
    "missing": text("no", status=404), "html": text(policy("enforce", "x.test"), kind="text/html"),
    "nonsense": text("version: STSv2\r\nmode: enforce\r\n"), "huge": text("x" * 100000), "endless": endless,
    "slow": drip(policy("enforce", "x.test")), "bad-name": text(policy("enforce", "x.test")), "bad-date": text(policy("enforce", "x.test")),
    "bad-issuer": text(policy("enforce", "x.test"))}


class World:
    def __init__(self):
        self.folder = folder()
        self.ca = ca = Authority(self.folder)
        other = Authority(self.folder, "Other CA")
        self.mx = ca.issue(*(f"mx.{name}.test" for name in GOOD), file="mx")
        self.untrusted = other.issue("mx.untrusted.test")
        self.wrong = ca.issue("elsewhere.test")
        names = [*GOOD, *BAD, "pub", "pub-private"]
        certificates = {f"mta-sts.{name}.test": ca.issue(f"mta-sts.{name}.test") for name in names if not name.startswith("bad-")}
        certificates.update({"mta-sts.bad-name.test": self.wrong, "mta-sts.bad-date.test": ca.issue("mta-sts.bad-date.test", days=-2),
                             "mta-sts.bad-issuer.test": other.issue("mta-sts.bad-issuer.test")})
        self.hosts = {name: f"{NET}.{10 + i}" for i, name in enumerate([*GOOD, *BAD])}
        pages = {(f"mta-sts.{name}.test", PATH): text(policy(mode, "*.elsewhere.test" if name == "unnamed" else f"mx.{name}.test"))
                 for name, mode in GOOD.items()}
        pages.update({(f"mta-sts.{name}.test", PATH): page for name, page in BAD.items()})
        for name in ("pub", "pub-private"):
            pages[f"mta-sts.{name}.test", PATH] = text(policy("enforce", "mx.nobody.test"))
        self.certificates, self.pages = certificates, pages
        self.web = self.open_web(WEB)
        records = ""
        for name in names:
            records += f"{name} MX 10 mx.{name}\nmx.{name} A {self.hosts.get(name, PUBLIC)}\n_mta-sts.{name} TXT \"v=STSv1; id=20260101;\"\n" \
                       f"mta-sts.{name} A {PUBLIC if name == 'pub' else WEB}\n"
        records += "bare MX 10 mx.good\n"
        self.dns = Knot({"test": records})
        self.port = free_port(*self.hosts.values())
        self.trusting = Trusting(ca)

    def open_web(self, address):
        return Web(address, self.certificates, self.pages)

    def close(self):
        self.web.close()
        self.dns.close()
        self.trusting.close()
        remove(self.folder)


@pytest.fixture(scope="module")
def world():
    need(IS_ROOT, "port 443 is root's")
    made = World()
    yield made
    made.close()


@pytest.fixture
def hop(peer, world):
    made = []

    def make(name, certificate=None, host=None):
        made.append(peer(TlsSink(certificate, host=host or world.hosts[name], port=world.port)))
        return made[-1]

    yield make
    for one in made:
        assert not one.violations, one.violations


@pytest.fixture
def start(gateway, world):
    def go(**fields):
        server = gateway({"transports": {"out": {"server": f"lookup-mx:port={world.port}", "private-hosts": True, "tls": "mta-sts",
                                                 "retry-delay": "1h", **fields}}, "default-transport": "out"},
                         start={"dns": {"servers": [world.dns.address]}}, started=False)
        server.programs = world.trusting.at
        return server.start()
    return go


@pytest.fixture
def server(start):
    return start()


def delivered(server, name):
    return server.wait_event(server.send("a@sender.example", f"x@{name}.test"), "Delivery")


def refused(server, name, *hops):
    reason = server.wait_event(server.send("a@sender.example", f"x@{name}.test"), "TransientFailure")["reason"]
    for one in hops:
        assert not one.messages and {c.split()[0] for c in one.commands} <= {"EHLO", "STARTTLS", "QUIT"}
    return reason


def test_a_policy_that_is_enforced(server, hop, world):
    good = hop("good", world.mx)
    assert delivered(server, "good")["tls"].endswith(", mta-sts")
    delivered(server, "good")
    assert world.web.asked("mta-sts.good.test") == [PATH], "a policy is kept"
    assert "name" in refused(server, "wrong-name", hop("wrong-name", world.wrong))
    assert "trust" in refused(server, "untrusted", hop("untrusted", world.untrusted))
    reason = refused(server, "unnamed", unnamed := hop("unnamed", world.mx))
    assert "none of those that the domain's MTA-STS policy names" in reason and not unnamed.connections
    assert len(good.messages) == 2


def test_no_downgrade(server, peer, hop, world):
    behind = peer(TlsSink(world.mx))
    between = peer(Meddler(("127.0.0.1", behind.port), lambda data: data.replace(b"250-STARTTLS\r\n", b"").replace(b"STARTTLS", b"X"),
                           host=world.hosts["stripped"], port=world.port))
    assert "not offered" in refused(server, "stripped", behind)
    assert b"MAIL" not in between.heard
    between.change = lambda data: data
    server.ctl("queue", "retry", "domain=stripped.test")
    assert behind.wait(1)[0].tls


def test_what_is_tested_or_none_holds_nothing_back(server, hop, world):
    tested, clear, off, bare = hop("tested", world.wrong), hop("tested-clear"), hop("off"), hop("good")
    assert delivered(server, "tested")["tls"].endswith(", not verified"), "TLS all the same, and without a check"
    assert "tls" not in delivered(server, "tested-clear")
    assert "tls" not in delivered(server, "off")
    assert "tls" not in delivered(server, "bare"), "a domain without the record"
    assert not world.web.asked("mta-sts.bare.test")
    assert all(len(one.messages) == 1 for one in (tested, clear, off, bare))


def test_policies_that_cannot_be_had(server, hop, world):
    """RFC 8461 section 3.3: as if there was none; and no redirect is followed, nor is anything read for ever."""
    hops = {name: hop(name) for name in BAD}
    ids = {name: server.send("a@sender.example", f"x@{name}.test") for name in BAD}
    for name in BAD:
        assert "tls" not in server.wait_event(ids[name], "Delivery", 40)
    assert not [path for name in BAD for path in world.web.asked(f"mta-sts.{name}.test") if path != PATH]
    asked = {name for name in BAD if world.web.asked(f"mta-sts.{name}.test")}
    assert asked == {name for name in BAD if not name.startswith("bad-")}, "nothing is asked of whom the certificate is not for"
    assert all(len(one.messages) == 1 for one in hops.values())
    log = server.log()
    for names, why in ((("redirect", "redirect-307", "missing"), "answers with an error or redirect"), (("html",), "not of type text/plain"),
                       (("nonsense",), "makes no sense"), (("huge", "endless"), "too long"),
                       (("bad-name", "bad-date", "bad-issuer"), "certificate is not valid")):
        for name in names:
            assert f'domain="{name}.test" reason="the policy' in log and why in log.split(f'domain="{name}.test"', 1)[1].split("\n")[0], name


def test_a_policy_is_kept_over_a_restart(start, hop, world):
    kept = hop("kept", world.mx)
    server = start()
    assert delivered(server, "kept")["tls"].endswith(", mta-sts")
    before = len(world.web.asked("mta-sts.kept.test"))
    server.stop()
    world.web.close()
    try:
        server.start(apply=False)
        kept.show(None)
        assert "not offered" in refused(server, "kept")
        kept.show(world.mx)
        server.ctl("queue", "retry", "domain=kept.test")
        kept.wait(2)
    finally:
        world.web = world.open_web(WEB)
    assert before == 1


@pytest.fixture
def public_address():
    need(IS_ROOT, "an address needs root")
    done = subprocess.run(["ip", "addr", "add", f"{PUBLIC}/32", "dev", "lo"], capture_output=True, text=True)
    need(done.returncode == 0, f"no further address: {done.stderr}")
    yield PUBLIC
    subprocess.run(["ip", "addr", "del", f"{PUBLIC}/32", "dev", "lo"], check=True)


def test_a_policy_host_inside_is_not_asked(start, hop, world, public_address):
    """A stranger's DNS must not make us ask servers of our own network, but where the transport says so."""
    server = start(**{"private-hosts": False})
    plain = hop(None, host=public_address)
    assert "tls" not in delivered(server, "pub-private") and not world.web.asked("mta-sts.pub-private.test")
    outside = world.open_web(public_address)
    try:
        wait_until("it is logged", lambda: "has no public address" in server.log())
        assert "MTA-STS policy" in refused(server, "pub") and outside.asked("mta-sts.pub.test") == [PATH]
    finally:
        outside.close()
    assert len(plain.messages) == 1


def test_explain_says_what_will_be_asked(server, world):
    told = server.ctl("explain", "--client", "127.0.0.1", "--from", "a@sender.example", "--to", "x@good.test").stdout
    assert "by the policy that good.test publishes" in told
