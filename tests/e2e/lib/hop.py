"""A next hop that says exactly what a script says: for servers that are wrong in ways that no server should be."""
import socket
import struct
import threading


class Gone(Exception):
    pass


def good(said, code):
    """What a function said is not known: it is believed."""
    return said is None or (said.decode("latin-1") if isinstance(said, bytes) else said).startswith(code)


class Line:
    """One connection, as the script sees it."""

    def __init__(self, connection, number, hop):
        self.connection, self.number, self.hop = connection, number, hop
        self.buffer = b""
        self.heard = []

    def say(self, data):
        data = data if isinstance(data, bytes) else data.encode("utf-8") + b"\r\n"
        try:
            self.connection.sendall(data)
        except OSError as e:
            raise Gone from e

    def hear(self):
        """A command line."""
        line = self.until(b"\r\n")[:-2].decode("utf-8", "replace")
        self.heard.append(line)
        self.hop.heard.append(line)
        return line

    def until(self, end):
        while end not in self.buffer:
            self.fill()
        out, self.buffer = self.buffer.split(end, 1)
        return out + end

    def exactly(self, n):
        while len(self.buffer) < n:
            self.fill()
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def fill(self):
        try:
            data = self.connection.recv(65536)
        except OSError as e:
            raise Gone from e
        if not data:
            raise Gone
        self.buffer += data

    def wait_for_end(self):
        """Says nothing more; until the client is gone."""
        while True:
            self.fill()
            self.buffer = b""

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def half_close(self):
        self.connection.shutdown(socket.SHUT_WR)

    # ---- a proper session; each reply can be another

    def session(self, extensions=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"), **replies):
        """replies: by greeting, ehlo, helo, mail, rcpt, data, end, bdat, rset, quit: a text, bytes, or a function that is called with
        this; None of it: as it should be."""
        script = self.hop.script

        def answer(what, proper):
            one = replies.get(what, proper) if self.hop.script is script else proper
            if callable(one):
                one = one(self)
            if one is not None:
                self.say(one)
            return one
        rcpts, mail, lockstep, chunks = [], "", "PIPELINING" not in extensions, b""
        answer("greeting", "220 hop.example ESMTP")
        while True:
            line = self.hear()
            verb = line.split(" ", 1)[0].upper()
            if lockstep and self.buffer and verb != "BDAT":
                self.hop.problems.append(f"sent ahead of the reply to {line!r}")
            if verb == "EHLO":
                words = ["hop.example", *extensions]
                answer("ehlo", "\r\n".join(f"250{'-' if i < len(words) - 1 else ' '}{w}" for i, w in enumerate(words)))
            elif verb == "HELO":
                lockstep = True
                answer("helo", "250 hop.example")
            elif verb == "MAIL":
                mail, rcpts = line, []
                answer("mail", "250 2.1.0 ok")
            elif verb == "RCPT":
                said = answer("rcpt", "250 2.1.5 ok")
                if good(said, "2"):
                    rcpts.append(line)
            elif verb == "DATA":
                said = answer("data", "354 go on" if rcpts else "554 5.5.1 nobody")
                if not good(said, "354"):
                    continue
                body = b"" if self.buffer.startswith(b".\r\n") and self.until(b".\r\n") else self.until(b"\r\n.\r\n")[:-3]
                self.finish(answer("end", "250 2.0.0 taken" if rcpts else "554 5.5.1 nobody"), mail, rcpts, body)
                rcpts = []
            elif verb == "BDAT":
                words = line.split()
                chunks += self.exactly(int(words[1]))
                if words[2:]:
                    self.finish(answer("bdat", "250 2.0.0 taken"), mail, rcpts, chunks)
                    chunks, rcpts = b"", []
                else:
                    self.say("250 2.0.0 ok")
            elif verb == "RSET":
                answer("rset", "250 2.0.0 ok")
            elif verb == "QUIT":
                answer("quit", "221 2.0.0 bye")
                return
            else:
                self.hop.problems.append(f"an unknown command: {line!r}")
                self.say("500 5.5.1 what?")

    def finish(self, said, mail, rcpts, body):
        if said is not None and good(said, "2") and rcpts:
            self.hop.taken.append((mail, rcpts, body))


class Hop:
    """script(line) is run for each connection, in a thread of its own, until mend(): from then on all is as it should be."""

    def __init__(self, script=None):
        self.script = script
        self.taken, self.heard, self.problems = [], [], []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.server_name = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def mend(self):
        self.script = None

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection, number):
        line = Line(connection, number, self)
        try:
            (self.script or Line.session)(line)
        except Gone:
            pass
        except Exception as e:  # a mistake in the script must not look like one of the gateway
            self.problems.append(f"the script failed: {e!r}")
        finally:
            connection.close()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
