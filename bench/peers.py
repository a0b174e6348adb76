"""The programs that are measured: how each is configured, started and stopped. Each is a relay from a port on
loopback to one fixed next hop on loopback; each start has a fresh directory and an empty queue."""

import os
import pwd
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

from box import Cage, Failed

HERE = Path(__file__).resolve().parent
REPO = HERE.parent
BUILD = Path(os.environ.get("BUILD", REPO / "build"))
if not BUILD.is_absolute():
    BUILD = REPO / BUILD
PACKAGES = REPO / "build/peers"
PORTS = range(20000, 30000)  # below the ports that the kernel takes for outgoing connections
START_SECONDS = 30
HOSTNAME = "gw.bench.test"


def tool(name):
    """A program of the extracted Postfix package, as words to put before its arguments."""
    return ["env", f"LD_LIBRARY_PATH={PACKAGES}/usr/lib/postfix", str(PACKAGES / "usr/sbin" / name)]


def free_port(taken=set()):
    for port in PORTS:
        if port in taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        taken.add(port)  # each start has a port of its own, so that nobody talks to the one before
        return port
    raise Failed("no free port")


def in_tls(connection):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)


def greets(port, timeout=1.0, implicit=False):
    """Whether an SMTP server on the port says 220 and takes EHLO; with implicit, under TLS from the first byte."""
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout)
        with in_tls(connection) if implicit else connection as connection:
            replies = connection.makefile("rb")
            if not replies.readline().startswith(b"220"):
                return False
            connection.sendall(b"EHLO bench.test\r\n")
            line = replies.readline()
            connection.sendall(b"QUIT\r\n")
            return line.startswith(b"250")
    except OSError:
        return False


class Peer:
    name = ""  # for --only and as a key
    label = ""  # for the table
    package = ""  # Debian's, for scripts/peers
    note = ""  # what one has to know to read its row
    cold_rate = None  # a peer that sleeps for seconds after a warm-up gets none; what it takes then, roughly
    relay = True  # False: the source talks straight to the sink
    idle_counts = (1000, 4000)  # sessions of the idle measurement; none: it is not measured
    latency = True  # whether it keeps up with the even rate of the latency measurement
    backlog_limit = None  # the longest backlog that it can be given in bearable time; 0: none
    tls = False  # whether it can be given a link
    link = None  # how it is to speak TLS from its next start on (tls.py); None: not at all

    def __init__(self, groups, work):
        self.groups = groups
        self.work = work
        self.starts = 0
        self.group = None
        self.loggers = None
        self.port = None

    def missing(self):
        """Why it cannot be measured here; None if it can."""
        return None

    def start(self, sink_port):
        """Starts it on an empty directory of its own."""
        self.starts += 1
        self.directory = self.work / f"{self.name}-{self.starts}"
        self.directory.mkdir(mode=0o755)
        self.group = self.groups.new(f"{self.name}-{self.starts}")
        self.port = free_port()
        self.log = open(self.directory / "log", "wb")
        self.prepare(sink_port)
        self.launch()

    def launch(self):
        """Starts the program on what is there; also for a restart on a backlog."""
        self.run()
        self.wait()

    def prepare(self, sink_port):
        """Writes its configuration."""

    def run(self):
        """Starts its processes in self.group."""

    def wait(self, pause=0.02):
        deadline = time.monotonic() + START_SECONDS
        while not greets(self.port, implicit=self.implicit()):
            if any(process.poll() is not None for process in self.group.started):
                raise Failed(f"{self.label} ended at its start: {self.said()}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.label} does not greet: {self.said()}")
            time.sleep(pause)

    def implicit(self):
        return self.link is not None and self.link.entry == "implicit"

    def said(self):
        """The end of its log, for error messages."""
        self.log.flush()
        return (self.directory / "log").read_text(errors="replace")[-600:].strip() or "(nothing in its log)"

    def hurry(self):
        """Asks it to try everything that is queued now."""

    def stop(self):
        """Ends it and removes its directory."""
        if not self.group:
            return
        self.group.close()
        self.group = None
        self.log.close()
        shutil.rmtree(self.directory)

    def output(self):
        return {"stdout": self.log, "stderr": self.log}


class NoRelay(Peer):
    name, label = "no-relay", "no relay (source to sink)"
    note = "smtp-source (with TLS bench_source) straight into the sink: what the two tools can do at all here"
    relay = False
    tls = True
    idle_counts = ()
    backlog_limit = 0

    def start(self, sink_port):
        self.port = sink_port

    def stop(self):
        pass


