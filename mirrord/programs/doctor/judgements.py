"""What the measured values of a store mean, and what to do about them. Pure: a table of texts.

Owns the words for each value. `measuring` finds the values, `providers.measured` uses them.
"""

from collections.abc import Callable, Mapping

from mirrord.frozen import frozen
from mirrord.programs.doctor.findings import DoctorFinding, FindingLevel
from mirrord.providers.facts import IGNORED, KEPT, REFUSED, FactName, FactSheet, FactValue
from mirrord.units import format_size

_OK, _WARNING, _FAILED = FindingLevel.OK, FindingLevel.WARNING, FindingLevel.FAILED


@frozen
class Words:
    """The text of one value. `fix` empty: there is nothing to do."""

    level: FindingLevel
    message: str
    fix: str = ""


def _good(message: str) -> Words:
    return Words(_OK, message)


_CHANGE = "nothing to set: mirrord takes care; ask the vendor for it"
_BOOLS: Mapping[str, tuple[Words, Words]] = {  # of True, and of False
    "objects": (
        _good("what was written is read back"),
        Words(_FAILED, "what was written is not what is read: no copy can be proven", "do not use this store"),
    ),
    "deletes": (
        _good("a deleted object is gone"),
        Words(_WARNING, "a deleted object is still shown by a HEAD", "prune and `delete: mirror` do not work here"),
    ),
    "put_etag": (
        _good("PutObject and HEAD show one ETag"),
        Words(_WARNING, "PutObject shows another ETag than HEAD: a HEAD follows each write", _CHANGE),
    ),
    "listed_etag": (
        _good("listings and HEAD show one ETag"),
        Words(_WARNING, "listings show another ETag than HEAD: each pass sends a HEAD for each item", _CHANGE),
    ),
    "metadata": (
        _good("metadata of objects is kept"),
        Words(
            _FAILED,
            "metadata of objects is dropped: after a lost answer or journal nothing shows which objects are mirrord's",
            "do not use this store with `prune`, `delete` or `overwrite: owned`",
        ),
    ),
    "ranges": (
        _good("ranges are honoured"),
        Words(_WARNING, "Range is ignored: a source in this store starts over after an error", _CHANGE),
    ),
    "copies": (
        _good("the store copies its objects itself"),
        Words(_WARNING, "CopyObject fails: `restore`, changed options and copies send all bytes", _CHANGE),
    ),
    "listed_keys": (
        _good("unusual keys are listed as they were written"),
        Words(_WARNING, "keys with `+`, `%` or non-ASCII are not listed as they were written", "avoid such keys"),
    ),
    "versions": (
        _good("two writes are two versions"),
        Words(_WARNING, "versioning is enabled, and a write replaces the version before it", _CHANGE),
    ),
    "refuses_conditions": (
        Words(_WARNING, "writes with If-None-Match are refused: each is sent again without it", _CHANGE),
        _good("a write with If-None-Match to a free key is accepted"),
    ),
    "conditional_replaces": (
        _good("PutObject honours If-Match"),
        Words(_OK, "PutObject does not honour If-Match; mirrord sends none"),
    ),
    "conditional_replacing_completes": (
        _good("CompleteMultipartUpload honours If-Match"),
        Words(_OK, "CompleteMultipartUpload does not honour If-Match; mirrord sends none"),
    ),
    "multipart": (
        _good("an upload in parts is read back"),
        Words(_FAILED, "what was uploaded in parts is not what is read", "set upload.multipart_threshold: 5GiB"),
    ),
    "listed_parts": (
        _good("ListParts shows the parts"),
        Words(_WARNING, "ListParts does not show the parts: after a kill an upload starts over", _CHANGE),
    ),
    "listed_uploads": (
        _good("open uploads are found by their prefix"),
        Words(
            _WARNING,
            "ListMultipartUploads does not find an upload by a prefix: uploads of a lost journal are not swept",
            "add a lifecycle rule AbortIncompleteMultipartUpload to the bucket",
        ),
    ),
    "listed_upload_etag": (
        _good("listings and HEAD show one ETag of an upload"),
        Words(_WARNING, "listings show another ETag of an upload than HEAD: a HEAD for each such item", _CHANGE),
    ),
    "repeated_completes": (
        _good("a repeated CompleteMultipartUpload succeeds"),
        Words(_OK, "a repeated CompleteMultipartUpload fails; a HEAD shows that the first one worked"),
    ),
    FactName.COMPLETE_ETAG: (
        _good("CompleteMultipartUpload and HEAD show one ETag"),
        Words(_WARNING, "CompleteMultipartUpload shows no ETag, or another one: a HEAD proves each upload", _CHANGE),
    ),
    FactName.CONDITIONAL_PUTS: (
        _good("PutObject with If-None-Match never replaced an object"),
        Words(
            _WARNING,
            "PutObject with If-None-Match replaces objects, or is refused: a HEAD before each write protects less",
            "let nothing else write to these keys, if `overwrite` is `owned` or `never`",
        ),
    ),
    FactName.CONDITIONAL_COMPLETES: (
        _good("CompleteMultipartUpload with If-None-Match never replaced an object"),
        Words(
            _WARNING,
            "CompleteMultipartUpload with If-None-Match replaces objects, or is refused",
            "let nothing else write to these keys, if `overwrite` is `owned` or `never`",
        ),
    ),
    FactName.CONDITIONAL_DELETES: (
        _good("DeleteObject with If-Match deletes no other object"),
        Words(_OK, "DeleteObject does not honour If-Match; a HEAD precedes each deletion"),
    ),
    FactName.PART_COPIES: (
        _good("UploadPartCopy works with a checksum of the whole object"),
        Words(_WARNING, "UploadPartCopy fails with a checksum: copies above max_put send all bytes", _CHANGE),
    ),
    FactName.MERGES_SLASHES: (
        Words(_WARNING, "a backslash in a key is a slash: two keys may be one object", "avoid backslashes in keys"),
        _good("a backslash in a key is no slash"),
    ),
    FactName.LATE_ABORT: (
        _good("an abort after CompleteMultipartUpload did no harm"),
        Words(
            _WARNING,
            "an abort after CompleteMultipartUpload destroys the object: mirrord waits 15 minutes before such an abort",
            "upgrade the server; let no other tool abort uploads",
        ),
    ),
    FactName.EQUAL_PARTS: (
        _good("all parts but the last must have one size; mirrord makes them so"),
        _good("parts may have different sizes"),
    ),
}


