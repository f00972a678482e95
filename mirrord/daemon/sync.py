"""`sync`: every item looked at once, now; folders scanned once; then the end.

Owns the order of the run and its report. `every` and cron are not asked.
"""

from collections.abc import Sequence

from mirrord.daemon.desired import Desired, announce
from mirrord.daemon.one_pass import OnePass, Turn
from mirrord.daemon.report import Report
from mirrord.daemon.wiring import engine
from mirrord.ports import Observer
from mirrord.scheduling.workers import LastOf, Pauses, Slots, settle, work_through
from mirrord.settings import Settings


async def sync(
    desired: Desired, settings: Settings, observer: Observer, only: Sequence[str] = (), prune_max: float | None = None
) -> Report:
    """Make every item of `desired` in sync, or say why it is not. Raises JournalError and its children only.

    `prune_max`: the share of an entry's objects, from 0 to 1, that may be deleted; None: at most ten, or a tenth.
    """
    announce(desired, observer)
    report = Report(problems=desired.problems)
    async with engine(settings, desired.loaded.stores, observer) as opened, opened.janitor.beside():
        began = opened.clock.monotonic()
        found = OnePass(desired, opened.journal, opened.clock, observer, only, "sync")
        found.own = settings.own_paths
        found.prune_max = prune_max
        found.resume = opened.departures.resume
        opened.overlaps.replace(desired.expansion.folders, desired.expansion.items)
        found.linked = opened.overlaps.refresh
        slots = Slots(settings.transfers)
        opened.breakers.release = slots.wake
        order = LastOf(slots.left)

        async def handle(turn: Turn) -> None:
            async with order.turn(last=turn.item.gone):
                pauses = Pauses(slots, turn.item.id, opened.clock)
                report.add(turn.item, turn.waits or await settle(opened.departures, turn.item, pauses))

        await work_through(found.items(), handle, slots)
        report.incomplete = found.incomplete
        report.duration = opened.clock.monotonic() - began
    return report
