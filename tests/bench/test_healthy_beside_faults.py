"""Measures how much 12 items with failing store calls slow down 48 healthy items: `pytest -s` on this file.

CI does not run it, because it measures time. Each run is the real command on 12 + 48 items. The result is the ratio of
the median durations of the healthy items' transfers, with and without faults.
"""

import statistics
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mirrord.units import MiB
from tests.support.origin import Generated, Origin
from tests.support.proxy import Seen, StoreProxy
from tests.support.store_faults import answers, internal_error, not_sent
from tests.support.syncing import events, manifest, sync

FAULTY, HEALTHY, ROUNDS = 12, 48, 3
FAULTS = (internal_error, not_sent, answers(403, "AccessDenied"), answers(503, "ServiceUnavailable"))
WRITES = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")


async def medians(home: Path, proxy: StoreProxy, file: Path) -> tuple[float, int]:
    done = await sync(home, file)
    ended = [line["duration_ms"] for line in events(done, "transfer.completed") if line["key"].startswith("healthy")]
    assert len(ended) == HEALTHY, done.output
    return statistics.median(ended), len(events(done, "transfer.failed") + events(done, "item.retrying"))


@pytest.mark.parametrize("size", [MiB // 4, 24 * MiB], ids=["256 KiB", "24 MiB"])
async def test_healthy_items_beside_faulty_ones(
    tmp_path: Path, store_proxy: StoreProxy, s3_client: Any, origin: Origin, size: int
) -> None:
    async def fail(seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        if seen.operation not in WRITES or not seen.key.startswith("faulty"):
            return None
        word = FAULTS[int(seen.key.removeprefix("faulty")) % len(FAULTS)]
        assert word.before is not None
        return await word.before(store_proxy, request)

    ratios = []
    for number in range(ROUNDS):
        found = {}
        for faults in (None, fail) if number % 2 else (fail, None):
            bucket = f"bench-{size}-{number}-{bool(faults):d}"
            s3_client.create_bucket(Bucket=bucket)
            home = tmp_path / bucket
            home.mkdir()
            keys = [f"faulty{n}" for n in range(FAULTY)] + [f"healthy{n}" for n in range(HEALTHY)]
            lines = (f"  {origin.publish(f'/{key}', Generated(size, 1))}: s3://{bucket}/{key}\n" for key in keys)
            file = manifest(home, store_proxy.server, "mirrors:\n" + "".join(lines))
            store_proxy.before = faults  # type: ignore[assignment]
            found[bool(faults)] = await medians(home, store_proxy, file)
            s3_client.delete_bucket(Bucket=bucket)
        (with_faults, failed), (without, _) = found[True], found[False]
        ratios.append(with_faults / without)
        print(f"\nround {number}: {with_faults:.0f} ms with {FAULTY} faulty items ({failed} failures),", end=" ")
        print(f"{without:.0f} ms without")
    print(f"{size} bytes: ratio of medians {statistics.median(ratios):.2f}")
    assert statistics.median(ratios) <= 1.5
