"""Each request of the own client is the one that the SDK would send: URL and headers, by S3Store's calls."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore import auth
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as SdkCredentials

from mirrord.checksums import compute
from mirrord.declared import Credentials, RequestOptions, StoreOptions
from mirrord.errors import MirrordError, StoreRefused
from mirrord.model import ChecksumKind, Destination, ObjectOptions, Part
from mirrord.s3.session import S3Store
from tests.support.recorded_requests import GivenAnswer, Recorded, RecordedRequests

KEYS = Credentials.of("AKIA", "a-secret", "a/token+=")
BODY = memoryview(b"some bytes")
PLAIN = ObjectOptions()
FULL = ObjectOptions(
    content_type="text/plain; charset=utf-8",
    cache_control="max-age=300",
    content_disposition='attachment; filename="a  b ü.txt"',
    content_encoding="gzip",
    content_language="de, en",
    expires="2030-01-31T12:00:00+02:00",
    metadata={"Plain": "a value", "odd": "ключ ü", "edge": " x "},
    tags={"team": "a b", "ü&=": "=?+"},
    storage_class="STANDARD_IA",
    acl="bucket-owner-full-control",
    encryption="aws:kms",
    kms_key_id="arn:aws:kms:eu-west-1:1:key/k",
)
AT = Destination("s", "", "data", "a/key")
ODD_KEYS = [
    "with space/and+plus",
    "ünï/çødé 漢字",
    "a%2Fb%20c",
    "q?x=1&y=#z",
    "~t/(p)'q",
    "/lead",
    "a//b/",
    "..",
    "./x",
]
PAGE = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
SESSION = (
    b"<CreateSessionResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
    b"<SessionToken>t</SessionToken><Expiration>2036-01-01T00:00:00Z</Expiration></Credentials></CreateSessionResult>"
)
COPIED = b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"

Call = Callable[[S3Store], Awaitable[Any]]


def _put_of(at: Destination, kind: ChecksumKind | None = None) -> Call:
    return lambda store: store.put_object(at, BODY, PLAIN, compute(kind, BODY) if kind else None)


def _head_of(at: Destination) -> Call:
    return lambda store: store.head_object(at)


async def _all_of(bucket: str, store: S3Store) -> list[Any]:
    return [one async for page in store.list_objects(bucket, "ü x+/%") for one in page]


CALLS: dict[str, Call] = {
    "put": lambda store: store.put_object(AT, BODY, PLAIN),
    "put of nothing": lambda store: store.put_object(AT, memoryview(b""), PLAIN),
    "put with all options": lambda store: store.put_object(AT, BODY, FULL, if_none_match=True),
    **{f"put with {kind}": _put_of(AT, kind) for kind in ChecksumKind},
    "part": lambda store: store.upload_part(AT, "an+id/=", 7, BODY, compute(ChecksumKind.CRC64NVME, BODY)),
    "head": lambda store: store.head_object(AT),
    "head of a version": lambda store: store.head_version(AT, "v/1+2"),
    "copy": lambda store: store.copy_object(
        replace(AT, key="ü x+y%"), AT, FULL, ChecksumKind.CRC32, if_match='"e"', size=3
    ),
    "list": partial(_all_of, "data"),
    **{f"put of {key}": _put_of(replace(AT, key=key)) for key in ODD_KEYS},
    **{f"head of {key}": _head_of(replace(AT, key=key)) for key in ODD_KEYS},
}
NOT_COMPARED = {
    "authorization",
    "x-amz-date",
    "user-agent",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "content-length",
}


def _answer(request: Recorded) -> GivenAnswer:
    body = PAGE if request.method == "GET" else COPIED if "x-amz-copy-source" in request.headers else b""
    return GivenAnswer(body=body)


def _compared(request: Recorded) -> tuple[str, str, list[tuple[str, str]], dict[str, str]]:
    """Method, address, query and headers. The order of the query and how it writes a space have no meaning."""
    parts = urlsplit(request.url)
    headers = {name: text for name, text in request.headers.items() if name not in NOT_COMPARED}
    scheme_and_host = f"{parts.scheme}://{headers.pop('host', parts.netloc)}"
    query = sorted(parse_qsl(parts.query, keep_blank_values=True))
    return request.method, f"{scheme_and_host}{parts.path or '/'}", query, headers


async def _sent(recorded: RecordedRequests, calls: dict[str, Call], wire: str, **given: Any) -> dict[str, Recorded]:
    """The requests of these calls."""
    recorded.answer = _answer
    requests = RequestOptions(wire=wire, addressing=given.pop("addressing", "auto"))
    defaults: dict[str, Any] = {"endpoint_url": "http://127.0.0.1:9000", "region": "us-east-1", "credentials": KEYS}
    sent = {}
    async with S3Store(StoreOptions(name="s", requests=requests, **(defaults | given))) as store:
        for name, call in calls.items():
            recorded.requests.clear()
            await call(store)
            (sent[name],) = recorded.requests
    assert {request.wire for request in sent.values()} == {wire == "auto"}
    return sent


async def test_requests_are_as_the_sdks(recorded: RecordedRequests) -> None:
    wire, sdk = [await _sent(recorded, CALLS, wire) for wire in ("auto", "sdk")]
    assert {name: _compared(one) for name, one in wire.items()} == {name: _compared(one) for name, one in sdk.items()}


async def test_only_calls_without_harm_may_be_sent_twice(recorded: RecordedRequests) -> None:
    sent = await _sent(recorded, {name: CALLS[name] for name in ("put", "copy", "part", "head", "list")}, "auto")
    assert [name for name, request in sent.items() if request.repeatable] == ["part", "head", "list"]


@pytest.mark.parametrize(
    "given",
    [
        {"endpoint_url": None, "region": "eu-west-1"},
        {"endpoint_url": None, "region": "cn-north-1"},
        {"endpoint_url": None, "region": "eu-west-1", "addressing": "path"},
        {"endpoint_url": "https://s3.dualstack.eu-west-1.amazonaws.com", "region": "eu-west-1"},
        {"endpoint_url": "https://S3.Example.com:443", "addressing": "virtual"},
        {"endpoint_url": "https://s3.example.com:8443/base/"},
        {"endpoint_url": "https://s3.example.com:8443/base", "addressing": "virtual"},
        {"endpoint_url": "http://[::1]:9000"},
        {"endpoint_url": "http://localhost"},
        {"endpoint_url": "http://store:9000", "addressing": "virtual"},
        {"credentials": Credentials(anonymous=True)},
    ],
    ids=str,
)
async def test_addresses_are_as_the_sdks(recorded: RecordedRequests, given: dict[str, Any]) -> None:
    calls: dict[str, Call] = {}
    for bucket in ("data", "with.dots", "Upper_Case"):
        calls[f"put {bucket}"] = _put_of(replace(AT, bucket=bucket))
        calls[f"list {bucket}"] = partial(_all_of, bucket)
    wire, sdk = [await _sent(recorded, calls, wire, **given) for wire in ("auto", "sdk")]
    for name, request in wire.items():
        assert _compared(request) == _compared(sdk[name])
        assert ("authorization" in request.headers) is ("authorization" in sdk[name].headers)
        assert "authorization" not in request.headers or request.region == sdk[name].region


@pytest.mark.parametrize(
    "bucket",
    [
        "arn:aws:s3:us-east-1:123456789012:accesspoint/name",
        "name--use1-az4--x-s3",
        "name-abcdefgh--ol-s3",
        "name-1234--op-s3",
        "access-abcdefghijklmnop-s3alias",
        "a/b",
        "",
    ],
)
async def test_odd_buckets_are_the_sdks(recorded: RecordedRequests, bucket: str) -> None:
    recorded.answer = lambda request: GivenAnswer(body=SESSION if request.url.endswith("?session") else b"")
    options = StoreOptions(name="s", region="us-east-1", credentials=KEYS)
    async with S3Store(options) as store:
        with suppress(MirrordError):  # of names that no bucket has
            await store.put_object(replace(AT, bucket=bucket), BODY, PLAIN)
    assert not any(request.wire for request in recorded.requests)


async def test_an_empty_key_is_refused_as_by_the_sdk(recorded: RecordedRequests) -> None:
    async with S3Store(StoreOptions(name="s", region="us-east-1", credentials=KEYS)) as store:
        with pytest.raises(StoreRefused, match="Invalid length for parameter Key"):
            await store.put_object(replace(AT, key=""), BODY, PLAIN)


async def test_all_buckets_and_regions_of_a_store_share_its_connections(recorded: RecordedRequests) -> None:
    def elsewhere(request: Recorded) -> GivenAnswer:
        moved = "//far." in request.url and request.region == "us-east-1"
        return GivenAnswer(status=301, headers={"x-amz-bucket-region": "eu-west-1"}) if moved else GivenAnswer()

    recorded.answer = elsewhere
    async with S3Store(StoreOptions(name="s", region="us-east-1", credentials=KEYS), connections=7) as store:
        for bucket in ("near", "other", "far"):
            await store.put_object(replace(AT, bucket=bucket), BODY, PLAIN)
    assert [request.region for request in recorded.requests] == ["us-east-1"] * 3 + ["eu-west-1"]
    (limit,) = set(recorded.limits)
    assert (limit.most, len(recorded.limits)) == (7, 4)


RARE: dict[str, Call] = {
    "delete": lambda store: store.delete_object(replace(AT, key="ü x+y%//z")),
    "create": lambda store: store.create_upload(AT, FULL),
    "complete": lambda store: store.complete_upload(AT, "an+id/= ü", [Part(number=1, size=5, etag='"e"')]),
    "parts": lambda store: _first(store.list_parts(AT, "an+id/= ü")),
    "versions": lambda store: _first(store.list_versions(replace(AT, key="ü x+y%"))),
    "buckets": lambda store: store.list_buckets(),
    "get": lambda store: store.get_object(AT, 2, 7).__aenter__(),
}


async def _first(pages: Any) -> Any:
    return await anext(pages, None)


@pytest.mark.parametrize("call", RARE.values(), ids=RARE)
async def test_rare_calls_are_the_sdks_with_our_signature(
    recorded: RecordedRequests, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signature is that of botocore's signer for the same request, time and signed headers."""
    async with S3Store(StoreOptions(name="s", region="us-east-1", credentials=KEYS)) as store:
        with suppress(MirrordError):  # of answers without fields
            await call(store)
    (request,) = recorded.requests
    assert not request.wire
    assert request.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert request.headers["x-amz-security-token"] == "a/token+="
    given = request.headers["authorization"]
    names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert not {"user-agent", "content-length", "accept-encoding"} & set(names)
    when = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    monkeypatch.setattr(auth, "get_current_datetime", lambda: when)
    again = AWSRequest(request.method, request.url, {name: request.headers[name] for name in names if name != "host"})
    again.context["client_config"] = Config(s3={"payload_signing_enabled": False})
    keys = SdkCredentials("AKIA", "a-secret", "a/token+=")
    S3SigV4Auth(keys, "s3", "us-east-1").add_auth(again)
    assert again.headers["Authorization"] == given
