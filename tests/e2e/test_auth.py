"""Logging in: by every mechanism and every wrong way, who guesses, as whom one may send, and what is written about it."""
import concurrent.futures
import smtplib
import subprocess
import time

import pytest

from lib.accounts import crypt, scram, verifiers
from lib.guarded import PASSWORD, STRANGER, Guarded, received
from lib.peers import need
from lib.tls import BoundClient, b64, context, plain
from lib.world import wait_until

JOE = "joe@c.example"
MECHANISMS = ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")


@pytest.fixture
def guarded(gateway, sink, peer):
    return lambda **options: Guarded(gateway, sink, peer, **options)


def events(one, kind, *query):
    return [e for e in one.server.trace(*query or ["since=1h"]) if e["event"] == kind]


# ---- right ones


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_every_mechanism(guarded, version):
    """After STARTTLS and with TLS from the first byte; whoever logged in relays, and it is said who that was."""
    one = guarded()
    for listener in ("front", "submission"):
        for mechanism in MECHANISMS:
            with one.client(listener, kind=BoundClient, version=version) as client:
                assert mechanism in client.extensions["AUTH"].split()
                assert client.login(JOE, PASSWORD, mechanism).code == 235
                id = client.send(JOE, f"{mechanism.lower()}@far.example")
            arrived = one.outside.wait_for(f"{mechanism.lower()}@far.example")
            assert f" with ESMTPSA ({version} " in received(arrived.body)
            assert JOE not in received(arrived.body), "who logged in is nobody else's business"
            reception, = one.server.events(id, "Reception")
            assert reception["user"] == JOE and reception["listener"] == listener
            one.outside.messages.clear()
    assert sum(role["logins"] for name, role in one.server.status()["roles"].items() if name.startswith("smtpd")) == 2 * len(MECHANISMS)


def test_gsasl_logs_in(guarded):
    """An implementation that is not ours, with its own view of channel binding."""
    need(subprocess.run(["which", "gsasl"], capture_output=True).returncode == 0, "no gsasl")
    one = guarded()
    for mechanism in MECHANISMS:
        unbound = ["--no-cb"] if mechanism == "SCRAM-SHA-256" else []
        done = subprocess.run(["gsasl", "--client", "--smtp", "--mechanism", mechanism, "--authentication-id", JOE, "--password", PASSWORD,
                               "--x509-ca-file", str(one.ca.crt), "--hostname", "localhost",
                               "--connect", "localhost:%d" % one.ports["mx"], *unbound], capture_output=True, text=True, input="",
                              timeout=30)
        assert "Client authentication finished (server trusted)" in done.stdout + done.stderr, (mechanism, done)
    wait_until("four logins", lambda: one.server.log().count("logged in") == len(MECHANISMS))
    for mechanism in MECHANISMS:
        assert f'mechanism="{mechanism}"' in one.server.log()


def test_where_auth_is_offered(guarded):
    one = guarded(listeners={"clear": {}, "loose": {"auth-without-tls": True}})
    for listener, expected in (("clear", set()), ("loose", set(MECHANISMS) - {"SCRAM-SHA-256-PLUS"})):
        with one.client(listener, starttls=False) as client:
            assert set(client.extensions.get("AUTH", "").split()) == expected
    # Nothing in clear, and what was tried is not written anywhere.
    with one.client("mx", starttls=False) as client:
        assert "AUTH" not in client.extensions
        assert client.cmd(f"AUTH PLAIN {plain(JOE, PASSWORD)}", 538).enhanced == "5.7.11"
        client.cmd("AUTH LOGIN", 538)
    with one.client("clear", starttls=False) as client:
        client.cmd(f"AUTH PLAIN {plain(JOE, PASSWORD)}", 502, 503)
    with one.client("loose", starttls=False) as client:
        assert client.login(JOE, PASSWORD).code == 235
        client.send(JOE, "x@far.example")
    assert " with ESMTPA id " in received(one.outside.wait(1)[0].body)
    # Hidden: only who knows of it.
    one.server.apply({"relay": {"front": {"advertise-auth": False}}})
    with one.client("front") as client:
        assert "AUTH" not in client.extensions
        assert client.login(JOE, PASSWORD).code == 235
        assert one.may_relay(client, JOE)


