"""What administrators script against: the start file, the objects, posternctl and its exit codes."""
import json
import os
import pathlib
import shutil

import pytest
import yaml

from lib.peers import Knot
from lib.smtp import message
from lib.world import IS_ROOT, WAIT_S, free_port, wait_until

START = """\
# postern.yaml
hostname: gw.example.test
spool: /tmp/p/spool
directory: /tmp/p/directory.db
control: /tmp/p/control.sock
workers: 2
listeners:
  mx: { address: "127.0.0.1:2525" }
limits: { message-size: 50M, hops: 50 }
"""

OBJECTS = """\
# objects.yaml, for: posternctl -c postern.yaml apply -f objects.yaml   (export prints the same form)
transports:
  site-a:   { server: "127.0.0.1:2626", retry-delay: "60,120,180", retry-count: 30, give-up: dsn }
  mx-only:  { server: "lookup-mx:zone=customer.example.org;query=127.0.0.1:5353", retry-delay: "1m, 5m*2, 1h*3" }
  outbound: { server: "lookup-mx" }
domains:
  a.example: { transport: site-a }
  b.example: { transport: mx-only }
  c.example: { mailboxes: true }
accounts:
  ann@c.example: {}
default-transport: outbound
"""

USERS = ["root", "nobody"] if IS_ROOT else [None]


@pytest.fixture
def its_own_folder():
    """The start file names /tmp/p; whatever lies there on a developer's machine is put aside."""
    home, aside = pathlib.Path("/tmp/p"), pathlib.Path("/tmp/p.before-the-tests")
    if home.exists():
        if not IS_ROOT and home.stat().st_uid != os.geteuid():
            pytest.skip("/tmp/p is another user's")
        home.rename(aside)
    home.mkdir(mode=0o755)
    yield home
    shutil.rmtree(home, ignore_errors=True)
    if aside.exists():
        aside.rename(home)


