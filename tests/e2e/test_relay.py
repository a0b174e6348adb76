"""Who may relay: every policy against every form of address, by what arrives in the end; what an administrator is told about it; other
names of domains and people."""
import email.header
import json
import pathlib
import re
import unicodedata

import pytest

from lib import stranger
from lib.accounts import verifiers
from lib.guarded import PASSWORD, STRANGER, Guarded
from lib.peers import Elsewhere, Knot
from lib.smtp import Client, message
from lib.tls import proxy_v1
from lib.world import free_port, wait_until

# What a stranger writes behind RCPT TO: to reach far.example. Served are a.example (by a transport), c.example (with mailboxes) and
# a2.example, which is another name of a.example; the gateway is gw.example.test.
FORMS = [
    "<x@far.example>", "x@far.example", "<X@FAR.EXAMPLE>", "<x@far.example.>", "<x@far.example..>", "<x@.far.example>", "<x@sub.a.example>",
    "<x@xa.example>", "<x@a.example.far.example>", "<postmaster@far.example>", "<x@localhost>", "<x@gw.example.test>",
    # source routes (RFC 5321 appendix C)
    "<@a.example:x@far.example>", "<@a.example,@c.example:x@far.example>", "<@gw.example.test:x@far.example>", "<@far.example:x@a.example>",
    "<@[127.0.0.1]:x@far.example>", "<@a.example:x%far.example@a.example>", "<@a.example:@c.example:x@far.example>", "<@,:x@far.example>",
    # the percent hack and bang paths
    "<x%far.example@a.example>", "<x%far.example@a2.example>", "<x%far.example@c.example>", "<x%far.example@gw.example.test>",
    "<x%far.example%a.example@a.example>", "<x%far.example@[127.0.0.1]>", "<x%far.example@localhost>", "<\"x%far.example\"@a.example>",
    "<far.example!x@a.example>", "<far.example!x@a2.example>", "<a.example!far.example!x@a.example>", "<far.example!x>", "<far.example!x@c.example>",
    "<\"far.example!x\"@a.example>", "<far.example!x%a.example@a.example>", "<@far.example!x@a.example>",
    # at-signs where another server may see the last one
    "<\"x@far.example\"@a.example>", "<\"x@far.example\"@a2.example>", "<\"x\\@far.example\"@a.example>", "<\"\\x\\@far.example\"@a.example>",
    "<\"@far.example:x\"@a.example>", "<\"@a.example,@c.example:x@far.example\"@a.example>", "<\"<x@far.example>\"@a.example>",
    "<\"x@far.example>\"@a.example>", "<x@far.example@a.example>", "<x@a.example@far.example>", "<\"x\"@far.example>", "<\"x@far.example\">",
    "<\"x@a.example\"@far.example>", "<x\\@far.example@a.example>", "<\"x\"@far.example\"@a.example>", "<\"x@far.example\"@c.example>",
    # comments, lists, spaces, what ends an address for some
    "<x@far.example,y@a.example>", "<y@a.example,x@far.example>", "<x@a.example>,<x@far.example>", "<x@far.example><y@a.example>",
    "<x@a.example(far.example)>", "<x(@a.example)@far.example>", "<x @far.example>", "< x@far.example >", "<x@far.example\t@a.example>",
    "<x;far.example@a.example>", "<x:far.example@a.example>", "<\"x\\\"@far.example\"@a.example>", "<x@a.example> <x@far.example>",
    "<x@a.example> ORCPT=rfc822;x@far.example", "<x@a.example> ROUTE=far.example", "<>", "<@>", "<x@>", "<@far.example>",
    # literals: of others, and our own in every dress
    "<x@[192.0.2.77]>", "<x@[IPv6:2001:db8::77]>", "<x@[IPv6:::ffff:192.0.2.77]>", "<x@[127.0.0.1]>", "<x@[IPv6:::1]>",
    "<\"x@far.example\"@[127.0.0.1]>", "<x@[2130706433]>", "<x@127.0.0.1>", "<x@[far.example]>", "<x@[x400:far.example]>", "<x@#2130706433>",
    # encoded words, in which anything may stand (RFC 2047)
    "<=?utf-8?q?x=40far.example=3e?=@a.example>", "<=?utf-8?b?eEBmYXIuZXhhbXBsZT4=?=@a.example>", "<=?x?q?x=40far.example?=@c.example>",
    "<\"=?utf-8?q?x=40far.example?=\"@a.example>", "<=?utf-8?q?x=40far.example=3e=20?=foo@a.example>",
    # what looks alike (SMTPUTF8)
    "<x@\u0430.example>", "<x@f\u0430r.example>", "<joe@\u0441.example>", "<x@\uff46ar.example>", "<x@far\u3002example>",
    "<x\uff20far.example@a.example>", "<x\ufe6bfar.example@a.example>", "<x\uff05far.example@a.example>", "<far.example\uff01x@a.example>",
    "<x@a.example\u200d.far.example>", "<x@xn--80a.example>", "<x@a.example\u2024far.example>", "<x@a\u00ad.far.example>", "<x\udcff@far.example>",
    # harmless ones, which are somebody's name
    "<50%@a.example>", "<wow!@a.example>", "<x+far.example@a.example>", "<x=far.example@a.example>", "<\"x far.example\"@a.example>",
]
HARMLESS = FORMS[-5:]
SERVED = {"a.example", "c.example"}