def test_what_a_password_may_hold(guarded):
    words = ["p", "with space ", "a=b,c", "\u00fcml\u00e4ut \u2603", "x" * 500, "\"quoted\\\""]
    users = {f"u{n}@c.example": {"verifiers": verifiers(word)} for n, word in enumerate(words)}
    one = guarded(objects={"accounts": users})
    for n, word in enumerate(words):
        for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
            with one.client("mx") as client:
                assert client.login(f"u{n}@c.example", word, mechanism).code == 235, (word, mechanism)
    # Unicode's other form of the same word, as another system's keyboard makes it (RFC 4013); the name in capitals.
    with one.client("mx") as client:
        assert client.login("U3@C.EXAMPLE", "u\u0308ml\u00e4ut \u2603").code == 235
    # One kind of verifier alone is enough for what it can be used for.
    one.server.apply({"accounts": {"a@c.example": {"verifiers": "crypt:" + crypt("one")}, "b@c.example": {"verifiers": scram("two")}}})
    for user, word, mechanism, code in (("a@c.example", "one", "PLAIN", 235), ("a@c.example", "one", "SCRAM-SHA-256", 535),
                                        ("b@c.example", "two", "PLAIN", 235), ("b@c.example", "two", "SCRAM-SHA-256", 235)):
        with one.client("mx") as client:
            assert client.login(user, word, mechanism).code == code, (user, mechanism)


# ---- the state of a session


def test_auth_in_the_wrong_place(guarded):
    """RFC 4954 section 4: once, and not in a transaction."""
    one = guarded()
    with one.client("front") as client:
        client.cmd("MAIL FROM:<evil@evil.example>", 250)
        client.cmd(f"AUTH PLAIN {plain(JOE, PASSWORD)}", 503)
        client.cmd("RSET", 250)
        assert not one.may_relay(client)
        assert client.login(JOE, PASSWORD).code == 235
        client.cmd(f"AUTH PLAIN {plain(JOE, PASSWORD)}", 503)
        client.cmd("AUTH LOGIN", 503)
        assert one.may_relay(client, JOE)
        # RSET and another EHLO leave who logged in logged in.
        client.ehlo("again.example")
        assert one.may_relay(client, JOE)
    with one.client("front", helo=None, starttls=False) as client:
        client.cmd(f"AUTH PLAIN {plain(JOE, PASSWORD)}", 503)
    with one.client("submission", helo=None) as client:
        client.cmd(f"AUTH PLAIN {plain(JOE, PASSWORD)}", 503)  # EHLO comes first
        client.cmd("HELO client.example", 250)
        client.cmd(f"AUTH PLAIN {plain(JOE, PASSWORD)}", 503)
    # In one packet with what follows: that waits until the password is looked at.
    with one.client("front") as client:
        client.raw(f"AUTH PLAIN {plain(JOE, PASSWORD)}\r\nMAIL FROM:<{JOE}>\r\nRCPT TO:<x@far.example>\r\nRSET\r\n".encode())
        assert [client.reply().code for _ in range(4)] == [235, 250, 250, 250]
        client.raw(b"NOOP\r\n")
        client.expect(250)


