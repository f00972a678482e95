"""A store in memory that records the calls that write or read bytes."""

from dataclasses import replace
from typing import Any

from mirrord.errors import MirrordError
from mirrord.model import Destination, Part, ProviderName, StoredObject
from mirrord.providers import profile
from mirrord.testing import MemoryStore


class Calls(MemoryStore):
    """Records its calls; `fails[call]` is raised instead, once for each error. `lies`: what a HEAD shows of copies."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(replace(profile(ProviderName.SEAWEEDFS), **limits))
        self.buckets["source"] = {}
        self.calls: list[str] = []
        self.fails: dict[str, list[MirrordError]] = {}
        self.lies: dict[str, Any] = {}

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.fails.get(name):
            raise self.fails[name].pop(0)

    async def put_object(self, *given: Any, **more: Any) -> StoredObject:
        self._called("put")
        return await super().put_object(*given, **more)

    async def upload_part(self, *given: Any) -> Part:
        self._called("part")
        return await super().upload_part(*given)

    async def copy_object(self, *given: Any, **more: Any) -> StoredObject:
        self._called("copy")
        stored = await super().copy_object(*given, **more)
        return replace(stored, **self.lies)

    async def copy_part(self, source: Any, at: Any, upload_id: str, number: int, *given: Any, **more: Any) -> Part:
        self._called(f"copy {number}")
        part = await super().copy_part(source, at, upload_id, number, *given, **more)
        self.calls.remove("part")
        return part

    async def head_object(self, at: Destination) -> StoredObject | None:
        stored = await super().head_object(at)
        return replace(stored, **self.lies) if stored is not None and "put" not in self.calls else stored

    def get_object(self, *given: Any, **more: Any) -> Any:
        self.calls.append("get")
        return super().get_object(*given, **more)
