"""Fixtures. Each test has gateways and peers of its own; what they said is shown when the test fails."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from lib import peers, postern  # noqa: E402
from lib.sink import Sink  # noqa: E402

LOG_SHOWN = 12000


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for server in getattr(item, "gateways", ()):
            report.sections.append((f"log of the gateway in {server.home}", getattr(server, "last_log", server.log())[-LOG_SHOWN:]))


@pytest.fixture(scope="session", autouse=True)
def copies_of_the_programs():
    yield
    postern.remove_programs()


def close_all(things):
    problems = []
    for thing in reversed(things):
        try:
            thing.close()
        except AssertionError as e:
            problems.append(str(e))
    assert not problems, "\n".join(problems)


@pytest.fixture
def gateway(request):
    """gateway(objects, start={…}): a gateway that runs. started=False: one that does not yet."""
    made = []
    request.node.gateways = made

    def make(objects=None, started=True, **options):
        one = postern.Postern(objects, **options)
        made.append(one)
        return one.start() if started else one

    yield make
    for one in made:
        one.last_log = one.log()
    close_all(made)


@pytest.fixture
def sink():
    """sink(…): a next hop. At the end it must have seen nothing that a client may not do."""
    made = []

    def make(**options):
        one = Sink(**options)
        made.append(one)
        return one

    yield make
    close_all(made)
    for one in made:
        assert not one.violations, one.violations


@pytest.fixture
def peer():
    """peer(thing): closes it at the end."""
    made = []

    def keep(thing):
        made.append(thing)
        return thing

    yield keep
    close_all(made)


@pytest.fixture(scope="module")
def dns_server():
    made = []

    def make(zones, **options):
        made.append(peers.Knot(zones, **options))
        return made[-1]

    yield make
    close_all(made)
