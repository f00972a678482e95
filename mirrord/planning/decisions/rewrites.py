"""Objects that are rewritten because only the options of their entry changed. Pure.

Owns the names of the options that changed, which headers of the source a rewrite needs, the storage class and the lock
of a rewritten object, and how many rewrites are many.
`decide` finds that a rewrite is due; `reconcile.rewrite` finds out whether the store can make it.
"""

from collections.abc import Iterator
from dataclasses import fields, replace

from mirrord.model import Item, ObjectLock, ObjectOptions, Record
from mirrord.planning.decisions.kept_options import DEFAULT_CLASS
from mirrord.planning.decisions.prune import SHARE

MOST_AT_ONCE = 16
"""Rewrites at a time: each is work for the store, and none for the network, which would slow it down."""
_NAMES = {
    **dict.fromkeys(("kms_key_id", "customer_key"), "encryption"),
    **dict.fromkeys(("lock_mode", "retain", "legal_hold"), "lock"),
}
_COMPLIANCE = "COMPLIANCE"
LOCK_TOLERANCE = 300.0
"""Seconds that a lock may end too early, at most a hundredth of its time: the write itself took time, and another clock
dates it."""
_INHERITED = ("content_type", "content_encoding")
"""Of the source, where the manifest does not set them."""


def changed_options(then: ObjectOptions | None, now: ObjectOptions) -> tuple[str, ...]:
    """The names, as in a manifest, of the options that differ. Empty: those of before are not known."""
    return tuple(dict.fromkeys(_changed(then, now))) if then is not None else ()


def _changed(then: ObjectOptions, now: ObjectOptions) -> Iterator[str]:
    for field in fields(ObjectOptions):
        if getattr(then, field.name) != getattr(now, field.name) and field.name != "legal_hold":
            yield _NAMES.get(field.name, field.name)
    if bool(then.legal_hold) != bool(now.legal_hold):  # False and None write the same
        yield "lock"


def kept_class(then: ObjectOptions | None, now: ObjectOptions, shown: str | None) -> str | None:
    """The storage class that a rewrite gives the object instead of the manifest's: the `shown` one, if a rule of the
    bucket or another program changed it. None: the manifest's, because it was edited, or nothing else is shown."""
    edited = now.storage_class is not None if then is None else then.storage_class != now.storage_class
    return None if edited or shown in (None, DEFAULT_CLASS, now.storage_class) else shown


def without_lock(options: ObjectOptions) -> ObjectOptions:
    """The options that a copy of the store surely gives an object: SeaweedFS 4.48 ignores the lock in CopyObject. The
    journal records these, so that the lock is set after the copy, or by a later check. The same object if none is."""
    return replace(options, lock_mode=None, retain=None, legal_hold=None) if options.locks else options


def has_lock_of(shown: ObjectLock | None, wanted: ObjectOptions, written: float) -> bool:
    """Whether an object that was written at `written` shows the lock of these options; options that only speak of a
    legal hold want none."""
    if wanted.lock_mode is None:
        return shown is None and wanted.legal_hold is not None
    if shown is None or wanted.retain is None or shown.mode != wanted.lock_mode:
        return False
    return abs(written + wanted.retain - shown.until) <= min(LOCK_TOLERANCE, wanted.retain / 100)


def lock_to_set(shown: ObjectLock | None, wanted: ObjectOptions, written: float, now: float) -> ObjectLock | None:
    """The lock that an object which was written at `written` gets, if only the lock in its options changed; None: the
    one that it has stays. A lock is never shortened nor weakened: S3 refuses that, or needs a right to bypass it."""
    if wanted.lock_mode is None or wanted.retain is None:
        return None
    if has_lock_of(shown, wanted, written):
        return None
    until = written + wanted.retain
    if shown is None:
        return ObjectLock(wanted.lock_mode, until) if until > now else None
    mode = _COMPLIANCE if _COMPLIANCE in (shown.mode, wanted.lock_mode) else wanted.lock_mode
    stronger = ObjectLock(mode, max(until, shown.until))
    return stronger if stronger != shown and stronger.until > now else None


def has_hold_of(shown: bool | None, wanted: ObjectOptions) -> bool:
    """Whether an object shows the legal hold of these options. None of its own is wanted where they say nothing."""
    return bool(shown) is bool(wanted.legal_hold)


def hold_to_set(shown: bool | None, then: ObjectOptions | None, now: ObjectOptions) -> bool | None:
    """The legal hold that an object gets, if only the lock in its options changed; None: what it `shown` has stays.

    A hold is set where none is shown. It is released only if the manifest says so after it had asked for it: the hold
    of another program, or of a former manifest that says nothing more about it, is not removed."""
    if now.legal_hold:
        return None if shown else True
    asked = now.legal_hold is False and then is not None and bool(then.legal_hold)
    return False if asked and shown is not False else None


def needs_headers(item: Item, record: Record, then: ObjectOptions | None) -> bool:
    """Whether the source is asked for its headers, because the object does not show those that it inherits: mirrord did
    not write it, or the manifest had set them until now."""
    now, unknown = item.options.object, then is None or record.object.transfer_id is None
    return any(getattr(now, name) is None and (unknown or getattr(then, name) is not None) for name in _INHERITED)


def are_many(rewrites: int, objects: int) -> bool:
    """Whether so many rewrites of an entry with so many objects are shown before all else. The only object of an entry
    has a line of its own."""
    return objects > 1 and rewrites > SHARE * objects
