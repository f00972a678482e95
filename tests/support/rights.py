"""A store that enforces rights: a StoreProxy in front of SeaweedFS that answers 403 AccessDenied as AWS does.

Owns which S3 actions an operation needs (Service Authorization Reference of Amazon S3), and the rule that a read of a
missing object is denied, and not 404, if the bucket may not be listed.
"""

from collections.abc import Iterable

from aiohttp import web

from tests.support.elsewhere import drain, refusal
from tests.support.proxy import Seen, StoreProxy

ACTIONS = {
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "CompleteMultipartUpload": "s3:PutObject",
    "CopyObject": "s3:PutObject",
    "CreateBucket": "s3:CreateBucket",
    "CreateMultipartUpload": "s3:PutObject",
    "DeleteBucket": "s3:DeleteBucket",
    "DeleteObject": "s3:DeleteObject",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetObject": "s3:GetObject",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "GetObjectTagging": "s3:GetObjectTagging",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "ListBuckets": "s3:ListAllMyBuckets",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListObjectsV2": "s3:ListBucket",
    "ListParts": "s3:ListMultipartUploadParts",
    "PutBucketVersioning": "s3:PutBucketVersioning",
    "PutObject": "s3:PutObject",
    "PutObjectLegalHold": "s3:PutObjectLegalHold",
    "PutObjectLockConfiguration": "s3:PutBucketObjectLockConfiguration",
    "PutObjectRetention": "s3:PutObjectRetention",
    "UploadPart": "s3:PutObject",
    "UploadPartCopy": "s3:PutObject",
}
"""Other operations are denied."""
HEADERS = {
    "x-amz-acl": "s3:PutObjectAcl",
    "x-amz-copy-source": "s3:GetObject",
    "x-amz-object-lock-legal-hold": "s3:PutObjectLegalHold",
    "x-amz-object-lock-mode": "s3:PutObjectRetention",
    "x-amz-tagging": "s3:PutObjectTagging",
}
"""What a request with this header needs, too."""
_READS = ("HeadObject", "GetObject")


class Rights:
    """`allowed` may be replaced at any time; `denied` has each call that was refused.

    `lost`: the next call of this operation is carried out, and its answer is lost. `cut`: it is not carried out, and
    there is no answer. `failing`: calls of this operation after the first `passing` are answered 503.
    """

    def __init__(self, proxy: StoreProxy, allowed: Iterable[str]) -> None:
        self.allowed = frozenset(allowed)
        self.denied: list[str] = []
        self.lost = ""
        self.cut = ""
        self.failing = ""
        self.passing = 0
        proxy.before, proxy.after = self._before, self._after  # type: ignore[assignment]

    async def _before(self, seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        needed = {ACTIONS.get(seen.operation, seen.operation)}
        needed |= {action for name, action in HEADERS.items() if name in request.headers}
        if not needed <= self.allowed:
            await drain(request)
            return self._refusal(seen)
        if seen.operation == self.cut:
            self.cut = ""
            return _disconnected(request)
        if seen.operation == self.failing and not self._passes():
            await drain(request)
            return refusal(503, "ServiceUnavailable")
        return None

    def _passes(self) -> bool:
        self.passing -= 1
        return self.passing >= 0

    async def _after(self, seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        if seen.operation == self.lost:
            self.lost = ""
            return _disconnected(request)
        hidden = seen.operation in _READS and seen.status == 404 and "s3:ListBucket" not in self.allowed
        return self._refusal(seen) if hidden else None

    def _refusal(self, seen: Seen) -> web.Response:
        self.denied.append(seen.operation)
        return refusal(403, "" if seen.operation.startswith("Head") else "AccessDenied")


def _disconnected(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError
