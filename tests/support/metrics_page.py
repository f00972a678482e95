"""The table of docs/metrics.md: names, types, labels and meanings from the code's registry, and a query of each metric.

A metric without a query here makes `table` fail, and so does a query of a metric that the code does not have.
"""

from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import Metric

from mirrord.telemetry.metrics import Metrics, Readings

QUERIES = {
    "mirrord_items": 'sum(mirrord_items{state!="Synced"})',
    "mirrord_transfers_total": "sum by (store, outcome) (rate(mirrord_transfers_total[5m]))",
    "mirrord_transfer_bytes_total": 'sum by (store) (rate(mirrord_transfer_bytes_total{direction="sent"}[5m]))',
    "mirrord_transfer_duration_seconds": (
        "histogram_quantile(0.99, sum by (le) (rate(mirrord_transfer_duration_seconds_bucket[5m])))"
    ),
    "mirrord_parts_total": "sum by (outcome) (increase(mirrord_parts_total[1d]))",
    "mirrord_retries_total": "topk(3, sum by (reason) (rate(mirrord_retries_total[15m])))",
    "mirrord_transfers_in_flight": "mirrord_transfers_in_flight",
    "mirrord_buffer_bytes": "max_over_time(mirrord_buffer_bytes[1h])",
    "mirrord_queue_items": "mirrord_queue_items > 0",
    "mirrord_item_staleness_seconds": "topk(10, mirrord_item_staleness_seconds)",
    "mirrord_manifest_valid": "mirrord_manifest_valid == 0",
    "mirrord_manifest_reloads_total": "sum by (outcome) (increase(mirrord_manifest_reloads_total[1d]))",
    "mirrord_folder_rescans_total": "sum by (folder) (increase(mirrord_folder_rescans_total[1h]))",
    "mirrord_folder_watching": 'mirrord_folder_watching{mode="poll"} == 1',
    "mirrord_folder_up": "mirrord_folder_up == 0",
    "mirrord_folder_last_scan_timestamp_seconds": "time() - mirrord_folder_last_scan_timestamp_seconds",
    "mirrord_store_up": "mirrord_store_up == 0",
    "mirrord_journal_writable": "mirrord_journal_writable == 0",
    "mirrord_state_disk_free_bytes": "predict_linear(mirrord_state_disk_free_bytes[6h], 86400) < 0",
    "mirrord_build_info": "count by (version) (mirrord_build_info)",
}
UNITS = {"seconds": "seconds", "bytes": "bytes"}


async def _none() -> int:
    return 0


def labels_of() -> Mapping[str, tuple[str, ...]]:
    """The labels of each metric, by the name of the metric; counters with `_total`. Without those of the process."""
    return {name: labels for name, (_, labels) in _families().items()}


def _families() -> dict[str, tuple[Metric, tuple[str, ...]]]:
    readings = Readings(
        items=dict, staleness=dict, stores=dict, folders=dict, buffer_bytes=lambda: 0, queue_items=_none
    )
    registry = Metrics(readings).registry
    found = {}
    for collector in registry._collector_to_names:
        for family in collector.collect():
            labels = getattr(family, "_labelnames", None) or getattr(collector, "_labelnames", ())
            name = f"{family.name}_total" if family.type == "counter" else family.name
            if name.startswith("mirrord_"):
                found[name] = (family, tuple(labels))
    return found


def _unit(name: str) -> str:
    return next((UNITS[word] for word in name.removesuffix("_total").split("_")[-1:] if word in UNITS), "")


def _rows(found: Mapping[str, tuple[Metric, tuple[str, ...]]]) -> Iterator[str]:
    for name, query in QUERIES.items():
        family, labels = found[name]
        shown = ", ".join(f"`{label}`" for label in labels)
        text = query.replace("|", "\\|")
        yield f"| `{name}` | {family.type} | {shown} | {_unit(name)} | {family.documentation} | `{text}` |"


def rows() -> list[str]:
    """The table, in the order of `QUERIES`."""
    found = _families()
    assert found.keys() == QUERIES.keys(), f"a query for each metric: {found.keys() ^ QUERIES.keys()}"
    return ["| metric | type | labels | unit | meaning | typical query |", "|---|---|---|---|---|---|", *_rows(found)]
