"""DANE (RFC 7672) with a real signed root: what is vouched for counts, what is proved absent is absent, and what cannot be told waits."""
import pytest

from lib.dnssec import SignedKnot, tlsa
from lib.pki import Authority
from lib.tls_hop import Meddler, TlsSink
from lib.world import folder, free_port, remove, stays, wait_until

HOSTS = {name: f"127.0.0.{10 + i}" for i, name in enumerate((
    "ee", "ta", "ta-name", "wrong", "stripped", "unusable", "absent", "mixed", "forged", "silent", "broken", "plain", "bogus-mx", "alias", "alias-out"))}


class World:
    def __init__(self):
        self.port = free_port(*HOSTS.values())
        self.folder = folder()
        self.ca = ca = Authority(self.folder)
        self.self_signed = Authority(self.folder, "Unrelated CA").issue("nobody.example", days=-3)
        self.other = ca.issue("other.example")
        self.mx = ca.issue("mx.ta.zz")
        with open(self.mx.crt, "ab") as f:  # DANE-TA: the authority has to be shown, too (RFC 7672 section 3.1.2)
            f.write(ca.crt.read_bytes())
        right, wrong = tlsa(3, 1, self.self_signed), tlsa(3, 1, self.other)
        rights = {"ee": right, "ta": tlsa(2, 0, ca), "ta-name": tlsa(2, 0, ca), "wrong": wrong, "stripped": right,
                  "unusable": tlsa(1, 1, self.self_signed)}
        root = "ns.zz. A 127.0.0.1\n"
        for name in ("ee", "ta", "ta-name", "wrong", "stripped", "unusable", "absent", "broken"):
            root += self.host(name, rights.get(name), f"{name}.zz.")
        root += "mixed.zz. MX 10 mx.plain.zz.\n"
        root += f"alias.zz. MX 10 mx.alias.zz.\nmx.alias.zz. CNAME real.alias.zz.\nreal.alias.zz. A {HOSTS['alias']}\n"
        root += f"_{self.port}._tcp.real.alias.zz. TLSA {right}\n"
        root += f"alias-out.zz. MX 10 mx.alias-out.zz.\nmx.alias-out.zz. CNAME out.plain.zz.\n_{self.port}._tcp.mx.alias-out.zz. TLSA {right}\n"
        root += "".join(f"{zone}.zz. NS ns.zz.\n" for zone in ("forged", "silent", "plain", "bogus-mx"))
        self.dns = SignedKnot(
            {".": root, "plain.zz": self.host("plain", wrong) + f"out A {HOSTS['alias-out']}\n", "forged.zz": self.host("forged", right), "silent.zz": self.host("silent"),
             "bogus-mx.zz": self.host("bogus-mx", right), "_tcp.mx.broken.zz": None},
            unsigned=("plain.zz", "_tcp.mx.broken.zz"),
            spoil={"forged.zz": lambda text: text.replace(right.split()[3].upper(), wrong.split()[3].upper()),
                   "silent.zz": lambda text: "".join(line for line in text.splitlines(True) if "NSEC" not in line),
                   "bogus-mx.zz": lambda text: text.replace("mx.bogus-mx.zz.", "mx.evil.zz.", 1)})

    def host(self, name, record=None, suffix=None):
        """Of a zone of its own, or (suffix) in the root."""
        at = lambda label: f"{label}.{suffix}" if suffix else label  # noqa: E731
        text = f"{suffix or '@'} MX 10 {at('mx')}\n{at('mx')} A {HOSTS[name]}\n"
        return text + (f"{at(f'_{self.port}._tcp.mx')} TLSA {record}\n" if record else "")

    def close(self):
        self.dns.close()
        remove(self.folder)


@pytest.fixture(scope="module")
def world():
    made = World()
    yield made
    made.close()


@pytest.fixture
def hop(peer, world):
    made = []

    def make(name, certificate=None, **options):
        made.append(peer(TlsSink(certificate, host=HOSTS[name], port=world.port, **options)))
        return made[-1]

    yield make
    for one in made:
        assert not one.violations, one.violations


@pytest.fixture
def server(gateway, world):
    return gateway({"transports": {"out": {"server": f"lookup-mx:port={world.port}", "private-hosts": True, "tls": "dane", "retry-delay": "1s",
                                             "messages-per-connection": 1}},
                    "default-transport": "out"}, start=world.dns.start)


def delivered(server, name):
    id = server.send("a@sender.example", f"x@{name}.zz")
    return server.wait_event(id, "Delivery")


