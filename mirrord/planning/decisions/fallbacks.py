"""The sources of an item with `urls`: when the next one is asked, how revisions of two of them relate, and what the
outcome is if none serves. Pure.

Owns these rules. `decide` uses the relation, `reconcile.fallbacks` asks the sources in their order. Validators of one
URL mean nothing to another one, so two revisions are compared by what does not depend on the host.
"""

from collections.abc import Sequence
from enum import Enum

from mirrord.errors import DeclaredMismatch, Reason, SourceChanged, SourceError
from mirrord.frozen import frozen
from mirrord.headers import http_date
from mirrord.model import Item, Outcome, Revision, State

_TELLING = (
    Reason.CHECKSUM_MISMATCH,
    Reason.TOO_LARGE,
    Reason.SOURCE_REFUSED,
    Reason.SOURCE_DENIED,
    Reason.SOURCE_MISSING,
)
"""Reasons of permanent failures, the most telling one first: a source that has something tells more than none."""


class Relation(Enum):
    """How the revision of one source relates to the recorded revision, of another source of the item."""

    EQUAL = "equal"
    BEHIND = "behind"  # a fallback has an older copy than the object, or cannot show that it is not older
    UNPROVEN = "unproven"  # only the bytes can show whether they are equal


@frozen
class Unserved:
    """A source that did not serve its item: the outcome that it alone would give. `source` is without secrets."""

    source: str
    outcome: Outcome


def moves_on(error: Exception) -> bool:
    """Whether the next source is asked after `error`: it is about this source, and not about the store or mirrord.

    Not after SourceChanged: the source answers, and the next attempt gets its new version.
    """
    return isinstance(error, SourceError | DeclaredMismatch) and not isinstance(error, SourceChanged)


def relation(item: Item, recorded: Revision, size: int | None, now: Revision) -> Relation | None:
    """How `now` relates to the revision `recorded` of an object of `size` bytes; None: both are of the same source, or
    one of them is of no source of the item.

    A declared digest alone decides where there is one: the recorded bytes have it. A fallback with this length changes
    nothing then. A source that comes before the recorded one is read once, because it may be the one that had other
    bytes.
    """
    if not item.urls or now.address == recorded.address:
        return None
    places = [one.fingerprint for one in item.urls]
    if now.address not in places or recorded.address not in places:
        return None
    is_fallback = places.index(now.address) > places.index(recorded.address)
    same_length = now.length is not None and now.length == size
    if item.declared_sha256 is not None:
        return Relation.EQUAL if is_fallback and same_length else Relation.UNPROVEN
    modified, then = http_date(now.last_modified), http_date(recorded.last_modified)
    if modified is None or then is None:
        return Relation.UNPROVEN
    if same_length and modified == then:
        return Relation.EQUAL
    return Relation.BEHIND if is_fallback and modified < then else Relation.UNPROVEN


def none_serves(unserved: Sequence[Unserved]) -> Outcome:
    """The outcome of an item that none of its sources served, at least one. Retrying if one of them may serve it later.

    The next attempt is at the earliest time that one of them allows: the Retry-After of a host is kept by the breaker
    of that host.
    """
    outcomes = [one.outcome for one in unserved]
    later = [one for one in outcomes if one.state is State.RETRYING]
    message = f"none of {len(unserved)} URLs serves it: " + "; ".join(map(why, unserved))
    if not later:
        return Outcome(state=State.BLOCKED, reason=min((one.reason for one in outcomes), key=_rank), message=message)
    waits = [one.retry_in for one in later if one.retry_in is not None]
    return Outcome(
        state=State.RETRYING,
        reason=later[0].reason,
        message=message,
        retry_in=min(waits, default=None),
        tried=any(one.tried for one in outcomes),
        counts=any(one.tried and one.counts for one in later),
    )


def why(one: Unserved) -> str:
    """Why the source does not serve its item: a message that begins with the source."""
    message = one.outcome.message
    return message if message.startswith(one.source) else f"{one.source}: {message}"


def _rank(reason: Reason | None) -> int:
    return _TELLING.index(reason) if reason in _TELLING else len(_TELLING)
