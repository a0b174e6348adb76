"""Accounts and their passwords: how they are set, what is kept of them, and that nobody sees them."""
import crypt
import json
import os
import pty
import select
import signal
import subprocess
import termios
import time

import pytest

from lib.pki import Authority
from lib.world import wait_until

PASSWORD = "correct-horse-7"
OTHER = "battery-staple-8"
SECRET = "s3cret-of-the-next-hop"
OBJECTS = {"domains": {"c.example": {"mailboxes": True}}}


def mask(server):
    """Everything that the server keeps or has said, as bytes."""
    pieces = [server.log_path.read_bytes()]
    for path in sorted(server.home.rglob("*")):
        if path.is_file():
            pieces.append(path.read_bytes())
    return b"\0".join(pieces)


def users(server, *domain):
    return {user["name"]: user for user in server.json("user", "list", *domain)["users"]}


def verifiers(server):
    """What export --secrets has, by account."""
    lines = server.ctl("export", "--secrets").stdout.splitlines()
    return {line.split(":")[0].strip(): line.split("verifiers: ")[1] for line in lines if "verifiers: " in line}


def test_add_list_change_remove(gateway):
    server = gateway(OBJECTS)
    server.ctl("user", "add", "Joe@C.example", "send-as=sales@c.example", input=PASSWORD + "\n")
    server.ctl("user", "add", "ann@c.example", "--no-password")
    joe, ann = users(server)["joe@c.example"], users(server)["ann@c.example"]
    assert joe["password"] and joe["password_changed"] and joe["send-as"] == ["sales@c.example"]
    assert not ann["password"] and ann["password_changed"] is None
    assert users(server, "c.example").keys() == {"joe@c.example", "ann@c.example"}
    assert "d.example" in server.ctl("user", "list", "d.example", code=1).stderr
    text = server.ctl("user", "list").stdout
    assert joe["password_changed"] in text and "none" in text

    server.ctl("user", "set", "joe@c.example", "disabled=true")
    assert users(server)["joe@c.example"]["disabled"] is True
    assert users(server)["joe@c.example"]["password"], "another field does not touch it"
    before = verifiers(server)["joe@c.example"]
    server.ctl("user", "password", "joe@c.example", input=OTHER + "\n")
    assert verifiers(server)["joe@c.example"] != before
    assert users(server)["joe@c.example"]["password_changed"] > joe["password_changed"]
    server.ctl("user", "password", "joe@c.example", "--remove")
    assert not users(server)["joe@c.example"]["password"]
    assert "joe@c.example" not in verifiers(server)
    server.ctl("user", "password", "nobody@c.example", input=OTHER + "\n", code=1)
    server.ctl("user", "remove", "joe@c.example")
    assert users(server).keys() == {"ann@c.example"}

    changes = [entry["change"] for entry in server.json("audit")["entries"]]
    assert "account joe@c.example: added { send-as: [ sales@c.example ] } with a password" in changes
    assert "account joe@c.example: password changed" in changes
    assert changes[0] == "account joe@c.example: removed"


def test_what_is_kept_checks_the_password(gateway):
    server = gateway(OBJECTS)
    server.ctl("user", "add", "joe@c.example", input=PASSWORD + "\n")
    words = verifiers(server)["joe@c.example"].strip('" }').split()
    hashed = next(word for word in words if word.startswith("crypt:"))[len("crypt:"):]
    assert hashed.startswith("$y$")
    assert crypt.crypt(PASSWORD, hashed) == hashed
    assert crypt.crypt(OTHER, hashed) != hashed
    assert any(word.startswith("scram-sha-256:10000:") for word in words)
    # The same password again is other salts.
    server.ctl("user", "password", "joe@c.example", input=PASSWORD + "\n")
    assert not set(words) & set(verifiers(server)["joe@c.example"].strip('" }').split())


@pytest.mark.parametrize("given, why", [
    ("\n", "no password was given"), ("", "no password was given"), ("short\n", "at least 8 characters"),
    ("x" * 1025 + "\n", "at most 1024 bytes"), ("x" * 5000 + "\n", "too long"), ("tab\tin-the-midst\n", "control characters"),
])
def test_passwords_that_are_refused(gateway, given, why):
    server = gateway(OBJECTS)
    refused = server.ctl("user", "add", "joe@c.example", input=given, code=1)
    assert why in refused.stderr
    assert len(given) < 8 or given.strip() not in refused.stderr
    assert not users(server)