def refused(server, name, *hops):
    id = server.send("a@sender.example", f"x@{name}.zz")
    event = server.wait_event(id, "TransientFailure")
    for one in hops:
        assert not one.messages and {c.split()[0] for c in one.commands} <= {"EHLO", "STARTTLS", "QUIT"}
    return event["reason"]


def test_what_records_vouch_for(server, hop, world):
    hop("ee", world.self_signed)
    assert delivered(server, "ee")["tls"].endswith(", dane"), "DANE-EE: neither name, dates nor chain matter"
    hop("ta", world.mx)
    assert delivered(server, "ta")["tls"].endswith(", dane")


def test_what_they_do_not_vouch_for_waits(server, hop, world):
    ta_name, wrong = hop("ta-name", world.mx), hop("wrong", world.self_signed)
    assert "name" in refused(server, "ta-name", ta_name), "DANE-TA: the name counts"
    reason = refused(server, "wrong", wrong)
    assert "4.7.5" in reason and "TLSA" in reason, reason
    # The right certificate comes.
    wrong.show(world.other)
    server.ctl("queue", "retry", "domain=wrong.zz")
    assert wrong.wait(1)[0].tls


@pytest.mark.parametrize("name, sni", [("alias", "real.alias.zz"), ("alias-out", "mx.alias-out.zz")],
                         ids=["records at its end", "an end that is not signed"])
def test_aliases(server, hop, world, name, sni):
    """RFC 7672 section 2.2.3."""
    to = hop(name, world.other)
    assert "TLSA" in refused(server, name, to)
    to.show(world.self_signed)
    server.ctl("queue", "retry", f"domain={name}.zz")
    assert to.wait(1)[0].tls and set(to.names) == {sni}
    assert server.trace(f"recipient=x@{name}.zz event=Delivery")[-1]["tls"].endswith(", dane")


def test_no_downgrade(server, hop, peer, world):
    """With a TLSA record TLS is there, whatever EHLO says."""
    behind = peer(TlsSink(world.self_signed))
    between = peer(Meddler(("127.0.0.1", behind.port), lambda data: data.replace(b"STARTTLS", b"XSTARTTL"), host=HOSTS["stripped"],
                           port=world.port))
    assert "not offered" in refused(server, "stripped", behind)
    assert b"MAIL" not in between.heard
    between.change = lambda data: data
    server.ctl("queue", "retry", "domain=stripped.zz")
    assert behind.wait(1)[0].tls and server.trace("recipient=x@stripped.zz event=Delivery")[-1]["tls"].endswith(", dane")


def test_records_that_cannot_be_used_still_mean_tls(server, hop, world):
    """RFC 7672 section 2.2."""
    plain = hop("unusable")
    assert "not offered" in refused(server, "unusable", plain)
    plain.show(world.other)
    server.ctl("queue", "retry", "domain=unusable.zz")
    assert plain.wait(1)[0].tls
    assert server.trace("recipient=x@unusable.zz event=Delivery")[-1]["tls"].endswith(", not verified")


@pytest.mark.parametrize("name, host", [("absent", "absent"), ("plain", "plain"), ("mixed", "plain")],
                         ids=["proved to be absent", "a zone without signatures", "a host in a zone without signatures"])
def test_without_records_it_is_opportunistic(server, hop, world, name, host):
    to = hop(host)
    assert "tls" not in delivered(server, name)
    to.show(world.self_signed)
    server.send("a@sender.example", f"y@{name}.zz")
    assert to.wait(2)[1].tls


@pytest.mark.parametrize("name, words", [("forged", "DNSSEC validation of the host's TLSA records failed"),
                                         ("silent", "TLSA records"), ("broken", "TLSA records cannot be looked up"),
                                         ("bogus-mx", "4.4.")])
def test_what_cannot_be_told_waits(server, hop, world, name, words):
    """RFC 7672 section 2.1.2: forged, not proved absent, not answered. Whoever can do that must not get the mail for it."""
    to = hop(name, world.self_signed)
    reason = refused(server, name, to)
    assert words in reason, reason
    assert stays("nothing is sent", lambda: not to.connections, 0.5) is None and not to.connections


def test_the_anchor_file_is_read_at_the_start(gateway, world):
    server = gateway(started=False, start={"dns": {"servers": [world.dns.address], "trust-anchor": "/nonexistent/anchors"}})
    server.spawn()
    assert server.process.wait(20) != 0
    server.process = None
    assert "trust-anchor" in server.log() and "/nonexistent/anchors" in server.log()


def test_explain_says_what_will_be_asked(server, world):
    told = server.ctl("explain", "--client", "127.0.0.1", "--from", "a@sender.example", "--to", "x@ee.zz").stdout
    assert "TLSA" in told
