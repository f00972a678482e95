"""Which objects a store may copy to another name instead of receiving their bytes again."""

from dataclasses import replace

import pytest

from mirrord.model import (
    Checksum,
    ChecksumKind,
    DeclaredSum,
    Destination,
    FileIdentity,
    Integrity,
    Item,
    ObjectOptions,
    Observed,
    Overwrite,
    ProviderName,
    Revision,
    State,
    origin_at,
)
from mirrord.planning.decisions.reuse import may_reuse, reusable_record
from mirrord.providers import profile
from mirrord.units import GiB
from tests.support.options import make_options
from tests.support.records import make_record, with_fields

OLD, NEW = (Destination("default", "http://store", "bucket", key) for key in ("old", "new"))
FILE = FileIdentity(1, 7, 3, 10, 10)
OBSERVED = Observed(revision=Revision(address="n", length=3, file=FILE))
CRC = Checksum(ChecksumKind.CRC64NVME, "x")
WEED = profile(ProviderName.SEAWEEDFS)
RECORD = make_record(
    item_id=OLD.item_id,
    entry="e",
    source="file:///old",
    destination=OLD,
    state=State.SYNCED,
    revision=Revision(address="o", length=3, file=FILE),
    etag='"1"',
    size=3,
    checksum=CRC,
    integrity=Integrity.FULL_OBJECT,
)


def item(**options: object) -> Item:
    return Item(
        id=NEW.item_id, entry="e", origin=origin_at("file:///new"), destination=NEW, options=make_options(**options)
    )


def sized(length: int) -> Observed:
    return Observed(revision=Revision(address="n", length=length, file=replace(FILE, size=length)))


@pytest.mark.parametrize(
    ("options", "observed", "provider", "attempt", "expected"),
    [
        ({}, OBSERVED, WEED, 1, True),
        ({"object": ObjectOptions(lock_mode="GOVERNANCE", retain=9.0)}, OBSERVED, WEED, 1, False),
        ({"max_size": 3}, OBSERVED, WEED, 1, True),
        ({}, sized(5 * GiB), profile(ProviderName.AWS), 1, True),
        ({}, sized(5 * GiB + 1), profile(ProviderName.AWS), 1, False),
        ({}, sized(0), WEED, 1, False),
        ({}, OBSERVED, WEED, 2, False),
        ({}, OBSERVED, profile(ProviderName.GENERIC), 1, False),
        ({}, OBSERVED, profile(ProviderName.R2), 1, False),
        ({}, OBSERVED, replace(profile(ProviderName.GENERIC), checksum=ChecksumKind.CRC64NVME), 1, False),
        ({}, OBSERVED, replace(WEED, checksum=ChecksumKind.MD5), 1, False),
        ({}, Observed(revision=Revision(address="u", etag='"1"', length=3)), WEED, 1, False),
        ({"max_size": 2}, OBSERVED, WEED, 1, False),
        ({"content_type": "text/csv"}, OBSERVED, WEED, 1, False),
        ({"checksum": DeclaredSum("5" * 64)}, OBSERVED, WEED, 1, False),
        ({"overwrite": Overwrite.OWNED}, OBSERVED, WEED, 1, False),
        ({"overwrite": Overwrite.NEVER}, OBSERVED, WEED, 1, False),
    ],
)
def test_when_an_object_with_the_same_bytes_is_searched(options, observed, provider, attempt, expected) -> None:
    assert may_reuse(item(**options), observed, provider, attempt) is expected


@pytest.mark.parametrize(
    ("record", "serves"),
    [
        (RECORD, True),
        (with_fields(RECORD, integrity=Integrity.READBACK), True),
        (with_fields(RECORD, integrity=None), True),  # adopted, with the checksum of the store
        (with_fields(RECORD, state=State.BLOCKED), True),  # its file is missing, as after a rename
        (replace(RECORD, removed=1.0), True),
        (with_fields(RECORD, integrity=Integrity.LENGTH), False),
        (with_fields(RECORD, checksum=None), False),
        (with_fields(RECORD, checksum=Checksum(ChecksumKind.MD5, "x"), integrity=Integrity.MD5), False),
        (with_fields(RECORD, etag=None), False),
        (replace(RECORD, item_id=NEW.item_id), False),
    ],
)
def test_which_object_can_be_copied(record, serves) -> None:
    unfit = with_fields(RECORD, checksum=None)
    assert reusable_record(item(), [unfit, record]) == (record if serves else None)
