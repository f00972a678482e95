"""Guarantee 8 for objects larger than the disk of a test machine: generated source, store that keeps no data."""

import json
import os
from pathlib import Path

import pytest

from mirrord.units import GiB, MiB
from tests.support.command import mirrord
from tests.support.discarding import Discarding
from tests.support.origin import Generated, Origin, chunked

SIZE = (100 if os.environ.get("MIRRORD_SOAK") else 2) * GiB
LIMIT = 64 * MiB
BOUND = LIMIT + 160 * MiB


def manifest(home: Path, store: Discarding, url: str) -> str:
    keys = json.dumps({"access_key_id": "a", "secret_access_key": "b"})
    where = f"provider: seaweedfs, endpoint_url: '{store.server.endpoint_url}', credentials: {keys}"
    file = home / "m.yaml"
    file.write_text(
        f"daemon: {{memory_limit: 64MiB}}\nstores:\n  default: {{{where}}}\nmirrors:\n  {url}: s3://bucket/large\n"
    )
    return str(file)


@pytest.mark.timeout(7200 if os.environ.get("MIRRORD_SOAK") else 300)
@pytest.mark.parametrize("says_length", [True, False], ids=["length known", "length unknown"])
async def test_a_large_object_takes_no_more_memory_than_it_may(
    tmp_path: Path, discarding: Discarding, origin: Origin, says_length: bool
) -> None:
    size = SIZE if says_length else SIZE // 4
    url = origin.publish("/large.bin", Generated(size, seed=1))
    if not says_length:
        origin.behave("/large.bin", chunked())
    done = await mirrord("sync", manifest(tmp_path, discarding, url), home=tmp_path, seconds=7000, fresh=True)
    assert done.code == 0, done.output
    assert discarding.received == size
    parts = discarding.calls["UploadPart"]
    assert (discarding.calls["CreateMultipartUpload"], discarding.calls["CompleteMultipartUpload"]) == (1, 1)
    assert discarding.calls.total() - parts - 2 <= 3, discarding.calls  # HEAD of the object, and the sweep of uploads
    print(f"{size / GiB:g} GiB in {parts} parts: VmHWM {done.peak / MiB:.0f} MiB of {BOUND / MiB:.0f}")
    assert 0 < done.peak < BOUND
