"""TLS reports (RFC 8460): what was gathered is what happened, and it reaches who asks for it, by mail and by HTTPS."""
import email
import email.policy
import gzip
import json
import os
import re
import subprocess

import pytest

from lib.dnssec import SignedKnot, tlsa
from lib.peers import need
from lib.pki import Authority
from lib.tls_hop import TlsSink
from lib.web import Trusting, Web, text
from lib.world import IS_ROOT, folder, free_port, remove, stays, wait_until

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
NET = f"127.0.{120 + WORKER}"
PUBLIC = f"192.31.196.{30 + WORKER}"  # of a network that is public by its rules and nobody's host (RFC 7535)
PATH = "/.well-known/mta-sts.txt"
NAMES = ("plain", "dane", "dane-bad", "sts", "sts-test", "silent", "post", "clear")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


class World:
    def __init__(self):
        self.folder = folder()
        self.ca = Authority(self.folder)
        self.mx = self.ca.issue("mx.sts.zz", "mx.dane.zz", file="mx")
        self.hosts = {name: f"{NET}.{10 + i}" for i, name in enumerate((*NAMES, "reports"))}
        self.port = free_port(*self.hosts.values())
        root = f"ns.zz. A 127.0.0.1\nreports.zz. MX 10 mx.reports.zz.\nmx.reports.zz. A {self.hosts['reports']}\nweb.zz. A {PUBLIC}\n" \
               f"secret.zz. A 127.0.0.1\n"
        for name in NAMES:
            root += f"{name}.zz. MX 10 mx.{name}.zz.\nmx.{name}.zz. A {self.hosts[name]}\n"
            if name == "post":
                root += '_smtp._tls.post.zz. TXT "v=TLSRPTv1; rua=https://web.zz/tls,https://secret.zz/tls"\n'
            elif name != "silent":
                root += f'_smtp._tls.{name}.zz. TXT "v=TLSRPTv1;rua=mailto:tls-{name}@reports.zz"\n'
            if name.startswith("sts"):
                root += f'_mta-sts.{name}.zz. TXT "v=STSv1; id=1;"\nmta-sts.{name}.zz. A {NET}.1\n'
        self.records = [tlsa(3, 1, self.mx), tlsa(3, 1, self.ca)]
        root += f"_{self.port}._tcp.mx.dane.zz. TLSA {self.records[0]}\n_{self.port}._tcp.mx.dane-bad.zz. TLSA {self.records[1]}\n"
        self.dns = SignedKnot({".": root})
        certificates = {name: self.ca.issue(name) for name in ("mta-sts.sts.zz", "mta-sts.sts-test.zz", "web.zz", "secret.zz")}
        self.policies = {"sts": "version: STSv1\r\nmode: enforce\r\nmx: mx.sts.zz\r\nmx: *.more.zz\r\nmax_age: 604800\r\n",
                         "sts-test": "version: STSv1\r\nmode: testing\r\nmx: mx.sts-test.zz\r\nmax_age: 604800\r\n"}
        self.web = Web(f"{NET}.1", certificates, {(f"mta-sts.{n}.zz", PATH): text(p) for n, p in self.policies.items()})
        self.certificates = certificates
        self.trusting = Trusting(self.ca)

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
    return lambda name, certificate=None: peer(TlsSink(certificate, host=world.hosts[name], port=world.port))


@pytest.fixture
def server(gateway, world):
    made = gateway({"transports": {"out": {"server": f"lookup-mx:port={world.port}", "private-hosts": True, "tls": "mta-sts", "retry-delay": "1h",
                                           "messages-per-connection": 1}}, "default-transport": "out"}, start=world.dns.start, started=False)
    made.programs = world.trusting.at
    return made.start()


def send(server, name, event="Delivery"):
    return server.wait_event(server.send("a@sender.example", f"x@{name}.zz"), event)


