"""Delivery to next hops that are wrong, slow, hostile, or just old: each message ends as RFC 5321 sections 4.2 and 4.5 say, no deadline is
outrun, and the gateway lives on."""
import itertools
import time

import pytest

from lib.hop import Gone, Hop
from lib.postern import Postern, without_trace
from lib.smtp import message, stuffed
from lib.world import wait_until

TIMEOUT_S = 2
SENDER = "ann@c.example"
LATER, NEVER, NOW = "TransientFailure", "Bounce", "Delivery"
PATIENCE_S = 30  # far beyond TIMEOUT_S: the machine may be busy
BIG = message("big", ("x" * 70 + "\n") * 20_000)


def session(**options):
    return lambda line: line.session(**options)


def forever(data, pause=0.0):
    """Says this again and again, as a reply."""
    def go(line):
        while True:
            line.say(data)
            time.sleep(pause)
    return go


def stall(line):
    line.wait_for_end()


def close(line):
    raise Gone


def reset(line):
    line.reset()


def drip(text):
    """A byte now and then, and never the whole."""
    def go(line):
        for byte in itertools.chain(text.encode(), itertools.repeat(ord("x"))):
            line.say(bytes([byte]))
            time.sleep(0.3)
    return go


def close_in_body(line):
    line.say("354 go on")
    line.exactly(10)
    raise Gone


def reset_in_body(line):
    line.say("354 go on")
    line.exactly(10)
    line.reset()


def half_close_in_body(line):
    line.say("354 go on")
    line.half_close()
    line.wait_for_end()


def stop_reading(line):
    line.say("354 go on")
    time.sleep(60)


def refuse_in_body(line):
    """Has seen enough after the first bytes, and says so; goes on reading, as it must."""
    line.say("354 go on")
    line.exactly(10)
    line.say("552 5.3.4 too big")
    line.wait_for_end()


def data_then(*replies):
    """354 and more at once."""
    return lambda line: line.say("\r\n".join(["354 go on", *replies])) or stall(line)


def split(text):
    """Each byte in a packet of its own, but all of them."""
    def go(line):
        for byte in text.encode() + b"\r\n":
            line.say(bytes([byte]))
            time.sleep(0.002)
    return go


def by_turns(*replies):
    """One after the other, then the last again and again."""
    left = list(replies)
    return lambda line: left.pop(0) if len(left) > 1 else left[0]


STAGES = ("greeting", "ehlo", "mail", "rcpt", "data", "end")

