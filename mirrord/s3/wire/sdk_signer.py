"""Signs the requests of an SDK client with our signer, so that all requests to a store follow its `StoreSigning`.

Owns the hooks in the SDK: its own signer is told not to sign, and its requests are signed before they are sent. SigV4A,
S3 Express and other services and regions stay with the SDK's signer.
"""

from typing import Any
from urllib.parse import urlsplit

from botocore import UNSIGNED

from mirrord.s3.wire.signing import AccessKeys, CanonicalRequest, Signer, host_of
from mirrord.s3.wire.store_signing import StoreSigning

_UNSIGNED_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"}
)
"""Headers that a proxy or the HTTP client may change."""
_VERSIONS = frozenset({"v4", "s3v4"})


class SdkSigner:
    """Signs for one region. `credentials` has the SDK's interface."""

    def __init__(self, region: str, credentials: Any, signing: StoreSigning) -> None:
        self._region = region
        self._credentials = credentials
        self._signing = signing
        self._signer = Signer(region)

    def install(self, events: Any) -> None:
        """`events` of a client."""
        events.register_first("choose-signer.s3", self._choose)
        events.register_last("before-send.s3", self._sign)

    def _choose(self, signing_name: str, region_name: str, signature_version: Any, **_: object) -> Any:
        ours = signing_name == "s3" and region_name == self._region and signature_version in _VERSIONS
        return UNSIGNED if ours else None

    async def _sign(self, request: Any, **_: object) -> None:
        if "Authorization" in request.headers:
            return
        frozen = await self._credentials.get_frozen_credentials()
        url = urlsplit(request.url)
        headers = [(name.lower(), _text(value)) for name, value in request.headers.items()]
        signed = [(name, value) for name, value in headers if name not in _UNSIGNED_HEADERS]
        query = _canonical_query(url.query)
        canonical = CanonicalRequest(request.method, url.path, query, [*signed, ("host", host_of(request.url))])
        payload = await self._signing.payload_hash(_bytes(request.body))
        keys = AccessKeys(frozen.access_key, frozen.secret_key, frozen.token)
        for name, value in self._signer.sign(canonical, payload, keys, self._signing.stamp()):
            request.headers[name] = value


def _canonical_query(query: str) -> str:
    """Sorted, each field with `=`, although the SDK sends `?uploads`."""
    fields = sorted((name, value) for name, _, value in (field.partition("=") for field in query.split("&")) if name)
    return "&".join([f"{name}={value}" for name, value in fields])


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _bytes(body: Any) -> memoryview | bytes:
    """The bytes of a request body: a `BufferBody`, or what the SDK made."""
    view: memoryview | bytes = getattr(body, "view", body) or b""
    return view
