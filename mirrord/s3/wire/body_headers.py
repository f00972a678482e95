"""The query and headers of PutObject and UploadPart, and what the headers of their answers say. Pure.

Owns the names of these headers (S3 API Reference, "PutObject"). `arguments` has the rules for the values, and
`answers.results` those for the fields of an answer. The other operations are described by tables (`operations`), which
cost 10 us for each request.
"""

from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from operator import attrgetter

from mirrord.model import ChecksumKind, ObjectOptions
from mirrord.s3 import arguments
from mirrord.s3.body_request import BodyRequest
from mirrord.s3.wire.operations import CUSTOMER_KEY
from mirrord.s3.wire.signing import encoded_query

Header = tuple[str, str]

_OPTIONS = {
    "cache-control": "cache_control",
    "content-disposition": "content_disposition",
    "content-encoding": "content_encoding",
    "content-language": "content_language",
    "content-type": "content_type",
    "x-amz-storage-class": "storage_class",
    "x-amz-acl": "acl",
    "x-amz-server-side-encryption": "encryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "kms_key_id",
}
"""Header -> field of `ObjectOptions`."""
_values_of = attrgetter(*_OPTIONS.values())
_CHECKSUMS = {
    ChecksumKind.CRC64NVME: "x-amz-checksum-crc64nvme",
    ChecksumKind.CRC32C: "x-amz-checksum-crc32c",
    ChecksumKind.CRC32: "x-amz-checksum-crc32",
    ChecksumKind.SHA256: "x-amz-checksum-sha256",
    ChecksumKind.MD5: "content-md5",
}
_ANSWERED = {
    "etag": "ETag",
    "x-amz-version-id": "VersionId",
    "x-amz-checksum-type": "ChecksumType",
    **{header: arguments.CHECKSUM_FIELDS[kind] for kind, header in _CHECKSUMS.items() if kind is not ChecksumKind.MD5},
}
"""Header of an answer -> field."""
_NUMBER = "x-amz-object-size"


def request_headers(request: BodyRequest) -> list[Header]:
    """StoreRefused: a value that S3 cannot represent."""
    headers = [] if request.options is None else _object_headers(request.options)
    checksum = request.checksum
    if checksum is not None and checksum.kind is not ChecksumKind.NONE:
        headers.append((_CHECKSUMS[checksum.kind], checksum.value))
    if request.if_none_match:
        headers.append(("if-none-match", "*"))
    if request.customer_key is not None:
        headers += [(CUSTOMER_KEY[name], value) for name, value in arguments.customer_key(request.customer_key).items()]
    return headers


def request_query(request: BodyRequest) -> str:
    """The encoded query; empty for PutObject."""
    part = request.part
    return "" if part is None else encoded_query([("partNumber", str(part.number)), ("uploadId", part.upload_id)])


def _object_headers(options: ObjectOptions) -> list[Header]:
    headers = [*_option_headers(_values_of(options))]
    for name, text in options.metadata.items():
        headers.append((_metadata_header(name), arguments.encode_metadata(text)))
    if options.tags:
        headers.append(("x-amz-tagging", arguments.tagging(options.tags)))
    if options.expires:
        headers.append(("expires", formatdate(arguments.expiry(options.expires).timestamp(), usegmt=True)))
    if options.lock_mode and options.retain is not None:
        until = arguments.locked_until(options.retain).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers += [("x-amz-object-lock-mode", options.lock_mode), ("x-amz-object-lock-retain-until-date", until)]
    if options.legal_hold:
        headers.append(("x-amz-object-lock-legal-hold", "ON"))
    return headers


@lru_cache(maxsize=256)
def _option_headers(values: tuple[str | None, ...]) -> tuple[Header, ...]:
    return tuple((name, value) for name, value in zip(_OPTIONS, values, strict=True) if value)


@lru_cache(maxsize=256)
def _metadata_header(name: str) -> str:
    return f"x-amz-meta-{arguments.metadata_name(name)}"


def answer_fields(headers: Mapping[str, str]) -> dict[str, str] | None:
    """The fields of a success that `results.stored_object` reads, as the SDK names them. None: it has a header that is
    rare and must be checked, or one that is not ASCII."""
    if _NUMBER in headers or not "".join(headers.values()).isascii():
        return None
    return {field: headers[header] for header, field in _ANSWERED.items() if header in headers}
