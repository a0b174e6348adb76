"""The syslog daemon of the peers: takes their log lines on sockets and appends them to a file, as a machine's own
would; outside of what is measured, but for the cost of sending the lines. Usage: syslog.py FILE SOCKET …"""

import os
import select
import socket
import sys


def main(path, names):
    out = open(path, "ab", buffering=1 << 16)
    ready = select.poll()
    sockets = {}
    for name in names:
        taken = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        taken.bind(name)
        os.chmod(name, 0o666)
        ready.register(taken, select.POLLIN)
        sockets[taken.fileno()] = taken
    while True:
        for number, _ in ready.poll():
            try:
                while True:
                    out.write(sockets[number].recv(8192, socket.MSG_DONTWAIT) + b"\n")
            except BlockingIOError:
                pass
        out.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
