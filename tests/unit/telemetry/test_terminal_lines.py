"""What a command says at a terminal: problems, each once; with verbose a short line for each item."""

import pytest

from mirrord.errors import Problem, Reason
from mirrord.events import (
    Event,
    FolderRescanned,
    ItemBlocked,
    ItemChanged,
    ItemPruned,
    ItemRetrying,
    ItemUnchanged,
    ManifestRejected,
    TransferCompleted,
    TransferFailed,
    TransferStarted,
)
from mirrord.model import Copied, Destination, Integrity, Item, Revision, State, TransferKind, origin_at
from mirrord.telemetry.terminal import TerminalObserver

AT = Destination("default", "http://s", "data", "a\tb.csv")
ITEM = Item(id=AT.item_id, entry="e", origin=origin_at("https://u:secret@h/a?sig=1"), destination=AT)
COPIED = Copied(
    transfer_id="t",
    revision=Revision(address="x"),
    kind=TransferKind.PUT,
    size=2048,
    parts=1,
    etag='"e"',
    checksum=None,
    integrity=Integrity.FULL_OBJECT,
)


def failed(message: str = "answered 500", retry_in: float | None = 2.0) -> TransferFailed:
    return TransferFailed(
        item=ITEM, transfer_id="t", reason=Reason.SOURCE_UNAVAILABLE, message=message, duration=1.0, retry_in=retry_in
    )


def lines(*events: Event, verbose: bool = False) -> list[str]:
    said: list[str] = []
    observer = TerminalObserver(said.append, verbose=verbose)
    for event in events:
        observer(event)
    return said


COMPLETED = TransferCompleted(item=ITEM, transfer_id="t", copied=COPIED, duration=1.0)


@pytest.mark.parametrize(
    ("event", "quiet", "verbose"),
    [
        (COMPLETED, [], ["copied s3://data/a b.csv (2.0 KiB)"]),
        (ItemUnchanged(item=ITEM), [], ["unchanged s3://data/a b.csv"]),
        (ItemPruned(item=ITEM, message="its file is gone"), [], ["deleted s3://data/a b.csv"]),
        (TransferStarted(item=ITEM, transfer_id="t"), [], []),
        (ItemChanged(item=ITEM, state=State.SYNCED), [], []),
        (failed(), ["failed s3://data/a b.csv: answered 500; next try in 2s"], None),
        (
            ItemRetrying(item=ITEM, reason=Reason.SOURCE_UNAVAILABLE, message="refused", retry_in=0.2),
            ["failed s3://data/a b.csv: refused; next try in 1s"],
            None,
        ),
        (failed(retry_in=None), ["failed s3://data/a b.csv: answered 500"], None),
        (
            ItemBlocked(item=ITEM, reason=Reason.SOURCE_MISSING, message="answered 404"),
            ["blocked s3://data/a b.csv: answered 404"],
            None,
        ),
        (ManifestRejected(file="m", problems=(Problem("m", 1, 2, "x", "bad"),)), ["invalid m:1:2: x: bad"], None),
        (FolderRescanned(folder="in", cause="sync", files=1, complete=True, duration=0.1), [], []),
    ],
)
def test_each_event_has_its_line(event: Event, quiet: list[str], verbose: list[str] | None) -> None:
    assert lines(event) == quiet
    assert lines(event, verbose=True) == (quiet if verbose is None else verbose)


def test_a_problem_is_said_once_until_it_changes_or_passes() -> None:
    assert len(lines(failed(), failed(), failed())) == 1
    assert len(lines(failed(), failed("answered 502"))) == 2
    assert len(lines(failed(), COMPLETED, failed())) == 2
