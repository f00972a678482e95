"""Progress on a terminal of known width, with a clock that the test turns."""

import sys
from io import StringIO

import pytest
from rich.console import Console

from mirrord.errors import Reason
from mirrord.events import (
    FolderRescanned,
    ItemBlocked,
    ItemUnchanged,
    ManifestLoaded,
    TransferCompleted,
    TransferFailed,
    TransferInterrupted,
    TransferProgress,
    TransferResumed,
    TransferStarted,
)
from mirrord.model import Copied, Destination, Integrity, Item, Revision, TransferKind, origin_at
from mirrord.telemetry.progress import BARS, Moving, ProgressObserver, Rate, RunTotals, remaining
from mirrord.units import MiB


class Clock:
    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def screen() -> StringIO:
    return StringIO()


@pytest.fixture
def progress(screen: StringIO, clock: Clock) -> ProgressObserver:
    console = Console(file=screen, force_terminal=True, width=100, color_system=None, _environ={})
    return ProgressObserver(console, total=3, clock=clock)


def item(key: str = "geo/city.mmdb") -> Item:
    at = Destination(store="s", endpoint="e", bucket="b", key=key)
    return Item(id=at.item_id, entry=key, origin=origin_at("https://u:p@example.org/x?token=secret"), destination=at)


def started(key: str = "geo/city.mmdb", size: int | None = 100 * MiB) -> TransferStarted:
    return TransferStarted(item=item(key), transfer_id=key, size=size)


def moved(sent: int, key: str = "geo/city.mmdb", size: int | None = 100 * MiB) -> TransferProgress:
    return TransferProgress(item=item(key), transfer_id=key, bytes_read=sent, bytes_sent=sent, size=size)


def completed(size: int, key: str = "geo/city.mmdb") -> TransferCompleted:
    copied = Copied(
        transfer_id=key,
        revision=Revision(address="a"),
        kind=TransferKind.PUT,
        size=size,
        parts=1,
        etag="e",
        checksum=None,
        integrity=Integrity.MD5,
    )
    return TransferCompleted(item=item(key), transfer_id=key, copied=copied, duration=1.0)


def failed(key: str = "geo/city.mmdb", retry_in: float | None = None) -> TransferFailed:
    return TransferFailed(
        item=item(key), transfer_id=key, reason=Reason.SOURCE_MISSING, message="404", duration=1.0, retry_in=retry_in
    )


def drawn(screen: StringIO) -> str:
    return screen.getvalue()


def test_a_transfer_shows_its_bytes_rate_and_eta(progress: ProgressObserver, screen: StringIO, clock: Clock) -> None:
    with progress:
        progress(started())
        clock.time += 2
        progress(moved(20 * MiB))
        frame = drawn(screen)
    assert "geo/city.mmdb" in frame
    assert "20.0 MiB/100.0 MiB" in frame
    assert "10.0 MiB/s ETA 8s" in frame
    assert "0/3 items" in frame


def test_a_resumed_transfer_begins_where_the_earlier_one_ended(
    progress: ProgressObserver, screen: StringIO, clock: Clock
) -> None:
    with progress:
        progress(started())
        progress(TransferResumed(item=item(), transfer_id="geo/city.mmdb", parts=8, bytes=60 * MiB))
        clock.time += 2
        progress(moved(80 * MiB))
        frame = drawn(screen)
    assert "80.0 MiB/100.0 MiB" in frame
    assert "10.0 MiB/s ETA 2s" in frame


def test_the_whole_run_counts_what_is_copied_unchanged_and_failed(
    progress: ProgressObserver, screen: StringIO, clock: Clock
) -> None:
    with progress:
        for key in ("a", "b"):
            progress(started(key, MiB))
            progress(completed(MiB, key))
        progress(ItemUnchanged(item=item("c")))
        progress(failed("d"))
        progress(ItemBlocked(item=item("d"), reason=Reason.SOURCE_MISSING, message="404"))
        progress(ItemBlocked(item=item("e"), reason=Reason.SOURCE_DENIED, message="403"))
        progress(failed("f", retry_in=3.0))
        progress(TransferInterrupted(item=item("g"), transfer_id="g", duration=1.0))
        clock.time += 5
    assert "5/5 items" in drawn(screen)
    assert "2.0 MiB" in drawn(screen)


@pytest.mark.parametrize(("total", "expected"), [(None, "1/14 items"), (20, "1/20 items")])
def test_how_many_there_are_is_told_or_counted_as_they_are_found(
    screen: StringIO, clock: Clock, total: int | None, expected: str
) -> None:
    console = Console(file=screen, force_terminal=True, width=100, color_system=None, _environ={})
    with ProgressObserver(console, total=total, clock=clock) as progress:
        progress(ManifestLoaded(file="a.yaml", items=3))
        progress(ManifestLoaded(file="b.yaml", items=4))
        progress(FolderRescanned(folder="in", cause="sync", files=7, complete=True, duration=1.0))
        progress(ItemUnchanged(item=item()))
    assert expected in drawn(screen)


def test_a_run_of_unknown_length_shows_only_what_is_done(screen: StringIO, clock: Clock) -> None:
    console = Console(file=screen, force_terminal=True, width=100, color_system=None, _environ={})
    with ProgressObserver(console, clock=clock) as progress:
        progress(ItemUnchanged(item=item()))
    assert "1 items" in drawn(screen)
    assert "1/" not in drawn(screen)


def test_bytes_of_an_attempt_that_is_repeated_are_counted_as_moved(
    progress: ProgressObserver, screen: StringIO, clock: Clock
) -> None:
    with progress:
        progress(started(size=8 * MiB))
        progress(moved(4 * MiB, size=8 * MiB))
        progress(failed(retry_in=1.0))
        progress(started(size=8 * MiB))
        progress(completed(8 * MiB))
        clock.time += 1
    assert "12.0 MiB" in drawn(screen)
    assert "1/3 items" in drawn(screen)


