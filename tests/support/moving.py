"""Parts of tests of `transfer`: sources, jobs, and a scripted store that keeps what happened in order."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any

from mirrord import checksums
from mirrord.errors import ChecksumMismatch
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Destination,
    ObjectOptions,
    Part,
    ProviderName,
    StoredObject,
    TransferKind,
)
from mirrord.planning.transfers.parts import Cut
from mirrord.providers import Provider, profile
from mirrord.testing import MemorySource
from mirrord.transfer.job import Job, NewObject, SourceDemands

AT = Destination("default", "http://store", "bucket", "key.bin")


def source_of(content: bytes, *, length: int | None = -1, step: int = 1 << 16, **more: Any) -> MemorySource:
    """A source that is read as one stream, and announces this length; -1: the true one."""
    return MemorySource(content, ranges=False, step=step, claims=lambda size: size if length == -1 else length, **more)


class Log(list[str]):
    """What happened, in order; a line can be awaited."""

    def __init__(self) -> None:
        super().__init__()
        self._awaited: dict[str, asyncio.Event] = {}

    def append(self, line: str) -> None:
        super().append(line)
        self._awaited.setdefault(line, asyncio.Event()).set()

    async def reached(self, line: str) -> None:
        await self._awaited.setdefault(line, asyncio.Event()).wait()


@dataclass
class ScriptedStore:
    """Verifies checksums as S3 does. `on[call]` runs before a call takes effect and may raise or wait."""

    provider: Provider = field(default_factory=lambda: profile(ProviderName.AWS))
    log: "Log" = field(default_factory=lambda: Log())
    on: dict[str, Callable[..., object]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    options: dict[str, ObjectOptions] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    part_sizes: list[int] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def _step(self, call: str, *seen: object) -> None:
        if step := self.on.get(call):
            await step(*seen)  # type: ignore[misc]

    async def put_object(
        self,
        at: Destination,
        body: memoryview,
        options: ObjectOptions,
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        self.log.append("put")
        await self._step("put")
        _verify(body, checksum)
        return self._stand(at, bytes(body), options, checksum)

    async def create_upload(
        self, at: Destination, options: ObjectOptions, checksum: ChecksumKind = ChecksumKind.NONE
    ) -> str:
        self.log.append("create")
        await self._step("create")
        upload_id = f"u{len(self.uploads) + 1}"
        self.uploads[upload_id] = {}
        self.options[upload_id] = options
        self.log.append("created")
        return upload_id

    async def upload_part(
        self, at: Destination, upload_id: str, number: int, body: memoryview, checksum: Checksum | None = None
    ) -> Part:
        self.log.append(f"part {number}")
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            await self._step("part", number)
            _verify(body, checksum)
            self.uploads[upload_id][number] = bytes(body)
            self.part_sizes.append(len(body))
            self.log.append(f"part {number} ok")
            return Part(number=number, size=len(body), etag=f'"{md5(body).hexdigest()}"', checksum=checksum)
        finally:
            self.in_flight -= 1

    async def complete_upload(
        self,
        at: Destination,
        upload_id: str,
        parts: Sequence[Part],
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        self.log.append("complete")
        await self._step("complete")
        assert [part.number for part in parts] == list(range(1, len(parts) + 1))
        content = b"".join(self.uploads[upload_id][part.number] for part in parts)
        _verify(memoryview(content), checksum)
        del self.uploads[upload_id]
        return self._stand(at, content, self.options[upload_id], checksum)

    async def abort_upload(self, at: Destination, upload_id: str) -> None:
        self.log.append(f"abort with {self.in_flight} in flight")
        await self._step("abort")
        self.uploads.pop(upload_id, None)
        self.log.append("aborted")

    def _stand(
        self, at: Destination, content: bytes, options: ObjectOptions, checksum: Checksum | None
    ) -> StoredObject:
        self.objects[at.key] = content
        self.options[at.key] = options
        return StoredObject(size=len(content), etag=f'"{md5(content).hexdigest()}"', checksum=checksum)


def _verify(body: memoryview, checksum: Checksum | None) -> None:
    if checksum is not None and checksums.compute(checksum.kind, body) != checksum:
        raise ChecksumMismatch("BadDigest")


def new_object(kind: ChecksumKind = ChecksumKind.CRC64NVME) -> NewObject:
    """Without a transfer id, so that no HEAD follows a write."""
    return NewObject(at=AT, options=ObjectOptions(), checksum=kind)


def job(cut: Cut, kind: ChecksumKind = ChecksumKind.CRC64NVME, **demands: object) -> Job:
    return Job(transfer_id="t1", new=new_object(kind), cut=cut, demands=SourceDemands(**demands))  # type: ignore[arg-type]


def parts_of(size: int, concurrency: int = 3) -> Cut:
    return Cut(TransferKind.MULTIPART, size, concurrency)


def whole(length: int) -> Cut:
    return Cut(TransferKind.PUT, length, 1)


def pieces(content: bytes, sizes: Iterable[int]) -> list[bytes]:
    """`content` cut at `sizes`, the rest at the end."""
    cut, offset = [], 0
    for size in sizes:
        cut.append(content[offset : offset + size])
        offset += size
    return [*cut, content[offset:]]