def test_weak_only_when_said(gateway):
    server = gateway(OBJECTS)
    server.ctl("user", "add", "joe@c.example", "--weak", input="short\n")
    assert users(server)["joe@c.example"]["password"]


def test_long_and_foreign_passwords(gateway):
    server = gateway(OBJECTS)
    for number, password in enumerate(["ſ" * 500, "pässwörd-ünïcode", "with  two blanks", "x" * 1024]):
        server.ctl("user", "add", f"u{number}@c.example", input=password + "\n")
    # crypt(3) knows 511 bytes at most; SCRAM's verifier checks longer ones.
    assert "crypt:" not in verifiers(server)["u3@c.example"]
    assert "scram-sha-256:" in verifiers(server)["u3@c.example"]


@pytest.mark.parametrize("arguments", [
    ("user", "add", "joe@c.example", "password=" + PASSWORD), ("user", "add", "joe@c.example", PASSWORD),
    ("user", "password", "ann@c.example", PASSWORD), ("user", "password", "ann@c.example", "--password=" + PASSWORD),
    ("account", "set", "ann@c.example", "verifiers=" + PASSWORD), ("transport", "set", "t", "sasl.secret=" + PASSWORD),
    ("transport", "set", "t", "sasl.user=gw", "--secret=" + PASSWORD), ("transport", "set", "t", "sasl.user=gw", "--secret", PASSWORD),
])
def test_never_on_a_command_line(gateway, arguments):
    server = gateway({**OBJECTS, "accounts": {"ann@c.example": {}}, "transports": {"t": {"server": "127.0.0.1:26"}}})
    refused = server.ctl(*arguments, input=PASSWORD + "\n", code=2)
    assert "command line" in refused.stderr and "standard input" in refused.stderr
    assert PASSWORD not in refused.stderr
    assert len(users(server)) == 1 and not users(server)["ann@c.example"]["password"]


def test_nothing_holds_the_plain_text(gateway):
    """Neither database, log, trace nor audit has a password; nor, but for the table of secrets, that of a transport."""
    server = gateway({**OBJECTS, "transports": {"t": {"server": "127.0.0.1:26", "tls": "require"}}})
    server.ctl("user", "add", "joe@c.example", input=PASSWORD + "\n")
    server.ctl("user", "password", "joe@c.example", input=OTHER + "\n")
    server.ctl("transport", "set", "t", "sasl.user=gw", "--secret", input=SECRET + "\n")
    told = server.ctl("audit").stdout + server.ctl("export").stdout + server.ctl("--json", "export").stdout
    told += server.ctl("--json", "user", "list").stdout + server.ctl("user", "show", "joe@c.example").stdout
    told += server.ctl("--json", "account", "list").stdout + server.ctl("transport", "show", "t").stdout
    told += server.ctl("--json", "transport", "list").stdout + server.ctl("trace", "event=AdminAction").stdout
    for secret in (PASSWORD, OTHER, SECRET, "$y$", "scram-sha-256:"):
        assert secret not in told
    kept = mask(server)
    assert PASSWORD.encode() not in kept and OTHER.encode() not in kept
    assert SECRET.encode() not in server.log_path.read_bytes()
    database = server.home / "directory.db"
    assert database.stat().st_mode & 0o077 == 0
    assert SECRET.encode() in database.read_bytes(), "that one must be said to the next hop"
    server.ctl("transport", "set", "t", "sasl.user=")
    assert SECRET.encode() not in mask(server), "one that goes is overwritten"


def read_some(memory, begin, length):
    try:
        memory.seek(begin)
        return memory.read(length)
    except OSError:
        return b""


def memory_of(pid, needle):
    """Is it somewhere in a process's memory?"""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            where, rights = line.split()[:2]
            if "rw" not in rights or "[v" in line:
                continue
            begin, end = (int(number, 16) for number in where.split("-"))
            # What a sanitizer has reserved, and hardly uses, is of no interest.
            if end - begin < 1 << 30 and needle in read_some(memory, begin, end - begin):
                return True
    return False


