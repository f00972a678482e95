"""The headers and metadata of an object: the content type, the inherited encoding, and mirrord's own metadata.

Owns the choice of the values; others send them. Content-Type: the manifest's, else the source's
header, else by the key's extension, else application/octet-stream. Extensions come from Python's own table, never from
files of the machine: two machines must store the same object.
"""

import mimetypes
from functools import cache, lru_cache
from hashlib import sha256

from mirrord.model import META_MD5, META_SHA256, META_TRANSFER, META_VALIDATOR, ObjectOptions, Observed, Revision

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
    """The object's Content-Type. `a.tar.gz` is application/gzip, so that no client unpacks it in transit."""
    return options.content_type or observed.content_type or _by_extension(key)


_NONE = ObjectOptions()


def described(options: ObjectOptions, observed: Observed, key: str, transfer_id: str) -> ObjectOptions:
    """`options` completed for one transfer: type, encoding, and mirrord's own metadata. Of a source
    that is an object, its own headers, metadata and tags stay where `options` has none."""
    kept = observed.object.kept if observed.object is not None else _NONE
    own = {META_TRANSFER: transfer_id}
    if comparable := validator(observed.revision):
        own[META_VALIDATOR] = comparable
    algorithm, _, digest = (observed.revision.digest or "").partition(":")
    if digest:
        own[META_SHA256 if algorithm == "sha256" else META_MD5] = digest
    return ObjectOptions(  # of each object: `replace` takes twice as long
        content_type=content_type(options, observed, key),
        cache_control=options.cache_control or kept.cache_control,
        content_disposition=options.content_disposition or kept.content_disposition,
        content_encoding=options.content_encoding or observed.content_encoding,
        content_language=options.content_language or kept.content_language,
        expires=options.expires or kept.expires,
        metadata={**kept.metadata, **options.metadata, **own},
        tags=options.tags or kept.tags,
        storage_class=options.storage_class,
        acl=options.acl,
        encryption=options.encryption,
        kms_key_id=options.kms_key_id,
        lock_mode=options.lock_mode,
        retain=options.retain,
        legal_hold=options.legal_hold,
        customer_key=options.customer_key,
    )


@cache
def _types() -> mimetypes.MimeTypes:
    return mimetypes.MimeTypes()


def _by_extension(key: str) -> str:
    name = key.rpartition("/")[2]
    if ":" in name:  # guess_type reads it as a URL
        return _guessed(name)
    bare = name.lstrip(".")
    first = bare.find(".")
    return _guessed("x" + bare[first:]) if first >= 0 else OCTETS


@lru_cache(maxsize=1024)  # 3 us a guess: the files of a folder have few extensions
def _guessed(name: str) -> str:
    guessed, encoding = _types().guess_type(name)
    if encoding:
        return _ENCODED.get(encoding, OCTETS)
    return guessed or OCTETS


def validator(revision: Revision) -> str | None:
    """The text that a daemon without a journal compares; None if the source has nothing to compare.

    It contains the source's address, because equal validators of two addresses have no meaning. A file's inode and
    ctime are left out: they change when a tree is moved to another disk. Metadata must be US-ASCII and short; otherwise
    a digest of the text is used.
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
