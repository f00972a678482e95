"""Which new files of a folder are sent together: the folders that allow it, and the size."""

from dataclasses import replace
from typing import Any

import pytest

from mirrord.declared import FileSelection, FolderSpec, FolderTarget
from mirrord.model import (
    DeclaredSum,
    DeleteFile,
    Drift,
    FileIdentity,
    MoveFile,
    ObjectOptions,
    Options,
    Overwrite,
    SourceRequirements,
)
from mirrord.planning.decisions.listed import Verdict
from mirrord.planning.decisions.new_files import MOST_BYTES, is_free, is_small, needs_only_a_put, sends_together

SPEC = FolderSpec(
    entry="inbox",
    path="/srv/inbox",
    target=FolderTarget(store="default", endpoint="http://127.0.0.1:9000", bucket="bucket", key="in/{path}"),
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"options": Options(object=ObjectOptions(cache_control="no-store"), drift=Drift.IGNORE)}, True),
        ({"delete": "mirror"}, True),
        ({"selection": FileSelection(include=("*.csv",))}, True),
        ({"options": Options(suspend=True)}, False),
        ({"options": Options(readback=True)}, False),
        ({"options": Options(overwrite=Overwrite.OWNED)}, False),
        ({"options": Options(overwrite=Overwrite.NEVER)}, False),
        ({"options": Options(requires=SourceRequirements(max_size=10))}, False),
        ({"options": Options(requires=SourceRequirements(content_type="text/csv"))}, False),
        ({"options": Options(requires=SourceRequirements(checksum=DeclaredSum(sha256="0" * 64)))}, False),
        ({"after_upload": DeleteFile()}, False),
        ({"after_upload": MoveFile("/srv/done")}, False),
        ({"selection": FileSelection(follow_symlinks=True)}, False),
        ({"selection": FileSelection(ready="{path}.done")}, False),
    ],
)
def test_folders_whose_files_need_nothing_but_a_put(changes: dict[str, Any], expected: bool) -> None:
    assert sends_together(replace(SPEC, **changes)) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"after_upload": DeleteFile()}, True),
        ({"selection": FileSelection(ready="{path}.done")}, True),
        ({"selection": FileSelection(follow_symlinks=True)}, False),
        ({"options": Options(suspend=True)}, False),
        ({"options": Options(overwrite=Overwrite.OWNED)}, False),
        ({"options": Options(requires=SourceRequirements(max_size=10))}, False),
    ],
)
def test_folders_whose_objects_need_nothing_but_a_put(changes: dict[str, Any], expected: bool) -> None:
    assert needs_only_a_put(replace(SPEC, **changes)) is expected


@pytest.mark.parametrize(("size", "expected"), [(0, False), (1, True), (MOST_BYTES, True), (MOST_BYTES + 1, False)])
def test_small_files(size: int, expected: bool) -> None:
    assert is_small(FileIdentity(1, 2, size, 4, 5)) is expected


def test_a_file_of_unknown_state_is_checked_alone() -> None:
    assert not is_small(None)


@pytest.mark.parametrize("verdict", Verdict)
def test_only_a_complete_listing_without_the_key_shows_that_it_is_free(verdict: Verdict) -> None:
    assert is_free(verdict) is (verdict is Verdict.ABSENT)
