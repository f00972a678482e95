"""The arithmetic of cutting, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrord.errors import MemoryLimitTooSmall, SourceTooLarge
from mirrord.model import ProviderName, TransferKind, UploadOptions
from mirrord.planning.transfers.parts import PartLayout, part_layout
from mirrord.providers import Provider, profile
from mirrord.units import GiB, MiB, TiB

AWS = profile(ProviderName.AWS)
SCALEWAY = profile(ProviderName.SCALEWAY)
STORJ = profile(ProviderName.STORJ)
PUT, MULTIPART = TransferKind.PUT, TransferKind.MULTIPART
AUTO = UploadOptions()
LIMIT = 256 * MiB


@pytest.mark.parametrize(
    ("length", "options", "provider", "limit", "expected"),
    [
        (0, AUTO, AWS, LIMIT, PartLayout(PUT, 0, 1)),
        (1, AUTO, AWS, LIMIT, PartLayout(PUT, 1, 1)),
        (16 * MiB - 1, AUTO, AWS, LIMIT, PartLayout(PUT, 16 * MiB - 1, 1)),
        (16 * MiB, AUTO, AWS, LIMIT, PartLayout(MULTIPART, 8 * MiB, 2)),
        (1 * GiB, AUTO, AWS, LIMIT, PartLayout(MULTIPART, 8 * MiB, 4)),
        # 10,000 parts of 8 MiB are 78.125 GiB; one byte more needs parts of 9 MiB
        (10_000 * 8 * MiB, AUTO, AWS, LIMIT, PartLayout(MULTIPART, 8 * MiB, 4)),
        (10_000 * 8 * MiB + 1, AUTO, AWS, LIMIT, PartLayout(MULTIPART, 9 * MiB, 4)),
        (100 * GiB, AUTO, AWS, LIMIT, PartLayout(MULTIPART, 11 * MiB, 4)),
        # 5 TiB: 524.3 MiB a part, so half of the limit must be 525 MiB, and concurrency gives way
        (5 * TiB, AUTO, AWS, 1050 * MiB, PartLayout(MULTIPART, 525 * MiB, 2)),
        (5 * TiB, AUTO, AWS, 8 * GiB, PartLayout(MULTIPART, 525 * MiB, 4)),
        # 1,000 parts
        (1_000 * 8 * MiB, AUTO, SCALEWAY, LIMIT, PartLayout(MULTIPART, 8 * MiB, 4)),
        (1_000 * 8 * MiB + 1, AUTO, SCALEWAY, LIMIT, PartLayout(MULTIPART, 9 * MiB, 4)),
        (100 * GiB, AUTO, SCALEWAY, LIMIT, PartLayout(MULTIPART, 103 * MiB, 2)),
        # parts of at least 64 MiB: below that a put
        (63 * MiB, AUTO, STORJ, LIMIT, PartLayout(PUT, 63 * MiB, 1)),
        (64 * MiB, AUTO, STORJ, LIMIT, PartLayout(PUT, 64 * MiB, 1)),
        (65 * MiB, AUTO, STORJ, LIMIT, PartLayout(MULTIPART, 64 * MiB, 2)),
        (GiB, AUTO, STORJ, LIMIT, PartLayout(MULTIPART, 64 * MiB, 4)),
        (20 * MiB, AUTO, STORJ, 64 * MiB, PartLayout(PUT, 20 * MiB, 1)),
        # small memory limits: the put threshold, then the part size, then concurrency shrink
        (15 * MiB, AUTO, AWS, 12 * MiB, PartLayout(MULTIPART, 6 * MiB, 2)),
        (6 * MiB, AUTO, AWS, 12 * MiB, PartLayout(PUT, 6 * MiB, 1)),
        (15 * MiB, AUTO, AWS, 10 * MiB, PartLayout(MULTIPART, 5 * MiB, 2)),
        (4 * MiB, AUTO, AWS, 8 * MiB, PartLayout(PUT, 4 * MiB, 1)),
        (4 * MiB, AUTO, AWS, 32 * MiB, PartLayout(PUT, 4 * MiB, 1)),
        (GiB, AUTO, AWS, 32 * MiB, PartLayout(MULTIPART, 8 * MiB, 4)),
        (GiB, AUTO, AWS, 24 * MiB, PartLayout(MULTIPART, 8 * MiB, 3)),
        # what the manifest asks for
        (20 * MiB, UploadOptions(multipart_threshold=64 * MiB), AWS, LIMIT, PartLayout(PUT, 20 * MiB, 1)),
        (
            6 * MiB,
            UploadOptions(multipart_threshold=0, part_size=5 * MiB),
            AWS,
            LIMIT,
            PartLayout(MULTIPART, 5 * MiB, 2),
        ),
        (0, UploadOptions(multipart_threshold=0), AWS, LIMIT, PartLayout(PUT, 0, 1)),
        (GiB, UploadOptions(part_size=100 * MiB), AWS, LIMIT, PartLayout(MULTIPART, 100 * MiB, 2)),
        (GiB, UploadOptions(part_size=200 * MiB), AWS, LIMIT, PartLayout(MULTIPART, 128 * MiB, 2)),
        (GiB, UploadOptions(part_size=MiB), AWS, LIMIT, PartLayout(MULTIPART, 5 * MiB, 4)),
        (GiB, UploadOptions(part_size=5_500_000), AWS, LIMIT, PartLayout(MULTIPART, 5_500_000, 4)),
        (GiB, UploadOptions(concurrency=1), AWS, LIMIT, PartLayout(MULTIPART, 8 * MiB, 1)),
        (6 * GiB, UploadOptions(multipart_threshold=8 * GiB), AWS, 64 * GiB, PartLayout(MULTIPART, 8 * MiB, 4)),
        # unknown length: min(64 MiB, limit / 4) from the start
        (None, AUTO, AWS, LIMIT, PartLayout(MULTIPART, 64 * MiB, 4)),
        (None, AUTO, AWS, GiB, PartLayout(MULTIPART, 64 * MiB, 4)),
        (None, AUTO, AWS, 64 * MiB, PartLayout(MULTIPART, 16 * MiB, 4)),
        (None, AUTO, AWS, 12 * MiB, PartLayout(MULTIPART, 5 * MiB, 2)),
        (None, AUTO, STORJ, 128 * MiB, PartLayout(MULTIPART, 64 * MiB, 2)),
        (None, UploadOptions(part_size=100 * MiB), AWS, LIMIT, PartLayout(MULTIPART, 100 * MiB, 2)),
    ],
)  # fmt: skip
def test_cut(length: int | None, options: UploadOptions, provider: Provider, limit: int, expected: PartLayout) -> None:
    assert part_layout(length, options, provider, limit) == expected


@pytest.mark.parametrize(
    ("length", "provider", "limit", "enough"),
    [
        (5 * TiB, AWS, LIMIT, 1050 * MiB),
        (65 * MiB, STORJ, 64 * MiB, 128 * MiB),
        (20 * MiB, AWS, 8 * MiB, 10 * MiB),
        (5 * MiB, AWS, 8 * MiB, 10 * MiB),
        (None, AWS, 8 * MiB, 10 * MiB),
        (None, STORJ, 100 * MiB, 128 * MiB),
        (200 * GiB, SCALEWAY, LIMIT, 410 * MiB),
    ],
)
def test_a_limit_too_small_names_the_one_that_is_enough(
    length: int | None, provider: Provider, limit: int, enough: int
) -> None:
    with pytest.raises(MemoryLimitTooSmall, match=rf"{enough // MiB}MiB"):
        part_layout(length, AUTO, provider, limit)
    assert part_layout(length, AUTO, provider, enough).part_size <= enough // 2
    with pytest.raises(MemoryLimitTooSmall):
        part_layout(length, AUTO, provider, enough - MiB)


@pytest.mark.parametrize("provider", [AWS, SCALEWAY, STORJ])
def test_a_stream_of_unknown_length_does_not_run_out_of_parts_before_50_gib(provider: Provider) -> None:
    assert part_layout(None, AUTO, provider, LIMIT).part_size * provider.max_parts > 50 * GiB


def test_an_object_that_the_store_cannot_hold() -> None:
    with pytest.raises(SourceTooLarge, match=r"48\.8 TiB"):
        part_layout(AWS.max_parts * AWS.max_part + 1, AUTO, AWS, LIMIT)
    with pytest.raises(SourceTooLarge, match=r"5\.0 TiB"):
        part_layout(5 * TiB + 1, AUTO, STORJ, LIMIT)
    few = Provider(name=ProviderName.GENERIC, max_parts=10, max_part=10 * MiB)
    with pytest.raises(SourceTooLarge, match=r"parts of 11\.0 MiB"):
        part_layout(100 * MiB + 1, AUTO, few, LIMIT)


@given(
    length=st.one_of(st.none(), st.integers(0, 5 * TiB)),
    part_size=st.one_of(st.none(), st.integers(1, 6 * GiB)),
    threshold=st.one_of(st.none(), st.integers(0, 6 * GiB)),
    concurrency=st.integers(1, 64),
    limit=st.integers(MiB, 16 * GiB),
    provider=st.sampled_from([AWS, SCALEWAY, STORJ]),
)
def test_whatever_is_cut_fits_store_and_memory(
    length: int | None, part_size: int | None, threshold: int | None, concurrency: int, limit: int, provider: Provider
) -> None:
    options = UploadOptions(multipart_threshold=threshold, part_size=part_size, concurrency=concurrency)
    try:
        made = part_layout(length, options, provider, limit)
    except MemoryLimitTooSmall:
        least = max(provider.min_part, (length or 0) / provider.max_parts)
        assert 2 * (least + MiB) > limit
        return
    except SourceTooLarge:
        assert length is not None
        assert length > provider.max_parts * (provider.max_part - MiB)
        return
    assert made.part_size <= limit // 2
    assert 1 <= made.concurrency <= concurrency
    if made.kind is PUT:
        assert length == made.part_size <= provider.max_put
        return
    assert provider.min_part <= made.part_size <= provider.max_part
    assert made.concurrency * made.part_size <= limit
    assert length is None or -(-length // made.part_size) <= provider.max_parts