def check(report, domain):
    """What RFC 8460 section 4.4 says of every report; its only policy."""
    assert set(report) == {"organization-name", "date-range", "contact-info", "report-id", "policies"}
    begin, end = (report["date-range"][key] for key in ("start-datetime", "end-datetime"))
    assert re.fullmatch(TIME, begin) and re.fullmatch(TIME, end) and begin.endswith("T00:00:00Z") and begin[:10] == end[:10] and begin < end
    assert report["organization-name"] == "gw.example.test" and report["contact-info"] == "postmaster@gw.example.test" and report["report-id"]
    policy, = report["policies"]
    assert policy["policy"]["policy-domain"] == domain
    assert set(policy["summary"]) == {"total-successful-session-count", "total-failure-session-count"}
    assert sum(d["failed-session-count"] for d in policy.get("failure-details", [])) == policy["summary"]["total-failure-session-count"]
    return policy


def counts(policy):
    return policy["summary"]["total-successful-session-count"], policy["summary"]["total-failure-session-count"]


def read(message):
    """The headers of section 5.3 and 5.4, and the report."""
    mail = email.message_from_bytes(message.body, policy=email.policy.SMTP)
    domain = mail["TLS-Report-Domain"]
    assert mail["TLS-Report-Submitter"] == "gw.example.test"
    assert re.fullmatch(rf"Report Domain: {re.escape(domain)} Submitter: gw\.example\.test Report-ID: <.+>", mail["Subject"])
    assert mail["From"] == "postmaster@gw.example.test" and mail["To"] == message.rcpts[0] and mail["Date"] and mail["Message-ID"]
    assert mail.get_content_type() == "multipart/report" and mail.get_param("report-type") == "tlsrpt"
    words, attached = mail.iter_parts()
    assert words.get_content_type() == "text/plain" and domain in words.get_content()
    assert attached.get_content_type() == "application/tlsrpt+gzip" and attached["Content-Transfer-Encoding"] == "base64"
    name = attached.get_filename()
    assert re.fullmatch(rf"gw\.example\.test!{re.escape(domain)}!\d+!\d+(![^!]+)?\.json\.gz", name), name
    return domain, json.loads(gzip.decompress(attached.get_content()))


def test_reports_by_mail(server, hop, world):
    reports = hop("reports")
    hop("plain", world.ca.issue("whoever.zz"))
    hop("dane", world.mx)
    hop("dane-bad", world.mx)
    sts, silent, clear = hop("sts", world.mx), hop("silent", world.mx), hop("clear")
    hop("sts-test", world.mx)
    for name in ("plain", "plain", "dane", "sts", "sts-test", "silent", "clear"):
        send(server, name)
    send(server, "dane-bad", "TransientFailure")
    sts.show(None)
    send(server, "sts", "TransientFailure")
    assert server.json("tls", "report") == {"domains": 7}
    reports.wait(6)
    assert {m.sender for m in reports.messages} == {""}, "a report about a report would go round and round"
    by_domain = {}
    for message in reports.messages:
        domain, report = read(message)
        assert message.rcpts == [f"tls-{domain[:-3]}@reports.zz"]
        by_domain[domain] = check(report, domain)
    assert set(by_domain) == {f"{n}.zz" for n in NAMES if n not in ("silent", "post")}
    plain, clear_policy = by_domain["plain.zz"], by_domain["clear.zz"]
    assert plain["policy"]["policy-type"] == clear_policy["policy"]["policy-type"] == "no-policy-found"
    assert counts(plain) == (2, 0) and "failure-details" not in plain
    assert counts(clear_policy) == (0, 1) and clear_policy["failure-details"][0]["result-type"] == "starttls-not-supported"
    dane, bad = by_domain["dane.zz"], by_domain["dane-bad.zz"]
    assert dane["policy"]["policy-type"] == bad["policy"]["policy-type"] == "tlsa"
    assert dane["policy"]["policy-string"] == [world.records[0]] and bad["policy"]["policy-string"] == [world.records[1]]
    assert counts(dane) == (1, 0) and counts(bad) == (0, 1)
    detail, = bad["failure-details"]
    assert detail["result-type"] == "validation-failure" and detail["receiving-mx-hostname"] == "mx.dane-bad.zz"
    assert detail["receiving-ip"] == world.hosts["dane-bad"] and detail["failed-session-count"] == 1
    sts_policy, tested = by_domain["sts.zz"], by_domain["sts-test.zz"]
    assert sts_policy["policy"]["policy-type"] == "sts" and counts(sts_policy) == (1, 1)
    assert sts_policy["policy"]["policy-string"] == world.policies["sts"].strip().split("\r\n")
    assert sts_policy["policy"]["mx-host"] in (["mx.sts.zz", "*.more.zz"], "mx.sts.zz")
    assert sts_policy["failure-details"][0]["result-type"] == "starttls-not-supported"
    assert counts(tested) == (0, 1) and tested["failure-details"][0]["result-type"] == "certificate-host-mismatch"
    # It is on record who asked for it, and what was sent is not sent again.
    assert "TLS reports: to be sent now" in server.ctl("audit").stdout
    server.ctl("tls", "report")
    send(server, "plain")
    stays("nothing is sent twice", lambda: len(reports.messages) == 6, 0.5)
    assert re.match(r"\d domains? had mail by lookup-mx since the last report", server.ctl("tls", "report").stdout)
    again = check(read(reports.wait(7)[6])[1], "plain.zz")
    assert counts(again) == (1, 0)


