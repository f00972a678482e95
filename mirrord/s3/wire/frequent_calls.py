"""The SDK's client of one region, with five of its operations sent by the own HTTP client.

Owns which calls those are, and the address of each bucket, which the SDK resolves once. PutObject and UploadPart are
`BodyRequest`s, which `body_headers` translates; of the other calls, arguments and answers are the SDK's. All errors are
the SDK's. `operations` and `answers` translate, `http` sends.
"""

import re
from asyncio import Lock
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from mirrord._version import __version__
from mirrord.model import StoredObject
from mirrord.s3.answers.results import stored_object
from mirrord.s3.body_request import BodyRequest, send_by_sdk
from mirrord.s3.deferred_client import DeferredClient
from mirrord.s3.http_errors import RESULT_LIMIT
from mirrord.s3.wire.answers import Answer, AnswerReader
from mirrord.s3.wire.body_headers import Header, answer_fields, request_headers, request_query
from mirrord.s3.wire.http import WireClient, WireResponse
from mirrord.s3.wire.operations import OPERATIONS, Operation
from mirrord.s3.wire.signing import UNSIGNED_TRAILER, AccessKeys, CanonicalRequest, Signer, encoded_key, host_of
from mirrord.s3.wire.store_signing import StoreSigning

Connect = Callable[[str], WireClient]
"""Make the HTTP client of an origin (`https://host:port`)."""
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")
_SPECIAL = re.compile(r"(--[a-z0-9]+-s3|-s3alias|\.mrap)$")
_USER_AGENT = ("user-agent", f"mirrord/{__version__}")
"""Not signed: a proxy may change it."""
REQUESTER_PAYS: tuple[Header, ...] = (("x-amz-request-payer", "requester"),)
"""The header by which a request agrees to its charges. All five calls have it (S3 API Reference)."""


class BucketAddress(NamedTuple):
    """Where the requests for one bucket go. `path` precedes the key, without a slash at its end."""

    client: WireClient
    host: str
    path: str
    signer: Signer | None


