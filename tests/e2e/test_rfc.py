"""The SMTP server against the letter of RFC 5321, 1870, 2034, 2920, 3030, 3461, 6152, 6531, and where RFC 3207 and 4954 are absent: what is
sent, byte for byte, and what must be said to it. A step is (bytes, replies): each reply is "code" or "code enhanced-code"; "closed" is the
end of the connection. A str is sent as a line. Beside what a case says, every reply is checked for its form and its enhanced code, and
every session that is not closed must answer QUIT, and nothing else, at its end."""
import re

import pytest

from lib.postern import Postern
from lib.sink import Sink
from lib.smtp import Client, Closed

SIZE = 1 << 20
E = ("EHLO client.example", "250")
M = ("MAIL FROM:<a@sender.example>", "250 2.1.0")
R = ("RCPT TO:<x@a.example>", "250 2.1.5")
D = ("DATA", "354")
OK = ("Subject: x\r\n\r\ntext\r\n.", "250 2.0.0")
RSET = ("RSET", "250 2.0.0")
SYNTAX = "501 5.5.4"
ORDER = "503 5.5.1"
CONTENT = "550 5.6.0"


def mail(parameters, reply="250 2.1.0"):
    return [E, (f"MAIL FROM:<a@sender.example> {parameters}", reply)]


def rcpt(parameters, reply="250 2.1.5"):
    return [E, M, (f"RCPT TO:<x@a.example> {parameters}", reply)]


def sender(path, reply="250 2.1.0"):
    return [E, (f"MAIL FROM:{path}", reply)]


def recipient(path, reply="250 2.1.5"):
    return [E, M, (f"RCPT TO:{path}", reply)]


def body(data, reply=CONTENT):
    """After DATA, these bytes and a proper end: one reply."""
    return [E, M, R, D, (data, reply), RSET]


def chunk(size, data, reply, last=False):
    return (b"BDAT " + str(size).encode() + (b" LAST" if last else b"") + b"\r\n" + data, reply)


LABEL = "l" * 63
LONG_DOMAIN = ".".join([LABEL] * 3 + ["d" * 61])  # 253 octets
TLS_HELLO = bytes.fromhex("16030100640100006003032e5f8d0a5c3e") + bytes(range(256)) + b"\0\0\0"

