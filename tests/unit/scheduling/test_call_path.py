"""The way of one item from the scheduler to the store: how many calls lie between its check and PutObject."""

import asyncio
import traceback
from pathlib import Path
from typing import Any

import mirrord
from mirrord.folders.after_upload import AfterUpload
from mirrord.folders.copy_proof import CopyProof
from mirrord.model import StoredObject
from mirrord.scheduling.queue import LocalQueue
from mirrord.scheduling.scheduler import Scheduler
from mirrord.testing import ManualClock, MemoryStore
from mirrord.transfer.budget import Budget
from mirrord.units import MiB
from tests.support.item_world import World

MOST_CALLS = 9
PACKAGE = Path(mirrord.__file__).parent


class TracedStore(MemoryStore):
    """Keeps the functions of mirrord that were called, outermost first, when an object was put."""

    calls: tuple[str, ...] = ()

    async def put_object(self, *given: Any, **more: Any) -> StoredObject:
        frames = [frame for frame in traceback.extract_stack() if Path(frame.filename).is_relative_to(PACKAGE)]
        self.calls = tuple(f"{Path(frame.filename).relative_to(PACKAGE)}:{frame.name}" for frame in frames)
        return await super().put_object(*given, **more)


async def test_few_calls_lie_between_a_check_and_the_stores_put() -> None:
    store, clock = TracedStore(), ManualClock()
    world = World(store=store)
    reconciler = world.reconciler
    after_upload = AfterUpload(
        reconciler=reconciler,
        quarantine=None,  # type: ignore[arg-type] # only for files of folders
        journal=world.journal,
        proof=CopyProof(
            journal=world.journal,
            store_of=reconciler.store_of,
            source_of=reconciler.source_of,
            budget=Budget(MiB),
            observer=world.events.append,
        ),
        observer=world.events.append,
        clock=clock,
    )
    scheduler = Scheduler(reconcile=after_upload.reconcile, queue=LocalQueue(clock), journal=world.journal, clock=clock)
    running = asyncio.create_task(scheduler.run(1))
    await scheduler.apply({world.item.id: world.item})
    await clock.run_ready()
    running.cancel()
    await asyncio.wait([running])
    assert store.calls[0] == "scheduling/scheduler.py:_check"
    assert len(store.calls) <= MOST_CALLS, store.calls
