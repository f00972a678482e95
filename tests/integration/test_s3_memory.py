"""Parts in flight take the memory of their pooled buffers and little more (FIELD_NOTES 10b); in a new process."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.weed import Server

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from mirrord.checksums import combine, digest
from mirrord.declared import Credentials, RequestOptions, StoreOptions
from mirrord.model import ChecksumKind, Destination, ObjectOptions
from mirrord.s3.session import S3Store

KIND, PART = ChecksumKind.CRC64NVME, 16 << 20
url, bucket, key_id, secret, wire = sys.argv[1:]

def kib(field):
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(field)).split()[1])

async def main():
    credentials = Credentials.of(key_id, secret)
    requests = RequestOptions(wire=wire)
    options = StoreOptions(name="s", endpoint_url=url, region="us-east-1", credentials=credentials, requests=requests)
    at = Destination("s", url, bucket, "large")
    async with S3Store(options) as store:
        buffers = [bytearray(b"%d" % lane * PART) for lane in range(4)]
        upload = await store.create_upload(at, ObjectOptions(), KIND)
        before = kib("VmHWM")
        async def lane(number):
            view = memoryview(buffers[number])
            checksum = await digest(KIND, view)
            return [await store.upload_part(at, upload, n, view, checksum) for n in (number + 1, number + 5)]
        lanes = await asyncio.gather(*map(lane, range(4)))
        after = kib("VmHWM")
        parts = sorted((part for lane in lanes for part in lane), key=lambda part: part.number)
        whole = combine(KIND, [(part.checksum, part.size) for part in parts])
        await store.complete_upload(at, upload, parts, whole)
        print(json.dumps({"before": before, "after": after}))

asyncio.run(main())
"""


@pytest.mark.parametrize("wire", ["auto", "sdk"])
def test_four_parts_of_16_mib_in_flight(weed: Server, bucket: str, s3_client: Any, wire: str) -> None:
    given = [weed.endpoint_url, bucket, weed.access_key_id, weed.secret_access_key, wire]
    command = [sys.executable, "-c", PROGRAM, *given]
    peak = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)
    assert s3_client.head_object(Bucket=bucket, Key="large")["ContentLength"] == 8 << 24
    assert (peak["after"] - peak["before"]) / 1024 < 16  # one part; with `bytes` bodies it would be 50 MiB and more
