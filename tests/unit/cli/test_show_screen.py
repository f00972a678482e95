"""`show.screen`: what a terminal of so many rows shows of a status, and in which order."""

import pytest

from mirrord.cli.show.overview import Overview
from mirrord.cli.show.screen import KEYS, fitted, screen
from mirrord.cli.show.status import StatusSection
from mirrord.errors import Reason
from mirrord.model import State
from mirrord.status import ItemStatus, Progress, ProxyStatus, ReceiverStatus, Status
from mirrord.units import MiB

NOW = 1_000_000.0


def progress(key: str, sent: int = MiB) -> Progress:
    return Progress(
        item_id=key, transfer_id=key, entry="e", destination=f"s3://b/{key}", kind=None, attempt=1, started=NOW,
        bytes_read=sent, bytes_sent=sent, size=3 * MiB, rate=MiB / 2,
    )  # fmt: skip


def left(key: str, state: State) -> ItemStatus:
    return ItemStatus(
        id=key, entry="e", source="s", destination=f"s3://b/{key}", store="d", state=state, reason=Reason.CONFLICT
    )


def overview(*items: ItemStatus, running: int = 2, **more: object) -> Overview:
    totals = {State.BLOCKED: len(items)}
    moving = tuple(progress(f"run{number}") for number in range(running))
    status = Status(version="1", pid=7, started=NOW - 60, totals=totals, running=moving, **more)  # type: ignore[arg-type]
    return Overview(status=status, left=items, url="http://h:1")


def texts(shown: Overview, rows: int = 40, note: str = "") -> list[str]:
    return [one.text for one in screen(shown, NOW, rows, note)]


def titles(shown: Overview) -> list[str]:
    return [text for text in texts(shown) if text.endswith(":") and not text.startswith(" ")]


def test_the_rate_and_the_rest_of_all_transfers_are_summed_up() -> None:
    assert texts(overview())[:3] == [
        "mirrord 1 (pid 7) at http://h:1, up 1m00s, ready",
        "items: none",
        "transfers: 2 running at 1.0 MiB/s, 4.0 MiB left, about 4s",
    ]


@pytest.mark.parametrize(
    ("more", "order"),
    [
        ({}, ["running:"]),
        ({"stores": {"dark": False}}, ["stores:", "running:"]),
        ({"stale": ("s3://b/k",), "learned": ("x",)}, ["stale:", "running:", "stores that do otherwise than asked:"]),
        ({"proxies": (ProxyStatus(proxy="p", used_by="sources"),)}, ["running:", "proxies:"]),
        ({"proxies": (ProxyStatus(proxy="p", used_by="sources", problem="down"),)}, ["proxies:", "running:"]),
        (
            {"receivers": (ReceiverStatus(id="i", name="n", kind="webhook", waiting=1),)},
            ["running:", "webhooks and heartbeats:"],
        ),
        (
            {"receivers": (ReceiverStatus(id="i", name="n", kind="webhook", problem="refused"),)},
            ["webhooks and heartbeats:", "running:"],
        ),
    ],
)
def test_problems_come_first(more: dict[str, object], order: list[str]) -> None:
    assert titles(overview(**more)) == order


def test_items_that_only_wait_are_no_problem() -> None:
    assert titles(overview(left("a", State.WAITING))) == ["running:", "not in sync:"]
    assert titles(overview(left("a", State.WAITING), left("b", State.RETRYING))) == ["not in sync:", "running:"]


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 13, 24, 100])
def test_it_has_exactly_the_rows_of_the_terminal_and_the_keys_last(rows: int) -> None:
    many = [left(f"k{number}", State.BLOCKED) for number in range(30)]
    shown = texts(overview(*many, running=50, stores={"dark": False}), rows, "not up to date: gone")
    assert len(shown) == rows
    assert shown[-1] == KEYS
    assert rows == 1 or shown[0] == "not up to date: gone"
    assert rows < 13 or "  dark: the last call was not answered" in shown


@pytest.mark.parametrize(
    ("sizes", "rows", "kept"),
    [
        ([2, 2], 6, [2, 2]),
        ([2, 2], 5, [2, 1]),
        ([9, 1], 6, [3, 1]),
        ([1, 9], 6, [1, 3]),
        ([3, 3], 4, [1, 1]),
        ([3, 3], 3, [1]),
        ([3, 3], 1, []),
        ([], 0, []),
    ],
)
def test_the_longest_section_is_shortened_first_and_the_last_is_left_out(
    sizes: list[int], rows: int, kept: list[int]
) -> None:
    wanted = [StatusSection(f"s{number}", [str(line) for line in range(size)]) for number, size in enumerate(sizes)]
    found = fitted(wanted, rows)
    assert [len(one.lines) for one in found] == kept
    for before, after in zip(wanted, found, strict=False):
        hidden = len(before.lines) - len(after.lines)
        assert after.lines[-1] == (f"({hidden + 1} more lines)" if hidden else before.lines[-1])
