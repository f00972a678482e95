"""What stores do otherwise than asked, learned from their answers to real requests: kept in the journal for 30 days.

Owns what is learned after a copy: that a store refuses If-None-Match, or is not known to keep it where that counts;
that its server has a known fault; that it ignored options of the object (one HEAD for each endpoint, option and kind of
write; `planning.decisions.kept_options` compares). Nothing is written to a store to find out. A fact counts until the
store's Server header changes. `s3` reads the answers; `providers` has what is known before the first request.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from logging import getLogger

from mirrord.errors import JournalError, StoreError
from mirrord.model import Item, LearnedFact, ObjectDetails, ObjectOptions, Overwrite, TransferKind
from mirrord.planning.decisions.kept_options import DEFAULT_CLASS, DIFFERENCES
from mirrord.ports import JournalRecords, ObjectStore
from mirrord.ports.learned import KEPT_FOR
from mirrord.providers import facts_of
from mirrord.providers.facts import IGNORED, FactName
from mirrord.providers.faults import known_faults
from mirrord.transfer.conditions import RefusedConditions

_log = getLogger(__name__)

_CONDITIONS = "If-None-Match"
_UNPROTECTED = "If-None-Match by profile"
_FAULTS = "faults"
_HEAD_PROTECTS = "`overwrite: owned` and `never` rely on a HEAD just before each write"
_ACL = "acl"


class LearnedFacts:
    """The facts of all stores. Without a journal they last as long as the process."""

    def __init__(self, journal: JournalRecords | None, now: Callable[[], float]) -> None:
        self.refused_conditions = RefusedConditions()
        self._journal = journal
        self._now = now
        self._asked = set[tuple[str, str]]()
        self._known: dict[tuple[str, str], LearnedFact] = {}
        self._recalled = journal is None

    async def recall(self) -> None:
        """Read what earlier processes learned; once."""
        if self._recalled or self._journal is None:
            return
        self._recalled = True
        for fact in await self._journal.learned(self._now() - KEPT_FOR):
            self._known.setdefault((fact.endpoint, fact.name), fact)
            if fact.name == _CONDITIONS and fact.text:
                self.refused_conditions.add(fact.endpoint)

    async def after_copy(self, item: Item, store: ObjectStore, kind: TransferKind) -> None:
        """Learn from the copy of an item that was recorded just now."""
        try:
            await self._learn_conditions(item, store)
            await self._learn_of_server(item, store)
            async for name, text in self._options(item, store, kind):
                await self._learn(item, store, name, text)
        except (StoreError, JournalError) as error:
            _log.debug("what the store kept of %s is not known: %s", item.destination, error)

    async def _learn_conditions(self, item: Item, store: ObjectStore) -> None:
        endpoint = item.destination.endpoint
        known = self._known.get((endpoint, _CONDITIONS))
        if known is not None and known.text and not self._holds(known, store):
            self.refused_conditions.forget(endpoint)
            del self._known[endpoint, _CONDITIONS]
        elif endpoint in self.refused_conditions and known is None:
            text = f"store {item.destination.store!r} refuses If-None-Match: each write needs a HEAD before it"
            await self._learn(item, store, _CONDITIONS, text)

    async def _learn_of_server(self, item: Item, store: ObjectStore) -> None:
        """What needs no further request: the known faults of its version, and whether a condition protects objects."""
        at = item.destination
        if store.server and not self._is_known(item, store, _FAULTS):
            faults = "; ".join(known_faults(store.server))
            await self._learn(item, store, _FAULTS, faults and f"store {at.store!r} runs {faults}")
        if item.options.overwrite is Overwrite.ALWAYS or store.provider.conditional_puts:
            return
        if at.endpoint not in self.refused_conditions and not self._is_known(item, store, _UNPROTECTED):
            text = f"store {at.store!r} is not known to keep If-None-Match: {_HEAD_PROTECTS}"
            await self._learn(item, store, _UNPROTECTED, text)

    async def _options(self, item: Item, store: ObjectStore, kind: TransferKind) -> AsyncIterator[tuple[str, str]]:
        """The wanted options of which nothing was known: name of the fact, and its text. One HEAD for all of them."""
        wanted = [option for option in _DIFFERENCES if self._is_to_learn(item, store, option, kind)]
        asked = {(item.destination.endpoint, f"{option} by {kind}") for option in wanted}
        self._asked |= asked  # by one of many copies that end at the same time
        try:
            details = await store.inspect_object(item.destination) if wanted and wanted != [_ACL] else None
            for option in wanted:
                if details is not None or option == _ACL:
                    text, at = await _DIFFERENCES[option](item, store, details), item.destination
                    yield f"{option} by {kind}", text and f"store {at.store!r} {text} (by {kind}, seen at {at})"
        finally:
            self._asked -= asked

    def _is_to_learn(self, item: Item, store: ObjectStore, option: str, kind: TransferKind) -> bool:
        wanted, name = getattr(item.options.object, option), f"{option} by {kind}"
        if not wanted or wanted == DEFAULT_CLASS or (item.destination.endpoint, name) in self._asked:
            return False
        return not self._is_known(item, store, name)

    def _is_known(self, item: Item, store: ObjectStore, name: str) -> bool:
        known = self._known.get((item.destination.endpoint, name))
        return known is not None and self._holds(known, store)

    def _holds(self, fact: LearnedFact, store: ObjectStore) -> bool:
        same = not store.server or store.server == fact.server
        return same and self._now() - fact.when < KEPT_FOR

    async def _learn(self, item: Item, store: ObjectStore, name: str, text: str) -> None:
        at = item.destination
        fact = LearnedFact(endpoint=at.endpoint, name=name, server=store.server, text=text, when=self._now())
        self._known[at.endpoint, name] = fact
        if text:
            _log.warning("%s", text)
        if self._journal is not None:
            await self._journal.learn(fact)


_Difference = Callable[[Item, ObjectStore, "ObjectDetails | None"], Awaitable[str]]
"""How the store treated an option of an object that a HEAD shows so; empty: as asked."""


async def _acl_difference(_item: Item, store: ObjectStore, _details: ObjectDetails | None) -> str:
    """No HEAD shows an ACL: the profile tells."""
    return "ignores object.acl" if facts_of(store.provider.name).value(FactName.ACL) == IGNORED else ""


async def _tags_difference(item: Item, store: ObjectStore, details: ObjectDetails | None) -> str:
    """Not all stores show the number of tags: then they are asked for."""
    wanted = item.options.object.tags
    if details is not None and details.tags == len(wanted):
        return ""
    return "" if await store.get_tags(item.destination) == wanted else "drops object.tags"


def _shown(difference: Callable[[ObjectOptions, ObjectDetails], str]) -> _Difference:
    """The difference of an option that the HEAD alone shows."""

    async def compared(item: Item, _store: ObjectStore, details: ObjectDetails | None) -> str:
        return "" if details is None else difference(item.options.object, details)

    return compared


_DIFFERENCES: dict[str, _Difference] = {
    _ACL: _acl_difference,
    "tags": _tags_difference,
    **{option: _shown(difference) for option, difference in DIFFERENCES.items()},
}
