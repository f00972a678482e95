"""What to do about one item, from what is desired, recorded and observed. Pure: no I/O, no clock.

Owns the rules of `overwrite`, `drift`, adoption and "unchanged", and when a file's bytes may speak for it. Hands on a
`Decision`; `reconcile` carries it out, `plan` prints it.
"""

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from math import inf
from operator import attrgetter
from typing import Any

from mirrord.errors import Reason
from mirrord.model import (
    META_SHA256,
    META_TRANSFER,
    META_VALIDATOR,
    ChecksumKind,
    Drift,
    Integrity,
    Item,
    ObjectOptions,
    Observed,
    Overwrite,
    Record,
    Revision,
    StoredObject,
)
from mirrord.planning.decisions.describe import validator
from mirrord.planning.decisions.identity import same_revision
from mirrord.planning.decisions.object_identity import is_recorded

_UNPROVEN = "the declared checksum was not proven on these bytes"


class Action(StrEnum):
    KEEP = "keep"  # the object equals the source
    ADOPT = "adopt"  # it does, but the journal did not know
    COPY = "copy"
    COMPARE = "compare"  # the file looks changed: read it, then decide again
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Decision:
    """`message` says why, in a person's words; `drifted` that the object changed behind our back."""

    action: Action
    message: str
    reason: Reason | None = None
    drifted: bool = False


_SINGLE = tuple(one.name for one in fields(ObjectOptions) if one.name not in ("metadata", "tags"))
_single = attrgetter(*_SINGLE)


def options_digest(options: ObjectOptions) -> str:
    """What the object was written with: another digest means the object must be written again."""
    metadata, tags = sorted(options.metadata.items()), sorted(options.tags.items())  # sorted: order means nothing
    return _digest(_single(options), tuple(metadata), tuple(tags))


@lru_cache(maxsize=256)  # asked of each item at each look, and many items have the same options
def _digest(
    single: tuple[object, ...], metadata: tuple[tuple[str, str], ...], tags: tuple[tuple[str, str], ...]
) -> str:
    bare: dict[str, Any] = dict(zip(_SINGLE, single, strict=True))
    return sha256(repr((ObjectOptions(**bare), [*metadata], [*tags])).encode()).hexdigest()[:16]


DRIFT_EVERY = 60.0
"""Seconds between two looks at an object whose source is looked at more often: a HEAD costs more than a 304."""


def needs_head(item: Item, record: Record | None, since: float = inf) -> bool:
    """Whether the store must be asked; `since` is how many seconds ago it last was.

    Not when the journal knows the object and drift is ignored, or was looked for just now.
    """
    if record is None or record.revision is None or item.options.overwrite is not Overwrite.ALWAYS:
        return True
    return item.options.drift is not Drift.IGNORE and since >= DRIFT_EVERY


def known_revision(
    item: Item, record: Record | None, standing: StoredObject | None, *, asked: bool = True
) -> Revision | None:
    """The revision that makes a conditional question to the source safe; None if a copy is due whatever it says."""
    if record is None or record.revision is None or _rewritten(item, record):
        return None
    if not _proven(item, record.revision) or _unread(item, record):
        return None
    if asked and _drift(item, record, standing) and item.options.drift is Drift.REPAIR:
        return None
    return record.revision


def decide(
    item: Item,
    record: Record | None,
    standing: StoredObject | None,
    observed: Observed | None,
    *,
    asked: bool = True,
    equal: bool | None = None,
) -> Decision:
    """Decide about one item.

    `observed=None`: the source says that it still is `known_revision`. `standing=None`: the store has no object
    there; with `asked=False` nobody knows, and nobody needs to (`needs_head`). `equal`: whether the source's bytes are
    those that the record has a checksum of; None: they were not read, and COMPARE asks for it where that may spare a
    copy.
    """
    if record is None or record.revision is None:
        decision = _first_look(item, standing, observed)
    else:
        decision = _next_look(item, record, observed, _drift(item, record, standing) if asked else None, equal)
    if decision.action is Action.COPY and standing is not None and (why := _protected(item, record, standing)):
        message = f"{decision.message}, but {item.destination} {why}: delete it or change `to`"
        return Decision(Action.BLOCK, message, Reason.CONFLICT, decision.drifted)
    return decision


