"""A backlog: the destination is down while messages come in. How fast they are taken as the queue grows, what each
costs in memory, how long a restart takes with them, how fast they drain once the destination is back."""

import signal
import time

from box import Failed
from load import Sink, finish, source
from peers import free_port, greets

SLICES = 10
SIZE = 1024
SETTLE_SECONDS = 2.0
GREET_SECONDS = 120
FIRST_SECONDS = 20  # without a delivery for so long after a restart, the queue is told to hurry
DRAIN_STALL_SECONDS = 60


def fill(groups, peer, backlog):
    """Sends the backlog in slices; the rate at which each was taken."""
    rates = []
    each = backlog // SLICES
    for _ in range(SLICES):
        begun = time.monotonic()
        finish(source(groups, peer.port, each, SIZE, True), 60 + each / 20)
        rates.append(each / (time.monotonic() - begun))
    return rates, each * SLICES


def restart(peer, how):
    """Ends the peer and starts it on what it has; the moment of the start, and seconds until it greets."""
    peer.group.end(how)
    begun = time.monotonic()
    peer.run()
    while not greets(peer.port):
        if time.monotonic() - begun > GREET_SECONDS:
            raise Failed(f"{peer.label} does not greet after a restart: {peer.said()}")
        time.sleep(0.005)
    return begun, time.monotonic() - begun


def drain(peer, sink, taken, begun):
    """Waits for all messages; what is to be said about it."""
    result = {"hurried": False}
    first = sink.wait(1, FIRST_SECONDS)
    if first is None:
        result["hurried"] = True
        peer.hurry()
        begun = time.monotonic()
        first = sink.wait(1, FIRST_SECONDS)
        if first is None:
            raise Failed(f"{peer.label} delivers nothing after a restart")
    last = sink.wait(taken, DRAIN_STALL_SECONDS)
    time.sleep(SETTLE_SECONDS)
    if last is None or sink.count() < taken:
        raise Failed(f"{taken - sink.count()} of {taken} messages of the backlog were lost or are late")
    result["doubled"] = sink.count() - taken
    result["first-delivery"] = first - begun
    result["drain-rate"] = taken / max(last - first, 0.001)
    return result


def run(groups, peer, backlog):
    port = free_port()  # where nobody listens until the sink starts there
    sink = None
    try:
        peer.start(port)
        # what is allocated once, under load, counts for no message
        finish(source(groups, peer.port, 200, SIZE, True), 60)
        time.sleep(SETTLE_SECONDS)
        before = peer.group.pss()
        rates, filled = fill(groups, peer, backlog)
        time.sleep(SETTLE_SECONDS)
        memory = (peer.group.pss() - before) / filled
        taken = filled + 200

        _, clean = restart(peer, signal.SIGTERM)
        sink = Sink(groups, port)
        begun, crash = restart(peer, signal.SIGKILL)
        return {
            "messages": taken,
            "accept-rates": rates,
            "bytes-per-message": memory,
            "restart-clean": clean,
            "restart-killed": crash,
            **drain(peer, sink, taken, begun),
        }
    finally:
        peer.stop()
        if sink:
            sink.stop()
