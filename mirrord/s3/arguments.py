"""The parameters of S3 calls, made from mirrord's types. No I/O, no client; pure but for the end of a
lock, which is counted from the request.

Owns how options, checksums and user metadata are encoded. Metadata that an HTTP header cannot contain (non-ASCII,
control characters, outer spaces) is sent as one RFC 2047 word, `=?UTF-8?B?…?=`, as AWS also shows such values.
`results` reads the answers of the calls and decodes these values.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import md5
from math import ceil
from operator import attrgetter
from time import time
from typing import Any
from urllib.parse import quote, urlencode

from mirrord.errors import StoreRefused
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Destination,
    ObjectOptions,
    Part,
    Secret,
    VersionAt,
)

Arguments = dict[str, Any]

CHECKSUM_FIELDS = {
    ChecksumKind.CRC64NVME: "ChecksumCRC64NVME",
    ChecksumKind.CRC32C: "ChecksumCRC32C",
    ChecksumKind.CRC32: "ChecksumCRC32",
    ChecksumKind.SHA256: "ChecksumSHA256",
    ChecksumKind.MD5: "ContentMD5",
}
_FULL_OBJECT = frozenset({ChecksumKind.CRC64NVME, ChecksumKind.CRC32C, ChecksumKind.CRC32})
"""The store combines checksums of these kinds of all parts into that of the object (AWS: "Checking object integrity",
full object checksums)."""
COMPUTED = _FULL_OBJECT | {ChecksumKind.SHA256}
"""Kinds that a store computes itself if the call has no body with a checksum."""

_PLAIN = {
    "CacheControl": "cache_control",
    "ContentDisposition": "content_disposition",
    "ContentEncoding": "content_encoding",
    "ContentLanguage": "content_language",
    "ContentType": "content_type",
    "StorageClass": "storage_class",
    "ACL": "acl",
    "ServerSideEncryption": "encryption",
    "SSEKMSKeyId": "kms_key_id",
}
_plain_of = attrgetter(*_PLAIN.values())
_METADATA_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def object_arguments(options: ObjectOptions) -> Arguments:
    """Parameters of PutObject and CreateMultipartUpload. StoreRefused: a value that S3 cannot represent."""
    arguments: Arguments = {name: value for name, value in zip(_PLAIN, _plain_of(options), strict=True) if value}
    if options.metadata:
        arguments["Metadata"] = {metadata_name(name): encode_metadata(text) for name, text in options.metadata.items()}
    if options.tags:
        arguments["Tagging"] = tagging(options.tags)
    if options.expires:
        arguments["Expires"] = expiry(options.expires)
    if options.lock_mode and options.retain is not None:
        arguments |= {"ObjectLockMode": options.lock_mode, "ObjectLockRetainUntilDate": locked_until(options.retain)}
    if options.legal_hold:
        arguments["ObjectLockLegalHoldStatus"] = "ON"
    return arguments


def locked_until(retain: float) -> datetime:
    """The end of a lock that begins now, in whole seconds."""
    return datetime.fromtimestamp(ceil(time() + retain), UTC)


def put_checksum(checksum: Checksum | None) -> Arguments:
    """The digest of a whole body, for PutObject and UploadPart."""
    if checksum is None or checksum.kind is ChecksumKind.NONE:
        return {}
    return {CHECKSUM_FIELDS[checksum.kind]: checksum.value}


def create_checksum(kind: ChecksumKind) -> Arguments:
    """The kind of the checksum of a multipart upload: a CRC of the whole object, or a SHA256 of the parts' digests."""
    if kind not in COMPUTED:
        return {}
    return {"ChecksumAlgorithm": kind.name, "ChecksumType": "FULL_OBJECT" if kind in _FULL_OBJECT else "COMPOSITE"}


