"""Real peers: Postfix and its tools, a real authoritative DNS server, swaks, nodemailer. Postfix comes from the folder that
scripts/peers fills; it is not installed."""
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess

import dns.exception
import dns.message
import dns.query
import pytest

from .smtp import Client
from .world import IS_ROOT, PEERS, WAIT_S, folder, free_port, remove, wait_until

SBIN = PEERS / "usr" / "sbin"
LIBRARIES = {"LD_LIBRARY_PATH": str(PEERS / "usr" / "lib" / "postfix")}


def need(condition, reason):
    if not condition:
        pytest.skip(reason)


def need_postfix():
    need((SBIN / "smtp-sink").exists(), f"no Postfix below {PEERS}: scripts/peers build/peers postfix")


def environment():
    return {**os.environ, **LIBRARIES}


def end(process, number=signal.SIGTERM, timeout=WAIT_S):
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def smtp_source(address, *options, timeout=60):
    """Postfix's load generator, to its end."""
    need_postfix()
    return subprocess.run([SBIN / "smtp-source", *map(str, options), "%s:%d" % address], env=environment(), capture_output=True,
                          text=True, timeout=timeout)


class SmtpSink:
    """Postfix's smtp-sink with options, such as -f rcpt (refuse), -r data (refuse for now), -q dot (drop), -w 5 (stall)."""

    def __init__(self, *options, port=None):
        need_postfix()
        self.home = folder()
        self.port = port or free_port()
        self.server_name = f"127.0.0.1:{self.port}"
        user = ["-u", "nobody", "-R", self.home] if IS_ROOT else []
        if IS_ROOT:
            os.chown(self.home, pwd.getpwnam("nobody").pw_uid, -1)
        self.process = subprocess.Popen([SBIN / "smtp-sink", *user, "-d", "%M.", *options, self.server_name, "100"],
                                        env=environment(), stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd=self.home)

        def listens():
            assert self.process.poll() is None, "smtp-sink ended"
            Client(("127.0.0.1", self.port), greet=False).close()
            return True
        wait_until("smtp-sink listens", listens)

    def bodies(self):
        """What was taken; smtp-sink puts X-Client- and other lines of its own before each."""
        return [path.read_bytes() for path in sorted(self.home.iterdir())]

    def close(self):
        end(self.process)
        remove(self.home)


