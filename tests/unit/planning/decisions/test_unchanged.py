"""Which files need no check: the rule, and the folders that it applies to. The journals' form: `tests/contract`."""

from dataclasses import replace
from typing import Any

import pytest

from mirrord.declared import FolderSpec, FolderTarget
from mirrord.errors import Reason
from mirrord.model import (
    DeclaredSum,
    DeleteFile,
    Drift,
    FileIdentity,
    Integrity,
    KeepFile,
    MoveFile,
    ObjectOptions,
    Options,
    Overwrite,
    Record,
    Revision,
    SourceRequirements,
    State,
)
from mirrord.planning.decisions.decide import options_digest
from mirrord.planning.decisions.unchanged import RecordedFile, SeenFile, UnchangedRule, unchanged_record, unchanged_rule
from tests.support.records import make_record, with_fields

FILE = FileIdentity(1, 2, 3, 4, 5)
SEEN = SeenFile("address", FILE)
RULE = UnchangedRule("inbox", "digest", readback=False)
SPEC = FolderSpec(
    entry="inbox",
    path="/srv/inbox",
    target=FolderTarget(store="default", endpoint="http://127.0.0.1:9000", bucket="bucket", key="in/{path}"),
)


def recorded(**changes: Any) -> Record:
    bare = make_record(
        item_id="0123456789abcdef",
        entry="inbox",
        source="file:///srv/inbox/a",
        destination=None,
        state=State.SYNCED,
        revision=Revision(address="address", length=3, file=FILE),
        etag='"e"',
        size=3,
        integrity=Integrity.LENGTH,
        options_digest="digest",
    )
    return with_fields(bare, **changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, RecordedFile(1, True)),
        ({"entry": "another"}, RecordedFile(1, False)),
        ({"revision": Revision(address="address", length=3, file=replace(FILE, device=9))}, RecordedFile(9, True)),
        ({"revision": Revision(address="address", length=3, digest="sha256:0", file=FILE)}, RecordedFile(1, True)),
        ({"revision": Revision(address="another", length=3, file=FILE)}, None),
        ({"revision": Revision(address="address", length=3)}, None),
        ({"revision": None}, None),
        ({"removed": 5.0}, None),
        ({"options_digest": "other"}, None),
        ({"options_digest": None}, None),
        ({"message": "uploaded, then deleted"}, None),
        ({"reason": Reason.DRIFTED}, None),
        *(({"state": state}, None) for state in State if state is not State.SYNCED),
        *(
            ({"revision": Revision(address="address", length=3, file=replace(FILE, **{name: 99}))}, None)
            for name in ("inode", "size", "mtime_ns", "ctime_ns")
        ),
    ],
)
def test_a_file_is_unchanged_if_its_record_says_that_nothing_is_left_to_do(
    changes: dict[str, Any], expected: RecordedFile | None
) -> None:
    assert unchanged_record(RULE, SEEN, recorded(**changes), transfers=False) == expected
    assert unchanged_record(RULE, SEEN, recorded(**changes), transfers=True) is None


def test_a_file_without_a_record_is_new() -> None:
    assert unchanged_record(RULE, SEEN, None, transfers=False) is None


@pytest.mark.parametrize(
    ("integrity", "unchanged"),
    [(None, True), (Integrity.READBACK, True), *((one, False) for one in Integrity if one is not Integrity.READBACK)],
)
def test_a_readback_that_was_not_done_is_left_to_do(integrity: Integrity | None, unchanged: bool) -> None:
    rule, record = RULE._replace(readback=True), recorded(integrity=integrity)
    assert (unchanged_record(rule, SEEN, record, transfers=False) is not None) is unchanged
    assert unchanged_record(RULE, SEEN, record, transfers=False) is not None


@pytest.mark.parametrize(
    ("changes", "applies"),
    [
        ({}, True),
        ({"delete": "mirror"}, True),
        ({"options": Options(drift=Drift.REPORT, overwrite=Overwrite.OWNED)}, True),
        ({"after_upload": KeepFile()}, True),
        ({"after_upload": DeleteFile()}, False),
        ({"after_upload": MoveFile("/srv/done")}, False),
        ({"options": Options(suspend=True)}, False),
        ({"options": Options(requires=SourceRequirements(checksum=DeclaredSum("0" * 64)))}, False),
    ],
)
def test_the_folders_whose_unchanged_files_need_no_check(changes: dict[str, Any], applies: bool) -> None:
    assert (unchanged_rule(replace(SPEC, **changes)) is not None) is applies


def test_the_rule_of_a_folder_has_its_options() -> None:
    options = Options(object=ObjectOptions(content_type="text/csv"), readback=True)
    expected = UnchangedRule("inbox", options_digest(options.object), readback=True)
    assert unchanged_rule(replace(SPEC, options=options)) == expected
