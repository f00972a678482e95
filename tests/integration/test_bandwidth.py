"""`daemon.bandwidth` with the real command: a URL, a folder and small bodies together keep to the rate.

Only the least time is tested: it follows from the rate, and not from the speed of the machine.
"""

from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.support.command import mirrord
from tests.support.origin import Origin
from tests.support.syncing import manifest
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