def test_exchanges_that_go_wrong(guarded):
    """Each leaves the session as it was: not logged in, and able to go on."""
    one = guarded()
    wrong = [
        (["AUTH PLAIN", "*"], 501), (["AUTH LOGIN", "*"], 501), (["AUTH LOGIN", b64(JOE), "*"], 501), (["AUTH SCRAM-SHA-256", "*"], 501),
        (["AUTH PLAIN !!!!"], 501), (["AUTH PLAIN", "not base64"], 501), (["AUTH PLAIN AAA"], 501), (["AUTH PLAIN ="], 501, 535),
        (["AUTH PLAIN " + b64("no nuls")], 501), (["AUTH PLAIN " + b64("a\0b\0c\0d")], 501, 535), (["AUTH PLAIN " + b64("\0\0")], 501, 535),
        (["AUTH PLAIN " + plain(JOE, "")], 501, 535), (["AUTH LOGIN", ""], 501), (["AUTH LOGIN", b64(JOE), ""], 501, 535),
        (["AUTH LOGIN", b64(JOE), b64("a\0b")], 501, 535), (["AUTH PLAIN " + b64(b"\0\xff\xfe\0\xff")], 501, 535),
        (["AUTH SCRAM-SHA-256 " + b64("n,,n=joe")], 501), (["AUTH SCRAM-SHA-256 " + b64("x,,n=joe,r=abc")], 501),
        (["AUTH SCRAM-SHA-256 " + b64("n,,m=ext,n=joe,r=abc")], 501), (["AUTH SCRAM-SHA-256 " + b64("p=tls-unique,,n=joe,r=abc")], 501),
        (["AUTH SCRAM-SHA-256 " + b64("n,,n=j=oe,r=abc")], 501), (["AUTH CRAM-MD5"], 504), (["AUTH GSSAPI", ], 504), (["AUTH"], 501),
        (["AUTH PLAIN " + "A" * 20000], 500, 501), (["AUTH LOGIN", "QUFB" * 1000], 500), (["AUTH PLAIN x y z"], 501),
        (["AUTH PLAIN " + b64(f"other@c.example\0{JOE}\0{PASSWORD}")], 535),
    ]
    for lines, *codes in wrong:
        with one.client("front") as client:
            for line in lines[:-1]:
                client.cmd(line, 334)
            assert client.cmd(lines[-1]).code in codes, (lines[-1][:80], codes)
            assert not one.may_relay(client)
    # A proof for another server's challenge, another nonce, a changed binding.
    for tamper in (lambda f: f.replace("r=", "r=x"), lambda f: f.replace("c=biws", "c=eSws"), lambda f: f[:-8] + "AAAAAAA=", lambda f: f + ",x=1",
                   lambda f: "v=abc"):
        with one.client("front") as client:
            assert client.scram(JOE, PASSWORD, tamper=tamper).code in (501, 535)
            assert not one.may_relay(client)
    # A line over the limit of a command is thrown away whole, and no part of it is a command.
    with one.client("front") as client:
        client.cmd("AUTH LOGIN", 334)
        client.raw(b"A" * 200000 + b"\r\n")
        assert client.reply().code == 500
        client.cmd("NOOP", 250)


def test_who_takes_the_binding_away_is_found(guarded):
    """Somebody between client and server, who took -PLUS out of our offer, or has two links with a key each."""
    one = guarded()
    with one.client("front", kind=BoundClient) as client:
        assert client.scram(JOE, PASSWORD, gs2="y,,").code == 535, "the client could bind and was told that we cannot"
    with one.client("front", kind=BoundClient) as client:
        assert client.scram(JOE, PASSWORD, "SCRAM-SHA-256-PLUS", binding=b"\0" * 32).code == 535
    with one.client("front", kind=BoundClient) as client:
        assert client.scram(JOE, PASSWORD, "SCRAM-SHA-256-PLUS", gs2="n,,", binding=b"").code in (501, 535)
    with one.client("front", kind=BoundClient) as client:
        assert client.scram(JOE, PASSWORD, "SCRAM-SHA-256-PLUS").code == 235


# ---- who guesses


def guess(one, who, user=JOE, word="wrong", mechanism="PLAIN"):
    """One try on a connection of its own: the reply and how long it took."""
    with one.client("front", who=who) as client:
        began = time.monotonic()
        reply = client.login(user, word, mechanism)
        return reply, time.monotonic() - began


def side_by_side(*calls):
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [done.result() for done in [pool.submit(*call) for call in calls]]


def test_bad_news_wait_longer_each_time(guarded):
    """For accounts that there are, and that there are not; three in one session end it."""
    one = guarded()

    def twice(user):
        who = f"192.0.2.{10 + len(user)}"
        reply, first = guess(one, who, user)
        assert reply.code == 535 and reply.enhanced == "5.7.8" and 0.9 < first < 1.9, first
        reply, second = guess(one, who, user, mechanism="SCRAM-SHA-256")
        assert reply.code == 535 and 1.9 < second < 3, second

    def thrice():
        with one.client("front", who="203.0.113.1") as client:
            client.raw(b"".join(f"AUTH PLAIN {plain(f'u{n}@c.example', 'x')}\r\n".encode() for n in range(4)))
            assert [client.reply().code for _ in range(4)] == [535, 535, 535, 421]
            assert client.is_closed()
    side_by_side((twice, JOE), (twice, "nobody@c.example"), (twice, "nobody@far.example"), (thrice,))
    assert {e["why"] for e in events(one, "Rejection", "client=203.0.113.1")} == {"auth", "abuse"}


