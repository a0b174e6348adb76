"""An SMTP client that sends exactly the bytes that a test wants, and reads replies strictly."""
import re
import socket

REPLY_LINE = re.compile(rb"^([2-5][0-9][0-9])([ -])([^\r\n]*)\r\n$")


class Reply:
    def __init__(self, code, lines):
        self.code = code
        self.lines = lines

    @property
    def text(self):
        return " ".join(self.lines)

    @property
    def enhanced(self):
        """"5.1.1" or None."""
        first = self.lines[0].split(" ", 1)[0]
        return first if re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", first) else None

    @property
    def id(self):
        return self.text.split()[-1]

    def __repr__(self):
        return f"{self.code} {self.lines}"


class Closed(Exception):
    """The server closed the connection where a reply was due."""


class Client:
    def __init__(self, address, source=None, timeout=20, helo="client.example", greet=True):
        self.socket = socket.create_connection(address, timeout, source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.extensions = {}
        if greet:
            self.greeting = self.expect(220)
            if helo:
                self.ehlo(helo)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.raw(b"QUIT\r\n")
                while self.socket.recv(4096):
                    pass
        except OSError:
            pass
        self.close()

    def close(self):
        self.socket.close()

    def ehlo(self, name="client.example"):
        reply = self.cmd(f"EHLO {name}", 250)
        words = [line.split(" ", 1) for line in reply.lines[1:]]
        self.extensions = {w[0].upper(): w[1] if len(w) > 1 else "" for w in words}
        return reply

    # ---- bytes

    def raw(self, data):
        self.socket.sendall(data)

    def line(self):
        while b"\n" not in self.buffer:
            try:
                data = self.socket.recv(65536)
            except ConnectionError as e:
                raise Closed(str(e)) from None
            if not data:
                raise Closed("end of the connection")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line + b"\n"

    def reply(self):
        lines = []
        while True:
            line = self.line()
            match = REPLY_LINE.match(line)
            assert match, f"not a reply line: {line!r}"
            lines.append((int(match[1]), match[3].decode("utf-8")))
            if match[2] == b" ":
                break
        codes = {code for code, _ in lines}
        assert len(codes) == 1, f"a reply with several codes: {lines}"
        return Reply(codes.pop(), [text for _, text in lines])

    def expect(self, code, *also):
        reply = self.reply()
        assert reply.code in (code, *also), f"{code} was expected: {reply}"
        return reply

    def is_closed(self, timeout=10):
        """Waits for the end of the connection; what came before is thrown away."""
        self.socket.settimeout(timeout)
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    # ---- commands

    def cmd(self, text, *codes):
        self.raw(text.encode("utf-8") + b"\r\n")
        reply = self.reply()
        assert not codes or reply.code in codes, f"{text}: {codes} was expected: {reply}"
        return reply

    def envelope(self, sender, to, mail="", rcpt=""):
        """MAIL and RCPT in one packet; all must be taken."""
        to = [to] if isinstance(to, str) else to
        lines = [f"MAIL FROM:<{sender}>{' ' + mail if mail else ''}"]
        for one in to:
            address, own = one if isinstance(one, tuple) else (one, rcpt)
            lines.append(f"RCPT TO:<{address}>{' ' + own if own else ''}")
        self.raw("".join(line + "\r\n" for line in lines).encode("utf-8"))
        for line in lines:
            reply = self.reply()
            assert reply.code == 250, f"{line}: {reply}"

    def data(self, body, code=250):
        """body: the message with CRLF line ends, its last line ended."""
        assert not body or body.endswith(b"\r\n")
        self.cmd("DATA", 354)
        self.raw(stuffed(body) + b".\r\n")
        return self.expect(code)

    def bdat(self, body, code=250, chunk=None):
        pieces = [body[i:i + chunk] for i in range(0, len(body), chunk)] if chunk and body else [body]
        for i, piece in enumerate(pieces):
            last = i == len(pieces) - 1
            self.raw(b"BDAT %d%s\r\n" % (len(piece), b" LAST" if last else b"") + piece)
            reply = self.expect(code) if last else self.expect(250)
        return reply

    def send(self, sender, to, body=None, mail="", rcpt="", how="data", chunk=None):
        """A whole transaction; the message's id."""
        self.envelope(sender, to, mail, rcpt)
        body = message() if body is None else body
        return (self.data(body) if how == "data" else self.bdat(body, chunk=chunk)).id


def stuffed(body):
    """RFC 5321 section 4.5.2."""
    return (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]


def message(subject="a test", text="Hello.\n", sender="ann@sender.example", to="joe@a.example", extra=""):
    text = f"From: <{sender}>\nTo: <{to}>\nSubject: {subject}\nDate: Sat, 21 Nov 2026 09:00:00 +0000\n" \
           f"Message-ID: <{abs(hash((subject, text)))}@sender.example>\n{extra}\n{text}"
    return text.replace("\n", "\r\n").encode("utf-8")
