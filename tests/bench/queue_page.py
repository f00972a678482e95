"""Writes a result of `make bench ARGS=queues` into docs/queue.md: `python -m tests.bench.queue_page RESULT.json …`.

Only the text between the two markers changes; of several results, each scenario is that of the last one that has it.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.docs import filled
from tests.bench.queues import QUEUES
from tests.bench.tools import REPOSITORY

PAGE = REPOSITORY / "docs" / "queue.md"
_NO = "–"
Show = Callable[[Mapping[str, Any]], str]


def _number(key: str, digits: int = 0) -> Show:
    return lambda one: f"{one[key]:,.{digits}f}"


def _cpu(one: Mapping[str, Any]) -> str:
    return f"{one['client_us']:,.0f} + {one['server_us']:,.0f}"


def _percents(one: Mapping[str, Any]) -> str:
    return f"{one['client_percent']:.2f} + {one['server_percent']:.2f}"


def _times(one: Mapping[str, Any]) -> str:
    return f"{one['p50_ms']:.1f}, {one['p90_ms']:.1f}, {one['longest_ms']:.1f}"


def _fetched(queued: int) -> Show:
    return lambda one: f"{one[f'{queued}_ms']:.2f}, {one[f'{queued}_server_us']:,.0f}"


def _work(workers: int, batch: int) -> Iterator[tuple[str, str, str, Show]]:
    scenario, claim = f"work-{workers}", f", {batch} a claim"
    what = f"work, {workers} worker{'s'[: workers - 1]}, {batch} a claim"
    yield f"{what}: jobs/s", scenario, claim, _number("jobs_s")
    yield "… CPU µs a ticket, client + server", scenario, claim, _cpu
    yield "… CPU µs a small object, 200 in a ticket", scenario, claim, _number("item_us", 1)


ROWS: Sequence[tuple[str, str, str, Show]] = (
    ("enqueue, 500 a batch: tickets/s", "enqueue", "", _number("tickets_s")),
    ("… CPU µs a ticket, client + server", "enqueue", "", _cpu),
    *(row for workers in (1, 2) for batch in (1, 10) for row in _work(workers, batch)),
    *(
        (f"fetch, {queued:,} queued: ms, and CPU µs of the server", "fetch", "", _fetched(queued))
        for queued in (1_000, 10_000, 100_000)
    ),
    ("idle with LISTEN: statements/s", "idle-listen", "", _number("queries_s", 2)),
    ("… CPU % of a core, client + server", "idle-listen", "", _percents),
    ("idle, a claim a second: statements/s", "idle-poll", "", _number("queries_s", 2)),
    ("… CPU % of a core, client + server", "idle-poll", "", _percents),
    ("a new ticket begins, LISTEN: ms, p50, p90, longest", "latency-listen", "", _times),
    ("a new ticket begins, a claim a second: ms, p50, p90, longest", "latency-poll", "", _times),
    ("ticket of a killed worker begins elsewhere after, s", "take-over", "", _number("of_killed_s", 1)),
    ("ticket of a paused worker begins elsewhere after, s", "take-over", "", _number("of_paused_s", 1)),
    ("late finish of the paused worker", "take-over", "", lambda one: str(one["late_finish"])),
    ("finished tickets: number", "leftovers", "", _number("tickets")),
    ("… rows left, dead tuples left", "leftovers", "", lambda one: f"{one['rows']:,}, {one['dead']:,}"),
    ("… runs of autovacuum, MiB of all tables", "leftovers", "", lambda one: f"{one['vacuums']}, {one['mib']:.1f}"),
    ("… seconds, CPU µs a ticket", "leftovers", "", lambda one: f"{one['seconds']:.0f}, {one['cpu_us']:,.0f}"),
)


def table(found: Mapping[str, Any]) -> str:
    """One row a figure; a candidate or scenario that was not measured has a dash."""
    lines = [["measured", "own SQL", *QUEUES[1:]], ["---"] * (len(QUEUES) + 1)]
    for label, scenario, suffix, show in ROWS:
        by_name = found["scenarios"].get(scenario, {"queues": {}})["queues"]
        cells = [by_name.get(f"{queue}{suffix}") for queue in QUEUES]
        lines.append([label, *(show(one) if one else _NO for one in cells)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def page(document: Mapping[str, Any]) -> str:
    """The part of docs/queue.md that a result fills: date, machine, versions, load, table."""
    found = document["queues"]
    facts = ", ".join(f"{name} {value}" for name, value in document["machine"].items() if name != "load")
    loads = [one["load"] for one in found["scenarios"].values()]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    rounds = f"Load averages of {min(loads)} to {max(loads)}; medians of {found['rounds']} rounds."
    return f"{document['when']}: {facts}. PostgreSQL {found['server']}, {versions}. {rounds}\n\n{table(found)}"


def main() -> None:
    documents = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    last = documents[-1]
    scenarios = {name: one for each in documents for name, one in each["queues"]["scenarios"].items()}
    last["queues"]["scenarios"] = scenarios
    PAGE.write_text(filled(PAGE.read_text(), page(last)))


if __name__ == "__main__":
    main()
