"""The lists of the manifests, read once, for programs that end.

Owns the order of the lists, the claims of their rows on objects, and what is reported of a list that is incomplete. A
row whose object belongs to a mirror or to an earlier row is a bad row.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import random

from mirrord.declared import ListSpec
from mirrord.errors import Recovery, SourceError
from mirrord.frozen import frozen
from mirrord.model import Item
from mirrord.planning.timing.backoff import Backoff, exhausted, pause
from mirrord.ports import Source
from mirrord.sources.list.intake import Claim, list_name
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
    _spools: list[ListSpool] = field(default_factory=list, init=False)
    _claims: dict[int, int] = field(default_factory=dict, init=False)
    """By item id as a number: the list's number and the row's line, in one number to save memory."""

    def __iter__(self) -> Iterator[Item]:
        for spool in self._spools:
            yield from spool

    def of_files(self) -> Iterator[Item]:
        """The items of the lists that name local files."""
        return (item for spool in self._spools if spool.has_files for item in spool)

    def __contains__(self, item_id: str) -> bool:
        return int(item_id, 16) in self._claims

    def number_of(self, item_id: str) -> int | None:
        """The number of the list that has the item; None: no list has it."""
        claim = self._claims.get(int(item_id, 16))
        return None if claim is None else claim >> _LINE_BITS

    def numbers(self) -> Iterator[tuple[str, int]]:
        """The id of each item, with the number of its list."""
        return ((f"{mark:016x}", claim >> _LINE_BITS) for mark, claim in self._claims.items())

    def begin(self, spec: ListSpec) -> ListSpool:
        """The rows of one more list."""
        self._spools.append(ListSpool(spec))
        return self._spools[-1]

    def claim(self, number: int, specs: Sequence[ListSpec], mirrors: Mapping[str, str], item: Item, line: int) -> str:
        """See `Claim`: for the list of this number. `mirrors`: entries by item id."""
        if (entry := mirrors.get(item.id)) is not None:
            return f"{item.destination} is also the object of {entry}; one object, one item"
        claim = (number << _LINE_BITS) | line
        first = self._claims.setdefault(int(item.id, 16), claim)
        if first == claim:
            return ""
        earlier = f"{list_name(specs[first >> _LINE_BITS])}:{first & ((1 << _LINE_BITS) - 1)}"
        return f"{item.destination} is also the object of {earlier}; one object, one item"


@frozen(kw_only=True)
class ListReader:
    """Reads lists with the adapters of one program. `retries`: of transient errors."""

    source_of: ListSourceOf
    sleep: Sleep
    retries: Backoff = _NO_RETRIES

    async def read(self, specs: Sequence[ListSpec], mirrors: Mapping[str, str]) -> ListedItems:
        """Read all lists, one after the other. `mirrors`: the entries of the other items, by item id."""
        listed = ListedItems()
        for number, spec in enumerate(specs):
            spool, claim = listed.begin(spec), partial(listed.claim, number, specs, mirrors)
            faults = list(await self._faults(spec, claim, spool))
            listed.faults += faults
            if faults:
                listed.incomplete.add(spec.entry)
        return listed

    async def _faults(self, spec: ListSpec, claim: Claim, spool: ListSpool) -> Iterable[str]:
        """Read one list into the spool, and return what is wrong with it."""
        from mirrord.sources.list.reader import read_list  # imports asyncio: 50 ms that `validate` does not need

        failures = 0
        while True:
            try:
                reading = await read_list(spec, self.source_of(spec), claim, spool.add)
            except SourceError as error:
                failures += 1
                if error.recovery is not Recovery.RETRY or exhausted(self.retries, failures):
                    return [str(error)]
                await self.sleep(pause(self.retries, failures, random(), error.retry_after))
            else:
                return reading.faults if reading is not None else ()