class FrequentCalls:
    """Has the interface of the SDK's `client`, and `send_body`. The caller closes that client.

    `credentials` has the SDK's interface; None: requests are not signed. `connect` makes HTTP clients, which close with
    this object. `endpoint`: the URL that the bucket is appended to; None: the SDK determines the URLs of buckets.
    `common`: headers of every request.
    """

    def __init__(
        self,
        client: DeferredClient,
        credentials: Any,
        signing: StoreSigning,
        connect: Connect,
        endpoint: str | None = None,
        common: tuple[Header, ...] = (),
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._signing = signing
        self._connect = connect
        self._endpoint = endpoint
        self._common = common
        self._answers = AnswerReader(client)
        self._addresses: dict[str, BucketAddress | None] = {}
        self._http: dict[str, WireClient] = {}
        self._contexts = AsyncExitStack()
        self._lock = Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._contexts.aclose()

    def __getattr__(self, name: str) -> Any:
        """All other operations are the SDK's."""
        return getattr(self._client, name)

    async def head_object(self, **given: Any) -> Answer:
        return await self._call("head_object", given)

    async def copy_object(self, **given: Any) -> Answer:
        return await self._call("copy_object", given)

    async def list_objects_v2(self, **given: Any) -> Answer:
        return await self._call("list_objects_v2", given)

    async def _call(self, method: str, given: Mapping[str, Any]) -> Answer:
        operation, address = OPERATIONS[method], await self._address_of(given["Bucket"])
        if address is None or not operation.sends(given) or given.get("Key") == "":
            answer: Answer = await getattr(self._client, method)(**given)
            return answer
        path = f"{address.path}/{encoded_key(given['Key'])}" if "Key" in given else address.path or "/"
        query, headers = operation.request_query(given), operation.request_headers(given)
        return await self._answers.read(operation, await self._send(operation, address, (path, query), headers, b""))

    async def send_body(self, request: BodyRequest) -> StoredObject:
        """PutObject or UploadPart."""
        at, operation = request.at, OPERATIONS[request.method]
        address = self._addresses.get(at.bucket) or await self._address_of(at.bucket)
        if address is None or not at.key:
            return await send_by_sdk(self._client, request)
        target = f"{address.path}/{encoded_key(at.key)}", request_query(request)
        response = await self._send(operation, address, target, request_headers(request), request.body)
        plain = response.status == 200 and not response.body
        answer: Mapping[str, Any] | None = answer_fields(response.headers) if plain else None
        if answer is None:
            answer = await self._answers.read(operation, response)
        return stored_object(answer, size=len(request.body))

    async def put_with_trailer(self, **given: Any) -> Answer:
        """PutObject of `Body` as one chunk of `aws-chunked`, with `Trailer` (name and value), which is not signed (AWS,
        "Signature calculations for trailing headers"). AttributeError: the calls for this bucket are the SDK's."""
        operation, address = OPERATIONS["put_object"], await self._address_of(given["Bucket"])
        if address is None:
            raise AttributeError("put_with_trailer")
        body, (name, value) = given["Body"], given["Trailer"]
        coded = b"%x\r\n%b\r\n0\r\n%b:%b\r\n\r\n" % (len(body), bytes(body), name.encode(), value.encode())
        headers = [("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", str(len(body)))]
        headers += [("x-amz-trailer", name), ("host", address.host)]
        target = f"{address.path}/{encoded_key(given['Key'])}"
        if address.signer is not None:
            frozen = await self._credentials.get_frozen_credentials()
            keys = AccessKeys(frozen.access_key, frozen.secret_key, frozen.token)
            request = CanonicalRequest(operation.method, target, "", headers)
            headers = address.signer.sign(request, UNSIGNED_TRAILER, keys, self._signing.stamp())
        response = await address.client.send(
            operation.method, target, [*headers, _USER_AGENT], coded, repeatable=False, max_body=RESULT_LIMIT
        )
        return await self._answers.read(operation, response)

    async def _send(
        self,
        operation: Operation,
        address: BucketAddress,
        target: tuple[str, str],
        headers: list[Header],
        body: memoryview | bytes,
    ) -> WireResponse:
        """`target`: the encoded path and query."""
        path, query = target
        headers += (("host", address.host), *self._common)
        if address.signer is not None:
            request = CanonicalRequest(operation.method, path, query, headers)
            headers = await self._signed(address.signer, request, body)
        headers.append(_USER_AGENT)
        return await address.client.send(
            operation.method,
            f"{path}?{query}" if query else path,
            headers,
            body,
            repeatable=operation.repeatable,
            max_body=RESULT_LIMIT,
        )

    async def _signed(
        self, signer: Signer, request: CanonicalRequest, body: memoryview | bytes
    ) -> list[tuple[str, str]]:
        signing = self._signing
        payload, frozen = await signing.payload_hash(body), await self._credentials.get_frozen_credentials()
        keys = AccessKeys(frozen.access_key, frozen.secret_key, frozen.token)
        return signer.sign(request, payload, keys, signing.stamp())

    async def _address_of(self, bucket: str) -> BucketAddress | None:
        """None: the calls for this bucket are the SDK's."""
        if bucket not in self._addresses:
            self._addresses[bucket] = await self._address(bucket)
        return self._addresses[bucket]

    async def _address(self, bucket: str) -> BucketAddress | None:
        if not is_plain_bucket(bucket):
            return None
        if self._endpoint is not None:
            url, region = f"{self._endpoint.rstrip('/')}/{bucket}", self._client.region
        elif (resolved := await resolved_bucket(await self._client.opened(), bucket)) is not None:
            url, region = resolved
        else:
            return None
        signer = None if self._credentials is None else Signer(region)
        parts = urlsplit(url)
        client = await self._http_client(f"{parts.scheme}://{host_of(url)}")
        return BucketAddress(client, host_of(url), parts.path.rstrip("/"), signer)

    async def _http_client(self, origin: str) -> WireClient:
        async with self._lock:
            if origin not in self._http:
                self._http[origin] = await self._contexts.enter_async_context(self._connect(origin))
            return self._http[origin]


async def resolved_bucket(client: Any, bucket: str) -> tuple[str, str] | None:
    """The URL of a bucket and the region of its signatures, by the rules of an open client of the SDK. None: not signed
    with SigV4."""
    context: dict[str, Any] = {"client_region": client.meta.region_name, "client_config": client.meta.config}
    model = client.meta.service_model.operation_model("HeadObject")
    # The SDK has no public method for this. A contract test compares the addresses with those of its requests.
    url, headers, _ = await client._resolve_endpoint_ruleset(model, {"Bucket": bucket, "Key": "k"}, context)
    signing = context.get("signing", {})
    if headers or context.get("auth_type") not in ("v4", "none") or signing.get("signing_name", "s3") != "s3":
        return None
    return url, signing.get("region") or client.meta.region_name


def is_plain_bucket(bucket: str) -> bool:
    """Whether a bucket is addressed by its name and signed with SigV4: no ARN, no access point, no directory bucket."""
    return bool(_BUCKET.fullmatch(bucket)) and not _SPECIAL.search(bucket)
