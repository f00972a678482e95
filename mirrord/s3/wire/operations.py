"""The five operations that mirrord sends itself. Pure.

Owns how parameters become headers and a query, and how the headers of an answer become its fields. The names are those
of the SDK's model of S3 (a test compares them), so that both clients have the same parameters and fields. The model is
not read: that takes 0.2 s of CPU. `signing` signs, `answers` reads errors and bodies.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from mirrord.frozen import frozen
from mirrord.headers import http_date
from mirrord.s3.wire.signing import encoded_query

Parameters = Mapping[str, Any]
Fields = dict[str, Any]

_META = "x-amz-meta-"
_WITHOUT_HEADER = frozenset({"Bucket", "Key", "Body", "Metadata", "CopySource"})
"""Parameters of the path, of the body, or that need more than a name."""

_CHECKSUMS = {
    "ChecksumCRC32": "x-amz-checksum-crc32",
    "ChecksumCRC32C": "x-amz-checksum-crc32c",
    "ChecksumCRC64NVME": "x-amz-checksum-crc64nvme",
    "ChecksumSHA256": "x-amz-checksum-sha256",
}
CUSTOMER_KEY = {
    "SSECustomerAlgorithm": "x-amz-server-side-encryption-customer-algorithm",
    "SSECustomerKey": "x-amz-server-side-encryption-customer-key",
    "SSECustomerKeyMD5": "x-amz-server-side-encryption-customer-key-md5",
}
_OBJECT = {
    "ACL": "x-amz-acl",
    "CacheControl": "cache-control",
    "ContentDisposition": "content-disposition",
    "ContentEncoding": "content-encoding",
    "ContentLanguage": "content-language",
    "ContentType": "content-type",
    "Expires": "expires",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "StorageClass": "x-amz-storage-class",
    "Tagging": "x-amz-tagging",
}


@frozen
class Operation:
    """One operation: the parameters that mirrord gives, and the fields of answers that it reads.

    `body_headers` has the parameters of PutObject and UploadPart.
    """

    name: str
    method: str
    repeatable: bool
    """Whether a request that met a closed connection may be sent twice (docs/trust.md, guarantee 6)."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Parameter -> header, in lower case."""
    queries: Mapping[str, str] = field(default_factory=dict)
    """Parameter -> query field."""
    query: tuple[tuple[str, str], ...] = ()
    """The fixed fields of the query."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Header of an answer -> field."""
    metadata: bool = False
    """The answer has the metadata of the object."""

    def sends(self, given: Parameters) -> bool:
        """Whether this module knows all these parameters; the SDK sends a call with others."""
        return not given.keys() - self.headers.keys() - self.queries.keys() - _WITHOUT_HEADER

    def request_headers(self, given: Parameters) -> list[tuple[str, str]]:
        """The headers of the parameters, without those of every request."""
        names = self.headers
        headers = [(names[name], _text(value)) for name, value in given.items() if name in names]
        if metadata := given.get("Metadata"):
            headers += [(_META + name, value) for name, value in metadata.items()]
        if source := given.get("CopySource"):
            headers.append(("x-amz-copy-source", _copy_source(source)))
        return headers

    def request_query(self, given: Parameters) -> str:
        names = self.queries
        fields = [(names[name], str(value)) for name, value in given.items() if name in names]
        return encoded_query([*self.query, *fields]) if fields or self.query else ""

    def answer_fields(self, headers: Mapping[str, str]) -> Fields:
        """The fields of a successful answer that are in its headers. ValueError: a number is none."""
        known, fields, metadata = self.fields, Fields(), dict[str, str]()
        for header, value in headers.items():
            if header in known:
                name = known[header]
                fields[name] = _READERS[name](value) if name in _READERS else value
            elif self.metadata and header.startswith(_META):
                metadata[header[len(_META) :]] = value
        if metadata:
            fields["Metadata"] = metadata
        return fields


