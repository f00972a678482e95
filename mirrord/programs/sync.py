"""`sync`: checks every item once, now, and scans every folder once.

Owns the order of the run and its report. Ignores `every` and cron.
"""

from collections.abc import Sequence

from mirrord.engine.wiring import SYNC_RETRIES, Engine, engine
from mirrord.ports import Observer
from mirrord.programs.batches import RunningBatches
from mirrord.programs.desired import Desired, announce
from mirrord.programs.lists import ListReader
from mirrord.programs.planned import PlannedItem, SnapshotOptions
from mirrord.programs.report import Report
from mirrord.programs.report_file import ReportFile
from mirrord.programs.snapshot import Snapshot
from mirrord.scheduling.workers import LastOf, Pauses, Slots, reconcile_with_retries, work_through
from mirrord.settings import Settings


async def sync(
    desired: Desired,
    settings: Settings,
    observer: Observer,
    only: Sequence[str] = (),
    prune_max: float | None = None,
    file: ReportFile | None = None,
) -> Report:
    """Make every item of `desired` in sync; the report gives the reason for each that is not. Raises JournalError and
    its children only.

    `prune_max`: the share of an entry's objects, from 0 to 1, that may be deleted; None: at most ten, or a tenth.
    `file`: gets each item, and is ended in any case.
    """
    announce(desired, observer)
    report = Report(problems=desired.problems, each=file.add if file is not None else None)
    error = "interrupted"
    try:
        await _sync(
            desired,
            settings,
            observer,
            report,
            SnapshotOptions(cause="sync", only=only, prune_max=prune_max, file=file),
        )
        error = ""
    except Exception as failure:
        error = str(failure)
        raise
    finally:
        if file is not None:
            file.end(report, error)
    return report


async def _sync(
    desired: Desired, settings: Settings, observer: Observer, report: Report, options: SnapshotOptions
) -> None:
    slots = Slots(settings.transfers)
    opening = engine(settings, desired.loaded.stores, observer, release=slots.wake)
    async with opening as opened, opened.sweeper.beside():
        began = opened.clock.monotonic()
        clock = opened.clock
        reader = ListReader(source_of=opened.list_source, sleep=clock.sleep, retries=SYNC_RETRIES, now=clock.now)
        desired = await desired.with_lists(reader)
        await opened.files.replace(desired.expansion.folders, desired.local_items())
        await opened.listings.replace(desired.items(options.only), desired.expansion.folders)
        batches = RunningBatches(batches=opened.file_batches, report=report)
        snapshot = Snapshot(
            desired=desired,
            journal=opened.journal,
            clock=opened.clock,
            observer=observer,
            options=options,
            files=opened.files,
            listings=opened.listings,
            resume=opened.after_upload.resume,
            batches=batches,
        )
        async with batches:
            await _reconcile_all(snapshot, opened, report, slots)
        if options.file is not None:
            await options.file.flush_all(opened.journal)
        report.duration = opened.clock.monotonic() - began


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
            if snapshot.options.file is not None:
                await snapshot.options.file.flush(opened.journal)

    await work_through(snapshot.items(), handle, slots)
    report.incomplete = snapshot.incomplete
    report.unchanged += snapshot.unchanged
    report.guarded = snapshot.guarded
