"""Folders, ports, waiting: what every peer needs."""
import os
import pathlib
import random
import shutil
import socket
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", TOP / "build")).resolve()
PEERS = pathlib.Path(os.environ.get("POSTERN_PEERS", TOP / "build" / "peers")).resolve()
IS_ROOT = os.geteuid() == 0
WAIT_S = 20

_given = set()


def folder():
    """A new folder that every user may look into; short, since the paths of sockets are bounded."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="pt-", dir="/tmp"))
    path.chmod(0o755)
    return path


def remove(path):
    shutil.rmtree(path, ignore_errors=True)


def free_port(*addresses):
    """A TCP port that is free on all these addresses now, and was not given out before. Below those that the system takes for
    outgoing connections, and from a range of this process's own where several run tests side by side."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    first = 10000 + worker % 8 * 2800
    for _ in range(2000):
        port = random.randrange(first, first + 2800)
        if port in _given or not all(_is_free(a, port) for a in addresses or ("127.0.0.1",)):
            continue
        _given.add(port)
        return port
    raise RuntimeError("no free port")


def _is_free(address, port):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def wait_until(what, check, timeout=WAIT_S, every=0.03):
    """Returns what check() returns as soon as that is true; an exception in it counts as "not yet" until the end."""
    end = time.monotonic() + timeout
    problem = None
    while True:
        try:
            value = check()
            problem = None
            if value:
                return value
        except (AssertionError, OSError, KeyError, IndexError) as e:
            problem = e
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout} seconds" + (f" ({problem})" if problem else ""))
        time.sleep(every)


def stays(what, check, seconds):
    """check() must be true all the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert check(), what
        time.sleep(0.05)
