"""What `daemon.file_roots` allows: the real path of what was opened counts, by whatever name it was reached."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mirrord.engine.daemon_block import daemon_settings
from mirrord.errors import SourceChanged, SourceDenied
from mirrord.manifest.manifest import load_all
from mirrord.model import ChecksumKind, File, FileIdentity
from mirrord.settings import OwnPaths, Settings, resolve
from mirrord.sources.file import READ_AHEAD, file_source
from mirrord.sources.file.group import read_group
from mirrord.sources.file_roots import require_allowed
from mirrord.sources.folder.scan import LocalFolder
from tests.support.reading import probed, read

SECRET = b"secret"


def limited(home: Path) -> OwnPaths:
    return Settings(state=home / "state" / "state.db", file_roots=(str(home / "srv"),)).own_paths


@pytest.fixture
def srv(tmp_path: Path) -> Path:
    for name in ("srv/sub", "srv-other", "out"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "f").write_bytes(SECRET)
    (tmp_path / "srv" / "f").write_bytes(b"public")
    (tmp_path / "srv" / "out").symlink_to(tmp_path / "out")
    (tmp_path / "into").symlink_to(tmp_path / "srv")
    os.link(tmp_path / "out" / "f", tmp_path / "srv" / "hard")
    return tmp_path / "srv"


@pytest.mark.parametrize("name", ["srv/f", "srv/sub/f", "into/f", "srv/sub/../f", "out/../srv/f", "srv/hard"])
async def test_a_file_below_a_root_is_read(tmp_path: Path, srv: Path, name: str) -> None:
    async with file_source(File(None, f"{tmp_path}/{name}"), limited(tmp_path)) as source:
        assert await read(source, await probed(source))


@pytest.mark.parametrize(
    "name", ["out/f", "srv-other/f", "srv/../out/f", "srv/out/f", "into/out/f", "/proc/self/root{}/out/f"]
)
@pytest.mark.parametrize("read_ahead", [0, READ_AHEAD])
async def test_a_file_outside_is_denied_before_and_after_it_is_known(
    tmp_path: Path, srv: Path, name: str, read_ahead: int
) -> None:
    path = name.format(tmp_path) if name.startswith("/") else f"{tmp_path}/{name}"
    async with file_source(File(None, path)) as source:
        known = await probed(source)
    async with file_source(File(None, path), limited(tmp_path), read_ahead=read_ahead) as source:
        for revision in (None, known.revision):
            with pytest.raises(SourceDenied, match=r"outside of daemon\.file_roots: move it"):
                await source.probe(revision)
        with pytest.raises(SourceDenied, match=r"file_roots"):
            await read(source, known)


async def test_a_directory_replaced_by_a_link_after_the_probe_is_not_read(tmp_path: Path, srv: Path) -> None:
    os.link(tmp_path / "out" / "f", srv / "sub" / "same")  # the same state of the same file, by another path
    (tmp_path / "out" / "same").hardlink_to(srv / "sub" / "same")
    async with file_source(File(None, f"{srv}/sub/same"), limited(tmp_path)) as source:
        observed = await probed(source)
        (srv / "sub").rename(srv / "was")
        (srv / "sub").symlink_to(tmp_path / "out")
        with pytest.raises(SourceDenied, match=r"leads to .*/out/same"):
            await read(source, observed)


async def test_a_link_that_a_folder_follows_does_not_lead_outside(tmp_path: Path, srv: Path) -> None:
    file = File(str(srv), "out/f", follow=True)
    async with file_source(file, limited(tmp_path)) as source:
        with pytest.raises(SourceDenied, match="file_roots"):
            await source.probe()


@pytest.mark.parametrize(("root", "count"), [("srv", 1), ("into", 1), ("out", 0), ("srv/out", 0)])
def test_a_group_is_read_only_from_a_folder_below_a_root(tmp_path: Path, srv: Path, root: str, count: int) -> None:
    files = [("f", FileIdentity.of(os.stat(tmp_path / root / "f")))] * 2
    view = memoryview(bytearray(100))
    found = read_group(str(tmp_path / root), files, view, ChecksumKind.CRC32C, lambda: None, limited(tmp_path))
    assert len([one for one in found if one is not None]) == 2 * count


@pytest.mark.parametrize("root", ["out", "srv/out"])
async def test_a_folder_outside_finds_nothing_and_says_why(tmp_path: Path, srv: Path, root: str) -> None:
    folder = LocalFolder(str(tmp_path / root), own=limited(tmp_path))
    assert [found.name async for found in folder.enumerate()] == []
    assert not folder.complete
    assert "outside of daemon.file_roots: move it" in folder.problems[0].message
    assert [found.name async for found in folder.scan(["f"])] == []


async def test_a_folder_that_follows_links_does_not_list_a_directory_outside(tmp_path: Path, srv: Path) -> None:
    folder = LocalFolder(str(srv), follow=True, own=limited(tmp_path))
    assert sorted([found.name async for found in folder.enumerate()]) == ["f", "hard", "sub/f"]
    assert [problem.path for problem in folder.problems] == [f"{srv}/out"]


def replaced(path: Path) -> None:
    path.with_name("new").write_bytes(b"new")
    path.with_name("new").rename(path)


@pytest.mark.parametrize("change", [Path.unlink, replaced])
def test_a_file_that_was_removed_after_it_was_opened_has_no_path(
    tmp_path: Path, srv: Path, change: Callable[[Path], None]
) -> None:
    file = os.open(srv / "f", os.O_RDONLY)
    try:
        change(srv / "f")
        with pytest.raises(SourceChanged, match="removed or renamed while it was opened"):
            require_allowed(file, f"{srv}/f", limited(tmp_path))
    finally:
        os.close(file)


def test_a_file_that_was_renamed_after_it_was_opened_is_read_again(
    tmp_path: Path, srv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = os.open(srv / "f", os.O_RDONLY)
    readlink = os.readlink

    def renamed_after_it(path: str) -> str:
        real = readlink(path)
        if (srv / "f").exists():
            (srv / "f").rename(srv / "g")
        return real

    monkeypatch.setattr(os, "readlink", renamed_after_it)
    try:
        with pytest.raises(SourceChanged, match="removed or renamed while it was opened"):
            require_allowed(file, f"{srv}/f", limited(tmp_path))
        require_allowed(file, f"{srv}/g", limited(tmp_path))
    finally:
        os.close(file)


@pytest.mark.parametrize(("roots", "allowed"), [((), False), (("/",), True)])
async def test_no_root_allows_nothing_and_slash_everything(
    tmp_path: Path, srv: Path, roots: tuple[str, ...], *, allowed: bool
) -> None:
    own = Settings(state=tmp_path / "state.db", file_roots=roots).own_paths
    assert [found async for found in LocalFolder(str(srv / "sub"), own=own).enumerate()] != [] or not allowed
    async with file_source(File(None, f"{srv}/f"), own) as source:
        if allowed:
            await probed(source)
        else:
            with pytest.raises(SourceDenied):
                await source.probe()


def test_the_variable_replaces_the_manifest(tmp_path: Path) -> None:
    given = {"file_roots": ("/srv",), "state": tmp_path / "state.db"}
    assert resolve({}, {}, given).file_roots == ("/srv",)
    assert resolve({}, {"MIRRORD_FILE_ROOTS": "/a:/b"}, given).file_roots == ("/a", "/b")
    with pytest.raises(ValueError, match="MIRRORD_FILE_ROOTS: 'a' is not an absolute path"):
        resolve({}, {"MIRRORD_FILE_ROOTS": "/b:a"}, given)


def test_roots_of_a_manifest_are_relative_to_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    (tmp_path / "m.yaml").write_text("daemon: {file_roots: [data, /srv, ~/in, ../x]}\nmirrors: []\n")
    settings = resolve({"state": "/s"}, {}, daemon_settings(load_all([f"{tmp_path}/m.yaml"]).daemon))
    assert settings.own_paths.roots == (f"{tmp_path}/data", "/srv", "/home/ada/in", f"{tmp_path.parent}/x")
