"""What the sink knows of its objects, and its answers to the calls of S3. It has no sockets.

Owns objects (key, size, ETag, CRC64NVME, metadata), open uploads, counts, and the XML of the answers.
"""

import base64
import hashlib
import itertools
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

from awscrt.checksums import combine_crc64nvme, crc64nvme

_CRC = "x-amz-checksum-crc64nvme"
_KEPT = ("x-amz-meta-", "content-type", "cache-control", "content-encoding")
_DECODED = "x-amz-decoded-content-length"
"""The length of a body without the framing of aws-chunked."""
_PAGE = 1000


@dataclass(slots=True)
class Reply:
    """An answer. `length` is the Content-Length of an answer to HEAD."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None


@dataclass(slots=True)
class Stored:
    """An object or a part. `crc` is base64; None: none was sent, and none computed."""

    size: int
    etag: str
    crc: str | None
    metadata: Mapping[str, str]
    modified: float


@dataclass(slots=True)
class OpenUpload:
    """A multipart upload: the metadata for the object, and its parts by number."""

    metadata: Mapping[str, str]
    parts: dict[int, Stored] = field(default_factory=dict)


class Body:
    """A request and its body while it arrives."""

    __slots__ = ("_crc", "_md5", "bucket", "collected", "headers", "key", "operation", "query", "size")

    def __init__(
        self, operation: str, bucket: str, key: str, query: dict[str, str], headers: Mapping[str, str], modes: set[str]
    ) -> None:
        self.operation = operation
        self.bucket = bucket
        self.key = key
        self.query = query
        self.headers = headers
        self.size = 0
        self.collected: bytearray | None = bytearray() if "collect" in modes else None
        self._crc = 0
        self._md5 = hashlib.md5(usedforsecurity=False) if "compute" in modes else None

    def update(self, view: memoryview) -> None:
        self.size += len(view)
        if self.collected is not None:
            self.collected += view
        elif self._md5 is not None:
            self._md5.update(view)
            self._crc = crc64nvme(view, self._crc)

    @property
    def crc(self) -> str | None:
        return _encoded(self._crc) if self._md5 is not None else self.headers.get(_CRC)

    def etag(self, number: Iterator[int]) -> str:
        """The MD5, computed or as it was sent; without both a number that no other object has."""
        if self._md5 is not None:
            return self._md5.hexdigest()
        sent = self.headers.get("content-md5")
        return base64.b64decode(sent).hex() if sent else f"{next(number):032x}"

    @property
    def wrong(self) -> bool:
        """Whether a checksum that was sent differs from the computed one."""
        if self._md5 is None:
            return False
        sent = {_CRC: self.crc, "content-md5": base64.b64encode(self._md5.digest()).decode()}
        return any(self.headers.get(name, value) != value for name, value in sent.items())


class SinkStore:
    """Objects of any bucket. `echo`: nothing is computed or verified."""

    def __init__(self, *, echo: bool) -> None:
        self.calls: Counter[str] = Counter()
        self.received = 0
        self._echo = echo
        self._objects: dict[str, dict[str, Stored]] = {}
        self._sorted: dict[str, list[str]] = {}
        self._uploads: dict[str, OpenUpload] = {}
        self._number = itertools.count(1)

    def reset(self, *, keep_objects: bool) -> None:
        """Start to count again, and forget the objects unless `keep_objects`."""
        self.calls.clear()
        self.received = 0
        if not keep_objects:
            self._objects.clear()
            self._sorted.clear()
            self._uploads.clear()

    def body(
        self, operation: str, bucket: str, key: str, target: str, headers: Mapping[str, str], *, collected: bool
    ) -> Body:
        """The state of a new request; `answer` takes it when its body is complete."""
        query = dict(parse_qsl(target.partition("?")[2], keep_blank_values=True)) if "?" in target else {}
        modes = {"collect"} if collected else set()
        if not self._echo and operation in ("PutObject", "UploadPart") and _DECODED not in headers:
            modes.add("compute")
        return Body(operation, bucket, key, query, headers, modes)

    def answer(self, body: Body) -> Reply:
        self.calls[body.operation] += 1
        answer = getattr(self, f"_{_snake(body.operation)}", None)
        return answer(body) if answer else Reply(501, {}, _error("NotImplemented", body.operation))

    # ── writes ────────────────────────────────────────────────────────────────────────────────────
    def _put_object(self, body: Body) -> Reply:
        if body.headers.get("if-none-match") == "*" and body.key in self._objects.get(body.bucket, ()):
            return Reply(412, {}, _error("PreconditionFailed", "the object exists"))
        return self._written(body, lambda stored: self._keep(body.bucket, body.key, stored))

    def _upload_part(self, body: Body) -> Reply:
        upload = self._uploads.get(body.query["uploadId"])
        if upload is None:
            return Reply(404, {}, _error("NoSuchUpload", body.key))
        return self._written(body, lambda stored: upload.parts.__setitem__(int(body.query["partNumber"]), stored))

    def _written(self, body: Body, keep: Any) -> Reply:
        size = int(body.headers.get(_DECODED, body.size))
        self.received += size
        if body.wrong:
            return Reply(400, {}, _error("BadDigest", "the checksum that was sent is not that of the body"))
        stored = Stored(size, body.etag(self._number), body.crc, _kept(body.headers), time.time())
        keep(stored)
        return Reply(200, _shown(stored))

    def _create_multipart_upload(self, body: Body) -> Reply:
        name = f"upload-{next(self._number)}"
        self._uploads[name] = OpenUpload(_kept(body.headers))
        where = f"<Bucket>{body.bucket}</Bucket><Key>{escape(body.key)}</Key>"
        return _xml("InitiateMultipartUploadResult", f"{where}<UploadId>{name}</UploadId>")

    def _complete_multipart_upload(self, body: Body) -> Reply:
        upload = self._uploads.pop(body.query["uploadId"], None)
        if upload is None:
            return Reply(404, {}, _error("NoSuchUpload", body.key))
        numbers = [int(number) for number in re.findall(rb"<PartNumber>(\d+)", bytes(body.collected or b""))]
        parts = [upload.parts[number] for number in numbers]
        sent = body.headers.get(_CRC)
        crc = sent if self._echo else _combined(parts)
        if sent is not None and sent != crc:
            return Reply(400, {}, _error("BadDigest", "the checksum that was sent is not that of the parts"))
        digests = b"".join(bytes.fromhex(part.etag) for part in parts)
        etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
        stored = Stored(sum(part.size for part in parts), etag, crc, upload.metadata, time.time())
        self._keep(body.bucket, body.key, stored)
        shown = f"<ChecksumCRC64NVME>{crc}</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType>" if crc else ""
        where = f"<Bucket>{body.bucket}</Bucket><Key>{escape(body.key)}</Key>"
        return _xml("CompleteMultipartUploadResult", f"{where}<ETag>&quot;{etag}&quot;</ETag>{shown}")

    def _abort_multipart_upload(self, body: Body) -> Reply:
        self._uploads.pop(body.query["uploadId"], None)
        return Reply(204)

    def _copy_object(self, body: Body) -> Reply:
        bucket, _, key = unquote(body.headers["x-amz-copy-source"]).lstrip("/").partition("/")
        source = self._objects.get(bucket, {}).get(key)
        if source is None:
            return Reply(404, {}, _error("NoSuchKey", key))
        replaced = body.headers.get("x-amz-metadata-directive") == "REPLACE"
        metadata = _kept(body.headers) if replaced else source.metadata
        self._keep(body.bucket, body.key, Stored(source.size, source.etag, source.crc, metadata, time.time()))
        return _xml("CopyObjectResult", f"<ETag>&quot;{source.etag}&quot;</ETag>")

    def _delete_object(self, body: Body) -> Reply:
        if self._objects.get(body.bucket, {}).pop(body.key, None):
            self._sorted.pop(body.bucket, None)
        return Reply(204)

    def _delete_objects(self, body: Body) -> Reply:
        for key in re.findall(r"<Key>(.*?)</Key>", (body.collected or b"").decode()):
            self._objects.get(body.bucket, {}).pop(key, None)
        self._sorted.pop(body.bucket, None)
        return _xml("DeleteResult", "")

    def _create_bucket(self, _body: Body) -> Reply:
        return Reply(200)

    def _keep(self, bucket: str, key: str, stored: Stored) -> None:
        objects = self._objects.setdefault(bucket, {})
        if key not in objects:
            self._sorted.pop(bucket, None)
        objects[key] = stored

    # ── reads ─────────────────────────────────────────────────────────────────────────────────────
    def _head_object(self, body: Body) -> Reply:
        stored = self._objects.get(body.bucket, {}).get(body.key)
        if stored is None:
            return Reply(404)
        times = {"Last-Modified": formatdate(stored.modified, usegmt=True)}
        return Reply(200, {**_shown(stored), **stored.metadata, **times}, length=stored.size)

    def _head_bucket(self, _body: Body) -> Reply:
        return Reply(200, {"x-amz-bucket-region": "us-east-1"})

    def _list_buckets(self, _body: Body) -> Reply:
        return _xml("ListAllMyBucketsResult", "<Buckets></Buckets>")

    def _get_bucket_location(self, _body: Body) -> Reply:
        return _xml("LocationConstraint", "")

    def _get_bucket_versioning(self, _body: Body) -> Reply:
        return _xml("VersioningConfiguration", "")

    def _list_multipart_uploads(self, _body: Body) -> Reply:
        return _xml("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>")

    def _list_objects(self, body: Body) -> Reply:
        return self._list_objects_v2(body)

    def _list_objects_v2(self, body: Body) -> Reply:
        query, objects = body.query, self._objects.get(body.bucket, {})
        if body.bucket not in self._sorted:
            self._sorted[body.bucket] = sorted(objects, key=str.encode)
        after = query.get("continuation-token") or query.get("start-after") or query.get("marker") or ""
        prefix, delimiter, most = query.get("prefix", ""), query.get("delimiter", ""), int(query.get("max-keys", _PAGE))
        page, more = _page(self._sorted[body.bucket], prefix, delimiter, after, most)
        by_url = query.get("encoding-type") == "url"
        coded = quote if by_url else escape
        parts = [f"<Name>{body.bucket}</Name><KeyCount>{len(page)}</KeyCount>"]
        parts.append(f"<IsTruncated>{str(more).lower()}</IsTruncated>" + "<EncodingType>url</EncodingType>" * by_url)
        if more:
            token, marker = escape(page[-1]), coded(page[-1])
            parts.append(f"<NextContinuationToken>{token}</NextContinuationToken><NextMarker>{marker}</NextMarker>")
        return _xml("ListBucketResult", "".join([*parts, *(_entry(coded(name), objects.get(name)) for name in page)]))


def _page(keys: list[str], prefix: str, delimiter: str, after: str, most: int) -> tuple[list[str], bool]:
    """The names of one page (keys, and common prefixes that end with the delimiter), and whether more follow."""
    page: list[str] = []
    floor = after.encode()
    for key in itertools.islice(keys, _first(keys, max(floor, prefix.encode())), None):
        if not key.startswith(prefix):
            break
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        name = f"{prefix}{head}{delimiter}" if found else key
        if name.encode() <= floor or (page and page[-1] == name):
            continue
        if len(page) == most:
            return page, True
        page.append(name)
    return page, False


def _first(keys: list[str], floor: bytes) -> int:
    """The index of the first key that is not below `floor`."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if keys[middle].encode() < floor else (low, middle)
    return low


def _entry(name: str, stored: Stored | None) -> str:
    if stored is None:
        return f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
    when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(stored.modified))
    return (
        f"<Contents><Key>{name}</Key><LastModified>{when}</LastModified><ETag>&quot;{stored.etag}&quot;</ETag>"
        f"<Size>{stored.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def _shown(stored: Stored) -> dict[str, str]:
    crc = {_CRC: stored.crc, "x-amz-checksum-type": "FULL_OBJECT"} if stored.crc else {}
    return {"ETag": f'"{stored.etag}"', **crc}


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith(_KEPT)}


def _combined(parts: list[Stored]) -> str | None:
    whole = 0
    for part in parts:
        if part.crc is None:
            return None
        whole = combine_crc64nvme(whole, int.from_bytes(base64.b64decode(part.crc), "big"), part.size)
    return _encoded(whole)


def _encoded(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(8, "big")).decode()


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _xml(root: str, inner: str) -> Reply:
    return Reply(200, {"Content-Type": "application/xml"}, f"<{root}>{inner}</{root}>".encode())


def _error(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>".encode()
