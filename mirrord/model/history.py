"""What the journal keeps of an item's past: objects that were replaced, and attempts that failed.

The record has the present object; both together are the item's history. Times are seconds since the epoch (float, UTC).
"""

from mirrord.errors import Reason
from mirrord.frozen import frozen
from mirrord.model.kinds import State
from mirrord.model.observed import Revision
from mirrord.model.recorded import RecordedObject


@frozen(kw_only=True)
class PastObject:
    """An object that the item had, as the record described it when another one replaced it, or it was deleted."""

    until: float
    entry: str
    source: str  # as in a record: the URL that served it, without secrets
    revision: Revision | None
    object: RecordedObject


@frozen(kw_only=True)
class FailedAttempt:
    """An attempt after which the item was Retrying or Blocked. Equal ones in a row count as one, the first."""

    when: float
    entry: str
    source: str
    state: State
    reason: Reason | None = None
    message: str = ""


@frozen
class History:
    """The past of one item, the newest first."""

    objects: tuple[PastObject, ...] = ()
    failures: tuple[FailedAttempt, ...] = ()