# What the hop does to the first connections, what becomes of the message, and what its reason says.
CASES = {
    # ---- replies that are no replies
    "closes at once": (close, LATER, ""),
    "resets at once": (reset, LATER, ""),
    "talks HTTP": (lambda line: line.say("HTTP/1.1 400 Bad Request") or stall(line), LATER, "no SMTP reply"),
    "talks TLS": (lambda line: line.say(b"\x15\x03\x01\x00\x02\x02\x46") or stall(line), LATER, "no SMTP reply"),
    **{f"an endless reply at {stage}": (session(**{stage: forever(b"250-more\r\n" if stage != "greeting" else b"220-more\r\n")}), LATER, "")
       for stage in STAGES},
    **{f"an endless line at {stage}": (session(**{stage: lambda line: line.say(b"250 ") or forever(b"x" * 1000)(line)}), LATER, "")
       for stage in STAGES},
    **{f"endless NUL bytes at {stage}": (session(**{stage: forever(b"\0" * 1000)}), LATER, "") for stage in STAGES},
    **{f"rubbish at {stage}": (session(**{stage: b"what do you want\r\n"}), LATER, "no SMTP reply") for stage in STAGES},
    **{f"code {code} at {stage}": (session(**{stage: f"{code} 1.2.3 odd"}), LATER, "") for stage in ("greeting", "ehlo", "mail", "rcpt", "end")
       for code in (150, 354, 399, 600, 999)},
    "different codes in one reply": (session(rcpt=b"250-yes\r\n550 no\r\n"), LATER, ""),
    "another code on the last line of EHLO": (session(ehlo=b"250-hop.example\r\n250-SIZE\r\n421 bye\r\n"), LATER, ""),
    "an EHLO reply of thousands of lines": (session(ehlo=b"250-hop.example\r\n" + b"250-X-EXT\r\n" * 5000 + b"250 HELP\r\n"), LATER, ""),
    "an EHLO reply with a huge line": (session(ehlo=b"250-hop.example\r\n250 " + b"X" * 100_000 + b"\r\n"), LATER, ""),
    "a refusal of a hundred thousand bytes": (session(end=b"554 " + b"5.7.1 " * 20_000 + b"\r\n"), LATER, ""),
    # ---- replies that are odd, and good
    "a greeting of several lines": (session(greeting="220-hop.example\r\n220-has much\r\n220 to say"), NOW, ""),
    "codes alone": (session(greeting="220", mail="250", rcpt="250", data="354", end="250"), NOW, ""),
    "replies that end in LF": (session(greeting=b"220 hop\n", mail=b"250 ok\n", rcpt=b"250 ok\n", end=b"250 ok\n"), NOW, ""),
    "replies byte by byte": (session(greeting=split("220 hop"), ehlo=split("250-hop.example\r\n250 PIPELINING"), mail=split("250 ok"),
                                     rcpt=split("250 ok"), data=split("354 go")), NOW, ""),
    "251 and 252 for recipients": (session(rcpt="251 will forward"), NOW, ""),
    "several lines everywhere": (session(mail="250-a\r\n250 b", rcpt="250-a\r\n250 b", data="354-a\r\n354 b", end="250-a\r\n250-b\r\n250 c"), NOW, ""),
    "NUL and controls in good replies": (session(greeting=b"220 \0\x1b[31m\x7f\r\n", mail=b"250 \0\xff\xfe\r\n"), NOW, ""),
    "a bare CR in a reply": (session(mail=b"250 a\rb\r\n", end=b"250 a\r550 b\r\n"), NOW, ""),
    "QUIT is not answered": (session(quit=stall), NOW, ""),
    # ---- too early, too much
    "two greetings": (session(greeting="220 hop.example\r\n220 again"), LATER, "more replies"),
    "a greeting and an answer to EHLO in one": (session(greeting="220 hop.example\r\n250 hello"), LATER, "replies"),
    "250 to DATA": (session(data=lambda line: line.say("250 ok") or stall(line)), LATER, "makes no sense"),
    "250 with the 354": (session(data=data_then("250 2.0.0 taken")), LATER, ""),
    "250 with the 354, for a long body": (session(data=data_then("250 2.0.0 taken")), LATER, "", BIG),
    "354 again at the end": (session(end="354 more"), LATER, ""),
    "all replies before the commands": (lambda line: line.say("220 hop\r\n250 hop\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken") or stall(line),
                                        LATER, "replies"),
    # ---- silence
    **{f"silence at {stage}": (session(**{stage: stall}), LATER, "") for stage in STAGES},
    **{f"a byte now and then at {stage}": (session(**{stage: drip("250 ")}), LATER, "") for stage in ("greeting", "ehlo", "mail", "data", "end")},
    "does not read the body": (session(data=stop_reading), LATER, "", BIG),
    # ---- ends
    **{f"closes at {stage}": (session(**{stage: close}), LATER, "") for stage in STAGES},
    **{f"resets at {stage}": (session(**{stage: reset}), LATER, "") for stage in STAGES},
    "closes in the body": (session(data=close_in_body), LATER, "", BIG),
    "resets in the body": (session(data=reset_in_body), LATER, "", BIG),
    "half-closes in the body": (session(data=half_close_in_body), LATER, "", BIG),
    # ---- refusals: section 4.2
    **{f"421 at {stage}": (session(**{stage: lambda line: line.say("421 4.3.2 going down") or close(line)}), LATER, "4.3.2") for stage in STAGES},
    **{f"451 at {stage}": (session(**{stage: "451 4.3.0 not now"}), LATER, "4.3.0") for stage in STAGES},
    **{f"a refusal without an enhanced code at {stage}": (session(**{stage: "450 not now"}), LATER, "not now") for stage in STAGES},
    **{f"554 at {stage}": (session(**{stage: "554 5.7.1 never"}), NEVER, "5.7.1") for stage in ("mail", "rcpt", "data", "end")},
    **{f"500 at {stage}": (session(**{stage: "500 what"}), NEVER, "what") for stage in ("mail", "rcpt", "data", "end")},
    # About the session, not the message: another try may do better.
    "554 for a greeting": (session(greeting="554 5.7.1 no mail here"), LATER, "5.7.1"),
    "an enhanced code of another class": (session(rcpt="550 4.7.1 odd"), NEVER, "odd"),
    "552 for a recipient": (session(rcpt="552 5.2.2 full"), NEVER, "5.2.2"),
    "452 for the only recipient": (session(rcpt="452 4.5.3 too many"), LATER, "4.5.3"),
    "refused in the body": (session(data=refuse_in_body), NEVER, "5.3.4", BIG),
    "NUL and controls in a refusal": (session(rcpt=b"550 5.1.1 \0\x1b[31m\x07 <b>\xff\xfe\r\n"), NEVER, "5.1.1"),
    "a bare CR in a refusal": (session(rcpt=b"550 5.1.1 no\r250 yes\r\n"), NEVER, "5.1.1"),
    # ---- EHLO: sections 3.2, 4.1.4
    **{f"EHLO is answered {code}": (session(ehlo=f"{code} what?"), NOW, "") for code in (500, 501, 502, 504, 550)},
    "neither EHLO nor HELO": (session(ehlo="502 no", helo="502 no"), LATER, "no"),
    "EHLO 550, HELO 421": (session(ehlo="550 no", helo="421 no"), LATER, "no"),
}


