"""Which nameless uploads are ours: by when they began, on the store's clock."""

from dataclasses import replace

import pytest

from mirrord.model import Destination, PartSizes, Revision, TransferKind, Upload
from mirrord.planning.transfers.sweep import LATE_CREATE, is_expired, lacks_upload_id, opened_for
from tests.support.records import make_transfer, with_fields

AT = Destination("default", "http://store", "bucket", "key")
INTENT = make_transfer(
    id="t",
    item_id=AT.item_id,
    destination=AT,
    revision=Revision(address="a"),
    kind=TransferKind.MULTIPART,
    part_sizes=PartSizes.equal(1),
    started=1000.0,
    given_up=2000.0,
)
NOW = 5000.0


@pytest.mark.parametrize(
    ("initiated", "listed", "expected"),
    [
        (939.0, NOW, False),
        (940.0, NOW, True),
        (1500.0, NOW, True),
        (2060.0, NOW, True),
        (2061.0, NOW, False),
        (1500.0, None, True),
        (2061.0, None, False),
        (1500.0 + 7200, NOW + 7200, True),  # its clock is two hours ahead, and its Date says so
        (1500.0 - 7200, NOW - 7200, True),
        (1500.0, NOW + 7200, False),
        (1500.0 + 7200, None, False),
    ],
)
def test_an_upload_is_ours_if_it_began_while_the_intent_could_open_one(
    initiated: float, listed: float | None, expected: bool
) -> None:
    assert opened_for(INTENT, Upload("key", "u", initiated, listed), NOW) is expected


def test_of_an_intent_that_may_go_on_nothing_is_taken() -> None:
    assert not opened_for(with_fields(INTENT, given_up=None), Upload("key", "u", 1500.0, NOW), NOW)


def test_a_create_may_come_about_late_but_not_for_ever() -> None:
    assert not is_expired(INTENT, 2000.0 + LATE_CREATE)
    assert is_expired(INTENT, 2001.0 + LATE_CREATE)
    assert not is_expired(with_fields(INTENT, given_up=None), 1e12)


def test_only_a_multipart_without_an_id_is_nameless() -> None:
    assert lacks_upload_id(INTENT)
    assert not lacks_upload_id(with_fields(INTENT, upload_id="u"))
    assert not lacks_upload_id(replace(INTENT, kind=TransferKind.PUT))
