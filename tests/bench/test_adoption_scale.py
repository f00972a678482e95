"""10,000 objects that rclone, s5cmd and the AWS CLI uploaded, single and in parts of three sizes, are adopted.

`pytest -s tests/bench/test_adoption_scale.py`, with the tools in MIRRORD_BENCH_ENV (`make .venv-bench`). Calls and
body bytes are counted at a proxy before the store. `tests/integration/test_adoption.py` does the same with few objects.
"""

import os
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mirrord.units import MiB
from tests.bench.tools import KEYS, peer
from tests.support.measuring import report
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest, sync
from tests.support.weed import Server

TOOLS = ("rclone", "s5cmd", "aws")
SMALL = int(os.environ.get("MIRRORD_BENCH_FILES", 9_991))
PART_SIZES = (5, 8, 16)
"""MiB."""
LENGTH = 21 * MiB + 7
WRITES = {"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CopyObject", "DeleteObject"}


def command(tool: str, server: Server, directory: Path, bucket: str, part_size: int) -> list[str]:
    """Upload `directory` below its own name, larger files in parts of `part_size` MiB."""
    to = f"{bucket}/in/{directory.parent.name}/{directory.name}"
    if tool == "rclone":
        sizes = [f"--s3-chunk-size={part_size}Mi", f"--s3-upload-cutoff={part_size}Mi"]
        return [peer(tool), "--config=/dev/null", "--transfers=16", *sizes, "copy", str(directory), f"store:{to}"]
    if tool == "s5cmd":
        head = [peer(tool), f"--endpoint-url={server.endpoint_url}", "--log=error"]
        return [*head, "cp", f"--part-size={part_size}", f"{directory}/", f"s3://{to}/"]
    return [peer(tool), "s3", "cp", "--recursive", "--only-show-errors", str(directory), f"s3://{to}/"]


def environment(server: Server, home: Path, part_size: int) -> dict[str, str]:
    config = home / f"aws-{part_size}"
    sizes = f"  multipart_threshold = {part_size}MB\n  multipart_chunksize = {part_size}MB\n"
    config.write_text(f"[default]\ns3 =\n{sizes}  addressing_style = path\n")
    remote = {"TYPE": "s3", "PROVIDER": "SeaweedFS", "ENV_AUTH": "true", "ENDPOINT": server.endpoint_url}
    rclone = {f"RCLONE_CONFIG_STORE_{name}": value for name, value in {**remote, "REGION": "us-east-1"}.items()}
    aws = {"AWS_ENDPOINT_URL": server.endpoint_url, "AWS_CONFIG_FILE": str(config), "AWS_EC2_METADATA_DISABLED": "true"}
    return {"PATH": os.environ["PATH"], "HOME": str(home), **KEYS, **rclone, **aws}


def make(inbox: Path) -> None:
    """Small files for each tool, and a large one for each tool and size of parts."""
    for number in range(SMALL):
        directory = inbox / TOOLS[number % len(TOOLS)] / "small"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{number:05}").write_bytes(b"%d " % number * (1 + number % 900))
    for tool in TOOLS:
        for size in PART_SIZES:
            directory = inbox / tool / f"parts-{size}"
            directory.mkdir()
            (directory / "large").write_bytes(os.urandom(LENGTH))


def upload(inbox: Path, home: Path, server: Server, bucket: str) -> None:
    for tool in TOOLS:
        for name, size in [("small", 8), *((f"parts-{size}", size) for size in PART_SIZES)]:
            arguments = command(tool, server, inbox / tool / name, bucket, size)
            subprocess.run(arguments, env=environment(server, home, size), check=True)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


class Passes:
    """Passes of `sync`, with the calls that the store got."""

    def __init__(self, home: Path, proxy: StoreProxy, bucket: str) -> None:
        self._home, self._proxy = home, proxy
        self._file = manifest(
            home, proxy.server, f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', settle: 0s}}\n"
        )

    async def sync(self) -> dict[str, Any]:
        self._proxy.clear()
        began = time.monotonic()
        done = await sync(self._home, self._file, seconds=900)
        assert done.code == 0, done.output
        calls = Counter(call.operation for call in self._proxy.calls)
        return {
            "seconds": round(time.monotonic() - began, 1),
            "summary": done.out.strip().splitlines()[-1],
            "calls": dict(calls),
            "written": sorted(call.key for call in self._proxy.calls if call.operation in WRITES),
            "body_bytes_sent": sum(call.sent for call in self._proxy.calls),
        }


@pytest.mark.timeout(1800)
async def test_what_real_tools_uploaded_is_adopted(
    tmp_path: Path, store_proxy: StoreProxy, weed: Server, bucket: str
) -> None:
    missing = [tool for tool in TOOLS if not peer(tool)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    inbox = tmp_path / "inbox"
    make(inbox)
    upload(inbox, tmp_path, weed, bucket)
    passes = Passes(tmp_path, store_proxy, bucket)
    first = await passes.sync()
    second = await passes.sync()
    flipped = [inbox / "s5cmd" / "small" / "00001", inbox / "aws" / "parts-16" / "large"]
    for path in flipped:
        flip(path)
    (tmp_path / "state").rename(tmp_path / "lost")
    third = await passes.sync()
    report("adoption", {"objects": SMALL + 9, "first": first, "second": second, "after two flipped bytes": third})
    assert (first["written"], first["body_bytes_sent"]) == ([], 0)
    assert (second["written"], second["body_bytes_sent"]) == ([], 0)
    assert set(third["written"]) == {f"in/{path.relative_to(inbox)}" for path in flipped}
