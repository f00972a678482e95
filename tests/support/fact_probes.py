"""What a store does, found by real requests, for comparison with the facts of its provider.

Each probe returns the value of one fact as the store shows it. Buckets and objects of the probes stay there.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from mirrord.checksums import compute
from mirrord.errors import (
    ChecksumMismatch,
    EntityTooSmall,
    InvalidPart,
    OutcomeUnknown,
    PreconditionFailed,
    StoreRefused,
)
from mirrord.model import ChecksumKind, Destination, ObjectOptions, Part
from mirrord.providers.facts import FactName, FactValue
from mirrord.s3.session import S3Store
from mirrord.units import MiB

PLAIN = ObjectOptions()
OTHER_ETAG = '"00000000000000000000000000000000"'
KINDS = tuple(kind for kind in ChecksumKind if kind is not ChecksumKind.NONE)
FIVE, SIX, SMALL = memoryview(bytes(5 * MiB)), memoryview(bytes(6 * MiB)), memoryview(b"last")


@dataclass
class Probed:
    """A bucket of an open store."""

    store: S3Store
    bucket: str

    def at(self) -> Destination:
        return Destination("default", "http://store", self.bucket, f"probe/{uuid.uuid4().hex}")

    async def upload(self, at: Destination, *pieces: memoryview) -> tuple[str, list[Part]]:
        upload_id = await self.store.create_upload(at, PLAIN)
        return upload_id, [
            await self.store.upload_part(at, upload_id, number, piece, compute(ChecksumKind.MD5, piece))
            for number, piece in enumerate(pieces, 1)
        ]


async def conditional_puts(probed: Probed) -> FactValue:
    at = probed.at()
    await probed.store.put_object(at, SMALL, PLAIN)
    try:
        await probed.store.put_object(at, memoryview(b"other"), PLAIN, if_none_match=True)
    except PreconditionFailed:
        return True
    except StoreRefused:  # it knows no conditions
        return False
    return False


async def conditional_completes(probed: Probed) -> FactValue:
    at = probed.at()
    await probed.store.put_object(at, SMALL, PLAIN)
    upload_id, parts = await probed.upload(at, SMALL)
    try:
        await probed.store.complete_upload(at, upload_id, parts, if_none_match=True)
    except PreconditionFailed:
        return True
    return False


async def conditional_deletes(probed: Probed) -> FactValue:
    at = probed.at()
    await probed.store.put_object(at, SMALL, PLAIN)
    try:
        await probed.store.delete_object(at, only=OTHER_ETAG)
    except PreconditionFailed:
        return await probed.store.head_object(at) is not None
    return False


async def late_abort_harmless(probed: Probed) -> FactValue:
    at = probed.at()
    upload_id, parts = await probed.upload(at, SMALL)
    await probed.store.complete_upload(at, upload_id, parts)
    await probed.store.abort_upload(at, upload_id)
    async with probed.store.get_object(at) as stream:
        return await stream.readinto(memoryview(bytearray(64))) == len(SMALL)


async def complete_etag(probed: Probed) -> FactValue:
    at = probed.at()
    upload_id, parts = await probed.upload(at, SMALL)
    try:
        done = await probed.store.complete_upload(at, upload_id, parts)
    except OutcomeUnknown:
        return False
    head = await probed.store.head_object(at)
    return head is not None and head.etag == done.etag


async def checksums(probed: Probed) -> FactValue:
    """Those of which a wrong one is refused."""
    refused = []
    for kind in KINDS:
        try:
            await probed.store.put_object(probed.at(), SMALL, PLAIN, compute(kind, memoryview(b"other")))
        except ChecksumMismatch:
            refused.append(str(kind))
    return tuple(refused)


async def equal_parts(probed: Probed) -> FactValue:
    at = probed.at()
    upload_id, parts = await probed.upload(at, FIVE, SIX, SMALL)
    try:
        await probed.store.complete_upload(at, upload_id, parts)
    except (InvalidPart, StoreRefused):
        return True
    return False


async def min_part(probed: Probed) -> FactValue:
    """5 MiB, or 64 MiB if such parts are too small: no more sizes are tried."""
    at = probed.at()
    upload_id, parts = await probed.upload(at, FIVE, SMALL)
    try:
        await probed.store.complete_upload(at, upload_id, parts)
    except EntityTooSmall:
        return 64 * MiB
    return 5 * MiB


async def max_parts(probed: Probed) -> FactValue:
    """10,000, or 1,000 if a part with a higher number is refused."""
    at = probed.at()
    upload_id, _ = await probed.upload(at)
    try:
        await probed.store.upload_part(at, upload_id, 1_001, SMALL)
    except StoreRefused:
        return 1_000
    finally:
        await probed.store.abort_upload(at, upload_id)
    return 10_000


async def storage_classes(probed: Probed) -> FactValue:
    """The known classes that are accepted; nothing if an unknown one is."""
    accepted = []
    for name in ("X_UNKNOWN", *probed.store.provider.storage_classes):
        try:
            await probed.store.put_object(probed.at(), SMALL, replace(PLAIN, storage_class=name))
        except StoreRefused:
            continue
        accepted.append(name)
    return tuple(accepted) if "X_UNKNOWN" not in accepted else ()


async def tags(probed: Probed) -> FactValue:
    at, other, tagged = probed.at(), probed.at(), replace(PLAIN, tags={"a": "b"})
    try:
        await probed.store.put_object(at, SMALL, tagged)
    except StoreRefused:
        return "refused"
    upload_id = await probed.store.create_upload(other, tagged)
    part = await probed.store.upload_part(other, upload_id, 1, SMALL, compute(ChecksumKind.MD5, SMALL))
    try:
        await probed.store.complete_upload(other, upload_id, [part])
    except OutcomeUnknown:
        assert await probed.store.head_object(other)
    kept = [await probed.store.get_tags(one) == {"a": "b"} for one in (at, other)]
    words = {(True, True): "kept", (True, False): "kept by PutObject, dropped by CreateMultipartUpload"}
    return words.get((kept[0], kept[1]), "ignored")


async def merges_slashes(probed: Probed) -> FactValue:
    at = probed.at()
    await probed.store.put_object(replace(at, key=f"{at.key}/x"), SMALL, PLAIN)
    return await probed.store.head_object(replace(at, key=f"{at.key}\\x")) is not None


PROBES: dict[FactName, Callable[[Probed], Awaitable[FactValue]]] = {
    FactName.CONDITIONAL_PUTS: conditional_puts,
    FactName.CONDITIONAL_COMPLETES: conditional_completes,
    FactName.CONDITIONAL_DELETES: conditional_deletes,
    FactName.LATE_ABORT: late_abort_harmless,
    FactName.COMPLETE_ETAG: complete_etag,
    FactName.CHECKSUMS: checksums,
    FactName.EQUAL_PARTS: equal_parts,
    FactName.MIN_PART: min_part,
    FactName.MAX_PARTS: max_parts,
    FactName.STORAGE_CLASSES: storage_classes,
    FactName.TAGS: tags,
    FactName.MERGES_SLASHES: merges_slashes,
}
"""The facts that requests can show."""
