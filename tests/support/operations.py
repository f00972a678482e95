"""Finds the S3 operation of an HTTP request from its method, path, query and headers (S3 API Reference)."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

WRITES = frozenset(
    {
        "PutObject",
        "CopyObject",
        "CreateMultipartUpload",
        "UploadPart",
        "UploadPartCopy",
        "CompleteMultipartUpload",
        "AbortMultipartUpload",
        "DeleteObject",
        "DeleteObjects",
        "CreateBucket",
        "DeleteBucket",
        "PutBucketVersioning",
        "PutObjectRetention",
        "PutObjectLegalHold",
        "PutObjectLockConfiguration",
    }
)
_OBJECT = {
    "PUT": "PutObject",
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "DELETE": "DeleteObject",
}
_BUCKET = {"PUT": "CreateBucket", "GET": "ListObjects", "HEAD": "HeadBucket", "DELETE": "DeleteBucket"}
_OBJECT_QUERY = {
    ("POST", "uploads"): "CreateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("PUT", "partNumber"): "UploadPart",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("GET", "uploadId"): "ListParts",
    ("GET", "tagging"): "GetObjectTagging",
    ("PUT", "tagging"): "PutObjectTagging",
    ("PUT", "retention"): "PutObjectRetention",
    ("PUT", "legal-hold"): "PutObjectLegalHold",
}
_BUCKET_QUERY = {
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", "versioning"): "GetBucketVersioning",
    ("GET", "versions"): "ListObjectVersions",
    ("GET", "location"): "GetBucketLocation",
    ("PUT", "versioning"): "PutBucketVersioning",
    ("GET", "object-lock"): "GetObjectLockConfiguration",
    ("PUT", "object-lock"): "PutObjectLockConfiguration",
    ("POST", "delete"): "DeleteObjects",
}
_COPIES = {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}


def operation(method: str, raw_path: str, headers: Mapping[str, str]) -> tuple[str, str, str]:
    """(operation, bucket, key) of a path-style request. The name of an unknown operation is its method and query."""
    path, _, query = raw_path.partition("?")
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    parameters = [name for name, _ in parse_qsl(query, keep_blank_values=True)]
    return (
        _named(method, bucket, key, parameters, "x-amz-copy-source" in {name.lower() for name in headers}),
        bucket,
        key,
    )


def _named(method: str, bucket: str, key: str, parameters: list[str], copies: bool) -> str:
    if not bucket:
        return "ListBuckets"
    for name in parameters:
        if found := (_OBJECT_QUERY if key else _BUCKET_QUERY).get((method, name)):
            return _COPIES.get(found, found) if copies else found
    found = (_OBJECT if key else _BUCKET).get(method)
    return (_COPIES.get(found, found) if copies else found) if found else f"{method} ?{'&'.join(parameters)}"
