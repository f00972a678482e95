"""Sources through a proxy that dies within a body, and mirrord killed behind one: guarantee 4 holds as without a proxy.

The proxy is real: CONNECT for an https:// origin, an absolute target for an http:// one.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from mirrord.units import MiB
from tests.support.http_proxy import HttpProxy, http_proxy, tls_front
from tests.support.killing import HeldCalls, kill_at, open_uploads
from tests.support.origin import Generated, Origin
from tests.support.proxy import SELF_SIGNED, StoreProxy, self_signed
from tests.support.syncing import digest_of, events, manifest, sync

PART = 5 * MiB
WHOLE = Generated(8 * PART, seed=5)
IN_FLIGHT = 4 * PART
"""`http.connections` ranges of one part each."""
ENTRY = {"ca_file": str(SELF_SIGNED), "idle_timeout": "5s"}
IN_PARTS = {"multipart_threshold": "5MiB", "part_size": "5MiB"}


@pytest.fixture
async def life() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture(params=["https", "http"])
async def url(request: pytest.FixtureRequest, origin: Origin, life: AsyncExitStack) -> str:
    """A source of eight parts."""
    plain = origin.publish("/large.bin", WHOLE)
    if request.param == "http":
        return plain
    return await life.enter_async_context(tls_front(origin.port, self_signed())) + "/large.bin"


def mirror(home: Path, store: StoreProxy, url: str, bucket: str, proxy: HttpProxy) -> Path:
    entry = {"url": url, "to": f"s3://{bucket}/large.bin", "upload": IN_PARTS}
    entry["http"] = {**ENTRY, "proxy": proxy.url_with("me:pw")}
    return manifest(home, store.server, f"mirrors: [{json.dumps(entry)}]\n")


async def test_a_proxy_that_dies_within_a_body_costs_no_part_twice(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin, url: str
) -> None:
    async with http_proxy(credentials="me:pw") as proxy:
        proxy.die_after = 3 * MiB
        done = await sync(tmp_path, mirror(tmp_path, store_proxy, url, bucket, proxy), speed=10.0)
    assert done.code == 0, done.output
    assert proxy.died == 1
    assert digest_of(s3_client, bucket, "large.bin") == WHOLE.sha256()
    assert store_proxy.counts["UploadPart"] == 8, "each part is sent once"
    assert origin.body_bytes() <= WHOLE.size + IN_FLIGHT, "only what was in flight is fetched again"
    assert {method for method, _ in proxy.requests} == {"CONNECT" if url.startswith("https") else "GET"}


async def test_killed_behind_a_proxy_that_is_down_at_the_restart(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin, url: str
) -> None:
    """Four parts are journaled, four in flight: the rest is fetched and sent by the run that finds the proxy again."""
    async with http_proxy(credentials="me:pw") as proxy:
        file = mirror(tmp_path, store_proxy, url, bucket, proxy)
        assert await kill_at(HeldCalls("UploadPart", 5, 4), store_proxy, tmp_path, file)
    port = int(proxy.url.rpartition(":")[2])
    down = await sync(tmp_path, file, speed=20.0)
    assert down.code == 1, down.output
    assert f"through the proxy {proxy.url}: it does not answer" in down.err
    assert "pw" not in down.output.replace(proxy.url, "")
    before, sent = origin.body_bytes(), store_proxy.counts["UploadPart"]
    async with http_proxy(credentials="me:pw", port=port) as proxy:
        done = await sync(tmp_path, file)
        assert done.code == 0, done.output
        assert proxy.requests
    (resumed,) = events(done, "transfer.resumed")
    assert (resumed["parts"], resumed["bytes"]) == (4, 4 * PART)
    assert store_proxy.counts["UploadPart"] - sent == 4
    assert origin.body_bytes() - before <= 4 * PART + IN_FLIGHT
    assert digest_of(s3_client, bucket, "large.bin") == WHOLE.sha256()
    assert open_uploads(s3_client, bucket) == []