def test_what_was_gathered_is_kept_over_a_restart(server, hop, world):
    reports, plain = hop("reports"), hop("plain", world.mx)
    send(server, "plain")
    server.stop()
    server.start(apply=False)
    send(server, "plain")
    server.ctl("tls", "report")
    assert counts(check(read(reports.wait(1)[0])[1], "plain.zz")) == (2, 0) and len(plain.messages) == 2


@pytest.fixture
def public_address():
    done = subprocess.run(["ip", "addr", "add", f"{PUBLIC}/32", "dev", "lo"], capture_output=True, text=True)
    need(done.returncode == 0, f"no further address: {done.stderr}")
    yield PUBLIC
    subprocess.run(["ip", "addr", "del", f"{PUBLIC}/32", "dev", "lo"], check=True)


def test_reports_by_https(server, hop, peer, world, public_address):
    hop("post", world.mx)
    inside = peer(Web("127.0.0.1", world.certificates))
    web = peer(Web(public_address, world.certificates, {("web.zz", "/tls"): text("thanks", status=201)}))
    send(server, "post")
    assert server.json("tls", "report") == {"domains": 1}
    wait_until("a report", lambda: web.bodies)
    method, host, path, headers = web.seen[0]
    assert (method, host, path, headers["Content-Type"]) == ("POST", "web.zz", "/tls", "application/tlsrpt+gzip")
    assert counts(check(json.loads(gzip.decompress(web.bodies[0])), "post.zz")) == (1, 0)
    # A stranger's record does not make us talk to a server of our own network.
    wait_until("it was told", lambda: "a TLS report was not taken" in server.log())
    assert not inside.seen and len(web.seen) == 1


def test_a_report_that_is_not_taken_is_kept(server, hop, peer, world, public_address):
    hop("post", world.mx)
    web = peer(Web(public_address, world.certificates, {("web.zz", "/tls"): text("later", status=503)}))
    send(server, "post")
    server.ctl("tls", "report")
    wait_until("it was told", lambda: server.log().count("a TLS report was not taken") >= 1 and web.seen)
    web.pages["web.zz", "/tls"] = text("thanks", status=200)
    kept = []

    def sent_again():
        kept.append(server.json("tls", "report")["domains"])
        return len(web.bodies) >= 2
    wait_until("the next one", sent_again, every=0.3)
    assert 1 in kept
    assert counts(check(json.loads(gzip.decompress(web.bodies[-1])), "post.zz")) == (1, 0)


def test_nothing_was_gathered(server):
    assert "nothing was gathered" in server.ctl("tls", "report").stdout
    assert server.ctl("tls", "report", "x", code=2)
