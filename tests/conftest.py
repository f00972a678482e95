"""Makes the fixtures of `tests.support` available to every test. A store starts only when a test uses its fixture."""

import os
import signal

import pytest
from hypothesis import settings

# No deadline: the time of an example depends on the machine. A failure prints how to repeat it.
settings.register_profile("mirrord", deadline=None, print_blob=True)
settings.load_profile("mirrord")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs pytest in the background makes it ignore SIGINT; every command of a test would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = [
    "tests.support.collecting",
    "tests.support.wires",
    "tests.support.alone",
    "tests.support.weed",
    "tests.support.rclone",
    "tests.support.built_stores",
    "tests.support.moto_store",
    "tests.support.named_store",
    "tests.support.proxy",
    "tests.support.browser",
    "tests.support.screenshots",
    "tests.support.origin",
    "tests.support.discarding",
    "tests.support.postgres",
    "tests.support.journals",
    "tests.support.recorded_requests",
]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: more than two a core, because tests wait for processes and timers for more than half of their time."""
    return 2 * (os.cpu_count() or 1) + 1