def test_the_same_wrong_password_by_another_mechanism_is_one_mistake(guarded):
    """Python's smtplib tries PLAIN, then LOGIN: its second login() is not sent away, and one failure is counted for each password."""
    one = guarded()
    with smtplib.SMTP(*one.address("mx"), timeout=20) as client:
        client.starttls(context=context(one.ca.crt))
        for word in ("wrong one", "wrong two"):
            began = time.monotonic()
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                client.login(JOE, word)
            assert refused.value.smtp_code == 535 and time.monotonic() - began < 3
        failures, = (lock["failures"] for lock in one.server.json("user", "locks")["locks"] if lock["kind"] == "account")
        assert failures == 2
        assert client.login(JOE, PASSWORD)[0] == 235


def test_guessers_are_stopped_and_the_owner_is_not(guarded):
    """Side by side, as they guess: the limits hold for tries under way, too."""
    one = guarded()
    home = "198.51.100.7"
    with one.client("front", who=home) as client:
        assert client.login(JOE, PASSWORD).code == 235
    # One address, many names: ten tries.
    clients = [one.client("front", who="203.0.113.5") for _ in range(16)]
    for n, client in enumerate(clients):
        client.raw(f"AUTH PLAIN {plain(f'u{n}@c.example', 'x')}\r\n".encode())
    # Many addresses, one account: sixteen.
    more = [one.client("front", who=f"192.0.2.{n}") for n in range(1, 23)]
    for client in more:
        client.raw(f"AUTH PLAIN {plain(JOE, 'x')}\r\n".encode())
    # Who is refused for now is told at once, while the others wait for their news.
    wait_until("some are told to come later", lambda: one.server.log().count("Too many failed logins; try later") >= 12)
    assert guess(one, "203.0.113.5", JOE, PASSWORD)[0].code == 454, "a right password makes no difference for the guesser"
    later = guess(one, "203.0.113.77", JOE, PASSWORD)[0]
    assert later.code == 454 and later.enhanced == "4.7.0"
    # The owner, from where he logs in every day; others from where others guess.
    reply, took = guess(one, home, JOE, PASSWORD)
    assert reply.code == 235 and took < 2
    for client in clients + more:
        client.close()
    wait_until("two logins are logged", lambda: one.server.log().count("logged in") == 2)
    one.server.kill_all()  # in good order it would wait for the last of the bad news


def test_what_is_locked_is_seen_and_lifted(guarded):
    """An office behind one address, and an account that was guessed at: named, and let in by name; or by a new password."""
    one = guarded()
    office = "192.0.2.1"

    def locks():
        return one.server.json("user", "locks")["locks"]

    def lock_out(tries):
        clients = [one.client("front", who=who) for who, _ in tries]
        for client, (_, user) in zip(clients, tries):
            client.raw(f"AUTH PLAIN {plain(user, 'x')}\r\n".encode())
        wait_until("it is blocked", lambda: any(lock["blocked_until"] for lock in locks()))
        for client in clients:
            client.close()

    assert locks() == []
    assert "no failed logins" in one.server.ctl("user", "locks").stdout
    lock_out([(office, f"u{n}@c.example") for n in range(12)])
    assert guess(one, office, JOE, PASSWORD)[0].code == 454
    blocked, = (lock for lock in locks() if lock["blocked_until"])
    assert blocked["kind"] == "address" and blocked["address"] == office and blocked["failures"] == 10
    assert office in one.server.ctl("user", "locks").stdout
    one.server.ctl("user", "unlock", office)
    assert guess(one, office, JOE, PASSWORD)[0].code == 235
    assert f"failed logins forgotten: {office}" in one.server.ctl("audit").stdout
    # The account, from addresses of its own.
    lock_out([(f"198.51.100.{n}", JOE) for n in range(1, 19)])
    assert guess(one, "203.0.113.9", JOE, PASSWORD)[0].code == 454
    blocked, = (lock for lock in locks() if lock["blocked_until"])
    assert blocked["kind"] == "account" and blocked["account"] == JOE
    shown = one.server.json("user", "show", JOE)["failed_logins"]["locks"]
    until, = (lock["blocked_until"] for lock in shown if lock["kind"] == "account")
    assert until and until[:13] in one.server.ctl("user", "show", JOE).stdout.split("failed logins:")[1]
    one.server.ctl("user", "password", JOE, input=PASSWORD + "\n")
    wait_until("it is lifted", lambda: not any(lock["blocked_until"] for lock in locks()))
    assert guess(one, "203.0.113.9", JOE, PASSWORD)[0].code == 235
    # His account is free, the address that he comes from is not: it is said.
    noted = one.server.ctl("audit").stdout.count("failed logins forgotten")
    assert "there were no failed logins" in one.server.ctl("user", "unlock", JOE).stdout
    assert one.server.ctl("audit").stdout.count("failed logins forgotten") == noted, "nothing was done"
    train = "192.0.2.77"  # from the office he has logged in, so it would count by itself
    lock_out([(train, f"v{n}@c.example") for n in range(12)])
    assert guess(one, train, JOE, PASSWORD)[0].code == 454
    assert "1 client address is blocked, too: posternctl user locks" in one.server.ctl("user", "unlock", JOE).stdout
    assert "an address may be blocked all the same" in one.server.ctl("user", "show", JOE).stdout
    one.server.ctl("user", "unlock", "192.0.2.0/24", code=1)
    one.server.kill_all()  # in good order it would wait for the last of the bad news