def reads_as_route(local):
    """Would some server behind us send this on to far.example? Quotes and backslashes go, encoded words are read, wide forms are plain."""
    plain = re.sub(r'[\\"]', "", local)
    words = "".join(word if isinstance(word, str) else word.decode("utf-8", "replace") for word, _ in email.header.decode_header(plain))
    plain = unicodedata.normalize("NFKC", words)
    return re.search(r"[@%:]\s*far\.example|far\.example\s*!", plain, re.I) is not None


def nothing_got_out(one):
    one.server.wait_empty()
    assert [m.rcpts for m in one.outside.messages] == []
    for arrived in one.site.messages:
        for rcpt in arrived.rcpts:
            local, domain = rcpt.rsplit("@", 1)
            assert domain.lower() in SERVED, rcpt
            assert not reads_as_route(local), rcpt


class World(Guarded):
    """Everything outside is found by its MX: far.example by the sink `outside`, backup.example by `inside`, both.example by either."""

    def __init__(self, gateway, sink, peer, **options):
        port = free_port("127.0.0.3", "127.0.0.4")
        records = "far.example MX 10 mx.far.example\nmx.far.example A 127.0.0.3\nbackup.example MX 10 mx.backup.example\n" \
                  "mx.backup.example A 127.0.0.4\nboth.example MX 10 mx.backup.example\nboth.example MX 20 mx.far.example\n"
        self.dns = peer(Knot({"example": absolute(records), "broken.test": None}))
        self.far, self.backup = sink(host="127.0.0.3", port=port), sink(host="127.0.0.4", port=port)
        objects = {
            "transports": {"out": {"server": f"lookup-mx:query={self.dns.address};port={port}", "private-hosts": True}},
            "domains": {"a.example": {"transport": "site"}, "c.example": {"mailboxes": True}, "a2.example": {"alias-of": "a.example"},
                        "c2.example": {"alias-of": "c.example"}},
            "accounts": {"joe@c.example": {"verifiers": verifiers(PASSWORD)}, "old@c.example": {"disabled": True}},
            "accept": {"hosts": ["branch.example"], "users": ["boss@elsewhere.example"]},
            **options.pop("objects", {}),
        }
        super().__init__(gateway, Sinks(sink, self.far), peer, objects={}, started=False, **options)
        objects["transports"]["site"] = {"server": self.site.server_name}
        objects["default-transport"] = "out"
        self.server.objects = self.objects = objects
        self.server.start()

    def policy(self, listener="front", code=0, **fields):
        """From now on, without a restart."""
        relay = {listener: {name.replace("_", "-"): value for name, value in fields.items()}}
        return self.server.apply({"relay": relay}, code=code)

    def attack(self, who=STRANGER, sender="<evil@evil.example>", forms=FORMS, listener="front"):
        return stranger.try_all(self.address(listener), forms, sender, proxy_v1(who))

    def relays(self, who=STRANGER, sender="ann@sender.example", to="x@far.example", listener="front"):
        with Client(self.address(listener), greet=False) as client:
            client.raw(proxy_v1(who))
            client.expect(220)
            client.ehlo()
            client.cmd(f"MAIL FROM:<{sender}>", 250)
            reply = client.cmd(f"RCPT TO:<{to}>", 250, 451, 550)
            if reply.code == 250:
                client.data(message())
            else:
                assert reply.enhanced == ("5.7.1" if reply.code == 550 else "4.4.3"), reply
            return reply.code == 250


def absolute(records):
    return "\n".join(" ".join(word + "." if word.endswith(".example") else word for word in line.split()) for line in records.splitlines())


class Sinks:
    """The first is the site's; then comes the one that is outside."""

    def __init__(self, make, outside):
        self.make, self.given, self.outside = make, 0, outside

    def __call__(self):
        self.given += 1
        return self.make() if self.given == 1 else self.outside


