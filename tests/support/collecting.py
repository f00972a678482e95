"""How workers of pytest-xdist collect the suite: in less time, and the tests that take long first.

Every worker collects everything. In a new clone each would also rewrite the assertions of all files: 10 s of CPU.
Each begins at another file of a directory, so a worker finds most files rewritten by the others.
"""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

_FIRST = ("fault", "integration", "contract", "fuzz")
"""Directories below tests/ whose tests run before all others: a long test that starts last would run by itself."""


def rotated(
    entries: list[pytest.Item | pytest.Collector], worker: str, workers: int
) -> list[pytest.Item | pytest.Collector]:
    """The entries of a directory in the order of this worker (gw0, gw1, …)."""
    start = len(entries) * int(worker.removeprefix("gw")) // workers
    return entries[start:] + entries[:start]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    found = yield
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and found.result and isinstance(collector, pytest.Directory):  # None: it failed
        found.result = rotated(found.result, worker, int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    return found


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Nothing that is collected becomes garbage: looking for it would take a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before pytest groups them by fixtures
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The order must be the same in all workers."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: _place(item.path.relative_to(config.rootpath)))  # stable: a file keeps its order


def _place(file: Path) -> tuple[int, Path]:
    kind = file.parts[1] if len(file.parts) > 1 else ""
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST), file
