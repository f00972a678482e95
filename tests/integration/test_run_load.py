"""1,000 URLs at `every: 1s` with the real daemon: no overlapping checks, no drift, and it answers requests meanwhile.

10 seconds, or a minute with MIRRORD_SOAK=1 (`make soak`). Results are printed and kept as JSON. The origin is a
separate process, and its log is the measurement. mirrord checks an object for drift once a minute, so nearly all
checks are one conditional request.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median

import pytest

from mirrord.planning.timing.schedule import jitter
from tests.support.daemon import Daemon, running, store_section
from tests.support.light_origin import LightOrigin, Visit, light_origin
from tests.support.measuring import SOAK, Usage, busy, mib, quantile, report, usage
from tests.support.weed import Server

ITEMS, EVERY = 1000, 1.0
SECONDS = 60 if SOAK else 10
WINDOWS = 3
"""Maximum number of measurements; the first one without late checks is enough."""
FULL_CORE = 0.95
"""From this many cores on the daemon is limited by its one core: the machine is too slow. Not in the long run."""
LATE = dict.fromkeys(range(10, 50), 0.2) | dict.fromkeys(range(10), 1.5)
"""Delay of the origin's answer in seconds, by item; 0 for others. The first ten take longer than their period."""


def manifest(url: str, bucket: str, weed: Server) -> str:
    entries = [
        f"  {url}/{number}{f'?after={LATE[number]}' if number in LATE else ''}: s3://{bucket}/{number}\n"
        for number in range(ITEMS)
    ]
    daemon = "daemon: {transfers: 64, per_host: {connections: 64}}\ndefaults: {every: 1s}\n"
    return store_section(weed) + daemon + "mirrors:\n" + "".join(entries)


async def asked(daemon: Daemon, path: str, pause: float, until: float) -> list[float]:
    """Send requests until the time `until`; the seconds that each answer took."""
    took: list[float] = []
    while (began := time.monotonic()) < until:
        status, _ = await daemon.ask(path)
        assert status == 200
        took.append(time.monotonic() - began)
        await asyncio.sleep(pause)
    return took


def by_item(visits: Sequence[Visit]) -> dict[int, list[Visit]]:
    found: dict[int, list[Visit]] = defaultdict(list)
    for visit in sorted(visits, key=lambda one: one.came):
        found[int(visit.path.removeprefix("/"))].append(visit)
    return found


def deviations(visits: Sequence[Visit]) -> list[float]:
    """Deviation of each check from the item's own grid of times, in seconds."""
    first = visits[0].came
    off = [(one.came - first) - round((one.came - first) / EVERY) * EVERY for one in visits]
    return [one - median(off) for one in off]