@pytest.fixture
def world(gateway, sink, peer):
    return lambda **options: World(gateway, sink, peer, **options)


def check_replies(replies, forms=FORMS, unknown=False):
    """Nothing hung, and what is somebody's name was taken. unknown: the policy asks the DNS, which knows nothing of some."""
    assert len(replies) == len(forms)
    for form, reply in zip(forms, replies):
        assert re.match(r"(250|501|550|553|555) " + ("|451 4.4.3 " if unknown else ""), reply), (form, reply)
        assert (form not in HARMLESS) or reply.startswith("250 "), (form, reply)


# ---- the matrix


def test_no_form_of_address_leaves_without_a_right(world):
    """One gateway, its policy changed while it runs; what counts is what arrives."""
    assert len(FORMS) >= 100 and len(set(FORMS)) == len(FORMS)
    one = world()
    before = one.server.roles()
    # none
    check_replies(one.attack())
    assert not one.relays(who="198.51.100.7")
    nothing_got_out(one)
    # addresses: the stranger is none of these, though near
    one.policy(policy="addresses", **{"from": ["192.0.2.0-192.0.2.98", "192.0.2.100/30", "198.51.100.0/24", "2001:db8:1::/48"]})
    check_replies(one.attack())
    check_replies(one.attack(who="2001:db8:2::1"))
    assert not one.relays(who="198.51.101.0") and not one.relays(who="::ffff:192.0.2.99")
    nothing_got_out(one)
    for who in ("192.0.2.98", "192.0.2.103", "198.51.100.255", "2001:db8:1:ffff::1", "::ffff:198.51.100.1"):
        assert one.relays(who=who), who
    one.outside.wait(5)
    one.outside.messages.clear()
    # addresses, by the next hop: anybody, but only where that is in the list
    one.policy(policy="addresses", to=["127.0.0.4"])
    check_replies(one.attack(), unknown=True)
    for to in ("x@both.example", "x@mx.far.example", "x@[127.0.0.3]", "x@[127.0.0.4]"):
        one.relays(to=to)
    assert not one.relays(to="x@missing.example")
    one.server.wait_empty()
    nothing_got_out(one)
    backed_up = len(one.backup.messages)
    assert one.relays(to="x@backup.example")
    one.backup.wait(backed_up + 1)
    assert {r.rsplit("@", 1)[1] for m in one.backup.messages for r in m.rcpts} <= {"backup.example", "[127.0.0.4]"}
    # local-hosts and local-users: by the sender, in every form that is not a local one
    senders = ["<evil@evil.example>", "<>", "<joe@sub.c.example>", "<joe@c.example.evil.example>", "<\"joe@c.example\"@evil.example>",
               "<joe%c.example@evil.example>", "<@c.example:evil@evil.example>", "<joe@[127.0.0.1]>", "<joe@[192.0.2.99]>", "<joe@\u0441.example>",
               "<=?utf-8?q?joe=40c.example?=@evil.example>", "<joe@sub.branch.example>", "<joe@example>"]
    one.policy(policy="local-hosts")
    check_replies(one.attack())
    for sender in senders:
        one.attack(sender=sender, forms=["<x@far.example>", "<x%far.example@a.example>"])
    nothing_got_out(one)
    for sender in ("nobody@c.example", "x@a.example", "x@a2.example", "any@branch.example", "root@gw.example.test"):
        assert one.relays(sender=sender), sender
    one.outside.wait(5)
    one.server.wait_empty()
    one.outside.messages.clear()
    one.policy(policy="local-users")
    check_replies(one.attack())
    for sender in (*senders, "<nobody@c.example>", "<old@c.example>", "<any@branch.example>", "<x@a.example>", "<other@elsewhere.example>"):
        one.attack(sender=sender, forms=["<x@far.example>", "<x%far.example@a.example>"])
    nothing_got_out(one)
    for sender in ("joe@c.example", "JOE@C.EXAMPLE", "boss@elsewhere.example"):
        assert one.relays(sender=sender), sender
    one.outside.wait(3)
    one.outside.messages.clear()
    # and none again
    one.server.ctl("relay", "remove", "front")
    assert not one.relays(sender="joe@c.example") and not one.relays(who="198.51.100.7") and not one.relays(to="x@backup.example")
    nothing_got_out(one)
    assert one.server.roles() == before


