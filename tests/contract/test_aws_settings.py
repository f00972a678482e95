"""Stores whose frequent calls need no SDK: region, keys, certificate authorities and addresses are those of the SDK."""

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mirrord.declared import Credentials, RequestOptions, StoreOptions
from mirrord.model import Destination, ObjectOptions, Part
from mirrord.s3 import sdk_session
from mirrord.s3.aws_settings import environment_keys, plain_settings
from mirrord.s3.credentials import StoreCredentials
from mirrord.s3.session import S3Store
from mirrord.s3.wire.signing import host_of
from tests.support.recorded_requests import GivenAnswer, RecordedRequests

DECLARED = Credentials.of("AKIA", "s", "t")
STORE = StoreOptions(name="s", endpoint_url="http://127.0.0.1:9000", credentials=DECLARED)
CHAIN = replace(STORE, credentials=None)
KEYS = {"AWS_ACCESS_KEY_ID": "AKIE", "AWS_SECRET_ACCESS_KEY": "e"}
BUCKETS = ["bucket", "with.dots", "UPPER_case", "b" * 100]
ENDPOINTS = [
    "http://127.0.0.1:9000",
    "http://127.0.0.1",
    "https://store.example/",
    "https://store.example:443",
    "https://STORE.example:8443/a/path/",
    "https://s3.eu-west-1.amazonaws.com",
    "https://s3.amazonaws.com",
    "https://bucket.vpce-1a2b-3c.s3.us-east-1.vpce.amazonaws.com",
    "https://account.r2.cloudflarestorage.com",
    "http://localhost:8333",
    "http://a-b.c9",
]
REGIONS = [None, "us-east-1", "eu-central-2", "auto", "garage", "eu", "fsn1", "us-gov-west-1", "cn-north-1", "r-1-2"]
OTHER_REGIONS = ["aws-global", "-a", "A", "a.b", "1", "a_b"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without AWS files, and no AWS variables."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def given(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def aws_file(home: Path, name: str, text: str) -> None:
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / name).write_text(text)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"AWS_DEFAULT_REGION": "eu-west-3"},
        {"AWS_DEFAULT_REGION": ""},
        {"AWS_REGION": "eu-west-3"},
        {"AWS_CA_BUNDLE": "/a/bundle.pem"},
        {"AWS_CA_BUNDLE": ""},
        {"AWS_ENDPOINT_URL": "http://other:1", "AWS_ENDPOINT_URL_S3": "http://other:2"},
        {"AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", "AWS_DEFAULT_OUTPUT": "json"},
    ],
    ids=str,
)
@pytest.mark.parametrize("options", [STORE, CHAIN], ids=["declared", "chain"])
async def test_plain_settings_are_those_of_the_sdk(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], options: StoreOptions
) -> None:
    given(monkeypatch, KEYS | variables)
    settings = plain_settings(options, os.environ)
    assert settings is not None
    assert settings == sdk_session.aws_settings(options)


@pytest.mark.parametrize("variables", [KEYS, KEYS | {"AWS_SESSION_TOKEN": "t"}], ids=str)
async def test_keys_of_the_environment_are_those_of_the_chain(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    given(monkeypatch, variables)
    keys, loaded = environment_keys(CHAIN, os.environ), StoreCredentials(CHAIN)
    frozen = await (await sdk_session.chain_keys(CHAIN)).get_frozen_credentials()
    assert keys == (frozen.access_key, frozen.secret_key, frozen.token)
    assert await loaded.load()
    assert await loaded.get_frozen_credentials() == keys


async def test_new_files_replace_the_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """The chain decides from then on; here it prefers the environment."""
    given(monkeypatch, {"AWS_ACCESS_KEY_ID": "AKIE", "AWS_SECRET_ACCESS_KEY": "e"})
    loaded = StoreCredentials(CHAIN)
    await loaded.load()
    aws_file(home, "credentials", "[default]\naws_access_key_id=AKIF\naws_secret_access_key=f\n")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert await loaded.load()
    assert (await loaded.get_frozen_credentials()).access_key == "AKIF"


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [*((one, "eu-west-1") for one in ENDPOINTS), *(("http://127.0.0.1:9000/x", one) for one in REGIONS)],
)
@pytest.mark.parametrize("addressing", ["auto", "path"])
async def test_addresses_and_regions_are_those_of_the_sdk(
    recorded: RecordedRequests, endpoint: str, region: str | None, addressing: str
) -> None:
    options = replace(STORE, endpoint_url=endpoint, region=region)
    sent = []
    for wire in ("auto", "sdk"):
        chosen = replace(options, requests=RequestOptions(wire=wire, addressing=addressing))
        assert (plain_settings(chosen, os.environ) is None) is (wire == "sdk")
        async with S3Store(chosen) as store:
            for bucket in BUCKETS:
                await store.head_object(Destination("s", "", bucket, "a/k"))
        sent.append([(host_of(one.url), urlsplit(one.url).path, one.region) for one in recorded.requests])
        assert {one.wire for one in recorded.requests} == {wire == "auto"}
        recorded.requests.clear()
    assert sent[0] == sent[1]


