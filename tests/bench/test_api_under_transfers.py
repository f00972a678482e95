"""Measures the answers of probes, metrics and API while 500 transfers run at a slow origin: `pytest -s` on this file.

CI does not run it, because it measures time. The origin sends 1 KiB each 0.1 s to each of 500 transfers; the store is
the bench's sink. All three servers and the client share the cores, so that the times are upper bounds.
"""

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.scenarios import StoreKind
from tests.bench.servers import store
from tests.support.command import REPOSITORY
from tests.support.daemon import Daemon, running, store_section
from tests.support.measuring import mib, quantile, report, usage
from tests.support.weed import Server

TRANSFERS, HOSTS, SECONDS = 500, 4, 30.0
MOST = 200.0
"""Milliseconds within which 99 % of the answers of PROBES come."""
PROBES = ("/livez", "/readyz", "/metrics")
READS = ("/api/v1/status", "/api/v1/items", "/api/v1/entries")
SLOW_ORIGIN = """
import asyncio

async def serve(reader, writer):
    head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode()
    writer.write(b'HTTP/1.1 200 OK\\r\\nETag: "e"\\r\\nContent-Length: 983040\\r\\nConnection: close\\r\\n\\r\\n')
    if head.startswith("GET"):
        for _ in range(960):
            writer.write(bytes(1024))
            await writer.drain()
            await asyncio.sleep(0.1)
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@asynccontextmanager
async def slow_origin() -> AsyncIterator[int]:
    """Its port, on every address of the loopback."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SLOW_ORIGIN,
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


def manifest(port: int, endpoint: str) -> str:
    rows = "".join(
        f"  - {{url: 'http://127.0.0.{1 + n % HOSTS}:{port}/{n}', to: s3://bucket/{n}, http: {{connections: 1}}}}\n"
        for n in range(TRANSFERS)
    )
    limits = f"daemon: {{transfers: {TRANSFERS}, per_host: {{connections: 256}}, memory_limit: 512MiB}}\n"
    return f"{limits}{store_section(Server(endpoint))}mirrors:\n{rows}"


async def answers(daemon: Daemon) -> dict[str, list[float]]:
    """Milliseconds of each answer, by path, for SECONDS. The client's own garbage collection would count too."""
    took: dict[str, list[float]] = {}
    gc.collect()
    gc.disable()
    await asyncio.gather(asked(daemon, PROBES, took, 0.02), asked(daemon, READS, took, 1.0))
    gc.enable()
    return took


async def asked(daemon: Daemon, paths: Sequence[str], took: dict[str, list[float]], every: float) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        for path in paths:
            began = time.monotonic()
            status, _ = await daemon.ask(path)
            took.setdefault(path, []).append((time.monotonic() - began) * 1000)
            assert status == 200, path
        await asyncio.sleep(every)


async def test_probes_answer_while_500_transfers_run(tmp_path: Path) -> None:
    with store(StoreKind.ECHO) as sink:
        async with slow_origin() as port:
            (tmp_path / "m.yaml").write_text(manifest(port, sink.endpoint))
            async with running(tmp_path, str(tmp_path / "m.yaml"), fresh=True) as daemon:

                async def all_run() -> bool:
                    running = (await daemon.api("status"))["running"]
                    return sum(one["bytes_read"] > 0 for one in running) == TRANSFERS

                await daemon.wait_for(all_run, 60, "all transfers")
                before = usage(daemon.process.pid)
                took = await answers(daemon)
                assert await all_run(), "they ran all the time"
                after = usage(daemon.process.pid)
    numbers = {
        path: {
            "answers": len(times),
            "p50_ms": round(quantile(times, 0.5), 1),
            "p99_ms": round(quantile(times, 0.99), 1),
            "longest_ms": round(max(times), 1),
        }
        for path, times in took.items()
    }
    used = {
        "transfers": TRANSFERS,
        "cpu_share": round((after.cpu - before.cpu) / SECONDS, 2),
        "peak_mib": mib(after.peak),
    }
    report("api-under-500-transfers", {**numbers, **used})
    for path in PROBES:
        assert numbers[path]["p99_ms"] < MOST, (path, numbers[path])
