"""What is delivered equals what came in, byte for byte, but for the trace fields before it."""
import pathlib
import random

import pytest

from lib.postern import without_trace
from lib.sink import BASIC
from lib.smtp import message

CORPUS = sorted((pathlib.Path(__file__).parent / "corpus").glob("*.eml"))
MAIL = {"8bit": "BODY=8BITMIME", "smtputf8": "BODY=8BITMIME SMTPUTF8", "binary": "BODY=BINARYMIME"}
BOUND = {"huge headers": 900_000, "5 MB": 5_000_000}


def made():
    """Those that are too long to lie in a folder."""
    pick = random.Random(7)
    field = "".join(f"X-Field-{i}: {'v' * pick.randrange(1, 900)}\r\n" for i in range(4000)).encode()[:BOUND["huge headers"]]
    field = field[:field.rindex(b"\r\n") + 2]
    yield "huge-headers", "", field + message("huge headers")
    lines = b"".join(pick.randbytes(pick.randrange(0, 54)).hex().encode() + (b"." * (i % 3)) + b"\r\n" for i in range(90000))
    yield "5-MB", "", message("long") + lines[:BOUND["5 MB"]] + b"\r\n"
    yield "5-MB", "binary", message("long binary") + pick.randbytes(BOUND["5 MB"])
    yield "one-line-of-5-MB", "binary", message("one line") + b"x" * BOUND["5 MB"]
    for n in (4095, 4096, 4097, 65535, 65536, 65537, (1 << 20) - 1, 1 << 20, (1 << 20) + 1):
        body = message("of an exact length")
        yield f"{n}-bytes", "", body + (b"%062d\r\n" % n * (n // 64 + 1))[-(n - len(body)):] if n > len(body) else body


def awkward():
    for path in CORPUS:
        name, _, how = path.name[:-4].partition(".")
        yield name, how, path.read_bytes()
    yield from made()


def send_all(gateway, domain):
    """Everything over one connection, each to a recipient of its own; {recipient: bytes}."""
    sent = {}
    with gateway.client(timeout=60) as client:
        for number, (name, how, body) in enumerate(awkward()):
            to = f"m{number}@{domain}"
            sent[to] = (name, how, body)
            binary = how in ("binary", "bdat")
            client.send("ann@sender.example", to, body, mail=MAIL.get(how, ""), how="bdat" if binary else "data",
                        chunk=1000 if binary and len(body) < 100_000 else None)
    return sent


def difference(name, sent, arrived):
    if sent == arrived:
        return None
    at = next((i for i, (a, b) in enumerate(zip(sent, arrived)) if a != b), min(len(sent), len(arrived)))
    return f"{name}: differs at {at} of {len(sent)} ({len(arrived)} arrived): {sent[at - 20:at + 40]!r} became {arrived[at - 20:at + 40]!r}"


def test_relayed_mail_arrives_as_it_was_sent(gateway, sink):
    hop = sink()
    server = gateway({"transports": {"t": {"server": hop.server_name}}, "domains": {"a.example": {"transport": "t"}}})
    sent = send_all(server, "a.example")
    hop.wait(len(sent), 60)
    problems = [difference(name, body, without_trace(hop.wait_for(to).body)) for to, (name, _, body) in sent.items()]
    assert not any(problems), "\n".join(filter(None, problems))
    server.wait_empty()
    assert len(hop.messages) == len(sent)


def test_a_hop_without_extensions_gets_what_it_can_take(gateway, sink):
    """Mail that needs no extension arrives unchanged, too, where the next hop has only the basic ones."""
    hop = sink(extensions=BASIC)
    server = gateway({"transports": {"t": {"server": hop.server_name}}, "domains": {"a.example": {"transport": "t"}}})
    sent = send_all(server, "a.example")
    takeable = {to: m for to, m in sent.items() if m[1] in ("", "8bit")}
    for to in takeable:
        hop.wait_for(to, 60)
    problems = [difference(name, body, without_trace(hop.wait_for(to).body)) for to, (name, _, body) in takeable.items()]
    # What ended without a newline gets one: DATA cannot say it otherwise. Dots are no matter.
    for to, (name, how, body) in sent.items():
        if how == "bdat":
            arrived = without_trace(hop.wait_for(to, 60).body)
            problems.append(difference(name, body if body.endswith(b"\r\n") else body + b"\r\n", arrived))
    assert not any(problems), "\n".join(filter(None, problems))


def test_mailboxes_hold_what_was_sent(gateway):
    """With LF line ends as Maildirs have them; where a message has bare CR or LF, every byte as it came."""
    count = sum(1 for _ in awkward())
    server = gateway({"domains": {"c.example": {"mailboxes": True}}, "accounts": {f"m{n}@c.example": {} for n in range(count)}})
    sent = send_all(server, "c.example")
    problems = []
    for to, (name, _, body) in sent.items():
        files = server.wait_mailbox(to, timeout=60)
        assert len(files) == 1
        bare = body.replace(b"\r\n", b"")
        if b"\r" in bare or b"\n" in bare:
            problems.append(difference(name, body, without_trace(files[0], mailbox=True)))
        else:
            assert b"\r\n" not in files[0], name
            problems.append(difference(name, body.replace(b"\r\n", b"\n"), without_trace(files[0], mailbox=True)))
    assert not any(problems), "\n".join(filter(None, problems))
    server.wait_empty()


@pytest.mark.parametrize("pieces", ["bytes", "before each line end", "within line ends"])
def test_the_cut_of_packets_does_not_matter(gateway, sink, pieces):
    hop = sink()
    server = gateway({"transports": {"t": {"server": hop.server_name}}, "domains": {"a.example": {"transport": "t"}}})
    body = message("cut", ".\n..\n.\nend\n.\n")
    wire = b"EHLO c.example\r\nMAIL FROM:<a@sender.example>\r\nRCPT TO:<joe@a.example>\r\nDATA\r\n" \
        + (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\nQUIT\r\n"
    if pieces == "bytes":
        cuts = [wire[i:i + 1] for i in range(len(wire))]
    elif pieces == "before each line end":
        cuts = [p for line in wire.split(b"\r\n")[:-1] for p in (line, b"\r\n")]
    else:
        parts = wire.split(b"\r")
        cuts = [parts[0] + b"\r"] + [p + b"\r" for p in parts[1:-1]] + [parts[-1]]
    with server.client(helo=None) as client:
        for cut in cuts:
            client.raw(cut)
        assert [client.reply().code for _ in range(6)] == [250, 250, 250, 354, 250, 221]
    assert without_trace(hop.wait(1)[0].body) == body
