"""Listings with hostile keys, entities and tokens: they end after bounded calls, with keys below the prefix."""

import asyncio
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import strategies as st

from mirrord.declared import Credentials, StoreOptions
from mirrord.errors import StoreError, StoreUnavailable
from mirrord.model import Destination, Secret
from mirrord.s3.pages import MOST_EMPTY
from mirrord.s3.session import S3Store
from tests.support.fuzzing import fuzz
from tests.support.recorded_requests import GivenAnswer, RecordedRequests

KEYS = Credentials(access_key_id=Secret("AKIA"), secret_access_key=Secret("a-secret"))
AT = Destination("s", "", "data", "a/key")
HOSTILE = [
    *(
        "a/../b",
        "/etc/passwd",
        "a//b",
        "",
        ".",
        "..",
        "a/%2e%2e/b",
        "a+b",
        "a%",
        "a%zz",
        "%00",
        "&amp;",
        "&#0;",
        "&#x0;",
    ),
    *("&lt;Key&gt;", "&bomb;", "]]>", "<![CDATA[x]]>", "a\r\nb", "a\tb", "a/" * 600, "x" * 5_000, "é", "\u202e", " "),
]
KEY = st.sampled_from(HOSTILE) | st.text(st.characters(codec="utf-8"), max_size=30).map(escape)
FIELD = st.sampled_from(["0", "1", "-1", "9" * 30, "1e5", "", "nan", "2026-01-01T00:00:00Z", "99999-01-01", "\u0663"])
ENTRY = st.tuples(KEY, FIELD, FIELD, KEY)
TOKEN = st.sampled_from(["", "t", "u", "&amp;", "x" * 5_000]) | st.text("ab", max_size=3)
PAGES = st.lists(
    st.tuples(st.lists(ENTRY, max_size=20), st.sampled_from(["true", "false", "", "maybe"]), TOKEN), min_size=1
)
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY bomb "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def document(entries: list[tuple[str, str, str, str]], truncated: str, token: str, *, bomb: bool) -> bytes:
    rows = "".join(
        f"<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>{when}</LastModified><ETag>{etag}</ETag></Contents>"
        for key, size, when, etag in entries
    )
    head = f'<?xml version="1.0" encoding="UTF-8"?>{BOMB if bomb else ""}<ListBucketResult>'
    told = f"<IsTruncated>{truncated}</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
    return f"{head}<EncodingType>url</EncodingType>{told}{rows}</ListBucketResult>".encode("utf-8", "surrogatepass")


def opened(runner: asyncio.Runner) -> S3Store:
    store = S3Store(StoreOptions(name="s", endpoint_url="https://h", region="r", credentials=KEYS))
    runner.run(store.__aenter__())
    return store


async def _listed(store: S3Store, prefix: str) -> list[str]:
    return [one.key async for page in store.list_objects("data", prefix) for one in page]


def test_listings(recorded: RecordedRequests) -> None:
    with asyncio.Runner() as runner:
        store = opened(runner)

        def check(value: tuple[list[Any], bool, str]) -> None:
            pages, bomb, prefix = value
            recorded.requests.clear()

            def answer(_: object) -> GivenAnswer:
                number = len(recorded.requests) - 1
                return GivenAnswer(200, {}, document(*pages[number % len(pages)], bomb=bomb))

            recorded.answer = answer
            try:
                keys = runner.run(_listed(store, prefix))
            except StoreError as error:
                str(error).encode()
            else:
                assert all(key.startswith(prefix) for key in keys)
            assert len(recorded.requests) <= len(pages) + 40, "each token is used once"

        fuzz(st.tuples(PAGES, st.booleans(), st.sampled_from(["", "a/", "a"])), check, examples=80)
        runner.run(store.__aexit__(None, None, None))


async def _all(found: Any) -> None:
    async for _ in found:
        pass


ENDLESS: dict[str, tuple[Callable[[S3Store], Any], str]] = {
    "objects": (
        lambda store: store.list_objects("data", ""),
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>"
        "</ListBucketResult>",
    ),
    "parts": (
        lambda store: store.list_parts(AT, "u"),
        "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>{}</NextPartNumberMarker>"
        "</ListPartsResult>",
    ),
    "uploads": (
        lambda store: store.list_uploads("data", ""),
        "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k{}</NextKeyMarker>"
        "<NextUploadIdMarker>{}</NextUploadIdMarker></ListMultipartUploadsResult>",
    ),
    "versions": (
        lambda store: store.list_versions(AT),
        "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a/key</NextKeyMarker>"
        "<NextVersionIdMarker>{}</NextVersionIdMarker></ListVersionsResult>",
    ),
}


@pytest.mark.parametrize("cycle", [0, 2])
@pytest.mark.parametrize("name", ENDLESS)
def test_a_listing_that_never_ends(recorded: RecordedRequests, name: str, cycle: int) -> None:
    """Tokens that are always new, or that repeat in turn, on pages without an entry."""
    call, text = ENDLESS[name]
    with asyncio.Runner() as runner:
        store = opened(runner)

        def answer(_: object) -> GivenAnswer:
            assert len(recorded.requests) < 2 * MOST_EMPTY
            token = len(recorded.requests) % cycle + 7 if cycle else len(recorded.requests)
            return GivenAnswer(200, {}, text.replace("{}", str(token)).encode())

        recorded.answer = answer
        with pytest.raises(StoreUnavailable, match="incomplete"):
            runner.run(_all(call(store)))
        runner.run(store.__aexit__(None, None, None))
