"""Which measured values a profile uses."""

from dataclasses import replace

import pytest

from mirrord.model import ChecksumKind, ProviderName
from mirrord.providers import facts_of, profile
from mirrord.providers.facts import FactValue
from mirrord.providers.measured import KnownFacts, MeasuredFacts, MeasuredProfile

GENERIC, MINIO, AWS = ProviderName.GENERIC, ProviderName.MINIO, ProviderName.AWS
BOTH = {"checksums": ("crc64nvme", "crc32", "md5"), "upload_checksums": ("crc32",)}


def used(
    name: ProviderName, server: str, *, declared: ChecksumKind | None = None, **values: FactValue
) -> dict[str, object]:
    """The fields of the profile that the values change, for a store that said `Server: one` when it was measured."""
    base = profile(name)
    measured = MeasuredFacts("one", 0.0, tuple(values.items()))
    now = MeasuredProfile(KnownFacts.of(facts_of(name), declared), measured).of(base, server)
    fields = ("conditional_puts", "conditional_deletes", "checked_part_copies", "equal_parts", "max_parts", "checksum")
    assert replace(now, **{one: getattr(base, one) for one in fields}) == base
    return {one: getattr(now, one) for one in fields if getattr(now, one) != getattr(base, one)}


@pytest.mark.parametrize(
    ("name", "server", "values", "changed"),
    [
        (GENERIC, "one", {"conditional_puts": True}, {"conditional_puts": True}),
        (GENERIC, "", {"conditional_puts": True}, {}),
        (GENERIC, "two", {"conditional_puts": True}, {}),
        (AWS, "one", {"conditional_puts": False}, {"conditional_puts": False}),
        (AWS, "", {"conditional_puts": False}, {"conditional_puts": False}),
        (AWS, "two", {"conditional_puts": False}, {}),
        (MINIO, "one", {"conditional_deletes": True}, {}),
        (GENERIC, "one", {"conditional_deletes": True}, {"conditional_deletes": True}),
        (AWS, "one", {"checked_part_copies": False}, {"checked_part_copies": False}),
        (GENERIC, "", {"equal_parts": True}, {"equal_parts": True}),
        (GENERIC, "one", {"equal_parts": False}, {}),
        (GENERIC, "", {"max_parts": 1_000}, {"max_parts": 1_000}),
        (GENERIC, "one", {"max_parts": 1}, {}),
        (ProviderName.SCALEWAY, "one", {"max_parts": 10_000}, {}),
        (GENERIC, "one", BOTH, {"checksum": ChecksumKind.CRC32}),
        (GENERIC, "", BOTH, {}),
        (AWS, "one", BOTH, {}),
        (GENERIC, "one", {"checksums": ("sha256", "md5"), "upload_checksums": ()}, {"checksum": ChecksumKind.SHA256}),
        (GENERIC, "one", {"checksums": (), "upload_checksums": ()}, {}),
        (GENERIC, "one", {"checksums": ("crc32",)}, {}),
        (GENERIC, "one", {"late_abort_harmless": True, "min_part": 0}, {}),
    ],
)
def test_more_care_always_counts_and_less_only_of_the_same_server(
    name: ProviderName, server: str, values: dict[str, FactValue], changed: dict[str, object]
) -> None:
    assert used(name, server, **values) == changed


def test_a_checksum_of_the_manifest_stays() -> None:
    assert used(GENERIC, "one", declared=ChecksumKind.NONE, **BOTH) == {}


def test_nothing_measured_changes_nothing() -> None:
    base = profile(GENERIC)
    assert MeasuredProfile(KnownFacts.of(facts_of(GENERIC), None)).of(base, "one") is base
