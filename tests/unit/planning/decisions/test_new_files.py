"""Which new files of a folder are sent together: the folders that allow it, and the size."""

from dataclasses import replace
from typing import Any

import pytest

from mirrord.declared import FileSelection, FolderSpec, FolderTarget
from mirrord.model import (
    ChecksumKind,
    DeclaredSum,
    DeleteFile,
    Drift,
    FileIdentity,
    MoveFile,
    ObjectOptions,
    Options,
    Overwrite,
    ProviderName,
    SourceRequirements,
    UploadOptions,
)
from mirrord.planning.decisions.listed import Verdict
from mirrord.planning.decisions.new_files import (
    MOST_BYTES,
    is_free,
    is_proven_by_a_put,
    is_small,
    needs_only_a_put,
)
from mirrord.providers import profile
from mirrord.units import KiB, MiB

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
        ({"options": Options(overwrite=Overwrite.OWNED)}, True),
        ({"options": Options(requires=SourceRequirements(max_size=10))}, True),
        ({"options": Options(requires=SourceRequirements(content_type="text/csv"))}, False),
        ({"options": Options(requires=SourceRequirements(checksum=DeclaredSum(sha256="0" * 64)))}, False),
        ({"after_upload": DeleteFile()}, True),
        ({"after_upload": MoveFile("/srv/done")}, True),
        ({"selection": FileSelection(follow_symlinks=True)}, False),
        ({"selection": FileSelection(ready="{path}.done")}, True),
    ],
)
def test_folders_whose_objects_need_nothing_but_a_put(changes: dict[str, Any], expected: bool) -> None:
    assert needs_only_a_put(replace(SPEC, **changes)) is expected


MD5, CRC = ChecksumKind.MD5, ChecksumKind.CRC64NVME
KMS, SSE_S3 = ObjectOptions(encryption="aws:kms"), ObjectOptions(encryption="AES256")
SSE_C = ObjectOptions(customer_key="0123456789abcdef")


@pytest.mark.parametrize(
    ("options", "changes", "expected"),
    [
        (Options(), {}, True),
        (Options(), {"checksum": MD5}, True),
        (Options(), {"checksum": ChecksumKind.SHA256}, True),
        (Options(), {"checksum": ChecksumKind.NONE}, False),
        (Options(object=KMS), {"checksum": MD5}, False),
        (Options(object=SSE_S3), {"checksum": MD5}, True),
        (Options(object=SSE_C), {"checksum": MD5}, False),
        (Options(object=SSE_C), {"checksum": CRC}, True),
        (Options(object=KMS), {"checksum": CRC}, True),
        (Options(overwrite=Overwrite.OWNED), {}, False),
        (Options(overwrite=Overwrite.NEVER), {}, False),
        (Options(overwrite=Overwrite.OWNED), {"conditional_puts": True}, True),
        (Options(overwrite=Overwrite.NEVER), {"conditional_puts": True}, True),
        (Options(upload=UploadOptions(multipart_threshold=KiB, part_size=5 * MiB)), {"max_put": KiB}, False),
    ],
)
def test_stores_where_the_answer_to_a_put_is_enough(options: Options, changes: dict[str, Any], expected: bool) -> None:
    provider = replace(profile(ProviderName.SEAWEEDFS), **changes)
    assert is_proven_by_a_put(options, provider, 64 * MiB) is expected


@pytest.mark.parametrize(
    ("size", "max_size", "expected"),
    [
        (0, None, False),
        (1, None, True),
        (MOST_BYTES, None, True),
        (MOST_BYTES + 1, None, False),
        (10, 10, True),
        (11, 10, False),
        (MOST_BYTES + 1, 2 * MOST_BYTES, False),
    ],
)
def test_small_files(size: int, max_size: int | None, expected: bool) -> None:
    assert is_small(FileIdentity(1, 2, size, 4, 5), max_size) is expected


def test_a_file_of_unknown_state_is_checked_alone() -> None:
    assert not is_small(None, None)


@pytest.mark.parametrize("verdict", Verdict)
def test_only_a_complete_listing_without_the_key_shows_that_it_is_free(verdict: Verdict) -> None:
    assert is_free(verdict) is (verdict is Verdict.ABSENT)
