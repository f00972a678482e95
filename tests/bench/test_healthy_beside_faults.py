"""How much 12 items whose store calls fail slow the healthy ones beside them: `pytest -s` on this file.

It measures time, so CI leaves it out. Each run is the real command on 12 + 48 items; the number is the median
duration of the healthy items' transfers, with faults against without.
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
WORDS = (internal_error, not_sent, answers(403, "AccessDenied"), answers(503, "ServiceUnavailable"))
WRITES = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")


async def medians(home: Path, proxy: StoreProxy, file: Path) -> tuple[float, int]:
    done = await sync(home, file)
    ended = [line["duration_ms"] for line in events(done, "transfer.completed") if line["key"].startswith("well")]
    assert len(ended) == HEALTHY, done.said
    return statistics.median(ended), len(events(done, "transfer.failed") + events(done, "item.retrying"))


@pytest.mark.parametrize("size", [MiB // 4, 24 * MiB], ids=["256 KiB", "24 MiB"])
async def test_healthy_items_beside_faulty_ones(
    tmp_path: Path, store_proxy: StoreProxy, s3_client: Any, origin: Origin, size: int
) -> None:
    async def fail(seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        if seen.operation not in WRITES or not seen.key.startswith("ill"):
            return None
        word = WORDS[int(seen.key[3:]) % len(WORDS)]
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
            keys = [f"ill{n}" for n in range(FAULTY)] + [f"well{n}" for n in range(HEALTHY)]
            lines = (f"  {origin.publish(f'/{key}', Generated(size, 1))}: s3://{bucket}/{key}\n" for key in keys)
            file = manifest(home, store_proxy.server, "mirrors:\n" + "".join(lines))
            store_proxy.before = faults  # type: ignore[assignment]
            found[bool(faults)] = await medians(home, store_proxy, file)
            s3_client.delete_bucket(Bucket=bucket)
        (ill, failed), (well, _) = found[True], found[False]
        ratios.append(ill / well)
        print(f"\nround {number}: {ill:.0f} ms beside {FAULTY} faulty items ({failed} failures), {well:.0f} ms without")
    print(f"{size} bytes: ratio of medians {statistics.median(ratios):.2f}")
    assert statistics.median(ratios) <= 1.5