def test_only_so_many_bars_stand_at_a_time(progress: ProgressObserver, screen: StringIO, clock: Clock) -> None:
    with progress:
        for number in range(BARS + 3):
            progress(started(f"key-{number:02}"))
        clock.time += 1
        progress(moved(MiB, "key-00"))
        frame = drawn(screen)
    assert f"key-{BARS - 1:02}" in frame
    assert f"key-{BARS:02}" not in frame
    assert "3 more running" in frame


def test_a_bar_that_ends_makes_room_for_the_next(progress: ProgressObserver, screen: StringIO, clock: Clock) -> None:
    with progress:
        for number in range(BARS + 1):
            progress(started(f"key-{number:02}"))
        clock.time += 1
        progress(completed(MiB, "key-00"))
        screen.truncate(0)
        clock.time += 1
        progress(moved(MiB, "key-01"))
        frame = drawn(screen)
    assert f"key-{BARS:02}" in frame
    assert "key-00" not in frame


def test_short_transfers_get_no_bar(progress: ProgressObserver, screen: StringIO, clock: Clock) -> None:
    with progress:
        for number in range(50):
            progress(started(f"key-{number}", 10))
            clock.time += 0.05
            progress(completed(10, f"key-{number}"))
    assert "key-" not in drawn(screen)
    assert "50/50 items" in drawn(screen)


def test_redraws_are_bounded_by_the_clock(progress: ProgressObserver, screen: StringIO, clock: Clock) -> None:
    with progress:
        progress(started())
        clock.time += 1
        progress(moved(MiB))
        before = len(drawn(screen))
        for sent in range(1_000):
            progress(moved(MiB + sent))
        assert len(drawn(screen)) == before
        clock.time += 1
        progress(moved(2 * MiB))
        assert len(drawn(screen)) > before


def test_a_size_that_nobody_knows_shows_no_eta(progress: ProgressObserver, screen: StringIO, clock: Clock) -> None:
    with progress:
        progress(started(size=None))
        clock.time += 1
        progress(moved(MiB, size=None))
        frame = drawn(screen)
    assert "1.0 MiB/s ETA –" in frame
    assert "ETA 0" not in frame


def test_a_log_line_appears_whole_among_the_bars(
    progress: ProgressObserver, screen: StringIO, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", StringIO())
    with progress:
        progress(started())
        clock.time += 1
        progress(moved(MiB))
        print("a log line", file=sys.stderr)
        after = drawn(screen).rpartition("a log line")[2]
    assert after.startswith("\n") or after.lstrip(" ").startswith("\n")
    assert "geo/city.mmdb" in after, "the bars stand below it again"


def test_markup_and_escapes_in_a_key_are_only_text(progress: ProgressObserver, screen: StringIO, clock: Clock) -> None:
    with progress:
        progress(started("[red]a[/red]\x1b[2Jb\nc"))
        clock.time += 1
        progress(moved(MiB, "[red]a[/red]\x1b[2Jb\nc"))
        frame = drawn(screen)
    assert "[red]a[/red]\ufffd[2Jb c" in frame
    assert "\x1b[2J" not in frame


def test_no_secret_is_drawn(progress: ProgressObserver, screen: StringIO, clock: Clock) -> None:
    with progress:
        progress(started())
        clock.time += 1
        progress(moved(MiB))
    assert "secret" not in drawn(screen)


def test_without_a_terminal_nothing_is_written(clock: Clock) -> None:
    file = StringIO()
    with ProgressObserver(Console(file=file), total=1, clock=clock) as progress:
        progress(started())
        clock.time += 1
        progress(moved(MiB))
        progress(completed(100 * MiB))
    assert file.getvalue() == ""


def test_events_outside_the_context_are_ignored(progress: ProgressObserver, screen: StringIO) -> None:
    progress(started())
    with progress:
        pass
    progress(completed(1))
    assert "1/3" not in drawn(screen)


# ── the arithmetic ────────────────────────────────────────────────────────────────────────────────
def test_a_rate_forgets_what_is_long_past() -> None:
    rate = Rate(0.0)
    assert rate.at(0.0, 0) == 0.0
    assert rate.at(2.0, 200) == 100.0
    for second in range(3, 30):
        slow = rate.at(float(second), 200 + second)
    assert slow == pytest.approx(1.0)


def running(size: int | None, sent: int) -> Moving:
    return Moving("k", 0.0, Rate(0.0), size, sent)


@pytest.mark.parametrize(
    ("totals", "transfers", "elapsed", "rate", "expected"),
    [
        pytest.param(RunTotals(10, 0), [], 5.0, 0.0, None, id="nothing done yet"),
        pytest.param(RunTotals(10, 5), [], 5.0, 0.0, 5.0, id="items at their pace"),
        pytest.param(RunTotals(1, 0), [running(100, 40)], 5.0, 20.0, 3.0, id="one transfer: its bytes"),
        pytest.param(RunTotals(10, 5), [running(1000, 0)], 5.0, 10.0, 100.0, id="the longer of both"),
        pytest.param(RunTotals(1, 0), [running(None, 40)], 5.0, 20.0, None, id="unknown size"),
        pytest.param(RunTotals(1, 0), [running(100, 40)], 5.0, 0.0, None, id="nothing moves"),
        pytest.param(RunTotals(3, 3), [], 5.0, 0.0, 0.0, id="the end"),
    ],
)
def test_what_remains(
    totals: RunTotals, transfers: list[Moving], elapsed: float, rate: float, expected: float | None
) -> None:
    assert remaining(totals, transfers, elapsed, rate) == expected