class Postfix:
    """A private instance below a folder of its own, on loopback. relay: where everything goes, (host, port); deliver: domains
    that it keeps in Maildirs; files: more below its folder, {path: text}."""

    def __init__(self, relay=None, deliver=(), settings=None, files=None):
        need_postfix()
        need(IS_ROOT, "Postfix's master wants to be root")
        self.home = folder()
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.mail = self.home / "mail"
        queue = self.home / "queue"
        mail_owner = pwd.getpwnam("daemon")
        nobody = pwd.getpwnam("nobody")
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop", "private", "public",
                     "saved", "trace", "pid"):
            (queue / name).mkdir(parents=True)
            if name != "pid":
                os.chown(queue / name, mail_owner.pw_uid, -1)
        (self.home / "data").mkdir()
        os.chown(self.home / "data", mail_owner.pw_uid, -1)
        self.mail.mkdir()
        os.chown(self.mail, nobody.pw_uid, nobody.pw_gid)
        values = {
            "compatibility_level": "3.6",
            "queue_directory": queue,
            "data_directory": self.home / "data",
            "command_directory": SBIN,
            "daemon_directory": PEERS / "usr/lib/postfix/sbin",
            "shlib_directory": PEERS / "usr/lib/postfix",
            "mail_owner": "daemon",
            "setgid_group": "mail",
            "import_environment": "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG LANG=C TZ LD_LIBRARY_PATH",
            "maillog_file": self.home / "log",
            "maillog_file_prefixes": "/tmp",
            "myhostname": "postfix.example.test",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "alias_maps": "",
            "local_recipient_maps": "",
            "smtp_dns_support_level": "disabled",
            "smtp_tls_security_level": "none",
            "minimal_backoff_time": "1s",
            "queue_run_delay": "2s",
            "smtpd_helo_required": "yes",
            "message_size_limit": "60000000",
            "virtual_mailbox_limit": "0",
            "smtputf8_enable": "yes",
        }
        if relay:
            values["relayhost"] = "[%s]:%d" % relay
        if deliver:
            values.update({"virtual_mailbox_domains": " ".join(deliver), "virtual_mailbox_base": self.mail,
                           "virtual_mailbox_maps": "static:box/", "virtual_uid_maps": f"static:{nobody.pw_uid}",
                           "virtual_gid_maps": f"static:{nobody.pw_gid}"})
        values.update(settings or {})
        for name, text in (files or {}).items():
            (self.home / name).parent.mkdir(exist_ok=True)
            (self.home / name).write_text(text)
        (self.home / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in values.items()))
        services = [f"127.0.0.1:{self.port} inet n - n - - smtpd", "pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup",
                    "qmgr unix n - n 300 1 qmgr", "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
                    "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "flush unix n - n 1000? 0 flush",
                    "proxymap unix - - n - - proxymap", "smtp unix - - n - - smtp", "relay unix - - n - - smtp",
                    "error unix - - n - - error", "retry unix - - n - - error", "virtual unix - n n - - virtual",
                    "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache", "postlog unix-dgram n - n - 1 postlogd",
                    "tlsmgr unix - - n 1000? 1 tlsmgr"]
        (self.home / "master.cf").write_text("\n".join(services) + "\n")
        self.process = subprocess.Popen([PEERS / "usr/lib/postfix/sbin/master", "-c", self.home, "-s"],
                                        env={**environment(), "MAIL_CONFIG": str(self.home)}, stdin=subprocess.DEVNULL,
                                        stdout=open(self.home / "out", "wb"), stderr=subprocess.STDOUT, start_new_session=True)

        def greets():
            assert self.process.poll() is None, f"Postfix ended: {self.log()}"
            with Client(self.address):
                return True
        wait_until("Postfix greets", greets)

    def log(self):
        return "".join((self.home / name).read_text(errors="replace") for name in ("out", "log") if (self.home / name).exists())

    def mailbox(self):
        new = self.mail / "box" / "new"
        return [path.read_bytes() for path in sorted(new.iterdir())] if new.is_dir() else []

    def close(self):
        end(self.process)
        remove(self.home)


class Knot:
    """A real authoritative server on loopback. zones: {name: records}, each line "owner type data"; None: a zone that is
    configured but cannot be loaded, which is answered with SERVFAIL."""

    def __init__(self, zones, port=None):
        need(shutil.which("knotd"), "no knotd (package knot)")
        self.home = folder()
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        parts = [f"server:\n  listen: 127.0.0.1@{self.port}\n  rundir: {self.home}\n  pidfile: {self.home}/pid\n"
                 f"  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n",
                 f"database:\n  storage: {self.home}\n", "log:\n  - target: stderr\n    any: warning\n",
                 f"template:\n  - id: default\n    storage: {self.home}\n    journal-content: none\n    zonefile-load: whole\n",
                 "zone:\n"]
        for name, records in zones.items():
            parts.append(f"  - domain: {name}\n    file: {name}.zone\n")
            if records is None:
                continue
            text = f"$ORIGIN {name}.\n$TTL 60\n@ SOA ns.{name}. hostmaster.{name}. 1 60 60 60 2\n@ NS ns\nns A 127.0.0.1\n{records}\n"
            (self.home / f"{name}.zone").write_text("\n".join(line.strip() for line in text.splitlines()) + "\n")
        (self.home / "knot.conf").write_text("".join(parts))
        self.process = subprocess.Popen(["knotd", "-c", self.home / "knot.conf"], stdin=subprocess.DEVNULL,
                                        stdout=open(self.home / "log", "wb"), stderr=subprocess.STDOUT)
        loaded = [name for name, records in zones.items() if records is not None]
        wait_until("knotd answers", lambda: all(self.answers(name) for name in loaded))

    def answers(self, name):
        assert self.process.poll() is None, (self.home / "log").read_text()
        try:
            reply = dns.query.udp(dns.message.make_query(name, "SOA"), "127.0.0.1", timeout=0.5, port=self.port)
        except (OSError, dns.exception.DNSException):
            return False
        return reply.answer

    def close(self):
        end(self.process)
        remove(self.home)


