"""Only one StateLock of a state directory at a time."""

import os
import stat
from pathlib import Path

import pytest

from mirrord.errors import JournalLocked, JournalUnavailable
from mirrord.journal.lock import StateLock


def test_a_second_lock_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    with (
        StateLock(tmp_path),
        pytest.raises(JournalLocked, match=rf"pid {os.getpid()}\) holds the state in .*--state"),
        StateLock(tmp_path),
    ):
        pass


def test_it_can_be_locked_again_after_it_was_released(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    for _ in range(3):
        with lock:
            pass
    with StateLock(tmp_path):
        pass


def test_a_refused_lock_does_not_release_the_first(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        for _ in range(2):
            with pytest.raises(JournalLocked), StateLock(tmp_path):
                pass


def test_two_directories_are_two_states(tmp_path: Path) -> None:
    with StateLock(tmp_path / "a"), StateLock(tmp_path / "b"):
        assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_directory_and_file_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with StateLock(tmp_path / "state"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()] == [0o600]


def test_a_lock_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(JournalUnavailable, match="cannot open the lock file"), StateLock(tmp_path):
        pass
