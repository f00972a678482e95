"""Measurements of uploads in parts: ETags, checksums of the whole object, lists, limits of parts, repeated and late
calls."""

from collections.abc import AsyncIterator
from contextlib import suppress

from mirrord.checksums import compute
from mirrord.errors import (
    ChecksumMismatch,
    EntityTooSmall,
    InvalidPart,
    NoSuchUpload,
    OutcomeUnknown,
    StoreError,
    StoreRefused,
)
from mirrord.model import ChecksumKind, Destination, Part
from mirrord.programs.doctor.measured_objects import BODY, OTHER, listed_etag, read
from mirrord.programs.doctor.measurement import Measured
from mirrord.programs.doctor.probe_objects import ProbeObjects
from mirrord.providers.facts import FactName
from mirrord.units import MiB

FULL_OBJECT = (ChecksumKind.CRC64NVME, ChecksumKind.CRC32C, ChecksumKind.CRC32)
UNKNOWN_MINIMUM = 0
"""Value of MIN_PART for a store that refuses parts of 5 MiB: more is not tried."""
MOST_PARTS = (10_000, 1_000)
"""Numbers of parts that are tried."""


async def uploads(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """One upload of one part: ListMultipartUploads, ListParts, Complete, its ETag, Complete and Abort again."""
    at, store = probes.new("upload"), probes.probe
    upload_id, parts = await probes.upload(at, BODY)
    yield Measured("listed_parts", [part.size async for part in store.list_parts(at, upload_id)] == [len(BODY)])
    found = {upload.key async for upload in store.list_uploads(probes.bucket, probes.prefix)}
    yield Measured("listed_uploads", at.key in found)
    try:
        etag = (await probes.complete(at, upload_id, parts)).etag
    except OutcomeUnknown:
        etag = ""
    head = await store.head_object(at)
    yield Measured("multipart", head is not None and await read(probes, at) == BODY)
    yield Measured(FactName.COMPLETE_ETAG, head is not None and head.etag == etag)
    if head is not None:
        yield Measured("listed_upload_etag", await listed_etag(probes, at) == head.etag.strip('"'))
        yield Measured("repeated_completes", await _completes_again(probes, at, upload_id, parts))


async def _completes_again(probes: ProbeObjects, at: Destination, upload_id: str, parts: list[Part]) -> bool:
    try:
        await probes.complete(at, upload_id, parts)
    except (NoSuchUpload, StoreRefused, OutcomeUnknown):
        return False
    return True


async def late_aborts(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """Whether an object survives the abort of its upload."""
    at = probes.new("late-abort")
    upload_id, parts = await probes.upload(at, BODY)
    with suppress(OutcomeUnknown):
        await probes.complete(at, upload_id, parts)
    await probes.sent(lambda: probes.probe.abort_upload(at, upload_id))
    probes.ended(upload_id)
    try:
        yield Measured(FactName.LATE_ABORT, await read(probes, at) == BODY)
    except StoreError:
        yield Measured(FactName.LATE_ABORT, False)


async def upload_checksums(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """The kinds of a whole object's checksum of which a wrong one is refused and a right one accepted."""
    yield Measured("upload_checksums", tuple([str(kind) for kind in FULL_OBJECT if await _compared(probes, kind)]))


async def _compared(probes: ProbeObjects, kind: ChecksumKind) -> bool:
    return not await _accepted(probes, kind, OTHER) and await _accepted(probes, kind, BODY)


async def _accepted(probes: ProbeObjects, kind: ChecksumKind, of: memoryview) -> bool:
    """Whether an upload of BODY is completed with the checksum of these bytes."""
    at = probes.new(f"upload-{kind}")
    try:
        upload_id = await probes.create(at, kind)
        part = await probes.part(at, upload_id, 1, BODY, kind)
        await probes.complete(at, upload_id, [part], compute(kind, of))
    except (ChecksumMismatch, InvalidPart, StoreRefused):
        return False
    except OutcomeUnknown:
        return await probes.probe.head_object(at) is not None
    return True


async def part_limits(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """The least size of parts, whether they must be equal, and how many there may be. Sends 17 to 33 MiB."""
    small = await _completed(probes, 1 * MiB, len(BODY))
    usual = await _completed(probes, 5 * MiB, 6 * MiB, len(BODY))
    equal = usual or await _completed(probes, 5 * MiB, 5 * MiB, len(BODY))
    yield Measured(FactName.MIN_PART, 1 * MiB if small else 5 * MiB if equal else UNKNOWN_MINIMUM)
    if equal:
        yield Measured(FactName.EQUAL_PARTS, not usual)
    yield Measured(FactName.MAX_PARTS, await _most_parts(probes))


async def _completed(probes: ProbeObjects, *sizes: int) -> bool:
    at, bodies = probes.new("parts"), memoryview(bytes(max(sizes)))
    try:
        upload_id, parts = await probes.upload(at, *(bodies[:size] for size in sizes))
        await probes.complete(at, upload_id, parts)
    except OutcomeUnknown:
        return await probes.probe.head_object(at) is not None
    except (EntityTooSmall, InvalidPart, StoreRefused):
        return False
    finally:
        with suppress(StoreError):
            await probes.sent(lambda: probes.probe.delete_object(at))
    return True


async def _most_parts(probes: ProbeObjects) -> int:
    at = probes.new("part-number")
    upload_id = await probes.create(at)
    for number in MOST_PARTS:
        with suppress(StoreRefused):
            await probes.part(at, upload_id, number, BODY)
            return number
    return 1