def test_an_account_that_is_disabled_or_gone(guarded):
    one = guarded(objects={"accounts": {JOE: {"verifiers": verifiers(PASSWORD)}, "ann@c.example": {"verifiers": verifiers(PASSWORD)}}})
    client = one.client("front")
    assert client.login(JOE, PASSWORD).code == 235 and one.may_relay(client, JOE)
    other = one.client("front")
    assert other.login("ann@c.example", PASSWORD).code == 235 and one.may_relay(other, "ann@c.example")
    one.server.ctl("user", "set", JOE, "disabled=yes")
    one.server.ctl("user", "remove", "ann@c.example")
    assert guess(one, "192.0.2.1", JOE, PASSWORD)[0].code == 535
    assert guess(one, "192.0.2.2", "ann@c.example", PASSWORD)[0].code == 535
    # Also for those who are still there.
    for session, name in ((client, JOE), (other, "ann@c.example")):
        session.cmd(f"MAIL FROM:<{name}>", 530)
        session.close()
    # Mail for a disabled account is still taken.
    one.server.send("ann@sender.example", JOE)
    one.server.wait_mailbox(JOE)
    one.server.ctl("user", "set", JOE, "disabled=no")
    assert guess(one, "192.0.2.3", JOE, PASSWORD)[0].code == 235


def test_another_password_ends_old_sessions(guarded, tmp_path):
    one = guarded()
    ctl = one.server.ctl
    words = [PASSWORD]

    def logged_in(mechanism="PLAIN"):
        client = one.client("front")
        assert client.login(JOE, words[-1], mechanism).code == 235 and one.may_relay(client, JOE)
        return client

    def change(word):
        ctl("user", "password", JOE, input=word + "\n")
        words.append(word)

    def import_again():
        (tmp_path / "users").write_text(f"{JOE}:{crypt('an imported one')}\n")
        ctl("user", "import", str(tmp_path / "users"), "--format", "htpasswd", "--replace")
        words.append("an imported one")

    def close_and_open():
        ctl("user", "set", JOE, "disabled=yes")
        ctl("user", "set", JOE, "disabled=no")

    def make_anew():
        ctl("user", "remove", JOE)
        ctl("user", "add", JOE, input=words[-1] + "\n")

    for step in (lambda: change("another horse"), lambda: change("another horse"), close_and_open, make_anew, import_again):
        sessions = [logged_in(), logged_in("SCRAM-SHA-256")]
        step()
        for session in sessions:
            reply = session.cmd(f"MAIL FROM:<{JOE}>", 530)
            assert reply.text == "5.7.0 Your password was changed: log in again", reply
            session.cmd(f"MAIL FROM:<{JOE}>", 250)
            session.cmd("RCPT TO:<x@far.example>", 550)
            session.cmd("RSET", 250)
            assert session.login(JOE, words[-1]).code == 235 and one.may_relay(session, JOE)
            session.close()
    # Anything else of the account ends nothing.
    session = logged_in()
    ctl("user", "set", JOE, "send-as=sales@c.example")
    one.may_relay(session, JOE)
    assert one.may_relay(session, "sales@c.example")


