"""The arithmetic of cutting, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrord.errors import MemoryLimitTooSmall, SourceTooLarge
from mirrord.model import PartSizes, ProviderName, TransferKind, UploadOptions
from mirrord.planning.transfers.parts import PartLayout, growing, most_bytes, part_layout, readers_that_fit, size_of
from mirrord.providers import Provider, profile
from mirrord.units import GiB, MiB, TiB

AWS = profile(ProviderName.AWS)
SCALEWAY = profile(ProviderName.SCALEWAY)
STORJ = profile(ProviderName.STORJ)
R2 = profile(ProviderName.R2)
PUT, MULTIPART = TransferKind.PUT, TransferKind.MULTIPART
AUTO = UploadOptions()
LIMIT = 256 * MiB


def put(length: int) -> PartLayout:
    return PartLayout(PUT, PartSizes.equal(length), 1)


def parts(size: int, concurrency: int) -> PartLayout:
    return PartLayout(MULTIPART, PartSizes.equal(size), concurrency)


def grown(first: int, largest: int, concurrency: int, step: int = 1000) -> PartLayout:
    return PartLayout(MULTIPART, PartSizes(first, largest, step), concurrency)


@pytest.mark.parametrize(
    ("length", "options", "provider", "limit", "expected"),
    [
        (0, AUTO, AWS, LIMIT, put(0)),
        (1, AUTO, AWS, LIMIT, put(1)),
        (16 * MiB - 1, AUTO, AWS, LIMIT, put(16 * MiB - 1)),
        (16 * MiB, AUTO, AWS, LIMIT, parts(8 * MiB, 2)),
        (1 * GiB, AUTO, AWS, LIMIT, parts(8 * MiB, 4)),
        # 10,000 parts of 8 MiB are 78.125 GiB; one byte more needs parts of 9 MiB
        (10_000 * 8 * MiB, AUTO, AWS, LIMIT, parts(8 * MiB, 4)),
        (10_000 * 8 * MiB + 1, AUTO, AWS, LIMIT, parts(9 * MiB, 4)),
        (100 * GiB, AUTO, AWS, LIMIT, parts(11 * MiB, 4)),
        # 5 TiB: 524.3 MiB a part, so half of the limit must be 525 MiB, and concurrency gives way
        (5 * TiB, AUTO, AWS, 1050 * MiB, parts(525 * MiB, 2)),
        (5 * TiB, AUTO, AWS, 8 * GiB, parts(525 * MiB, 4)),
        # 1,000 parts
        (1_000 * 8 * MiB, AUTO, SCALEWAY, LIMIT, parts(8 * MiB, 4)),
        (1_000 * 8 * MiB + 1, AUTO, SCALEWAY, LIMIT, parts(9 * MiB, 4)),
        (100 * GiB, AUTO, SCALEWAY, LIMIT, parts(103 * MiB, 2)),
        # parts of at least 64 MiB: below that a put
        (63 * MiB, AUTO, STORJ, LIMIT, put(63 * MiB)),
        (64 * MiB, AUTO, STORJ, LIMIT, put(64 * MiB)),
        (65 * MiB, AUTO, STORJ, LIMIT, parts(64 * MiB, 2)),
        (GiB, AUTO, STORJ, LIMIT, parts(64 * MiB, 4)),
        (20 * MiB, AUTO, STORJ, 64 * MiB, put(20 * MiB)),
        # small memory limits: the put threshold, then the part size, then concurrency shrink
        (15 * MiB, AUTO, AWS, 12 * MiB, parts(6 * MiB, 2)),
        (6 * MiB, AUTO, AWS, 12 * MiB, put(6 * MiB)),
        (15 * MiB, AUTO, AWS, 10 * MiB, parts(5 * MiB, 2)),
        (4 * MiB, AUTO, AWS, 8 * MiB, put(4 * MiB)),
        (4 * MiB, AUTO, AWS, 32 * MiB, put(4 * MiB)),
        (GiB, AUTO, AWS, 32 * MiB, parts(8 * MiB, 4)),
        (GiB, AUTO, AWS, 24 * MiB, parts(8 * MiB, 3)),
        # what the manifest asks for
        (20 * MiB, UploadOptions(multipart_threshold=64 * MiB), AWS, LIMIT, put(20 * MiB)),
        (
            6 * MiB,
            UploadOptions(multipart_threshold=0, part_size=5 * MiB),
            AWS,
            LIMIT,
            parts(5 * MiB, 2),
        ),
        (0, UploadOptions(multipart_threshold=0), AWS, LIMIT, put(0)),
        (GiB, UploadOptions(part_size=100 * MiB), AWS, LIMIT, parts(100 * MiB, 2)),
        (GiB, UploadOptions(part_size=200 * MiB), AWS, LIMIT, parts(128 * MiB, 2)),
        (GiB, UploadOptions(part_size=MiB), AWS, LIMIT, parts(5 * MiB, 4)),
        (GiB, UploadOptions(part_size=5_500_000), AWS, LIMIT, parts(5_500_000, 4)),
        (GiB, UploadOptions(concurrency=1), AWS, LIMIT, parts(8 * MiB, 1)),
        (6 * GiB, UploadOptions(multipart_threshold=8 * GiB), AWS, 64 * GiB, parts(8 * MiB, 4)),
        # unknown length: from 8 MiB to half of the limit
        (None, AUTO, AWS, LIMIT, grown(8 * MiB, 128 * MiB, 4)),
        (None, AUTO, AWS, 16 * GiB, grown(8 * MiB, 5 * GiB, 4)),
        (None, AUTO, AWS, 64 * MiB, grown(8 * MiB, 32 * MiB, 4)),
        (None, AUTO, AWS, 24 * MiB, grown(8 * MiB, 12 * MiB, 3)),
        (None, AUTO, AWS, 12 * MiB, grown(6 * MiB, 6 * MiB, 2)),
        (None, AUTO, SCALEWAY, LIMIT, grown(8 * MiB, 128 * MiB, 4, step=100)),
        (None, AUTO, STORJ, 128 * MiB, grown(64 * MiB, 64 * MiB, 2)),
        # equal parts of unknown length: min(64 MiB, limit / 4)
        (None, AUTO, R2, LIMIT, parts(64 * MiB, 4)),
        (None, AUTO, R2, GiB, parts(64 * MiB, 4)),
        (None, AUTO, R2, 64 * MiB, parts(16 * MiB, 4)),
        (None, AUTO, R2, 12 * MiB, parts(5 * MiB, 2)),
        (None, UploadOptions(part_size=100 * MiB), AWS, LIMIT, parts(100 * MiB, 2)),
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
    assert part_layout(length, AUTO, provider, enough).sizes.largest <= enough // 2
    with pytest.raises(MemoryLimitTooSmall):
        part_layout(length, AUTO, provider, enough - MiB)


@pytest.mark.parametrize(
    ("provider", "limit", "gib"),
    [
        (AWS, LIMIT, 867),  # the figures of docs/sources.md
        (AWS, 64 * MiB, 273),
        (AWS, GiB, 2492),
        (AWS, 16 * GiB, 7992),
        (profile(ProviderName.GENERIC), 16 * GiB, 5 * 1024),  # what the store takes
        (SCALEWAY, LIMIT, 86),
        (STORJ, LIMIT, 1187),
        (R2, LIMIT, 625),
    ],
)
def test_the_length_at_which_a_stream_of_unknown_length_runs_out_of_parts(
    provider: Provider, limit: int, gib: int
) -> None:
    assert most_bytes(part_layout(None, AUTO, provider, limit).sizes, provider) // GiB == gib


@pytest.mark.parametrize(
    ("layout", "limit", "readers"),
    [
        (parts(8 * MiB, 4), LIMIT, 4),
        (parts(8 * MiB, 4), 96 * MiB, 4),
        (parts(8 * MiB, 4), 80 * MiB, 3),  # 7 of 10 buffers
        (parts(8 * MiB, 4), 64 * MiB, 1),  # 5 of 8
        (parts(8 * MiB, 3), 24 * MiB, 1),
        (parts(64 * MiB, 4), LIMIT, 1),
        (parts(64 * MiB, 1), LIMIT, 2),
        (put(0), LIMIT, 4),
    ],
)
def test_readers_leave_a_quarter_of_the_memory_or_24_mib_to_other_transfers(
    layout: PartLayout, limit: int, readers: int
) -> None:
    assert readers_that_fit(4, layout, limit) == readers


@pytest.mark.parametrize(
    ("number", "mib"),
    [(1, 8), (1000, 8), (1001, 16), (2000, 16), (2001, 32), (3001, 64), (4001, 100), (10_000, 100), (10**9, 100)],
)
def test_the_size_of_a_part_follows_from_its_number(number: int, mib: int) -> None:
    assert size_of(growing(8 * MiB, 100 * MiB, AWS), number) == mib * MiB


@given(
    limit=st.integers(10 * MiB, 64 * GiB),
    max_parts=st.integers(1, 10_000),
    equal=st.booleans(),
)
def test_growing_parts_fit_store_and_memory_and_never_shrink(limit: int, max_parts: int, equal: bool) -> None:
    provider = Provider(name=ProviderName.GENERIC, max_parts=max_parts, equal_parts=equal)
    sizes = part_layout(None, AUTO, provider, limit).sizes
    made = [size_of(sizes, each) for each in range(1, max_parts + 1)]
    assert made == sorted(made)
    assert provider.min_part <= made[0] <= 8 * MiB or equal
    assert made[-1] <= min(provider.max_part, limit // 2)
    assert len(set(made)) == 1 or not equal
    assert most_bytes(sizes, provider) == min(sum(made), provider.max_object)


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
    assert made.sizes.largest <= limit // 2
    assert 1 <= made.concurrency <= concurrency
    if made.kind is PUT:
        assert length == made.sizes.first <= provider.max_put
        return
    assert provider.min_part <= made.sizes.first <= made.sizes.largest <= provider.max_part
    assert made.concurrency * made.sizes.first <= limit
    assert length is None or (made.sizes.are_equal and -(-length // made.sizes.first) <= provider.max_parts)
