"""mirrord's nouns as S3 parameters, and S3's answers as mirrord's nouns. Pure: no I/O, no client.

Owns the spelling of options, checksums and user metadata on the wire. Metadata that HTTP cannot carry as it is
(non-ASCII, control characters, outer spaces) travels as one RFC 2047 word, `=?UTF-8?B?…?=`, which is also how AWS
shows such values, and is decoded on the way back.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Any
from urllib.parse import quote, urlencode

from mirrord.errors import StoreRefused
from mirrord.headers import http_date
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Destination,
    ObjectOptions,
    ObjectVersion,
    Part,
    StoredObject,
    Upload,
)
from mirrord.s3.xml_repair import key_of

Arguments = dict[str, Any]

_MEMBER = {
    ChecksumKind.CRC64NVME: "ChecksumCRC64NVME",
    ChecksumKind.CRC32C: "ChecksumCRC32C",
    ChecksumKind.CRC32: "ChecksumCRC32",
    ChecksumKind.SHA256: "ChecksumSHA256",
    ChecksumKind.MD5: "ContentMD5",
}
_FULL_OBJECT = frozenset({ChecksumKind.CRC64NVME, ChecksumKind.CRC32C, ChecksumKind.CRC32})
"""Kinds whose parts combine into the whole object's (AWS: "Checking object integrity", full object checksums)."""
_COMPUTED = _FULL_OBJECT | {ChecksumKind.SHA256}
"""Kinds that a store computes itself where no body brings them."""

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


# ── asking ────────────────────────────────────────────────────────────────────────────────────────
def object_arguments(options: ObjectOptions) -> Arguments:
    """What PutObject and CreateMultipartUpload take from the options. StoreRefused if a value has no spelling."""
    asked: Arguments = {name: getattr(options, field) for name, field in _PLAIN.items() if getattr(options, field)}
    if options.metadata:
        asked["Metadata"] = {_metadata_name(name): encode_metadata(text) for name, text in options.metadata.items()}
    if options.tags:
        asked["Tagging"] = urlencode(options.tags, quote_via=quote)
    if options.expires:
        asked["Expires"] = _moment(options.expires)
    return asked


def put_checksum(checksum: Checksum | None) -> Arguments:
    """The digest of a whole body, for PutObject and UploadPart."""
    if checksum is None or checksum.kind is ChecksumKind.NONE:
        return {}
    return {_MEMBER[checksum.kind]: checksum.value}


def create_checksum(kind: ChecksumKind) -> Arguments:
    """The checksum that a multipart upload will have: a CRC of the whole object, or a SHA256 of its parts' digests."""
    if kind not in _COMPUTED:
        return {}
    return {"ChecksumAlgorithm": kind.name, "ChecksumType": "FULL_OBJECT" if kind in _FULL_OBJECT else "COMPOSITE"}


def copy_arguments(source: Destination, checksum: ChecksumKind, if_match: str) -> Arguments:
    """What CopyObject takes beside the options: those of `source` are not inherited."""
    asked: Arguments = {
        "CopySource": {"Bucket": source.bucket, "Key": source.key},
        "CopySourceIfMatch": if_match,
        "MetadataDirective": "REPLACE",
        "TaggingDirective": "REPLACE",
    }
    if checksum in _COMPUTED:
        asked["ChecksumAlgorithm"] = checksum.name
    return asked


def complete_arguments(parts: Sequence[Part], checksum: Checksum | None) -> Arguments:
    """The list of parts and, where the upload was created for it, the whole object's checksum and length."""
    asked: Arguments = {"MultipartUpload": {"Parts": [_completed(part) for part in parts]}}
    if checksum is not None and checksum.kind in _FULL_OBJECT:
        asked |= {_MEMBER[checksum.kind]: checksum.value, "ChecksumType": "FULL_OBJECT"}
        asked["MpuObjectSize"] = sum(part.size for part in parts)
    return asked


def condition(if_none_match: bool) -> Arguments:
    return {"IfNoneMatch": "*"} if if_none_match else {}


def byte_range(start: int, end: int | None) -> Arguments:
    """A Range header (RFC 9110, 14.1.2) for [start, end), or none for the whole."""
    if start == 0 and end is None:
        return {}
    return {"Range": f"bytes={start}-{'' if end is None else end - 1}"}


def _completed(part: Part) -> Arguments:
    asked: Arguments = {"PartNumber": part.number, "ETag": part.etag}
    if part.checksum is not None and part.checksum.kind in _COMPUTED:
        asked[_MEMBER[part.checksum.kind]] = part.checksum.value
    return asked


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise StoreRefused(f"expires: {text!r} is not an ISO 8601 date, like 2030-01-31T12:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# ── metadata ──────────────────────────────────────────────────────────────────────────────────────
def encode_metadata(text: str) -> str:
    """A value as a header carries it: itself if plain ASCII, else one RFC 2047 word."""
    if text.isascii() and text.isprintable() and text == text.strip() and "=?" not in text:
        return text
    return f"=?UTF-8?B?{b64encode(text.encode()).decode()}?="


def decode_metadata(text: str) -> str:
    """The inverse of `encode_metadata`; what is no valid RFC 2047 stays as it came."""
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, UnicodeDecodeError, ValueError):
        return text


