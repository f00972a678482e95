"""Hundreds of idle connections to the page: the daemon still answers and copies."""

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

from mirrord.web.connections import MOST
from tests.support.daemon import running, store_section
from tests.support.origin import Origin
from tests.support.saving import mirrors
from tests.support.weed import Server

IDLE = 900
OURS = 150
"""The daemon's limit of file descriptors in this test."""


async def test_idle_connections_use_up_neither_the_page_nor_the_descriptors(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    origin.publish("/a", b"a")
    origin.publish("/b", b"b")
    file = tmp_path / "m.yaml"
    file.write_text(store_section(weed) + mirrors(origin, bucket, "a"))
    async with running(tmp_path, str(file)) as daemon, AsyncExitStack() as life:
        await daemon.synced("a")
        host, port = daemon.url.removeprefix("http://").split(":")
        for _ in range(IDLE):
            _, writer = await asyncio.open_connection(host, int(port))
            life.callback(writer.close)
        assert (await daemon.ask("/livez"))[0] == 200
        assert len(os.listdir(f"/proc/{daemon.process.pid}/fd")) <= MOST + OURS
        file.write_text(store_section(weed) + mirrors(origin, bucket, "a", "b"))
        await daemon.synced("a", "b")
        assert await daemon.stop() == 0
