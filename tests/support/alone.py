"""Marker `alone`: while such a test runs, no other worker of pytest-xdist runs a test.

For tests that measure times or load, or that change a setting of the whole machine. They run last, so that the other
workers have nothing left to wait for. Two lock files in a directory of the run hold it: each test shares `room` while
it runs, and an `alone` test takes it exclusively. `door` keeps new tests out while an `alone` test waits for the room.
Without xdist there is nothing to do.
"""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

_DIRECTORY = "mirrord_locks"


@contextmanager
def _locked(file: Path, how: int) -> Iterator[None]:
    with file.open("wb") as opened:
        fcntl.flock(opened, how)  # closing the file releases the lock
        yield


class Locks:
    """In a worker: the locks of a run whose directory is known."""

    def __init__(self, directory: Path) -> None:
        self._door, self._room = directory / "door", directory / "room"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Outside of pytest-timeout's hook: a test that waits for the room is not late."""
        how = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
        with ExitStack() as room:
            with _locked(self._door, how):
                room.enter_context(_locked(self._room, how))
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