CASES = {
    # ---- order of commands: RFC 5321 section 4.1.4
    "MAIL first": [("MAIL FROM:<a@sender.example>", ORDER), E, M],
    "RCPT first": [("RCPT TO:<x@a.example>", ORDER)],
    "DATA first": [("DATA", ORDER)],
    "BDAT first": [chunk(4, b"abcd", ORDER), ("NOOP", "250 2.0.0")],
    "RSET, NOOP, HELP, VRFY need no greeting": [RSET, ("NOOP", "250 2.0.0"), ("HELP", "214"), ("VRFY x@a.example", "252")],
    "QUIT needs no greeting": [("QUIT", "221 2.0.0"), (b"", "closed")],
    "RCPT before MAIL": [E, ("RCPT TO:<x@a.example>", ORDER)],
    "DATA before RCPT": [E, M, ("DATA", "554 5.5.1"), R, D, OK],
    "MAIL in a transaction": [E, M, ("MAIL FROM:<b@sender.example>", ORDER), R, D, OK],
    "EHLO ends a transaction": [E, M, R, E, ("RCPT TO:<x@a.example>", ORDER), M],
    "HELO ends a transaction": [E, M, R, ("HELO c.example", "250"), ("DATA", ORDER)],
    "RSET ends a transaction": [E, M, R, RSET, ("DATA", ORDER), ("RCPT TO:<x@a.example>", ORDER), M],
    "RSET twice": [E, RSET, RSET],
    "the end of DATA ends a transaction": [E, M, R, D, OK, ("RCPT TO:<x@a.example>", ORDER), ("DATA", ORDER), M],
    "a refused RCPT leaves the others": [E, M, R, ("RCPT TO:<x@a..example>", "501 5.1.3"), D, OK],
    "a refused MAIL begins nothing": [E, ("MAIL FROM:<a@b@c>", "501 5.1.7"), ("RCPT TO:<x@a.example>", ORDER), M],
    "a refused EHLO changes nothing": [E, M, ("EHLO", SYNTAX), R, D, OK],
    "NOOP, HELP, VRFY do not end a transaction": [E, M, ("NOOP", "250"), R, ("HELP", "214"), ("VRFY x", "252"), D, OK],
    "several messages": [E, M, R, D, OK, M, R, D, OK, M, R, D, OK],
    "a recipient twice": [E, M, R, R, D, OK],
    # ---- commands and their arguments: section 4.1.1
    "EHLO without a name": [("EHLO", SYNTAX), ("EHLO ", SYNTAX)],
    "HELO without a name": [("HELO", SYNTAX)],
    "EHLO with rubbish": [("EHLO a b", SYNTAX), ("EHLO <script>", SYNTAX), ("EHLO a\x01b", "500 5.5.2")],
    "EHLO with a literal": [("EHLO [192.0.2.1]", "250"), ("EHLO [IPv6:2001:db8::1]", "250")],
    "EHLO with a name that proves wrong": [("EHLO my_pc", "250"), ("EHLO 10.0.0.1", "250")],
    "EHLO too long": [("EHLO " + "a" * 256, SYNTAX)],
    "EHLO in another alphabet": [("EHLO bücher.example", "500 5.5.2")],
    "EHLO with white space behind it": [("EHLO client.example  \t", "250")],
    "small letters": [("ehlo client.example", "250"), ("mail from:<a@sender.example>", "250"), ("rCpT tO:<x@a.example>", "250"),
                      ("data", "354"), OK, ("rset", "250"), ("noop", "250")],
    "white space before CRLF": [("EHLO client.example ", "250"), ("MAIL FROM:<a@sender.example>  ", "250"),
                                ("RCPT TO:<x@a.example>\t", "250"), ("DATA ", "354"), OK, ("RSET  ", "250")],
    "white space before the verb": [(" NOOP", "500 5.5.1"), ("\tNOOP", "500 5.5.1")],
    "DATA with an argument": [E, M, R, ("DATA now", SYNTAX), D, OK],
    "RSET with an argument": [E, M, ("RSET now", SYNTAX), R],
    "QUIT with an argument": [("QUIT now", SYNTAX), ("NOOP", "250")],
    "NOOP with an argument": [("NOOP whatever <this> is", "250 2.0.0")],
    "HELP with an argument": [("HELP MAIL", "214 2.0.0")],
    "VRFY": [("VRFY", SYNTAX), ("VRFY <x@a.example>", "252"), ("VRFY nobody@nowhere.example", "252")],
    "EXPN": [("EXPN list", "502 5.5.1"), ("EXPN", "50[012] 5.5.[14]")],
    "unknown verbs": [("FOO", "500 5.5.1"), ("FOO bar", "500 5.5.1"), ("MAILFROM:<a@b.example>", "500 5.5.1"), ("EHLOclient", "500 5.5.1"),
                      ("TURN", "50[02] 5.5.1"), ("SEND FROM:<a@b.example>", "500 5.5.1")],
    "an empty line": [("", "500 5.5.1"), ("NOOP", "250")],
    "a colon misplaced": [E, ("MAIL FROM <a@sender.example>", SYNTAX), ("MAIL FROM", SYNTAX), ("MAIL", SYNTAX), ("MAIL TO:<a@b.example>", SYNTAX),
                          M, ("RCPT TO <x@a.example>", SYNTAX), ("RCPT", SYNTAX), ("RCPT FROM:<x@a.example>", SYNTAX)],
    "STARTTLS is absent (RFC 3207)": [E, ("STARTTLS", "502 5.5.1"), ("STARTTLS now", "50[12] 5.5.[14]"), M, ("STARTTLS", "502 5.5.1"), R],
    "AUTH is absent (RFC 4954)": [E, ("AUTH PLAIN AGEAYg==", "502 5.5.1"), ("AUTH LOGIN", "502 5.5.1"), ("AUTH", "50[12] 5.5.[14]"),
                                  ("MAIL FROM:<a@sender.example> AUTH=<>", "555 5.5.4"), M],
    "XCLIENT from a stranger": [E, ("XCLIENT ADDR=192.0.2.1", "50[023] 5.5.1")],
    # ---- lines: sections 2.3.8, 4.5.3.1
    "a line of 512 octets": [E, (b"NOOP " + b"x" * 505 + b"\r\n", "250")],
    "a line beyond all bounds": [E, (b"NOOP " + b"x" * 5000 + b"\r\n", "500 5.5.2"), ("NOOP", "250")],
    "a long line is one error, whatever is in it": [E, (b"NOOP " + b"x" * 5000 + b"\nMAIL FROM:<a@b.example>\rRSET\n" + b"x" * 70000 + b"\r\n",
                                                        "500 5.5.2"), ("RCPT TO:<x@a.example>", ORDER)],
    "bare LF ends no command": [E, (b"NOOP\nNOOP\r\n", "500 5.5.2"), (b"NOOP\n", "500 5.5.2"), (b"NOOP\r\n", None), ("NOOP", "250")],
    "bare CR ends no command": [E, (b"NOOP\rNOOP\r\n", "500 5.5.2"), (b"NOOP\r\r\n", "500 5.5.2"), (b"\rNOOP\r\n", "500 5.5.2")],
    "LF CR ends no command": [E, (b"NOOP\n\rNOOP\r\n", "500 5.5.2")],
    "NUL in a command": [E, (b"NO\0OP\r\n", "500 5.5.2"), (b"NOOP \0\r\n", "500 5.5.2"), (b"MAIL FROM:<a\0@sender.example>\r\n", "500 5.5.2"), M],
    "control characters in a command": [E, (b"NOOP \x08\r\n", "500 5.5.2"), (b"NOOP \x7f\r\n", "500 5.5.2"), (b"\x1b[A\r\n", "500 5.5.[12]")],
    "smuggled by a bare LF in MAIL": [E, (b"MAIL FROM:<a@sender.example>\nRCPT TO:<x@a.example>\r\n", "500 5.5.2"), ("DATA", ORDER)],
    "smuggled by a bare CR in RCPT": [E, M, (b"RCPT TO:<x@a.example>\rDATA\r\n", "500 5.5.2"), ("DATA", "554 5.5.1")],
    "DATA with a bare LF": [E, M, R, (b"DATA\n", "500 5.5.2"), (b"\r\n", None), D, OK],
    # ---- paths: sections 4.1.1.2, 4.1.1.3, 4.1.2, 4.5.3.1, appendix C
    "the null sender": sender("<>"),
    "the null recipient": recipient("<>", "501 5.1.3"),
    "a sender without a domain": sender("<a>", "501 5.1.7"),
    "a recipient without a domain": recipient("<x>", "501 5.1.3"),
    "only a domain": sender("<@sender.example>", "501 5.1.7"),
    "no closing bracket": sender("<a@sender.example", "501 5.1.7"),
    "no opening bracket": sender("a@sender.example>", "501 5.1.7"),
    "rubbish behind the path": sender("<a@sender.example>x", "501 5.1.7"),
    "rubbish behind the path of RCPT": recipient("<x@a.example>,<y@a.example>", "501 5.1.3"),
    "a blank in an address": recipient("<x y@a.example>", "501 5.1.3"),
    "two at signs": recipient("<x@y@a.example>", "501 5.1.3"),
    "a local part that begins with a dot": recipient("<.x@a.example>", "501 5.1.3"),
    "a local part that ends with a dot": recipient("<x.@a.example>", "501 5.1.3"),
    "two dots in a local part": recipient("<x..y@a.example>", "501 5.1.3"),
    "all of atext": recipient("<!#$%&'*+-/=?^_`{|}~@a.example>"),
    "specials that want quotes": [E, M, *[(f"RCPT TO:<x{c}y@a.example>", "501 5.1.3") for c in "()[]\\,;:"]],
    "a local part of 64": recipient(f"<{'x' * 64}@a.example>"),
    "a local part of 65": recipient(f"<{'x' * 65}@a.example>", "501 5.1.3"),
    "a sender's local part of 65": sender(f"<{'x' * 65}@sender.example>", "501 5.1.7"),
    "a long domain": sender(f"<a@{LONG_DOMAIN}>", "(250|501)"),
    "a domain of 256": sender(f"<a@{LONG_DOMAIN}.xx>", "501 5.1.7"),
    "a label of 64": sender(f"<a@{'l' * 64}.example>", "501 5.1.7"),
    "a label that begins with a hyphen": sender("<a@-b.example>", "501 5.1.7"),
    "a label that ends with a hyphen": sender("<a@b-.example>", "501 5.1.7"),
    "two dots in a domain": sender("<a@b..example>", "501 5.1.7"),
    "a domain that begins with a dot": sender("<a@.example>", "501 5.1.7"),
    "quoted": [E, M, ('RCPT TO:<"x"@a.example>', "250"), ('RCPT TO:<"x y"@a.example>', "250"), ('RCPT TO:<"x\\"y"@a.example>', "250"),
               ('RCPT TO:<"x@y"@a.example>', "250"), ('RCPT TO:<"a>b"@a.example>', "250"), ('RCPT TO:<"x\\\\"@a.example>', "250")],
    "quotes that do not close": recipient('<"x@a.example>', "501 5.1.3"),
    "quotes in the middle": recipient('<x"y"z@a.example>', "501 5.1.3"),
    "a backslash before the closing quote": recipient('<"x\\"@a.example>', "501 5.1.3"),
    "source routes are read over": [E, ("MAIL FROM:<@one.example:a@sender.example>", "250"),
                                    ("RCPT TO:<@one.example,@two.example:x@a.example>", "250"), D, OK],
    "broken source routes": [E, M, ("RCPT TO:<@one.example,x@a.example>", "501 5.1.3"), ("RCPT TO:<one.example:x@a.example>", "501 5.1.3"),
                             ("RCPT TO:<@:x@a.example>", "501 5.1.3")],
    "literals": [E, ("MAIL FROM:<a@[192.0.2.1]>", "250"), ("RSET", "250"), ("MAIL FROM:<a@[IPv6:2001:db8::1]>", "250")],
    "broken literals": [E, *[(f"MAIL FROM:<a@{d}>", "501 5.1.7") for d in (
        "[192.0.2.256]", "[192.0.2]", "[1.2.3.4", "1.2.3.4]", "[IPv6:2001:db8::g]", "[IPv6:1:2:3]", "[IPv6:::1::]", "[2001:db8::1]", "[]")]],
    "an unknown kind of literal": sender("<a@[x400:something]>", "501 5.1.7"),
    "<Postmaster> alone": [E, M, ("RCPT TO:<Postmaster>", "250"), ("RCPT TO:<postMASTER>", "250"), D, OK],
    "postmaster as a sender needs a domain": sender("<postmaster>", "501 5.1.7"),
    "what common clients get wrong": [E, ("MAIL FROM: <a@sender.example>", "250"), ("RCPT TO: <x@a.example>", "250"), D, OK],
    # ---- parameters in general: section 4.1.1.11
    "an unknown parameter of MAIL": mail("FOO=1", "555 5.5.4"),
    "an unknown parameter of RCPT": rcpt("FOO", "555 5.5.4"),
    "parameters of extensions that are not offered": [E, *[(f"MAIL FROM:<a@sender.example> {p}", "555 5.5.4") for p in (
        "REQUIRETLS", "MT-PRIORITY=3", "HOLDFOR=60", "BY=120;R", "CONPERM", "TRANSID=x", "SUBMITTER=a@b.example")], M],
    "a parameter of the other command": [E, ("MAIL FROM:<a@sender.example> NOTIFY=NEVER", "555 5.5.4"), M,
                                         ("RCPT TO:<x@a.example> SIZE=1", "555 5.5.4"), ("RCPT TO:<x@a.example> BODY=7BIT", "555 5.5.4")],
    "no keyword": [E, *[(f"MAIL FROM:<a@sender.example> {p}", SYNTAX) for p in ("=1", "=", "-X=1", "S_Z=1", "S.=1")]],
    "parameters after HELO": [("HELO client.example", "250"), *[(f"MAIL FROM:<a@sender.example> {p}", "555 5.5.4") for p in (
        "SIZE=1", "BODY=8BITMIME", "SMTPUTF8", "RET=FULL")], M, ("RCPT TO:<x@a.example> NOTIFY=NEVER", "555 5.5.4"), R, D, OK],
    "keywords in small letters": [E, ("MAIL FROM:<a@sender.example> size=100 body=8bitmime ret=hdrs", "250"),
                                  ("RCPT TO:<x@a.example> notify=success,failure", "250")],
    "many blanks between parameters": mail("  SIZE=1   BODY=7BIT  "),
    # ---- SIZE: RFC 1870
    "SIZE": mail("SIZE=100"),
    "SIZE=0": mail("SIZE=0"),
    "SIZE at the limit": mail(f"SIZE={SIZE}"),
    "SIZE beyond the limit": [*mail(f"SIZE={SIZE + 1}", "552 5.3.4"), ("RCPT TO:<x@a.example>", ORDER), M],
    "SIZE of twenty digits": mail("SIZE=99999999999999999999", "552 5.3.4"),
    "SIZE of twenty-one digits": mail("SIZE=100000000000000000000", SYNTAX),
    "SIZE with zeros in front": mail("SIZE=000100"),
    "SIZE without a value": [E, ("MAIL FROM:<a@sender.example> SIZE", SYNTAX), ("MAIL FROM:<a@sender.example> SIZE=", SYNTAX)],
    "SIZE that is no number": [E, *[(f"MAIL FROM:<a@sender.example> SIZE={v}", SYNTAX) for v in ("-1", "+1", "1e3", "0x10", "1K", "1.0", "1,0")]],
    "SIZE twice": mail("SIZE=1 SIZE=1", SYNTAX),
    "SIZE that was too small is no promise": [E, ("MAIL FROM:<a@sender.example> SIZE=1", "250"), R, D, OK],
    # ---- BODY: RFC 6152, 3030
    "BODY": [E, *[step for v in ("7BIT", "8BITMIME", "BINARYMIME") for step in ((f"MAIL FROM:<a@sender.example> BODY={v}", "250"), RSET)]],
    "BODY of an unknown kind": mail("BODY=9BIT", "50[14] 5.5.4"),
    "BODY without a value": mail("BODY", SYNTAX),
    "BODY twice": mail("BODY=7BIT BODY=8BITMIME", SYNTAX),
    "BINARYMIME with DATA": [*mail("BODY=BINARYMIME"), R, ("DATA", ORDER), chunk(6, b"a\nb\rc\0", "250 2.0.0", last=True)],
    # ---- SMTPUTF8: RFC 6531
    "SMTPUTF8": [E, ("MAIL FROM:<jörg@sender.example> SMTPUTF8", "250"), ("RCPT TO:<jörg@a.example>", "250"), D, OK],
    "SMTPUTF8 with a value": mail("SMTPUTF8=1", SYNTAX),
    "SMTPUTF8 twice": mail("SMTPUTF8 SMTPUTF8", SYNTAX),
    "a UTF-8 sender without SMTPUTF8": sender("<jörg@sender.example>", "55[03] 5.6.7"),
    "a UTF-8 recipient without SMTPUTF8": recipient("<jörg@a.example>", "553 5.6.7"),
    "a U-label without SMTPUTF8": sender("<a@bücher.example>", "55[03] 5.6.7"),
    "no UTF-8": [E, (b"MAIL FROM:<j\xf6rg@sender.example> SMTPUTF8\r\n", "501 5.5.2"), (b"MAIL FROM:<\xc0\xafa@sender.example> SMTPUTF8\r\n", "501 5.5.2"),
                 (b"MAIL FROM:<\xed\xa0\x80@sender.example> SMTPUTF8\r\n", "501 5.5.2")],
    "quoted UTF-8": [E, ('MAIL FROM:<"jörg b"@sender.example> SMTPUTF8', "250"), ('RCPT TO:<"jörg b"@a.example>', "250")],
    "UTF-8 where none may be": [(b"N\xc3\xb6OP\r\n", "500 5.5.[12]"), ("NOOP ö", "(250|500)"), ("HELP ö", "(214|500)"), ("BDÄT 1", "500 5.5.[12]")],
    # ---- DSN: RFC 3461
    "RET": [E, *[step for v in ("FULL", "HDRS") for step in ((f"MAIL FROM:<a@sender.example> RET={v}", "250"), RSET)]],
    "RET of an unknown kind": mail("RET=ALL", SYNTAX),
    "RET twice": mail("RET=FULL RET=FULL", SYNTAX),
    "RET without a value": mail("RET", SYNTAX),
    "ENVID": mail("ENVID=QQ314159+2B+3D"),
    "ENVID of 100": mail("ENVID=" + "x" * 100),
    "ENVID of 101": mail("ENVID=" + "x" * 101, SYNTAX),
    "ENVID that is no xtext": [E, *[(f"MAIL FROM:<a@sender.example> ENVID={v}", SYNTAX) for v in ("a+", "a+2", "a+2g", "a+2b", "a=b", "a+00", "a+0D+0A")]],
    "ENVID twice": mail("ENVID=a ENVID=b", SYNTAX),
    "NOTIFY": [E, M, *[(f"RCPT TO:<x@a.example> NOTIFY={v}", "250") for v in ("NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE,DELAY",
                                                                             "delay,success")]],
    "NOTIFY=NEVER with others": [E, M, *[(f"RCPT TO:<x@a.example> NOTIFY={v}", SYNTAX) for v in ("NEVER,SUCCESS", "SUCCESS,NEVER", "DELAY,NEVER,FAILURE")]],
    "NOTIFY that is broken": [E, M, *[(f"RCPT TO:<x@a.example> NOTIFY{v}", SYNTAX) for v in ("", "=", "=SOMETIMES", "=SUCCESS,", "=,SUCCESS",
                                                                                            "=SUCCESS,,DELAY", "=SUCCESS;DELAY")]],
    "NOTIFY twice": rcpt("NOTIFY=SUCCESS NOTIFY=FAILURE", SYNTAX),
    "ORCPT": [E, M, ("RCPT TO:<x@a.example> ORCPT=rfc822;Bob+2Bx@a.example", "250"), ("RCPT TO:<x@a.example> ORCPT=x400;/a/b+3Dc", "250")],
    "ORCPT that is broken": [E, M, *[(f"RCPT TO:<x@a.example> ORCPT{v}", SYNTAX) for v in (
        "", "=", "=bob@a.example", "=rfc822;", "=;bob@a.example", "=rfc822;bob+", "=rfc822;bob+zz", "=rfc822;b=c", "=rf c822;bob", "=rfc822;+0D+0A")]],
    "ORCPT too long": rcpt("ORCPT=rfc822;" + "x" * 500, SYNTAX),
    "ORCPT twice": rcpt("ORCPT=rfc822;a@b.example ORCPT=rfc822;a@b.example", SYNTAX),
    "ORCPT of kind utf-8 (RFC 6533)": [E, ("MAIL FROM:<a@sender.example> SMTPUTF8", "250"), ("RCPT TO:<x@a.example> ORCPT=utf-8;jörg@a.example", "250"),
                                       ("RCPT TO:<y@a.example> ORCPT=utf-8;j\\x{F6}rg@a.example", "250")],
    # ---- DATA: section 4.5.2
    "an empty body": body(b".\r\n", "250 2.0.0"),
    "only an empty line": body(b"\r\n.\r\n", "250 2.0.0"),
    "dots": body(b"..\r\n...\r\n.. \r\n.x\r\n.\r\n", "250 2.0.0"),
    "a line of 998": body(b"x" * 998 + b"\r\n.\r\n", "250 2.0.0"),
    "what follows the end is a command": [E, M, R, D, (b"text\r\n.\r\nNOOP\r\nFOO\r\n", "250 2.0.0", "250 2.0.0", "500 5.5.1")],
    "8-bit bytes without BODY": body("Grüße\r\n.\r\n".encode("latin-1"), "250 2.0.0"),
    "NUL in a body": body(b"a\0b\r\n.\r\n"),
    # ---- what is no line end and no end of a body: section 2.3.8; smuggling
    **{f"bare LF {where}": body(data + b"\r\n.\r\n") for where, data in {
        "at the beginning": b"\nx", "in a header": b"Subject: a\nb: c\r\n\r\nx", "behind the header": b"Subject: a\r\n\nx", "in the text": b"x\ny",
        "at the end": b"x\n", "twice": b"x\n\ny", "before CRLF": b"x\n\r\ny", "at the beginning, with a dot": b".\nx"}.items()},
    **{f"bare CR {where}": body(data + b"\r\n.\r\n") for where, data in {
        "at the beginning": b"\rx", "in a header": b"Subject: a\rb: c\r\n\r\nx", "in the text": b"x\ry", "before CRLF": b"x\r\r\ny",
        "twice": b"x\r\ry", "behind a dot": b"x\r\n.\ry", "at the end": b"x\r"}.items()},
    **{f"not the end of a body: {end!r}": body(b"x" + end + b"MAIL FROM:<b@sender.example>\r\nRCPT TO:<y@a.example>\r\nDATA\r\nsmuggled\r\n.\r\n")
       for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n", b"\r\r\n.\r\r\n", b"\r\n.\n\r\n",
                   b"\n\r.\r\n", b"\r\n\n.\n\r\n", b"\r\n.\r\r\n", b"\0\r\n.\0\r\n")},
    "a dot and a blank are no end": body(b"x\r\n. \r\n.\r\n", "250 2.0.0"),
    # ---- CHUNKING: RFC 3030
    "chunks of odd sizes": [E, M, R, chunk(1, b"S", "250 2.0.0"), chunk(2, b"ub", "250"), chunk(3, b"jec", "250"), chunk(7, b"t: x\r\n\r", "250"),
                            chunk(1, b"\n", "250"), chunk(0, b"", "250"), chunk(5, b"te.\r\n", "250 2.0.0", last=True)],
    "BDAT 0 LAST": [E, M, R, chunk(2, b"\r\n", "250"), chunk(0, b"", "250 2.0.0", last=True), ("RCPT TO:<x@a.example>", ORDER)],
    "BDAT 0 LAST alone": [E, M, R, chunk(0, b"", "250 2.0.0", last=True)],
    "only BDAT 0": [E, M, R, chunk(0, b"", "250"), chunk(0, b"", "250"), chunk(0, b"", "250", last=True)],
    "chunks hold what looks like commands": [E, M, R, chunk(21, b"QUIT\r\nRSET\r\n.\r\nDATA\r\n", "250 2.0.0", last=True), ("NOOP", "250")],
    "a dot line in a chunk is no end": [E, M, R, chunk(5, b"\r\n.\r\n", "250"), chunk(3, b"x\r\n", "250 2.0.0", last=True)],
    "DATA after BDAT": [E, M, R, chunk(3, b"x\r\n", "250"), ("DATA", ORDER), chunk(3, b"y\r\n", "250 2.0.0", last=True)],
    "RCPT after BDAT": [E, M, R, chunk(3, b"x\r\n", "250"), ("RCPT TO:<y@a.example>", ORDER), chunk(0, b"", "250 2.0.0", last=True)],
    "MAIL after BDAT": [E, M, R, chunk(3, b"x\r\n", "250"), ("MAIL FROM:<a@sender.example>", ORDER)],
    "RSET after BDAT": [E, M, R, chunk(3, b"x\r\n", "250"), RSET, ("DATA", ORDER), M, R, D, OK],
    "EHLO after BDAT": [E, M, R, chunk(3, b"x\r\n", "250"), E, M, R, D, OK],
    "NOOP between chunks": [E, M, R, chunk(3, b"x\r\n", "250"), ("NOOP", "250"), chunk(3, b"y\r\n", "250 2.0.0", last=True)],
    "QUIT between chunks": [E, M, R, chunk(3, b"x\r\n", "250"), ("QUIT", "221"), (b"", "closed")],
    "BDAT without a recipient": [E, M, chunk(6, b"QUIT\r\n", "(503|554) 5.5.1"), R],
    "BDAT LAST without a recipient": [E, M, chunk(6, b"QUIT\r\n", "(503|554) 5.5.1", last=True), M, R, D, OK],
    "BDAT without MAIL": [E, chunk(6, b"QUIT\r\n", ORDER), chunk(6, b"QUIT\r\n", ORDER, last=True), M, R, D, OK],
    "bare LF in a chunk": [E, M, R, chunk(4, b"a\nb\r", CONTENT), chunk(1, b"\n", ORDER, last=True), RSET, M, R, D, OK],
    "a CR at the end of the last chunk": [E, M, R, chunk(2, b"x\r", CONTENT, last=True), M, R, D, OK],
    "CR and LF in two chunks": [E, M, R, chunk(2, b"x\r", "250"), chunk(1, b"\n", "250 2.0.0", last=True)],
    "BDAT last in small letters": [E, M, R, (b"bdat 3 last\r\nx\r\n", "250 2.0.0")],
    "pipelined chunks": [E, M, R, (b"BDAT 2\r\na\rBDAT 1\r\n\nBDAT 3 LAST\r\nb\r\nNOOP\r\n", "250", "250", "250 2.0.0", "250")],
    # How many octets follow cannot be known, so nothing that follows may be taken for a command.
    **{f"BDAT that is broken: {a!r}": [E, M, R, (f"BDAT{a}", "501 5.5.4", "421 4.5.0", "closed")] for a in (
        "", " ", " x", " -1", " +5", " 5 FIRST", " 5 LAST x", " 1.5", " 0x5", " 5LAST", " LAST", " 99999999999999999999999")},
    # ---- PIPELINING: RFC 2920
    "all in one packet": [(b"EHLO c.example\r\nMAIL FROM:<a@sender.example>\r\nRCPT TO:<x@a.example>\r\nDATA\r\n", "250", "250 2.1.0", "250 2.1.5", "354"),
                          (b"x\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<x@a.example>\r\nDATA\r\n", "250 2.0.0", "250 2.1.0", "250 2.1.5", "354"), OK],
    "all recipients refused": [E, (b"MAIL FROM:<a@sender.example>\r\nRCPT TO:<x@a..example>\r\nRCPT TO:<@>\r\nDATA\r\nRSET\r\n", "250", "501 5.1.3",
                                   "501 5.1.3", "554 5.5.1", "250"), M],
    "a refused MAIL refuses what follows": [E, (b"MAIL FROM:<a@b@c>\r\nRCPT TO:<x@a.example>\r\nDATA\r\nNOOP\r\n", "501 5.1.7", ORDER, ORDER, "250")],
    "rubbish among commands": [E, (b"NOOP\r\n\x00\x01\x02\r\n\xff\xfe\r\nNOOP\r\nFOO\r\nNOOP\r\n", "250", "500", "50[01]", "250", "500", "250")],
    "commands behind QUIT": [(b"QUIT\r\nNOOP\r\nNOOP\r\n", "221 2.0.0", "closed")],
    # ---- other protocols
    **{f"HTTP: {m}": [(f"{m} / HTTP/1.1\r\nHost: gw.example.test\r\nContent-Length: 100\r\n\r\nMAIL FROM:<a@sender.example>", "421 4.7.0", "closed")]
       for m in ("GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE")},
    "HTTP in the midst of a session": [E, M, ("POST / HTTP/1.1", "421 4.7.0", "closed")],
    "TLS": [(TLS_HELLO.replace(b"\r\n", b"\r") + b"\r\n", "500 5.5.2"), ("NOOP", "250")],
    "a TLS record and nothing more": [(TLS_HELLO.replace(b"\n", b""), None)],
    "SSH": [("SSH-2.0-OpenSSH_9.2", "500 5.5.1")],
    # ---- patience: section 4.3.2, 421
    "too many errors": [E, *[("FOO", "500 5.5.1")] * 24, ("FOO", "500 5.5.1", "421 4.7.0", "closed")],
}
ERRORS = 25


