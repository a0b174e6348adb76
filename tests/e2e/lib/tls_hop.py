"""Next hops that speak TLS: the ledger's server with STARTTLS and AUTH, and somebody in between who takes words away."""
import base64
import socket
import ssl
import threading

from .sink import ALL, Session, Sink
from .world import free_port


def server_context(certificate, version=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate.crt, certificate.key)
    if version:
        made.minimum_version = made.maximum_version = version
    return made


class _TlsSession(Session):
    tls = None  # the ssl object, after STARTTLS
    user = None

    def offers(self, name):
        return self.extended and any(e.split()[0] == name for e in (*self.sink.extensions, *self.sink.tls_extensions))

    async def on_ehlo(self, text):
        refused = await self.ask("ehlo", text)
        self.extended = not refused
        self.helo = text[5:]
        more = self.sink.tls_extensions if self.tls else ("STARTTLS",) if self.sink.context else ()
        lines = ["sink.example", *self.sink.extensions, *more]
        self.say(refused or "\n".join(f"250{'-' if i < len(lines) - 1 else ' '}{line}" for i, line in enumerate(lines)))

    async def on_starttls(self, text):
        refused = await self.ask("starttls", text)
        if refused:
            self.say(refused)
            return
        if self.buffer:
            self.wrong("something in clear behind STARTTLS")
        self.say("220 2.0.0 go on")
        await self.writer.drain()
        await self.ask("handshake", "")  # to DROP it there
        try:
            await self.writer.start_tls(self.sink.context)
        except ssl.SSLError as e:
            self.sink.failures.append(str(e))
            raise ConnectionError(str(e)) from None
        self.reader._transport = self.writer.transport  # Python 3.11 forgets it
        self.tls = self.writer.get_extra_info("ssl_object")
        self.sink.links.append((self.tls.version(), self.tls.session_reused))
        self.extended, self.message = False, None

    async def on_mail(self, text):
        await super().on_mail(text)
        if self.message:
            self.message.tls = self.tls and self.tls.version()
            self.message.user = self.user

    async def on_auth(self, text):
        """Takes whatever PLAIN says; a rule ("auth") can be odder than real servers are."""
        if not self.tls:
            self.wrong("AUTH in clear")
        words = text.split()
        self.sink.logins.append(text)
        answer = await self.ask("auth", words[1])
        if answer is None and words[1] == "PLAIN":
            self.user = base64.b64decode(words[2]).split(b"\0")[1].decode()
            answer = "235 2.7.0 in"
        self.say(answer or "504 5.5.4 not that one")
        while answer and answer.startswith("334"):
            await self.writer.drain()
            line = (await self.until(b"\r\n")).decode().strip()
            self.sink.logins.append(line)
            answer = "501 5.0.0 cancelled" if line == "*" else await self.ask("auth-more", line) or "535 5.7.8 no"
            self.say(answer)


class TlsSink(Sink):
    """certificate None: no STARTTLS. tls_extensions: what is offered besides, once the link is protected. links: (version, whether it was
    resumed) of each handshake; names: what was asked for (SNI)."""

    session_class = _TlsSession

    def __init__(self, certificate=None, version=None, tls_extensions=(), extensions=ALL, **options):
        self.tls_extensions = tuple(tls_extensions)
        self.context = None
        self.links, self.failures, self.logins, self.names = [], [], [], []
        self.show(certificate, version)
        super().__init__(extensions=extensions, **options)

    def show(self, certificate, version=None):
        """From now on this certificate."""
        self.certificate = certificate
        self.context = certificate and server_context(certificate, version)
        if certificate:
            self.context.sni_callback = lambda _, name, __: self.names.append(name)


class Meddler:
    """In between: passes everything on, but for what its rules change in what the server says before the link is protected. What the
    client says in clear is kept."""

    def __init__(self, server, change, host="127.0.0.1", port=None):
        self.server, self.change = server, change
        self.heard = b""
        self.listener = socket.create_server((host, port or free_port(host)), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.server_name = f"{host}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.server)
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client, server, self._hear), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, self.change), daemon=True).start()

    def _hear(self, data):
        self.heard += data
        return data

    @staticmethod
    def _pass(one, other, change):
        try:
            while data := one.recv(65536):
                other.sendall(change(data))
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
