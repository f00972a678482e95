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
    "DeleteObject": "s3:DeleteObject",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetObject": "s3:GetObject",
    "GetObjectTagging": "s3:GetObjectTagging",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListObjectsV2": "s3:ListBucket",
    "ListParts": "s3:ListMultipartUploadParts",
    "PutObject": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "UploadPartCopy": "s3:PutObject",
}
"""Other operations are denied."""
_HEADERS = {"x-amz-tagging": "s3:PutObjectTagging", "x-amz-acl": "s3:PutObjectAcl", "x-amz-copy-source": "s3:GetObject"}
_READS = ("HeadObject", "GetObject")


class Rights:
    """`allowed` may be replaced at any time. `denied` has each call that was refused."""

    def __init__(self, proxy: StoreProxy, allowed: Iterable[str]) -> None:
        self.allowed = frozenset(allowed)
        self.denied: list[str] = []
        self._proxy = proxy
        self.install()

    def install(self) -> None:
        """Also after other hooks replaced these."""
        self._proxy.before, self._proxy.after = self._before, self._after  # type: ignore[assignment]

    async def _before(self, seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        needed = {ACTIONS.get(seen.operation, seen.operation)}
        needed |= {action for name, action in _HEADERS.items() if name in request.headers}
        if needed <= self.allowed:
            return None
        await drain(request)
        return self._refusal(seen)

    async def _after(self, seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        hidden = seen.operation in _READS and seen.status == 404 and "s3:ListBucket" not in self.allowed
        return self._refusal(seen) if hidden else None

    def _refusal(self, seen: Seen) -> web.Response:
        self.denied.append(seen.operation)
        return refusal(403, "" if seen.operation.startswith("Head") else "AccessDenied")
