"""The words of `doctor` for measured values."""

import pytest

from mirrord.model import ProviderName
from mirrord.programs.doctor.findings import FindingLevel
from mirrord.programs.doctor.judgements import MEASURED_NAMES, finding
from mirrord.providers import facts_of
from mirrord.providers.facts import FactValue

GENERIC, MINIO, AWS = facts_of(ProviderName.GENERIC), facts_of(ProviderName.MINIO), facts_of(ProviderName.AWS)
VALUES: dict[str, tuple[FactValue, FactValue]] = {
    "checksums": (("md5",), ()),
    "upload_checksums": (("crc32",), ()),
    "trailer_checksums": (("crc32",), ()),
    "min_part": (5 * 1024 * 1024, 0),
    "max_parts": (10_000, 1_000),
    "tags": ("kept", "ignored"),
    "customer_keys": ("refused", "ignored"),
    "equal_parts": (False, True),
    "merges_slashes": (False, True),
    "refuses_conditions": (False, True),
}
"""A good and another value; of the others True and False."""
HARMLESS = {
    *("conditional_replaces", "conditional_replacing_completes", "repeated_completes", "conditional_deletes"),
    *("trailer_checksums", "equal_parts"),
}
"""Values that mirrord needs not, or deals with at no cost."""


@pytest.mark.parametrize("name", MEASURED_NAMES)
def test_a_good_value_is_ok_and_another_one_is_told(name: str) -> None:
    good, other = VALUES.get(name, (True, False))
    assert finding(name, "s3://b", good, GENERIC).verdict is FindingLevel.OK
    told = finding(name, "s3://b", other, GENERIC)
    assert (told.verdict is FindingLevel.OK) is (name in HARMLESS)
    assert bool(told.fix) is (told.verdict is not FindingLevel.OK)


@pytest.mark.parametrize("name", ["objects", "multipart", "metadata"])
def test_what_no_copy_can_do_without_is_a_failure(name: str) -> None:
    assert finding(name, "s3://b", False, GENERIC).verdict is FindingLevel.FAILED


def test_a_value_that_contradicts_the_profile_is_a_warning() -> None:
    told = finding("conditional_deletes", "s3://b", False, AWS)
    assert (told.verdict, "the profile of `provider: aws` says yes" in told.message) == (FindingLevel.WARNING, True)
    better = finding("conditional_deletes", "s3://b", True, MINIO)
    assert (better.verdict, "says no" in better.message) == (FindingLevel.WARNING, True)
    assert finding("late_abort_harmless", "s3://b", True, GENERIC).verdict is FindingLevel.OK
