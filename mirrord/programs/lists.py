"""The lists of the manifests, read once, for programs that end.

Owns the order of the lists, the claims of their rows on objects, and what is reported of a list that is incomplete. A
row whose object belongs to a mirror or to an earlier row is a bad row.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import random

from mirrord.declared import ListSpec
from mirrord.errors import Recovery, SourceError
from mirrord.frozen import frozen
from mirrord.model import IdTable, Item, Revision
from mirrord.planning.lists.rows import ListRow
from mirrord.planning.timing.backoff import Backoff, exhausted, pause
from mirrord.ports import Source
from mirrord.sources.list.intake import WRITTEN_WITHIN, Keep, list_name, may_be_written
from mirrord.sources.list.spool import ListSpool

ListSourceOf = Callable[[ListSpec], Source]
"""The list itself as a source."""
Sleep = Callable[[float], Awaitable[None]]
_LINE_BITS = 40
_NO_RETRIES = Backoff(tries=1)


@dataclass(slots=True)
class ListedItems:
    """The items of lists, and `faults`: a line for each bad row (bounded) and each list that is incomplete."""

    faults: list[str] = field(default_factory=list)
    incomplete: set[str] = field(default_factory=set)
    """The entries of lists of which a row is bad, or that were not read to their end."""
    fresh: list[Callable[[], Awaitable[str]]] = field(default_factory=list)
    """For each list that is a file which was written just before it was read: wait, then tell why nothing may leave
    because of it; empty: it is as it was read."""
    _spools: list[ListSpool] = field(default_factory=list, init=False)
    _claims: IdTable = field(default_factory=lambda: IdTable("Q"), init=False)
    """The list's number and the row's line, in one number."""

    def __iter__(self) -> Iterator[Item]:
        for spool in self._spools:
            yield from spool

    def of_files(self) -> Iterator[Item]:
        """The items of the lists that name local files."""
        return (item for spool in self._spools if spool.has_files for item in spool)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._claims

    def number_of(self, item_id: str) -> int | None:
        """The number of the list that has the item; None: no list has it."""
        claim = self._claims.get(item_id)
        return None if claim is None else claim[0] >> _LINE_BITS

    def numbers(self) -> Iterator[tuple[str, int]]:
        """The id of each item, with the number of its list."""
        for ids, claims in self._claims.shards():
            yield from ((f"{one:016x}", claim >> _LINE_BITS) for one, claim in zip(ids, claims, strict=True))

    def begin(self, spec: ListSpec) -> ListSpool:
        """The rows of one more list."""
        self._spools.append(ListSpool(spec))
        return self._spools[-1]

    def claim(self, number: int, specs: Sequence[ListSpec], mirrors: Mapping[str, str], item: Item, line: int) -> str:
        """Why the object of the item belongs to another item; empty: it does not. `number`: of its list; `line`: of its
        row; `mirrors`: entries by item id."""
        if (entry := mirrors.get(item.id)) is not None:
            return f"{item.destination} is also the object of {entry}; one object, one item"
        claim = (number << _LINE_BITS) | line
        known = self._claims.add(item.id, claim)
        if known is None or (first := known[0]) == claim:
            return ""
        earlier = f"{list_name(specs[first >> _LINE_BITS])}:{first & ((1 << _LINE_BITS) - 1)}"
        return f"{item.destination} is also the object of {earlier}; one object, one item"


@frozen(kw_only=True)
class ListReader:
    """Reads lists with the adapters of one program. `retries`: of transient errors. `now`: seconds since the epoch;
    None: it does not matter whether a list is still being written."""

    source_of: ListSourceOf
    sleep: Sleep
    retries: Backoff = _NO_RETRIES
    now: Callable[[], float] | None = None

    async def read(self, specs: Sequence[ListSpec], mirrors: Mapping[str, str]) -> ListedItems:
        """Read all lists, one after the other. `mirrors`: the entries of the other items, by item id."""
        listed = ListedItems()
        for number, spec in enumerate(specs):
            spool, claim = listed.begin(spec), partial(listed.claim, number, specs, mirrors)
            faults, revision = await self._read(spec, partial(_keep, claim, spool))
            listed.faults += faults
            if faults:
                listed.incomplete.add(spec.entry)
            elif self.now is not None and may_be_written(revision, self.now()):
                listed.fresh.append(partial(self._why_changed, spec, revision))
        return listed

    async def _why_changed(self, spec: ListSpec, read: Revision | None) -> str:
        await self.sleep(WRITTEN_WITHIN)
        try:
            async with self.source_of(spec) as source:
                changed = await source.probe(read) is not None
        except SourceError as error:
            return str(error)
        return f"{list_name(spec)} was being written while it was read: nothing leaves because of it" if changed else ""

    async def _read(self, spec: ListSpec, keep: Keep) -> tuple[list[str], Revision | None]:
        """Read one list, and return what is wrong with it, and its revision."""
        from mirrord.sources.list.reader import read_list  # imports asyncio: 50 ms that `validate` does not need

        failures = 0
        while True:
            try:
                reading = await read_list(spec, self.source_of(spec), keep)
            except SourceError as error:
                failures += 1
                if error.recovery is not Recovery.RETRY or exhausted(self.retries, failures):
                    return [str(error)], None
                await self.sleep(pause(self.retries, failures, random(), error.retry_after))
            else:
                return (list(reading.faults), reading.revision) if reading is not None else ([], None)


def _keep(claim: Callable[[Item, int], str], spool: ListSpool, item: Item, row: ListRow, line: int) -> str:
    if not (why := claim(item, line)):
        spool.add(item, row, line)
    return why
