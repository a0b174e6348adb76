"""Delivery status notifications, read with Python's email package (RFC 3461, 3464)."""
import email
import email.policy

import pytest

from lib.sink import BASIC
from lib.smtp import message
from lib.world import stays, wait_until

SENDER = "ann@c.example"
OBJECTS = {"domains": {"c.example": {"mailboxes": True}}, "accounts": {SENDER: {}, "bob@c.example": {}}}


def objects(hop, **fields):
    return {**OBJECTS, "transports": {"t": {"server": hop.server_name, "retry-delay": "1s", **fields}},
            "domains": {**OBJECTS["domains"], "a.example": {"transport": "t"}}}


class Report:
    """What a mail program sees of a notification."""

    def __init__(self, data):
        self.data = data
        self.mail = mail = email.message_from_bytes(data, policy=email.policy.SMTP)
        assert mail["Return-Path"] == "<>", "a notification has the null sender"
        assert mail.get_content_type() == "multipart/report" and mail.get_param("report-type") == "delivery-status"
        assert mail["Auto-Submitted"] and mail["Date"] and mail["Message-ID"] and mail["MIME-Version"] == "1.0"
        assert not mail.defects and not any(part.defects for part in mail.walk())
        parts = list(mail.iter_parts()) if mail.is_multipart() else []
        assert len(parts) == 3
        assert parts[0].get_content_type() == "text/plain"
        self.text = parts[0].get_content()
        assert parts[1].get_content_type() == "message/delivery-status"
        groups = parts[1].get_payload()
        self.message, self.rcpts = groups[0], groups[1:]
        self.returned = parts[2]

    def rcpt(self, address):
        return next(r for r in self.rcpts if r["Final-Recipient"] == f"rfc822; {address}" or r["Final-Recipient"] == f"rfc822;{address}")


def reports(server, count=1, address=SENDER):
    return [Report(data) for data in server.wait_mailbox(address, count)]


def test_failure(gateway, sink):
    hop = sink()
    hop.rule("rcpt", "550 5.1.1 <bad@a.example>: no such user here", match="bad@")
    server = gateway(objects(hop))
    body = message("the original", "The text.\n", sender=SENDER)
    id = server.send(SENDER, [("bad@a.example", "ORCPT=rfc822;Bad+2Bx@a.example"), "good@a.example"], body, mail="ENVID=QQ314159")
    report = reports(server)[0]
    assert hop.wait(1)[0].rcpts == ["good@a.example"]
    assert "dns; gw.example.test" in report.message["Reporting-MTA"].replace("dns;gw", "dns; gw")
    assert report.message["Original-Envelope-Id"] == "QQ314159"
    assert report.message["Arrival-Date"]
    assert len(report.rcpts) == 1
    one = report.rcpt("bad@a.example")
    assert one["Action"] == "failed" and one["Status"] == "5.1.1"
    assert one["Original-Recipient"].replace("; ", ";") == "rfc822;Bad+x@a.example"
    assert "550 5.1.1" in one["Diagnostic-Code"] and one["Diagnostic-Code"].startswith("smtp;")
    assert one["Remote-MTA"] is None, "where a transport leads is nobody's business"
    assert "bad@a.example" in report.text and "no such user here" in report.text
    assert report.returned.get_content_type() == "message/rfc822"
    original = report.returned.get_payload(0)
    assert id in original.get_all("Received")[0], "with our own field, as it was sent on"
    assert body.replace(b"\r\n", b"\n") in report.data
    bounce = server.wait_event(id, "Bounce")
    assert bounce["notification"] and "550 5.1.1" in bounce["reply"]
    story = server.events(bounce["notification"])
    assert story[0]["event"] == "Reception" and story[0]["about"] == id


def test_only_the_header_on_request(gateway, sink):
    hop = sink()
    hop.rule("rcpt", "550 5.1.1 no")
    server = gateway(objects(hop))
    server.send(SENDER, "x@a.example", message("the original", "SECRET TEXT\n"), mail="RET=HDRS")
    report = reports(server)[0]
    assert report.returned.get_content_type() == "text/rfc822-headers"
    assert b"Subject: the original" in report.data and b"SECRET TEXT" not in report.data


def test_a_long_message_comes_back_with_its_header_only(gateway, sink):
    hop = sink()
    hop.rule("rcpt", "550 5.1.1 no")
    server = gateway(objects(hop))
    server.send(SENDER, "x@a.example", message("long", "long text\n" * 20000), mail="RET=FULL")
    assert len(reports(server)[0].data) < 20000


def test_never_means_never(gateway, sink):
    hop = sink()
    hop.rule("rcpt", "550 5.1.1 no")
    server = gateway(objects(hop))
    id = server.send(SENDER, "x@a.example", rcpt="NOTIFY=NEVER")
    server.wait_event(id, "Bounce")
    server.send(SENDER, "y@a.example", rcpt="NOTIFY=SUCCESS,DELAY")
    server.wait_empty()
    stays("nothing is sent", lambda: not server.maildir(SENDER), 0.5)


