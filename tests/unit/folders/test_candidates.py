"""The table of candidates: when a file counts as settled, one entry a file, claims, and bounds."""

import pytest

from mirrord.folders.candidates import AwaitingMarker, Candidate, Candidates, Conflict, Submitted, Unsettled
from mirrord.model import FileIdentity
from mirrord.planning.items.bind import item_of
from mirrord.units import MiB
from tests.support.folder_world import SPEC
from tests.support.records import with_fields

A, B = FileIdentity(1, 2, 10, 100, 100), FileIdentity(1, 2, 20, 200, 200)


def see(candidates: Candidates, name: str, item_id: str, file: FileIdentity, began: float, now: float) -> bool:
    return candidates.see(name, Unsettled(item_id, file, first=now, since=now), began)


@pytest.mark.parametrize(
    ("settle", "looks", "settled"),
    [
        (0.0, [(A, 0.0, 0.0)], [True]),
        (2.0, [(A, 0.0, 0.0), (A, 2.0, 2.0)], [False, True]),
        (2.0, [(A, 0.0, 0.0), (A, 1.9, 2.5)], [False, False]),  # the second stat may have been taken at 1.9
        (2.0, [(A, 0.0, 0.5), (A, 2.0, 2.0), (A, 2.5, 2.5)], [False, False, True]),  # and the first at 0.5
        (2.0, [(A, 0.0, 0.0), (B, 2.0, 2.0), (B, 3.0, 3.0), (B, 4.0, 4.0)], [False, False, False, True]),
        (2.0, [(A, 0.0, 0.0), (B, 1.0, 1.0), (A, 2.0, 2.0), (A, 4.0, 4.0)], [False, False, False, True]),
    ],
)
def test_two_equal_stats_a_settle_apart(
    settle: float, looks: list[tuple[FileIdentity, float, float]], settled: list[bool]
) -> None:
    candidates = Candidates(settle)
    assert [see(candidates, "f", "id", file, began, now) for file, began, now in looks] == settled


def test_the_first_to_settle_is_at_the_front() -> None:
    candidates = Candidates(2.0)
    see(candidates, "a", "1", A, 0.0, 0.0)
    see(candidates, "b", "2", A, 1.0, 1.0)
    see(candidates, "a", "1", B, 1.5, 1.5)
    assert candidates.next_due == 3.0
    assert candidates.due(2.9) == []
    assert candidates.due(3.0) == ["b"]
    assert candidates.due(9.0) == ["b", "a"]
    candidates.forget("b")
    assert candidates.next_due == 3.5
    candidates.forget("a")
    assert candidates.next_due is None
    candidates.forget("a")


def test_the_number_of_names_due_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrord.folders.candidates.MOST_DUE", 2)
    candidates = Candidates(2.0)
    for name in "abc":
        see(candidates, name, name, A, 0.0, 0.0)
    assert candidates.due(2.0) == ["a", "b"]
    candidates.forget("a")
    assert candidates.due(2.0) == ["b", "c"]


def test_no_more_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrord.folders.candidates.MOST_UNSETTLED", 2)
    candidates = Candidates(2.0)
    for name in "abc":
        see(candidates, name, name, A, 0.0, 0.0)
    assert len(candidates.unsettled) == 2
    assert candidates.full
    assert candidates.unsettled.get("c") is None
    assert see(candidates, "a", "a", B, 2.0, 2.0) is False, "what is known may change"
    assert [name for name, _ in candidates.unsettled.items()] == ["b", "a"]


def test_the_messages_of_waiting_files() -> None:
    candidates = Candidates(60.0)

    def shown(file: FileIdentity, at: float, now: float) -> str:
        see(candidates, "f", "id", file, at, at)
        known = candidates.unsettled.get("f")
        assert known is not None
        return known.message(now)

    small, large = FileIdentity(1, 2, 5 * MiB, 1, 1), FileIdentity(1, 2, 12 * MiB, 2, 2)
    assert shown(small, 0.0, 1.0) == "settling, 5.0 MiB, first seen 1s ago"
    assert shown(large, 4.0, 7.0) == "still growing, 12.0 MiB, changed 3s ago"
    assert shown(small, 9.0, 9.25) == "still changing, 5.0 MiB, changed 250ms ago"