def _metadata_name(name: str) -> str:
    if not name or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in name):
        raise StoreRefused(f"metadata: {name!r} cannot be a header's name; use letters, digits, '-', '_' and '.'")
    return name.lower()


# ── answers ───────────────────────────────────────────────────────────────────────────────────────
def stored_object(answer: Mapping[str, Any], size: int | None = None) -> StoredObject:
    """The object that a put, a completion or a head described; `size` where the answer has none."""
    modified = answer.get("LastModified")
    return StoredObject(
        size=answer.get("ContentLength", 0) if size is None else size,
        etag=token(answer, "ETag"),
        last_modified=modified.timestamp() if isinstance(modified, datetime) else None,
        version_id=answer.get("VersionId"),
        checksum=full_object_checksum(answer),
        composite=composite_checksum(answer),
        metadata={name.lower(): decode_metadata(text) for name, text in answer.get("Metadata", {}).items()},
        content_type=answer.get("ContentType"),
        from_head=size is None,
    )


def has_etag(answer: Mapping[str, Any]) -> bool:
    """Whether an answer names an ETag at all: some stores, and endpoints that are no S3, send none or an empty one."""
    return bool(token(answer, "ETag").removeprefix("W/").strip('" '))


def token(answer: Mapping[str, Any], name: str) -> str:
    """An ETag or an UploadId of an answer, without the line breaks of XML that was indented. Empty: there is none, or,
    which the SDK makes a list, several."""
    found = answer.get(name)
    return found.strip() if isinstance(found, str) else ""


def copied_object(answer: Mapping[str, Any], size: int) -> StoredObject:
    """The object that a copy made. Some stores leave the quotes off the ETag in this body."""
    result = answer.get("CopyObjectResult", {})
    etag = token(result, "ETag").strip('"')
    return StoredObject(
        size=size, etag=f'"{etag}"', version_id=answer.get("VersionId"), checksum=full_object_checksum(result)
    )


def full_object_checksum(answer: Mapping[str, Any]) -> Checksum | None:
    """The best digest of the whole object in an answer. A composite one (`…-7`) says nothing of the whole."""
    if answer.get("ChecksumType") == "COMPOSITE":
        return None
    for kind, member in _MEMBER.items():
        value = answer.get(member) if kind is not ChecksumKind.MD5 else None
        if value and "-" not in value:
            return Checksum(kind, value)
    return None


def composite_checksum(answer: Mapping[str, Any]) -> Checksum | None:
    """The checksum of the parts' digests in an answer (`…-7`), without the number of parts."""
    for kind in _COMPUTED:
        value, dash, _ = str(answer.get(_MEMBER[kind], "")).partition("-")
        if value and (dash or answer.get("ChecksumType") == "COMPOSITE"):
            return Checksum(kind, value)
    return None


def uploaded_part(number: int, size: int, answer: Mapping[str, Any], checksum: Checksum | None) -> Part:
    return Part(number=number, size=size, etag=token(answer, "ETag"), checksum=checksum)


def listed_part(entry: Mapping[str, Any]) -> Part:
    return Part(number=entry.get("PartNumber", 0), size=entry.get("Size", 0), etag=token(entry, "ETag"))


def open_uploads(page: Mapping[str, Any], prefix: str) -> Iterator[Upload]:
    """Those of one page of ListMultipartUploads whose keys start with `prefix`. Without a date it began in 1970: it is
    nobody's that we know of."""
    encoded, listed = page.get("EncodingType") == "url", answered_at(page)
    for entry in page.get("Uploads", []):
        key, upload_id, began = key_of(entry.get("Key", ""), prefix, encoded=encoded), token(entry, "UploadId"), 0.0
        if isinstance(initiated := entry.get("Initiated"), datetime):
            began = initiated.timestamp()
        if upload_id and key.startswith(prefix):
            yield Upload(key, upload_id, began, listed)


def upload_markers(page: Mapping[str, Any], prefix: str) -> Arguments | None:
    """Where the next page begins; None: the page does not say."""
    key = page.get("NextKeyMarker")
    if not key:
        return None
    decoded = key_of(key, prefix, encoded=page.get("EncodingType") == "url")
    return {"KeyMarker": decoded, "UploadIdMarker": page.get("NextUploadIdMarker", "")}


def version_markers(page: Mapping[str, Any]) -> Arguments:
    """Where the next page of ListObjectVersions begins; empty: the page does not say."""
    asked = {"KeyMarker": page.get("NextKeyMarker"), "VersionIdMarker": page.get("NextVersionIdMarker")}
    return {name: marker for name, marker in asked.items() if marker} if asked["KeyMarker"] else {}


def object_version(entry: Mapping[str, Any]) -> ObjectVersion:
    modified = entry.get("LastModified")
    when = modified.timestamp() if isinstance(modified, datetime) else None
    return ObjectVersion(entry.get("VersionId") or "null", when)


def answered_at(answer: Mapping[str, Any]) -> float | None:
    """The store's clock: the answer's Date (RFC 9110, 6.6.1), if it has one."""
    return http_date(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date"))