@pytest.mark.skipif(os.getuid() != 0, reason="reads another process's memory")
def test_no_role_remembers_a_password(gateway):
    server = gateway(OBJECTS)
    password = "unforgettable-but-forgotten-4711"
    server.ctl("user", "add", "joe@c.example", input=password + "\n")
    server.ctl("user", "password", "joe@c.example", input=password + "\n")
    for name, pids in server.roles().items():
        for pid in pids:
            assert not memory_of(pid, password.encode()), f"{name} still holds it"
    # The search itself can find something.
    assert any(memory_of(pid, b"joe@c.example") for pids in server.roles().values() for pid in pids)


def test_secrets_go_with_an_export_that_asks_for_them(gateway, tmp_path):
    server, copy = gateway({**OBJECTS, "transports": {"t": {"server": "127.0.0.1:26", "tls": "require"}}}), gateway()
    server.ctl("user", "add", "joe@c.example", input=PASSWORD + "\n")
    server.ctl("transport", "set", "t", "sasl.user=gw", "--secret", input=SECRET + "\n")
    text = server.ctl("export", "--secrets").stdout
    assert SECRET in text and "$y$" in text
    entry = server.json("audit")["entries"][0]
    assert "exported with secrets" in entry["change"] and "1 account," in entry["change"] and entry["actor"]
    assert "exported with secrets" in json.dumps(server.trace("event=AdminAction"))

    path = tmp_path / "all.yaml"
    path.write_text(text)
    path.chmod(0o644)
    applied = copy.ctl("apply", "-f", path)
    assert "every user of this machine can read it" in applied.stderr
    path.chmod(0o600)
    again = copy.ctl("apply", "-f", path)
    assert again.stdout == "nothing to change\n" and again.stderr == ""
    assert copy.ctl("export", "--secrets").stdout == text
    # Without them what is there stays.
    copy.apply(server.ctl("export").stdout)
    assert verifiers(copy) == verifiers(server)
    server.ctl("--json", "export", "--secrets", code=2)


HASHES = {
    "yescrypt": "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$tnSYvahCwPBHKZUspmcxMfb0.WiB9W.zEaKlOBL35rC",
    "sha512": "$6$abcdefgh$yVfUwsw5T.JApa8POvClA1pQ5peiq97DUNyXCZN5IrF.BMSkiaLQ5kvpuEm/VQ1Tvh/KV2TcaWh8qinoW5dhA1",
    "bcrypt": "$2b$05$abcdefghijklmnopqrstuuWG29KuyeAicPCJODk1zjyGvyQUU2awu",
    "md5": "$1$abc$BXBqpb9BZcZhXLgbee.0s/",
}


def test_import(gateway, tmp_path):
    server = gateway({**OBJECTS, "accounts": {"ann@c.example": {"send-as": ["x@c.example"]}}})
    path = tmp_path / "htpasswd"
    path.write_text("# users\n\n" + "".join(f"{name}:{hashed}\n" for name, hashed in HASHES.items()) + f"Ann@c.example:{HASHES['sha512']}\r\n")
    assert "--domain" in server.ctl("user", "import", path, code=1).stderr
    checked = server.ctl("user", "import", path, "--domain", "C.example", "--check")
    assert "4 accounts would be added" in checked.stdout and len(users(server)) == 1
    done = server.ctl("user", "import", path, "--domain", "c.example")
    assert "4 accounts added" in done.stdout and "1 there already, kept" in done.stdout and "1 with a hash of an old kind" in done.stderr
    assert {name.split("@")[0] for name, user in users(server).items() if user["password"]} == set(HASHES)
    assert HASHES["bcrypt"] in verifiers(server)["bcrypt@c.example"]
    server.ctl("user", "import", path, "--domain", "c.example", "--replace")
    assert users(server)["ann@c.example"]["password"] and users(server)["ann@c.example"]["send-as"] == ["x@c.example"]