class Limit(Peer):
    name, label = "limit", "limit.c"
    note = "the least a durable relay can do: group commit, sendfile, kept connections; no checks, no queue"
    idle_counts = ()
    backlog_limit = 0

    def prepare(self, sink_port):
        self.program = self.work / "limit"
        if not self.program.exists():
            subprocess.run(["cc", "-O2", "-o", self.program, HERE / "limit.c", "-lpthread"], check=True)
        self.argv = [self.program, self.port, sink_port, self.directory / "spool"]

    def run(self):
        self.group.start(self.argv, **self.output())


class Packaged(Peer):
    """From a Debian package that scripts/peers extracted."""

    program = ""
    user = ""
    syslog = ("dev/log",)  # where it sends its log lines

    def missing(self):
        if not (PACKAGES / self.program).exists():
            return f"{PACKAGES / self.program} is not there"
        try:
            pwd.getpwnam(self.user)
        except KeyError:
            return f"there is no user {self.user} (scripts/peers makes it)"
        return None

    def prepare(self, sink_port):
        self.root = self.directory / "root"
        self.cage = Cage(self.root, PACKAGES)
        self.configure(sink_port)
        sockets = [self.root / path for path in self.syslog]
        self.loggers = self.groups.new(f"{self.name}-{self.starts}-syslog")
        argv = [sys.executable, HERE / "syslog.py", self.root / "var/log/syslog", *sockets]
        self.loggers.start(argv, **self.output())
        deadline = time.monotonic() + START_SECONDS
        while not all(path.exists() for path in sockets):
            if time.monotonic() > deadline:
                raise Failed(f"no syslog for {self.label}: {self.said()}")
            time.sleep(0.01)

    def said(self):
        log = self.root / "var/log/syslog"
        return super().said() + (log.read_text(errors="replace")[-600:] if log.exists() else "")

    def stop(self):
        if self.group and self.loggers:
            self.group.end()
            self.loggers.close()
            self.loggers = None
        super().stop()

    def configure(self, sink_port):
        """Writes its configuration into self.root."""

    def folder(self, path, user="root", group="root", mode=0o755):
        path = self.root / path
        path.mkdir(parents=True, exist_ok=True)
        shutil.chown(path, user, group)
        path.chmod(mode)


POSTFIX_QUEUES = "active bounce corrupt defer deferred flush hold incoming private saved trace".split()


