"""The SDK's client of one region, with five of its operations sent by the own HTTP client.

Owns which calls those are, and the address of each bucket, which the SDK resolves once. Arguments, answers and errors
are the SDK's, so that callers see no difference. `operations` and `answers` translate, `http` sends.
"""

import re
from asyncio import Lock
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from mirrord._version import __version__
from mirrord.s3.http_session import RESULT_LIMIT
from mirrord.s3.wire.answers import Answer, AnswerReader
from mirrord.s3.wire.http import WireClient
from mirrord.s3.wire.operations import Operation, operations
from mirrord.s3.wire.sdk_signer import host_of
from mirrord.s3.wire.signing import AccessKeys, CanonicalRequest, Signer, encoded_key
from mirrord.s3.wire.store_signing import StoreSigning

Connect = Callable[[str], WireClient]
"""Make the HTTP client of an origin (`https://host:port`)."""
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")
_SPECIAL = re.compile(r"(--[a-z0-9]+-s3|-s3alias|\.mrap)$")
_USER_AGENT = ("user-agent", f"mirrord/{__version__}")
"""Not signed: a proxy may change it."""


class BucketAddress(NamedTuple):
    """Where the requests for one bucket go. `path` precedes the key, without a slash at its end."""

    client: WireClient
    host: str
    path: str
    signer: Signer | None


class FrequentCalls:
    """Has the interface of the SDK's `client`. The caller opens and closes that client.

    `credentials` has the SDK's interface; None: requests are not signed. `connect` makes HTTP clients, which close with
    this object.
    """

    def __init__(self, client: Any, credentials: Any, signing: StoreSigning, connect: Connect) -> None:
        self._client = client
        self._credentials = credentials
        self._signing = signing
        self._connect = connect
        self._operations = operations(client.meta.service_model)
        self._answers = AnswerReader(client.meta.events)
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

    async def put_object(self, **given: Any) -> Answer:
        return await self._call("put_object", given)

    async def upload_part(self, **given: Any) -> Answer:
        return await self._call("upload_part", given)

    async def head_object(self, **given: Any) -> Answer:
        return await self._call("head_object", given)

    async def copy_object(self, **given: Any) -> Answer:
        return await self._call("copy_object", given)

    async def list_objects_v2(self, **given: Any) -> Answer:
        return await self._call("list_objects_v2", given)

    async def _call(self, method: str, given: Mapping[str, Any]) -> Answer:
        operation, bucket = self._operations[method], given["Bucket"]
        if bucket not in self._addresses:
            self._addresses[bucket] = await self._address(bucket)
        address = self._addresses[bucket]
        if address is None or not given.keys() <= operation.parameters or given.get("Key") == "":
            answer: Answer = await getattr(self._client, method)(**given)
            return answer
        return await self._send(operation, address, given)

    async def _send(self, operation: Operation, address: BucketAddress, given: Mapping[str, Any]) -> Answer:
        path, query = address.path or "/", operation.request_query(given)
        if "Key" in given:
            path = f"{address.path}/{encoded_key(given['Key'])}"
        body: memoryview | bytes = getattr(given.get("Body"), "view", b"")
        headers = [("host", address.host), *operation.request_headers(given)]
        if address.signer is not None:
            request = CanonicalRequest(operation.method, path, query, headers)
            headers = await self._signed(address.signer, request, body)
        response = await address.client.send(
            operation.method,
            f"{path}?{query}" if query else path,
            [*headers, _USER_AGENT],
            body,
            repeatable=operation.repeatable,
            max_body=RESULT_LIMIT,
        )
        return await self._answers.read(operation, response)

    async def _signed(
        self, signer: Signer, request: CanonicalRequest, body: memoryview | bytes
    ) -> list[tuple[str, str]]:
        payload = await self._signing.payload_hash(body)
        frozen = await self._credentials.get_frozen_credentials()
        keys = AccessKeys(frozen.access_key, frozen.secret_key, frozen.token)
        return signer.sign(request, payload, keys, self._signing.stamp())

    async def _address(self, bucket: str) -> BucketAddress | None:
        """None: the calls for this bucket are the SDK's."""
        if not is_plain_bucket(bucket):
            return None
        context: dict[str, Any] = {"client_region": self.meta.region_name, "client_config": self.meta.config}
        model = self._operations["head_object"].model
        # The SDK has no public method for this. A contract test compares the addresses with those of its requests.
        url, headers, _ = await self._client._resolve_endpoint_ruleset(model, {"Bucket": bucket, "Key": "k"}, context)
        signing = context.get("signing", {})
        if headers or context.get("auth_type") not in ("v4", "none") or signing.get("signing_name", "s3") != "s3":
            return None
        signer = None if self._credentials is None else Signer(signing.get("region") or self.meta.region_name)
        parts = urlsplit(url)
        client = await self._http_client(f"{parts.scheme}://{host_of(url)}")
        return BucketAddress(client, host_of(url), parts.path.rstrip("/"), signer)

    async def _http_client(self, origin: str) -> WireClient:
        async with self._lock:
            if origin not in self._http:
                self._http[origin] = await self._contexts.enter_async_context(self._connect(origin))
            return self._http[origin]


def is_plain_bucket(bucket: str) -> bool:
    """Whether a bucket is addressed by its name and signed with SigV4: no ARN, no access point, no directory bucket."""
    return bool(_BUCKET.fullmatch(bucket)) and not _SPECIAL.search(bucket)
