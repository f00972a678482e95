"""One holder of a state directory at a time."""

import os
import stat
from pathlib import Path

import pytest

from mirrord.errors import JournalLocked, JournalUnavailable
from mirrord.journal.lock import StateLock


def test_a_second_holder_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with (
        StateLock(tmp_path),
        pytest.raises(JournalLocked, match=rf"pid {os.getpid()}\) holds the state in .*--state"),
        StateLock(tmp_path),
    ):
        pass


def test_it_is_free_again_after_its_holder_left(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    for _ in range(3):
        with lock:
            pass
    with StateLock(tmp_path):
        pass


def test_a_refused_holder_leaves_the_lock_where_it_is(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        for _ in range(2):
            with pytest.raises(JournalLocked), StateLock(tmp_path):
                pass


def test_two_directories_are_two_states(tmp_path: Path) -> None:
    with StateLock(tmp_path / "a"), StateLock(tmp_path / "b"):
        assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_what_it_makes_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with StateLock(tmp_path / "state"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()] == [0o600]


def test_a_place_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(JournalUnavailable, match="cannot open the lock file"), StateLock(tmp_path):
        pass
