"""The host and region of each request, recorded instead of sent. No socket is opened."""

from urllib.parse import urlsplit

import pytest

from mirrord.declared import Credentials, RequestOptions, StoreOptions
from mirrord.errors import StoreRefused
from mirrord.model import Destination, ObjectOptions
from mirrord.s3.session import S3Store
from tests.support.recorded_requests import GivenAnswer, Recorded, RecordedRequests

KEYS = Credentials.of("AKIA", "s", "t")
both_wires = pytest.mark.parametrize("wire", ["auto", "sdk"])


@pytest.fixture
def elsewhere(recorded: RecordedRequests) -> RecordedRequests:
    """The bucket is in eu-west-1."""

    def answer(request: Recorded) -> GivenAnswer:
        if request.region == "eu-west-1":
            return GivenAnswer()
        return GivenAnswer(301, {"x-amz-bucket-region": "eu-west-1"})

    recorded.answer = answer
    return recorded


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
@both_wires
async def test_the_endpoint_of_another_region_has_the_same_form(
    elsewhere: RecordedRequests, wire: str, endpoint: str | None, addressing: str, first: str, then: str
) -> None:
    requests = RequestOptions(addressing=addressing, wire=wire)
    options = StoreOptions(name="s", endpoint_url=endpoint, region="us-east-2", requests=requests, credentials=KEYS)
    at = Destination("s", options.endpoint, "data", "k")
    async with S3Store(options) as store:
        await store.put_object(at, memoryview(b"x"), ObjectOptions())
        await store.upload_part(at, "u", 1, memoryview(b"y"))
    asked = [(urlsplit(request.url).netloc, request.region) for request in elsewhere.requests]
    assert asked == [(first, "us-east-2"), (then, "eu-west-1"), (then, "eu-west-1")]
    assert {request.wire for request in elsewhere.requests} == {wire == "auto"}


@both_wires
async def test_the_sdk_itself_searches_no_region(recorded: RecordedRequests, wire: str) -> None:
    """The SDK's search repeats HeadBucket without end if a store redirects without a region."""
    recorded.answer = lambda _: GivenAnswer(307, {"location": "http://elsewhere.example/"})
    options = StoreOptions(name="s", region="us-east-2", requests=RequestOptions(wire=wire), credentials=KEYS)
    async with S3Store(options) as store:
        with pytest.raises(StoreRefused, match=r"redirects to http://elsewhere.example/"):
            await store.put_object(Destination("s", "", "data", "k"), memoryview(b"x"), ObjectOptions())
    assert [request.method for request in recorded.requests] == ["PUT"]
