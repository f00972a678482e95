"""What to do about one item, from what is desired, recorded and observed. Pure: no I/O, no clock.

Owns the rules of `overwrite`, `drift`, adoption and "unchanged". Hands on a `Decision`; `reconcile` carries it out,
`plan` prints it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256

from mirrord.errors import Reason
from mirrord.model import (
    META_VALIDATOR,
    Drift,
    Item,
    ObjectOptions,
    Observed,
    Overwrite,
    Record,
    Revision,
    StoredObject,
)
from mirrord.planning.describe import validator


class Action(StrEnum):
    KEEP = "keep"  # the object equals the source
    ADOPT = "adopt"  # it does, but the journal did not know
    COPY = "copy"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Decision:
    """`message` says why, in a person's words; `drifted` that the object changed behind our back."""

    action: Action
    message: str
    reason: Reason | None = None
    drifted: bool = False


def options_digest(options: ObjectOptions) -> str:
    """What the object was written with: another digest means the object must be written again."""
    bare = replace(options, metadata={}, tags={})
    parts = (bare, sorted(options.metadata.items()), sorted(options.tags.items()))  # sorted: order means nothing
    return sha256(repr(parts).encode()).hexdigest()[:16]


def needs_head(item: Item, record: Record | None) -> bool:
    """Whether the store must be asked: not when drift is ignored and the journal knows the object."""
    ignored = item.options.drift is Drift.IGNORE and item.options.overwrite is not Overwrite.NEVER
    return not (ignored and record is not None and record.revision is not None)


def known_revision(item: Item, record: Record | None, standing: StoredObject | None) -> Revision | None:
    """The revision that makes a conditional question to the source safe; None if a copy is due whatever it says."""
    if record is None or record.revision is None or _rewritten(item, record):
        return None
    if _drift(item, record, standing) and item.options.drift is Drift.REPAIR:
        return None
    return record.revision


def decide(item: Item, record: Record | None, standing: StoredObject | None, observed: Observed | None) -> Decision:
    """Decide about one item.

    `observed=None`: the source says that it still is `known_revision`. `standing=None`: the store has no object
    there, or was not asked (`needs_head`).
    """
    if record is None or record.revision is None:
        decision = _first_look(standing, observed)
    else:
        decision = _next_look(item, record, standing, observed)
    if decision.action is Action.COPY and standing is not None and item.options.overwrite is Overwrite.NEVER:
        message = f"{decision.message}, but {item.destination} exists and overwrite is never: delete it or change `to`"
        return Decision(Action.BLOCK, message, Reason.CONFLICT, decision.drifted)
    return decision


def _first_look(standing: StoredObject | None, observed: Observed | None) -> Decision:
    if standing is None:
        return Decision(Action.COPY, "the object is missing")
    ours = standing.metadata.get(META_VALIDATOR)
    if observed is not None and ours is not None and ours == validator(observed.revision):
        return Decision(Action.ADOPT, "the object already holds this revision")
    return Decision(Action.COPY, "another object stands there")


def _next_look(item: Item, record: Record, standing: StoredObject | None, observed: Observed | None) -> Decision:
    drift = _drift(item, record, standing)
    if drift and item.options.drift is Drift.REPORT:
        return Decision(Action.BLOCK, drift, Reason.DRIFTED, drifted=True)
    if drift:
        return Decision(Action.COPY, drift, drifted=True)
    if _rewritten(item, record):
        return Decision(Action.COPY, "the object's options changed")
    if observed is None or (observed.revision == record.revision and validator(observed.revision)):
        return Decision(Action.KEEP, "unchanged")
    return Decision(Action.COPY, "the source changed")


def _drift(item: Item, record: Record, standing: StoredObject | None) -> str:
    """What happened to the object behind our back; empty if nothing, or if nobody asked."""
    if item.options.drift is Drift.IGNORE:
        return ""
    if standing is None:
        return "the object was deleted"
    return "" if standing.etag == record.etag else "the object was replaced"


def _rewritten(item: Item, record: Record) -> bool:
    return record.options_digest != options_digest(item.options.object)