def swaks(address, *options, timeout=60):
    need(shutil.which("swaks"), "no swaks")
    return subprocess.run(["swaks", "--server", address[0], "--port", str(address[1]), "--helo", "client.example", *map(str, options)],
                          capture_output=True, text=True, timeout=timeout)


def nodemailer(address, mails, pool=False, timeout=60, options=None):
    """Sends mails (as nodemailer's sendMail takes them); what it resolved with, or {"error":…, "code":…}, for each. options: of its
    transport; without them nothing is protected."""
    need(shutil.which("node") and pathlib.Path("/usr/share/nodejs/nodemailer").exists(), "no node-nodemailer")
    script = """
const nodemailer = require('nodemailer');
const {host, port, pool, mails, options} = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const transport = nodemailer.createTransport({host, port, pool, secure: false, ignoreTLS: true, name: 'node.example', ...options});
(async () => {
  const out = await Promise.all(mails.map(m => transport.sendMail(m).then(
    i => ({accepted: i.accepted, rejected: i.rejected, response: i.response}),
    e => ({error: e.message, code: e.responseCode}))));
  transport.close();
  console.log(JSON.stringify(out));
})();
"""
    done = subprocess.run(["node", "-e", script], input=json.dumps({"host": address[0], "port": address[1], "pool": pool, "mails": mails,
                                                                       "options": options or {}}),
                          capture_output=True, text=True, timeout=timeout, env={**os.environ, "NODE_PATH": "/usr/share/nodejs"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Elsewhere:
    """Another machine, as far as the gateway can tell: a network namespace at the end of a pair of virtual cables."""

    def __init__(self):
        need(IS_ROOT, "a network namespace needs root")
        self.name = f"pt{os.getpid()}"
        self.here, self.there = "198.51.100.1", "198.51.100.2"
        self.run("ip", "netns", "add", self.name)
        try:
            self.run("ip", "link", "add", "pt-here", "type", "veth", "peer", "name", "pt-there", "netns", self.name)
            self.run("ip", "addr", "add", f"{self.here}/30", "dev", "pt-here")
            self.run("ip", "link", "set", "pt-here", "up")
            self.inside("ip", "addr", "add", f"{self.there}/30", "dev", "pt-there")
            self.inside("ip", "link", "set", "pt-there", "up")
            self.inside("ip", "link", "set", "lo", "up")
        except AssertionError:
            self.close()
            raise

    @staticmethod
    def run(*command, input=None, check=True):
        done = subprocess.run(command, capture_output=True, text=True, input=input, timeout=60)
        assert not check or done.returncode == 0, f"{command}: {done.stderr}"
        return done

    def inside(self, *command, **options):
        return self.run("ip", "netns", "exec", self.name, *command, **options)

    def dialogue(self, address, lines):
        """Says each line when the reply to the one before is there; the replies' codes, the greeting's first."""
        script = """
import json, socket, sys
host, port, lines = json.load(sys.stdin)
s = socket.create_connection((host, port), 10)
f = s.makefile("rb")
def reply():
    while True:
        line = f.readline().decode()
        if line[3:4] != "-":
            return line.strip()
replies = [reply()]
for line in lines:
    s.sendall(line.encode() + b"\\r\\n")
    replies.append(reply())
print(json.dumps(replies))
"""
        done = self.inside("/usr/bin/python3", "-c", script, input=json.dumps([*address, lines]))
        return json.loads(done.stdout)

    def close(self):
        self.run("ip", "link", "del", "pt-here", check=False)
        self.run("ip", "netns", "del", self.name, check=False)
