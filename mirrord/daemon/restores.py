"""Restores that users asked for, each in the place of its item's next check: so no check runs at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mirrord.errors import JournalError, MirrordError, RestoreRefused
from mirrord.frozen import frozen
from mirrord.model import Item, Outcome, Record
from mirrord.ports import ObjectStore
from mirrord.reconcile.restore import Restoration
from mirrord.scheduling.scheduler import Reconcile

_UNSCHEDULED = "it is not checked: it left the manifests, or its list was not read yet"


@frozen
class _Request:
    version_id: str
    answer: asyncio.Future[Record]


@dataclass(slots=True)
class RequestedRestores:
    """`reconcile` is the check that the scheduler makes."""

    checks: Reconcile
    restoration: Restoration
    store_of: Callable[[Item], Awaitable[ObjectStore]]
    _requests: dict[str, _Request] = field(default_factory=dict, init=False)

    async def request(self, item_id: str, version_id: str, trigger: Callable[[str], Awaitable[bool]]) -> Record | None:
        """Restore the version at the item's next check, which is triggered; None: there is no such item.

        Raises RestoreRefused, StoreError and JournalError. A second request for the item replaces the first.
        """
        request = _Request(version_id, asyncio.get_running_loop().create_future())
        before, self._requests[item_id] = self._requests.get(item_id), request
        if before is not None and not before.answer.done():
            before.answer.set_exception(RestoreRefused("another restore of this item was requested after it"))
        try:
            if not await trigger(item_id):
                return None
            return await request.answer
        finally:
            if self._requests.get(item_id) is request:
                del self._requests[item_id]

    def refuse_unscheduled(self, item_of: Callable[[str], Item | None]) -> None:
        """Refuse what was requested of items that are no longer scheduled: no check of them comes."""
        for item_id, request in list(self._requests.items()):
            if item_of(item_id) is None and not request.answer.done():
                request.answer.set_exception(RestoreRefused(_UNSCHEDULED))

    async def reconcile(self, item: Item, failures: int) -> Outcome:
        request = self._requests.pop(item.id, None)
        if request is not None and item.gone:
            request.answer.set_exception(RestoreRefused(f"{item.destination}: its object is to be deleted"))
        elif request is not None:
            await self._restore(item, request)
        return await self.checks(item, failures)

    async def _restore(self, item: Item, request: _Request) -> None:
        try:
            record = await self.restoration.restore(item, await self.store_of(item), request.version_id)
        except BaseException as error:
            if not request.answer.done():
                request.answer.set_exception(error if isinstance(error, Exception) else MirrordError("interrupted"))
            if isinstance(error, MirrordError) and not isinstance(error, JournalError):
                return
            raise
        if not request.answer.done():
            request.answer.set_result(record)