@pytest.mark.parametrize("wire", ["auto", "sdk"])
@pytest.mark.parametrize("store", [STORE, CHAIN], ids=["declared keys", "keys of the chain"])
@pytest.mark.parametrize(
    ("name", "endpoint", "address"),
    [
        ("AWS_USE_DUALSTACK_ENDPOINT", None, "https://bucket.s3.dualstack.eu-west-1.amazonaws.com/k"),
        ("AWS_USE_FIPS_ENDPOINT", None, "https://bucket.s3-fips.eu-west-1.amazonaws.com/k"),
        ("AWS_PAGER", "https://s3.dualstack.eu-west-1.amazonaws.com", "s3.dualstack.eu-west-1.amazonaws.com"),
    ],
)
async def test_dual_stack_and_fips_change_the_address_and_no_identity(
    recorded: RecordedRequests,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    endpoint: str | None,
    address: str,
    store: StoreOptions,
    wire: str,
) -> None:
    given(monkeypatch, {**KEYS, name: "true"})
    chosen = replace(store, endpoint_url=endpoint, region="eu-west-1", requests=RequestOptions(wire=wire))
    async with S3Store(chosen) as opened:
        await opened.head_object(Destination("s", "", "bucket", "k"))
    (request,) = recorded.requests
    assert address in request.url
    assert (request.region, request.wire) == ("eu-west-1", wire == "auto")
    assert chosen.endpoint == (endpoint or "https://s3.amazonaws.com")


@pytest.mark.parametrize("wire", ["auto", "sdk"])
@pytest.mark.parametrize(
    ("bucket", "region", "address"),
    [
        ("bucket", "eu-west-1", "https://bucket.s3.dualstack.eu-west-1.amazonaws.com/k"),
        ("with.dots", "eu-west-1", "https://s3.dualstack.eu-west-1.amazonaws.com/with.dots/k"),
        ("bucket", "cn-north-1", "https://bucket.s3.dualstack.cn-north-1.amazonaws.com.cn/k"),
    ],
)
async def test_dual_stack_of_the_manifest(
    recorded: RecordedRequests, bucket: str, region: str, address: str, wire: str
) -> None:
    """For the frequent calls and the SDK's; the identity of the items is that without it."""
    chosen = replace(STORE, endpoint_url=None, region=region, requests=RequestOptions(wire=wire, dual_stack=True))
    at = Destination("s", "", bucket, "k")
    async with S3Store(chosen) as opened:
        await opened.head_object(at)
        await opened.abort_upload(at, "u")
    assert [one.url.partition("?")[0] for one in recorded.requests] == [address, address]
    assert [one.wire for one in recorded.requests] == [wire == "auto", False]
    assert chosen.endpoint == replace(chosen, requests=RequestOptions()).endpoint == "https://s3.amazonaws.com"


