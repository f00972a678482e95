"""What is stored beside the bytes: the content type, inherited encoding, and the stamp that says whose object it is.

Owns the choice, not the sending. Content-Type by SPEC section 2: the manifest's, else the source's header, else by the
key's extension, else application/octet-stream. Extensions come from Python's own table, never from the machine's
files: two machines must store the same object.
"""

import mimetypes
from dataclasses import replace
from functools import cache
from hashlib import sha256

from mirrord.model import META_SHA256, META_TRANSFER, META_VALIDATOR, ObjectOptions, Observed, Revision

OCTETS = "application/octet-stream"
_ENCODED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
    "br": "application/x-brotli",
}
_LONGEST_VALIDATOR = 200


def content_type(options: ObjectOptions, observed: Observed, key: str) -> str:
    """The object's Content-Type. `a.tar.gz` is application/gzip: nobody should unpack it on the way."""
    return options.content_type or observed.content_type or _by_extension(key)


def described(options: ObjectOptions, observed: Observed, key: str, transfer_id: str) -> ObjectOptions:
    """`options` made whole for one transfer: type, encoding, and our stamp in the metadata (SPEC section 4)."""
    stamp = {META_TRANSFER: transfer_id}
    if comparable := validator(observed.revision):
        stamp[META_VALIDATOR] = comparable
    algorithm, _, digest = (observed.revision.digest or "").partition(":")
    if algorithm == "sha256":
        stamp[META_SHA256] = digest
    return replace(
        options,
        content_type=content_type(options, observed, key),
        content_encoding=options.content_encoding or observed.content_encoding,
        metadata={**options.metadata, **stamp},
    )


@cache
def _types() -> mimetypes.MimeTypes:
    return mimetypes.MimeTypes()


def _by_extension(key: str) -> str:
    guessed, encoding = _types().guess_type(key.rpartition("/")[2])
    if encoding:
        return _ENCODED.get(encoding, OCTETS)
    return guessed or OCTETS


def validator(revision: Revision) -> str | None:
    """What a daemon without its journal compares; None if the source offers nothing to compare.

    Holds the source's address: equal validators of two addresses say nothing. A file's inode and ctime are left out,
    for they change when a tree is moved to another disk. Metadata is US-ASCII and short: else it goes as its digest.
    """
    if revision.file:
        text = f"{revision.file.size}-{revision.file.mtime_ns}"
    else:
        text = revision.etag or revision.last_modified or ""
    if not text:
        return None
    if len(text) > _LONGEST_VALIDATOR or not (text.isascii() and text.isprintable()):
        text = f"sha256:{sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}"
    return f"{revision.address}:{text}"