def test_import_tells_all_that_is_wrong_and_does_nothing(gateway, tmp_path):
    server = gateway(OBJECTS)
    path = tmp_path / "users"
    path.write_text(f"good@c.example:{HASHES['bcrypt']}\nssha@c.example:{{SSHA}}dGVzdA==\napr@c.example:$apr1$abc$dsfkjh\n"
                    f"other@d.example:{HASHES['bcrypt']}\nplain@c.example:hello\nbad name@c.example:{HASHES['bcrypt']}\n")
    refused = server.ctl("user", "import", path, code=1).stderr
    for line, words in ((2, "scheme"), (3, "$apr1$"), (4, "d.example"), (5, "no hash of crypt"), (6, "bad name")):
        assert any(f"{path}:{line}: " in text and words in text for text in refused.splitlines()), (line, refused)
    assert "dGVzdA" not in refused and "hello" not in refused
    assert f"{path}:1:" not in refused
    assert not users(server)


def test_import_of_dovecot_and_shadow(gateway, tmp_path):
    server = gateway(OBJECTS)
    scram = "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    path = tmp_path / "users"
    path.write_text(f"a@c.example:{{BLF-CRYPT}}{HASHES['bcrypt']}:1000:1000::/home/a::userdb_quota=1G\nb@c.example:{{CRYPT}}{HASHES['sha512']}\n"
                    f"c@c.example:{scram}::\n")
    server.ctl("user", "import", path, "--format", "dovecot")
    found = verifiers(server)
    assert HASHES["bcrypt"] in found["a@c.example"] and "BLF" not in found["a@c.example"]
    assert "scram-sha-256:4096:W22ZaJ0SNY7soEsUEjb6gQ==:" in found["c@c.example"]
    path.write_text(f"root:*:19000:0:99999:7:::\ndaemon:!:1::::::\njoe:{HASHES['yescrypt']}:19000:0:99999:7:::\n")
    assert "2 that nobody can log in to" in server.ctl("user", "import", path, "--format", "shadow", "--domain", "c.example").stdout
    assert users(server).keys() == {"a@c.example", "b@c.example", "c@c.example", "joe@c.example"}


def test_import_of_many(gateway, tmp_path):
    server = gateway(OBJECTS)
    path = tmp_path / "users"
    path.write_text("".join(f"u{n}:{HASHES['bcrypt']}\n" for n in range(100000)))
    began = time.monotonic()
    server.ctl("user", "import", path, "--domain", "c.example")
    assert time.monotonic() - began < 50
    assert len(users(server)) == 100000
    assert "100000 there already" in server.ctl("user", "import", path, "--domain", "c.example").stdout


def test_the_socket_answers_while_passwords_are_hashed(gateway):
    server = gateway({**OBJECTS, "accounts": {f"u{n}@c.example": {} for n in range(20)}})
    setters = [subprocess.Popen([server.programs / "posternctl", "-c", server.config, "user", "password", f"u{n}@c.example"],
                                stdin=subprocess.PIPE, text=True, user=server.user, stdout=subprocess.DEVNULL) for n in range(20)]
    for one in setters:
        one.stdin.write(PASSWORD + "\n")
        one.stdin.close()
    while any(one.poll() is None for one in setters):
        server.status()
    assert all(one.returncode == 0 for one in setters)
    assert all(user["password"] for user in users(server).values())


# ---- a terminal

class Terminal:
    def __init__(self, server, *args):
        self.parent, child = pty.openpty()
        self.child = child
        self.before = termios.tcgetattr(child)
        self.process = subprocess.Popen([server.programs / "posternctl", "-c", server.config, *args], stdin=child, stdout=child, stderr=child,
                                        start_new_session=True, preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0))
        self.seen = b""

    def wait(self, words):
        wait_until(words, lambda: self._read() and words.encode() in self.seen)
        self.seen = self.seen.split(words.encode(), 1)[1]

    def _read(self):
        if select.select([self.parent], [], [], 0.05)[0]:
            self.seen += os.read(self.parent, 4096)
        return True

    def type(self, text):
        os.write(self.parent, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.child)[3] & termios.ECHO)

    def end(self):
        code = self.process.wait(20)
        self._read()
        assert termios.tcgetattr(self.child) == self.before, "the terminal is as it was"
        os.close(self.parent)
        os.close(self.child)
        return code