def test_there_is_enough_of_it():
    assert sum(len(step) - 1 for steps in CASES.values() for step in steps) > 500


@pytest.fixture(scope="module")
def mx():
    hop = Sink(keep_bodies=False)
    server = Postern({"transports": {"t": {"server": hop.server_name}}, "domains": {"a.example": {"transport": "t"}, "gw.example.test": {
        "transport": "t"}}}, start={"workers": 1, "limits": {"message-size": "1M", "errors": ERRORS}, "log": {"level": "warn"}})
    try:
        yield server.start()
        server.wait_empty()
        taken = {r for m in hop.messages for r in m.rcpts}
        assert not any(r.startswith("y@") for r in taken), "smuggled"
        assert not hop.violations
    finally:
        server.close()
        hop.close()


def check(reply, expected, extended):
    code, _, enhanced = expected.partition(" ")
    assert re.fullmatch(code, str(reply.code)), f"{expected} was expected: {reply}"
    if enhanced:
        assert reply.enhanced and re.fullmatch(enhanced, reply.enhanced), f"{expected} was expected: {reply}"
    # RFC 2034 section 4: in all but the greeting, the replies to HELO and EHLO, and 3xx.
    if not extended and reply.code // 100 != 3:
        assert reply.enhanced and reply.enhanced[0] == str(reply.code)[0], f"no enhanced code of its class: {reply}"
    # RFC 5321 section 4.5.3.1.5
    assert all(len(line) <= 506 for line in reply.lines), reply


