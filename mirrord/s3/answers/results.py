"""The answers of S3 calls as mirrord's types. Pure: no I/O, no client.

Owns how checksums, user metadata and list markers are read from an answer. `arguments` makes the parameters of calls.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Any

from mirrord.headers import http_date
from mirrord.model import (
    Checksum,
    ListedObject,
    ObjectDetails,
    ObjectLock,
    ObjectOptions,
    ObjectVersion,
    Part,
    StoredObject,
    Upload,
)
from mirrord.s3.answers.xml_repair import is_intact, key_of
from mirrord.s3.arguments import CHECKSUM_FIELDS, COMPUTED, Arguments
from mirrord.s3.listed_keys import UNKNOWN, PlusSigns, keys_of

_SHOWN = tuple((kind, member) for kind, member in CHECKSUM_FIELDS.items() if kind in COMPUTED)
"""The checksums that an answer may show, the strongest first."""
_CUSTOMER = "SSECustomerAlgorithm"
"""In the answer only if the object is encrypted with a key of the customer."""
_OF_EVERY_ANSWER = {"ResponseMetadata", "RequestCharged"}


def stored_object(answer: Mapping[str, Any], size: int | None = None) -> StoredObject:
    """The object in the answer of a put, a complete or a HEAD. `size`: of the bytes sent, if the answer has none."""
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
        has_key=_CUSTOMER in answer or answer.get("ServerSideEncryption", "").startswith("aws:kms"),
    )


_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects must be restored before they can be read (AWS, "Working with archived objects")."""
_LEGAL_HOLDS = {"ON": True, "OFF": False}
_OWN = "mirrord-"


def object_details(answer: Mapping[str, Any]) -> ObjectDetails:
    """All that the answer to a HEAD shows."""
    stored, expires = stored_object(answer), answer.get("Expires")
    kept = ObjectOptions(
        content_type=stored.content_type,
        cache_control=answer.get("CacheControl"),
        content_disposition=answer.get("ContentDisposition"),
        content_encoding=_kept_coding(answer.get("ContentEncoding")),
        content_language=answer.get("ContentLanguage"),
        expires=expires.isoformat() if isinstance(expires, datetime) else None,
        metadata={name: text for name, text in stored.metadata.items() if not name.startswith(_OWN)},
    )
    return ObjectDetails(
        stored=stored,
        kept=kept,
        tags=answer.get("TagCount", 0),
        parts=answer.get("PartsCount"),
        archived=_archived(answer),
        storage_class=answer.get("StorageClass"),
        encryption=answer.get("ServerSideEncryption"),
        customer_key=_CUSTOMER in answer,
        lock=_lock(answer),
        legal_hold=_LEGAL_HOLDS.get(answer.get("ObjectLockLegalHoldStatus", "")),
    )


def _lock(answer: Mapping[str, Any]) -> ObjectLock | None:
    mode, until = answer.get("ObjectLockMode"), answer.get("ObjectLockRetainUntilDate")
    return ObjectLock(mode, until.timestamp()) if mode and isinstance(until, datetime) else None


def _kept_coding(header: str | None) -> str | None:
    """Content-Encoding without `aws-chunked`, which some stores keep from the request that wrote the object."""
    codings = [one.strip() for one in (header or "").split(",")]
    return ", ".join(one for one in codings if one and one.lower() != "aws-chunked") or None


def _archived(answer: Mapping[str, Any]) -> str | None:
    """The archived class of an object that is not restored. `x-amz-restore` shows whether it is."""
    kept, restore = answer.get("ArchiveStatus") or answer.get("StorageClass"), str(answer.get("Restore", ""))
    if (not answer.get("ArchiveStatus") and kept not in _ARCHIVED) or 'ongoing-request="false"' in restore:
        return None
    return f"{kept}, its restore is in progress" if 'ongoing-request="true"' in restore else str(kept)


def has_etag(answer: Mapping[str, Any]) -> bool:
    """Whether an answer has an ETag: some stores, and endpoints that are not S3, send none or an empty one."""
    return is_etag(token(answer, "ETag"))


def is_etag(text: str) -> bool:
    return bool(text.removeprefix("W/").strip('" '))


def token(answer: Mapping[str, Any], name: str) -> str:
    """An ETag or an UploadId of an answer, without the line breaks of indented XML. Empty: there is none, or there are
    several, which the SDK makes a list."""
    found = answer.get(name)
    return found.strip() if isinstance(found, str) else ""


def copied_object(answer: Mapping[str, Any], size: int) -> StoredObject:
    """The object that CopyObject wrote. Some stores send the ETag in this body without quotes."""
    result = answer.get("CopyObjectResult", {})
    etag = token(result, "ETag").strip('"')
    return StoredObject(
        size=size, etag=f'"{etag}"', version_id=answer.get("VersionId"), checksum=full_object_checksum(result)
    )


def copied_part(result: Mapping[str, Any], number: int, size: int) -> Part:
    """The part that UploadPartCopy wrote, from CopyPartResult."""
    etag = token(result, "ETag").strip('"')
    return Part(number=number, size=size, etag=f'"{etag}"', checksum=full_object_checksum(result))


def full_object_checksum(answer: Mapping[str, Any]) -> Checksum | None:
    """The strongest checksum of the whole object in an answer. A composite one (`…-7`) is not one."""
    if answer.get("ChecksumType") == "COMPOSITE":
        return None
    for kind, member in _SHOWN:
        if (value := answer.get(member)) and "-" not in value:
            return Checksum(kind, value)
    return None