def test_on_a_terminal(gateway):
    server = gateway(OBJECTS)
    terminal = Terminal(server, "user", "add", "joe@c.example")
    terminal.wait("Password of joe@c.example: ")
    assert not terminal.echoes()
    terminal.type(PASSWORD + "\n")
    terminal.wait("Again: ")
    assert not terminal.echoes()
    terminal.type(PASSWORD + "\n")
    terminal.wait("account joe@c.example: added")
    assert terminal.end() == 0 and PASSWORD.encode() not in terminal.seen
    assert users(server)["joe@c.example"]["password"]

    terminal = Terminal(server, "user", "password", "joe@c.example")
    terminal.wait("Password of joe@c.example: ")
    terminal.type(PASSWORD + "\n")
    terminal.wait("Again: ")
    terminal.type(OTHER + "\n")
    terminal.wait("not the same")
    assert terminal.end() == 1

    # What cannot be is said before anybody types.
    terminal = Terminal(server, "user", "add", "joe@c.example")
    terminal.wait("is there already")
    assert terminal.end() == 1


@pytest.mark.parametrize("by_key", [True, False])
def test_a_terminal_is_put_right_when_it_is_broken_off(gateway, by_key):
    server = gateway(OBJECTS)
    terminal = Terminal(server, "user", "add", "joe@c.example")
    terminal.wait("Password of joe@c.example: ")
    if by_key:
        terminal.type("half a pass\x03")
    else:
        terminal.process.send_signal(signal.SIGTERM)
    assert terminal.end() == -(signal.SIGINT if by_key else signal.SIGTERM)
    assert not users(server)


def test_a_terminal_asks_again_after_it_was_stopped(gateway):
    server = gateway(OBJECTS)
    terminal = Terminal(server, "user", "add", "joe@c.example")
    terminal.wait("Password of joe@c.example: ")
    # In a session of its own nobody could let it go on, so it is not really stopped.
    terminal.process.send_signal(signal.SIGTSTP)
    terminal.wait("Password of joe@c.example: ")
    assert not terminal.echoes()
    terminal.type("\x03")
    assert terminal.end() == -signal.SIGINT


# ---- certificates

def test_tls_show_and_reload(gateway, tmp_path):
    key, certificate = tmp_path / "gw.key", tmp_path / "gw.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                    "-days", "30", "-subj", "/CN=gw.example.test", "-addext", "subjectAltName=DNS:gw.example.test,DNS:mx.example.test"],
                   check=True, capture_output=True)
    tmp_path.chmod(0o755)
    server = gateway(OBJECTS, started=False)
    config = server.config.read_text().replace("listeners:\n  mx:\n", f"listeners:\n  mx:\n    tls: {{ certificate: {certificate}, key: {key} }}\n")
    server.config.write_text(config)
    server.start()
    shown, = server.json("tls", "show")["certificates"]
    assert shown["listener"] == "mx" and shown["names"] == ["gw.example.test", "mx.example.test"] and shown["days_left"] in (29, 30)
    assert "CN=gw.example.test" in shown["issuer"]
    assert "mx.example.test" in server.ctl("tls", "show").stdout
    server.ctl("tls", "reload")
    certificate.write_text("no certificate\n")
    assert str(certificate) in server.ctl("tls", "reload", code=1).stderr
    assert server.json("audit")["entries"][0]["change"].startswith("certificates and keys")
    assert "has no certificate" in json.dumps(json.loads(server.ctl("--json", "tls", "show", code=1).stdout))


def with_tls(server, certificate, key):
    text = server.config.read_text()
    server.config.write_text(text.replace("listeners:\n  mx:\n", f"listeners:\n  mx:\n    tls: {{ certificate: {certificate}, key: {key} }}\n"))


def findings(server, code=0):
    return "\n".join(finding["text"] for finding in json.loads(server.ctl("--json", "check", code=code).stdout)["findings"])


