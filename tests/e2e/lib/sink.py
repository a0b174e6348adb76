"""A next hop with a ledger: an SMTP server that keeps every byte, notices what a client does wrong, and misbehaves when told."""
import asyncio
import re
import threading
import time

from .world import free_port, wait_until

ALL = ("PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "BINARYMIME", "ENHANCEDSTATUSCODES")
BASIC = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES")

# What a rule may answer beside a reply's text.
DROP = "drop"  # close the connection without a word
TAKE_AND_DROP = "take and drop"  # at "end": the message is taken, the reply is lost


class Stall:
    """Wait, then go on as if nothing had been said."""

    def __init__(self, seconds):
        self.seconds = seconds


class Message:
    def __init__(self, session, sender, mail_params):
        self.session, self.sender, self.mail_params = session, sender, mail_params
        self.rcpts = []  # addresses that were taken
        self.rcpt_params = {}
        self.body = b""
        self.how = "DATA"
        self.time = None

    def __repr__(self):
        return f"<{self.sender} to {self.rcpts}, {len(self.body)} bytes by {self.how}>"


class _Gone(Exception):
    pass


class Session:
    def __init__(self, sink, reader, writer, number):
        self.sink, self.reader, self.writer, self.number = sink, reader, writer, number
        self.buffer = b""
        self.extended = False
        self.message = None
        self.taken = 0
        self.helo = None

    async def fill(self):
        data = await self.reader.read(262144)
        if not data:
            raise _Gone
        self.buffer += data

    async def until(self, end):
        at = 0
        while (found := self.buffer.find(end, at)) < 0:
            at = max(0, len(self.buffer) - len(end) + 1)
            await self.fill()
        out, self.buffer = self.buffer[:found + len(end)], self.buffer[found + len(end):]
        return out

    async def exactly(self, n):
        while len(self.buffer) < n:
            await self.fill()
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def say(self, text):
        self.writer.write("".join(line + "\r\n" for line in text.split("\n")).encode("utf-8"))

    async def ask(self, stage, argument):
        """What the rules say to this; None: nothing special."""
        for _ in range(10):
            answer = self.sink.rule_for(stage, argument, self)
            if isinstance(answer, Stall):
                await self.writer.drain()
                await asyncio.sleep(answer.seconds)
                continue
            if answer == DROP:
                raise _Gone
            return answer
        return None

    def wrong(self, text):
        self.sink.violations.append(f"connection {self.number}: {text}")

    def offers(self, name):
        return self.extended and any(e.split()[0] == name for e in self.sink.extensions)

    async def run(self):
        greeting = await self.ask("connect", "")
        self.say(greeting or "220 sink.example ESMTP")
        if greeting and not greeting.startswith("2"):
            await self.writer.drain()
            return
        while True:
            await self.writer.drain()
            line = await self.until(b"\n")
            if not line.endswith(b"\r\n"):
                self.wrong(f"a command that ends in a bare LF: {line!r}")
            try:
                text = line.rstrip(b"\r\n").decode("utf-8")
            except UnicodeDecodeError:
                self.wrong(f"a command that is no UTF-8: {line!r}")
                text = line.decode("latin-1").strip()
            if self.sink.keep_commands:
                self.sink.commands.append(text)
            verb = text.split(" ", 1)[0].upper()
            if self.buffer and verb not in ("BDAT",) and not self.offers("PIPELINING"):
                self.wrong(f"pipelined behind {text!r} where PIPELINING is not offered")
            handler = getattr(self, "on_" + verb.lower(), None)
            if handler is None:
                self.wrong(f"an unknown command: {text!r}")
                self.say("500 5.5.1 what?")
            elif await handler(text) == "end":
                await self.writer.drain()
                return

    # ---- commands

    async def on_ehlo(self, text):
        refused = await self.ask("ehlo", text)
        if refused:
            self.say(refused)
            return
        if self.sink.extensions is None:
            self.say("500 5.5.1 EHLO unknown")
            return
        self.extended = True
        self.helo = text[5:]
        lines = ["sink.example", *self.sink.extensions]
        self.say("\n".join(f"250{'-' if i < len(lines) - 1 else ' '}{l}" for i, l in enumerate(lines)))

    async def on_helo(self, text):
        self.say(await self.ask("helo", text) or "250 sink.example")
        self.extended = False
        self.helo = text[5:]

    async def on_mail(self, text):
        match = re.fullmatch(r"MAIL FROM:<(.*?)>((?: [A-Z0-9-]+(?:=\S+)?)*)", text, re.I)
        if not match:
            self.wrong(f"MAIL in a form of its own: {text!r}")
            self.say("501 5.5.4 syntax")
            return
        params = dict(word.split("=", 1) if "=" in word else (word, "") for word in match[2].split())
        params = {k.upper(): v for k, v in params.items()}
        needs = {"BODY": "8BITMIME", "SIZE": "SIZE", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN", "REQUIRETLS": "REQUIRETLS"}
        for key in params:
            if not self.offers(needs.get(key, "?")):
                self.wrong(f"{key} in MAIL, which was not offered")
        if params.get("BODY") == "BINARYMIME" and not self.offers("BINARYMIME"):
            self.wrong("BODY=BINARYMIME, which was not offered")
        if not match[1].isascii() and "SMTPUTF8" not in params:
            self.wrong(f"a UTF-8 address without SMTPUTF8: {text!r}")
        answer = await self.ask("mail", text) or "250 2.1.0 sender ok"
        if answer.startswith("2"):
            self.message = Message(self, match[1], params)
        self.say(answer)

    async def on_rcpt(self, text):
        match = re.fullmatch(r"RCPT TO:<(.+?)>((?: [A-Z0-9-]+(?:=\S+)?)*)", text, re.I)
        if not match:
            self.wrong(f"RCPT in a form of its own: {text!r}")
            self.say("501 5.5.4 syntax")
            return
        params = {k.upper(): v for k, v in (word.split("=", 1) for word in match[2].split())}
        if params and not self.offers("DSN"):
            self.wrong(f"parameters of RCPT, which were not offered: {params}")
        if not self.message:
            self.say("503 5.5.1 MAIL first")
            return
        answer = await self.ask("rcpt", match[1]) or "250 2.1.5 recipient ok"
        if answer.startswith("2"):
            self.message.rcpts.append(match[1])
            self.message.rcpt_params[match[1]] = params
        self.say(answer)

    async def on_data(self, text):
        if not self.message or not self.message.rcpts:
            self.say("554 5.5.1 no valid recipients")
            return
        answer = await self.ask("data", "") or "354 go on"
        self.say(answer)
        if not answer.startswith("354"):
            return
        await self.writer.drain()
        self.buffer = b"\r\n" + self.buffer
        answer = await self.ask("body", "")
        raw = await self.until(b"\r\n.\r\n")
        body = raw.replace(b"\r\n.", b"\r\n")[2:-2]
        if self.message.mail_params.get("BODY") == "BINARYMIME":
            self.wrong("DATA for a BINARYMIME message (RFC 3030 section 3)")
        bare = body.replace(b"\r\n", b"")
        if b"\r" in bare or b"\n" in bare:
            self.wrong("a bare CR or LF in DATA")
        if not body.isascii() and not self.offers("8BITMIME"):
            self.wrong("8-bit bytes where 8BITMIME is not offered")
        await self.take(body, "DATA")

    async def on_bdat(self, text):
        words = text.split()
        if not self.offers("CHUNKING"):
            self.wrong("BDAT, which was not offered")
        chunk = await self.exactly(int(words[1]))
        if not self.message or not self.message.rcpts:
            self.say("503 5.5.1 no valid recipients")
            return
        self.message.body += chunk
        if words[2:] == ["LAST"]:
            await self.ask("body", "")
            body, self.message.body = self.message.body, b""
            await self.take(body, "BDAT")
        else:
            self.say("250 2.0.0 chunk taken")

    async def take(self, body, how):
        message = self.message
        message.body, message.how = body, how
        answer = await self.ask("end", message)
        self.message = None
        if answer is None or answer == TAKE_AND_DROP or answer.startswith("2"):
            self.taken += 1
            message.time = time.time()
            self.sink.keep(message)
            if answer == TAKE_AND_DROP:
                raise _Gone
        self.say(answer or "250 2.0.0 taken")

    async def on_rset(self, text):
        self.message = None
        self.say(await self.ask("rset", "") or "250 2.0.0 ok")

    async def on_noop(self, text):
        self.say("250 2.0.0 ok")

    async def on_quit(self, text):
        self.say(await self.ask("quit", "") or "221 2.0.0 bye")
        return "end"


class Sink:
    """extensions: what EHLO offers, None: EHLO is unknown. In a thread with a loop of its own."""

    session_class = Session

    def __init__(self, host="127.0.0.1", port=None, extensions=ALL, start=True, keep_bodies=True):
        self.host = host
        self.port = port or free_port(host)
        self.extensions = extensions
        self.messages = []
        self.commands = []
        self.keep_commands = True
        self.keep_bodies = keep_bodies
        self.violations = []
        self.connections = 0
        self.sessions = {}
        self.rules = []
        self.on_keep = None  # called with each message, from the sink's thread
        self.lock = threading.Lock()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = None
        if start:
            self.start()

    @property
    def server_name(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def start(self):
        async def begin():
            self.server = await asyncio.start_server(self._serve, self.host, self.port, backlog=512)
        self._run(begin())

    def stop(self):
        """Down: nothing listens, and what is connected is cut."""
        async def end():
            if self.server:
                self.server.close()
                self.server = None
            for session, task in list(self.sessions.items()):
                session.writer.transport.abort()
                task.cancel()
            await asyncio.sleep(0)
        self._run(end())

    def close(self):
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    async def _serve(self, reader, writer):
        self.connections += 1
        session = self.session_class(self, reader, writer, self.connections)
        self.sessions[session] = asyncio.current_task()
        try:
            await session.run()
        except (_Gone, ConnectionError, asyncio.CancelledError):
            pass
        except Exception as e:  # a mistake in the sink must not look like one of the gateway
            self.violations.append(f"the sink itself failed: {e!r}")
        finally:
            del self.sessions[session]
            writer.close()

    def keep(self, message):
        if self.on_keep:
            self.on_keep(message)
        if not self.keep_bodies:
            message.body = b""
        with self.lock:
            self.messages.append(message)

    # ---- rules

    def rule(self, stage, answer, match=None, times=None):
        """At this stage, where `match` occurs in the argument, answer so; at most `times` times. The latest rule goes first."""
        rule = {"stage": stage, "answer": answer, "match": match, "left": times}
        self.rules.insert(0, rule)
        return rule

    def clear(self):
        self.rules.clear()

    def rule_for(self, stage, argument, session):
        for rule in self.rules:
            if rule["stage"] != stage or rule["left"] == 0:
                continue
            if rule["match"] is not None and rule["match"] not in str(argument):
                continue
            if isinstance(rule["answer"], Stall):
                if rule in getattr(session, "stalled", ()):
                    continue
                session.stalled = [*getattr(session, "stalled", ()), rule]
            if rule["left"] is not None:
                rule["left"] -= 1
            answer = rule["answer"]
            return answer(argument) if callable(answer) else answer
        return None

    # ---- the ledger

    def wait(self, count=1, timeout=20):
        wait_until(f"{count} messages at the sink", lambda: len(self.messages) >= count, timeout)
        return self.messages[:]

    def wait_for(self, address, timeout=20):
        """The first message for this recipient."""
        def found():
            return next((m for m in list(self.messages) if address in m.rcpts), None)
        return wait_until(f"a message for {address}", found, timeout)
