"""A million items from a list: what the start of `run`, an idle daemon and a reload cost.

    python -m tests.bench.million [--items 1000000] [--parts new known reload hour day plan] [--json FILE]

`new`: `run` with a new journal; `known`: with one that has all items, checked a while ago, and then nothing is due.
`reload`: a list of a tenth of the items with one line changed, while /livez is asked all the time. `hour`: an idle
hour, in which nothing is due, by a clock that runs 60 times as fast. `day`: 24 hours, in which a seventh of the items
is due, by a clock that runs 600 times as fast; the sink has no objects of them, so each check copies its bytes again.
`plan`: of items that are all new. The store is the bench's sink; for `day` and `plan` an origin listens. CPU is user
and system seconds of mirrord, of all its threads.
"""

import argparse
import asyncio
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mirrord.declared import ListSpec
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import Outcome, Record, Revision, State
from mirrord.planning.decisions.decide import options_digest
from mirrord.planning.lists.binding import RowBinding
from mirrord.planning.lists.rows import ListRow
from mirrord.programs.desired import read
from mirrord.reconcile.records import with_outcome
from tests.bench.scenarios import StoreKind
from tests.bench.servers import store
from tests.bench.stall import asked
from tests.support.command import mirrord
from tests.support.daemon import Daemon, running, store_section
from tests.support.light_origin import light_origin
from tests.support.measuring import RESULTS, machine, mib, quantile, usage
from tests.support.records import with_fields
from tests.support.weed import Server

ITEMS = 1_000_000
WEEK = 7 * 86400.0
IDLE = 30.0
"""Seconds."""
QUIET, QUIET_FOR = 0.1, 10.0
"""CPU seconds within a second, and seconds."""
IN_A_DIRECTORY = 1_000
HOUR, DAY = 3600.0, 86400.0
FAST, FASTER = 60.0, 600.0
"""How much faster the clock of mirrord runs."""
NOBODY = "http://127.0.0.1:9"
PARTS = {"new": 1.0, "known": 1.0, "reload": 0.1, "hour": 1.0, "day": 1.0, "plan": 1.0}
"""The share of the items that each part has."""
FILLED = {"known": 3 * HOUR, "reload": 3 * HOUR, "hour": 3 * HOUR, "day": 0.0}
"""Parts whose journal has all items, with the seconds until the first of them is due."""


def url_of(origin: str, number: int) -> str:
    return f"{origin}/data/{number // IN_A_DIRECTORY:04}/file-{number:07}.bin"


def write_list(file: Path, origin: str, items: int) -> None:
    write_rows(file, (url_of(origin, number) for number in range(items)))


def write_rows(file: Path, rows: Iterable[str]) -> None:
    made = file.with_name("new")
    with made.open("w") as lines:
        lines.writelines(f"{row}\n" for row in rows)
    past = time.time() - 60  # a list that was written just now would be read once more
    os.utime(made, (past, past))
    made.rename(file)


def change_line(file: Path, number: int, row: str) -> None:
    rows = file.read_text().splitlines()
    rows[number] = row
    write_rows(file, rows)


def manifest(home: Path, endpoint: str, listed: Path, **fields: str) -> Path:
    file = home / "m.yaml"
    options = "".join(f", {name}: {value}" for name, value in fields.items())
    entry = f"- {{list: {listed}, to: 's3://bucket{{path}}', every: 7d, name: rows{options}}}\n"
    file.write_text(f"{store_section(Server(endpoint))}mirrors:\n{entry}")
    return file


def records(spec: ListSpec, origin: str, items: int, now: float, first: float) -> Iterator[Record]:
    """As a pass left them: each with the revision that the origin shows, and its next check spread over the week, from
    `first` seconds on."""
    binding = RowBinding(spec)
    for number in range(items):
        item = binding.item(ListRow(url_of(origin, number)))
        yield with_fields(
            with_outcome(item, None, Outcome(state=State.SYNCED), now),
            next_check=now + first + number / items * (WEEK - first),
            revision=Revision(address=item.origin.fingerprint, etag='"light"', length=6),
            options_digest=options_digest(item.options.object),
            transfer_id="0" * 32,
            etag='"d41d8cd98f00b204e9800998ecf8427e"',
            size=6,
            synced_at=now,
        )


async def fill(home: Path, spec: ListSpec, origin: str, items: int, first: float) -> None:
    """Write the journal that has all items."""
    batch: list[Record] = []
    async with SqliteJournal(home / "state" / "mirrord" / "state.db") as journal:
        for record in records(spec, origin, items, time.time(), first):
            batch.append(record)
            if len(batch) == 5_000:
                await journal.save_all(batch)
                batch = []
        await journal.save_all(batch)


async def rest(daemon: Daemon, before: float, began: float, seconds: float) -> float:
    """Wait until the daemon takes little CPU for some seconds; when that began, in seconds after `began`."""
    quiet, cpu = began, before
    while time.monotonic() - began < seconds:
        await asyncio.sleep(1.0)
        now = usage(daemon.process.pid).cpu
        if now - cpu > QUIET:
            quiet = time.monotonic()
        cpu = now
        if time.monotonic() - quiet >= QUIET_FOR and quiet > began:
            break
    return quiet - began


