"""The page, and the API that it asks, with a journal of 1,000,000 items in a real daemon and a real browser:
`pytest -s tests/bench/test_page_scale.py`; MIRRORD_BENCH_ITEMS changes the number.

CI does not run it, because it measures time. Nothing is due, so that only the page is measured. `alone` is the first
answer of a kind; the page's own polling goes on for 20 s.
"""

import asyncio
import json
import os
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from mirrord.programs.desired import read
from tests.bench.million import HOUR, NOBODY, fill, manifest, rest, write_list
from tests.bench.scenarios import StoreKind
from tests.bench.servers import store
from tests.support.browser import Browser
from tests.support.daemon import Daemon, running
from tests.support.measuring import mib, report, usage

ITEMS = int(os.environ.get("MIRRORD_BENCH_ITEMS", 1_000_000))
OPEN_FOR = 20.0
"""Seconds."""
SORTS = ("id", "state", "-state", "-since", "since", "object", "-object", "-copied", "copied", "-size", "size")
FILTERS = {
    "state": "sort=state&state=Synced",
    "entry": "sort=state&entry=rows",
    "text": "sort=state&q=" + quote(f"{ITEMS - 1:07}"),
    "text by id": "q=" + quote(f"{ITEMS - 1:07}"),
}
_FIRST_CONTENT = "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
_ROWS = "return document.querySelectorAll('#rows tr').length"


async def asked(daemon: Daemon, query: str) -> tuple[float, str | None]:
    """Milliseconds of the answer, and its cursor."""
    began = time.monotonic()
    status, body = await daemon.ask(f"/api/v1/items?{query}")
    took = 1000 * (time.monotonic() - began)
    assert status == 200, (query, body)
    return round(took, 1), json.loads(body)["cursor"]


async def answers(daemon: Daemon) -> dict[str, float]:
    found = {}
    for sort in SORTS:
        found[sort], cursor = await asked(daemon, f"sort={sort}&limit=50")
        found[f"{sort}, next"], _ = await asked(daemon, f"sort={sort}&limit=50&cursor={cursor}")
    for name, query in FILTERS.items():
        found[name], _ = await asked(daemon, f"{query}&limit=50")
    return found


@pytest.mark.timeout(1800)
async def test_a_million_items(tmp_path: Path, browser: Browser) -> None:
    listed = tmp_path / "urls.txt"
    with store(StoreKind.ECHO) as sink:
        write_list(listed, NOBODY, ITEMS)
        file = manifest(tmp_path, sink.endpoint, listed)
        spec = read([str(file)], {"HOME": str(tmp_path)}).expansion.lists[0]
        await fill(tmp_path, spec, NOBODY, ITEMS, 3 * HOUR)
        async with running(tmp_path, "--memory-limit", "64MiB", str(file), fresh=True) as daemon:
            pid = daemon.process.pid
            await rest(daemon, usage(pid).cpu, time.monotonic(), 600)
            before = usage(pid)
            found = await answers(daemon)
            opened = time.monotonic()
            await browser.open(daemon.url)
            await browser.until("#summary", f"All {ITEMS:,} objects are up to date")
            loaded = time.monotonic() - opened
            first = await browser.run(_FIRST_CONTENT)
            cpu = usage(pid).cpu
            await asyncio.sleep(OPEN_FOR)
            page = {
                "first_content_ms": round(first),
                "whole_s": round(loaded, 1),
                "rows": await browser.run(_ROWS),
                "heap_mib": mib(await browser.run("return performance.memory.usedJSHeapSize")),
                "elements": await browser.run("return document.querySelectorAll('*').length"),
                "daemon_share_of_a_core": round((usage(pid).cpu - cpu) / OPEN_FOR, 3),
            }
            await browser.open(f"{daemon.url}/?sort=-size")
            await browser.until("#rows", "s3://")
            cpu = usage(pid).cpu
            await asyncio.sleep(OPEN_FOR)
            page["daemon_share_by_size"] = round((usage(pid).cpu - cpu) / OPEN_FOR, 3)
            assert await browser.complaints() == []
            after = usage(pid)
    memory = {
        "resident_before_mib": mib(before.resident),
        "resident_mib": mib(after.resident),
        "peak_mib": mib(after.peak),
    }
    report("page-with-a-million-items", {"items": ITEMS, "answer_ms": found, "page": page, **memory})
    assert page["first_content_ms"] < 1000
    assert page["heap_mib"] < 50