@pytest.mark.parametrize("wire", ["auto", "sdk"])
@pytest.mark.parametrize("pays", [True, False])
async def test_the_requester_agrees_to_pay(recorded: RecordedRequests, wire: str, pays: bool) -> None:
    """All calls about objects; it is signed. Calls about the settings of buckets have no such header (S3 API)."""
    recorded.answer = lambda _: GivenAnswer(
        body=b"<Result><ETag>&quot;0&quot;</ETag><UploadId>u</UploadId><KeyCount>0</KeyCount></Result>"
    )
    at, options = Destination("s", "", "bucket", "k"), ObjectOptions()
    requests = RequestOptions(wire=wire, requester_pays=pays)
    async with S3Store(replace(STORE, requests=requests)) as store:
        await store.put_object(at, memoryview(b"x"), options)
        await store.upload_part(at, "u", 1, memoryview(b"x"))
        await store.copy_object(at, at, options, if_match='"0"', size=1)
        await store.create_upload(at, options)
        await store.copy_part(at, at, "u", 1, 0, 1, if_match='"0"')
        await store.complete_upload(at, "u", [Part(number=1, size=1, etag='"0"')])
        await store.abort_upload(at, "u")
        await store.head_object(at)
        await store.inspect_object(at)
        await store.get_tags(at)
        await store.delete_object(at)
        await store.put_legal_hold(at, "v", held=True)
        _ = [one async for one in store.list_parts(at, "u")]
        _ = [one async for one in store.list_uploads("bucket", "k")]
        _ = [one async for one in store.list_versions(at)]
        _ = [one async for one in store.list_objects("bucket", "k")]
        with suppress(AttributeError):  # a recorded answer has no stream to close
            async with store.get_object(at):
                pass
        told = len(recorded.requests)
        await store.bucket_versioning("bucket")
    assert told == 17
    for request in recorded.requests[:told]:
        assert request.headers.get("x-amz-request-payer") == ("requester" if pays else None), request.url
        assert ("x-amz-request-payer" in request.headers["authorization"]) is pays
    assert "x-amz-request-payer" not in recorded.requests[told].headers
    assert sum(one.wire for one in recorded.requests) == (6 if wire == "auto" else 0)


@pytest.mark.parametrize(
    "options",
    [
        replace(STORE, endpoint_url=None),
        replace(STORE, endpoint_url=""),
        *(
            replace(STORE, endpoint_url=one)
            for one in (
                "http://user:x@host",
                "http://a_b",
                "http://-a",
                "http://[::1]:9000",
                "ftp://host",
                "http://host//a",
                "http://host/a%20b",
                "http://host/?q",
                "http://host:",
                "https://s3-accelerate.amazonaws.com",
                "http://höst",
            )
        ),
        *(replace(STORE, region=one) for one in OTHER_REGIONS),
        replace(STORE, requests=RequestOptions(addressing="virtual")),
        replace(STORE, requests=RequestOptions(wire="sdk")),
        replace(STORE, credentials=Credentials(profile="p")),
    ],
    ids=str,
)
def test_the_sdk_decides_for_other_stores(options: StoreOptions) -> None:
    assert plain_settings(options, KEYS) is None


@pytest.mark.parametrize(
    "name",
    [
        *("AWS_USE_DUALSTACK_ENDPOINT", "AWS_USE_FIPS_ENDPOINT", "AWS_CREDENTIAL_EXPIRATION", "AWS_SECURITY_TOKEN"),
        *("AWS_DATA_PATH", "AWS_AUTH_SCHEME_PREFERENCE", "AWS_SIGV4A_SIGNING_REGION_SET", "AWS_OF_A_LATER_SDK"),
    ],
)
def test_the_sdk_decides_with_other_variables(name: str) -> None:
    for options in (STORE, CHAIN):
        assert plain_settings(options, KEYS) is not None
        assert plain_settings(options, KEYS | {name: "x"}) is None


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_ROLE_ARN", "AWS_SHARED_CREDENTIALS_FILE"])
def test_the_chain_decides_with_a_profile_or_a_role(name: str) -> None:
    assert plain_settings(CHAIN, KEYS | {name: "x"}) is None


@pytest.mark.parametrize("variable", sorted(KEYS))
def test_the_chain_decides_without_both_keys(variable: str) -> None:
    assert plain_settings(CHAIN, KEYS | {variable: ""}) is None


@pytest.mark.parametrize("name", ["config", "credentials"])
def test_the_chain_decides_with_files_of_aws(home: Path, name: str) -> None:
    assert plain_settings(CHAIN, KEYS) is not None
    aws_file(home, name, "")
    assert plain_settings(CHAIN, KEYS) is None
    assert plain_settings(STORE, {}) is not None
