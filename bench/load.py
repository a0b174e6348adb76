"""Load through a relay: smtp-source to the peer, the peer to smtp-sink. Rate end to end, CPU of the peer and of the
two tools, syncs, memory; and the check that the sink got as many messages as were sent."""

import os
import re
import subprocess
import time

from box import Failed, Syncs
from peers import free_port, greets, tool

SESSIONS = 50
SINK_BACKLOG = 2000
POLL_SECONDS = 0.004
WATCH_SECONDS = 0.1
STALL_SECONDS = 20  # no further message at the sink for so long: the rest is lost
SETTLE_SECONDS = 0.3  # after the last message: what the peer still has to do for it, and duplicates
START_SECONDS = 10
WARM_SECONDS = 0.7  # a warm-up run of this length tells the rate
WARM_MESSAGES = 50
ADDRESSES = ("-f", "a@x.test", "-t", "b@y.test")


class Sink:
    """smtp-sink on a port of its own, and the counter that it prints."""

    def __init__(self, groups, port=None):
        self.groups = groups
        self.port = port or free_port()
        self.counter = os.memfd_create("sink")
        argv = [*tool("smtp-sink"), "-u", "nobody", "-c", f"127.0.0.1:{self.port}", str(SINK_BACKLOG)]
        self.process = groups.tools.start(argv, stdout=self.counter, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not greets(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed("smtp-sink does not start")
            time.sleep(0.01)

    def count(self):
        """Messages that arrived whole."""
        size = os.fstat(self.counter).st_size
        tail = os.pread(self.counter, 400, max(0, size - 400))
        counts = re.findall(rb"mesg=\s*(\d+)", tail)
        return int(counts[-1]) if counts else 0

    def wait(self, wanted, timeout=STALL_SECONDS, watch=None):
        """Until so many messages have arrived; the moment when the last one did, or None when no more came."""
        had = self.count()
        moved = watched = time.monotonic()
        while had < wanted:
            time.sleep(POLL_SECONDS)
            now, count = time.monotonic(), self.count()
            if watch and now - watched > WATCH_SECONDS:
                watch()
                watched = time.monotonic()
            if count != had:
                had, moved = count, now
            elif now - moved > timeout:
                return None
        return moved

    def extra(self, wanted):
        """Messages that should not have arrived, when so many should."""
        return max(0, self.count() - wanted)

    def source(self, peer, messages, size, keep):
        """Starts a load that is to arrive here by way of the peer."""
        return source(self.groups, peer.port, messages, size, keep)

    def stop(self):
        end(self.process)
        os.close(self.counter)


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def source(groups, port, messages, size, keep, sessions=SESSIONS):
    """Starts smtp-source; size is that of the body."""
    argv = [*tool("smtp-source"), "-s", min(sessions, messages), "-m", messages, "-l", size, *ADDRESSES]
    if keep:
        argv.append("-d")
    return groups.tools.start([*argv, f"127.0.0.1:{port}"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


def finish(process, timeout):
    """Waits for smtp-source, or another source of messages."""
    try:
        _, said = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Failed(f"the source was not done after {timeout} s") from None
    if process.returncode != 0:
        raise Failed(f"the source ended with {process.returncode}: {said.decode(errors='replace').strip()[-300:]}")


def send(peer, sink, messages, size, keep, timeout, watch=None):
    """One load, from the first connect to the last arrival: its seconds. Failed when messages were lost or doubled."""
    had = sink.count()
    begun = time.monotonic()
    process = sink.source(peer, messages, size, keep)
    try:
        done = sink.wait(had + messages, watch=watch)
    finally:
        finish(process, timeout)
    arrived = sink.count() - had
    if done is None or arrived < messages:
        raise Failed(f"{messages - arrived} of {messages} messages were lost or are late")
    return done - begun


def once(sink, wanted):
    """The other half of the check, when all is quiet."""
    extra = sink.extra(wanted)
    if extra:
        raise Failed(f"{extra} messages arrived twice")


def warm_up(peer, sink, size, keep):
    """Lets the peer start what it starts under load; its rate, roughly."""
    if peer.cold_rate:
        return peer.cold_rate
    messages = WARM_MESSAGES
    while True:
        seconds = send(peer, sink, messages, size, keep, 60)
        if seconds >= WARM_SECONDS:
            return messages / seconds
        messages = max(messages * 2, int(messages * WARM_SECONDS / seconds * 1.1))


def measure(groups, peer, sink, size, keep, messages=None, seconds=5.0):
    """One round of one cell of the table. Without a number of messages: as many as take about that long."""
    rate = warm_up(peer, sink, size, keep)
    messages = messages or max(200, int(rate * seconds))
    time.sleep(SETTLE_SECONDS)
    had = sink.count()
    group = peer.group
    peer_cpu = group.cpu() if group else 0.0
    tools_cpu = groups.tools.cpu()
    machine_cpu = groups.machine_cpu()
    begun = time.monotonic()
    took = send(peer, sink, messages, size, keep, 60 + seconds * 20)
    time.sleep(SETTLE_SECONDS)
    once(sink, had + messages)
    peer_cpu = group.cpu() - peer_cpu if group else 0.0
    tools_cpu = groups.tools.cpu() - tools_cpu
    wall = time.monotonic() - begun
    foreign = groups.machine_cpu() - machine_cpu - peer_cpu - tools_cpu
    return {
        "messages": messages,
        "seconds": took,
        "rate": messages / took,
        "cpu": peer_cpu / messages * 1000 if group else None,
        "tools-cpu": tools_cpu / messages * 1000,
        "foreign": max(0.0, foreign / wall),
    }


def details(groups, peer, sink, size, keep, messages=None, seconds=2.0):
    """What would disturb a measured load, in two loads of their own: syncs per message, and by which means they were
    counted; the peak of memory."""
    messages = messages or max(200, int(warm_up(peer, sink, size, keep) * seconds))
    time.sleep(SETTLE_SECONDS)
    had = sink.count()
    with Syncs(peer.group, peer.work) as counted:
        send(peer, sink, messages, size, keep, 120)
        time.sleep(SETTLE_SECONDS)
        syncs, how = counted.count() / messages, counted.how
    once(sink, had + messages)
    seen = []
    send(peer, sink, messages, size, keep, 120, lambda: seen.append(peer.group.pss()))
    seen.append(peer.group.pss())
    return {"syncs": syncs, "how": how, "memory": max(seen), "messages": 2 * messages}
