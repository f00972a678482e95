"""What a worker does after an error."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirrord.daemon import worker
from mirrord.errors import JournalUnavailable
from mirrord.settings import Settings


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
