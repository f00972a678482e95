"""What a worker does after an error."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mirrord.daemon import worker
from mirrord.errors import JournalUnavailable
from mirrord.settings import Settings
from mirrord.testing import ManualClock


async def test_a_worker_begins_again_after_any_error(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: Iterator[BaseException] = iter([JournalUnavailable("away"), ValueError("a defect"), GeneratorExit()])

    said: list[str] = []

    def failing(*_: Any) -> Any:
        raise next(errors)

    monkeypatch.setattr(worker, "worker_state", failing)
    monkeypatch.setattr(worker, "AGAIN", 0.0)
    monkeypatch.setattr(worker, "AFTER_ERROR", 0.0)
    with pytest.raises(GeneratorExit):
        await worker.Replica([], Settings(state=Path("s")), {}, print).work(said.append)
    assert said == ["away", "a defect"]


async def test_a_flush_that_fails_ends_no_checks() -> None:
    """They wait for PostgreSQL in the journal; the flush is repeated."""
    flushes: list[None] = []
    clock = ManualClock()

    async def flush() -> None:
        flushes.append(None)
        raise JournalUnavailable("away")

    async def nothing(*_: Any) -> bool:
        return False

    opened = SimpleNamespace(
        clock=clock,
        released=[],
        stores=SimpleNamespace(renewed=nothing),
        journal=SimpleNamespace(outbox=SimpleNamespace(flush=flush)),
    )
    parts: Any = {"manifests": SimpleNamespace(read=nothing), "opened": opened, "lists": None}
    known = worker.KnownItems(**parts)
    following = asyncio.create_task(known.follow())
    await clock.advance(3.5)
    assert len(flushes) == 3
    assert not following.done()
    following.cancel()
