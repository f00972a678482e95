"""The files of manifests: regular files, and pipes only if the caller allows them."""

import os
import threading
from pathlib import Path

import pytest

from mirrord.errors import ManifestError
from mirrord.manifest import load
from mirrord.manifest.discover import discover
from mirrord.manifest.files import read_file
from mirrord.manifest.manifest import load_all

TEXT = b"mirrors: []\n"


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "m.yaml")
    return tmp_path / "m.yaml"


def written(fifo: Path, content: bytes = TEXT) -> None:
    """A writer that waits for the reader, as shells have it."""
    threading.Thread(target=fifo.write_bytes, args=(content,), daemon=True).start()


def test_a_pipe_is_refused_at_once_and_read_where_it_may_be_one(fifo: Path) -> None:
    with pytest.raises(OSError, match="a pipe, not a regular file"):
        read_file(str(fifo), 100)
    written(fifo)
    assert read_file(str(fifo), 100, pipe=True) == TEXT


def test_one_byte_more_than_the_limit_says_that_there_is_more(fifo: Path) -> None:
    written(fifo)
    assert read_file(str(fifo), 3, pipe=True) == TEXT[:4]


@pytest.mark.parametrize("pipe", [True, False])
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/"])
def test_devices_and_directories_are_always_refused(path: str, pipe: bool) -> None:
    with pytest.raises(OSError, match=r"device|directory"):
        read_file(path, 100, pipe=pipe)


def test_a_pipe_among_the_files_of_a_directory_is_a_fault_of_its_own(fifo: Path) -> None:
    (fifo.parent / "good.yaml").write_bytes(TEXT)
    loaded = load_all(discover([str(fifo.parent)]), {}, pipes=[str(fifo.parent)])
    assert [one.file for one in loaded.manifests] == [str(fifo.parent / "good.yaml")]
    assert ["a pipe" in one.message for one in loaded.problems] == [True]
    written(fifo)
    assert load_all([str(fifo)], {}, pipes=[str(fifo)]).problems == ()


def test_standard_input_is_a_path_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert discover(["-"]) == ("-",)
    with pytest.raises(ManifestError, match="standard input"):
        load.read("-")
    reading, writing = os.pipe()
    os.write(writing, TEXT)
    os.close(writing)
    monkeypatch.setattr(os, "read", lambda file, size, read=os.read: read(reading if file == 0 else file, size))
    assert load.read("-", pipe=True) == TEXT
    os.close(reading)
