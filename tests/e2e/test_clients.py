"""Real mail programs hand mail in: over STARTTLS and with TLS from the first byte, with the certificate checked, and logged in."""
import smtplib
import subprocess

import pytest

from lib.guarded import PASSWORD, Guarded, received
from lib.peers import need, nodemailer, swaks
from lib.smtp import message
from lib.tls import context, plain
from lib.world import wait_until

JOE = "joe@c.example"
MODES = {"starttls": "front", "implicit": "submission"}


@pytest.fixture
def guarded(gateway, sink, peer):
    """Where front is without a proxy: loopback may relay anyway, so that what is looked at is who logged in."""
    one = Guarded(gateway, sink, peer, listeners={"front": {"proxy": []}})
    return one


def check(one, to, subject, mechanism=None):
    """It arrived, from who logged in, by TLS."""
    arrived = one.outside.wait_for(to)
    assert arrived.sender == JOE and subject in arrived.body
    assert " with ESMTPSA (TLSv1.3 " in received(arrived.body)
    reception, = [e for e in one.server.trace(f"recipient={to}") if e["event"] == "Reception"]
    assert reception["user"] == JOE
    if mechanism:
        wait_until("the log says how", lambda: f'mechanism="{mechanism}"' in one.server.log())


def has(program):
    return subprocess.run(["which", program], capture_output=True).returncode == 0


def test_nodemailer(guarded):
    one = guarded
    for mode, listener in MODES.items():
        mail = {"from": JOE, "to": f"{mode}@far.example", "subject": "from node", "text": "\u00fc\n" * 100}
        options = {"secure": mode == "implicit", "requireTLS": mode == "starttls", "ignoreTLS": False, "auth": {"user": JOE, "pass": PASSWORD},
                   "tls": {"ca": one.ca.crt.read_text(), "servername": "gw.example.test"}}
        done, = nodemailer(one.address(listener), [mail], options=options)
        assert done.get("accepted") == [f"{mode}@far.example"], done
        check(one, f"{mode}@far.example", b"Subject: from node", "PLAIN")
    wrong, = nodemailer(one.address("submission"), [mail], options={**options, "auth": {"user": JOE, "pass": "wrong"}})
    assert wrong["code"] == 535
    # It looks at the certificate.
    refused, = nodemailer(one.address("submission"), [mail], options={**options, "tls": {"servername": "gw.example.test"}})
    assert "certificate" in refused["error"]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks(guarded, mechanism):
    one = guarded
    for mode, listener in MODES.items():
        done = swaks(one.address(listener), "--tls-on-connect" if mode == "implicit" else "--tls", "--tls-verify", "--tls-ca-path", one.ca.crt,
                     "--tls-sni", "gw.example.test", "--auth", mechanism, "--auth-user", JOE, "--auth-password", PASSWORD, "--from", JOE,
                     "--to", f"{mode}@far.example", "--header", "Subject: from swaks")
        assert done.returncode == 0, done.stdout + done.stderr
        check(one, f"{mode}@far.example", b"Subject: from swaks", mechanism)
    done = swaks(one.address("front"), "--tls", "--auth", mechanism, "--auth-user", JOE, "--auth-password", "wrong", "--from", JOE, "--to",
                 "x@far.example")
    assert done.returncode == 28 and "535 5.7.8" in done.stdout


@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-256"])
def test_msmtp(guarded, mechanism, tmp_path):
    need(has("msmtp"), "no msmtp")
    one = guarded
    features = subprocess.run(["msmtp", "--version"], capture_output=True, text=True).stdout.lower()
    need(mechanism in features, f"msmtp was built without {mechanism}")
    for mode, listener in MODES.items():
        settings = tmp_path / "msmtprc"
        settings.write_text(f"""account default
host localhost
port {one.ports[listener]}
tls on
tls_starttls {"on" if mode == "starttls" else "off"}
tls_trust_file {one.ca.crt}
auth {mechanism}
user {JOE}
password {PASSWORD}
from {JOE}
""")
        settings.chmod(0o600)
        done = subprocess.run(["msmtp", "-C", settings, f"{mode}@far.example"], input=message("from msmtp", sender=JOE), capture_output=True,
                              timeout=30)
        assert done.returncode == 0, done.stderr
        check(one, f"{mode}@far.example", b"Subject: from msmtp", mechanism.upper())


def test_python(guarded):
    one = guarded
    tls = context(one.ca.crt)
    for mode, listener in MODES.items():
        if mode == "implicit":
            client = smtplib.SMTP_SSL("localhost", one.ports[listener], context=tls)
        else:
            client = smtplib.SMTP("localhost", one.ports[listener])
            client.starttls(context=tls)
        with client:
            client.login(JOE, PASSWORD)
            assert client.sendmail(JOE, [f"{mode}@far.example"], message("from Python", sender=JOE)) == {}
        check(one, f"{mode}@far.example", b"Subject: from Python")
    with smtplib.SMTP_SSL("localhost", one.ports["submission"], context=tls) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(JOE, "wrong")


def test_openssl(guarded):
    """By hand, as an administrator tries it. -starttls says EHLO by itself."""
    one = guarded
    for mode, listener in MODES.items():
        lines = ["EHLO by-hand.example", f"AUTH PLAIN {plain(JOE, PASSWORD)}", f"MAIL FROM:<{JOE}>", f"RCPT TO:<{mode}@far.example>", "DATA",
                 "Subject: by hand", "", "Hello.", ".", "QUIT", ""]
        process = subprocess.Popen(["openssl", "s_client", "-connect", "localhost:%d" % one.ports[listener], "-CAfile", one.ca.crt, "-quiet",
                                    "-verify_return_error", "-verify_hostname", "gw.example.test", "-servername", "gw.example.test",
                                    *(["-starttls", "smtp"] if mode == "starttls" else [])],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out, _ = process.communicate("\r\n".join(lines).encode(), timeout=30)
        assert b"235 2.7.0" in out and b"250 2.0.0" in out, out
        check(one, f"{mode}@far.example", b"Subject: by hand")


def test_clients_that_do_not_log_in_are_told_how(guarded):
    """From elsewhere: a mailbox here yes, another domain no, and the reply says what to do."""
    one = guarded
    one.server.stop()
    one.server.config.write_text(one.server.config.read_text().replace("    proxy: []\n", "    proxy: [ \"127.0.0.1\" ]\n"))
    one.server.start(apply=False)
    with one.client("front") as client:
        client.cmd("MAIL FROM:<ann@sender.example>", 250)
        client.cmd(f"RCPT TO:<{JOE}>", 250)
        assert "log in" in client.cmd("RCPT TO:<x@far.example>", 550).text
    wait_until("it is in the trace", lambda: one.server.trace("recipient=x@far.example"))
