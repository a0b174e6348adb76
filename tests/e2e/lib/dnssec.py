"""Signed zones on a real server, with a root of their own; and what becomes of them in bad hands."""
import hashlib
import pathlib
import re
import shutil
import subprocess

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .peers import Knot, end
from .world import wait_until

HEAD = "$TTL {ttl}\n@ SOA ns.zz. hostmaster.zz. 1 60 60 60 2\n@ NS ns.zz.\n"
POLICY = "policy:\n  - id: p\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n"


class SignedKnot(Knot):
    """zones: {name: records}; "." must be among them. All but those in `unsigned` are signed first, with keys that `anchors` (a file) names;
    spoil: {name: function of the signed zone file's text}. None for records: SERVFAIL."""

    def __init__(self, zones, unsigned=(), spoil=None, ttl=60):
        self.zones, self.unsigned, self.ttl = zones, set(unsigned), ttl
        super().__init__({})
        end(self.process)
        for name, records in zones.items():
            if records is not None:
                text = HEAD.format(ttl=ttl) + records
                self._file(name).write_text("\n".join(line.strip() for line in text.splitlines()) + "\n")
        self._run(sign=True)
        signed = [n for n, r in zones.items() if r is not None and n not in self.unsigned]
        wait_until("signatures", lambda: all("RRSIG" in self._file(n).read_text() for n in signed))
        self.anchors = self.home / "anchors"
        self.anchors.write_text("".join(self._ds(name) for name in signed))
        end(self.process)
        for name, change in (spoil or {}).items():
            before = self._file(name).read_text()
            after = change(before)
            assert before != after
            self._file(name).write_text(after)
        self._run(sign=False)
        wait_until("knotd answers", lambda: all(self.answers(n) for n, r in zones.items() if r is not None))

    def _file(self, name):
        return pathlib.Path(self.home / f"{name.strip('.') or 'root'}.zone")

    def _run(self, sign):
        text = (f"server:\n  listen: 127.0.0.1@{self.port}\n  rundir: {self.home}\n  udp-workers: 1\n  tcp-workers: 1\n"
                f"  background-workers: 1\ndatabase:\n  storage: {self.home}\n{POLICY}zone:\n")
        for name in self.zones:
            text += f"  - domain: {name}\n    file: {self._file(name)}\n    semantic-checks: off\n    journal-content: none\n" \
                    "    zonefile-load: whole\n"
            if sign and name not in self.unsigned:
                text += "    dnssec-signing: on\n    dnssec-policy: p\n    zonefile-sync: 0\n"
        self.config = self.home / "knot.conf"
        self.config.write_text(text)
        self.process = subprocess.Popen(["knotd", "-c", self.config], stdin=subprocess.DEVNULL, stdout=open(self.home / "log", "ab"),
                                        stderr=subprocess.STDOUT)

    def _ds(self, name):
        said = subprocess.run([shutil.which("keymgr") or "/usr/sbin/keymgr", "-c", self.config, name, "ds"], capture_output=True, text=True,
                              timeout=20, check=True).stdout
        line = next(line for line in said.splitlines() if re.search(r" 13 2 ", line))
        return line + "\n"

    @property
    def start(self):
        """For the start file."""
        return {"dns": {"servers": [self.address], "trust-anchor": str(self.anchors)}}


def tlsa(usage, selector, certificate):
    """The data of a TLSA record with a SHA-256, from what pki.Certificate or Authority has."""
    x509 = certificate.certificate
    data = x509.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) if selector else x509.public_bytes(Encoding.DER)
    return f"{usage} {selector} 1 {hashlib.sha256(data).hexdigest()}"