def test_null_senders_hear_nothing(gateway, sink):
    hop = sink()
    hop.rule("rcpt", "550 5.1.1 no")
    server = gateway(objects(hop))
    id = server.send("", "x@a.example", rcpt="NOTIFY=SUCCESS,FAILURE")
    bounce = server.wait_event(id, "Bounce")
    assert "notification" not in bounce
    server.wait_empty()


def test_success_in_a_mailbox(gateway):
    server = gateway(OBJECTS)
    server.send(SENDER, "bob@c.example", rcpt="NOTIFY=SUCCESS ORCPT=rfc822;robert@old.example", mail="RET=HDRS ENVID=e1")
    one = reports(server)[0].rcpt("bob@c.example")
    assert one["Action"] == "delivered" and one["Status"].startswith("2.")
    assert one["Original-Recipient"].replace("; ", ";") == "rfc822;robert@old.example"


def test_dsn_parameters_go_on_to_a_hop_that_knows_them(gateway, sink):
    hop = sink()
    server = gateway(objects(hop))
    server.send(SENDER, [("x@a.example", "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;y+2Bz@a.example"), ("n@a.example", "NOTIFY=NEVER")],
                mail="RET=HDRS ENVID=abc+3Ddef")
    got = hop.wait(1)[0]
    assert got.mail_params["RET"] == "HDRS" and got.mail_params["ENVID"] == "abc+3Ddef"
    assert set(got.rcpt_params["x@a.example"]["NOTIFY"].split(",")) == {"SUCCESS", "DELAY"}
    assert got.rcpt_params["x@a.example"]["ORCPT"] == "rfc822;y+2Bz@a.example"
    assert got.rcpt_params["n@a.example"]["NOTIFY"] == "NEVER"
    server.wait_empty()
    stays("success is the next hop's business", lambda: not server.maildir(SENDER), 0.5)


def test_relayed_to_a_hop_that_does_not_know_them(gateway, sink):
    hop = sink(extensions=BASIC)
    server = gateway(objects(hop))
    server.send(SENDER, [("x@a.example", "NOTIFY=SUCCESS"), "y@a.example"])
    report = reports(server)[0]
    assert len(report.rcpts) == 1 and report.rcpt("x@a.example")["Action"] == "relayed"
    assert "NOTIFY" not in str(hop.wait(1)[0].rcpt_params)


def test_expired_after_the_last_retry(gateway, sink):
    hop = sink()
    hop.rule("rcpt", "451 4.2.0 try later")
    server = gateway(objects(hop, **{"retry-count": 2}))
    id = server.send(SENDER, "x@a.example", message("the original"))
    end = server.wait_event(id, "Expiration")
    assert len(server.events(id, "TransientFailure")) >= 2
    one = reports(server)[0].rcpt("x@a.example")
    assert one["Action"] == "failed" and "451 4.2.0" in one["Diagnostic-Code"]
    assert one["Status"][0] in "45"
    assert hop.connections >= 1 and len([c for c in hop.commands if c.startswith("RCPT")]) == 3, "retry-count counts retries"
    assert end["notification"]
    server.wait_empty()


def test_what_is_inside_stays_inside(gateway, sink):
    """The sender may be anybody: addresses, servers and settings are for the log and the trace."""
    hop = sink()
    port = hop.port
    hop.stop()
    server = gateway({**OBJECTS, "transports": {"t": {"server": f"127.0.0.1:{port}", "retry-delay": "1s", "retry-count": 0},
                                                "mx": {"server": f"lookup-mx:port={port}"}},
                      "domains": {**OBJECTS["domains"], "a.example": {"transport": "t"}}, "default-transport": "mx"})
    id = server.send(SENDER, "x@a.example")
    assert f"127.0.0.1:{port}" in server.wait_event(id, "Expiration")["reason"]
    report = reports(server)[0]
    one = report.rcpt("x@a.example")
    assert one["Status"] == "4.4.1" and one["Action"] == "failed"
    assert f":{port}" not in report.text + one["Diagnostic-Code"]
    assert "It had been tried since " in report.text and "send again later" in " ".join(report.text.split())
    id = server.send(SENDER, "x@[192.168.0.1]")
    assert "private-hosts" in server.wait_event(id, "Bounce")["reason"]
    report = reports(server, 2)[1]
    one = report.rcpt("x@[192.168.0.1]")
    assert one["Status"] == "5.4.4" and one["Diagnostic-Code"] == "x-postern; there is no usable mail server for [192.168.0.1]"
    assert "private-hosts" not in report.text and "again later" not in report.text and "tried since" not in report.text