def _copy_source(source: Mapping[str, str]) -> str:
    version = f"?versionId={quote(source['VersionId'], safe='~')}" if "VersionId" in source else ""
    return quote(f"{source['Bucket']}/{source['Key']}", safe="/~") + version


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return formatdate(value.timestamp(), usegmt=True)
    return str(value).lower() if isinstance(value, bool) else str(value)


def answer_date(value: Any) -> datetime | None:
    """A date of an answer, in any form that the SDK reads. None if it cannot be parsed: the rest of the answer can
    still be used."""
    if isinstance(value, str) and value.endswith("GMT") and (seconds := http_date(value)) is not None:
        return datetime.fromtimestamp(seconds, UTC)
    from botocore.utils import parse_timestamp  # for dates of another form: it imports half of the SDK

    try:
        return parse_timestamp(value)
    except ValueError:
        return None


def iso_date(value: str) -> datetime | None:
    """A date of ISO 8601, as of a lock; None: it is none."""
    try:
        date = datetime.fromisoformat(value)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


_READERS: dict[str, Callable[[str], Any]] = {
    "ContentLength": int,
    "LastModified": answer_date,
    "Expires": answer_date,
    "MissingMeta": int,
    "ObjectLockRetainUntilDate": iso_date,
    "PartsCount": int,
    "Size": int,
    "TagCount": int,
}
_PART = {header: name for name, header in _CHECKSUMS.items()} | {"etag": "ETag"}
_ANSWERED = _PART | {"x-amz-checksum-type": "ChecksumType", "x-amz-version-id": "VersionId"}
_HEAD = _ANSWERED | {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-length": "ContentLength",
    "content-type": "ContentType",
    "expires": "Expires",
    "last-modified": "LastModified",
    "x-amz-archive-status": "ArchiveStatus",
    "x-amz-mp-parts-count": "PartsCount",
    "x-amz-object-lock-legal-hold": "ObjectLockLegalHoldStatus",
    "x-amz-object-lock-mode": "ObjectLockMode",
    "x-amz-object-lock-retain-until-date": "ObjectLockRetainUntilDate",
    "x-amz-restore": "Restore",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-customer-algorithm": "SSECustomerAlgorithm",
    "x-amz-storage-class": "StorageClass",
    "x-amz-tagging-count": "TagCount",
    "x-amz-missing-meta": "MissingMeta",
}
_WRITTEN = _ANSWERED | {"x-amz-object-size": "Size"}
_COPY = {
    **CUSTOMER_KEY,
    "CopySourceSSECustomerAlgorithm": "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "CopySourceSSECustomerKey": "x-amz-copy-source-server-side-encryption-customer-key",
    "CopySourceSSECustomerKeyMD5": "x-amz-copy-source-server-side-encryption-customer-key-md5",
    "ChecksumAlgorithm": "x-amz-checksum-algorithm",
    "CopySourceIfMatch": "x-amz-copy-source-if-match",
    "MetadataDirective": "x-amz-metadata-directive",
    "TaggingDirective": "x-amz-tagging-directive",
}
_PAGE = {
    "ContinuationToken": "continuation-token",
    "EncodingType": "encoding-type",
    "MaxKeys": "max-keys",
    "Prefix": "prefix",
}
OPERATIONS = {
    "put_object": Operation("PutObject", "PUT", repeatable=False, fields=_WRITTEN),
    "upload_part": Operation("UploadPart", "PUT", repeatable=True, fields=_PART),
    "head_object": Operation(
        "HeadObject",
        "HEAD",
        True,
        {"ChecksumMode": "x-amz-checksum-mode", **CUSTOMER_KEY},
        {"PartNumber": "partNumber", "VersionId": "versionId"},
        fields=_HEAD,
        metadata=True,
    ),
    "copy_object": Operation("CopyObject", "PUT", False, _OBJECT | _COPY, fields={"x-amz-version-id": "VersionId"}),
    "list_objects_v2": Operation("ListObjectsV2", "GET", True, {}, _PAGE, (("list-type", "2"),)),
}
"""Name of the SDK's method -> operation."""
