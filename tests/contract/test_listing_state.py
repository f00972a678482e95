"""The state directory in a folder: no listing yields a file of it."""

from pathlib import Path

import pytest

from mirrord.model import FileIdentity
from mirrord.settings import Settings
from mirrord.sources.folder.quarantine import FolderQuarantine
from mirrord.sources.folder.scan import LocalFolder
from mirrord.sources.folder.walk import STATE

OWN = ("state.db", "state.db-wal", "state.db-shm", "lock", "daemon.json", "embedded.json", "embedded/vol/1.dat")


def state_in(directory: Path) -> Settings:
    for name in OWN:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)
    return Settings(state=directory / "state.db")


async def names(folder: LocalFolder, *hinted: str) -> set[str]:
    return {one.name async for one in (folder.scan(hinted) if hinted else folder.enumerate())}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / "sub").mkdir(parents=True)
    for name in ("a", "sub/b"):
        (tmp_path / "root" / name).write_text(name)
    return tmp_path / "root"


@pytest.mark.parametrize("at", ["state", "sub/deep/state"])
@pytest.mark.parametrize("include", [(), ("**",), ("*.db", "a", "b")])
async def test_below_the_folder_it_is_skipped_as_a_whole(root: Path, at: str, include: tuple[str, ...]) -> None:
    settings = state_in(root / at)
    (root / at / "stranger").write_text("x")
    folder = LocalFolder(str(root), include, own=settings.own_paths)
    assert await names(folder) == {"a", "sub/b"}
    assert folder.complete
    assert [(one.kind, one.first) for one in folder.left_out] == [(STATE, at)]
    hinted = (at, f"{at}/state.db", f"{at}/embedded/vol/1.dat", f"{at}/stranger", "a", "sub")
    assert await names(folder, *hinted) == {"a", "sub/b"}


async def test_a_folder_that_is_the_state_directory_skips_the_states_own_names(root: Path) -> None:
    settings = state_in(root)
    folder = LocalFolder(str(root), own=settings.own_paths)
    assert await names(folder) == {"a", "sub/b"}
    assert await names(folder, *OWN, "embedded", "a") == {"a"}


async def test_a_folder_beside_the_state_directory_lists_all_files(root: Path, tmp_path: Path) -> None:
    assert await names(LocalFolder(str(root), own=state_in(tmp_path).own_paths)) == {"a", "sub/b"}


async def test_a_folder_inside_of_it_lists_nothing_and_reports_the_reason(tmp_path: Path) -> None:
    folder = LocalFolder(str(tmp_path / "embedded"), own=state_in(tmp_path).own_paths)
    assert await names(folder) == set()
    assert not folder.complete
    assert "state directory" in folder.problems[0].message


@pytest.mark.parametrize("follow", [True, False])
async def test_no_link_into_it_is_followed(root: Path, tmp_path: Path, follow: bool) -> None:
    settings = state_in(tmp_path / "state")
    links = {"all": "state", "part": "state/embedded/vol", "file": "state/state.db"}
    for name, target in links.items():
        (root / name).symlink_to(tmp_path / target)
    folder = LocalFolder(str(root), follow=follow, own=settings.own_paths)
    assert await names(folder) == {"a", "sub/b"}
    assert await names(folder, "all/state.db", "part/1.dat", "file", "all", "part") == set()


@pytest.mark.parametrize("by_link", [True, False])
async def test_a_link_to_the_folder_or_the_state_changes_nothing(root: Path, tmp_path: Path, by_link: bool) -> None:
    state_in(root / "state")
    (tmp_path / "link").symlink_to(root)
    settings = Settings(state=(tmp_path / "link" if by_link else root) / "state" / "state.db")
    place = root if by_link else tmp_path / "link"
    assert await names(LocalFolder(str(place), own=settings.own_paths)) == {"a", "sub/b"}


async def test_it_is_logged_once(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    folder = LocalFolder(str(root), own=state_in(root / "state").own_paths)
    for _ in range(3):
        await names(folder)
    assert len([one for one in caplog.records if "state" in one.getMessage()]) == 1


async def test_no_file_is_moved_into_it(root: Path) -> None:
    settings = state_in(root / "state")
    for move in (root / "state", root / "state" / "embedded"):
        proven = FileIdentity.of((root / "a").stat())
        departure = await FolderQuarantine(settings.own_paths).remove(str(root), "a", proven, str(move))
        assert "state directory" in departure.why
        assert (root / "a").exists()
