"""PutObject and UploadPart as one value, which each client encodes in its own way.

Owns how the SDK's client sends it. `wire.frequent_calls` sends it with our own client.
"""

from typing import Any, NamedTuple

from mirrord.model import Checksum, Destination, ObjectOptions, Secret, StoredObject
from mirrord.s3 import arguments
from mirrord.s3.answers import results
from mirrord.s3.body import BufferBody


class PartOf(NamedTuple):
    """The place of a part: its upload, and its number from 1."""

    upload_id: str
    number: int


class BodyRequest(NamedTuple):
    """PutObject of `body` with `options`, or UploadPart if `part` is set. `checksum` is that of the body."""

    at: Destination
    body: memoryview
    checksum: Checksum | None
    options: ObjectOptions | None = None
    if_none_match: bool = False
    part: PartOf | None = None
    customer_key: Secret | None = None  # for SSE-C

    @property
    def method(self) -> str:
        """The name of the SDK's method."""
        return "put_object" if self.part is None else "upload_part"


async def send_by_sdk(client: Any, request: BodyRequest) -> StoredObject:
    """Send it once. Raises the SDK's errors. Of an UploadPart, the answer has the ETag and the checksum of the part."""
    at = request.at
    with BufferBody(request.body) as content:
        answer = await getattr(client, request.method)(
            Bucket=at.bucket, Key=at.key, Body=content, **_arguments(request)
        )
    return results.stored_object(answer, size=len(request.body))


def _arguments(request: BodyRequest) -> arguments.Arguments:
    asked = arguments.put_checksum(request.checksum) | arguments.condition(request.if_none_match)
    asked |= arguments.customer_key(request.customer_key)
    if request.options is not None:
        asked |= arguments.object_arguments(request.options)
    if request.part is not None:
        asked |= {"UploadId": request.part.upload_id, "PartNumber": request.part.number}
    return asked
