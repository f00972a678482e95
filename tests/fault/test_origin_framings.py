"""Origins of raw bytes and the real command: unusual framings are accepted or Blocked once; floods take no memory.

None of them counts as an outage: five refused items do not delay a sixth on the same host.
"""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

from mirrord.units import MiB
from tests.support.raw_origin import chunks, raw_origin, response
from tests.support.syncing import MEMORY_BOUND, manifest, sync
from tests.support.weed import Server

BODY = b"some bytes of a body\n" * 40
LENGTH = f"Content-Length: {len(BODY)}"
ACCEPTED = {
    "double": response(LENGTH, LENGTH, body=BODY),
    "identity": response("Transfer-Encoding: identity", LENGTH, body=BODY),
    "space": response(f"Content-Length : {len(BODY)}", body=BODY),
    "headers": response(*(f"X-{n}: {n}" for n in range(150)), LENGTH, body=BODY),
    "longer": response(LENGTH, body=BODY + b"rubbish"),
    "203": response(LENGTH, body=BODY, status="HTTP/1.1 203 Non-Authoritative Information"),
    "gzip": response("Transfer-Encoding: gzip, chunked", body=chunks(gzip.compress(BODY, mtime=0), 100)),
    "utf-8": response("Content-Encoding: utf-8", LENGTH, body=BODY),
    "none": response("Content-Encoding: none", LENGTH, body=BODY),
    "aws": response("Content-Encoding: aws-chunked", LENGTH, body=BODY),
}
REFUSED = {
    "lengths": response(LENGTH, "Content-Length: 3", body=BODY),
    "coding": response("Transfer-Encoding: br, chunked", body=chunks(BODY, 9)),
    "not-gzip": response("Transfer-Encoding: gzip, chunked", body=chunks(BODY, 9)),
    "nul": response("X: a\x00b", LENGTH, body=BODY),
    "chunk": response("Transfer-Encoding: chunked", body=b"0x4\r\nabcd\r\n0\r\n\r\n"),
    "token": response("no colon", LENGTH, body=BODY),
}
FLOODS = {
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" * 1000,
    "head": b"X-A: b\r\n" * 8000,
    "redirect": bytes(MiB),
}
FIRST = {
    "interim": b"",
    "head": b"HTTP/1.1 200 OK\r\n",
    "redirect": response("Location: ftp://h/x", "Content-Length: 99999999999", status="HTTP/1.1 302 Found"),
}


async def test_unusual_framings_and_floods(tmp_path: Path, weed: Server, bucket: str, s3_client: Any) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        path = origin.requests[-1].split()[1].removeprefix("/")
        if path in FLOODS:
            writer.write(FIRST[path])
            while True:
                writer.write(FLOODS[path])
                await writer.drain()
        writer.write((ACCEPTED | REFUSED)[path])

    async with raw_origin(answer) as origin:
        names = [*REFUSED, *FLOODS, *ACCEPTED]
        urls = {origin.url.replace("/it", f"/{name}"): f"s3://{bucket}/{name}" for name in names}
        text = f"daemon: {{transfers: 1, memory_limit: 64MiB}}\nmirrors: {json.dumps(urls, indent=1)}\n"
        done = await sync(tmp_path, manifest(tmp_path, weed, text))
    assert done.code == 1
    assert "Traceback" not in done.err
    for name in ACCEPTED:
        stored = s3_client.get_object(Bucket=bucket, Key=name)
        assert stored["Body"].read() == BODY, done.output
        assert not stored.get("ContentEncoding"), name
    for name in (*REFUSED, *FLOODS):
        assert f"Blocked SourceRefused: s3://{bucket}/{name}: " in done.out, done.output
    asked = [request.split()[1] for request in origin.requests]
    assert sorted(asked) == sorted(f"/{name}" for name in names), "one request for each"
    assert s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
    assert done.peak < MEMORY_BOUND
