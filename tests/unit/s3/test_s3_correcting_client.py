"""The host and region of each request, recorded instead of sent. No socket is opened."""

from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import HeadersDict

from mirrord.declared import Credentials, StoreOptions
from mirrord.errors import StoreRefused
from mirrord.model import Destination, ObjectOptions
from mirrord.s3.http_session import HttpSession
from mirrord.s3.session import S3Store

KEYS = Credentials(access_key_id="AKIA", secret_access_key="s", session_token="t")


class Answer:
    raw = None

    def __init__(self, status: int, **headers: str) -> None:
        self.status_code = status
        self.headers = HeadersDict({name.replace("_", "-"): text for name, text in headers.items()})

    @property
    def content(self) -> Awaitable[bytes]:
        async def empty() -> bytes:
            return b""

        return empty()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(host, signed region) of each request; the bucket is in eu-west-1."""
    seen: list[tuple[str, str]] = []

    async def send(self: HttpSession, request: Any) -> Answer:
        authorization = request.headers["Authorization"]
        region = (authorization.decode() if isinstance(authorization, bytes) else authorization).split("/")[2]
        seen.append((urlsplit(request.url).netloc, region))
        there = region == "eu-west-1"
        return Answer(200, ETag='"0"') if there else Answer(301, x_amz_bucket_region="eu-west-1")

    monkeypatch.setattr(HttpSession, "send", send)
    return seen


@pytest.mark.parametrize(
    ("endpoint", "addressing", "first", "then"),
    [
        (None, "auto", "data.s3.us-east-2.amazonaws.com", "data.s3.eu-west-1.amazonaws.com"),
        (None, "path", "s3.us-east-2.amazonaws.com", "s3.eu-west-1.amazonaws.com"),
        (
            "https://s3.us-east-2.amazonaws.com",
            "auto",
            "s3.us-east-2.amazonaws.com",  # the SDK's way with an endpoint that is given
            "s3.eu-west-1.amazonaws.com",
        ),
        ("https://s3.us-east-2.example.com", "path", "s3.us-east-2.example.com", "s3.eu-west-1.example.com"),
        (
            "https://s3.us-east-2.example.com",
            "virtual",
            "data.s3.us-east-2.example.com",
            "data.s3.eu-west-1.example.com",
        ),
        ("http://store:9000", "path", "store:9000", "store:9000"),
    ],
)
async def test_the_endpoint_of_another_region_has_the_same_form(
    asked: list[tuple[str, str]], endpoint: str | None, addressing: str, first: str, then: str
) -> None:
    options = StoreOptions(name="s", endpoint_url=endpoint, region="us-east-2", addressing=addressing, credentials=KEYS)
    at = Destination("s", options.endpoint, "data", "k")
    async with S3Store(options) as store:
        await store.put_object(at, memoryview(b"x"), ObjectOptions())
        await store.upload_part(at, "u", 1, memoryview(b"y"))
    assert asked == [(first, "us-east-2"), (then, "eu-west-1"), (then, "eu-west-1")]


async def test_the_sdk_itself_searches_no_region(asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's search repeats HeadBucket without end if a store redirects without a region."""
    calls: list[str] = []

    async def send(self: HttpSession, request: Any) -> Answer:
        calls.append(request.method)
        return Answer(307, location="http://elsewhere.example/")

    monkeypatch.setattr(HttpSession, "send", send)
    async with S3Store(StoreOptions(name="s", region="us-east-2", credentials=KEYS)) as store:
        with pytest.raises(StoreRefused, match=r"redirects to http://elsewhere.example/"):
            await store.put_object(Destination("s", "", "data", "k"), memoryview(b"x"), ObjectOptions())
    assert calls == ["PUT"]
