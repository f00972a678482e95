"""kill -9 of the real `mirrord sync` while a fallback is copied: resumed from that URL, never joined with another."""

import json
from pathlib import Path
from typing import Any

import pytest

from mirrord.units import MiB
from tests.support.killing import HeldCalls, kill_at, open_uploads
from tests.support.origin import Generated, Origin, answers, says
from tests.support.proxy import StoreProxy
from tests.support.syncing import digest_of, events, manifest, sync

PART, PARTS = 5 * MiB, 6
FIRST, SECOND = Generated(PART * PARTS, seed=1), Generated(PART * PARTS, seed=2)


@pytest.mark.parametrize("back", [True, False])
async def test_killed_while_the_fallback_is_copied(
    back: bool, tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    urls = [origin.publish("/one/x", FIRST), origin.publish("/two/x", SECOND)]
    for path in ("/one/x", "/two/x"):
        origin.behave(path, says(ETag='"same"', Last_Modified="Thu, 01 Jan 2026 10:00:00 GMT"))
    origin.behave("/one/x", answers(503))
    entry = {"urls": urls, "to": f"s3://{bucket}/x", "upload": {"part_size": "5MiB", "concurrency": 1}}
    file = manifest(tmp_path, store_proxy.server, f"mirrors: {json.dumps([entry])}\n")
    assert await kill_at(HeldCalls("UploadPart", 5), store_proxy, tmp_path, file, later=0.5)  # journaled
    if back:
        origin.behave("/one/x", says(ETag='"same"', Last_Modified="Thu, 01 Jan 2026 10:00:00 GMT"))
    store_proxy.clear()
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    resumed = [line["parts"] for line in events(done, "transfer.resumed")]
    assert len(resumed) == (0 if back else 1)
    assert all(0 < parts < PARTS for parts in resumed)  # how many were journaled depends on the machine's speed
    assert digest_of(s3_client, bucket, "x") == (FIRST if back else SECOND).sha256()
    assert open_uploads(s3_client, bucket) == []
