"""In which requests a store copies its own objects."""

from dataclasses import replace

import pytest

from mirrord.model import Checksum, ChecksumKind, ObjectDetails, ObjectOptions, Overwrite, ProviderName, StoredObject
from mirrord.planning.transfers.store_copy import copied_at_once, part_copies
from mirrord.providers import profile
from mirrord.units import GiB, MiB

AWS = profile(ProviderName.AWS)
CRC = Checksum(ChecksumKind.CRC64NVME, "AAAAAAAAAAA=")
SHA = Checksum(ChecksumKind.SHA256, "A")
SINGLE = StoredObject(size=10, etag='"d41d"')
PARTED = StoredObject(size=20 * MiB, etag='"d41d-3"')


@pytest.mark.parametrize(
    ("stored", "overwrite", "at_once"),
    [
        (SINGLE, Overwrite.ALWAYS, True),
        (SINGLE, Overwrite.OWNED, False),
        (SINGLE, Overwrite.NEVER, False),
        (replace(SINGLE, size=5 * GiB), Overwrite.ALWAYS, True),
        (replace(SINGLE, size=5 * GiB + 1), Overwrite.ALWAYS, False),
        (PARTED, Overwrite.ALWAYS, False),
        (replace(PARTED, checksum=CRC), Overwrite.ALWAYS, True),
    ],
)
def test_one_copy_must_be_comparable_and_small_enough(
    stored: StoredObject, overwrite: Overwrite, at_once: bool
) -> None:
    assert copied_at_once(stored, AWS, overwrite) is at_once


def first(size: int, parts: int | None) -> ObjectDetails:
    return ObjectDetails(stored=replace(PARTED, size=size), kept=ObjectOptions(), parts=parts)


@pytest.mark.parametrize(
    ("stored", "first_part", "sizes"),
    [
        (PARTED, first(8 * MiB, 3), 8 * MiB),
        (PARTED, first(8 * MiB, 4), None),  # parts of several sizes
        (PARTED, first(20 * MiB, None), None),  # the store answers for the whole
        (PARTED, None, None),
        (PARTED, first(MiB, 20), None),  # below the least size of a part
        (replace(PARTED, size=3, etag='"d41d-1"'), first(3, 1), 3),
        (replace(PARTED, checksum=CRC), first(8 * MiB, 4), GiB),
        (replace(SINGLE, size=6 * GiB), None, None),
        (replace(SINGLE, size=6 * GiB, checksum=CRC), None, GiB),
        (replace(SINGLE, size=6 * GiB, checksum=SHA), None, None),
        (replace(SINGLE, size=20_000 * GiB, checksum=CRC), None, 2 * GiB),
        (replace(SINGLE, size=0, checksum=CRC), None, None),
    ],
)
def test_parts_are_those_of_the_original_or_have_a_checksum_to_compare(
    stored: StoredObject, first_part: ObjectDetails | None, sizes: int | None
) -> None:
    layout = part_copies(stored, first_part, AWS)
    assert (layout.sizes.first if layout else None) == sizes


def test_few_parts_are_copied_at_the_same_time() -> None:
    layout = part_copies(replace(SINGLE, size=100 * GiB, checksum=CRC), None, AWS)
    assert layout is not None
    assert layout.concurrency == 8
