"""Real mail programs on both sides."""
import email
import email.policy
import shutil

import pytest

from lib.peers import Postfix, SmtpSink, nodemailer, smtp_source, swaks
from lib.postern import without_trace
from lib.smtp import Client, message
from lib.world import wait_until

from test_bytes import CORPUS, MAIL, difference


def one_hop(name, **fields):
    return {"transports": {"t": {"server": name, **fields}}, "domains": {"a.example": {"transport": "t"}}}


def test_postfix_as_client(gateway, sink, peer):
    """Its own mail, with SMTPUTF8 and 8BITMIME, on connections that it keeps."""
    hop = sink()
    server = gateway(one_hop(hop.server_name))
    postfix = peer(Postfix(relay=server.address))
    with Client(postfix.address) as client:
        for n in range(20):
            client.send("a@sender.example", [f"x{n}@a.example", f"y{n}@a.example"], message(f"mail {n}", ".\n..\ntext\n"))
        client.send("jörg@sender.example", "jörg@a.example", message("Grüße", "Zwölf\n"), mail="SMTPUTF8 BODY=8BITMIME")
        client.send("a@sender.example", "dsn@a.example", mail="RET=HDRS ENVID=postfix1", rcpt="NOTIFY=SUCCESS,FAILURE")
    got = hop.wait(22)
    assert {r for m in got for r in m.rcpts} == {f"{k}{n}@a.example" for n in range(20) for k in "xy"} | {"jörg@a.example", "dsn@a.example"}
    dsn = hop.wait_for("dsn@a.example")
    assert dsn.mail_params["ENVID"] == "postfix1" and dsn.mail_params["RET"] == "HDRS"
    assert b"\r\n\r\n.\r\n..\r\ntext\r\n" in hop.wait_for("x0@a.example").body
    assert b"by postfix.example.test (Postfix)" in hop.wait_for("x0@a.example").body


def test_postfix_as_client_hears_refusals(gateway, peer, sink):
    """What we refuse, Postfix returns to its sender: through us."""
    server = gateway({"domains": {"c.example": {"mailboxes": True}}, "accounts": {"ann@c.example": {}}})
    postfix = peer(Postfix(relay=server.address))
    with Client(postfix.address) as client:
        client.send("ann@c.example", "nobody@c.example")
    report = server.wait_mailbox("ann@c.example")[0]
    assert b"no mailbox of this name" in report and b"nobody@c.example" in report


def test_postfix_as_next_hop(gateway, peer):
    """The awkward corpus through us into Postfix's Maildir, byte for byte where Postfix itself leaves it alone."""
    postfix = peer(Postfix(deliver=["a.example"], settings={"smtp_line_length_limit": "0", "header_size_limit": "10000000",
                                                            "line_length_limit": "100000", "always_add_missing_headers": "no"}))
    server = gateway(one_hop("127.0.0.1:%d" % postfix.port))
    names = {"plain": "", "dots": "", "long-998": "", "many-newlines": "", "commands": "", "white-space": "", "nested-mime": "", "signed": "",
             "folded": "", "latin1.8bit": "8bit", "utf8-body.8bit": "8bit", "controls": "", "bad-mime": "", "mbox": ""}
    bodies = {p.name[:-4]: p.read_bytes() for p in CORPUS if p.name[:-4] in names}
    assert len(bodies) == len(names)
    with server.client() as client:
        for name, body in bodies.items():
            client.send("a@sender.example", "x@a.example", body, mail=MAIL.get(names[name], ""))
    wait_until("all mail", lambda: len(postfix.mailbox()) == len(bodies), 30)
    server.wait_empty()
    arrived = b"\0".join(postfix.mailbox())
    for name, body in bodies.items():
        text = body.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n")
        assert text in arrived, name


