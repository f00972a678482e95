"""What `doctor` says about folders."""

from pathlib import Path

import pytest

from mirrord.declared import FolderSpec, FolderTarget
from mirrord.model import DeleteFile, MoveFile
from mirrord.programs.doctor.findings import FindingLevel
from mirrord.programs.doctor.folders import FolderFacts, folder_findings, read_folder

TARGET = FolderTarget(store="default", endpoint="http://store", bucket="data")


@pytest.mark.parametrize(
    ("facts", "verdicts"),
    [
        (FolderFacts("in", "/in", 3), [("folder", FindingLevel.OK)]),
        (FolderFacts("in", "/in", problem="no such file or directory"), [("folder", FindingLevel.FAILED)]),
        (FolderFacts("in", "/in", 3, unreadable="/in/a"), [("folder", FindingLevel.FAILED)]),
        (
            FolderFacts("in", "/in", 3, unwritable="/in/a"),
            [("folder", FindingLevel.OK), ("after-upload", FindingLevel.FAILED)],
        ),
        (
            FolderFacts("in", "/in", 3, destination="/d"),
            [("folder", FindingLevel.OK), ("after-upload", FindingLevel.FAILED)],
        ),
    ],
)
def test_a_folder_is_judged(facts: FolderFacts, verdicts: list[tuple[str, FindingLevel]]) -> None:
    found = list(folder_findings(facts))
    assert [(one.name, one.verdict) for one in found] == verdicts
    assert all(one.fix for one in found if one.verdict is FindingLevel.FAILED)


async def test_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "file").touch()
    assert await read_folder(FolderSpec(entry="in", path=str(tmp_path), target=TARGET)) == FolderFacts(
        "in", str(tmp_path), 3
    )
    missing = await read_folder(FolderSpec(entry="in", path=str(tmp_path / "no"), target=TARGET))
    assert missing.problem == "no such file or directory"
    file = await read_folder(FolderSpec(entry="in", path=str(tmp_path / "file"), target=TARGET))
    assert file.problem == "not a directory"


async def test_the_place_that_files_are_moved_to_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "in").mkdir()

    async def read(action: MoveFile | DeleteFile) -> str:
        spec = FolderSpec(entry="in", path=str(tmp_path / "in"), target=TARGET, after_upload=action)
        return (await read_folder(spec)).destination

    assert await read(DeleteFile()) == ""
    assert await read(MoveFile(str(tmp_path / "new" / "done"))) == ""
    assert await read(MoveFile(str(tmp_path / "file" / "done"))) == str(tmp_path / "file")