pytestmark = pytest.mark.xdist_group("hop")


class World:
    """A gateway, and a domain and transport for each case."""

    def __init__(self):
        timeouts = ("connect", "greeting", "ehlo", "mail", "rcpt", "data", "body", "body-end", "rset", "quit")
        self.gateway = Postern({"domains": {"c.example": {"mailboxes": True}}, "accounts": {SENDER: {}}},
                               start={"workers": 1, "timeouts": {name: f"{TIMEOUT_S}s" for name in timeouts}})
        self.gateway.start()
        self.roles = self.gateway.roles()
        self.count = 0
        self.hops = []

    def hop(self, script=None, **fields):
        return self.hops_of([script], **fields)[0]

    def hops_of(self, scripts, **fields):
        made = []
        for script in scripts:
            self.count += 1
            hop = Hop(script)
            hop.name = f"h{self.count}"
            hop.domain = f"{hop.name}.example"
            hop.to = f"x@{hop.domain}"
            made.append(hop)
        self.hops += made
        self.gateway.apply({"transports": {hop.name: {"server": hop.server_name, "retry-delay": "1s", **fields} for hop in made},
                            "domains": {hop.domain: {"transport": hop.name} for hop in made}})
        return made

    def report(self, to):
        """What the sender got about this recipient."""
        return next((data for path in self.gateway.maildir(SENDER) if to.encode() in (data := path.read_bytes())), None)

    def close(self):
        try:
            assert self.gateway.roles() == self.roles, "a role died"
        finally:
            self.gateway.close()
            for hop in self.hops:
                hop.close()


@pytest.fixture(scope="module")
def world():
    made = World()
    yield made
    made.close()


def bodies(hop):
    return [without_trace(body) for _, _, body in hop.taken]


def text_of(event):
    return (event.get("reply") or "") + (event.get("reason") or "")


@pytest.fixture(scope="module")
def under_way(world):
    """All cases at once, since most of each is waiting."""
    found = {}
    hops = world.hops_of([case[0] for case in CASES.values()])
    with world.gateway.client() as client:
        for (name, case), hop in zip(CASES.items(), hops):
            body = case[3] if len(case) > 3 else message(name)
            found[name] = hop, body, client.send(SENDER, hop.to, body)
    # Each hop is mended as soon as it has done its worst, since a destination that fails again and again is probed less and less.
    waiting = {id: hop for hop, _, id in found.values()}
    end = time.monotonic() + 2 * PATIENCE_S
    while waiting and time.monotonic() < end:
        time.sleep(0.2)
        for event in world.gateway.trace("since=1h", "--limit", "1000"):
            if event["event"] in (LATER, NEVER, NOW) and event.get("id") in waiting:
                waiting.pop(event["id"]).mend()
    return found


@pytest.mark.parametrize("name", CASES)
def test_case(world, under_way, name):
    _, outcome, why, *_ = CASES[name]
    hop, body, id = under_way[name]
    wait_until(outcome, lambda: world.gateway.events(id, outcome), PATIENCE_S)
    event = [e for e in world.gateway.events(id) if e["event"] in (LATER, NEVER, NOW)][0]
    assert event["event"] == outcome, event
    assert why in text_of(event), event
    assert text_of(event).isprintable(), "controls of a peer reach the trace"
    if outcome == LATER:
        world.gateway.wait_event(id, NOW, PATIENCE_S)
    if outcome == NEVER:
        wait_until("nothing is left", lambda: not world.gateway.queue(f"id={id}"))
        assert not hop.taken
        report = wait_until("the report", lambda: world.report(hop.to))
        assert not set(report) & {0, 7, 0x1b}, "controls of a peer reach a report"
    else:
        assert bodies(hop) == [body]
    assert not hop.problems, hop.problems


