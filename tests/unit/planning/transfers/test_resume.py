"""What of an upload is missing, what the store's list confirms, and which earlier transfer may go on."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mirrord.model import (
    ChecksumKind,
    Destination,
    FileIdentity,
    Observed,
    Part,
    PartSizes,
    Revision,
    Transfer,
    TransferKind,
)
from mirrord.planning.transfers.resume import (
    LONGEST_RANGE,
    PartRange,
    can_resume,
    confirmed_parts,
    missing_ranges,
    part_length,
    pinned,
    split_ranges,
)
from tests.support.records import with_fields

AT = Destination("default", "http://store", "bucket", "key")
PARTS = st.integers(1, 40)
SIZES = st.integers(1, 7)


def part(number: int, size: int = 10, etag: str = '"e"') -> Part:
    return Part(number=number, size=size, etag=etag)


# ── missing parts ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("length", "have", "runs"),
    [
        (0, (), []),
        (25, (), [(0, 25)]),
        (20, (), [(0, 20)]),
        (25, (1, 2, 3), []),
        (25, (1,), [(10, 25)]),
        (25, (3,), [(0, 20)]),
        (25, (2,), [(0, 10), (20, 25)]),
        (60, (2, 5), [(0, 10), (20, 40), (50, 60)]),
        (10, (2, 99), [(0, 10)]),
    ],
)
def test_missing_runs(length: int, have: tuple[int, ...], runs: list[tuple[int, int]]) -> None:
    assert missing_ranges(length, 10, have) == [PartRange(*run) for run in runs]


@given(st.integers(0, 200), SIZES, st.sets(PARTS), st.integers(1, 5))
@example(200, 1, set(), 5)
def test_pieces_and_kept_parts_are_the_source_once_each(
    length: int, part_size: int, have: set[int], readers: int
) -> None:
    cut = split_ranges(missing_ranges(length, part_size, have), part_size, readers)
    kept = {n for n in have if part_length(n, length, part_size)}
    covered = [byte for run in cut for byte in range(run.start, run.end)]
    covered += [(n - 1) * part_size + i for n in kept for i in range(part_length(n, length, part_size))]
    assert sorted(covered) == list(range(length))
    assert [run.start for run in cut] == sorted(run.start for run in cut)
    assert all(run.start % part_size == 0 and run.size > 0 for run in cut)
    assert all(run.end % part_size == 0 or run.end == length for run in cut)
    if readers > 1:
        assert all(run.size <= LONGEST_RANGE * part_size for run in cut)


def test_one_reader_takes_a_run_whole_and_several_share_it() -> None:
    assert split_ranges([PartRange(0, 1000)], 10, 1) == [PartRange(0, 1000)]
    assert split_ranges([PartRange(0, 45)], 10, 2) == [PartRange(0, 20), PartRange(20, 40), PartRange(40, 45)]
    assert len(split_ranges([PartRange(0, 1000)], 10, 4)) == 13


@pytest.mark.parametrize(("number", "size"), [(1, 10), (2, 10), (3, 5), (4, 0)])
def test_the_size_of_a_part(number: int, size: int) -> None:
    assert part_length(number, 25, 10) == size


# ── what is confirmed ─────────────────────────────────────────────────────────────────────────────
LAST = part(3, 5)


@pytest.mark.parametrize(
    ("listed", "numbers"),
    [
        ([part(1), part(2), LAST], {1, 2, 3}),
        ([], set()),
        ([part(1), part(2, etag='"other"'), LAST], {1, 3}),
        ([part(1), part(2, etag='"other"'), part(2), LAST], {1, 2, 3}),  # both copies of a part sent twice
        ([part(1), part(2, 9), LAST], {1, 3}),
        ([part(1), part(2), LAST, part(4)], {1, 2, 3}),  # not in the journal: sent by nobody whom we know
    ],
)
def test_what_the_journal_has_and_the_store_confirms(listed: list[Part], numbers: set[int]) -> None:
    journaled = [part(1), part(2), LAST]
    assert confirmed_parts(journaled, listed, 25, 10) == {one.number: one for one in journaled if one.number in numbers}


def test_a_part_of_another_size_than_its_place_is_not_confirmed() -> None:
    assert confirmed_parts([part(1, 9), part(3, 10), part(4, 10)], [part(1, 9), part(3, 10), part(4, 10)], 25, 10) == {}


# ── which transfer may go on ──────────────────────────────────────────────────────────────────────
WANTED = Transfer(
    id="new",
    item_id=AT.item_id,
    destination=AT,
    revision=Revision(address="a", etag='"1"', length=100),
    kind=TransferKind.MULTIPART,
    part_sizes=PartSizes.equal(20),
    started=9.0,
    checksum_kind=ChecksumKind.CRC64NVME,
    options_digest="d",
)
EARLIER = with_fields(WANTED, id="old", part_sizes=PartSizes.equal(10), started=1.0, upload_id="u")


def test_the_same_revision_with_the_same_options_goes_on_with_its_own_part_size() -> None:
    assert can_resume(EARLIER, WANTED, 10)
    assert can_resume(replace(EARLIER, destination=replace(AT, store="renamed")), WANTED, 10)


def test_a_file_on_a_device_of_another_number_goes_on() -> None:
    then = replace(EARLIER, revision=replace(WANTED.revision, file=FileIdentity(1, 2, 3, 4, 5)))
    assert can_resume(then, replace(WANTED, revision=replace(then.revision, file=FileIdentity(9, 2, 3, 4, 5))), 10)
    assert not can_resume(then, replace(WANTED, revision=replace(then.revision, file=FileIdentity(9, 2, 3, 4, 6))), 10)


@pytest.mark.parametrize(
    "changed",
    [
        {"revision": Revision(address="a", etag='"2"', length=100)},
        {"revision": Revision(address="b", etag='"1"', length=100)},
        {"revision": replace(WANTED.revision, file=FileIdentity(1, 2, 3, 4, 5))},
        {"upload_id": None},
        {"part_sizes": None},
        {"part_sizes": PartSizes.equal(11)},
        {"part_sizes": PartSizes(5, 10, 2)},  # of a length that was unknown
        {"kind": TransferKind.PUT},
        {"options_digest": "other"},
        {"checksum_kind": ChecksumKind.CRC32},
        {"destination": replace(AT, key="other")},
        {"destination": replace(AT, endpoint="http://elsewhere")},
    ],
)
def test_what_does_not_go_on(changed: dict[str, object]) -> None:
    assert not can_resume(with_fields(EARLIER, **changed), WANTED, 10)


@pytest.mark.parametrize(("ranges", "length", "answer"), [(True, 1, True), (False, 1, False), (True, None, False)])
def test_pinned(ranges: bool, length: int | None, answer: bool) -> None:
    assert pinned(Observed(revision=Revision(address="a", etag='"1"', length=length), ranges=ranges)) is answer
