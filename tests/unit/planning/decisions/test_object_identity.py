"""Whether a stored object is the recorded one: by the ETag of a HEAD, else once by id, length and checksum."""

from dataclasses import replace

import pytest

from mirrord.model import META_TRANSFER, Checksum, ChecksumKind, Destination, State, StoredObject
from mirrord.planning.decisions.object_identity import is_ours, is_recorded, with_shown_etag
from tests.support.records import make_record, with_fields

AT = Destination("default", "http://store", "bucket", "key")
CRC = Checksum(ChecksumKind.CRC64NVME, "rosUhgp5mIg=")
OTHER = Checksum(ChecksumKind.CRC64NVME, "AAAAAAAAAAA=")
RECORD = make_record(
    item_id=AT.item_id,
    entry="e",
    source="http://s/x",
    destination=AT,
    state=State.SYNCED,
    transfer_id="t",
    etag='"answered"',
    size=3,
    checksum=CRC,
)
SHOWN = StoredObject(size=3, etag='"shown"', checksum=CRC, metadata={META_TRANSFER: "t"})


@pytest.mark.parametrize(
    ("standing", "same"),
    [
        (SHOWN, True),
        (replace(SHOWN, checksum=None), True),
        (replace(SHOWN, checksum=Checksum(ChecksumKind.CRC32, "AAAAAA==")), True),
        (replace(SHOWN, etag='"answered"'), True),
        (replace(SHOWN, checksum=OTHER), False),
        (replace(SHOWN, size=4), False),
        (replace(SHOWN, metadata={META_TRANSFER: "another"}), False),
        (replace(SHOWN, metadata={}), False),
    ],
)
def test_the_etag_of_a_head_is_recorded_once(standing: StoredObject, same: bool) -> None:
    assert is_recorded(RECORD, standing) is is_ours(RECORD, standing) is same
    healed = with_shown_etag(RECORD, standing)
    assert (healed == with_fields(RECORD, etag=standing.etag, etag_from_head=True)) is same
    assert (healed is RECORD) is not same
    if same:
        assert is_recorded(healed, standing)
        drifted = replace(standing, etag='"later"')
        assert not is_recorded(healed, drifted)
        assert with_shown_etag(healed, drifted) is healed


def test_an_object_with_the_recorded_etag_is_the_recorded_one_but_not_ours() -> None:
    foreign = StoredObject(size=3, etag='"answered"')
    assert is_recorded(RECORD, foreign)
    assert not is_ours(RECORD, foreign)
    assert not is_ours(with_fields(RECORD, transfer_id=None), foreign)
    assert with_shown_etag(with_fields(RECORD, etag=None), foreign).object.etag is None
