"""`daemon.bandwidth` with the real command: a URL, a folder and small bodies together keep to the rate, and no deadline
counts the waiting for it.

Only the least time is tested: it follows from the rate, and not from the speed of the machine. With MIRRORD_SOAK=1 also
64 parts of one object under 1 MiB/s, and the curve at the origin over the change of a window, within 5 % over 10 s.
"""

import asyncio
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, cast

import pytest

from mirrord.units import MiB
from tests.support.command import mirrord
from tests.support.daemon import running
from tests.support.measuring import SOAK, report
from tests.support.origin import Generated, Origin
from tests.support.raw_origin import raw_origin, response
from tests.support.syncing import events, manifest
from tests.support.weed import Server

KIB = 1024
SMALL, LARGE = 20 * KIB, 600 * KIB


@pytest.mark.parametrize(
    ("block", "variables", "limited"),
    [
        ("daemon: {bandwidth: {default: 512KiB/s, timezone: Europe/Berlin}}\n", {}, True),
        ("", {"MIRRORD_BANDWIDTH": "512KiB/s"}, True),
        ("daemon: {bandwidth: 1B/s}\n", {"MIRRORD_BANDWIDTH": "unlimited"}, False),
    ],
)
async def test_all_reads_together_keep_to_the_rate(
    block: str,
    variables: dict[str, str],
    limited: bool,
    tmp_path: Path,
    weed: Server,
    bucket: str,
    s3_client: Any,
    origin: Origin,
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(10):
        (inbox / f"{number}.bin").write_bytes(bytes(SMALL))
    urls = [origin.publish("/large", bytes(LARGE)), *(origin.publish(f"/{n}", bytes(SMALL)) for n in range(10))]
    mirrors = "".join(f"  {url}: s3://{bucket}/m{number}\n" for number, url in enumerate(urls))
    folder = f"folders: [{{path: {inbox}, to: 's3://{bucket}/f/', settle: 10ms}}]\n"
    file = manifest(tmp_path, weed, f"{block}mirrors:\n{mirrors}{folder}")
    began = monotonic()
    done = await mirrord("sync", str(file), home=tmp_path, env=variables)
    assert done.code == 0, done.output
    assert len(s3_client.list_objects_v2(Bucket=bucket)["Contents"]) == 21
    if limited:  # 1,000 KiB at 512 KiB/s, less what may be caught up
        assert monotonic() - began >= 1000 / 512 - 0.2


def streams(origin: Origin, bucket: str) -> tuple[str, int]:
    """64 objects that are read at once: the entries, and their number."""
    urls = [origin.publish(f"/{n}", Generated(80 * KIB, n)) for n in range(64)]
    return "mirrors:\n" + "".join(f"  {url}: s3://{bucket}/{n}\n" for n, url in enumerate(urls)), 64


def parts(origin: Origin, bucket: str) -> tuple[str, int]:
    """One object of 64 parts, all of them at once."""
    url = origin.publish("/large", Generated(64 * 5 * MiB))
    upload = "defaults: {upload: {part_size: 5MiB, concurrency: 64}}\n"
    return f"{upload}mirrors: [{{url: {url}, to: 's3://{bucket}/large', http: {{connections: 64}}}}]\n", 1


@pytest.mark.timeout(900 if SOAK else 120)
@pytest.mark.parametrize("made", [streams, parts] if SOAK else [streams])
async def test_64_streams_that_wait_for_the_rate_are_not_too_slow(
    made: Any, tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    # Each of 64 streams gets 32 KiB every two seconds: as waiting for bytes it would be too long, and too slow.
    entries, objects = made(origin, bucket)
    settings = "daemon: {bandwidth: 1MiB/s, transfers: 64, per_host: {connections: 64}, memory_limit: 512MiB}\n"
    limits = "{idle_timeout: 1s, min_rate: 64KiB/s"
    entries = entries.replace("http: {", f"http: {limits}, ")
    if "http:" not in entries:
        entries = f"defaults: {{http: {limits}}}}}\n{entries}"
    file, began = manifest(tmp_path, weed, settings + entries), monotonic()
    done = await mirrord("sync", str(file), "--log-format", "json", home=tmp_path, seconds=800)
    assert done.code == 0, done.output
    assert len(s3_client.list_objects_v2(Bucket=bucket)["Contents"]) == objects
    assert not events(done, "transfer.failed") + events(done, "item.retrying")
    assert len(origin.log) <= 64 + 1, "no range is asked for again"
    assert monotonic() - began >= 4


class Meter:
    """An origin of bodies of 2 GiB that counts what it has sent. Its buffers are small: nearly all of it arrived."""

    def __init__(self) -> None:
        self.sent = 0
        self.seen: list[tuple[float, int]] = []
        """(seconds since the epoch, bytes so far), each tenth of a second."""

    async def send(self, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * KIB)
        cast("asyncio.WriteTransport", writer.transport).set_write_buffer_limits(high=0)
        writer.write(response("Content-Length: 2147483648", "Content-Type: text/plain"))
        while True:
            writer.write(bytes(16 * KIB))
            await writer.drain()
            self.sent += 16 * KIB

    async def look(self, until: float) -> None:
        while time.time() < until:
            self.seen.append((time.time(), self.sent))
            await asyncio.sleep(0.1)

    def rate(self, start: float) -> float:
        """MiB a second within 10 seconds from this time."""
        inside = [one for one in self.seen if start <= one[0] <= start + 10]
        (first, before), (last, after) = inside[0], inside[-1]
        return (after - before) / (last - first) / MiB


if SOAK:

    @pytest.mark.timeout(300)
    async def test_the_origin_sees_the_rate_of_each_window(tmp_path: Path, weed: Server, bucket: str) -> None:
        meter, change = Meter(), (time.time() + 40) // 60 * 60 + 60  # a full minute, in 40 to 100 seconds
        first, last = (datetime.fromtimestamp(at, UTC).strftime("%H:%M") for at in (change - 180, change))
        settings = f'daemon: {{bandwidth: {{"{first}-{last}": 4MiB/s, default: 8MiB/s}}}}\n'
        async with raw_origin(meter.send) as origin:
            mirrors = "".join(f"  {origin.url}?{n}: s3://{bucket}/{n}\n" for n in range(3))
            file = manifest(tmp_path, weed, f"{settings}mirrors:\n{mirrors}")
            async with running(tmp_path, str(file)):
                await meter.look(change + 24)
        before = [meter.rate(change - 21), meter.rate(change - 11)]
        after = [meter.rate(change + 2), meter.rate(change + 12)]
        report("bandwidth-curve", {"MiB/s before": before, "MiB/s after": after})
        assert before == [pytest.approx(4, rel=0.05)] * 2
        assert after == [pytest.approx(8, rel=0.05)] * 2
