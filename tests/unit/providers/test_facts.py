"""Each provider of the manifest has a sheet of facts; each fact has its type and its source, and profiles follow it."""

import re
from typing import Any

import pytest

from mirrord.model import ChecksumKind, ProviderName
from mirrord.providers import Provider, facts_of, profile
from mirrord.providers.facts import MEANINGS, Fact, FactName, FactSheet
from mirrord.providers.provider import provider_from

KINDS: dict[FactName, type] = {
    **dict.fromkeys((FactName.REGIONS, FactName.CHECKSUMS, FactName.STORAGE_CLASSES, FactName.FAULTS), tuple),
    **dict.fromkeys((FactName.MIN_PART, FactName.MAX_PART, FactName.MAX_PARTS, FactName.MAX_PUT), int),
    **dict.fromkeys((FactName.MAX_OBJECT, FactName.MULTIPART_THRESHOLD), int),
    **dict.fromkeys((FactName.TRAILERS, FactName.EQUAL_PARTS, FactName.COMPLETE_ETAG, FactName.LATE_ABORT), bool),
    **dict.fromkeys((FactName.CONDITIONAL_PUTS, FactName.CONDITIONAL_COMPLETES, FactName.CONDITIONAL_COPIES), bool),
    **dict.fromkeys((FactName.CONDITIONAL_DELETES, FactName.MERGES_SLASHES, FactName.VERSIONING), bool),
    **dict.fromkeys((FactName.PART_COPIES, FactName.MERGES_UNICODE), bool),
}
"""The type of a fact; the others are texts."""
ALL = [(name, fact) for name in ProviderName for fact in facts_of(name).facts]


def test_each_fact_is_described() -> None:
    assert set(MEANINGS) == set(FactName)


def test_each_provider_has_its_sheet() -> None:
    assert [facts_of(name).name for name in ProviderName] == list(ProviderName)


@pytest.mark.parametrize(("name", "fact"), ALL)
def test_each_fact_has_its_type_and_a_source(name: ProviderName, fact: FactName) -> None:
    known = facts_of(name).facts[fact]
    assert type(known.value) is KINDS.get(fact, str)
    assert re.match(r"https://\S+$|measured: .+|public reports: .+", known.source)


@pytest.mark.parametrize("name", ProviderName)
def test_the_checksum_that_is_sent_is_one_that_the_store_verifies(name: ProviderName) -> None:
    known = facts_of(name)
    if verified := known.texts(FactName.CHECKSUMS):
        assert profile(name).checksum in verified
        assert set(verified) <= set(ChecksumKind)
    else:
        assert profile(name).checksum is ChecksumKind.MD5


@pytest.mark.parametrize("name", ProviderName)
def test_a_profile_has_the_values_of_the_facts(name: ProviderName) -> None:
    known, made = facts_of(name), profile(name)
    for fact in FactName:
        value = known.value(fact)
        if value is not None and fact in Provider.__slots__:
            assert getattr(made, fact) == value


def test_what_is_unknown_takes_the_careful_value() -> None:
    made = profile(ProviderName.GENERIC)
    assert made == Provider(name=ProviderName.GENERIC)
    assert (made.conditional_puts, made.conditional_deletes, made.late_abort_harmless) == (False, False, False)
    assert (made.checksum, made.storage_classes) == (ChecksumKind.MD5, ())


@pytest.mark.parametrize(
    ("fact", "value"), [(FactName.CHECKSUM, "sha256"), (FactName.MAX_PARTS, 7), (FactName.EQUAL_PARTS, True)]
)
def test_a_fact_becomes_a_field(fact: FactName, value: Any) -> None:
    known = FactSheet(ProviderName.GENERIC, "x", {fact: Fact(value, "measured: x")})
    assert getattr(provider_from(known), fact) == value