def test_what_the_forms_mean_to_who_may_relay(world):
    """He may use a route through the site; what is mistaken for a domain served here is not."""
    one = world()
    one.policy(policy="addresses", **{"from": [STRANGER]})
    replies = dict(zip(FORMS, one.attack(forms=["<x%far.example@a.example>", "<\"x@far.example\"@a.example>", "<@a.example:x@far.example>",
                                                "<x@far.example>"])))
    assert all(r.startswith("250 ") for r in replies.values()), replies
    one.outside.wait(2)
    one.site.wait(2)
    assert {r for m in one.outside.messages for r in m.rcpts} == {"x@far.example"}


@pytest.mark.parametrize("open_relay", [False, True])
def test_anyone_needs_a_word_in_the_start_file(world, open_relay):
    port = free_port("127.0.0.1")
    one = world(listeners={"wide": {"address": f"0.0.0.0:{port}", "proxy": ["127.0.0.1"], **({"open-relay": True} if open_relay else {})}})
    one.ports["wide"] = port
    if not open_relay:
        refused = one.policy("wide", policy="anyone", code=1)
        assert "open-relay" in refused.stderr
        check_replies(one.attack(listener="wide"))
        nothing_got_out(one)
        assert "OPEN RELAY" not in one.server.log()
        return
    one.policy("wide", policy="anyone")
    assert one.relays(listener="wide")
    one.outside.wait(1)
    # Loud wherever an administrator looks, and only there.
    assert "listener wide: THIS IS AN OPEN RELAY" in wait_until("it is logged", lambda: "OPEN RELAY" in one.server.log() and one.server.log())
    shown = one.server.ctl("relay", "show").stdout
    assert "policy anyone, AN OPEN RELAY" in shown and "EVERYBODY" in shown
    assert any("wide" in line and "anyone" in line and "THIS IS AN OPEN RELAY" in line for line in one.server.ctl("check").stdout.splitlines())
    by_name = {l["name"]: l for l in one.server.json("relay", "show")["listeners"]}
    assert by_name["wide"]["open_relay"] and not by_name["front"]["open_relay"]
    one.server.stop()
    one.server.start(apply=False)
    assert "OPEN RELAY" in one.server.log_since_start()
    # The word is taken out: what the directory says counts for nothing.
    text = one.server.config.read_text()
    one.server.stop()
    one.server.config.write_text(re.sub(r"\n *open-relay: true", "", text))
    one.server.start(apply=False)
    assert not one.relays(listener="wide")
    assert "counts as none" in one.server.ctl("relay", "show").stdout
    assert any("wide" in line and "open-relay" in line for line in one.server.ctl("check").stdout.splitlines())


@pytest.mark.xdist_group("elsewhere")
def test_from_another_machine(world, peer):
    """The same over real cables, without a PROXY header; and each policy's permitted case."""
    other = peer(Elsewhere())
    port = free_port("127.0.0.1", other.here)
    one = world(listeners={"wide": {"address": f"0.0.0.0:{port}"}})

    def attack(**options):
        script = pathlib.Path(stranger.__file__)
        done = other.inside("/usr/bin/python3", str(script), input=json.dumps({"address": [other.here, port], "forms": FORMS, **options}))
        return json.loads(done.stdout)
    for fields in ({"policy": "none"}, {"policy": "addresses", "from": ["192.0.2.0/24", "127.0.0.0/8"]}, {"policy": "local-users"}):
        one.policy("wide", **fields)
        check_replies(attack())
        nothing_got_out(one)
    for number, (fields, sender) in enumerate([({"policy": "addresses", "from": [other.there]}, "<evil@evil.example>"),
                                               ({"policy": "local-users"}, "<joe@c.example>")], 1):
        one.policy("wide", **fields)
        assert attack(forms=["<x@far.example>"], sender=sender)[0].startswith("250 ")
        one.outside.wait(number)


# ---- what an administrator is told


def test_relay_show_says_who_may_in_plain_words(world):
    one = world()
    server = one.server
    one.policy(policy="addresses", **{"from": ["192.0.2.0/24", "198.51.100.7-198.51.100.20"], "to": ["203.0.113.5"]})
    one.policy("submission", policy="none", advertise_auth=False)
    text = server.ctl("relay", "show").stdout
    front = text.split("listener front,")[1].split("listener ")[0]
    assert "policy addresses" in front and "192.0.2.0/24, 198.51.100.7-198.51.100.20" in front and "203.0.113.5" in front
    submission = text.split("listener submission,")[1].split("listener ")[0]
    assert "AUTH is hidden, but understood" in submission and "locked out" in submission + text
    shown = {l["name"]: l for l in server.json("relay", "show")["listeners"]}
    assert shown["front"]["from"] == ["192.0.2.0/24", "198.51.100.7-198.51.100.20"] and shown["front"]["to"] == ["203.0.113.5"]
    assert shown["mx"]["policy"] == "none" and shown["mx"]["default"] and not shown["submission"]["auth"]["advertised"]
    for policy in ("local-hosts", "local-users"):
        one.policy(policy=policy)
        assert "forge" in server.ctl("check").stdout
        wait_until("it is logged", lambda: f"the policy {policy} relays for whoever writes" in server.log())
    one.policy(policy="addresses", **{"from": ["0.0.0.0/0"]})
    # On loopback that is nobody else; from outside it would be everybody.
    assert "ANYBODY" in server.ctl("relay", "show").stdout
    refused = one.policy("smtps", policy="none", code=1)
    assert "smtps" in refused.stderr and "submission" in refused.stderr, "which there are is said"


