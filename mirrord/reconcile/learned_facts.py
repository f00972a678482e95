"""What stores do otherwise than asked, learned from their answers to real requests: kept in the journal for 30 days.

Owns what is learned after a copy: that a store refuses If-None-Match, and that it ignored an option of the object (one
HEAD for each endpoint, option and kind of write). Nothing is written to a store to find out. A fact counts until the
store's Server header changes. `s3` reads the answers; `providers` has what is known before the first request.
"""

from collections.abc import AsyncIterator, Callable
from logging import getLogger

from mirrord.errors import JournalError, StoreError
from mirrord.model import Item, LearnedFact, TransferKind
from mirrord.ports import JournalRecords, ObjectStore
from mirrord.ports.learned import KEPT_FOR
from mirrord.providers import facts_of
from mirrord.providers.facts import IGNORED, FactName
from mirrord.transfer.conditions import RefusedConditions

_log = getLogger(__name__)

_CONDITIONS = "If-None-Match"
_DEFAULT_CLASS = "STANDARD"
"""What a store uses if no class is asked for: whether it keeps this one needs no HEAD."""


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

    async def _options(self, item: Item, store: ObjectStore, kind: TransferKind) -> AsyncIterator[tuple[str, str]]:
        """The wanted options of which nothing was known: name of the fact, and its text."""
        for option, difference in _DIFFERENCES.items():
            name = f"{option} by {kind}"
            asked = item.destination.endpoint, name
            wanted = getattr(item.options.object, option)
            if not wanted or wanted == _DEFAULT_CLASS or asked in self._asked or self._is_known(item, store, name):
                continue
            self._asked.add(asked)  # by one of many copies that end at the same time
            try:
                if (text := await difference(item, store)) is not None:
                    yield name, text
            finally:
                self._asked.discard(asked)

    def _is_known(self, item: Item, store: ObjectStore, name: str) -> bool:
        known = self._known.get((item.destination.endpoint, name))
        return known is not None and self._holds(known, store)

    def _holds(self, fact: LearnedFact, store: ObjectStore) -> bool:
        same = not store.server or store.server == fact.server
        return same and self._now() - fact.when < KEPT_FOR

    async def _learn(self, item: Item, store: ObjectStore, name: str, text: str) -> None:
        at = item.destination
        if text and name != _CONDITIONS:
            text = f"store {at.store!r} {text} ({name.partition(' ')[2]}, seen at {at})"
        fact = LearnedFact(endpoint=at.endpoint, name=name, server=store.server, text=text, when=self._now())
        self._known[at.endpoint, name] = fact
        if text:
            _log.warning("%s", text)
        if self._journal is not None:
            await self._journal.learn(fact)


async def _acl_difference(_item: Item, store: ObjectStore) -> str:
    """No HEAD shows an ACL: the profile tells."""
    return "ignores object.acl" if facts_of(store.provider.name).value(FactName.ACL) == IGNORED else ""


async def _class_difference(item: Item, store: ObjectStore) -> str | None:
    wanted, details = item.options.object.storage_class, await store.inspect_object(item.destination)
    shown = (details and details.storage_class) or _DEFAULT_CLASS
    if details is None:
        return None
    return "" if shown == wanted else f"shows the storage class {shown} where {wanted} was asked"


async def _tags_difference(item: Item, store: ObjectStore) -> str | None:
    """Not all stores show the number of tags: then they are asked for."""
    wanted, details = item.options.object.tags, await store.inspect_object(item.destination)
    if details is None:
        return None
    if details.tags == len(wanted) or await store.get_tags(item.destination) == wanted:
        return ""
    return "drops object.tags"


_DIFFERENCES = {"acl": _acl_difference, "storage_class": _class_difference, "tags": _tags_difference}
"""How the store treated an option of the object; empty: as asked; None: the object is gone."""
