"""What a listing of a bucket may decide about an item, and when a listing is cheaper than HEADs. Pure.

Owns the rule that a listing only spares the HEAD of an object that is as recorded, or, before a conditional put, of one
that does not exist. It never proves a copy, an adoption, a conflict, a deletion or a prune. A file that appears while
the program runs, and has no record, needs no listing before such a put: its key is probably free.
"""

from enum import Enum
from math import ceil

from mirrord.model import FileIdentity, Observed, Overwrite, Record
from mirrord.planning.decisions.decide import DRIFT_EVERY, Action, Decision
from mirrord.units import MiB

PAGE = 1_000
"""Objects in one answer to ListObjectsV2, at most."""
PAGE_COST = 12
"""HEADs that cost a store and this program as much as one page."""
GOOD_FOR = 600.0
"""Seconds for which a listing shows what is at the store."""
MOST_UNSEEN = 16 * MiB
"""Bytes of the largest object that is sent to a key of which only a listing shows that it is free: if the store then
refuses the write, the bytes were sent in vain."""
MOST_IN_VAIN = MiB
"""The same, for a key of which no listing shows that it is free."""


class Verdict(Enum):
    """What a listing shows of an item's object."""

    AS_RECORDED = "as recorded"  # key, size and ETag equal the record
    ABSENT = "absent"  # a complete listing lacks the key
    OTHER = "other"  # there is an object, and it is not recorded like that
    PROBABLY_ABSENT = "probably absent"  # no listing shows the key, and its file has just appeared
    UNKNOWN = "unknown"  # no listing, or an incomplete one without the key

    @property
    def is_free(self) -> bool:
        """The key is free or probably is, so that a put with If-None-Match may follow without a HEAD."""
        return self in (Verdict.ABSENT, Verdict.PROBABLY_ABSENT)


def has_just_appeared(file: FileIdentity, since: float) -> bool:
    """Whether a file was created, moved or changed after `since` (seconds since the epoch), when the program began to
    watch its folder. The ctime shows that, because no program can set it."""
    return file.ctime_ns >= since * 1e9


def listing_cost(items: int) -> int:
    """The cost of listing at least `items` objects, in HEADs."""
    return PAGE_COST * max(1, ceil(items / PAGE))


def is_worth_listing(left: int, objects: int) -> bool:
    """Whether a listing of probably `objects` objects is cheaper than HEADs of the `left` items to be checked."""
    return listing_cost(max(left, objects)) < left


def is_abandoned(pages: int, left: int) -> bool:
    """Whether a listing of `pages` pages so far, of which the last is not the end, has cost more than HEADs of the
    `left` items that were to be checked when it began."""
    return pages * PAGE_COST > left


def good_for(every: float | None) -> float:
    """For how many seconds a listing spares HEADs of items whose objects are checked every `every` seconds: they share
    that check. None: they are checked once, and the listing must show the store as it is now."""
    return GOOD_FOR if every is None else max(every, DRIFT_EVERY)


def spares_head(record: Record | None, overwrite: Overwrite, verdict: Verdict, *, conditions: bool) -> bool:
    """Whether the check of an item begins without a HEAD. `conditions`: the store is known to honour If-None-Match."""
    if record is not None and record.revision is not None:
        return verdict is Verdict.AS_RECORDED
    return verdict.is_free and (conditions or overwrite is Overwrite.ALWAYS)


def suffices(verdict: Verdict, decision: Decision, observed: Observed | None) -> bool:
    """Whether the check can end with `decision`, made without a HEAD. Every write but a small one to a new key needs
    one."""
    if decision.action is Action.KEEP:
        return True
    length = observed.revision.length if observed is not None else None
    new = verdict.is_free and decision.action is Action.COPY
    return new and length is not None and length <= (MOST_UNSEEN if verdict is Verdict.ABSENT else MOST_IN_VAIN)
