"""The action for one item, from its desired, recorded and observed state. Pure: no I/O, no clock.

Owns the rules of `overwrite`, `drift`, adoption and "unchanged", and the rule when a file's bytes are compared. Returns
a `Decision`; `reconcile` carries it out, `plan` prints it.
"""

from dataclasses import fields, replace
from enum import StrEnum
from hashlib import sha256
from math import inf
from operator import attrgetter
from typing import Any

from mirrord.errors import Reason
from mirrord.frozen import frozen
from mirrord.model import (
    META_MD5,
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
    S3Object,
    StoredObject,
    with_customer_key,
)
from mirrord.planning.decisions.adoption import may_be_equal
from mirrord.planning.decisions.describe import validator
from mirrord.planning.decisions.fallbacks import Relation, relation
from mirrord.planning.decisions.identity import same_revision
from mirrord.planning.decisions.object_identity import is_recorded

_OTHER_KEY = "the object is not encrypted as the manifest says (SSE-C)"
_UNREADABLE = (
    "needs another key (SSE-C), so it is not known whose it is, and it is not overwritten: add its key to the "
    "customer_keys of the store, or delete it"
)
_UNPROVEN = "the declared checksum was not proven on these bytes"


class Action(StrEnum):
    KEEP = "keep"  # the object equals the source
    ADOPT = "adopt"  # the object equals the source, but the journal has no record of it
    COPY = "copy"
    REWRITE = "rewrite"  # the object has the right bytes and other options: the store copies it to itself
    COMPARE = "compare"  # only the source's bytes, or digests of them, can show whether the object equals it
    BLOCK = "block"


@frozen
class Decision:
    """`message`: the reason, for users. `drifted`: another program changed the object."""

    action: Action
    message: str
    reason: Reason | None = None
    drifted: bool = False

    @property
    def writes(self) -> bool:
        """Whether the object is written."""
        return self.action in (Action.COPY, Action.REWRITE)


_SINGLE = tuple(
    one.name
    for one in fields(ObjectOptions)
    if one.name not in ("metadata", "tags", "lock_mode", "retain", "legal_hold", "customer_key")
)
_single = attrgetter(*_SINGLE)
_MOST_DIGESTS = 256
_known_digests: dict[int, tuple[ObjectOptions, str]] = {}
"""By identity, since many items share their options and each check asks: a hash of all fields takes 3 us. The options
are kept, so that their identity is not that of another object."""


def options_digest(options: ObjectOptions) -> str:
    """The digest of the options that an object is written with. If it changes, the object is rewritten.

    The journal records it, so its form must not change."""
    known = _known_digests.get(id(options))
    if known is None:
        if len(_known_digests) >= _MOST_DIGESTS:
            _known_digests.clear()
        known = _known_digests[id(options)] = options, _digest(options)
    return known[1]


def _digest(options: ObjectOptions) -> str:
    metadata, tags = sorted(options.metadata.items()), sorted(options.tags.items())  # sorted: the order has no meaning
    bare: dict[str, Any] = dict(zip(_SINGLE, _single(options), strict=True))
    digest = sha256(repr((ObjectOptions(**bare), metadata, tags)).encode()).hexdigest()[:16]
    if options.locks:  # `legal_hold: false` writes nothing: it matters only where an earlier one was true
        held = " held" if options.legal_hold else ""
        digest = sha256(f"{digest} {options.lock_mode} {options.retain}{held}".encode()).hexdigest()[:16]
    return with_customer_key(digest, options.customer_key)


DRIFT_EVERY = 60.0
"""Seconds between two HEADs of an object whose source is checked more often: a HEAD costs more than a 304."""


def needs_head(item: Item, record: Record | None, since: float = inf) -> bool:
    """Whether the check needs a HEAD of the object; `since`: seconds since the last one.

    Not if the object is recorded and drift is ignored, or was checked less than DRIFT_EVERY ago.
    """
    if record is None or record.revision is None or item.options.overwrite is not Overwrite.ALWAYS:
        return True
    return item.options.drift is not Drift.IGNORE and since >= DRIFT_EVERY


def spares_denied_head(item: Item, record: Record | None, *, conditions: bool) -> bool:
    """Whether a check goes on if the store denies its HEAD, which shows neither the object nor its absence.

    A first write may replace any object, or is conditional: `conditions` says whether the store honours If-None-Match.
    A recorded object counts as unchanged if no HEAD ever showed it: then the credentials may only write. Else the
    object is gone, or a right is: the operator must look. So must they if the object can only be proven by a read that
    is denied: each check would write it again.
    """
    always = item.options.overwrite is Overwrite.ALWAYS
    if item.options.readback:
        return False
    if record is None or record.revision is None:
        return always or conditions
    return always and not record.object.etag_from_head and not _has_other_bytes(record)


