"""What a store kept of the options of an object, as a HEAD after the write shows it. Pure.

Owns the comparison of each option, and its text for people. An ACL and tags are not shown by a HEAD:
`reconcile.learned_facts` has them, and remembers what differs. Metadata needs no HEAD of its own: every object has
mirrord's, which every check reads.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from mirrord.model import ObjectDetails, ObjectOptions

DEFAULT_CLASS = "STANDARD"
"""What a store uses if no class is asked for: whether it keeps this one needs no HEAD."""


def _storage_class(wanted: ObjectOptions, details: ObjectDetails) -> str:
    shown = details.storage_class or DEFAULT_CLASS
    return (
        ""
        if shown == wanted.storage_class
        else f"shows the storage class {shown} where {wanted.storage_class} was asked"
    )


def _encryption(wanted: ObjectOptions, details: ObjectDetails) -> str:
    """A stronger mode of the same kind (`aws:kms:dsse`), as a rule of the bucket may demand, is no difference."""
    if details.encryption is None:
        return f"shows no encryption where {wanted.encryption} was asked"
    same = details.encryption.startswith(wanted.encryption or "")
    return "" if same else f"shows the encryption {details.encryption} where {wanted.encryption} was asked"


def _customer_key(_wanted: ObjectOptions, details: ObjectDetails) -> str:
    return "" if details.customer_key else "shows no SSE-C where it was asked: its objects are not encrypted by the key"


def _lock(wanted: ObjectOptions, details: ObjectDetails) -> str:
    if details.lock is None:
        return f"shows no lock where {wanted.lock_mode} was asked, or the credentials have no right to read it"
    same = details.lock.mode == wanted.lock_mode
    return "" if same else f"shows a lock in the mode {details.lock.mode} where {wanted.lock_mode} was asked"


def _legal_hold(_wanted: ObjectOptions, details: ObjectDetails) -> str:
    """Only a wanted hold is compared."""
    kept = "" if details.legal_hold else "shows no legal hold where one was asked"
    return kept and f"{kept}, or the credentials have no right to read it"


def _expires(wanted: ObjectOptions, details: ObjectDetails) -> str:
    return "" if _moment(details.kept.expires) == _moment(wanted.expires) else "does not keep object.expires"


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _header(name: str) -> Callable[[ObjectOptions, ObjectDetails], str]:
    """Another case or spacing is no difference."""

    def difference(wanted: ObjectOptions, details: ObjectDetails) -> str:
        same = _plain(getattr(details.kept, name)) == _plain(getattr(wanted, name))
        return "" if same else f"does not keep object.{name}"

    return difference


def _plain(text: str | None) -> str:
    return "".join((text or "").lower().split())


_HEADERS = ("content_type", "cache_control", "content_disposition", "content_encoding", "content_language")
DIFFERENCES: dict[str, Callable[[ObjectOptions, ObjectDetails], str]] = {
    "storage_class": _storage_class,
    "encryption": _encryption,
    "customer_key": _customer_key,
    "lock_mode": _lock,
    "legal_hold": _legal_hold,
    "expires": _expires,
    **{name: _header(name) for name in _HEADERS},
}
"""By the field of `ObjectOptions`: how the store treated it; empty: as asked."""