def copy_source(source: Destination, if_match: str) -> Arguments:
    """The source of CopyObject and UploadPartCopy, pinned to one ETag."""
    named = {"Bucket": source.bucket, "Key": source.key} | version_of(source)
    return {"CopySource": named, "CopySourceIfMatch": if_match}


def customer_key(key: Secret | None) -> Arguments:
    """Parameters of a request for an object that is encrypted with a key of the customer (SSE-C), as the SDK sends
    them; None: it is not."""
    if key is None:
        return {}
    digest = md5(b64decode(key.reveal()), usedforsecurity=False).digest()
    return {
        "SSECustomerAlgorithm": "AES256",
        "SSECustomerKey": key.reveal(),
        "SSECustomerKeyMD5": b64encode(digest).decode("ascii"),
    }


def source_key(key: Secret | None) -> Arguments:
    """The same for the source of CopyObject and UploadPartCopy."""
    return {f"CopySource{name}": value for name, value in customer_key(key).items()}


def version_of(at: Destination) -> Arguments:
    """The parameter that names a version, if `at` is one."""
    return {"VersionId": at.version_id} if isinstance(at, VersionAt) else {}


def copy_arguments(source: Destination, checksum: ChecksumKind, if_match: str) -> Arguments:
    """Parameters of CopyObject, without those of the options. The options of `source` are not copied."""
    arguments = copy_source(source, if_match) | {"MetadataDirective": "REPLACE", "TaggingDirective": "REPLACE"}
    if checksum in COMPUTED:
        arguments["ChecksumAlgorithm"] = checksum.name
    return arguments


def complete_arguments(parts: Sequence[Part], checksum: Checksum | None) -> Arguments:
    """The list of parts and, if the upload was created with a CRC, the checksum and length of the whole object."""
    arguments: Arguments = {"MultipartUpload": {"Parts": [_completed(part) for part in parts]}}
    if checksum is not None and checksum.kind in _FULL_OBJECT:
        arguments |= {CHECKSUM_FIELDS[checksum.kind]: checksum.value, "ChecksumType": "FULL_OBJECT"}
        arguments["MpuObjectSize"] = sum(part.size for part in parts)
    return arguments


def condition(if_none_match: bool) -> Arguments:
    return {"IfNoneMatch": "*"} if if_none_match else {}


def byte_range(start: int, end: int | None) -> Arguments:
    """A Range header (RFC 9110, 14.1.2) for [start, end); no header for the whole object."""
    if start == 0 and end is None:
        return {}
    return {"Range": f"bytes={start}-{'' if end is None else end - 1}"}


def _completed(part: Part) -> Arguments:
    arguments: Arguments = {"PartNumber": part.number, "ETag": part.etag}
    if part.checksum is not None and part.checksum.kind in COMPUTED:
        arguments[CHECKSUM_FIELDS[part.checksum.kind]] = part.checksum.value
    return arguments


def tagging(tags: Mapping[str, str]) -> str:
    return urlencode(tags, quote_via=quote)


def expiry(text: str) -> datetime:
    """StoreRefused: it is not a date."""
    try:
        date = datetime.fromisoformat(text)
    except ValueError as error:
        raise StoreRefused(f"expires: {text!r} is not an ISO 8601 date, like 2030-01-31T12:00:00Z") from error
    return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)  # the SDK drops the offset


# ── metadata ──────────────────────────────────────────────────────────────────────────────────────
def encode_metadata(text: str) -> str:
    """The value for a header: unchanged if it is plain ASCII, else one RFC 2047 word."""
    if text.isascii() and text.isprintable() and text == text.strip() and "=?" not in text:
        return text
    return f"=?UTF-8?B?{b64encode(text.encode()).decode()}?="


def metadata_name(name: str) -> str:
    """StoreRefused: it cannot be a header's name."""
    if not _METADATA_NAME.fullmatch(name):
        raise StoreRefused(f"metadata: {name!r} cannot be a header's name; use letters, digits, '-', '_' and '.'")
    return name.lower()