def _protected(item: Item, record: Record | None, standing: StoredObject) -> str | None:
    """Why the object that stands may not be overwritten; None if it may."""
    if item.options.overwrite is Overwrite.NEVER:
        return "exists and overwrite is never"
    written = META_TRANSFER in standing.metadata or (record is not None and record.object.etag == standing.etag)
    if item.options.overwrite is Overwrite.OWNED and not written:
        return "was not written by mirrord and overwrite is owned"
    return None


def _first_look(item: Item, standing: StoredObject | None, observed: Observed | None) -> Decision:
    if standing is None:
        return Decision(Action.COPY, "the object is missing")
    ours = standing.metadata.get(META_VALIDATOR)
    if observed is None or ours is None or ours != validator(observed.revision):
        return Decision(Action.COPY, "another object stands there")
    if not _proven(item, adopted(observed.revision, standing)):
        return Decision(Action.COPY, _UNPROVEN)
    return Decision(Action.ADOPT, "the object already holds this revision")


def _next_look(
    item: Item, record: Record, observed: Observed | None, drift: str | None, equal: bool | None
) -> Decision:
    if drift and item.options.drift is Drift.REPORT:
        return Decision(Action.BLOCK, drift, Reason.DRIFTED, drifted=True)
    if drift:
        return Decision(Action.COPY, drift, drifted=True)
    if _rewritten(item, record):
        return Decision(Action.COPY, "the object's options changed")
    if record.revision is not None and not _proven(item, record.revision):
        return Decision(Action.COPY, _UNPROVEN)
    if _unread(item, record):
        return Decision(Action.COPY, "the object was not read back")
    if observed is None or (_same(observed.revision, record.revision) and validator(observed.revision)):
        return Decision(Action.KEEP, "unchanged")
    if equal is None and _comparable(record, observed):
        return Decision(Action.COMPARE, "the file was touched: its bytes may be the same")
    if equal:
        return Decision(Action.KEEP, "touched: the same bytes")
    return Decision(Action.COPY, "the source changed")


_SURE = frozenset({ChecksumKind.CRC64NVME, ChecksumKind.SHA256, ChecksumKind.MD5})
"""A question that is asked of each touched file for years is not for 32 bits to answer."""


def identifies_bytes(record: Record) -> bool:
    """Whether the record has a checksum that tells the object's bytes from any others, and the copy was proven."""
    if record.object.etag is None or record.revision is None or record.object.integrity is Integrity.LENGTH:
        return False
    return record.revision.digest is not None or (
        record.object.checksum is not None and record.object.checksum.kind in _SURE
    )


def _comparable(record: Record, observed: Observed) -> bool:
    """Whether reading the source may show that nothing changed. Files only: to read them costs no network. Their ctime
    alone is no reason to believe in a chmod, for whoever sets mtime back leaves the same trace."""
    if observed.revision.file is None or record.revision is None or record.revision.file is None:
        return False
    return observed.revision.length == record.object.size and identifies_bytes(record)


def _drift(item: Item, record: Record, standing: StoredObject | None) -> str | None:
    """What another program did to the object; None: nothing, or the entry ignores it."""
    if item.options.drift is Drift.IGNORE:
        return None
    if standing is None:
        return "the object was deleted"
    return None if is_recorded(record, standing) else "the object was replaced"


def _rewritten(item: Item, record: Record) -> bool:
    return record.object.options_digest != options_digest(item.options.object)


def _same(now: Revision, then: Revision | None) -> bool:
    """Digests count only where both are known: that of `then` was learned while the bytes were read."""
    if then is not None and None in (now.digest, then.digest):
        then = replace(then, digest=now.digest)
    return same_revision(now, then)


def _proven(item: Item, revision: Revision) -> bool:
    """Whether the bytes of `revision` are known to meet what is declared; a list is not asked for what it says now."""
    declared = item.options.requires.checksum
    if declared is None:
        return True
    return revision.digest is not None and revision.digest == f"sha256:{declared.sha256 or revision.digest[7:]}"


def _unread(item: Item, record: Record) -> bool:
    """Whether the proof that the manifest asks for is owed. What was adopted counts as it stands."""
    return item.options.readback and record.object.integrity not in (None, Integrity.READBACK)


def adopted(revision: Revision, standing: StoredObject) -> Revision:
    """`revision` with the digest that our own stamp on the object remembers."""
    digest = standing.metadata.get(META_SHA256)
    return replace(revision, digest=f"sha256:{digest}") if digest else revision
