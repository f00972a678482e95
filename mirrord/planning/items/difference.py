"""The difference between new desired items and those in force. Pure.

Owns which changes of an item invalidate its running transfer. `scheduling.scheduler` cancels and starts.
"""

from collections.abc import Collection, Mapping
from dataclasses import field, replace

from mirrord.frozen import frozen
from mirrord.model import Item


@frozen
class Difference:
    """Items by the kind of their change. Items in none of the lists did not change."""

    added: list[Item] = field(default_factory=list)
    changed: list[Item] = field(default_factory=list)
    """Another source, store or option: a running transfer is invalid."""
    rescheduled: list[Item] = field(default_factory=list)
    """Another `every` or cron: a running transfer stays valid."""
    renamed: list[Item] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.added, self.changed, self.rescheduled, self.renamed, self.removed))


def difference(old: Mapping[str, Item], new: Mapping[str, Item], changed_stores: Collection[str] = ()) -> Difference:
    """The changes from `old` to `new`, both by item id. All items of `changed_stores` (names) count as changed."""
    found = Difference(removed=[item_id for item_id in old if item_id not in new])
    for item_id, item in new.items():
        before = old.get(item_id)
        if before is None:
            found.added.append(item)
        elif item.destination.store in changed_stores:
            found.changed.append(item)
        elif before is not item and before != item:
            _kind(found, before, item).append(item)
    return found


def _kind(found: Difference, before: Item, item: Item) -> list[Item]:
    if not same_work(before, item):
        return found.changed
    return found.renamed if before.options == item.options else found.rescheduled


def same_work(old: Item, new: Item) -> bool:
    """Whether a transfer for `old` is also correct for `new`: they differ at most in entry, schedule and
    `stale_after`."""
    options = replace(old.options, schedule=new.options.schedule, stale_after=new.options.stale_after)
    return replace(old, entry=new.entry, options=options) == new
