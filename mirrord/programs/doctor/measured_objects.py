"""Measurements of single writes: reading back, ETags, checksums, metadata, ranges, copies, tags, versions, SSE-C."""

from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import replace

from mirrord.checksums import compute
from mirrord.errors import ChecksumMismatch, PreconditionFailed, StoreDenied, StoreError, StoreRefused
from mirrord.model import ChecksumKind, Destination, StoredObject
from mirrord.programs.doctor.measurement import Measured
from mirrord.programs.doctor.probe_objects import PLAIN, ProbeObjects
from mirrord.providers.facts import IGNORED, KEPT, REFUSED, FactName

BODY, OTHER = memoryview(b"mirrord doctor: probe"), memoryview(b"mirrord doctor: other")
KINDS = tuple(kind for kind in ChecksumKind if kind is not ChecksumKind.NONE)
TRAILERS = (ChecksumKind.CRC64NVME, ChecksumKind.CRC32C, ChecksumKind.CRC32, ChecksumKind.SHA256)
METADATA, TAGS = {"mirrord-doctor": "a b"}, {"mirrord-doctor": "a"}


async def objects(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """One object with metadata: written, seen by a HEAD and a listing, read whole and in part, deleted."""
    at, store = probes.new("object"), probes.probe
    stored = await probes.put(at, BODY, options=replace(PLAIN, metadata=METADATA))
    head = await store.head_object(at)
    yield Measured("objects", head is not None and head.size == len(BODY) and await read(probes, at) == BODY)
    if head is not None:
        yield Measured("put_etag", head.etag == stored.etag)
        yield Measured("metadata", METADATA.items() <= head.metadata.items())
        yield Measured("ranges", await _ranged(probes, at))
        yield Measured("listed_etag", await listed_etag(probes, at) == head.etag.strip('"'))
    await probes.sent(lambda: store.delete_object(at))
    yield Measured("deletes", await store.head_object(at) is None)


async def read(probes: ProbeObjects, at: Destination, start: int = 0, end: int | None = None) -> bytes:
    """The bytes of an object, at most 64 of them."""
    buffer, length = memoryview(bytearray(64)), 0
    async with probes.probe.get_object(at, start, end) as stream:
        while length < len(buffer) and (count := await stream.readinto(buffer[length:])):
            length += count
    return bytes(buffer[:length])


async def listed_etag(probes: ProbeObjects, at: Destination) -> str:
    """The ETag of the object in a listing, without quotes; empty: it is not listed."""
    async with aclosing(probes.probe.list_objects(at.bucket, at.key)) as pages:
        async for page in pages:
            for one in page:
                if one.key == at.key:
                    return one.etag.strip('"')
    return ""


async def _ranged(probes: ProbeObjects, at: Destination) -> bool:
    try:
        return await read(probes, at, 8, 14) == bytes(BODY[8:14])
    except StoreRefused:
        return False


async def checksums(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """The kinds of which a wrong one is refused and a right one accepted, in a header and in a trailer."""
    yield Measured(FactName.CHECKSUMS, tuple([str(kind) for kind in KINDS if await _compared(probes, kind)]))
    trailers = [str(kind) for kind in TRAILERS if await _compared_trailer(probes, kind)]
    yield Measured("trailer_checksums", tuple(trailers))


async def _compared(probes: ProbeObjects, kind: ChecksumKind) -> bool:
    with suppress(ChecksumMismatch, StoreRefused):
        await probes.put(probes.new(f"wrong-{kind}"), BODY, compute(kind, OTHER))
        return False
    try:
        await probes.put(probes.new(f"right-{kind}"), BODY, compute(kind, BODY))
    except (ChecksumMismatch, StoreRefused):
        return False
    return True


async def _compared_trailer(probes: ProbeObjects, kind: ChecksumKind) -> bool:
    wrong, right, store = probes.new(f"wrong-trailer-{kind}"), probes.new(f"trailer-{kind}"), probes.probe
    with suppress(ChecksumMismatch, StoreError):
        await probes.sent(lambda: store.put_with_trailer(wrong, BODY, compute(kind, OTHER)))
        return False
    with suppress(ChecksumMismatch, StoreError):
        await probes.sent(lambda: store.put_with_trailer(right, BODY, compute(kind, BODY)))
        return await read(probes, right) == BODY
    return False


async def copies(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """CopyObject, and UploadPartCopy in an upload with a checksum of the whole object."""
    at, copied, store = probes.new("original"), probes.new("copy"), probes.probe
    stored = await probes.put(at, BODY)
    yield Measured("copies", await _copied(probes, at, copied, stored))
    if not str(store.provider.checksum).startswith("crc"):
        return
    target, kind = probes.new("part-copy"), store.provider.checksum
    upload_id = await probes.create(target, kind)
    try:
        part = await probes.sent(lambda: store.copy_part(at, target, upload_id, 1, 0, len(BODY), if_match=stored.etag))
        part = replace(part, checksum=part.checksum or compute(kind, BODY))
        await probes.complete(target, upload_id, [part], compute(kind, BODY))
    except (StoreRefused, ChecksumMismatch):
        yield Measured(FactName.PART_COPIES, False)
    else:
        yield Measured(FactName.PART_COPIES, await read(probes, target) == BODY)


async def _copied(probes: ProbeObjects, at: Destination, copied: Destination, stored: StoredObject) -> bool:
    store = probes.probe
    try:
        await probes.sent(lambda: store.copy_object(at, copied, PLAIN, if_match=stored.etag, size=len(BODY)))
    except StoreDenied:
        raise
    except StoreError:
        return False
    return await read(probes, copied) == BODY


async def tags(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """Tags of a PutObject."""
    at = probes.new("tagged")
    try:
        await probes.put(at, BODY, options=replace(PLAIN, tags=TAGS))
    except StoreRefused:
        yield Measured(FactName.TAGS, REFUSED)
        return
    kept = await probes.probe.get_tags(at) == TAGS
    yield Measured(FactName.TAGS, KEPT if kept else IGNORED)


async def keys(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """Whether a backslash is a slash, and whether a listing shows unusual keys as they are."""
    at = probes.new("slash/x")
    await probes.put(at, BODY)
    other = probes.also(at.key.replace("slash/x", "slash\\x"))
    yield Measured(FactName.MERGES_SLASHES, await probes.probe.head_object(other) is not None)
    unusual = probes.new("a+b %20\u00e4~")
    await probes.put(unusual, BODY)
    yield Measured("listed_keys", bool(await listed_etag(probes, unusual)))


async def versions(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """Whether two writes of one key are two versions."""
    at = probes.new("versions")
    await probes.put(at, BODY)
    await probes.put(at, OTHER)
    found = [version async for version in probes.probe.list_versions(at)]
    yield Measured("versions", len(found) > 1)


async def customer_keys(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """SSE-C."""
    at, store = probes.new("sse-c"), probes.probe
    try:
        await probes.sent(lambda: store.put_with_customer_key(at, BODY))
    except (StoreRefused, StoreDenied, PreconditionFailed):
        yield Measured("customer_keys", REFUSED)
        return
    try:
        head = await store.head_object(at)
    except StoreError:
        yield Measured("customer_keys", KEPT)
        return
    yield Measured("customer_keys", IGNORED if head is not None and not head.unreadable else KEPT)