def explain(one, *options, **query):
    words = {"client": STRANGER, "from": "evil@evil.example", "to": "x@far.example", "listener": "front", **query}
    return one.server.ctl("explain", *(word for name, value in words.items() for word in (f"--{name}", value)), *options).stdout


def test_explain_and_rcpt_agree(world):
    """Rule by rule, before and after; the last line is what a client is told."""
    one = world()
    cases = [({}, {}), ({"policy": "addresses", "from": [STRANGER]}, {}), ({"policy": "addresses", "to": ["127.0.0.4"]}, {"to": "x@backup.example"}),
             ({"policy": "addresses", "to": ["127.0.0.4"]}, {}), ({"policy": "local-hosts"}, {"from": "x@branch.example"}),
             ({"policy": "local-users"}, {"from": "x@branch.example"}), ({"policy": "local-users"}, {"from": "boss@elsewhere.example"})]
    for fields, query in cases:
        one.policy(**fields)
        may = one.relays(sender=query.get("from", "evil@evil.example"), to=query.get("to", "x@far.example"))
        said = explain(one, **query)
        assert ("refused" in said.splitlines()[-1]) != may, (fields, query, said)
    one.policy()
    assert "log in" in explain(one)
    assert "refused" not in explain(one, "--tls", user="joe@c.example", **{"from": "joe@c.example"}).splitlines()[-1]
    for user in ("old@c.example", "nobody@c.example"):
        assert "refused at AUTH: 535 5.7.8" in explain(one, "--tls", user=user, **{"from": user}).splitlines()[-1]
    one.server.ctl("user", "add", "mute@c.example", "--no-password")
    said = explain(one, "--tls", user="mute@c.example", **{"from": "mute@c.example"})
    assert "mute@c.example has no password" in said and "refused at AUTH: 535 5.7.8" in said.splitlines()[-1]
    assert "refused" in explain(one, "--tls", user="joe@c.example").splitlines()[-1], "not as somebody else"


# ---- other names


def test_domain_aliases_and_aliases(world):
    one = world(objects={"aliases": {
        "nick@c.example": ["joe@c.example"], "all@c.example": ["nick@c.example", "x@a.example", "friend@backup.example"],
        "out@a.example": ["y@far.example"]}})
    with one.client("front", starttls=False) as client:
        client.send("ann@sender.example", "joe@c2.example")
        client.send("ann@sender.example", "x@a2.example")
        client.send("ann@sender.example", "NICK@c2.example")
        client.send("ann@sender.example", ["all@c.example", "out@a2.example"])
        client.cmd("MAIL FROM:<ann@sender.example>", 250)
        client.cmd("RCPT TO:<nobody@c2.example>", 550)
        client.cmd("RSET", 250)
    assert len(one.server.wait_mailbox("joe@c.example", 3)) == 3
    assert {r for m in one.site.wait(2) for r in m.rcpts} == {"x@a.example"}
    assert one.backup.wait(1)[0].rcpts == ["friend@backup.example"]
    assert one.far.wait(1)[0].rcpts == ["y@far.example"]
    one.server.wait_empty()
    refused = one.server.apply({"aliases": {"one@c.example": ["two@c.example"], "two@c.example": ["one@c.example"]}}, code=1)
    assert "back to itself" in refused.stderr
    # Live: an alias that goes means nobody.
    one.server.ctl("alias", "remove", "nick@c.example", code=1)  # another one leads to it
    one.server.ctl("alias", "set", "all@c.example", "to=joe@c.example")
    one.server.ctl("alias", "remove", "nick@c.example")
    with one.client("front", starttls=False) as client:
        client.cmd("MAIL FROM:<ann@sender.example>", 250)
        client.cmd("RCPT TO:<nick@c.example>", 550)
