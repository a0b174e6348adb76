"""Somebody who tries every form of address: each in a transaction of its own, with a message if it is taken. By itself a program, for
where it has to run elsewhere: {"address": [host, port], …} on standard input, the replies on standard output."""
import json
import socket
import sys


def try_all(address, forms, sender="<evil@evil.example>", before=b"", helo="stranger.example"):
    """forms: what follows RCPT TO:. The last reply to each: to the end of its message, or to what was refused before."""
    replies = []
    with socket.create_connection(tuple(address), 20) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = sock.makefile("rb")

        def say(data):
            sock.sendall(data)
            return hear()

        def hear():
            while True:
                line = lines.readline().decode("utf-8", "backslashreplace")
                assert line, f"the server hung up after {replies[-3:]}"
                if line[3:4] != "-":
                    return line.rstrip("\r\n")
        if before:
            sock.sendall(before)
        assert hear().startswith("220 ")
        assert say(f"EHLO {helo}\r\n".encode()).startswith("250 ")
        for number, form in enumerate(forms):
            wide = "" if form.isascii() and sender.isascii() else " SMTPUTF8"
            reply = say(f"MAIL FROM:{sender}{wide}\r\n".encode())
            if reply.startswith("250 "):
                reply = say(f"RCPT TO:{form}\r\n".encode("utf-8", "surrogateescape"))
            if reply.startswith("250 "):
                assert say(b"DATA\r\n").startswith("354 ")
                reply = say(f"Subject: form {number}\r\n\r\nHello.\r\n.\r\n".encode())
            replies.append(reply)
            assert say(b"RSET\r\n").startswith("250 ")
        sock.sendall(b"QUIT\r\n")
        hear()
    return replies


if __name__ == "__main__":
    print(json.dumps(try_all(**json.load(sys.stdin))))