class Postfix(Packaged):
    name, label = "postfix", "Postfix as shipped"
    note = "Debian's main.cf and master.cf; a TLS certificate only where TLS is measured"
    tls = True
    package = "postfix"
    program = "usr/lib/postfix/sbin/master"
    user = "postfix"
    syslog = ("dev/log", "var/spool/postfix/dev/log")
    idle_counts = (20, 80)  # a process each, 100 at most
    chroot = "y"
    backlog_limit = 0  # the tuned one does it
    settings = {}
    tls_settings = {}

    def with_tls(self):
        """What main.cf says of TLS, both ways. Sessions are resumed by tickets, and by the client's cache, which is
        Debian's setting."""
        for file in (self.link.certificate, self.link.key):
            shutil.copy(file, self.root / "etc/postfix")
        return {
            "smtpd_tls_cert_file": f"/etc/postfix/{self.link.certificate.name}",
            "smtpd_tls_key_file": f"/etc/postfix/{self.link.key.name}",
            "smtpd_tls_security_level": "encrypt",
            "smtpd_tls_wrappermode": "yes" if self.implicit() else "no",
            "smtpd_tls_session_cache_database": "btree:${data_directory}/smtpd_scache",
            "smtp_tls_security_level": "encrypt",
            **self.tls_settings,
        }

    def configure(self, sink_port):
        spool = "var/spool/postfix"
        self.folder(spool)
        for queue in POSTFIX_QUEUES:
            self.folder(f"{spool}/{queue}", "postfix", "root", 0o700)
        self.folder(f"{spool}/maildrop", "postfix", "postdrop", 0o730)
        self.folder(f"{spool}/public", "postfix", "postdrop", 0o710)
        self.folder(f"{spool}/pid")
        self.folder("var/lib/postfix", "postfix", "postfix")
        self.folder(f"{spool}/dev")
        self.folder(f"{spool}/etc")  # what Debian copies for its chroot
        for name in ("hosts", "services", "resolv.conf", "nsswitch.conf", "localtime"):
            if (self.root / "etc" / name).exists():
                shutil.copy(self.root / "etc" / name, self.root / spool / "etc" / name)

        self.folder("etc/postfix")
        shipped = (PACKAGES / "usr/share/postfix/main.cf.debian").read_text()
        settings = {
            "myhostname": HOSTNAME,
            "mydestination": "",
            "alias_maps": "",
            "alias_database": "",
            "relayhost": f"[127.0.0.1]:{sink_port}",
            "mynetworks": "127.0.0.0/8",
            "smtpd_relay_restrictions": "permit_mynetworks reject",
            "mailbox_size_limit": "0",
            "recipient_delimiter": "+",
            "inet_interfaces": "loopback-only",
            "inet_protocols": "ipv4",
            "smtp_tls_security_level": "may",
            "smtp_tls_session_cache_database": "btree:${data_directory}/smtp_scache",
            "daemon_directory": "/peers/usr/lib/postfix/sbin",
            "command_directory": "/peers/usr/sbin",
            "shlib_directory": "/peers/usr/lib/postfix",
            "meta_directory": "/etc/postfix",
            "queue_directory": "/var/spool/postfix",
            "data_directory": "/var/lib/postfix",
            "import_environment": "MAIL_CONFIG MAIL_LOGTAG TZ LANG=C LD_LIBRARY_PATH",
            **self.settings,
            **(self.with_tls() if self.link else {}),
        }
        lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
        (self.root / "etc/postfix/main.cf").write_text(shipped + lines)

        master = (PACKAGES / "usr/share/postfix/master.cf.dist").read_text().splitlines()
        services = []
        for line in master:
            if self.link and self.tls_settings and line.startswith("#tlsproxy "):
                line = line[1:]  # it keeps connections under TLS for further messages
            words = line.split()
            if line[:1].isalpha() and words[1] in ("inet", "unix", "unix-dgram"):
                if words[:2] == ["smtp", "inet"]:
                    words[0] = f"127.0.0.1:{self.port}"
                if words[4] == "y":
                    words[4] = self.chroot
                line = " ".join(words)
            services.append(line)
        (self.root / "etc/postfix/master.cf").write_text("\n".join(services) + "\n")
        (self.root / "etc/postfix/dynamicmaps.cf").write_text("")

    def caged(self, argv):
        return self.cage.argv(argv, ["LD_LIBRARY_PATH=/peers/usr/lib/postfix", "MAIL_CONFIG=/etc/postfix"])

    def run(self):
        (self.root / "var/spool/postfix/pid/master.pid").unlink(missing_ok=True)
        self.group.start(self.caged(["/peers/usr/lib/postfix/sbin/master", "-s"]), **self.output())

    def hurry(self):
        subprocess.run(self.caged(["/peers/usr/sbin/postqueue", "-f"]), check=True, stdout=self.log, stderr=self.log)


class PostfixTuned(Postfix):
    name, label = "postfix-tuned", "Postfix tuned"
    note = "200 processes, in_flow_delay 0, destination concurrency 100, no chroot; with TLS: smtp_tls_connection_reuse"
    idle_counts = (40, 160)
    chroot = "n"
    backlog_limit = 20000
    settings = {
        "default_process_limit": "200",
        "in_flow_delay": "0",
        "default_destination_concurrency_limit": "100",
    }
    tls_settings = {"smtp_tls_connection_reuse": "yes"}


