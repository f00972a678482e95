"""What a store kept of the options of an object, compared option by option with what a HEAD shows."""

from dataclasses import fields, replace
from typing import Any

import pytest

from mirrord.model import ObjectDetails, ObjectLock, ObjectOptions, StoredObject
from mirrord.planning.decisions.kept_options import DIFFERENCES

KEPT = ObjectOptions(
    content_type="text/plain; charset=utf-8",
    cache_control="max-age=60",
    expires="2030-01-31T12:00:00+00:00",
)
DETAILS = ObjectDetails(
    stored=StoredObject(size=1, etag='"0"'),
    kept=KEPT,
    storage_class="COLD",
    encryption="aws:kms",
    lock=ObjectLock("GOVERNANCE", 5.0),
    legal_hold=True,
)


def difference(option: str, wanted: Any, **shown: Any) -> str:
    return DIFFERENCES[option](replace(ObjectOptions(), **{option: wanted}), replace(DETAILS, **shown))


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("storage_class", "COLD"),
        ("encryption", "aws:kms"),
        ("lock_mode", "GOVERNANCE"),
        ("legal_hold", True),
        ("expires", "2030-01-31T13:00:00+01:00"),
        ("expires", "2030-01-31T12:00:00"),
        ("content_type", "Text/Plain;charset=UTF-8"),
        ("cache_control", "max-age=60"),
    ],
)
def test_what_is_kept_is_no_difference(option: str, wanted: Any) -> None:
    assert difference(option, wanted) == ""


@pytest.mark.parametrize(
    ("option", "wanted", "shown", "text"),
    [
        ("storage_class", "COLD", {"storage_class": None}, "shows the storage class STANDARD where COLD was asked"),
        ("encryption", "AES256", {"encryption": None}, "shows no encryption where AES256 was asked"),
        ("encryption", "AES256", {}, "shows the encryption aws:kms where AES256 was asked"),
        ("encryption", "aws:kms", {"encryption": "AES256"}, "shows the encryption AES256 where aws:kms was asked"),
        ("encryption", "aws:kms", {"encryption": "aws:kms:dsse"}, ""),
        ("customer_key", "0123456789abcdef", {"customer_key": True}, ""),
        ("customer_key", "0123456789abcdef", {}, "shows no SSE-C where it was asked"),
        ("lock_mode", "COMPLIANCE", {}, "shows a lock in the mode GOVERNANCE where COMPLIANCE was asked"),
        ("lock_mode", "COMPLIANCE", {"lock": None}, "shows no lock where COMPLIANCE was asked, or the credentials"),
        ("legal_hold", True, {"legal_hold": None}, "shows no legal hold where one was asked, or the credentials"),
        ("expires", "2030-02-01", {}, "does not keep object.expires"),
        ("expires", "2030-02-01", {"kept": ObjectOptions()}, "does not keep object.expires"),
        ("cache_control", "no-store", {}, "does not keep object.cache_control"),
        ("content_language", "de", {}, "does not keep object.content_language"),
    ],
)
def test_what_differs_is_named(option: str, wanted: Any, shown: dict[str, Any], text: str) -> None:
    found = difference(option, wanted, **shown)
    assert found.startswith(text)
    assert bool(found) is bool(text)


def test_every_option_is_compared() -> None:
    """But an ACL and tags, which are compared elsewhere, metadata, and the two fields that only go with another one."""
    others = {"acl", "tags", "metadata", "kms_key_id", "retain"}
    assert {one.name for one in fields(ObjectOptions)} - DIFFERENCES.keys() == others
