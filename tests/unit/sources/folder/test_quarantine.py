"""The way of files out of a folder, step by step on real files: what is lost, and what is replaced, is nothing."""

import asyncio
import errno
import fcntl
import os
import signal
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirrord.model import FileIdentity
from mirrord.planning.decisions.file_removal import QUARANTINE, RemovalResult, quarantine_name
from mirrord.sources.folder import quarantine, renames
from mirrord.sources.folder.quarantine import FolderQuarantine

LONG = "l" * 251 + ".csv"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inbox" / "sub").mkdir(parents=True)
    return tmp_path / "inbox"


@pytest.fixture
def done(tmp_path: Path) -> Path:
    return tmp_path / "done"


@pytest.fixture(params=["rename", "copy"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, root: Path, done: Path) -> str:
    """How a file is moved: within one file system, or across two, which any rename out of the folder then says."""
    if request.param == "copy":
        plain = renames.rename

        def across(old: str, new: str, old_place: int, new_place: int) -> None:
            if os.readlink(f"/proc/self/fd/{old_place}").startswith(str(root)) and old_place != new_place:
                raise OSError(errno.EXDEV, "another file system")
            plain(old, new, old_place, new_place)

        monkeypatch.setattr(renames, "rename", across)
    return str(request.param)


@pytest.fixture(params=["renameat2", "link"])
def means(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the file system offers to rename without replacing."""
    if request.param == "link":
        monkeypatch.setattr(renames, "_renameat2", None)
    return str(request.param)


def identity(path: Path) -> FileIdentity:
    return FileIdentity.of(os.lstat(path))


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def reserved(root: Path) -> list[Path]:
    return list(root.rglob(f"{QUARANTINE}*"))


async def depart(root: Path, name: str, move: Path | None = None, proven: FileIdentity | None = None) -> RemovalResult:
    return await FolderQuarantine().remove(str(root), name, proven or identity(root / name), move and str(move))


async def resume(root: Path, name: str, proven: FileIdentity | None, move: Path | None = None) -> RemovalResult:
    return await FolderQuarantine().resume(str(root), name, proven, move and str(move))


def put_aside(root: Path, name: str) -> FileIdentity:
    """As one leaves it who was killed then; what it was before."""
    path, before = root / name, identity(root / name)
    place = path.parent / quarantine_name(path.name)
    place.parent.mkdir(exist_ok=True)
    path.rename(place)
    return before


# ── deleted ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("means")
@pytest.mark.parametrize("name", ["a.csv", "sub/a.csv", LONG, f"sub/{LONG}", "ü \n.csv", "-rf"])
async def test_a_proven_file_is_deleted_and_nothing_else(root: Path, name: str) -> None:
    (root / name).write_bytes(b"a")
    (root / "other").write_bytes(b"o")
    assert await depart(root, name) == RemovalResult(gone=True)
    assert tree(root) == {"other": b"o"}
    assert sorted(os.listdir(root)) == ["other", "sub"]


async def test_one_name_of_a_hard_link_is_removed(root: Path) -> None:
    (root / "a").write_bytes(b"a")
    (root / "sub" / "b").hardlink_to(root / "a")
    assert (await depart(root, "a")).gone
    assert tree(root) == {"sub/b": b"a"}


async def test_many_with_long_names_at_once(root: Path) -> None:
    names = [f"{n:04}{LONG[4:]}" for n in range(100)]
    for name in names:
        (root / name).write_bytes(b"a")
    assert all(one.gone for one in await asyncio.gather(*(depart(root, name) for name in names)))
    assert os.listdir(root) == ["sub"]


# ── a writer who comes back ───────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("change", ["append", "replace", "remove", "touch", "directory", "link"])
async def test_another_state_of_the_file_is_not_touched(root: Path, change: str) -> None:
    path = root / "a"
    path.write_bytes(b"a")
    proven = identity(path)
    match change:
        case "append":
            path.write_bytes(b"ab")
        case "touch":
            os.utime(path, ns=(1, 1))
        case _:
            path.unlink()
    match change:
        case "replace":
            path.write_bytes(b"a")
        case "directory":
            path.mkdir()
        case "link":
            path.symlink_to("/etc/passwd")
    before = tree(root)
    answer = await depart(root, "a", proven=proven)
    assert (answer.gone, answer.file) == (False, None)
    assert tree(root) == before
    assert not reserved(root)


async def test_a_process_that_has_the_file_open_for_writing_loses_nothing(root: Path) -> None:
    path = root / "a"
    with path.open("wb", buffering=0) as writer:
        writer.write(b"a")
        before = identity(path)
        assert await depart(root, "a") == RemovalResult(why="somebody has it open for writing")
        assert identity(path) == before, "it was not even renamed"
        writer.write(b"b")
    with path.open("rb"):
        assert (await depart(root, "a")).gone, "readers are no hindrance"


@pytest.mark.parametrize("moment", ["before the last look", "after it was renamed"])
@pytest.mark.parametrize("closed", [True, False])
async def test_a_file_that_is_written_to_while_set_aside_is_put_back(
    root: Path, monkeypatch: pytest.MonkeyPatch, moment: str, closed: bool
) -> None:
    path, writers = root / "a", []
    path.write_bytes(b"a")
    plain = quarantine.rename

    def meanwhile(old: str, new: str, old_place: int, new_place: int) -> None:
        if moment == "before the last look":
            writers.append(path.open("ab", buffering=0))
        plain(old, new, old_place, new_place)
        if moment != "before the last look":
            writers.append((root / quarantine_name("a")).open("ab", buffering=0))
        if closed:
            writers[0].write(b"b")
            writers[0].close()

    monkeypatch.setattr(quarantine, "rename", meanwhile)
    assert await depart(root, "a") == RemovalResult()
    if not closed:
        writers[0].write(b"b")
        writers[0].close()
    assert tree(root) == {"a": b"ab"}


async def test_a_new_file_while_the_old_one_is_put_back_loses_neither(root: Path) -> None:
    for content in (b"1", b"2", b"3"):
        (root / "a.csv").write_bytes(content)
        put_aside(root, "a.csv")
        (root / "a.csv").write_bytes(b"new")
        assert await resume(root, "a.csv", None) == RemovalResult()
        (root / "a.csv").unlink()
    assert tree(root) == {"a.1.csv": b"1", "a.2.csv": b"2", "a.3.csv": b"3"}


async def test_no_second_file_is_set_aside_over_the_first(root: Path) -> None:
    (root / "a").write_bytes(b"first")
    put_aside(root, "a")
    (root / "a").write_bytes(b"second")
    assert "exists" in (await depart(root, "a")).why
    assert sorted(tree(root).values()) == [b"first", b"second"]


def test_a_writer_that_opens_the_file_during_the_lease_ends_no_process(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel signals a broken lease with SIGIO, by default the end of the process."""
    (root / "a").write_bytes(b"a")
    plain, asked = quarantine.fcntl, []

    def watched(file: int, command: int, *given: int) -> object:
        answer = plain(file, command, *given)
        if given == (fcntl.F_RDLCK,):
            with pytest.raises(BlockingIOError):
                os.open(root / "a", os.O_WRONLY | os.O_NONBLOCK)
            asked.append(plain(file, fcntl.F_GETSIG))
        return answer

    monkeypatch.setattr(quarantine, "fcntl", watched)
    with (root / "a").open("rb") as file:
        assert quarantine._at_rest(file.fileno())
    assert asked == [signal.SIGURG]


# ── killed, and begun again ───────────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("means")
@pytest.mark.parametrize("name", ["a", f"sub/{LONG}"])
async def test_a_proven_file_that_was_set_aside_is_removed(root: Path, name: str) -> None:
    (root / name).write_bytes(b"a")
    proven = put_aside(root, name)
    assert await resume(root, name, proven) == RemovalResult(gone=True)
    assert tree(root) == {}
    assert not reserved(root)


@pytest.mark.usefixtures("means")
@pytest.mark.parametrize("name", ["a", f"sub/{LONG}"])
@pytest.mark.parametrize("known", [True, False])
async def test_any_other_is_put_back(root: Path, name: str, known: bool) -> None:
    (root / name).write_bytes(b"a")
    proven = put_aside(root, name)
    os.utime((root / name).parent / quarantine_name((root / name).name), ns=(1, 1))
    assert await resume(root, name, proven if known else None) == RemovalResult()
    assert tree(root) == {name: b"a"}
    assert not reserved(root)


async def test_killed_between_link_and_unlink_it_has_one_name_again(root: Path) -> None:
    (root / "a").write_bytes(b"a")
    put_aside(root, "a")
    (root / "a").hardlink_to(root / quarantine_name("a"))
    await resume(root, "a", None)
    assert tree(root) == {"a": b"a"}


async def test_nothing_set_aside_is_no_error(root: Path) -> None:
    assert await resume(root, "a", None) == RemovalResult()
    assert await resume(root, "gone/a", None) == RemovalResult()


# ── moved ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", ["a.csv", "sub/a.csv", f"sub/{LONG}"])
async def test_a_file_is_moved_with_its_directories_and_replaces_nothing(root: Path, done: Path, name: str) -> None:
    for number, content in enumerate((b"first", b"second", b"third" * 1_000_000)):
        path = root / name
        path.write_bytes(content)
        path.chmod(0o640)
        os.utime(path, ns=(10**18, 10**18 + number))
        answer = await depart(root, name, done)
        assert answer.gone
        assert tree(done)[answer.at.removeprefix(f"{done}/")] == content
        there = os.stat(answer.at)
        assert (there.st_mtime_ns, stat.S_IMODE(there.st_mode)) == (10**18 + number, 0o640)
    assert sorted(map(len, tree(done).values())) == [5, 6, 5_000_000]
    assert tree(done)[name] == b"first"
    assert tree(root) == {}


@pytest.mark.usefixtures("way")
async def test_the_directory_is_created_but_not_its_parent(root: Path, done: Path) -> None:
    (root / "a").write_bytes(b"a")
    before = identity(root / "a")
    answer = await depart(root, "a", done / "deep")
    assert answer == RemovalResult(why=f"{done}/deep: No such file or directory")
    assert identity(root / "a") == before
    os.mkdir(done)
    assert (await depart(root, "a", done / "deep")).gone
    assert tree(done) == {"deep/a": b"a"}


@pytest.mark.usefixtures("way")
async def test_a_file_in_the_directorys_place_keeps_the_file(root: Path, done: Path) -> None:
    (done.parent / "done").write_bytes(b"no directory")
    (root / "a").write_bytes(b"a")
    before = identity(root / "a")
    assert "Not a directory" in (await depart(root, "a", done)).why
    assert identity(root / "a") == before


@pytest.mark.usefixtures("way")
async def test_no_link_below_the_directory_is_followed(root: Path, done: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    os.mkdir(done)
    (done / "sub").symlink_to(tmp_path / "elsewhere")
    (root / "sub" / "a").write_bytes(b"a")
    answer = await depart(root, "sub/a", done)
    assert (answer.gone, answer.file) == (False, identity(root / "sub" / "a")), "known by what it is, put back"
    assert (tree(root), tree(tmp_path / "elsewhere")) == ({"sub/a": b"a"}, {})


async def test_a_copy_that_fails_leaves_the_file_and_nothing_else(
    root: Path, done: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    (root / "a").write_bytes(b"a")
    monkeypatch.setattr(renames.os, "write", full)
    answer = await depart(root, "a", done)
    if way == "copy":
        assert (answer.why, answer.file) == ("No space left on device", identity(root / "a"))
        assert (tree(root), tree(done)) == ({"a": b"a"}, {})
    else:
        assert answer.gone, "a rename needs no room"


async def test_a_writer_during_a_copy_gets_the_file_back(
    root: Path, done: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != "copy":
        return
    (root / "a").write_bytes(b"a")
    plain = quarantine.copied

    def slowly(*given: object) -> str:
        there = plain(*given)  # type: ignore[arg-type]
        (root / quarantine_name("a")).write_bytes(b"ab")
        return there

    monkeypatch.setattr(quarantine, "copied", slowly)
    assert not (await depart(root, "a", done)).gone
    assert (tree(root), tree(done)) == ({"a": b"ab"}, {})


async def test_a_copy_that_was_made_before_a_kill_is_not_made_again(root: Path, done: Path, way: str) -> None:
    if way != "copy":
        return
    os.mkdir(done)
    (root / "a").write_bytes(b"a")
    (done / "a").write_bytes(b"a")
    os.utime(done / "a", ns=(1, (root / "a").stat().st_mtime_ns))
    proven = put_aside(root, "a")
    assert await resume(root, "a", proven, done) == RemovalResult(gone=True, at=f"{done}/a")
    assert (tree(root), tree(done)) == ({}, {"a": b"a"})


async def test_cancelled_in_mid_copy_the_file_is_back(
    root: Path, done: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != "copy":
        return
    loop, reached = asyncio.get_running_loop(), asyncio.Event()
    plain = os.write

    def write(file: int, view: memoryview) -> int:
        loop.call_soon_threadsafe(reached.set)
        return plain(file, view[:4096])

    (root / "a").write_bytes(b"a" * 3_000_000)
    monkeypatch.setattr(renames.os, "write", write)
    moving = asyncio.create_task(depart(root, "a", done))
    await reached.wait()
    moving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await moving
    assert (set(tree(root)), tree(done)) == ({"a"}, {})


async def test_across_two_real_file_systems(root: Path) -> None:
    """Where /dev/shm is another one than the temporary directory; else this is one more rename."""
    with _elsewhere(root) as other:
        (root / "sub" / "a").write_bytes(b"a" * 3_000_000)
        answer = await depart(root, "sub/a", other / "done")
        assert answer == RemovalResult(gone=True, at=f"{other}/done/sub/a")
        assert (tree(root), tree(other)) == ({}, {"done/sub/a": b"a" * 3_000_000})


@contextmanager
def _elsewhere(root: Path) -> Iterator[Path]:
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(root.parent)
    with tempfile.TemporaryDirectory(dir=place) as directory:
        yield Path(directory)


# ── what cannot be done ───────────────────────────────────────────────────────────────────────────
async def test_a_directory_that_may_not_be_written_keeps_its_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "sub" / "a").write_bytes(b"a")
    before = identity(root / "sub" / "a")
    if os.geteuid() == 0:  # whom modes do not bind

        def refused(*_: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(quarantine, "rename", refused)
    (root / "sub").chmod(0o500)
    try:
        assert await depart(root, "sub/a") == RemovalResult(why="Permission denied")
        assert identity(root / "sub" / "a") == before
    finally:
        (root / "sub").chmod(0o700)


async def test_a_file_system_without_leases_is_gone_on_without(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    (root / "a").write_bytes(b"a")
    monkeypatch.setattr(quarantine, "fcntl", none)
    assert (await depart(root, "a")).gone


async def test_a_link_in_the_path_is_not_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_bytes(b"a")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    answer = await depart(root, "link/a", proven=identity(tmp_path / "elsewhere" / "a"))
    assert answer == RemovalResult(why="it is reached through a symbolic link")
    assert tree(tmp_path / "elsewhere") == {"a": b"a"}