# ---- what a hop can do, and what it cannot

def commands(hop, verb):
    return [line for line in hop.heard if line.upper().startswith(verb)]


@pytest.mark.parametrize("extensions", [(), ("SIZE",), ("8BITMIME",), ("PIPELINING",)], ids=lambda e: " ".join(e) or "none")
def test_nothing_is_used_that_is_not_offered(world, extensions):
    hop = world.hop(session(extensions=extensions))
    id = world.gateway.send(SENDER, [hop.to, f"y@{hop.domain}"], message("x", ".a\n..b\n"), mail="RET=HDRS ENVID=abc", rcpt="NOTIFY=FAILURE")
    world.gateway.wait_event(id, NOW, PATIENCE_S)
    mail = commands(hop, "MAIL")[0]
    assert ("SIZE=" in mail) == ("SIZE" in extensions)
    assert "RET=" not in mail and "ENVID" not in mail and "NOTIFY" not in commands(hop, "RCPT")[0]
    assert not commands(hop, "BDAT") and not hop.problems
    assert bodies(hop) == [stuffed(message("x", ".a\n..b\n"))]


@pytest.mark.parametrize("size, outcome", [("SIZE 500", NEVER), ("SIZE 0", NOW), ("SIZE", NOW), ("SIZE many", NOW), ("SIZE -5", NOW),
                                           ("SIZE 99999999999999999999999", NOW), ("SIZE 100000", NOW)])
def test_what_size_a_hop_takes(world, size, outcome):
    hop = world.hop(session(extensions=("PIPELINING", size)))
    id = world.gateway.send(SENDER, hop.to, message("size", "x" * 70 + "\n" + "y" * 900 + "\n"))
    event = world.gateway.wait_event(id, outcome, PATIENCE_S)
    if outcome == NEVER:
        assert "5.3.4" in text_of(event) and not commands(hop, "DATA")


EIGHT = message("8 bit", "Grüße\n", extra="MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n")
BINARY = b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\n\r\xff.\r\n.\r\n"


@pytest.mark.parametrize("extensions, converted", [(("8BITMIME",), False), ((), True), (("PIPELINING",), True)], ids=["8BITMIME", "none", "PIPELINING"])
def test_8_bit_mail(world, extensions, converted):
    """RFC 6152 section 3: converted where the hop has no 8BITMIME."""
    hop = world.hop(session(extensions=extensions))
    id = world.gateway.send(SENDER, hop.to, EIGHT, mail="BODY=8BITMIME")
    world.gateway.wait_event(id, NOW, PATIENCE_S)
    body = bodies(hop)[0]
    if converted:
        assert body.isascii() and b"quoted-printable" in body and b"Gr=C3=BC=C3=9Fe" in body
        assert "BODY=8BITMIME" not in commands(hop, "MAIL")[0]
    else:
        assert body == EIGHT and "BODY=8BITMIME" in commands(hop, "MAIL")[0]


def test_8_bit_mail_after_helo(world):
    hop = world.hop(session(ehlo="500 what?"))
    id = world.gateway.send(SENDER, hop.to, EIGHT, mail="BODY=8BITMIME")
    world.gateway.wait_event(id, NOW, PATIENCE_S)
    assert bodies(hop)[0].isascii() and commands(hop, "MAIL") == [f"MAIL FROM:<{SENDER}>"]


@pytest.mark.parametrize("extensions, how", [(("CHUNKING", "BINARYMIME"), "BDAT"), (("CHUNKING", "BINARYMIME", "PIPELINING"), "BDAT"),
                                             (("CHUNKING", "8BITMIME"), "base64"), (("BINARYMIME", "8BITMIME"), "base64"), ((), "base64")],
                         ids=lambda v: v if isinstance(v, str) else " ".join(v) or "none")
def test_binary_mail(world, extensions, how):
    """RFC 3030: BDAT and nothing else carries it; BINARYMIME without CHUNKING is no offer."""
    hop = world.hop(session(extensions=extensions))
    id = world.gateway.send(SENDER, hop.to, BINARY, mail="BODY=BINARYMIME", how="bdat")
    world.gateway.wait_event(id, NOW, PATIENCE_S)
    if how == "BDAT":
        assert bodies(hop) == [BINARY] and not commands(hop, "DATA") and "BODY=BINARYMIME" in commands(hop, "MAIL")[0]
    else:
        assert b"base64" in bodies(hop)[0] and not commands(hop, "BDAT")


