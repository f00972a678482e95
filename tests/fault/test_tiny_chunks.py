"""Ten origins with bodies in chunks of one byte, and the real command: other items go on, and its API answers."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.support.daemon import running, store_section
from tests.support.origin import Generated, Origin
from tests.support.raw_origin import chunks, raw_origin, response
from tests.support.weed import Server

DRIPS = 10
HEALTHY = 10


async def test_ten_origins_with_tiny_chunks_do_not_stop_other_items(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    body = b"x" * 4096
    block = chunks(body, 1)[: -len(b"0\r\n\r\n")]

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(response("Transfer-Encoding: chunked"))
        while True:
            writer.write(block)
            await writer.drain()

    async with AsyncExitStack() as life:
        drips = [await life.enter_async_context(raw_origin(endless)) for _ in range(DRIPS)]
        urls = {one.url: f"s3://{bucket}/drip-{n}" for n, one in enumerate(drips)}
        healthy = {
            origin.publish(f"/{n}", Generated(1_000_000, seed=n)): f"s3://{bucket}/healthy-{n}" for n in range(HEALTHY)
        }
        file = tmp_path / "m.yaml"
        file.write_text(
            f"{store_section(weed)}daemon: {{transfers: 12}}\nmirrors: {json.dumps(urls | healthy, indent=1)}\n"
        )
        async with running(tmp_path, str(file)) as daemon:

            async def copied() -> bool:
                async with asyncio.timeout(5):
                    assert (await daemon.ask("/livez"))[0] == 200
                states = await daemon.states()
                return sum(states.get(f"healthy-{n}") == "Synced" for n in range(HEALTHY)) == HEALTHY

            await daemon.wait_for(copied, 120, "the healthy items")
            states = await daemon.states()
            assert {states[f"drip-{n}"] for n in range(DRIPS)} == {"Transferring"}
    for n in range(HEALTHY):
        stored = s3_client.get_object(Bucket=bucket, Key=f"healthy-{n}")["Body"].read()
        assert stored == b"".join(Generated(1_000_000, seed=n).pieces())