async def started(home: Path, file: Path, items: int, *, idle: float) -> dict[str, Any]:
    """Start `run`, and wait until the list is read and its items are scheduled; then what an idle daemon takes."""
    took: list[float] = []
    began = time.monotonic()
    async with running(home, "--memory-limit", "64MiB", str(file), fresh=True) as daemon:
        async with asked(daemon, took):
            await daemon.wait_for(lambda: _listed(daemon, items), 600, "the list is read")
            listed = time.monotonic() - began
            scheduled = await rest(daemon, usage(daemon.process.pid).cpu, began, 600)
        used = usage(daemon.process.pid)
        found = {
            "list_read_s": round(listed, 1),
            "scheduled_s": round(scheduled, 1),
            "cpu_s": round(used.cpu, 1),
            "peak_mib": mib(used.peak),
            "resident_mib": mib(used.resident),
            "livez_max_ms": round(max(took) * 1000, 1),
            "livez_p99_ms": round(quantile(took, 0.99) * 1000, 1),
        }
        if idle:
            await asyncio.sleep(idle)
            found["idle_cores"] = round((usage(daemon.process.pid).cpu - used.cpu) / idle, 4)
        return found


async def _listed(daemon: Daemon, items: int) -> bool:
    status = json.loads((await daemon.ask("/api/v1/status"))[1])
    await asyncio.sleep(0.5)
    return bool(status["lists"]) and status["lists"][0]["items"] == items


async def reloaded(home: Path, file: Path, listed: Path, spec: ListSpec, items: int) -> dict[str, Any]:
    """One line of the list changes under a running daemon; until the row's new item is known."""
    took: list[float] = []
    url = "http://127.0.0.1:9/data/new.bin"
    new = RowBinding(spec).item(ListRow(url)).id
    async with running(home, "--memory-limit", "64MiB", str(file), fresh=True) as daemon:
        await daemon.wait_for(lambda: _listed(daemon, items), 600, "the list is read")
        await rest(daemon, usage(daemon.process.pid).cpu, time.monotonic(), 120)
        before = usage(daemon.process.pid).cpu
        async with asked(daemon, took):
            await asyncio.to_thread(change_line, listed, items // 2, url)
            began = time.monotonic()
            await daemon.wait_for(lambda: _has(daemon, new), 120, "the changed row is known")
            seconds = time.monotonic() - began
        cpu = usage(daemon.process.pid).cpu - before
    return {
        "items": items,
        "seconds": round(seconds, 2),
        "cpu_s": round(cpu, 2),
        "livez_max_ms": round(max(took) * 1000, 1),
        "livez_p99_ms": round(quantile(took, 0.99) * 1000, 1),
    }


async def _has(daemon: Daemon, item_id: str) -> bool:
    return (await daemon.ask(f"/api/v1/items/{item_id}"))[0] == 200


async def passed(home: Path, file: Path, items: int, seconds: float, speed: float) -> dict[str, Any]:
    """What this time by mirrord's own clock takes, once the start is done."""
    async with running(home, "--memory-limit", "64MiB", str(file), speed=speed) as daemon:
        await daemon.wait_for(lambda: _listed(daemon, items), 600, "the list is read")
        pid, wall = daemon.process.pid, seconds / speed
        await rest(daemon, usage(pid).cpu, time.monotonic(), 120)
        before = usage(pid).cpu
        await asyncio.sleep(wall)
        cpu = usage(pid).cpu - before
        return {"hours": seconds / HOUR, "cpu_s": round(cpu, 2), "share_of_a_core": round(cpu / seconds, 5)}


async def planned(home: Path, file: Path, items: int) -> dict[str, Any]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = await mirrord("plan", "--memory-limit", "64MiB", str(file), home=home, fresh=True, seconds=7200)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.out.count("\n+ copy ") + done.out.startswith("+ copy ") == items, done.output[-1000:]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(time.monotonic() - began, 1), "cpu_s": round(cpu, 1), "peak_mib": mib(done.peak)}


def prepared(home: Path, listed: Path, items: int, endpoint: str, origin: str) -> Path:
    home.mkdir(parents=True)
    write_list(listed, origin, items)
    return manifest(home, endpoint, listed)


async def measured_part(name: str, home: Path, items: int, endpoint: str, origin: str) -> dict[str, Any]:
    """One of PARTS."""
    listed = home / "urls.txt"
    file = prepared(home, listed, items, endpoint, origin)
    spec = read([str(file)], {"HOME": str(home)}).expansion.lists[0]
    if name in FILLED:
        await fill(home, spec, origin, items, FILLED[name])
    match name:
        case "reload":
            return await reloaded(home, file, listed, spec, items)
        case "hour":
            return await passed(home, file, items, HOUR, FAST)
        case "day":
            return await passed(home, file, items, DAY, FASTER)
        case "plan":
            return await planned(home, file, items)
    return await started(home, file, items, idle=IDLE if name == "known" else 0.0)


async def measured(place: Path, items: int, parts: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"items": items}
    with store(StoreKind.ECHO) as sink:
        for name in PARTS if "all" in parts else parts:
            count = int(items * PARTS[name])
            if name in ("day", "plan"):
                async with light_origin(place) as origin:
                    found[name] = await measured_part(name, place / name, count, sink.endpoint, origin.url)
            else:  # no item is due, or its copy fails
                found[name] = await measured_part(name, place / name, count, sink.endpoint, NOBODY)
            print(name, json.dumps(found[name]), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--parts", nargs="*", default=["all"], choices=["all", *PARTS], help="default: all")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mirrord-bench-", ignore_cleanup_errors=True) as name:
        found = asyncio.run(measured(Path(name), given.items, given.parts))
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    file = given.json or RESULTS / f"million-{when.replace(':', '')}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"when": when, "machine": machine(), **found}, indent=1) + "\n")
    print(file)


if __name__ == "__main__":
    main()