@pytest.mark.parametrize("reply, outcome", [("554 5.6.0 no", NEVER), ("451 4.3.0 later", LATER), ("250 2.0.0 taken", NOW), (close, LATER), (stall, LATER)],
                         ids=["554", "451", "250", "close", "stall"])
def test_what_a_hop_says_to_the_last_chunk(world, reply, outcome):
    hop = world.hop(session(extensions=("CHUNKING", "BINARYMIME"), bdat=reply))
    id = world.gateway.send(SENDER, hop.to, BINARY, mail="BODY=BINARYMIME", how="bdat")
    world.gateway.wait_event(id, outcome, PATIENCE_S)
    if outcome == LATER:
        hop.script = session(extensions=("CHUNKING", "BINARYMIME"))
        world.gateway.wait_event(id, NOW, PATIENCE_S)
        assert bodies(hop) == [BINARY]


@pytest.mark.parametrize("sender, to, outcome", [("jörg@sender.example", "x", NEVER), (SENDER, "jörg", NEVER), (SENDER, "x", NOW)])
def test_utf8_addresses_and_a_hop_without_smtputf8(world, sender, to, outcome):
    hop = world.hop()
    id = world.gateway.send(sender, f"{to}@{hop.domain}", mail="SMTPUTF8")
    event = world.gateway.wait_event(id, outcome, PATIENCE_S)
    if outcome == NEVER:
        assert "5.6.7" in text_of(event) and not commands(hop, "DATA")


@pytest.mark.parametrize("limit, per_transaction, per_connection", [("RCPTMAX=1", 1, None), ("RCPTMAX=2 MAILMAX=1", 2, 1), ("RCPTMAX=0", 5, None),
                                                                    ("RCPTMAX=x MAILMAX", 5, None)])
def test_limits_of_a_hop(world, limit, per_transaction, per_connection):
    """RFC 9422."""
    hop = world.hop(session(extensions=("PIPELINING", f"LIMITS {limit}")), connections=1)
    to = [f"x{n}@{hop.domain}" for n in range(5)]
    world.gateway.send(SENDER, to)
    wait_until("all recipients", lambda: sum(len(rcpts) for _, rcpts, _ in hop.taken) == 5, PATIENCE_S)
    assert max(len(rcpts) for _, rcpts, _ in hop.taken) == per_transaction
    if per_connection:
        assert hop.connections >= len(hop.taken) // per_connection


def test_some_recipients_are_refused_between_others(world):
    """With all commands in one packet, each reply counts for its own."""
    replies = by_turns("250 ok", "550 5.1.1 no", "450 4.2.0 later", "250 ok", "550 5.1.1 no", "250 ok")
    hop = world.hop(session(rcpt=replies))
    to = [f"r{n}@{hop.domain}" for n in range(6)]
    id = world.gateway.send(SENDER, to)
    wait_until("all but one", lambda: not world.gateway.queue(f"id={id}"), PATIENCE_S)
    taken = [r.split("<")[1].split(">")[0] for _, rcpts, _ in hop.taken for r in rcpts]
    assert sorted(taken) == sorted([to[0], to[3], to[5], to[2]]) and len(hop.taken) == 2
    bounced = [r for e in world.gateway.events(id, NEVER) for r in e["recipients"]]
    assert sorted(bounced) == [to[1], to[4]]


def test_421_on_an_idle_connection(world):
    """The next message goes over a new one, at once, and no try is counted."""
    def script(line):
        line.session(end=lambda l: l.say("250 2.0.0 taken") or l.hop.taken.append(("", ["x"], b"")) or l.say("421 4.3.2 bye") or close(l))
    hop = world.hop(script)
    for n in range(3):
        id = world.gateway.send(SENDER, hop.to)
        world.gateway.wait_event(id, NOW, PATIENCE_S)
        assert not world.gateway.events(id, LATER)
    assert hop.connections == 3


def test_a_hop_that_never_answers_does_not_hold_others_up(world):
    """Ten hops that are silent, and one that is well."""
    silent = [world.hop(stall) for _ in range(10)]
    for hop in silent:
        world.gateway.send(SENDER, hop.to)
    well = world.hop()
    id = world.gateway.send(SENDER, well.to)
    world.gateway.wait_event(id, NOW, PATIENCE_S)
    for hop in silent:
        hop.mend()
    wait_until("all the others", lambda: all(hop.taken for hop in silent), PATIENCE_S)
