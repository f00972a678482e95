"""What a new desired set changes about the one in force. Pure.

Owns which changes of an item make its running transfer void. Hands on a `Difference`; `scheduling.scheduler` cancels
and starts.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from mirrord.model import Item


@dataclass(frozen=True, slots=True)
class Difference:
    """Items by what happened to them; who is in none of the lists is as before."""

    added: list[Item] = field(default_factory=list)
    changed: list[Item] = field(default_factory=list)
    """Another source, store or option: what runs for it is void."""
    rescheduled: list[Item] = field(default_factory=list)
    """Another `every` or cron: what runs for it is not."""
    renamed: list[Item] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.added, self.changed, self.rescheduled, self.renamed, self.removed))


def difference(old: Mapping[str, Item], new: Mapping[str, Item], changed_stores: Collection[str] = ()) -> Difference:
    """From `old` to `new`, both by item id. Every item of `changed_stores` (by name) has changed."""
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
    """Whether what runs for `old` is what `new` asks for too: they differ in entry or schedule at most."""
    options = replace(old.options, schedule=new.options.schedule)
    return replace(old, entry=new.entry, options=options) == new
