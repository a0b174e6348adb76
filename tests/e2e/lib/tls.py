"""The client that says exactly what it is told, over TLS; logins by every mechanism, right or wrong on purpose."""
import base64
import hashlib
import hmac
import os
import socket
import ssl

from OpenSSL import SSL

from .smtp import Client

EXPORTER = b"EXPORTER-Channel-Binding"  # RFC 9266


def context(ca=None, certificate=None, version=None, check_name=True):
    """ca: a file; None: whatever the server shows is fine. version: this one only."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        made.load_verify_locations(ca)
        made.check_hostname = check_name
    else:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if certificate:
        made.load_cert_chain(certificate.crt, certificate.key)
    if version:
        made.minimum_version = made.maximum_version = version
    return made


class TlsClient(Client):
    """implicit: TLS from the first byte; else STARTTLS after the first EHLO. name: what is asked for and expected (SNI). proxy: bytes
    that come before all else. starttls=False: stays in clear."""

    def __init__(self, address, implicit=False, tls=None, name="gw.example.test", session=None, helo="client.example", proxy=b"",
                 starttls=True, source=None, timeout=20):
        self.tls = tls or context()
        self.name, self.session = name, session
        super().__init__(address, source=source, timeout=timeout, greet=False)
        if proxy:
            self.raw(proxy)
        if implicit:
            self.handshake()
        self.greeting = self.expect(220)
        if helo:
            self.ehlo(helo)
        if starttls and not implicit:
            self.cmd("STARTTLS", 220)
            self.handshake()
            if helo:
                self.ehlo(helo)

    def handshake(self):
        assert not self.buffer, f"bytes in clear before the handshake: {self.buffer!r}"
        self.socket = self.tls.wrap_socket(self.socket, server_hostname=self.name, session=self.session)

    @property
    def shown(self):
        """The server's certificate, DER."""
        return self.socket.getpeercert(binary_form=True)

    # ---- AUTH

    def login(self, user, password, mechanism="PLAIN"):
        """The last reply."""
        if mechanism == "PLAIN":
            return self.cmd(f"AUTH PLAIN {plain(user, password)}")
        if mechanism == "LOGIN":
            self.cmd("AUTH LOGIN", 334)
            reply = self.cmd(b64(user))
            return self.cmd(b64(password)) if reply.code == 334 else reply
        return self.scram(user, password, mechanism)

    def scram(self, user, password, mechanism="SCRAM-SHA-256", gs2=None, binding=None, tamper=lambda final: final):
        """RFC 5802. The server's proof is checked. gs2, binding, tamper: what somebody in between would change."""
        plus = mechanism.endswith("-PLUS")
        gs2 = gs2 or ("p=tls-exporter,," if plus else "n,,")
        bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={base64.b64encode(os.urandom(18)).decode()}"
        reply = self.cmd(f"AUTH {mechanism} {b64(gs2 + bare)}")
        if reply.code != 334:
            return reply
        challenge = unb64(reply.text)
        parts = dict(part.split("=", 1) for part in challenge.split(","))
        if binding is None:
            binding = self.binding() if plus else b""
        without_proof = f"c={base64.b64encode(gs2.encode() + binding).decode()},r={parts['r']}"
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
        message = ",".join((bare, challenge, without_proof)).encode()
        client_key = mac(salted, b"Client Key")
        signature = mac(hashlib.sha256(client_key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        reply = self.cmd(b64(tamper(f"{without_proof},p={base64.b64encode(proof).decode()}")))
        if reply.code != 334:
            return reply
        server = base64.b64encode(mac(mac(salted, b"Server Key"), message)).decode()
        assert unb64(reply.text) == f"v={server}", "the server does not know the password either"
        return self.cmd("")

    def binding(self):
        raise NotImplementedError("Python's ssl exports nothing; BoundClient does")


class _Socket:
    """What Client wants of a socket, over pyOpenSSL."""

    def __init__(self, connection, sock):
        self.connection, self.sock = connection, sock

    def sendall(self, data):
        self.connection.sendall(data)

    def recv(self, n):
        try:
            return self.connection.recv(n)
        except (SSL.ZeroReturnError, SSL.SysCallError):
            return b""

    def settimeout(self, timeout):
        pass

    def close(self):
        self.sock.close()


class BoundClient(TlsClient):
    """One that knows the channel's binding, and looks at no certificate. version: "TLSv1.2" or "TLSv1.3"."""

    def __init__(self, *arguments, version=None, **options):
        self.version = version
        super().__init__(*arguments, **options)

    def handshake(self):
        made = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if self.version:
            number = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}[self.version]
            made.set_min_proto_version(number)
            made.set_max_proto_version(number)
        self.socket.settimeout(None)
        self.connection = SSL.Connection(made, self.socket)
        self.connection.set_tlsext_host_name(self.name.encode())
        self.connection.set_connect_state()
        self.connection.do_handshake()
        self.socket = _Socket(self.connection, self.socket)

    def binding(self):
        return self.connection.export_keying_material(EXPORTER, 32, b"")


def mac(key, message):
    return hmac.new(key, message, "sha256").digest()


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def unb64(text):
    return base64.b64decode(text).decode()


def plain(user, password, for_whom=""):
    return b64(f"{for_whom}\0{user}\0{password}")


def proxy_v1(client, port=40000, server="192.0.2.25"):
    kind = "TCP6" if ":" in client else "TCP4"
    return f"PROXY {kind} {client} {'2001:db8::25' if ':' in client else server} {port} 25\r\n".encode()


def proxy_v2(client=None, port=40000, server="192.0.2.25", more=b""):
    """client None: LOCAL, a check by the proxy itself."""
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    if client is None:
        return signature + b"\x20\0" + len(more).to_bytes(2, "big") + more
    six = ":" in client
    family = socket.AF_INET6 if six else socket.AF_INET
    body = socket.inet_pton(family, client) + socket.inet_pton(family, "2001:db8::25" if six else server) \
        + port.to_bytes(2, "big") + (25).to_bytes(2, "big") + more
    return signature + b"\x21" + (b"\x21" if six else b"\x11") + len(body).to_bytes(2, "big") + body