class Exim(Packaged):
    name, label = "exim", "Exim as shipped"
    note = "limits of 20 sessions and of 10 messages per connection lifted, else it refuses or only queues this load"
    package = "exim4-daemon-light"
    program = "usr/sbin/exim4"
    user = "Debian-exim"
    idle_counts = (100, 400)
    latency = False  # the rate is more than it can take
    backlog_limit = 0

    def configure(self, sink_port):
        self.folder("etc/exim4")
        self.folder("var/spool/exim4", "Debian-exim", "Debian-exim", 0o750)
        self.folder("var/log/exim4", "Debian-exim", "Debian-exim", 0o750)
        (self.root / "var/lib/exim4").mkdir(exist_ok=True)
        (self.root / "usr/sbin").mkdir(parents=True, exist_ok=True)
        config = self.root / "etc/exim4/exim4.conf"
        config.write_text(
            f"""primary_hostname = {HOSTNAME}
exim_path = /peers/usr/sbin/exim4
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
disable_ipv6 = true
tls_advertise_hosts =
smtp_accept_max = 500
smtp_accept_queue_per_connection = 0
acl_smtp_rcpt = relay
never_users = root
ignore_bounce_errors_after = 2d
timeout_frozen_after = 7d
begin acl
relay:
  accept hosts = 127.0.0.0/8
begin routers
sink:
  driver = manualroute
  route_list = * 127.0.0.1::{sink_port} byname
  transport = remote_smtp
  self = send
begin transports
remote_smtp:
  driver = smtp
begin retry
* * F,2h,15m; G,16h,1h,1.5; F,4d,6h
"""
        )
        config.chmod(0o644)

    def run(self):
        argv = ["/peers/usr/sbin/exim4", "-bdf", "-q30m"]
        self.group.start(self.cage.argv(argv), **self.output())

    def said(self):
        log = self.root / "var/log/exim4/mainlog"
        return super().said() + (log.read_text(errors="replace")[-600:] if log.exists() else "")


class OpenSmtpd(Packaged):
    name, label = "opensmtpd", "OpenSMTPD, mended"
    note = (
        "nodelay.c preloaded (backlog, TCP_NODELAY), pauses between connections lifted, no warm-up; "
        "it sleeps 10 s now and then; it never syncs before its 250"
    )
    package = "opensmtpd"
    program = "usr/sbin/smtpd"
    user = "opensmtpd"
    idle_counts = (100, 400)
    cold_rate = 400
    latency = False  # it delivers at this rate in bursts, seconds apart
    backlog_limit = 0

    def configure(self, sink_port):
        self.folder("var/spool/smtpd", mode=0o711)
        self.folder("var/spool/smtpd/purge", "opensmtpq", "root", 0o700)
        self.folder("var/lib/opensmtpd/empty")
        nodelay = self.root / "etc/nodelay.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", nodelay, HERE / "nodelay.c", "-ldl"], check=True)
        (self.root / "etc/mailname").write_text(HOSTNAME + "\n")
        (self.root / "etc/aliases").write_text("")
        (self.root / "etc/smtpd.conf").write_text(
            f"""smtp limit max-mails 1000000
mta limit conn-delay-route 0
mta limit conn-delay-relay 0
mta limit reconn-delay-route 0
listen on 127.0.0.1 port {self.port}
action "sink" relay host smtp://127.0.0.1:{sink_port}
match from any for any action "sink"
"""
        )

    def run(self):
        argv = ["/peers/usr/sbin/smtpd", "-F", "-f", "/etc/smtpd.conf"]
        self.group.start(self.cage.argv(argv, ["LD_PRELOAD=/etc/nodelay.so"]), **self.output())


class Postern(Peer):
    name, label = "postern", "Postern"
    note = "as built by make build: trace, log, sandbox and users on"
    tls = True

    def missing(self):
        return None if (BUILD / "posternd").exists() else f"{BUILD / 'posternd'} is not built"

    def prepare(self, sink_port):
        self.config = self.directory / "postern.yaml"
        tls, hop = "", ""
        if self.link:
            mode, hop = self.link.entry, ", tls: require"
            tls = f", tls: {{ certificate: {self.link.certificate}, key: {self.link.key}, mode: {mode} }}"
        self.config.write_text(
            f"""hostname: {HOSTNAME}
spool: {self.directory}/spool
directory: {self.directory}/directory.db
control: {self.directory}/control.sock
workers: {max(1, os.cpu_count() // 2)}
listeners:
  mx: {{ address: "127.0.0.1:{self.port}"{tls} }}
"""
        )
        self.objects = self.directory / "objects.yaml"
        self.objects.write_text(
            f"""transports:
  sink: {{ server: "127.0.0.1:{sink_port}"{hop} }}
default-transport: sink
"""
        )

    def launch(self):
        super().launch()
        if self.objects:
            self.control("apply", "-f", self.objects)
            self.objects = None  # a restart finds them in the directory

    def run(self):
        self.group.start([BUILD / "posternd", "-c", self.config], **self.output())

    def control(self, *words):
        argv = [BUILD / "posternctl", "-c", self.config, *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise Failed(f"posternctl {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return done.stdout

    def hurry(self):
        self.control("queue", "retry", "domain=y.test")


ALL = (Postern, Postfix, PostfixTuned, OpenSmtpd, Exim, Limit, NoRelay)
