"""A gateway of which it matters who sends: listeners with and without TLS, clients from anywhere, next hops inside and outside."""
import json
import re

from . import pki
from .accounts import verifiers
from .tls import TlsClient, context, proxy_v1
from .world import folder, free_port, remove

STRANGER = "192.0.2.99"
PASSWORD = "s3cret horse"

# Tests are refused often, on purpose.
PATIENT = {"errors": 10000, "refused-recipients": 0, "commands": 0}


class Guarded:
    """Served are a.example, by a transport to `site`, and c.example, with mailboxes; all else leaves to `outside`. Listeners: mx on
    loopback, with STARTTLS; front likewise, for clients of any address, which a PROXY header names; submission with TLS from the first
    byte."""

    def __init__(self, gateway, sink, peer, objects=None, start=None, kind="ec", tls=None, started=True, listeners=None, **options):
        self.home = peer(Home()).path
        self.ca = pki.Authority(self.home)
        self.certificate = self.ca.issue("gw.example.test", "localhost", "127.0.0.1", kind=kind)
        self.site, self.outside = sink(), sink()
        names = ("mx", "front", "submission")
        self.ports = dict(zip(names, (free_port() for _ in names)))
        files = {**self.certificate.files, **(tls or {})}
        all_listeners = {
            "mx": {"address": f"127.0.0.1:{self.ports['mx']}", "tls": files},
            "front": {"address": f"127.0.0.1:{self.ports['front']}", "tls": files, "proxy": ["127.0.0.1"]},
            "submission": {"address": f"127.0.0.1:{self.ports['submission']}", "tls": {**files, "mode": "implicit"}},
        }
        for name, more in (listeners or {}).items():
            all_listeners.setdefault(name, {"address": f"127.0.0.1:{self.ports.setdefault(name, free_port())}"}).update(more)
        self.objects = {
            "transports": {"site": {"server": self.site.server_name}, "out": {"server": self.outside.server_name}},
            "domains": {"a.example": {"transport": "site"}, "c.example": {"mailboxes": True}},
            "accounts": {"joe@c.example": {"verifiers": verifiers(PASSWORD)}},
            "default-transport": "out",
            **(objects or {}),
        }
        self.server = gateway(self.objects, started=started, start=apart({"listeners": all_listeners, "limits": PATIENT, **(start or {})}),
                              **options)

    def address(self, listener):
        return ("127.0.0.1", self.ports[listener])

    def client(self, listener="mx", who=STRANGER, kind=TlsClient, **options):
        """On the listener `front` it comes from the address `who`."""
        options.setdefault("tls", context(self.ca.crt))
        return kind(self.address(listener), implicit=listener == "submission", proxy=proxy_v1(who) if listener == "front" else b"",
                    **options)

    def may_relay(self, client, sender="evil@evil.example", to="x@far.example"):
        """Whether RCPT is taken; the transaction is forgotten. The one reply that says no is checked."""
        client.cmd(f"MAIL FROM:<{sender}>", 250)
        reply = client.cmd(f"RCPT TO:<{to}>", 250, 550)
        assert reply.code == 250 or reply.enhanced == "5.7.1", reply
        client.cmd("RSET", 250)
        return reply.code == 250


def apart(value):
    """Nothing in it is there twice, which YAML would tell by anchors."""
    return json.loads(json.dumps(value))


class Home:
    def __init__(self):
        self.path = folder()

    def close(self):
        remove(self.path)


def received(body):
    """The topmost Received field, unfolded."""
    head = body.decode("utf-8", "replace")
    assert head.startswith("Received: "), head[:200]
    return re.sub(r"\r\n[ \t]", " ", head).split("\r\n", 1)[0]