def play(client, steps):
    for sent, *replies in steps:
        hello = isinstance(sent, str) and sent[:4].upper() in ("EHLO", "HELO")
        client.raw(sent.encode("utf-8") + b"\r\n" if isinstance(sent, str) else sent)
        for expected in replies:
            if expected is None:
                continue
            if expected == "closed":
                with pytest.raises(Closed):
                    pytest.fail(f"not closed after {sent!r}: {client.reply()}")
                return True
            reply = client.reply()
            try:
                check(reply, expected, hello and reply.code == 250 or sent[:4] in (b"EHLO", b"HELO") and len(reply.lines) > 1)
            except AssertionError as e:
                raise AssertionError(f"to {sent[:200]!r}: {e}") from None
    return False


BYTE_BY_BYTE = 3000  # bytes of a case that is sent a byte at a time: longer ones take long and show no more


@pytest.mark.xdist_group("rfc")
@pytest.mark.parametrize("name", CASES)
def test_case(mx, name):
    client = Client(mx.address, helo=None)
    try:
        if not play(client, CASES[name]):
            if name == "a TLS record and nothing more":
                client.raw(b"\r\n")
                assert client.reply().code == 500
            assert client.cmd("QUIT").code == 221
            with pytest.raises(Closed):
                pytest.fail(f"a reply too many: {client.reply()}")
    finally:
        client.close()


@pytest.mark.xdist_group("rfc")
@pytest.mark.parametrize("name", [name for name, steps in CASES.items() if all(r is not None for step in steps for r in step[1:])
                                  and "closed" not in steps[-1] and sum(len(step[0]) for step in steps) <= BYTE_BY_BYTE])
def test_case_byte_by_byte(mx, name):
    """The replies do not depend on how the bytes are cut."""
    client = Client(mx.address, helo=None)
    send = client.raw

    def drip(data):
        for i in range(len(data)):
            send(data[i:i + 1])
    client.raw = drip
    try:
        play(client, CASES[name])
        assert client.cmd("QUIT").code == 221
    finally:
        client.close()
