"""`after_upload` in a manifest: its meaning for a folder, and what is refused, with position and correction."""

from pathlib import Path

import pytest

from mirrord.declared import FolderSpec
from mirrord.errors import Problem
from mirrord.manifest.manifest import load_all
from mirrord.model import DeleteFile, FileAction, KeepFile, MoveFile
from mirrord.planning.items.bind import has_date, item_of
from mirrord.planning.items.expand import Expansion, expand


def expanded(home: Path, rest: str, head: str = "") -> Expansion:
    file = home / "m.yaml"
    file.write_text(f"{head}folders:\n- path: inbox\n  to: s3://bbb/in/\n{rest}")
    loaded = load_all([str(file)], {})
    assert loaded.problems == ()
    return expand(loaded)


def folder(home: Path, rest: str, head: str = "") -> FolderSpec:
    (spec,) = expanded(home, rest, head).folders
    return spec


def problem(home: Path, rest: str, head: str = "") -> Problem:
    (found,) = expanded(home, rest, head).problems
    return found


@pytest.mark.parametrize(
    ("rest", "meaning"),
    [
        ("", KeepFile()),
        ("  after_upload: keep\n", KeepFile()),
        ("  after_upload: delete\n", DeleteFile()),
        ("  after_upload: {move: /srv/done}\n", MoveFile("/srv/done")),
        ("  after_upload: {move: done}\n", MoveFile("{home}/done")),
        ("  after_upload: {move: ../done/}\n", MoveFile("{parent}/done")),
        ("  after_upload: {move: inbox-done}\n", MoveFile("{home}/inbox-done")),
        ("  after_upload: {move: inbox/.done}\n", MoveFile("{home}/inbox/.done")),
        ("  after_upload: {move: inbox/.mirrord/done}\n", MoveFile("{home}/inbox/.mirrord/done")),
        ("  after_upload: {move: inbox/done}\n  exclude: [done/]\n", MoveFile("{home}/inbox/done")),
    ],
)
def test_what_happens_to_a_file(tmp_path: Path, rest: str, meaning: FileAction) -> None:
    spec = folder(tmp_path, rest)
    expected = meaning
    if isinstance(meaning, MoveFile):
        expected = MoveFile(meaning.directory.format(home=tmp_path, parent=tmp_path.parent))
    assert (spec.after_upload, item_of(spec, "a", 0.0).after_upload) == (expected, expected)


@pytest.mark.parametrize("given", ["keep", "delete", "{move: mine}"])
def test_the_value_of_an_entry_replaces_the_default(tmp_path: Path, given: str) -> None:
    head = "defaults: {after_upload: {move: theirs}}\n"
    expected = {"keep": KeepFile(), "delete": DeleteFile()}.get(given, MoveFile(f"{tmp_path}/mine"))
    assert folder(tmp_path, f"  after_upload: {given}\n", head).after_upload == expected
    assert folder(tmp_path, "", head).after_upload == MoveFile(f"{tmp_path}/theirs")


@pytest.mark.parametrize(("after", "what"), [("delete", "deleted"), ("{move: done}", "moved away")])
def test_it_cannot_be_combined_with_delete_mirror(tmp_path: Path, after: str, what: str) -> None:
    found = problem(tmp_path, f"  delete: mirror\n  after_upload: {after}\n")
    assert (found.line, found.column, found.path) == (5, 17, "folders[0].after_upload")
    assert found.message == (
        f"a file that is {what} after its upload is gone, and delete: mirror deletes the objects of files that are "
        "gone; remove one of the two"
    )
    assert problem(tmp_path, f"  after_upload: {after}\n", "defaults: {delete: mirror}\n").message == found.message


@pytest.mark.parametrize(
    "rest",
    [
        "  after_upload: {move: inbox}\n",
        "  after_upload: {move: inbox/done}\n",
        "  after_upload: {move: inbox/../inbox/done}\n",
        "  after_upload: {move: inbox/.done}\n  exclude: ['!.done']\n",
    ],
)
def test_moved_files_must_not_be_found_again(tmp_path: Path, rest: str) -> None:
    found = problem(tmp_path, rest)
    assert (found.line, found.path) == (4, "folders[0].after_upload")
    assert "is in the folder itself, where what is moved would be uploaded again" in found.message
    assert found.message.endswith("name another, or exclude it")


def test_a_date_is_recorded_only_if_files_stay(tmp_path: Path) -> None:
    key = '  key: "{date}/{path}"\n'
    assert has_date(folder(tmp_path, key))
    leaving = folder(tmp_path, f"{key}  after_upload: delete\n")
    assert not has_date(leaving)
    assert item_of(leaving, "a", 86400.0).destination.key == "in/1970-01-02/a"