def test_the_postmaster_s_mail_is_taken_for_whoever_gets_it(gateway, sink):
    """RFC 5321 section 4.5.1. A report names the address that the sender wrote, too (RFC 3461 section 5.2.1)."""
    hop = sink()
    hop.rule("rcpt", "550 5.1.1 no such user", match="ops@")
    server = gateway({**objects(hop), "postmaster": "ops@a.example"})
    server.send(SENDER, "postmaster")
    one = reports(server)[0].rcpt("ops@a.example")
    assert one["Original-Recipient"].replace("; ", ";") == "rfc822;postmaster@gw.example.test"
    server.ctl("settings", "set", "postmaster=bob@c.example")
    server.send(SENDER, "Postmaster@c.example")
    assert server.wait_mailbox("bob@c.example")


def test_discard_leaves_a_line_and_no_report(gateway, sink):
    hop = sink()
    hop.rule("rcpt", "451 4.2.0 try later", match="later")
    hop.rule("rcpt", "550 5.1.1 no", match="never")
    server = gateway(objects(hop, **{"retry-count": 0, "give-up": "discard"}))
    ids = [server.send(SENDER, to) for to in ("later@a.example", "never@a.example")]
    for id in ids:
        assert server.wait_event(id, "Discard")["sender"] == SENDER
    server.wait_empty()
    stays("no report", lambda: not server.maildir(SENDER), 0.5)


def test_a_failure_after_data_is_for_every_recipient(gateway, sink):
    hop = sink()
    hop.rule("end", "554 5.7.1 spam")
    server = gateway(objects(hop))
    server.send(SENDER, ["x@a.example", "y@a.example"])
    report = reports(server)[0]
    assert {r["Final-Recipient"].split(";")[1].strip() for r in report.rcpts} == {"x@a.example", "y@a.example"}
    assert all(r["Status"] == "5.7.1" for r in report.rcpts)


def test_eight_bits_for_a_hop_that_has_none(gateway, sink):
    """RFC 6152 section 3: converted where that is allowed, else returned; never sent as they are."""
    hop = sink(extensions=("PIPELINING",))
    server = gateway(objects(hop))
    head = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
    server.send(SENDER, "x@a.example", message("convert", "Grüße aus Köln\n", extra=head), mail="BODY=8BITMIME")
    got = email.message_from_bytes(hop.wait(1)[0].body, policy=email.policy.SMTP)
    assert got.get_content().strip() == "Grüße aus Köln" and hop.messages[0].body.isascii()
    assert got["Content-Transfer-Encoding"] in ("quoted-printable", "base64")
    server.send("jörg@sender.example", "y@a.example", message("Grüße"), mail="SMTPUTF8 BODY=8BITMIME", how="data")
    server.wait_empty()
    assert len(hop.messages) == 1


def test_smtputf8_for_a_hop_without_it_is_returned(gateway, sink):
    hop = sink(extensions=BASIC)
    server = gateway(objects(hop))
    id = server.send(SENDER, "jörg@a.example", message("Grüße"), mail="SMTPUTF8 BODY=8BITMIME")
    bounce = server.wait_event(id, "Bounce")
    assert "5.6.7" in bounce["reason"] or "5.6.9" in bounce["reason"], bounce  # RFC 6531 section 3.5: address, header
    data = server.wait_mailbox(SENDER)[0]
    assert "jörg@a.example".encode() in data or b"j\\x{F6}rg@a.example" in data
    assert not hop.messages


def test_binary_for_a_hop_without_it_is_converted_or_returned(gateway, sink):
    hop = sink(extensions=BASIC)
    server = gateway(objects(hop))
    body = message("bin", extra="MIME-Version: 1.0\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n")[:-8] \
        + bytes(range(256))
    id = server.send(SENDER, "x@a.example", body, mail="BODY=BINARYMIME", how="bdat")
    wait_until("an end", lambda: server.events(id, "Bounce") or server.events(id, "Delivery"))
    if hop.messages:
        got = email.message_from_bytes(hop.messages[0].body, policy=email.policy.SMTP)
        assert got.get_payload(decode=True).endswith(bytes(range(256)))
    else:
        assert "5.6" in server.events(id, "Bounce")[-1]["reason"]


@pytest.mark.slow
def test_delay_warning(gateway, sink):
    """The shortest that the schema allows is a minute."""
    hop = sink()
    hop.rule("rcpt", "451 4.2.0 try later")
    server = gateway(objects(hop, **{"retry-delay": "10s", "retry-count": 100, "delay-warning": "1m"}))
    ids = [server.send(SENDER, "x@a.example", message("slow")), server.send(SENDER, "y@a.example", rcpt="NOTIFY=FAILURE")]
    server.wait_event(ids[0], "Delay", 90)
    report = Report(server.wait_mailbox(SENDER, 1, 20)[0])
    one = report.rcpt("x@a.example")
    assert one["Action"] == "delayed" and one["Status"].startswith("4.")
    hop.clear()
    server.ctl("queue", "retry", "age>0s")
    hop.wait(2)
    server.wait_empty()
    assert len(server.maildir(SENDER)) == 1