def finding(name: str, about: str, value: FactValue, profile: FactSheet) -> DoctorFinding:
    """The finding for one measured value. A value that contradicts the provider's profile is at least a warning."""
    words = _words(name, value)
    known = profile.value(FactName(name)) if name in _FACTS else None
    if known is None or known == value or name in _NOT_COMPARED or words.level is _FAILED:
        return DoctorFinding(name, about, words.level, words.message, words.fix)
    what = f"{words.message}; the profile of `provider: {profile.name}` says {_shown(known)}"
    return DoctorFinding(name, about, _WARNING, what, words.fix or "check `provider`; what was measured is used")


_FACTS = frozenset(map(str, FactName))
_NOT_COMPARED = frozenset(
    {FactName.CHECKSUMS, FactName.MIN_PART, FactName.TAGS, FactName.LATE_ABORT, FactName.MAX_PARTS}
)
"""Facts whose text is for people, or of which only a part is measured."""


def _words(name: str, value: FactValue) -> Words:
    if isinstance(value, bool):
        good, bad = _BOOLS[name]
        return good if value else bad
    return _OTHERS[name](value)


def _checksums(value: FactValue) -> Words:
    if value:
        return _good(f"compares {_shown(value)} with the bytes")
    return Words(
        _WARNING, "compares no checksum with the bytes: ETags or reading back prove copies", "verify: readback"
    )


def _upload_checksums(value: FactValue) -> Words:
    if value:
        return _good(f"compares {_shown(value)} of a whole upload with its parts")
    return Words(_WARNING, "compares no checksum of a whole upload: the ETags of its parts prove it", _CHANGE)


def _trailers(value: FactValue) -> Words:
    return _good(f"compares {_shown(value)}" if value else "does not compare or accept them; mirrord sends none")


def _min_part(value: FactValue) -> Words:
    if value == 0:
        return Words(_FAILED, "refuses parts of 5 MiB", "set upload.part_size (Storj: 64MiB), or `provider`")
    return _good(f"parts of {format_size(int(str(value)))} are accepted")


def _max_parts(value: FactValue) -> Words:
    if value == 10_000:
        return _good("10,000 parts are accepted")
    return Words(_WARNING, f"{int(str(value)):,} parts, not 10,000: large objects need larger parts", "set `provider`")


_TAGS = {
    KEPT: _good("tags are kept"),
    IGNORED: Words(_WARNING, "tags are dropped without an error", "do not rely on object.tags"),
    REFUSED: Words(_WARNING, "tags are refused", "do not use object.tags"),
}
_CUSTOMER_KEYS = {
    KEPT: _good("accepted: other tools can write objects that cannot be read without their keys"),
    IGNORED: Words(_WARNING, "accepted and not done: objects of other tools are not encrypted", "do not rely on SSE-C"),
    REFUSED: _good("switched off, or refused"),
}
_OTHERS: Mapping[str, Callable[[FactValue], Words]] = {
    FactName.CHECKSUMS: _checksums,
    "upload_checksums": _upload_checksums,
    "trailer_checksums": _trailers,
    FactName.MIN_PART: _min_part,
    FactName.MAX_PARTS: _max_parts,
    FactName.TAGS: lambda value: _TAGS[str(value)],
    "customer_keys": lambda value: _CUSTOMER_KEYS[str(value)],
}
MEASURED_NAMES = (*_BOOLS, *_OTHERS)
"""Everything that is measured."""


def _shown(value: FactValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
