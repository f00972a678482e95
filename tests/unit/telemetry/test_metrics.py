"""Events as metrics: what each one counts, read back from the text that Prometheus scrapes."""

import asyncio
from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mirrord._version import __version__
from mirrord.errors import Problem, Reason
from mirrord.events import (
    FolderRescanned,
    ItemChanged,
    ItemRetrying,
    ManifestLoaded,
    ManifestRejected,
    ManifestRemoved,
    TransferCompleted,
    TransferFailed,
    TransferInterrupted,
    TransferProgress,
    TransferResumed,
    TransferStarted,
)
from mirrord.model import State, TransferKind
from mirrord.telemetry.metrics import MOST_STALE, OTHERS, Metrics, Readings, stalest
from tests.support.scripted_control import copied, item_of

ITEM = item_of("a.bin")
STORE = "default"
SPEC_NAMES = {
    "mirrord_items",
    "mirrord_transfers_total",
    "mirrord_transfer_bytes_total",
    "mirrord_transfer_duration_seconds",
    "mirrord_parts_total",
    "mirrord_retries_total",
    "mirrord_transfers_in_flight",
    "mirrord_buffer_bytes",
    "mirrord_queue_items",
    "mirrord_item_staleness_seconds",
    "mirrord_manifest_valid",
    "mirrord_manifest_reloads_total",
    "mirrord_folder_rescans_total",
    "mirrord_folder_watching",
    "mirrord_folder_up",
    "mirrord_folder_last_scan_timestamp_seconds",
    "mirrord_store_up",
    "mirrord_journal_writable",
    "mirrord_state_disk_free_bytes",
    "mirrord_build_info",
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(
        Readings(
            items=lambda: {State.SYNCED: 3, State.BLOCKED: 1},
            staleness=lambda: {"geo": 12.5},
            stores=lambda: {"default": True, "archive": False},
            folders=lambda: {"inbox": "events", "share": "poll"},
            buffer_bytes=lambda: 4096,
            queue_items=seven,
            folders_up=lambda: {"inbox": True, "share": False},
            folder_scans=lambda: {"inbox": 1_700_000_000.0, "share": 1_700_000_001.5},
            journal_works=lambda: False,
            disk_free=lambda: 123,
        )
    )


async def seven() -> int:
    return 7


def rendered(metrics: Metrics) -> str:
    return asyncio.run(metrics.render()).decode()


def value(metrics: Metrics, name: str, labels: Mapping[str, str] | None = None) -> float | None:
    """The sample as a scrape shows it; None if there is none."""
    for family in text_string_to_metric_families(rendered(metrics)):
        for sample in family.samples:
            if sample.name == name and sample.labels == (labels or {}):
                return sample.value
    return None


def started(transfer_id: str = "t") -> TransferStarted:
    return TransferStarted(item=ITEM, transfer_id=transfer_id, kind=TransferKind.MULTIPART, size=100)


def moved(read: int, sent: int, transfer_id: str = "t") -> TransferProgress:
    return TransferProgress(item=ITEM, transfer_id=transfer_id, bytes_read=read, bytes_sent=sent)


def failed(retry_in: float | None) -> TransferFailed:
    reason = Reason.STORE_UNAVAILABLE
    return TransferFailed(item=ITEM, transfer_id="t", reason=reason, message="503", duration=1.0, retry_in=retry_in)


def test_every_name_of_the_contract_is_exposed_and_none_beside_the_process(metrics: Metrics) -> None:
    described = {line.split()[2] for line in rendered(metrics).splitlines() if line.startswith("# TYPE ")}
    assert {name for name in described if not name.startswith("process_")} == SPEC_NAMES
    assert "_created" not in rendered(metrics)


def test_values_that_are_read_at_the_scrape(metrics: Metrics) -> None:
    assert value(metrics, "mirrord_items", {"state": "Synced"}) == 3
    assert value(metrics, "mirrord_items", {"state": "Retrying"}) == 0
    assert value(metrics, "mirrord_item_staleness_seconds", {"entry": "geo"}) == 12.5
    assert value(metrics, "mirrord_store_up", {"store": "default"}) == 1
    assert value(metrics, "mirrord_store_up", {"store": "archive"}) == 0
    assert value(metrics, "mirrord_buffer_bytes") == 4096
    assert value(metrics, "mirrord_queue_items") == 7
    assert value(metrics, "mirrord_folder_up", {"folder": "inbox"}) == 1
    assert value(metrics, "mirrord_folder_up", {"folder": "share"}) == 0
    assert value(metrics, "mirrord_folder_last_scan_timestamp_seconds", {"folder": "share"}) == 1_700_000_001.5
    assert value(metrics, "mirrord_journal_writable") == 0
    assert value(metrics, "mirrord_state_disk_free_bytes") == 123


def test_running_transfers(metrics: Metrics) -> None:
    labels = [line for line in rendered(metrics).splitlines() if line.startswith("mirrord_build_info{")]
    assert len(labels) == 1
    assert f'version="{__version__}"' in labels[0]


def test_a_transfer_from_start_to_end(metrics: Metrics) -> None:
    metrics(started())
    assert value(metrics, "mirrord_transfers_in_flight") == 1
    metrics(moved(40, 0))
    metrics(moved(100, 64))
    metrics(moved(100, 100))
    done = copied("t", 100, parts=4)
    metrics(TransferCompleted(item=ITEM, transfer_id="t", kind=done.kind, copied=done, duration=2.0))
    assert value(metrics, "mirrord_transfers_in_flight") == 0
    ended = {"store": STORE, "kind": "multipart", "outcome": "completed"}
    assert value(metrics, "mirrord_transfers_total", ended) == 1
    assert value(metrics, "mirrord_transfer_bytes_total", {"store": STORE, "direction": "read"}) == 100
    assert value(metrics, "mirrord_transfer_bytes_total", {"store": STORE, "direction": "sent"}) == 100
    assert value(metrics, "mirrord_transfer_duration_seconds_sum") == 2.0
    assert value(metrics, "mirrord_transfer_duration_seconds_bucket", {"le": "1.0"}) == 0
    assert value(metrics, "mirrord_transfer_duration_seconds_bucket", {"le": "5.0"}) == 1
    assert value(metrics, "mirrord_parts_total", {"outcome": "completed"}) == 4


def test_a_single_put_has_no_parts(metrics: Metrics) -> None:
    done = copied("t", 100)
    metrics(TransferCompleted(item=ITEM, transfer_id="t", kind=done.kind, copied=done, duration=2.0))
    assert value(metrics, "mirrord_parts_total", {"outcome": "completed"}) is None
    for direction in ("read", "sent"):  # without an event for its progress
        assert value(metrics, "mirrord_transfer_bytes_total", {"store": STORE, "direction": direction}) == 100


def test_a_new_attempt_counts_its_bytes_from_zero(metrics: Metrics) -> None:
    metrics(started("one"))
    metrics(moved(60, 50, "one"))
    metrics(started("two"))
    metrics(moved(30, 20, "two"))
    assert value(metrics, "mirrord_transfer_bytes_total", {"store": STORE, "direction": "read"}) == 90
    assert value(metrics, "mirrord_transfer_bytes_total", {"store": STORE, "direction": "sent"}) == 70
    assert value(metrics, "mirrord_transfers_in_flight") == 1


def test_resumed_bytes_are_not_counted_again(metrics: Metrics) -> None:
    metrics(started())
    metrics(TransferResumed(item=ITEM, transfer_id="t", parts=6, bytes=60))
    metrics(moved(70, 60))
    metrics(moved(100, 100))
    assert value(metrics, "mirrord_transfer_bytes_total", {"store": STORE, "direction": "sent"}) == 40
    assert value(metrics, "mirrord_transfer_bytes_total", {"store": STORE, "direction": "read"}) == 40
    assert value(metrics, "mirrord_parts_total", {"outcome": "resumed"}) == 6


def test_a_failure_with_a_retry_and_one_without(metrics: Metrics) -> None:
    metrics(failed(retry_in=3.0))
    metrics(failed(retry_in=None))
    assert value(metrics, "mirrord_retries_total", {"reason": "StoreUnavailable"}) == 1
    ended = {"store": STORE, "kind": "unknown", "outcome": "failed"}
    assert value(metrics, "mirrord_transfers_total", ended) == 2
    assert value(metrics, "mirrord_transfers_in_flight") == 0, "what never started is not counted down"


def test_an_interrupted_transfer(metrics: Metrics) -> None:
    metrics(started())
    metrics(TransferInterrupted(item=ITEM, transfer_id="t", kind=TransferKind.PUT, duration=1.0))
    ended = {"store": STORE, "kind": "put", "outcome": "interrupted"}
    assert value(metrics, "mirrord_transfers_total", ended) == 1
    assert value(metrics, "mirrord_transfers_in_flight") == 0
    assert value(metrics, "mirrord_transfer_duration_seconds_count") == 0


def test_an_attempt_without_an_end_event_does_not_stay_in_flight(metrics: Metrics) -> None:
    metrics(started())
    metrics(ItemChanged(item=ITEM, state=State.TRANSFERRING))
    assert value(metrics, "mirrord_transfers_in_flight") == 1
    metrics(ItemChanged(item=ITEM, state=State.RETRYING))
    assert value(metrics, "mirrord_transfers_in_flight") == 0


def test_manifests(metrics: Metrics) -> None:
    file = {"file": "/etc/mirrord/a.yaml"}
    metrics(ManifestLoaded(file=file["file"], items=2))
    assert value(metrics, "mirrord_manifest_valid", file) == 1
    metrics(ManifestRejected(file=file["file"], problems=(Problem(file["file"], 1, 1, "", "bad"),)))
    assert value(metrics, "mirrord_manifest_valid", file) == 0
    metrics(ManifestRemoved(file=file["file"]))
    assert value(metrics, "mirrord_manifest_valid", file) is None
    for outcome in ("loaded", "rejected", "removed"):
        assert value(metrics, "mirrord_manifest_reloads_total", {"outcome": outcome}) == 1


def test_a_file_name_that_is_not_utf_8_does_not_break_the_scrape(metrics: Metrics) -> None:
    metrics(ManifestLoaded(file="/etc/\udcff\n.yaml", items=0))
    assert value(metrics, "mirrord_manifest_valid", {"file": "/etc/?\n.yaml"}) == 1


def test_scans(metrics: Metrics) -> None:
    for cause in ("start", "timer", "timer"):
        metrics(FolderRescanned(folder="inbox", cause=cause, files=3, complete=True, duration=0.1))
    assert value(metrics, "mirrord_folder_rescans_total", {"folder": "inbox", "cause": "timer"}) == 2


def test_how_folders_are_watched(metrics: Metrics) -> None:
    shown = {
        (folder, mode): value(metrics, "mirrord_folder_watching", {"folder": folder, "mode": mode})
        for folder in ("inbox", "share")
        for mode in ("events", "poll")
    }
    assert [pair for pair, on in shown.items() if on == 1] == [("inbox", "events"), ("share", "poll")]
    assert [pair for pair, on in shown.items() if on == 0] == [("inbox", "poll"), ("share", "events")]


def test_no_label_names_an_item(metrics: Metrics) -> None:
    for key in ("one", "two", "three"):
        metrics(TransferStarted(item=item_of(key), transfer_id=key, kind=TransferKind.PUT, size=1))
        done = copied(key, 1)
        metrics(TransferCompleted(item=item_of(key), transfer_id=key, kind=done.kind, copied=done, duration=0.1))
    text = rendered(metrics)
    assert value(metrics, "mirrord_transfers_total", {"store": STORE, "kind": "put", "outcome": "completed"}) == 3
    assert "three" not in text
    assert item_of("three").id not in text


def test_checks_that_failed_are_counted_by_reason(metrics: Metrics) -> None:
    for reason, times in ((Reason.SOURCE_UNAVAILABLE, 2), (Reason.STORE_UNAVAILABLE, 1)):
        for _ in range(times):
            metrics(ItemRetrying(item=ITEM, reason=reason, message="503", retry_in=1.0))
    assert value(metrics, "mirrord_retries_total", {"reason": "SourceUnavailable"}) == 2
    assert value(metrics, "mirrord_retries_total", {"reason": "StoreUnavailable"}) == 1
    ended = {"store": STORE, "kind": "unknown", "outcome": "failed"}
    assert value(metrics, "mirrord_transfers_total", ended) is None, "no transfer was started"


@pytest.mark.parametrize("entries", [0, 1, MOST_STALE, MOST_STALE + 1, 5_000])
def test_the_stalest_entries_have_series_and_the_others_share_one(entries: int) -> None:
    shown = stalest({f"entry {n}": float(n) for n in range(entries)})
    assert len(shown) == min(entries, MOST_STALE + 1)
    named = {f"entry {n}": float(n) for n in range(entries)[-MOST_STALE:]}
    assert shown == named | ({OTHERS: float(entries - MOST_STALE - 1)} if entries > MOST_STALE else {})