def test_postfix_as_next_hop_refuses(gateway, peer):
    postfix = peer(Postfix(deliver=["a.example"], settings={"smtpd_recipient_restrictions":
                   "check_recipient_access inline:{{bad@a.example = REJECT no such user}}, permit_mynetworks, reject"}))
    server = gateway({**one_hop("127.0.0.1:%d" % postfix.port), "domains": {"a.example": {"transport": "t"}, "c.example": {"mailboxes": True}},
                      "accounts": {"ann@c.example": {}}})
    server.send("ann@c.example", ["good@a.example", "bad@a.example"])
    report = server.wait_mailbox("ann@c.example")[0]
    assert b"554 5.7.1 <bad@a.example>: Recipient address rejected: no such user" in report.replace(b"\n    ", b" ").replace(b"\n\t", b" ") \
        or b"no such user" in report
    wait_until("the good one", lambda: len(postfix.mailbox()) == 1)


def test_postfix_on_both_sides(gateway, peer):
    behind = peer(Postfix(deliver=["a.example"]))
    server = gateway(one_hop("127.0.0.1:%d" % behind.port))
    before = peer(Postfix(relay=server.address))
    done = smtp_source(before.address, "-m", "200", "-s", "10", "-l", "3000", "-t", "x@a.example", "-f", "a@sender.example")
    assert done.returncode == 0, done.stderr
    wait_until("all mail", lambda: len(behind.mailbox()) == 200, 40)
    server.wait_empty()


@pytest.mark.parametrize("options", [[], ["-e"], ["-8"], ["-p"]], ids=["as it is", "no EHLO", "no 8BITMIME", "no PIPELINING"])
def test_smtp_source_to_smtp_sink(gateway, peer, options):
    hop = peer(SmtpSink(*options))
    server = gateway(one_hop(hop.server_name))
    for more in ([], ["-d"]):
        done = smtp_source(server.address, "-m", "100", "-s", "10", "-l", "2000", "-t", "x@a.example", "-f", "a@sender.example", *more)
        assert done.returncode == 0, done.stderr
    wait_until("all mail", lambda: len(hop.bodies()) == 200)
    server.wait_empty()
    assert server.status()["roles"]["delivery"]["delivery"]["delivered"] == 200


def test_swaks(gateway, sink, tmp_path):
    hop = sink()
    server = gateway(one_hop(hop.server_name))
    attachment = tmp_path / "a.bin"
    attachment.write_bytes(bytes(range(256)) * 20)
    done = swaks(server.address, "--from", "a@sender.example", "--to", "x@a.example,y@a.example", "--header", "Subject: from swaks",
                 "--body", "Hello", "--attach", f"@{attachment}", "--pipeline")
    assert done.returncode == 0, done.stdout
    got = email.message_from_bytes(hop.wait(1)[0].body, policy=email.policy.SMTP)
    assert got["Subject"] == "from swaks" and sorted(hop.messages[0].rcpts) == ["x@a.example", "y@a.example"]
    parts = [p for p in got.walk() if not p.is_multipart()]
    assert parts[-1].get_payload(decode=True) == attachment.read_bytes()
    refused = swaks(server.address, "--from", "a@sender.example", "--to", "x@elsewhere.example")
    assert refused.returncode == 24 and "550 5." in refused.stdout


def test_nodemailer(gateway, sink):
    hop = sink()
    server = gateway(one_hop(hop.server_name))
    mails = [{"from": "a@sender.example", "to": f"x{n}@a.example", "subject": f"Grüße {n}", "text": "Zwölf Boxkämpfer\n.\n..\n",
              "html": "<p>Zwölf</p>", "attachments": [{"filename": "ü.txt", "content": "Anhang"}],
              "dsn": {"id": f"n{n}", "return": "headers", "notify": ["failure"], "recipient": "ann@sender.example"}} for n in range(20)]
    mails.append({"from": "a@sender.example", "to": "x@elsewhere.example", "subject": "no", "text": "no"})
    results = nodemailer(server.address, mails, pool=True)
    assert all(r.get("accepted") for r in results[:20]), results
    assert results[20]["code"] == 550
    hop.wait(20)
    for m in hop.messages:
        got = email.message_from_bytes(m.body, policy=email.policy.SMTP)
        assert got["Subject"].startswith("Grüße")
        assert got.get_body(("plain",)).get_content().splitlines() == ["Zwölf Boxkämpfer", ".", ".."]
        assert next(got.iter_attachments()).get_filename() == "ü.txt"
        assert m.mail_params["ENVID"].startswith("n") and m.mail_params["RET"] == "HDRS"