def known_revision(
    item: Item, record: Record | None, stored: StoredObject | None, *, asked: bool = True
) -> Revision | None:
    """The revision for a conditional request to the source; None if a copy is due in any case, or if a rewritten object
    keeps headers and tags of its source."""
    if record is None or record.revision is None:
        return None
    if isinstance(item.origin, S3Object) and has_other_options(item, record):
        return None
    if _insufficient(item, record):
        return None
    if asked and record.restored is None and _drift(item, record, stored) and item.options.drift is Drift.REPAIR:
        return None
    return record.revision


def decide(
    item: Item,
    record: Record | None,
    stored: StoredObject | None,
    observed: Observed | None,
    *,
    asked: bool = True,
    equal: bool | None = None,
) -> Decision:
    """Decide about one item.

    `observed=None`: the source is still `known_revision`. `stored=None`: the store has no object; with `asked=False` it
    is unknown, and not needed (`needs_head`). `equal`: whether the source has the bytes of the object, as recorded or,
    at a first check, as the store shows them; None: they were not compared, and COMPARE requests it if that may avoid a
    copy.
    """
    if record is None or record.revision is None:
        decision = _first_check(item, stored, observed, equal)
    else:
        decision = _next_check(item, record, observed, _drift(item, record, stored) if asked else None, equal)
    if decision.writes and stored is not None and stored.unreadable:
        message = f"{item.destination} {_UNREADABLE}"
        return Decision(Action.BLOCK, message, Reason.CONFLICT, decision.drifted)
    if decision.writes and stored is not None and (why := _protected(item, record, stored)):
        message = f"{decision.message}, but {item.destination} {why}: delete it or change `to`"
        return Decision(Action.BLOCK, message, Reason.CONFLICT, decision.drifted)
    return decision


def _protected(item: Item, record: Record | None, stored: StoredObject) -> str | None:
    """The reason why the stored object may not be overwritten; None if it may."""
    if item.options.overwrite is Overwrite.NEVER:
        return "exists and overwrite is never"
    if item.options.overwrite is Overwrite.OWNED and not _written(record, stored):
        return "was not written by mirrord and overwrite is owned"
    return None


def _written(record: Record | None, stored: StoredObject) -> bool:
    """Whether mirrord wrote the object: so its metadata says, or the journal, at stores that drop the metadata. An
    adopted object has no transfer id."""
    known = record.object if record is not None else None
    return META_TRANSFER in stored.metadata or (
        known is not None and known.transfer_id is not None and known.etag == stored.etag
    )


def _first_check(item: Item, stored: StoredObject | None, observed: Observed | None, equal: bool | None) -> Decision:
    if stored is None:
        return Decision(Action.COPY, "the object is missing")
    if stored.other_key or (item.destination.customer_key is not None and not stored.has_key):
        return Decision(Action.COPY, _OTHER_KEY)
    ours = stored.metadata.get(META_VALIDATOR)
    if observed is not None and ours is not None and ours == validator(observed.revision):
        if not _proven(item, adopted(observed.revision, stored), stored.size):
            return Decision(Action.COPY, _UNPROVEN)
        return Decision(Action.ADOPT, "the object already holds this revision")
    if equal:
        return Decision(Action.ADOPT, "the object already holds these bytes")
    if equal is None and observed is not None and may_be_equal(item, observed, stored):
        return Decision(Action.COMPARE, "another object stands there: its bytes may be the same")
    return Decision(Action.COPY, "another object stands there")


def _next_check(
    item: Item, record: Record, observed: Observed | None, drift: str | None, equal: bool | None
) -> Decision:
    if drift and item.options.drift is Drift.REPORT:
        return Decision(Action.BLOCK, drift, Reason.DRIFTED, drifted=True)
    if drift and record.restored is None:
        return Decision(Action.COPY, drift, drifted=True)
    across = _across(item, record, observed)
    if across is Relation.BEHIND:
        return _lost(record, drift) or Decision(Action.KEEP, "this fallback is older than the object")
    if why := _insufficient(item, record):
        return Decision(Action.COPY, why)
    if observed is None or (_same(observed.revision, record.revision) and validator(observed.revision)):
        return _kept(item, record, "unchanged", drift)
    if across is Relation.EQUAL:
        return _kept(item, record, "another URL has the same revision", drift)
    if equal is None and _comparable(record, observed, across):
        return Decision(Action.COMPARE, "its bytes may be the same")
    if equal:
        return _kept(item, record, "touched: the same bytes", drift)
    return Decision(Action.COPY, "the source changed")


