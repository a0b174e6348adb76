"""What `meson install` leaves behind is enough to run the gateway from, and the pieces fit each other."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from lib import smtp
from lib.world import BUILD, IS_ROOT, folder, free_port, remove, wait_until

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = ("man8/posternd.8", "man8/posternctl.8", "man5/postern.yaml.5", "man5/postern-objects.5")


def run(*command, **more):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)


def install(root):
    done = run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def root():
    where = folder()
    where.chmod(0o755)
    install(where)
    yield where
    remove(where)


@pytest.fixture(scope="module")
def prefix(root):
    found = list(root.glob("**/sbin/posternd"))
    assert len(found) == 1
    return found[0].parent.parent


@pytest.fixture(scope="module")
def unit(prefix):
    return (prefix / "lib/systemd/system/postern.service").read_text()


def settings(unit, name):
    return [line.split("=", 1)[1] for line in unit.splitlines() if line.startswith(name + "=")]


def test_programs(prefix):
    for name in ("sbin/posternd", "bin/posternctl"):
        done = run(prefix / name, "--version")
        assert done.returncode == 0 and done.stdout.startswith(pathlib.Path(name).name)


def test_nobody_else_may_write_what_is_installed(root):
    for path in [root, *root.rglob("*")]:
        assert not path.stat().st_mode & 0o022, path


@pytest.mark.parametrize("page", PAGES)
def test_man_pages(prefix, page):
    path = prefix / "share/man" / page
    text = path.read_text()
    for heading in ("NAME", "DESCRIPTION"):
        assert f".SH {heading}" in text
    if not shutil.which("groff"):
        pytest.skip("no groff to read it with")
    done = run("groff", "-man", "-Tutf8", "-ww", "-Wbreak", path)
    assert done.returncode == 0 and done.stderr == ""
    # What is referred to is there, or is no page of ours.
    for name, section in re.findall(r"\\fB?(postern[a-z.-]*)\\fR\((\d)\)", text):
        assert f"man{section}/{name}.{section}" in PAGES


def test_the_pages_name_every_command_and_no_other(prefix):
    listed = run(prefix / "bin/posternctl", "--help").stdout
    commands = set(re.findall(r"^  ([a-z]+) ", listed, re.M))
    page = (prefix / "share/man/man8/posternctl.8").read_text()
    assert commands > {"apply", "queue", "trace"}
    for command in commands:
        assert f"\\fB{command}" in page, command


def test_the_sample_configuration_is_good(root, prefix):
    config = root / "etc/postern/postern.yaml"
    examples = prefix / "share/doc/postern/examples"
    assert config.read_text() == (examples / "postern.yaml").read_text()
    # Where it says that the other one is.
    named = re.search(r"see (/\S+/objects\.yaml)", config.read_text())[1]
    assert root / named.lstrip("/") == examples / "objects.yaml" and (examples / "objects.yaml").is_file()
    done = run(prefix / "sbin/posternd", "-c", config, "--check")
    assert done.returncode == 0, done.stderr
    done = run(prefix / "bin/posternctl", "-c", config, "check", "-f", examples / "objects.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in done.stdout


def test_a_configuration_that_is_there_stays():
    where = folder()
    config = where / "etc/postern/postern.yaml"
    install(where)
    config.write_text("hostname: mine.example\n")
    install(where)
    assert config.read_text() == "hostname: mine.example\n"
    remove(where)


def test_unit_and_configuration_speak_of_the_same_places(root, unit):
    config = yaml.safe_load((root / "etc/postern/postern.yaml").read_text())
    state = pathlib.Path("/var/lib") / settings(unit, "StateDirectory")[0]
    for field in ("spool", "directory"):
        assert state in pathlib.Path(config[field]).parents
    assert pathlib.Path("/run") / settings(unit, "RuntimeDirectory")[0] in pathlib.Path(config["control"]).parents
    assert settings(unit, "ExecStart")[0].endswith("/sbin/posternd -c /etc/postern/postern.yaml")


def test_the_unit_is_sound(root, prefix, unit):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze")
    copy = root / "postern.service"
    copy.write_text(re.sub(r"^ExecStart=.*$", f"ExecStart={prefix}/sbin/posternd -c x", unit, flags=re.M))
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", copy)
    assert done.returncode == 0 and "postern.service" not in done.stderr, done.stderr
    # Of 100, the less the better: 50 is "ok".
    done = run("systemd-analyze", "security", "--offline=true", "--threshold=35", copy)
    assert done.returncode == 0, done.stdout


def test_the_users_are_those_that_posternd_looks_for(root, prefix):
    text = (prefix / "lib/sysusers.d/postern.conf").read_text()
    made = set(re.findall(r"^u (\S+)", text, re.M))
    defaults = run(prefix / "bin/posternctl", "--help")  # any program will do: the names come from the reference page
    assert defaults.returncode == 0
    page = (prefix / "share/man/man5/postern.yaml.5").read_text()
    assert made == set(re.findall(r"postern-(?:smtpd|delivery|admin|keys|fetch)\b", page.replace("\\-", "-")))
    if not shutil.which("systemd-sysusers") or not IS_ROOT:
        return
    done = run("systemd-sysusers", f"--root={root}", prefix / "lib/sysusers.d/postern.conf")
    assert done.returncode == 0, done.stderr
    passwd = (root / "etc/passwd").read_text()
    groups = (root / "etc/group").read_text()
    administrators = re.search(r"^postern:x:(\d+):(.*)$", groups, re.M)
    roles = re.search(r"^postern-roles:x:(\d+):", groups, re.M)[1]
    assert administrators[1] != roles and administrators[2] == ""
    for name in made:
        # Whoever runs as a role's user (su, a job of cron) is no administrator by that.
        assert re.search(rf"^{name}:x:\d+:{roles}:", passwd, re.M)


@pytest.mark.skipif(not IS_ROOT or not shutil.which("setpriv"), reason="needs root")
def test_the_rights_of_the_unit_are_enough(prefix, unit):
    home = folder()
    home.chmod(0o755)
    port = free_port()
    (home / "postern.yaml").write_text(
        f"hostname: gw.example.test\nspool: {home}/spool\ndirectory: {home}/db/directory.db\ncontrol: {home}/run/control.sock\n"
        f'listeners:\n  mx: {{ address: "127.0.0.1:{port}" }}\n')
    (home / "objects.yaml").write_text("domains:\n  c.example: { mailboxes: true }\naccounts:\n  ann@c.example: {}\n")
    rights = settings(unit, "CapabilityBoundingSet")[0].lower().replace("cap_", "").split()
    bound = ",".join(["-all"] + ["+" + right for right in rights])
    with open(home / "log", "wb") as log:
        server = subprocess.Popen(
            ["setpriv", "--no-new-privs", f"--bounding-set={bound}", "--inh-caps=-all", str(prefix / "sbin/posternd"), "-c",
             str(home / "postern.yaml")], stderr=log)
    try:
        def said():
            return (home / "log").read_text()
        for life in range(2):  # the second one finds what belongs to others
            wait_until("ready", lambda: "posternd: ready" in said() or server.poll() is not None)
            assert server.poll() is None, said()
            done = run(prefix / "bin/posternctl", "-c", home / "postern.yaml", "apply", "-f", home / "objects.yaml")
            assert done.returncode == 0, done.stderr
            client = smtp.Client(("127.0.0.1", port))
            client.send("a@b.example", ["ann@c.example"], b"Subject: x\r\n\r\nx\r\n")
            client.close()
            wait_until("delivered", lambda: len(list((home / "mail").glob("**/new/*"))) == life + 1)
            server.terminate()
            assert server.wait(30) == 0
            if life == 0:
                (home / "log").write_text("")
                with open(home / "log", "ab") as log:
                    server = subprocess.Popen(server.args, stderr=log)
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
        remove(home)
