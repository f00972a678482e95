"""`sync`: checks every item once, now, and scans every folder once.

Owns the order of the run and its report. Ignores `every` and cron.
"""

from collections.abc import Sequence

from mirrord.engine.wiring import SYNC_RETRIES, Engine, engine
from mirrord.ports import Observer
from mirrord.programs.batches import RunningBatches
from mirrord.programs.desired import Desired, announce
from mirrord.programs.lists import ListReader
from mirrord.programs.report import Report
from mirrord.programs.snapshot import PlannedItem, Snapshot, SnapshotOptions
from mirrord.scheduling.workers import LastOf, Pauses, Slots, reconcile_with_retries, work_through
from mirrord.settings import Settings


async def sync(
    desired: Desired, settings: Settings, observer: Observer, only: Sequence[str] = (), prune_max: float | None = None
) -> Report:
    """Make every item of `desired` in sync; the report gives the reason for each that is not. Raises JournalError and
    its children only.

    `prune_max`: the share of an entry's objects, from 0 to 1, that may be deleted; None: at most ten, or a tenth.
    """
    announce(desired, observer)
    report = Report(problems=desired.problems)
    slots = Slots(settings.transfers)
    opening = engine(settings, desired.loaded.stores, observer, release=slots.wake)
    async with opening as opened, opened.sweeper.beside():
        began = opened.clock.monotonic()
        reader = ListReader(source_of=opened.list_source, sleep=opened.clock.sleep, retries=SYNC_RETRIES)
        desired = await desired.with_lists(reader)
        await opened.files.replace(desired.expansion.folders, desired.local_items())
        await opened.listings.replace(desired.items(only), desired.expansion.folders)
        batches = RunningBatches(batches=opened.file_batches, report=report)
        snapshot = Snapshot(
            desired=desired,
            journal=opened.journal,
            clock=opened.clock,
            observer=observer,
            options=SnapshotOptions(cause="sync", only=only, prune_max=prune_max),
            files=opened.files,
            listings=opened.listings,
            resume=opened.after_upload.resume,
            batches=batches,
        )
        async with batches:
            await _reconcile_all(snapshot, opened, report, slots)
        report.duration = opened.clock.monotonic() - began
    return report


async def _reconcile_all(snapshot: Snapshot, opened: Engine, report: Report, slots: Slots) -> None:
    """Reconcile the items of the snapshot, as many at a time as there are slots; deletions last."""
    order = LastOf(slots.left)

    async def handle(planned: PlannedItem) -> None:
        async with order.one_step(last=planned.item.gone):
            pauses = Pauses(slots, planned.item.id, opened.clock)
            outcome = planned.waits or await reconcile_with_retries(
                opened.after_upload, planned.item, pauses, planned.failed
            )
            report.add(planned.item, outcome)

    await work_through(snapshot.items(), handle, slots)
    report.incomplete = snapshot.incomplete
    report.unchanged += snapshot.unchanged
