"""Which folders match the same file: through `..`, links and bind mounts."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirrord.declared import FolderSpec, FolderTarget
from mirrord.model import DeleteFile, File, Item, KeepFile
from mirrord.planning.items.bind import item_of
from mirrord.sources.folder.directories import NoMounts
from mirrord.sources.folder.overlap import Overlaps, Survey, directory_of, local_sources
from mirrord.sources.folder.overlap_check import OverlapCheck
from mirrord.sources.mounts import Mount, Mounts
from tests.support.records import with_fields


def folder(path: object, entry: str = "", **fields: Any) -> FolderSpec:
    given = {"include": ("*.csv",), "after_upload": KeepFile()} | fields
    target = FolderTarget(store="s", endpoint="e", bucket="bucket")
    return with_fields(FolderSpec(entry=entry or str(path), path=str(path), target=target), **given)


def taking(path: object, entry: str = "", **fields: Any) -> FolderSpec:
    return folder(path, entry, after_upload=DeleteFile(), **fields)


def replace_folders(
    overlaps: Overlaps, folders: Sequence[FolderSpec], mirrors: Sequence[Item] = (), silent: Sequence[FolderSpec] = ()
) -> None:
    """As `LocalFiles.replace`; the roots of `silent` folders do not answer."""
    directories, sources = overlaps.directories(), local_sources(mirrors)
    located = {one.entry: overlaps.locate(one, directories) for one in folders if one not in silent}
    keys = directories.keys({directory_of(path) for path in sources})
    overlaps.replace(folders, sources, Survey(directories, located, keys))


def rescan(overlaps: Overlaps, spec: FolderSpec, *linked: str) -> None:
    """As `LocalFiles.refresh`."""
    assert overlaps.follow(spec.entry, linked) == spec
    directories = overlaps.directories()
    overlaps.update(spec, Survey(directories, {spec.entry: overlaps.locate(spec, directories)}))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("in/sub", "in/other", "away"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to("in/sub")
    (tmp_path / "away" / "into").symlink_to("../in/sub")
    return tmp_path


PAIRS = [
    ("in", "in/sub", True),
    ("in/sub", "in", True),
    ("in", "in", True),
    ("in", "away/../in/sub", True),
    ("in", "link", True),
    ("link", "in/sub", True),
    ("in/missing", "in", True),
    ("missing", "missing/sub", True),
    ("in/sub", "in/other", False),
    ("in", "away", False),
    ("in/sub", "in/subway", False),
    ("missing", "in", False),
]


@pytest.mark.parametrize(("one", "other", "overlap"), PAIRS)
def test_roots_that_overlap_need_an_include_each(home: Path, one: str, other: str, overlap: bool) -> None:
    check = OverlapCheck(NoMounts())
    for first, second in (
        (taking(home / one), folder(home / other, "b")),
        (folder(home / one), taking(home / other, "b")),
    ):
        assert check(first, second) is None, "both have an include, and no file stands there"
    assert bool(check(taking(home / one, include=()), folder(home / other, "b"))) is overlap
    assert bool(check(taking(home / one), folder(home / other, "b", include=()))) is overlap
    assert check(folder(home / one, include=()), folder(home / other, "b", include=())) is None, "none takes files away"


@pytest.mark.parametrize(
    ("name", "one", "other", "matches"),
    [
        ("in/sub/a.csv", {}, {}, True),
        ("in/sub/a.csv", {"include": ("*.txt",)}, {}, False),
        ("in/sub/a.csv", {"include": ("/*.csv",)}, {}, False),
        ("in/sub/a.csv", {"exclude": ("sub/",)}, {}, False),
        ("in/sub/a.csv", {"ready": "*.done"}, {}, True),
        ("in/sub/a.csv", {}, {"exclude": ("a.*",)}, False),
        ("in/a.csv", {}, {}, False),
        ("in/sub/deep/a.csv", {}, {}, True),
        ("in/sub/.a.csv", {}, {}, False),
        ("in/sub/a.csv.done", {"ready": "*.done", "include": ("*",)}, {"include": ("*",)}, False),
    ],
)
@pytest.mark.parametrize("inner", ["in/sub", "link", "away/../in/sub"])
def test_with_includes_an_existing_file_that_matches_both_is_the_fault(
    home: Path, name: str, one: dict[str, Any], other: dict[str, Any], matches: bool, inner: str
) -> None:
    (home / name).parent.mkdir(exist_ok=True)
    (home / name).write_text("a")
    outer, below = taking(home / "in", **one), folder(home / inner, "b", **other)
    fault = OverlapCheck(NoMounts())(outer, below)
    assert bool(fault) is matches
    assert fault is None or fault.startswith(os.path.join(home, inner, name.removeprefix("in/sub/"))), fault
    if matches:
        overlaps = Overlaps()
        replace_folders(overlaps, (outer, below))
        assert overlaps.rival(item_of(outer, name.removeprefix("in/"), 0.0))
        assert overlaps.rival(item_of(below, name.removeprefix("in/sub/"), 0.0))


def test_a_link_that_a_folder_follows_leads_to_the_other(home: Path) -> None:
    (home / "in" / "sub" / "a.csv").write_text("a")
    one, other = taking(home / "in"), folder(home / "away", "b", follow_symlinks=True)
    assert "matches both" in OverlapCheck(NoMounts())(one, other)
    assert "matches both" in OverlapCheck(NoMounts())(other, one)
    assert not OverlapCheck(NoMounts())(one, folder(home / "away", "b"))
    overlaps = Overlaps()
    replace_folders(overlaps, (one, other))
    assert not overlaps.rival(item_of(one, "sub/a.csv", 0.0)), "the links are not known yet"
    assert overlaps.rival(item_of(other, "into/a.csv", 0.0))
    rescan(overlaps, other, "into")
    assert "folder b" in (overlaps.rival(item_of(one, "sub/a.csv", 0.0)) or "")
    assert overlaps.of("b") == {one.entry}


def test_a_bind_mount_shows_the_other_folder(home: Path) -> None:
    (home / "bound").mkdir()
    (home / "bound" / "a.csv").write_text("a")
    mounts = Mounts(
        (Mount("/", "ext4", frozenset(), "8:1"), Mount(f"{home}/bound", "ext4", frozenset(), "8:1", f"{home}/in"))
    )
    for one, other in ((taking(home), folder(home / "bound")), (taking(home / "in/sub"), folder(home / "bound"))):
        assert OverlapCheck(mounts)(one, with_fields(other, include=())), (one, other)
    inner, outer = taking(home / "bound"), folder(home / "in", "b", include=("*.csv",))
    assert "matches both" in OverlapCheck(mounts)(inner, outer)
    overlaps = Overlaps(lambda: mounts)
    replace_folders(overlaps, (inner, outer))
    assert overlaps.rival(item_of(inner, "a.csv", 0.0))


def test_what_two_hard_links_name_are_two_files(home: Path) -> None:
    (home / "in" / "sub" / "a.csv").write_text("a")
    os.link(home / "in" / "sub" / "a.csv", home / "in" / "a.txt")
    one, other = taking(home / "in", include=("*.txt",)), folder(home / "in/sub", "b")
    assert OverlapCheck(NoMounts())(one, other) is None


def test_a_local_file_of_a_mirror_is_not_removed(home: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (home / "in" / "sub" / name).write_text("a")
    mirror = replace(item_of(folder(home / "link", "m"), "a.csv", 0.0), origin=File(None, f"{home}/link/a.csv"))
    for spec, held in ((taking(home / "in"), True), (folder(home / "in"), False)):
        overlaps = Overlaps()
        replace_folders(overlaps, (spec,), (mirror,))
        assert bool(overlaps.rival(item_of(spec, "sub/a.csv", 0.0))) is held
        assert not overlaps.rival(item_of(spec, "sub/b.csv", 0.0))
        assert not overlaps.rival(mirror)


def test_an_admitted_pair_stays_admitted_while_its_definitions_do(home: Path) -> None:
    admitted: set[object] = set()
    one, other = taking(home / "in"), folder(home / "in/sub", "b")
    assert OverlapCheck(NoMounts(), admitted)(one, other) is None
    (home / "in" / "sub" / "a.csv").write_text("a")
    assert OverlapCheck(NoMounts(), admitted)(one, other) is None, "it is held back at run time"
    assert OverlapCheck(NoMounts(), admitted)(one, with_fields(other, exclude=("*.bak",)))


UNKNOWN = "it is not known whether another folder matches it"


def test_a_folder_that_never_answered_delays_only_the_files_that_it_may_match(home: Path) -> None:
    one, other = taking(home / "in", include=("*.csv", "*.txt")), folder(home / "away", "b")
    overlaps = Overlaps()
    replace_folders(overlaps, [one, other], silent=[other])
    assert (overlaps.rival(item_of(one, "a.csv", 0.0)) or "").startswith(UNKNOWN)
    assert overlaps.rival(item_of(one, "a.txt", 0.0)) is None
    assert overlaps.rival(item_of(other, "a.csv", 0.0)) is None, "the known folder does not contain it"
    rescan(overlaps, other)
    assert overlaps.rival(item_of(one, "a.csv", 0.0)) is None


def test_patterns_below_a_directory_limit_what_a_folder_may_match(home: Path) -> None:
    one, other = taking(home / "in"), folder(home / "away", "b", include=("/sub/*.csv",))
    overlaps = Overlaps()
    replace_folders(overlaps, [one, other], silent=[other])
    assert overlaps.rival(item_of(one, "a.csv", 0.0)) is None
    assert overlaps.rival(item_of(one, "sub/a.csv", 0.0))


def test_a_folder_that_never_answered_may_match_any_file_if_it_follows_links(home: Path) -> None:
    one, other = taking(home / "in"), folder(home / "away", "b", include=("/x.txt",), follow_symlinks=True)
    overlaps = Overlaps()
    replace_folders(overlaps, [one, other], silent=[other])
    assert overlaps.rival(item_of(one, "a.csv", 0.0))


def test_a_folder_that_answered_before_keeps_its_location(home: Path) -> None:
    one, other = taking(home / "in"), folder(home / "in/sub", "b")
    overlaps = Overlaps()
    replace_folders(overlaps, [one, other])
    replace_folders(overlaps, [one, other, folder(home / "away", "c", include=("*.x",))], silent=[other])
    assert overlaps.rival(item_of(one, "a.csv", 0.0)) is None
    assert "folder b" in (overlaps.rival(item_of(one, "sub/a.csv", 0.0)) or "")
    moved = replace(other, path=str(home / "away"))
    replace_folders(overlaps, [one, moved], silent=[moved])
    assert (overlaps.rival(item_of(one, "sub/a.csv", 0.0)) or "").startswith(UNKNOWN)


def test_a_location_that_comes_after_its_folder_was_replaced_is_not_used(home: Path) -> None:
    one, other = taking(home / "in"), folder(home / "in/sub", "b")
    overlaps = Overlaps()
    replace_folders(overlaps, [one, other])
    directories = overlaps.directories()
    late = Survey(directories, {"b": overlaps.locate(other, directories)})
    replace_folders(overlaps, [one, replace(other, path=str(home / "away"))])
    overlaps.update(other, late)
    assert overlaps.rival(item_of(one, "sub/a.csv", 0.0)) is None


def test_where_no_folder_removes_files_none_is_asked_about(home: Path) -> None:
    one, other = folder(home / "in"), folder(home / "in/sub", "b")
    overlaps = Overlaps()
    replace_folders(overlaps, [one, other], silent=[one, other])
    assert not overlaps.concerns(item_of(one, "sub/a.csv", 0.0))
    assert overlaps.rival(item_of(one, "sub/a.csv", 0.0)) is None
    replace_folders(overlaps, [taking(home / "in"), other])
    assert overlaps.concerns(item_of(one, "sub/a.csv", 0.0))


def test_a_mirror_whose_directory_is_not_known_keeps_files_of_its_name(home: Path) -> None:
    spec, other = taking(home / "in"), folder(home / "away", "b")
    mirror = replace(item_of(folder(home / "link", "m"), "a.csv", 0.0), origin=File(None, f"{home}/link/a.csv"))
    overlaps = Overlaps()
    directories = overlaps.directories()
    located = {one.entry: overlaps.locate(one, directories) for one in (spec, other)}
    overlaps.replace((spec, other), local_sources((mirror,)), Survey(directories, located))
    assert "mirror m" in (overlaps.rival(item_of(spec, "a.csv", 0.0)) or "")
    assert overlaps.rival(item_of(spec, "b.csv", 0.0)) is None
    assert overlaps.rival(item_of(other, "a.csv", 0.0)) is None


def test_a_directory_that_was_made_since_the_survey_is_found_by_its_path(home: Path) -> None:
    one, other = taking(home / "in"), folder(home / "in/new", "b")
    overlaps = Overlaps()
    replace_folders(overlaps, [one, other])
    (home / "in" / "new").mkdir()
    assert "folder b" in (overlaps.rival(item_of(one, "new/a.csv", 0.0)) or "")


def test_a_folder_is_not_its_own_rival(home: Path) -> None:
    overlaps = Overlaps()
    one, other = taking(home / "in"), folder(home / "in/sub", "b")
    replace_folders(overlaps, (one, other))
    assert not overlaps.rival(item_of(one, "a.csv", 0.0))
    assert overlaps.rival(item_of(one, "sub/a.csv", 0.0)), "it may be set aside at this moment"
    assert not overlaps.rival(replace(item_of(one, "sub/a.csv", 0.0), gone=True))
    replace_folders(overlaps, (one,))
    assert not overlaps.rival(item_of(one, "sub/a.csv", 0.0))
    replace_folders(overlaps, (folder(home / "in"), other))
    assert not overlaps.rival(item_of(one, "sub/a.csv", 0.0)), "none takes files away"
