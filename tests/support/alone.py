"""Marker `alone`: while such a test runs, no other worker of pytest-xdist runs a test.

For tests that measure times or load, or that change a setting of the whole machine. They run last, so that the other
workers do not wait for long. Two lock files in a directory of the run: each test has a shared lock on `running`,
an `alone` test an exclusive one. While an `alone` test waits for it, its exclusive lock on `entry` keeps new tests from
starting. Without xdist there is nothing to do.
"""

import fcntl
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

_DIRECTORY = "mirrord_locks"
LONGEST_WAIT = 900.0
"""Seconds. The longest test takes less: a lock that is not free by then was lost, and the run must not hang."""


@contextmanager
def _locked(file: Path, how: int) -> Iterator[None]:
    """A POSIX lock: unlike flock's, no child that a test forks can inherit it and keep it."""
    with file.open("a+b") as opened:
        until = time.monotonic() + LONGEST_WAIT
        while True:
            try:
                fcntl.lockf(opened, how | fcntl.LOCK_NB)  # closing the file releases it
                break
            except OSError as error:
                if time.monotonic() > until:
                    raise TimeoutError(f"{file} was not free for {LONGEST_WAIT:g} s") from error
                time.sleep(0.02)  # there is no event for it
        yield


class Locks:
    """In a worker: the locks of a run whose directory is known."""

    def __init__(self, directory: Path) -> None:
        self._entry, self._running = directory / "entry", directory / "running"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Outside of pytest-timeout's hook: the wait for the locks does not count as time of the test."""
        how = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
        with ExitStack() as running:
            with _locked(self._entry, how):
                running.enter_context(_locked(self._running, how))
            return (yield)


class Directory:
    """In the controller: the directory of the locks, for as long as the run takes."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="mirrord-locks-")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[_DIRECTORY] = self._directory.name

    def pytest_unconfigure(self) -> None:
        self._directory.cleanup()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: no other test runs meanwhile, in any worker")
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Locks(Path(config.workerinput[_DIRECTORY])))
    elif config.getoption("dist", "no") != "no":
        config.pluginmanager.register(Directory())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("alone") is not None)  # stable