def test_what_was_sent_with_a_stolen_password_is_cleared(guarded):
    """docs/open-relay.md: closed, paused, held, what is good released, the rest deleted, resumed, and the owner let in again."""
    one = guarded()
    server = one.server
    server.ctl("queue", "pause", "--reason", "cleaning up")
    with one.client("front") as client:
        assert client.login(JOE, PASSWORD).code == 235
        spam, good = (client.send(JOE, f"{name}@far.example") for name in ("spam", "good"))
    other = server.send("ann@sender.example", JOE)
    server.ctl("user", "set", JOE, "disabled=yes")
    server.ctl("queue", "hold", f"user={JOE}")
    server.ctl("queue", "release", good)
    server.ctl("queue", "delete", f"user={JOE} state=held", "--dry-run")
    assert "1 message" in server.ctl("queue", "delete", f"user={JOE} state=held").stdout
    assert {m["id"] for m in server.queue()} == {good, other}
    assert server.wait_event(spam, "Discard")["action"] == "delete"
    server.ctl("queue", "resume")
    one.outside.wait_for("good@far.example")
    server.wait_empty()
    assert [m.rcpts for m in one.outside.messages] == [["good@far.example"]]
    said = server.ctl("user", "password", JOE, input="another word\n").stderr
    assert "disabled still" in said and f"posternctl user set {JOE} disabled=no" in said
    assert guess(one, "192.0.2.1", JOE, "another word")[0].code == 535
    server.ctl("user", "set", JOE, "disabled=no")
    assert guess(one, "192.0.2.2", JOE, "another word")[0].code == 235


def test_another_password_counts_at_once(guarded):
    one = guarded()
    assert guess(one, "192.0.2.1", JOE, PASSWORD)[0].code == 235
    one.server.ctl("user", "password", JOE, input="another horse staple\n")
    new = "another horse staple"
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        assert guess(one, f"192.0.2.{len(mechanism)}", JOE, new, mechanism)[0].code == 235
    wrong = side_by_side(*((guess, one, f"203.0.113.{len(m)}", JOE, PASSWORD, m) for m in ("PLAIN", "SCRAM-SHA-256")))
    assert [reply.code for reply, _ in wrong] == [535, 535]
    one.server.apply({"accounts": {JOE: {"verifiers": verifiers("third")}}})
    assert guess(one, "192.0.2.50", JOE, "third")[0].code == 235
    # Nothing else of the account was touched by applying it without.
    one.server.apply({"accounts": {JOE: {"send-as": ["sales@c.example"]}}})
    assert guess(one, "192.0.2.52", JOE, "third")[0].code == 235
    # Nor by a restart.
    one.server.stop()
    one.server.start(apply=False)
    assert guess(one, "192.0.2.1", JOE, "third", "SCRAM-SHA-256")[0].code == 235


# ---- as whom


def test_whom_one_may_send_as(guarded):
    one = guarded(objects={
        "domains": {"a.example": {"transport": "site"}, "c.example": {"mailboxes": True}, "c2.example": {"alias-of": "c.example"}},
        "accounts": {JOE: {"verifiers": verifiers(PASSWORD), "send-as": ["sales@c.example", "@d.example"]},
                     "ann@c.example": {}},
        "aliases": {"nick@c.example": [JOE], "both@c.example": [JOE, "ann@c.example"]}})
    own = [JOE, "JOE@C.Example", "joe@c2.example", "nick@c.example", "nick@c2.example", "sales@c.example", "any@d.example", ""]
    others = ["ann@c.example", "both@c.example", "nobody@c.example", "x@far.example", "sales@c2.example.evil.example", "x@sub.d.example",
              "\"joe@c.example\"@evil.example", "joe%c.example@evil.example", "joe+x@c.example"]
    with one.client("front") as client:
        assert client.login(JOE, PASSWORD).code == 235
        for sender in own:
            client.cmd(f"MAIL FROM:<{sender}>", 250)
            client.cmd("RSET", 250)
        for sender in others:
            reply = client.cmd(f"MAIL FROM:<{sender}>", 553)
            assert reply.enhanced == "5.7.1", sender
        # Changed live, for the session that is there.
        one.server.apply({"relay": {"front": {"senders": "any"}}})
        for sender in others:
            client.cmd(f"MAIL FROM:<{sender}>", 250)
            client.cmd("RSET", 250)
    # Who did not log in is asked nothing.
    with one.client("front") as client:
        client.send("ann@c.example", JOE)
    assert any(e.get("user") == JOE for e in events(one, "Rejection"))


# ---- what is written