def test_what_is_wrong_with_certificates_is_told(gateway, tmp_path):
    """By check and by tls show, before a restart ends at it; and what is doubtful by the reload itself."""
    tmp_path.chmod(0o755)
    ca = Authority(tmp_path)
    good, late, other = ca.issue("gw.example.test"), ca.issue("late.example.test", days=-3), ca.issue("other.example.test")
    certificate, key = tmp_path / "used.crt", tmp_path / "used.key"

    def use(one, its_key=None):
        certificate.write_bytes(one.crt.read_bytes())
        key.write_bytes((its_key or one).key.read_bytes())
        key.chmod(0o600)

    def shown(code):
        return server.ctl("tls", "show", code=code).stdout

    use(good)
    server = gateway(OBJECTS, started=False)
    with_tls(server, certificate, key)
    server.start()
    assert str(tmp_path) not in findings(server)
    assert " good " in shown(0)
    key.chmod(0o644)
    assert "everybody on this machine may read this key" in findings(server)
    reloaded = server.ctl("tls", "reload")
    assert reloaded.stdout == "certificates read again: 1\n" and "everybody on this machine may read this key" in reloaded.stderr
    use(late)
    assert "EXPIRED" in shown(1) and "ended on" in findings(server)
    reloaded = server.ctl("tls", "reload")
    assert "the certificate has ended" in reloaded.stderr
    assert server.json("tls", "reload")["warnings"]
    use(good, other)
    assert "WRONG: the key does not belong to the certificate" in shown(1)
    assert "posternd does not start with it" in findings(server, code=1)
    server.ctl("tls", "reload", code=1)
    assert "not read again: " in server.json("audit")["entries"][0]["change"]
    key.unlink()
    assert "No such file" in shown(1) and str(key) in findings(server, code=1)
    use(good)
    server.ctl("tls", "reload")


def test_a_reload_without_certificates_says_what_to_do(gateway, tmp_path):
    one = Authority(tmp_path).issue("gw.example.test")
    server = gateway(OBJECTS)
    with_tls(server, one.crt, one.key)
    assert "restart it" in server.ctl("tls", "reload", code=1).stderr


def test_whether_delivery_can_read_a_tls_ca(gateway, tmp_path):
    server = gateway(OBJECTS)
    path = server.home / "authority.pem"
    fields = "server=mx.b.example", "tls=verify", f"tls-ca={path}"
    added = server.ctl("transport", "add", "site-b", *fields)
    assert f"site-b: its tls-ca, {path}, is not there" in added.stderr
    assert "is not there" in findings(server)
    path.write_text("no certificate\n")
    assert "there is no certificate in it" in findings(server)
    path.write_bytes(Authority(tmp_path).issue("b.example").crt.read_bytes())
    path.chmod(0o644)
    assert str(path) not in findings(server)
    if os.geteuid() == 0:
        path.chmod(0o600)
        assert "cannot be read by delivery" in findings(server)
    file = server.home / "more.yaml"
    file.write_text("transports: { site-c: { server: mx.c.example, tls: verify, tls-ca: " + str(server.home / "gone.pem") + " } }\n")
    checked = server.ctl("check", "-f", str(file)).stdout
    assert "transport site-c: its tls-ca" in checked and "domains: there is none" not in checked
    assert "is not there" in server.ctl("apply", "-f", str(file), "--dry-run").stderr


def test_a_start_that_is_refused_leaves_nothing_behind(gateway, tmp_path):
    """No empty spool, of which the next start would say that it was made."""
    tmp_path.chmod(0o755)
    ca = Authority(tmp_path)
    one, other = ca.issue("gw.example.test"), ca.issue("other.example.test")
    server = gateway(OBJECTS, started=False)
    with_tls(server, one.crt, other.key)
    ended = subprocess.run([server.programs / "posternd", "-c", server.config], capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1 and "the key does not belong to the certificate" in ended.stderr
    assert not server.spool.exists() and not (server.home / "directory.db").exists()
    missing = subprocess.run([server.programs / "posternd"], capture_output=True, text=True, timeout=30)
    assert missing.returncode == 2 and "-c FILE is missing" in missing.stderr


def test_the_policy_of_a_listener_by_its_name(gateway):
    server = gateway(OBJECTS)
    assert "policy: none" in server.ctl("relay", "show", "mx").stdout
    assert "no such listener; it has: mx" in server.ctl("relay", "show", "mxx", code=1).stderr
    assert "did you mean \"user password\"" in server.ctl("user", "passwd", "joe@c.example", code=2).stderr
    said = server.ctl("user", "add", "joe@c.example", "pasword=x", code=1, input=PASSWORD + "\n").stderr
    assert "verifiers" not in said and "posternctl user password" in said