def drift(off: Sequence[float]) -> float:
    """Difference of the median deviations of the last and the first third of the checks, in seconds."""
    third = max(1, len(off) // 3)
    return median(off[-third:]) - median(off[:third])


@pytest.mark.alone  # it measures times
async def test_a_thousand_items_each_second(tmp_path: Path, weed: Server, bucket: str) -> None:
    async with light_origin(tmp_path) as origin:
        (tmp_path / "mirrord.yaml").write_text(manifest(origin.url, bucket, weed))
        async with running(tmp_path, str(tmp_path / "mirrord.yaml"), fresh=True) as daemon:
            await daemon.wait_for(lambda: len(daemon.logged("transfer.completed")) == ITEMS, 120, "all copied")
            await asyncio.sleep(2 * EVERY)  # the first checks, all at the same time, are over
            late = [""]
            for _ in range(WINDOWS):
                late = late and await measured(daemon, origin)
            assert set((await daemon.states()).values()) == {"Synced"}
            assert len(daemon.logged("transfer.completed")) == ITEMS, "an item was copied twice"
            assert await daemon.stop() == 0
        assert_no_overlap(by_item(await origin.visits()))
    assert late == [], "late in each of the measurements"


async def measured(daemon: Daemon, origin: LightOrigin) -> list[str]:
    """Measure for SECONDS and report the numbers; the list of late checks, empty if the machine was too busy."""
    began, before, busy_before = time.monotonic(), usage(daemon.process.pid), busy()
    until = began + SECONDS
    livez, metrics = await asyncio.gather(asked(daemon, "/livez", 0.05, until), asked(daemon, "/metrics", 0.25, until))
    ended, after, busy_after = time.monotonic(), usage(daemon.process.pid), busy()
    visits = by_item([one for one in await origin.visits() if began <= one.came < ended])
    numbers = summary(visits, ended - began, before, after)
    numbers |= {"livez_p99_ms": _ms(quantile(livez, 0.99)), "metrics_p99_ms": _ms(quantile(metrics, 0.99))}
    numbers["other_cores"] = round((busy_after - busy_before) / (ended - began) - numbers["cpu_cores"], 2)
    report("run-load", numbers)
    if numbers["other_cores"] > (os.cpu_count() or 1) - 1 or (numbers["cpu_cores"] > FULL_CORE and not SOAK):
        print("the machine is too busy or too slow: the times of the checks do not show the schedule")
        return []
    slow = [f"{name}: {numbers[name]}" for name in ("livez_p99_ms", "metrics_p99_ms") if numbers[name] > 200]
    return [*off_the_grid(visits, ended - began, numbers), *slow]


def summary(visits: Mapping[int, list[Visit]], seconds: float, before: Usage, after: Usage) -> dict[str, float]:
    off = {number: deviations(checks) for number, checks in visits.items() if number not in LATE}
    beside = [abs(one) for each in off.values() for one in each]
    drifts = [drift(each) for each in off.values()]
    return {
        "items": ITEMS,
        "seconds": round(seconds, 1),
        "checks_per_s": round(sum(map(len, visits.values())) / seconds, 1),
        "cpu_cores": round((after.cpu - before.cpu) / seconds, 3),
        "rss_mib": mib(after.resident),
        "peak_rss_mib": mib(after.peak),
        "off_grid_p50_ms": _ms(quantile(beside, 0.5)),
        "off_grid_p99_ms": _ms(quantile(beside, 0.99)),
        "drift_mean_ms": _ms(fmean(drifts)),
        "drift_p99_ms": _ms(quantile([abs(one) for one in drifts], 0.99)),
    }


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


def assert_no_overlap(visits: Mapping[int, list[Visit]]) -> None:
    """Assert that no check of an item starts before the end of its previous check."""
    for number, checks in visits.items():
        assert all(first.answered <= second.came for first, second in pairwise(checks)), number


def off_the_grid(visits: Mapping[int, list[Visit]], seconds: float, numbers: Mapping[str, float]) -> Iterator[str]:
    """Errors of the schedule: checks must be on their ticks, without drift; a slow check waits for the next tick."""
    most = 1000 * jitter(EVERY)
    quick = sum(len(checks) for number, checks in visits.items() if number not in LATE)
    if quick < 0.95 * (ITEMS - len(LATE)) * (seconds / EVERY - 1):
        yield f"ticks were missed: {quick} checks in {seconds} s"
    if max(len(checks) for checks in visits.values()) > seconds / EVERY + 2:
        yield "an item was checked more often than its ticks"
    if abs(numbers["drift_mean_ms"]) > most / 2:
        yield f"the schedule drifts by {numbers['drift_mean_ms']} ms"
    if numbers["drift_p99_ms"] > 2 * most:  # two checks differ by at most twice the jitter
        yield f"some schedules drift by {numbers['drift_p99_ms']} ms"
    for number in (number for number, after in LATE.items() if after > EVERY):
        gaps = [second.came - first.came for first, second in pairwise(visits[number])]
        if abs(median(gaps) - 2 * EVERY) > 4 * jitter(EVERY):
            yield f"item {number}, slower than its period, was checked every {median(gaps)} s"