def test_no_password_is_written_anywhere(guarded):
    """In no log, trace, audit, export, message, database text or reply: not right ones, not wrong ones, nor in the wrong place."""
    one = guarded(start={"log": {"level": "debug"}})
    server = one.server
    words = [f"needle{n}needle" for n in range(8)]
    server.ctl("user", "password", JOE, input=words[0] + "\n")
    said = []
    with one.client("front") as client:
        assert client.login(JOE, words[0]).code == 235
        client.send(JOE, "x@far.example")
        said.append(client.cmd(f"AUTH PLAIN {plain(JOE, words[0])}").text)
    with one.client("front", who="192.0.2.1") as client:
        said.append(client.login(JOE, words[1]).text)
        said.append(client.cmd(words[2]).text)  # typed where a command is due
        client.cmd("AUTH LOGIN", 334)
        said.append(client.cmd("*").text)
        said.append(client.cmd(b64(words[3])).text)  # after an exchange that the client believes in
    with one.client("front", starttls=False) as client:
        said.append(client.cmd(f"AUTH PLAIN {plain(JOE, words[4])}").text)
        said.append(client.cmd(b64(words[5])).text)
    with one.client("front", who="192.0.2.2") as client:
        client.cmd("AUTH LOGIN", 334)
        client.cmd(b64(JOE), 334)
        said.append(client.cmd(words[6]).text)  # not in base64
        said.append(client.cmd(b64(words[7])).text)
    one.outside.wait(1)
    assert any(e.get("user") == JOE for e in server.trace(f"sender={JOE}"))
    relayed = [e for e in server.trace(f"user={JOE}", "relay=login") if e["event"] == "Reception"]
    assert relayed and all(e["user"] == JOE and e["auth"] in ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS") for e in relayed)
    assert "relay=login" in server.ctl("trace", f"user={JOE}").stdout
    written = "\n".join([server.log(), server.ctl("audit").stdout, server.ctl("export").stdout, server.ctl("--json", "user", "show", JOE).stdout,
                         server.ctl("explain", "--client", STRANGER, "--user", JOE, "--from", JOE, "--to", "x@far.example", "--tls").stdout, *said])
    files = [path.read_bytes() for path in server.home.rglob("*") if path.is_file() and path.name != "objects.yaml"]
    needles = [f(word) for word in words for f in (str, b64, lambda w: plain(JOE, w)) if word != words[2]]
    for needle in needles:
        core = needle.rstrip("=")[:-2]
        assert core not in written, needle
        assert not any(core.encode() in data for data in files), needle
    # The hash itself: only where it is asked for by name.
    assert "$" not in server.ctl("export").stdout and "scram-sha-256:" not in server.ctl("export").stdout
    assert "scram-sha-256:" in server.ctl("export", "--secrets").stdout


def test_explain_says_what_a_login_gives(guarded):
    one = guarded()

    def explain(*options):
        return one.server.ctl("explain", "--client", STRANGER, "--listener", "front", "--from", JOE, "--to", "x@far.example", *options).stdout
    assert "refused" in explain().splitlines()[-1]
    assert "transport out" in explain("--tls", "--user", JOE).splitlines()[-1]
    assert "refused" in explain("--user", JOE).splitlines()[-1], "AUTH is taken after STARTTLS only"


def test_passwords_are_checked_beside_the_mail(guarded):
    """Hashing takes its time, in another process: a session on the same worker does not wait for it."""
    slow = "crypt:" + crypt("slow", "$6$rounds=400000$")
    one = guarded(start={"workers": 1}, objects={"accounts": {f"u{n}@c.example": {"verifiers": slow} for n in range(8)}})
    clients = [one.client("front", who=f"192.0.2.{n + 1}") for n in range(8)]
    with one.client("front") as quick:
        for n, client in enumerate(clients):
            client.raw(f"AUTH PLAIN {plain(f'u{n}@c.example', 'slow')}\r\n".encode())
        longest, tries = 0, 0
        while not any(readable(client) for client in clients) and tries < 200:
            began = time.monotonic()
            quick.cmd("NOOP", 250)
            longest, tries = max(longest, time.monotonic() - began), tries + 1
        assert tries > 3 and longest < 0.25, (tries, longest)
        for client in clients:
            client.expect(235)
            client.close()


def readable(client):
    client.socket.settimeout(0.001)
    try:
        client.buffer += client.socket.recv(4096)
    except (TimeoutError, OSError):
        pass
    client.socket.settimeout(20)
    return bool(client.buffer)