def entries(item_id: str) -> tuple[Candidate, ...]:
    item = item_of(SPEC, item_id, 0.0)
    return (
        Unsettled(item.id, A, 0.0, 0.0),
        AwaitingMarker(item.id, A, 0.0, 0),
        Submitted(item.id, A, 0),
        Conflict(item, "a and b", 0.0, 0),
    )


def kinds(candidates: Candidates, name: str) -> list[str]:
    tables = ("unsettled", "unmarked", "submitted", "conflicts")
    return [table for table in tables if name in getattr(candidates, table)]


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
def test_a_file_has_one_entry_and_a_new_kind_of_entry_ends_its_claim(before: int, after: int) -> None:
    candidates = Candidates(2.0)
    old, new = entries("f")[before], entries("f")[after]
    assert candidates.put("f", old)
    candidates.claim("f")
    assert candidates.put("f", new)
    assert len(kinds(candidates, "f")) == 1
    waits = not isinstance(new, Conflict)
    assert candidates.is_claimed(new.item_id) == (waits and before == after)
    candidates.claim("f")
    assert candidates.is_claimed(new.item_id) == waits, "a file in conflict claims nothing"
    candidates.forget("f")
    assert (kinds(candidates, "f"), candidates.is_claimed(new.item_id)) == ([], False)


def test_a_claim_is_of_the_file_that_claimed_last() -> None:
    candidates = Candidates(2.0)
    for name in ("a", "b"):
        candidates.put(name, Unsettled("object", A, 0.0, 0.0))
        candidates.claim(name)
    candidates.forget("a")
    assert candidates.claimant("object") == "b"
    candidates.claim("unknown")
    candidates.forget("b")
    assert candidates.claimant("object") is None


def test_a_file_with_another_object_than_before_does_not_claim_the_old_one() -> None:
    candidates = Candidates(0.0)
    for item_id in ("2026-01-01", "2026-01-02"):
        candidates.put("f", AwaitingMarker(item_id, A, 0.0, 1))
        candidates.claim("f")
    assert not candidates.is_claimed("2026-01-01")
    assert candidates.claimant("2026-01-02") == "f"


@pytest.mark.parametrize(("kind", "bound"), [(0, "UNSETTLED"), (1, "UNMARKED"), (3, "CONFLICTS")])
def test_what_finds_no_room_has_no_entry(kind: int, bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"mirrord.folders.candidates.MOST_{bound}", 1)
    candidates = Candidates(2.0)
    assert candidates.put("a", entries("a")[kind])
    candidates.put("b", entries("b")[2])
    assert not candidates.put("b", entries("b")[kind])
    assert candidates.put("a", entries("a")[kind]), "what is known may change"
    assert kinds(candidates, "b") == []


def test_a_date_is_kept_until_the_file_is_done_or_in_conflict() -> None:
    candidates = Candidates(2.0)
    item = item_of(with_fields(SPEC, key="{date}/{path}"), "f", 86400.0)
    for done in (lambda: candidates.forget("f"), lambda: candidates.put("f", entries("f")[3])):
        candidates.submit("f", item, A)
        candidates.put("f", entries("f")[0])
        assert candidates.dates == {"f": 86400.0}
        done()
        assert candidates.dates == {}


def test_a_complete_scan_forgets_what_it_did_not_see_but_unsettled_files() -> None:
    candidates = Candidates(2.0)
    for kind in range(4):
        candidates.put(f"{kind}", entries(f"{kind}")[kind])
    candidates.begin_scan()
    candidates.put("seen", AwaitingMarker("seen", A, 0.0, candidates.scan))
    candidates.forget_unseen()
    assert [name for name in ("0", "1", "2", "3", "seen") if kinds(candidates, name)] == ["0", "seen"]
