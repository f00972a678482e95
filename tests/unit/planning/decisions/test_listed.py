"""What a listing may decide, and when it is cheaper than HEADs."""

from dataclasses import replace

import pytest

from mirrord.model import Destination, FileIdentity, Observed, Overwrite, Record, Revision, State
from mirrord.planning.decisions.decide import DRIFT_EVERY, Action, Decision
from mirrord.planning.decisions.listed import (
    GOOD_FOR,
    MOST_IN_VAIN,
    MOST_UNSEEN,
    Verdict,
    good_for,
    has_just_appeared,
    is_abandoned,
    is_worth_listing,
    listing_cost,
    spares_head,
    suffices,
)
from tests.support.records import make_record

AT = Destination("s", "http://s", "b", "k")
RECORD = make_record(
    item_id=AT.item_id, entry="e", source="x", destination=AT, state=State.SYNCED, revision=Revision(address="a")
)
FAILED = replace(RECORD, revision=None)


@pytest.mark.parametrize(
    ("items", "cost"), [(0, 12), (1, 12), (1_000, 12), (1_001, 24), (100_000, 1_200), (1_000_000, 12_000)]
)
def test_a_page_costs_twelve_heads(items: int, cost: int) -> None:
    assert listing_cost(items) == cost


@pytest.mark.parametrize(
    ("left", "objects", "worth"),
    [
        (0, 0, False),
        (12, 0, False),
        (13, 0, True),
        (13, 1_000, True),
        (13, 1_001, False),
        (100_000, 0, True),
        (256, 100_000, False),
        (1_200, 100_000, False),
        (1_201, 100_000, True),
        (24, 5_000, False),
    ],
)
def test_a_listing_is_made_if_it_costs_less_than_heads(left: int, objects: int, worth: bool) -> None:
    assert is_worth_listing(left, objects) is worth


@pytest.mark.parametrize(
    ("pages", "left", "abandoned"),
    [(0, 0, False), (1, 12, False), (1, 11, True), (100, 1_200, False), (101, 1_200, True)],
)
def test_a_listing_that_costs_more_is_abandoned(pages: int, left: int, abandoned: bool) -> None:
    assert is_abandoned(pages, left) is abandoned


@pytest.mark.parametrize(("every", "seconds"), [(None, GOOD_FOR), (3600.0, 3600.0), (5.0, DRIFT_EVERY)])
def test_how_long_a_listing_counts(every: float | None, seconds: float) -> None:
    assert good_for(every) == seconds


@pytest.mark.parametrize("overwrite", Overwrite)
@pytest.mark.parametrize("conditions", [True, False])
def test_only_an_object_as_recorded_spares_the_head_of_a_recorded_item(overwrite: Overwrite, conditions: bool) -> None:
    spared = {one for one in Verdict if spares_head(RECORD, overwrite, one, conditions=conditions)}
    assert spared == {Verdict.AS_RECORDED}


@pytest.mark.parametrize("record", [None, FAILED])
@pytest.mark.parametrize(
    ("overwrite", "conditions", "spared"),
    [
        (Overwrite.ALWAYS, True, {Verdict.ABSENT, Verdict.PROBABLY_ABSENT}),
        (Overwrite.ALWAYS, False, {Verdict.ABSENT, Verdict.PROBABLY_ABSENT}),
        (Overwrite.OWNED, True, {Verdict.ABSENT, Verdict.PROBABLY_ABSENT}),
        (Overwrite.NEVER, True, {Verdict.ABSENT, Verdict.PROBABLY_ABSENT}),
        (Overwrite.OWNED, False, set()),  # the store may ignore If-None-Match
        (Overwrite.NEVER, False, set()),
    ],
)
def test_a_new_item_needs_a_head_unless_its_put_is_conditional(
    record: Record | None, overwrite: Overwrite, conditions: bool, spared: set[Verdict]
) -> None:
    assert {one for one in Verdict if spares_head(record, overwrite, one, conditions=conditions)} == spared


def observed(length: int | None) -> Observed:
    return Observed(revision=Revision(address="a", length=length))


@pytest.mark.parametrize(
    ("verdict", "action", "length", "enough"),
    [
        (Verdict.AS_RECORDED, Action.KEEP, None, True),
        (Verdict.AS_RECORDED, Action.COPY, 1, False),
        (Verdict.AS_RECORDED, Action.COMPARE, 1, False),
        (Verdict.AS_RECORDED, Action.BLOCK, 1, False),
        (Verdict.AS_RECORDED, Action.ADOPT, 1, False),
        (Verdict.ABSENT, Action.COPY, MOST_UNSEEN, True),
        (Verdict.ABSENT, Action.COPY, MOST_UNSEEN + 1, False),
        (Verdict.ABSENT, Action.COPY, None, False),
        (Verdict.PROBABLY_ABSENT, Action.COPY, MOST_IN_VAIN, True),
        (Verdict.PROBABLY_ABSENT, Action.COPY, MOST_IN_VAIN + 1, False),
        (Verdict.PROBABLY_ABSENT, Action.ADOPT, 1, False),
        (Verdict.OTHER, Action.COPY, 1, False),
        (Verdict.UNKNOWN, Action.COPY, 1, False),
    ],
)
def test_a_write_needs_a_head_or_a_condition(
    verdict: Verdict, action: Action, length: int | None, enough: bool
) -> None:
    assert suffices(verdict, Decision(action, "why"), observed(length)) is enough


@pytest.mark.parametrize(("ctime", "appeared"), [(99.9, False), (100.0, True), (101.0, True)])
def test_a_file_appeared_if_its_ctime_is_later_than_the_start(ctime: float, appeared: bool) -> None:
    of_later_mtime = 200 * 10**9
    file = FileIdentity(1, 1, 1, of_later_mtime, int(ctime * 1e9))
    assert has_just_appeared(file, 100.0) is appeared