@pytest.mark.xdist_group("fixed ports")
@pytest.mark.parametrize("user", USERS)
def test_the_very_files(gateway, its_own_folder, peer, sink, user):
    """The files of the manual as they stand, as root and as an ordinary user: mail goes to the fixed server, into the mailbox,
    and by the zone's exchangers from the DNS server that the transport names."""
    hop = sink(port=2626)
    peer(Knot({"customer.example.org": "b.example MX 10 mx.b.example\nmx.b.example A 127.0.0.5"}, port=5353))
    exchanger = sink(host="127.0.0.5", port=25) if IS_ROOT else None
    user = None if user == "root" else user
    server = gateway(OBJECTS, home=its_own_folder, config=START, user=user)
    server.ctl("transport", "set", "mx-only", "private-hosts=yes")  # the exchanger of this test is on loopback
    with server.client() as client:
        client.send("bob@sender.example", ["joe@a.example", "ann@c.example"])
        if exchanger:
            client.send("bob@sender.example", "joe@b.example")
    assert hop.wait(1)[0].rcpts == ["joe@a.example"]
    assert len(server.wait_mailbox("ann@c.example")) == 1
    if exchanger:
        assert exchanger.wait(1)[0].rcpts == ["joe@b.example"]
    server.wait_empty()
    assert "87 hours" in server.ctl("transport", "show", "site-a").stdout
    checked = server.ctl("check", "-f", its_own_folder / "objects.yaml").stdout
    warnings = [line for line in checked.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1 and "error" not in checked, checked
    assert warnings[0].startswith("warning: postmaster: is not set, and gw.example.test, c.example have no such account")
    # What was exported, applied to an empty directory, is the same again; and what it says is what was asked for.
    exported = server.ctl("export").stdout
    assert yaml.safe_load(exported)["domains"] == yaml.safe_load(OBJECTS)["domains"]
    again = gateway(exported)
    assert again.ctl("export").stdout == exported
    assert "nothing to change" in again.apply(exported).stdout


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files to another user")
def test_as_root_nothing_is_readable_for_others(gateway):
    server = gateway({"domains": {"c.example": {"mailboxes": True}}, "accounts": {"ann@c.example": {}}})
    server.send("a@sender.example", "ann@c.example", message("secret"))
    server.wait_mailbox("ann@c.example")
    for top in (server.spool, server.mail, server.home / "directory.db", server.home / "trace"):
        assert top.exists()
        assert top.stat().st_mode & 0o007 == 0, f"{top}: {oct(top.stat().st_mode)}"
    assert server.ctl("status", code=None, user="nobody").returncode == 1


# ---- apply

BAD = {
    "an unknown field": ("transports:\n  t: { server: \"127.0.0.1:2626\", colour: red }\n", 2, "colour"),
    "a bad value": ("transports:\n  t:\n    server: \"127.0.0.1:2626\"\n    retry-count: many\n", 4, "retry-count"),
    "out of bounds": ("transports:\n  t:\n    server: \"127.0.0.1:2626\"\n    connections: 0\n", 4, "connections"),
    "a missing field": ("transports:\n  t: { retry-count: 3 }\n", 2, "server"),
    "a name that is not there": ("domains:\n  d.example: { transport: nowhere }\n", 2, "nowhere"),
    "both or neither": ("domains:\n  d.example: { }\n", 2, "transport"),
    "a doubled key": ("domains:\n  d.example: { mailboxes: true }\n  d.example: { mailboxes: true }\n", 3, "d.example"),
    "no YAML": ("domains:\n  d.example: { mailboxes: true\nx: [\n", None, ""),
    "an anchor": ("domains: &x\n  d.example: { mailboxes: true }\n", 1, ""),
    "a bad domain": ("domains:\n  -d..example: { mailboxes: true }\n", 2, ""),
    "a bad account": ("accounts:\n  ann@nowhere.example: {}\n", 2, "nowhere.example"),
    "a bad schedule": ("transports:\n  t:\n    server: lookup-mx\n    retry-delay: \"60,,x\"\n", 4, "retry-delay"),
    "a bad server": ("transports:\n  t:\n    server: \"lookup-mx:zoo=x\"\n", 3, "server"),
    "an unknown section": ("transport:\n  t: { server: lookup-mx }\n", 1, "transport"),
    "an unknown default": ("default-transport: nowhere\n", 1, "nowhere"),
}


@pytest.mark.parametrize("what", BAD)
def test_apply_refuses_bad_input_and_changes_nothing(gateway, what):
    server = gateway({"transports": {"keep": {"server": "127.0.0.1:2626"}}, "domains": {"keep.example": {"transport": "keep"}}})
    before = server.ctl("export").stdout
    generation = server.status()["directory"]["generation"]
    text, line, word = BAD[what]
    done = server.apply("# a comment\n" + text, code=1)
    assert f"objects.yaml:{line + 1}" in done.stderr if line else "objects.yaml:" in done.stderr, done.stderr
    assert word in done.stderr and done.stdout == ""
    # All or nothing: good objects beside it are not taken either.
    good = "domains:\n  good.example: { mailboxes: true }\n" if not text.startswith("domains") else "default-transport: keep\n"
    server.apply(good + text, code=1)
    assert server.ctl("export").stdout == before
    assert server.status()["directory"]["generation"] == generation


def test_apply_says_what_it_changed(gateway):
    server = gateway()
    out = server.apply(OBJECTS).stdout
    for word in ("site-a", "mx-only", "outbound", "a.example", "b.example", "c.example", "ann@c.example", "default-transport"):
        assert word in out
    assert "nothing to change" in server.apply(OBJECTS).stdout
    out = server.apply("transports:\n  site-a: { server: \"127.0.0.1:2727\", retry-delay: \"60,120,180\", retry-count: 30 }\n").stdout
    assert "2727" in out and "site-a" in out and "mx-only" not in out
    before = server.ctl("export").stdout
    out = server.apply("transports:\n  site-a: { server: \"127.0.0.1:2727\" }\ndomains:\n  a.example: { transport: site-a }\n", "--prune", "--dry-run").stdout
    assert "b.example" in out and server.ctl("export").stdout == before
    server.apply("transports:\n  site-a: { server: \"127.0.0.1:2727\" }\ndomains:\n  a.example: { transport: site-a }\n", "--prune")
    assert server.json("domain", "list")["domains"][0]["name"] == "a.example"
    assert len(server.json("domain", "list")["domains"]) == 1 and server.json("account", "list")["accounts"] == []


def test_apply_from_standard_input(gateway):
    server = gateway()
    server.ctl("apply", "-f", "-", input=OBJECTS)
    assert len(server.json("transport", "list")["transports"]) == 3


def test_single_objects(gateway):
    server = gateway()
    server.ctl("transport", "add", "t", "server=127.0.0.1:2626", "retry-delay=60,120,180", "retry-count=30")
    shown = server.ctl("transport", "show", "t").stdout
    assert "87 hours" in shown and "60,120,180" in shown
    server.ctl("transport", "add", "t", "server=127.0.0.1:2626", code=1)
    server.ctl("transport", "set", "t", "retry-count=2")
    assert "87 hours" not in server.ctl("transport", "show", "t").stdout
    server.ctl("transport", "set", "t", "retry-count=two", code=1)
    server.ctl("transport", "set", "none", "retry-count=2", code=1)
    server.ctl("domain", "add", "A.Example", "transport=t")
    assert "a.example" in server.ctl("domain", "show", "a.example").stdout
    assert "a.example" in server.ctl("transport", "remove", "t", code=1).stderr  # who uses it is said
    server.ctl("domain", "remove", "a.example")
    server.ctl("transport", "remove", "t")
    server.ctl("domain", "add", "c.example", "mailboxes=true")
    server.ctl("account", "add", "ann@c.example")
    server.ctl("priority", "add", "sender=@c.example")
    rule, = server.json("priority", "list")["priorities"]
    server.ctl("priority", "remove", rule["name"])
    server.ctl("transport", "add", "u", "server=lookup-mx")
    server.ctl("settings", "set", "default-transport=u")
    assert "u" in server.ctl("settings", "show").stdout
    changes = server.json("audit")["entries"]
    assert len(changes) >= 9 and changes[0]["actor"] and "default-transport" in changes[0]["change"]


LISTINGS = [["status"], ["export"], ["check"], ["transport", "list"], ["transport", "show", "site-a"], ["domain", "list"],
            ["domain", "show", "a.example"], ["account", "list"], ["account", "show", "ann@c.example"], ["priority", "list"],
            ["settings", "show"], ["audit"], ["queue", "list"], ["queue", "list", "state=deferred"], ["queue", "summary"],
            ["queue", "summary", "transport"], ["trace", "ann@c.example"], ["spool", "verify"],
            ["explain", "--client", "192.0.2.1", "--from", "a@sender.example", "--to", "ann@c.example"],
            ["queue", "retry", "age>0s"], ["queue", "pause"], ["queue", "resume"], ["transport", "pause", "site-a"],
            ["transport", "resume", "site-a"], ["domain", "pause", "a.example"], ["domain", "resume", "a.example"]]


def test_every_listing_speaks_json(gateway):
    server = gateway(OBJECTS)
    server.send("a@sender.example", ["joe@a.example", "ann@c.example"])
    server.wait_mailbox("ann@c.example")
    for listing in LISTINGS:
        for command in (["--json", *listing], [*listing, "--json"]):
            out = server.ctl(*command).stdout
            assert isinstance(json.loads(out), dict), f"{command}: {out!r}"
        assert server.ctl(*listing).stdout.strip(), listing
    # Refusals, too; and what is exported as JSON is an objects file.
    refused = server.ctl("--json", "queue", "show", "6p0hg40000003", code=1)
    assert "no such message" in json.loads(refused.stderr)["error"] and not refused.stdout
    exported = server.ctl("--json", "export").stdout
    assert json.loads(exported)["domains"] == yaml.safe_load(OBJECTS)["domains"]
    assert "nothing to change" in server.ctl("apply", "-f", "-", "--prune", input=exported).stdout


@pytest.mark.parametrize("args", [
    [], ["nonsense"], ["apply"], ["apply", "-f"], ["queue"], ["queue", "nonsense"], ["queue", "show"], ["queue", "hold"],
    ["queue", "reroute", "age>0s"], ["transport", "nonsense"], ["transport", "show"], ["trace"], ["explain"],
    ["explain", "--client", "192.0.2.1"], ["status", "extra"], ["--nonsense"], ["queue", "list", "--nonsense"], ["spool"],
    ["queue", "list", "--limit", "many"]])
def test_wrong_usage_is_2(gateway, args):
    server = gateway()
    done = server.ctl(*args, code=2)
    assert "posternctl" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("args, word", [
    (["queue", "show", "0000000000000"], "no such message"), (["queue", "hold", "0000000000001"], "no such message"),
    (["queue", "list", "colour=red"], "column"), (["queue", "list", "state=(("], "column"), (["transport", "show", "none"], "none"),
    (["explain", "--client", "nonsense", "--from", "a@b.example", "--to", "c@d.example"], "IP"), (["trace", "since=yesteryear"], "since"),
    (["apply", "-f", "/nonexistent"], "No such file"), (["queue", "reroute", "age>0s", "--transport", "none"], "transport")])
def test_refusals_are_1_with_the_reason(gateway, args, word):
    done = gateway().ctl(*args, code=1)
    assert word in done.stderr and done.stdout == "", done.stderr


def test_without_a_server(gateway):
    server = gateway(started=False)
    done = server.ctl("status", code=1)
    assert "is posternd running" in done.stderr
    assert server.ctl("--help").stdout.startswith("usage: posternctl")
    assert server.ctl("--version").stdout.startswith("posternctl ")
    server.ctl("check")


def test_status_tells_how_things_are(gateway):
    server = gateway(OBJECTS)
    status = server.status()
    assert status["hostname"] == "gw.example.test"
    assert status["directory"]["transports"] == 3 and status["directory"]["domains"] == 3 and status["directory"]["accounts"] == 1
    assert set(status["roles"]) == {"delivery", "smtpd 0", "smtpd 1"}
    server.ctl("queue", "pause", "--reason", "a test")
    assert server.status()["paused"]["reason"] == "a test"
    server.ctl("queue", "resume")
    assert "paused" not in server.status()


def test_explain_goes_rule_by_rule(gateway):
    server = gateway(OBJECTS)

    def explain(client, to, *more):
        return server.ctl("explain", "--client", client, "--from", "bob@sender.example", "--to", to, *more).stdout

    assert "site-a" in explain("192.0.2.1", "joe@a.example") and "127.0.0.1, port 2626" in explain("192.0.2.1", "joe@a.example")
    refused = explain("192.0.2.1", "joe@elsewhere.example")
    assert "5.7.1" in refused and "outbound" not in refused.splitlines()[-1]
    assert "outbound" in explain("127.0.0.1", "joe@elsewhere.example")
    assert "5.1.1" in explain("192.0.2.1", "nobody@c.example")
    assert "ann@c.example" in explain("192.0.2.1", "Ann@C.Example")
    whole = server.json("explain", "--client", "192.0.2.1", "--from", "<>", "--to", "joe@a.example")
    assert whole["outcome"] == "transport" and whole["next"] == "delivered" and whole["transport"]["name"] == "site-a" and whole["steps"]
    assert "no listener" in server.ctl("explain", "--client", "192.0.2.1", "--from", "<>", "--to", "joe@a.example", "--listener", "nope", code=1).stderr


def test_status_tells_what_an_administrator_looks_for(gateway):
    """How long mail has been waiting, for whom, and what room there is."""
    server = gateway({"transports": {"t": {"server": f"127.0.0.1:{free_port()}"}, "u": {"server": f"127.0.0.1:{free_port()}"}},
                      "domains": {"a.example": {"transport": "t"}, "b.example": {"transport": "u"}}})
    assert "oldest" not in server.status()["queue"]
    id = server.send("bob@sender.example", "joe@a.example")
    server.wait_blocker(id, "destination-down", "down")
    server.ctl("transport", "pause", "u", "--reason", "moving house")
    status, text = server.status(), server.ctl("status").stdout
    assert status["queue"]["destinations_down"] == 1 and status["queue"]["oldest_age_s"] < WAIT_S
    assert status["queue"]["oldest"] == server.queue()[0]["arrived"]
    assert status["spool_disk"]["free_bytes"] <= status["spool_disk"]["total_bytes"]
    assert status["pauses"][0]["name"] == "u" and status["version"] and status["uptime_s"] >= 0 and status["listeners"][0]["name"] == "mx"
    for part in ("1 message", "the oldest came", "of 1 destination (see queue summary)", " free", "transport u since", "moving house", "\ndnssec "):
        assert part in text, text
    server.ctl("queue", "delete", id)
    assert "oldest" not in server.ctl("status").stdout


def test_a_damaged_directory_says_which_file_and_what_to_do(gateway):
    server = gateway(OBJECTS)
    exported = server.ctl("export").stdout
    server.stop()
    server.deaths_expected = True
    database = server.home / "directory.db"
    database.write_bytes(b"a letter to my aunt " * 1000)
    server.spawn()
    assert server.process.wait(WAIT_S) == 1
    server.process = None
    log = server.log_since_start()
    assert str(database) in log and "restore it from a backup" in log and "posternctl apply -f" in log
    # What it says works.
    for path in server.home.glob("directory.db*"):
        path.unlink()
    server.start(apply=False)
    server.apply(exported)
    assert server.ctl("export").stdout == exported


# ---- the start file

@pytest.mark.parametrize("text, line, word", [
    ("hostname: gw.example.test\nspool: /tmp/p/s\ncolour: red\n", 3, "colour"),
    ("hostname: gw.example.test\nspool: /tmp/p/s\nworkers: none\n", 3, "workers"),
    ("hostname: gw.example.test\nlisteners:\n  mx: { address: \"127.0.0.1:99999\" }\n", 3, "address"),
    ("hostname: gw.example.test\nlimits:\n  message-size: 1\n", 3, "message-size"),
    ("hostname: [\n", None, ""),
    ("hostname: gw.example.test\nhostname: two.example.test\n", 2, "hostname"),
])
def test_a_bad_start_file_is_told_with_its_line(gateway, text, line, word):
    server = gateway(started=False, config=None)
    server.config.write_text(text)
    server.spawn()
    assert server.process.wait(WAIT_S) == 1
    server.process = None
    assert (f"postern.yaml:{line}" if line else "postern.yaml:") in server.log() and word in server.log()
    done = server.ctl("status", code=1)
    assert (f"postern.yaml:{line}" if line else "postern.yaml:") in done.stderr


def test_a_port_in_use_is_told(gateway):
    first = gateway()
    second = gateway(started=False, start={"listeners": {"mx": {"address": f"127.0.0.1:{first.port}"}}})
    second.spawn()
    assert second.process.wait(WAIT_S) == 1
    second.process = None
    assert f"127.0.0.1:{first.port}" in second.log() and "another program listens" in second.log()


def test_a_second_one_on_the_same_spool_is_refused(gateway):
    first = gateway()
    second = gateway(started=False, start={"spool": str(first.spool)})
    second.spawn()
    assert second.process.wait(WAIT_S) == 1
    second.process = None
    assert "another posternd" in second.log() and str(first.spool) in second.log()
    first.ctl("status")


def test_wrong_usage_of_posternd():
    import subprocess
    from lib.postern import programs
    assert subprocess.run([programs() / "posternd"], capture_output=True).returncode == 2
    assert subprocess.run([programs() / "posternd", "-c", "/nonexistent.yaml"], capture_output=True).returncode == 1
    assert subprocess.run([programs() / "posternd", "--version"], capture_output=True).returncode == 0


def test_a_broken_start_file_locks_nobody_out(gateway):
    """Who edits the start file of a running server, and makes a mistake, can still steer the server."""
    server = gateway(OBJECTS)
    good = server.config.read_text()
    server.config.write_text(good + "colour: red\n")
    paused = server.ctl("queue", "pause", "--reason", "r1")
    assert "all deliveries are paused" in paused.stdout and "warning" in paused.stderr and "colour" in paused.stderr
    assert server.json("status")["paused"]["reason"] == "r1"
    server.ctl("queue", "pause", "--reason", "r2")
    assert server.json("status")["paused"]["reason"] == "r2"
    assert "colour" in server.ctl("check", code=1).stderr
    server.config.write_text("control: [")
    assert "--socket PATH" in server.ctl("status", code=1).stderr
    server.ctl("queue", "resume", "--socket", server.home / "control.sock")
    server.config.write_text(good)
    assert "paused" not in server.status()


def test_what_a_list_of_transports_says(gateway):
    server = gateway({"transports": {"t": {"server": f"127.0.0.1:{free_port()}"}, "u": {"server": "127.0.0.1:26"}},
                      "domains": {"a.example": {"transport": "t"}}})
    server.send("s@sender.example", "x@a.example")
    wait_until("its server is seen to be down", lambda: server.json("transport", "list")["transports"][0]["destinations_down"] == 1)
    first, second = server.json("transport", "list")["transports"]
    assert (first["queued"], first["destinations"]) == (1, 1)
    assert (second["queued"], second["destinations_down"]) == (0, 0)
    head, row, _ = (line.split() for line in server.ctl("transport", "list").stdout.splitlines())
    assert head[-3:] == ["DOWN", "QUEUED", "STATE"] and row[-4:] == ["1", "of", "1", "1"]


def test_logs_as_json_lines(gateway):
    server = gateway(OBJECTS, start={"log": {"format": "json"}})
    id = server.send("a@sender.example", "ann@c.example")
    server.wait_mailbox("ann@c.example")
    server.stop()
    lines = [json.loads(line) for line in server.log().splitlines() if not line.startswith("posternd: ready")]
    kinds = {line.get("event") for line in lines if line.get("id") == id}
    assert {"Reception", "Delivery"} <= kinds
