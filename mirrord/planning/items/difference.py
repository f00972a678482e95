"""The difference between new desired items and those in force. Pure.

Owns which changes of an item invalidate its running transfer. `scheduling.scheduler` cancels and starts.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from mirrord.model import IdList, Item


@dataclass(slots=True)
class Difference:
    """Ids of items by the kind of their change. Items in none of the lists did not change."""

    added: IdList = field(default_factory=IdList)
    changed: IdList = field(default_factory=IdList)
    """Another source, store or option: a running transfer is invalid."""
    rescheduled: IdList = field(default_factory=IdList)
    """Another `every` or cron: a running transfer stays valid."""
    renamed: IdList = field(default_factory=IdList)
    """Another entry, also of items in `changed` and `rescheduled`."""
    removed: IdList = field(default_factory=IdList)

    def __bool__(self) -> bool:
        return any((self.added, self.changed, self.rescheduled, self.renamed, self.removed))

    def compare(
        self, item_id: str, old: Mapping[str, Item], new: Mapping[str, Item], changed_stores: Collection[str] = ()
    ) -> None:
        """Note what became of one item from `old` to `new`. All items of `changed_stores` (names) count as changed."""
        if item_id not in new:
            if item_id in old:
                self.removed.append(item_id)
        elif item_id not in old:
            self.added.append(item_id)
        else:
            before, item = old[item_id], new[item_id]
            changed = before is not item and before != item
            if item.destination.store in changed_stores or (changed and not same_work(before, item)):
                self.changed.append(item_id)
            elif changed and before.options != item.options:
                self.rescheduled.append(item_id)
            if before.entry != item.entry:
                self.renamed.append(item_id)


def same_work(old: Item, new: Item) -> bool:
    """Whether a transfer for `old` is also correct for `new`: they differ at most in entry, schedule and
    `stale_after`."""
    options = replace(old.options, schedule=new.options.schedule, stale_after=new.options.stale_after)
    return replace(old, entry=new.entry, options=options) == new
