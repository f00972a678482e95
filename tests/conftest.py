"""Every test may ask for the real stores of `tests.support`; none starts unless a test does."""

import os
import signal

import pytest
from hypothesis import settings

# What an example takes says more of the machine than of the code; a failure prints how to repeat it.
settings.register_profile("mirrord", deadline=None, print_blob=True)
settings.load_profile("mirrord")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that began the run in its background had it ignore Ctrl-C, and so would every command that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = [
    "tests.support.alone",
    "tests.support.weed",
    "tests.support.rclone",
    "tests.support.proxy",
    "tests.support.browser",
    "tests.support.origin",
    "tests.support.discarding",
    "tests.support.journals",
]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: one more than there are cores, because many tests wait for a process or a timer."""
    return (os.cpu_count() or 1) + 1
