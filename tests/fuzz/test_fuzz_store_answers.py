"""Answers of stores in any bytes, for each call that reads a document: a result or an error of mirrord."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from mirrord.declared import Credentials, StoreOptions
from mirrord.errors import MirrordError
from mirrord.model import ChecksumKind, Destination, ObjectOptions
from mirrord.s3.session import S3Store
from tests.support.fuzzing import corpus, fuzz, mutated
from tests.support.recorded_requests import GivenAnswer, RecordedRequests

AT = Destination("s", "", "data", "a/key")
BODY = memoryview(b"some bytes")
KEYS = Credentials.of("AKIA", "a-secret")
MOST_PAGES = 20


async def _listed(pages: Any) -> list[Any]:
    return [one async for one in pages]


CALLS: dict[str, Callable[[S3Store], Awaitable[Any]]] = {
    "objects": lambda store: _listed(store.list_objects("data", "")),
    "parts": lambda store: _listed(store.list_parts(AT, "u")),
    "uploads": lambda store: _listed(store.list_uploads("data", "")),
    "versions": lambda store: _listed(store.list_versions(AT)),
    "buckets": lambda store: store.list_buckets(),
    "create": lambda store: store.create_upload(AT, ObjectOptions(), ChecksumKind.CRC32),
    "copy": lambda store: store.copy_object(AT, AT, ObjectOptions(), ChecksumKind.CRC32, if_match='"e"', size=3),
    "put": lambda store: store.put_object(AT, BODY, ObjectOptions()),
    "versioning": lambda store: store.bucket_versioning("data"),
}
KEPT = corpus("s3")
INPUTS = st.tuples(mutated(KEPT), st.sampled_from([200, 200, 200, 200, 206, 301, 403, 404, 500, 503, 599]))


@pytest.mark.parametrize("name", CALLS)
def test_answers_of_stores(recorded: RecordedRequests, name: str) -> None:
    options = StoreOptions(name="s", endpoint_url="https://h", region="r", credentials=KEYS)
    with asyncio.Runner() as runner:
        store = S3Store(options)
        runner.run(store.__aenter__())

        def check(value: tuple[bytes, int]) -> None:
            body, status = value
            recorded.requests.clear()

            def answer(_: object) -> GivenAnswer:
                end = len(recorded.requests) > MOST_PAGES  # a page that names itself as the next one
                return GivenAnswer(404 if end else status, {"etag": '"0"'}, b"" if end else body)

            recorded.answer = answer
            try:
                runner.run(CALLS[name](store))
            except MirrordError as error:
                str(error).encode()

        whole = [(one, 200) for one in KEPT]
        fuzz(INPUTS, check, examples=30, kept=whole, target="s3", shared_by=len(CALLS))
        runner.run(store.__aexit__(None, None, None))
