"""How ListObjectsV2 is read: keys, tokens, pages. The client is a fake; the real stores are in tests/contract."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from mirrord.errors import StoreRefused, StoreUnavailable
from mirrord.model import ListedObject, ProviderName
from mirrord.providers import profile
from mirrord.s3.answers.results import listed_objects
from mirrord.s3.session import S3Store
from mirrord.s3.store import ClientStore
from tests.support.raw_store import store_at
from tests.support.recorded_requests import GivenAnswer, RecordedRequests


def page(*keys: str, token: str | None = None, encoded: bool = True, truncated: bool | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"IsTruncated": token is not None if truncated is None else truncated}
    if encoded:
        answer["EncodingType"] = "url"
    if token is not None:
        answer["NextContinuationToken"] = token
    return answer | {"Contents": [{"Key": key, "Size": 1, "ETag": '"e"'} for key in keys]}


@pytest.mark.parametrize(
    ("shown", "keys"),
    [
        (["in/plain"], ["in/plain"]),
        (["in/a%20b", "in/a+b"], ["in/a b", "in/a+b"]),
        (["in/a+b", "in/a%2Bb"], ["in/a b", "in/a+b"]),
        (["in/a+b", "in/c"], ["in/c"]),  # a space or a plus sign: uncertain
        (["in/a%20b/c+d", "in/a+b/c"], ["in/a+b/c"]),  # SeaweedFS writes names in another way than directories
        (["in/a%20b/c+d", "in/a+b/c%2Bd"], ["in/a b/c d", "in/a+b/c+d"]),
        (["in/a%2Bb/c+d", "in/a+b/c"], ["in/a+b/c d", "in/a b/c"]),
        (["in/%C3%BC", "in/%252B"], ["in/ü", "in/%2B"]),
        (["in/%FF", "in/c"], ["in/c"]),  # no UTF-8
        (["in/%EF%BF%BD"], []),  # U+FFFD: a character that was replaced, or itself
        (["out/a", "in/b"], ["in/b"]),
        ([""], []),
    ],
)
def test_a_percent_encoded_key_is_decoded_if_that_is_certain(shown: Sequence[str], keys: Sequence[str]) -> None:
    assert [one.key for one in listed_objects(page(*shown), "in/")] == keys


@pytest.mark.parametrize(
    ("shown", "keys"),
    [
        (["in/a%20b", "in/a+b"], ["in/a%20b", "in/a+b"]),
        (["in/\ufffd", "in/\U00100007", "in/a\nb", "in/ü"], ["in/ü"]),  # replaced by the store, by us, by the parser
    ],
)
def test_other_keys_stay_as_they_are(shown: Sequence[str], keys: Sequence[str]) -> None:
    assert [one.key for one in listed_objects(page(*shown, encoded=False), "in/")] == keys


class Client:
    """Answers ListObjectsV2 with these pages, in order; the last one again and again."""

    def __init__(self, *pages: Mapping[str, Any]) -> None:
        self._pages = list(pages)
        self.tokens: list[str | None] = []

    async def list_objects_v2(self, **asked: Any) -> Mapping[str, Any]:
        assert asked["EncodingType"] == "url"
        assert "StartAfter" not in asked
        self.tokens.append(asked.get("ContinuationToken"))
        return self._pages.pop(0) if len(self._pages) > 1 else self._pages[0]


async def listed(client: Client) -> list[ListedObject]:
    store = ClientStore(cast(Any, client), profile(ProviderName.GENERIC))
    found: list[ListedObject] = []
    try:
        async for one in store.list_objects("bucket", "in/"):
            found += one
    except StoreUnavailable as error:
        error.add_note(" ".join(each.key for each in found))
        raise
    return found


async def test_pages_follow_by_their_tokens() -> None:
    client = Client(page("in/b", token="1"), page(token="2"), page("in/a"))
    assert [one.key for one in await listed(client)] == ["in/b", "in/a"]
    assert client.tokens == [None, "1", "2"]


@pytest.mark.parametrize(
    ("pages", "seen"),
    [
        ([page("in/a", token="1"), page("in/a", token="2")], "in/a"),
        ([page("in/a", token="1"), page("in/b", token="2"), page("in/c", token="1")], "in/a in/b in/c"),
        ([page("in/a", truncated=True)], "in/a"),
        ([page("in/a", token="", truncated=True)], "in/a"),
    ],
    ids=["same page", "same token", "no token", "empty token"],
)
async def test_a_listing_that_does_not_go_on_is_incomplete(pages: Sequence[Mapping[str, Any]], seen: str) -> None:
    with pytest.raises(StoreUnavailable, match="incomplete") as error:
        await listed(Client(*pages))
    assert error.value.__notes__ == [seen]


@pytest.mark.usefixtures("both_wires")
@pytest.mark.parametrize("body", [b"", b"<Unknown/>", b"<html><body>It works</body></html>"])
async def test_an_answer_that_is_no_listing_is_not_an_empty_one(recorded: RecordedRequests, body: bytes) -> None:
    recorded.answer = lambda _: GivenAnswer(headers={}, body=body)
    async with S3Store(store_at(9)) as store:
        with pytest.raises(StoreUnavailable):
            _ = [page async for page in store.list_objects("data", "in/")]
        empty = b"<ListBucketResult><Name>data</Name></ListBucketResult>"
        recorded.answer = lambda _: GivenAnswer(headers={}, body=empty)
        assert [page async for page in store.list_objects("data", "in/")] == [[]]


class Objects(Client):
    """Also answers HEAD of these keys."""

    def __init__(self, keys: Sequence[str], *pages: Mapping[str, Any]) -> None:
        super().__init__(*pages)
        self._keys = keys
        self.heads: list[str] = []

    async def head_object(self, **asked: Any) -> Mapping[str, Any]:
        self.heads.append(asked["Key"])
        if asked["Key"] in self._keys:
            return {"ETag": '"e"', "ContentLength": 1}
        missing: Any = {"Error": {"Code": "404"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
        raise ClientError(missing, "HeadObject")


async def every_key(client: Client, prefix: str = "in/") -> list[str]:
    store = ClientStore(cast(Any, client), profile(ProviderName.GENERIC))
    return [one.key async for part in store.list_objects("bucket", prefix, every_key=True) for one in part]


@pytest.mark.parametrize("key", ["in/a b", "in/a+b"])
async def test_what_a_plus_sign_means_is_asked_once_where_every_key_counts(key: str) -> None:
    client = Objects([key], page("in/a+b", token="1"), page("in/c+d"))
    assert await every_key(client) == [key, key.replace("a", "c").replace("b", "d")]
    assert sorted(client.heads) == ["in/a b", "in/a+b"]


async def test_a_prefix_shows_what_a_plus_sign_means() -> None:
    client = Objects([], page("in+x/a+b"))
    assert (await every_key(client, "in x/"), client.heads) == (["in x/a b"], [])


@pytest.mark.parametrize("keys", [[], ["in/a b", "in/a+b"]])
async def test_a_listing_is_incomplete_if_no_key_shows_it(keys: list[str]) -> None:
    with pytest.raises(StoreRefused, match="1 keys cannot be read for sure"):
        await every_key(Objects(keys, page("in/a+b", "in/c")))
