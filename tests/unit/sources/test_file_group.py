"""Many small files read by one call: the bytes, and each change that leaves a file out."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mirrord import checksums
from mirrord.model import ChecksumKind, FileIdentity
from mirrord.sources.file import group
from mirrord.sources.file.group import read_group

KIND = ChecksumKind.CRC64NVME
NAMES = ["a", "sub/b", "sub/c", "sub/deep/d", "e"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "inbox"
    for number, name in enumerate(NAMES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(bytes([number]) * (number + 1) * 10)
    return root


def states(root: Path) -> list[tuple[str, FileIdentity]]:
    return [(name, FileIdentity.of(os.lstat(root / name))) for name in NAMES]


def read(root: Path, files: list[tuple[str, FileIdentity]]) -> tuple[list[bytes | None], int]:
    """The bytes of each file; None: it was left out. And how often the call showed that it is alive."""
    view = memoryview(bytearray(sum(file.size for _, file in files) + 1))
    alive: list[bool] = []
    found = read_group(str(root), files, view, KIND, lambda: alive.append(True))
    contents, at = list[bytes | None](), 0
    for (_, file), checksum in zip(files, found, strict=True):
        part = view[at : at + file.size]
        at += file.size
        if checksum is not None:
            assert checksum == checksums.compute(KIND, part)
        contents.append(None if checksum is None else bytes(part))
    return contents, len(alive)


def test_each_file_is_read_to_its_end(root: Path) -> None:
    assert read(root, states(root)) == ([(root / name).read_bytes() for name in NAMES], len(NAMES))


def replaced(path: Path) -> None:
    content = path.read_bytes()
    path.rename(path.with_name("moved"))
    path.write_bytes(content)


def linked(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def link_above(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))
    path.parent.symlink_to("moved")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "longer": lambda path: path.write_bytes(bytes(999)),
    "shorter": lambda path: path.write_bytes(b"x"),
    "touched": lambda path: os.utime(path, (1, 1)),
    "replaced by a copy": replaced,
    "replaced by a link": linked,
    "a directory above it replaced by a link": link_above,
    "replaced by a FIFO": fifo,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_is_not_the_expected_one_is_left_out(root: Path, change: str) -> None:
    expected = states(root)
    CHANGES[change](root / "sub/deep/d")
    contents, _ = read(root, expected)
    assert contents == [(root / name).read_bytes() if name != "sub/deep/d" else None for name in NAMES]


@pytest.mark.parametrize("change", ["gone", "longer", "touched", "replaced by a copy"])
@pytest.mark.parametrize("call", ["preadv", "close"], ids=["before it is read", "after it was read"])
def test_a_file_that_changes_meanwhile_is_left_out(
    root: Path, change: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, real = states(root)[:1], getattr(os, call)

    def changing(*given: object) -> object:
        monkeypatch.setattr(group.os, call, real)
        CHANGES[change](root / "a")
        return real(*given)

    monkeypatch.setattr(group.os, call, changing)
    assert read(root, expected)[0] == [None]


def test_a_file_without_blocks_is_left_out(root: Path) -> None:
    with (root / "a").open("wb") as file:
        file.truncate(4096)
    assert os.stat(root / "a").st_blocks == 0
    assert read(root, states(root)[:1])[0] == [None]


def test_a_file_that_was_opened_instead_of_the_expected_one_is_left_out(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a directory above it was replaced and put back, which changes nothing of the file at the path."""
    expected, real = states(root)[:1], os.open
    (root / "copy").write_bytes((root / "a").read_bytes())
    monkeypatch.setattr(os, "open", lambda path, *more, **by: real("copy" if path == "a" else path, *more, **by))
    assert read(root, expected)[0] == [None]


def test_a_file_that_was_read_in_part_is_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, real = states(root)[:1], os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, views, at: real(file, [views[0][:3]], at))
    assert read(root, expected)[0] == [None]


def test_no_directory_stays_open(root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    expected = states(root)
    (root / "sub/deep/d").unlink()
    read(root, expected)
    assert len(os.listdir("/proc/self/fd")) == before
