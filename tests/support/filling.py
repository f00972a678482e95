"""Puts objects into the test store by mirrord's own client: boto3 waits a second for each body (100-continue)."""

import asyncio
from collections.abc import Mapping

from mirrord.model import ObjectOptions
from mirrord.s3.session import S3Store
from tests.support.weed import Server

_PLAIN = ObjectOptions()


async def put_all(store: S3Store, server: Server, bucket: str, bodies: Mapping[str, bytes]) -> None:
    """Put an object for each key, 16 at a time."""
    slots = asyncio.Semaphore(16)

    async def put(key: str, body: bytes) -> None:
        async with slots:
            await store.put_object(server.destination(bucket, key), memoryview(body), ObjectOptions())

    await asyncio.gather(*(put(key, body) for key, body in bodies.items()))


async def put_parts(
    store: S3Store, server: Server, bucket: str, key: str, parts: list[bytes], options: ObjectOptions = _PLAIN
) -> None:
    """Upload an object in these parts."""
    at = server.destination(bucket, key)
    upload_id = await store.create_upload(at, options)
    done = [await store.upload_part(at, upload_id, number, memoryview(one)) for number, one in enumerate(parts, 1)]
    await store.complete_upload(at, upload_id, done)
