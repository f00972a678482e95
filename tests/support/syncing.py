"""Runs the real `mirrord sync` on a manifest; reads its log and the stored objects."""

import hashlib
import json
from pathlib import Path
from typing import Any

from mirrord.units import MiB
from tests.support.command import Completed, mirrord
from tests.support.daemon import store_section
from tests.support.weed import Server

MEMORY_BOUND = 64 * MiB + 160 * MiB
"""Bound of guarantee 8 for a `memory_limit` of 64 MiB, in bytes."""


def manifest(home: Path, server: Server, body: str, name: str = "m.yaml", **changed: str) -> Path:
    """Write the manifest `name` with this store and this body; `changed` overrides the credentials."""
    file = home / name
    file.write_text(store_section(server, **changed) + body)
    return file


def with_store_field(file: Path, line: str) -> None:
    """Add one more field to the first store of the manifest."""
    file.write_text(file.read_text().replace("    wire:", f"    {line}\n    wire:", 1))


async def sync(home: Path, file: Path, *more: str, **given: Any) -> Completed:
    """Run `mirrord sync` to its end; `given` are arguments of `command.mirrord`."""
    return await mirrord("sync", str(file), "--log-format", "json", *more, home=home, **given)


def events(done: Completed, name: str) -> list[dict[str, Any]]:
    """The log lines of this event. `transfer.started` of a single put needs the log level debug (`daemon.DEBUG`)."""
    lines = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


def digest_of(s3_client: Any, bucket: str, key: str) -> str:
    """The SHA-256 of an object's content."""
    digest = hashlib.sha256()
    for piece in s3_client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(4 * MiB):
        digest.update(piece)
    return digest.hexdigest()
