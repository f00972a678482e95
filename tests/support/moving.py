"""Parts of tests of `transfer`: sources, specs, and a scripted store that records its calls in order."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from mirrord.model import (
    ChecksumKind,
    Destination,
    ObjectOptions,
    Part,
    PartSizes,
    ProviderName,
    StoredObject,
    TransferKind,
)
from mirrord.planning.transfers.parts import PartLayout
from mirrord.providers import Provider, profile
from mirrord.testing import MemoryObject, MemorySource, MemoryStore
from mirrord.transfer.spec import NewObject, SourceDemands, TransferSpec

AT = Destination("default", "http://store", "bucket", "key.bin")


def source_of(content: bytes, *, length: int | None = -1, step: int = 1 << 16, **more: Any) -> MemorySource:
    """A source that is read as one stream and declares this length; -1: the true one."""
    return MemorySource(content, ranges=False, step=step, claims=lambda size: size if length == -1 else length, **more)


class Log(list[str]):
    """The calls in order. A test can wait for a line."""

    def __init__(self) -> None:
        super().__init__()
        self._awaited: dict[str, asyncio.Event] = {}

    def append(self, line: str) -> None:
        super().append(line)
        self._awaited.setdefault(line, asyncio.Event()).set()

    async def reached(self, line: str) -> None:
        await self._awaited.setdefault(line, asyncio.Event()).wait()


class ScriptedStore(MemoryStore):
    """A store that takes parts of any size. `on[call]` runs before a call takes effect and may raise or wait."""

    def __init__(self, provider: Provider | None = None, on: dict[str, Callable[..., Any]] | None = None) -> None:
        super().__init__(replace(provider or profile(ProviderName.AWS), min_part=1))
        self.buckets[AT.bucket] = {}
        self.log = Log()
        self.on = on or {}
        self.part_sizes: list[int] = []
        self.in_flight = 0
        self.most_in_flight = 0

    @property
    def objects(self) -> dict[str, bytes]:
        return {key: kept.content for key, kept in self.buckets[AT.bucket].items()}

    def hold(self, content: bytes) -> None:
        """Put an object at `AT`."""
        stored = StoredObject(size=len(content), etag='"before"')
        self.buckets[AT.bucket][AT.key] = MemoryObject(content, stored, ObjectOptions())

    async def _step(self, call: str, *seen: object) -> None:
        if step := self.on.get(call):
            await step(*seen)

    async def put_object(self, *given: Any, **more: Any) -> StoredObject:
        self.log.append("put")
        await self._step("put")
        return await super().put_object(*given, **more)

    async def create_upload(self, *given: Any, **more: Any) -> str:
        self.log.append("create")
        await self._step("create")
        upload_id = await super().create_upload(*given, **more)
        self.log.append("created")
        return upload_id

    async def upload_part(self, at: Destination, upload_id: str, number: int, *given: Any) -> Part:
        self.log.append(f"part {number}")
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            await self._step("part", number)
            part = await super().upload_part(at, upload_id, number, *given)
            self.part_sizes.append(part.size)
            self.log.append(f"part {number} ok")
            return part
        finally:
            self.in_flight -= 1

    async def complete_upload(self, *given: Any, **more: Any) -> StoredObject:
        self.log.append("complete")
        await self._step("complete")
        return await super().complete_upload(*given, **more)

    async def abort_upload(self, at: Destination, upload_id: str) -> None:
        self.log.append(f"abort with {self.in_flight} in flight")
        await self._step("abort")
        await super().abort_upload(at, upload_id)
        self.log.append("aborted")


def new_object(kind: ChecksumKind = ChecksumKind.CRC64NVME) -> NewObject:
    """Without a transfer id, so that no HEAD follows a write."""
    return NewObject(at=AT, options=ObjectOptions(), checksum=kind)


def transfer_spec(layout: PartLayout, kind: ChecksumKind = ChecksumKind.CRC64NVME, **demands: object) -> TransferSpec:
    return TransferSpec(transfer_id="t1", new=new_object(kind), layout=layout, demands=SourceDemands(**demands))  # type: ignore[arg-type]


def parts_of(size: int, concurrency: int = 3) -> PartLayout:
    return PartLayout(TransferKind.MULTIPART, PartSizes.equal(size), concurrency)


def whole(length: int) -> PartLayout:
    return PartLayout(TransferKind.PUT, PartSizes.equal(length), 1)


def pieces(content: bytes, sizes: Iterable[int]) -> list[bytes]:
    """`content` cut at `sizes`, the rest at the end."""
    cut, offset = [], 0
    for size in sizes:
        cut.append(content[offset : offset + size])
        offset += size
    return [*cut, content[offset:]]
