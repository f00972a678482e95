"""Origins that refuse conditions or ranges, answer a wrong 304, or send malformed headers, with the real command.

Two passes: the first copies everything; the second copies only what changed, and no item is Blocked.
"""

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from mirrord.units import MiB
from tests.support.origin import Asked, Behaviour, Generated, Origin, Reply, without
from tests.support.raw_origin import raw_origin, response
from tests.support.syncing import events, manifest, sync
from tests.support.weed import Server

SMALL = b"as it was at first"
LARGE = b"".join(Generated(7 * MiB + 77, seed=2).pieces())
IN_PARTS = {"upload": {"multipart_threshold": "5MiB", "part_size": "5MiB"}}
CONDITIONS = {"if-none-match", "if-modified-since"}
STATUSES = (400, 403, 405, 406, 412, 416, 501)
ODD = {
    "latin-1": "Content-Type: text/caf\xe9",
    "control": "Content-Type: text/plain\x07",
    "escape": "Content-Type: text/plain; x=\x1b[31m",
    "encoding": "Content-Encoding: \xff\xfe",
    "etag": 'ETag: "caf\xe9"',
    "date": "Last-Modified: \x80\x01",
}


def refuses(names: set[str], status: int) -> Behaviour:
    return lambda reply, asked: reply.empty(status) if names & asked.headers.keys() else None


def not_modified(reply: Reply, asked: Asked) -> None:
    """304 to every conditional request, with the ETag of the current version."""
    if CONDITIONS & asked.headers.keys():
        reply.empty(304, ETag=reply.headers["ETag"])


def of_this_second(reply: Reply, asked: Asked) -> None:
    now = format_datetime(datetime.now(UTC), usegmt=True)
    reply.headers.pop("ETag", None)
    reply.headers.update({"Date": now, "Last-Modified": now})
    if CONDITIONS & asked.headers.keys():
        reply.empty(304)


async def test_changes_are_found_and_no_item_is_blocked(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    behaviours: dict[str, tuple[Behaviour, ...]] = {
        **{f"etag-{status}": (refuses(CONDITIONS, status),) for status in STATUSES},
        **{f"date-{status}": (without("ETag"), refuses(CONDITIONS, status)) for status in STATUSES},
        **{f"range-{status}": (refuses({"range"}, status),) for status in STATUSES},
        "rolled": (not_modified,),
        "fresh": (of_this_second,),
    }

    def published(name: str, body: bytes) -> str:
        url = origin.publish(f"/{name}", body)
        origin.behave(f"/{name}", *behaviours[name])
        return url

    def stored(name: str) -> bytes:
        content: bytes = s3_client.get_object(Bucket=bucket, Key=name)["Body"].read()
        return content

    entries = {
        published(name, LARGE if name.startswith("range") else SMALL): {"to": f"s3://{bucket}/{name}", **IN_PARTS}
        for name in behaviours
    }
    async with raw_origin(b"") as odd:

        async def answer(writer: Any) -> None:
            name = odd.requests[-1].split()[1].removeprefix("/")
            writer.write(response(ODD[name], "Content-Length: 4", body=b"body"))

    async with raw_origin(answer) as odd:
        entries |= {odd.url.replace("/it", f"/{name}"): {"to": f"s3://{bucket}/{name}"} for name in ODD}
        file = manifest(tmp_path, weed, f"mirrors: {json.dumps(entries)}\n")
        first = await sync(tmp_path, file)
        assert first.code == 0, first.output
        for name in behaviours:
            assert stored(name) == (LARGE if name.startswith("range") else SMALL), name
        assert {stored(name) for name in ODD} == {b"body"}

        published("rolled", SMALL[::-1])
        published("fresh", SMALL[::-1])
        second = await sync(tmp_path, file)
    assert second.code == 0, second.output
    assert "Traceback" not in first.err + second.err
    assert stored("rolled") == stored("fresh") == SMALL[::-1]
    sent = {line["key"] for line in events(second, "transfer.completed")}
    assert sent <= {"rolled", "fresh", *ODD}, "the others are unchanged"
    for name in ("latin-1", "control", "escape", "encoding"):
        assert any("what an object cannot have" in line and f"/{name}:" in line for line in first.err.splitlines()), (
            name
        )
    assert s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