def _lost(record: Record, drift: str | None) -> Decision | None:
    """BLOCK, if a restored object drifted: the source has other bytes, so only the operator can repair it."""
    if drift is None:
        return None
    message = f"{drift} after version {record.restored} was restored: restore a version again, or change the source"
    return Decision(Action.BLOCK, message, Reason.DRIFTED, drifted=True)


def _kept(item: Item, record: Record, why: str, drift: str | None) -> Decision:
    """The bytes stay."""
    if (lost := _lost(record, drift)) is not None:
        return lost
    if has_other_options(item, record):
        return Decision(Action.REWRITE, "the object's options changed")
    return Decision(Action.KEEP, why)


def _insufficient(item: Item, record: Record) -> str | None:
    """Why the object must be written again although its source did not change; None: it need not."""
    if record.revision is not None and not _proven(item, record.revision, record.source_size):
        return _UNPROVEN
    return "the object was not read back" if record.restored is None and _unread(item, record) else None


_SURE = frozenset({ChecksumKind.CRC64NVME, ChecksumKind.SHA256, ChecksumKind.MD5})
"""CRC32 is too weak for a comparison that is repeated for years with each touched file."""


def identifies_bytes(record: Record) -> bool:
    """Whether the record has a checksum that identifies the object's bytes, and the copy was proven."""
    known, revision = record.object, record.revision
    if known.etag is None or revision is None or known.integrity is Integrity.LENGTH:
        return False
    if _has_other_bytes(record):
        return False  # the checksum is of the bytes that were sent
    return revision.digest is not None or (known.checksum is not None and known.checksum.kind in _SURE)


def _has_other_bytes(record: Record) -> bool:
    """Whether the object of the record is not proven to have the source's bytes (`reconcile.records`)."""
    revision = record.revision
    return revision is not None and record.object.integrity is None and revision == Revision(address=revision.address)


def _across(item: Item, record: Record, observed: Observed | None) -> Relation | None:
    """See `relation`. None also if nothing is to be compared."""
    if observed is None or record.revision is None:
        return None
    return relation(item, record.revision, record.source_size, observed.revision)


def _comparable(record: Record, observed: Observed, across: Relation | None) -> bool:
    """Whether reading the source may show that nothing changed. Only for files, which are read without network, and for
    another URL of the item. A changed ctime alone does not prove a chmod: a program that writes and then resets mtime
    leaves the same trace."""
    if across is Relation.UNPROVEN:
        return observed.revision.length in (None, record.object.size) and identifies_bytes(record)
    if observed.revision.file is None or record.revision is None or record.revision.file is None:
        return False
    return observed.revision.length == record.object.size and identifies_bytes(record)


def _drift(item: Item, record: Record, stored: StoredObject | None) -> str | None:
    """The change of the object by another program; None: no change, or the entry ignores drift."""
    if item.options.drift is Drift.IGNORE:
        return None
    if stored is None:
        return "the object was deleted"
    if is_recorded(record, stored):
        return None
    return _OTHER_KEY if stored.other_key else "the object was replaced"


def has_other_options(item: Item, record: Record) -> bool:
    """Whether the object was written with other options than the manifest's."""
    return record.object.options_digest != options_digest(item.options.object)


def _same(now: Revision, then: Revision | None) -> bool:
    """Digests are compared only if both are known: that of `then` was computed while the bytes were read."""
    if then is not None and None in (now.digest, then.digest):
        then = replace(then, digest=now.digest)
    return same_revision(now, then)


def _proven(item: Item, revision: Revision, size: int | None) -> bool:
    """Whether the bytes of `revision`, `size` of them, are proven to be the declared ones. A list of digests is not
    fetched again."""
    row = item.declared
    if row is not None and row.size not in (None, size):
        return False
    if row is not None and row.digest is not None:
        return revision.digest == row.digest
    declared = item.options.requires.checksum
    if declared is None:
        return True
    if declared.sha256 is not None:
        return revision.digest == f"sha256:{declared.sha256}"
    return revision.digest is not None and revision.digest.startswith("sha256:")


def _unread(item: Item, record: Record) -> bool:
    """Whether the readback that the manifest requires was not done yet. An adopted object needs none."""
    return item.options.readback and record.object.integrity not in (None, Integrity.READBACK)


def adopted(revision: Revision, stored: StoredObject) -> Revision:
    """`revision` with the digest in the object's metadata, if mirrord recorded one there."""
    if digest := stored.metadata.get(META_SHA256):
        return replace(revision, digest=f"sha256:{digest}")
    digest = stored.metadata.get(META_MD5)
    return replace(revision, digest=f"md5:{digest}") if digest else revision