def composite_checksum(answer: Mapping[str, Any]) -> Checksum | None:
    """The checksum of the parts' digests in an answer (`…-7`), without the number of parts."""
    for kind, member in _SHOWN:
        if found := answer.get(member):
            value, dash, _ = str(found).partition("-")
            if value and (dash or answer.get("ChecksumType") == "COMPOSITE"):
                return Checksum(kind, value)
    return None


def listed_part(entry: Mapping[str, Any]) -> Part:
    return Part(number=entry.get("PartNumber", 0), size=entry.get("Size", 0), etag=token(entry, "ETag"))


def is_listing(page: Mapping[str, Any]) -> bool:
    """Whether an answer has a field of ListObjectsV2. An empty body, also one that was cut, and documents of another
    kind have none; they would read as the listing of an empty bucket."""
    return not page.keys() <= _OF_EVERY_ANSWER


def listed_objects(page: Mapping[str, Any], prefix: str, plus: PlusSigns = UNKNOWN) -> list[ListedObject]:
    """The objects on one page of ListObjectsV2 whose keys start with `prefix`, without those whose key is uncertain.
    `plus`: how the store writes plus signs, where the page does not show it."""
    entries = page.get("Contents", [])
    if page.get("EncodingType") == "url":
        keys = keys_of(listed_texts(page), plus)
    else:  # the parser reads a carriage return as a line feed
        keys = ["" if "\n" in key else key for key in listed_texts(page)]
    return [
        ListedObject(key, entry.get("Size", -1), token(entry, "ETag"))
        for key, entry in zip(keys, entries, strict=True)
        if key and key.startswith(prefix) and is_intact(key)
    ]


def listed_texts(page: Mapping[str, Any]) -> list[str]:
    """The keys on one page of ListObjectsV2 as they are written."""
    return [entry.get("Key", "") for entry in page.get("Contents", [])]


def open_uploads(page: Mapping[str, Any], prefix: str) -> Iterator[Upload]:
    """The uploads on one page of ListMultipartUploads whose keys start with `prefix`. An upload without a date gets the
    date 0 (1970): it is not one that this process began."""
    encoded, listed = page.get("EncodingType") == "url", answered_at(page)
    for entry in page.get("Uploads", []):
        key, upload_id, began = key_of(entry.get("Key", ""), prefix, encoded=encoded), token(entry, "UploadId"), 0.0
        if isinstance(initiated := entry.get("Initiated"), datetime):
            began = initiated.timestamp()
        if upload_id and key.startswith(prefix):
            yield Upload(key, upload_id, began, listed)


def upload_markers(page: Mapping[str, Any], prefix: str) -> Arguments | None:
    """The markers of the next page; None: the page has none."""
    key = page.get("NextKeyMarker")
    if not key:
        return None
    decoded = key_of(key, prefix, encoded=page.get("EncodingType") == "url")
    return {"KeyMarker": decoded, "UploadIdMarker": page.get("NextUploadIdMarker", "")}


def version_markers(page: Mapping[str, Any]) -> Arguments:
    """The markers of the next page of ListObjectVersions; empty: the page has none."""
    markers = {"KeyMarker": page.get("NextKeyMarker"), "VersionIdMarker": page.get("NextVersionIdMarker")}
    return {name: marker for name, marker in markers.items() if marker} if markers["KeyMarker"] else {}


def object_versions(page: Mapping[str, Any], key: str) -> list[ObjectVersion]:
    """The versions and delete markers of exactly this key on one page of ListObjectVersions, the newest first."""
    found = [
        _object_version(entry, deleted=name == "DeleteMarkers")
        for name in ("Versions", "DeleteMarkers")
        for entry in page.get(name, [])
        if entry.get("Key") == key
    ]
    return sorted(found, key=lambda one: (one.current, one.last_modified or 0.0), reverse=True)


def has_other_versions(page: Mapping[str, Any], key: str) -> bool:
    """Whether the page goes on with versions of other keys, so that those of `key` are complete."""
    ends = [found[-1] for name in ("Versions", "DeleteMarkers") if (found := page.get(name))]
    return any(entry.get("Key") != key for entry in ends)


def _object_version(entry: Mapping[str, Any], *, deleted: bool) -> ObjectVersion:
    modified = entry.get("LastModified")
    return ObjectVersion(
        version_id=entry.get("VersionId") or "null",
        last_modified=modified.timestamp() if isinstance(modified, datetime) else None,
        size=entry.get("Size", 0),
        etag=token(entry, "ETag"),
        current=entry.get("IsLatest", False) is True,
        deleted=deleted,
    )


def answered_at(answer: Mapping[str, Any]) -> float | None:
    """The time of the store's clock: the Date of the answer (RFC 9110, 6.6.1); None: there is none."""
    return http_date(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date"))


def server_of(answer: Mapping[str, Any]) -> str:
    """The Server header of an answer (RFC 9110, 10.2.4); empty: there is none."""
    return str(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("server", ""))


def decode_metadata(text: str) -> str:
    """The inverse of `arguments.encode_metadata`. Text that is not valid RFC 2047 stays unchanged."""
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, UnicodeDecodeError, ValueError):
        return text
