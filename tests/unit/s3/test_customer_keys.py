"""The key of the customer in requests, by both clients, and the refusals that a key explains."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mirrord.errors import ActionDenied, StoreError, StoreRefused, StoreUnavailable
from mirrord.model import UNREADABLE, Destination, Secret
from mirrord.s3 import arguments
from mirrord.s3.body_request import BodyRequest, PartOf
from mirrord.s3.customer_keys import CustomerKeys, names_key, shown_after
from mirrord.s3.wire.body_headers import request_headers
from mirrord.s3.wire.operations import OPERATIONS
from tests.support.customer_keys import DIGEST_OF_FIRST, DIGEST_OF_SECOND, FIRST, KEYS

AT = Destination("default", "http://store", "bucket", "k")
MD5 = "tP/LI3N87DFaSk0aoqYgzg=="
HEADERS = {
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-server-side-encryption-customer-key": FIRST,
    "x-amz-server-side-encryption-customer-key-md5": MD5,
}
"""AWS, "Using server-side encryption with customer-provided keys". The MD5 is of the 32 bytes: `base64 -d | md5`."""
NEEDS_KEY = StoreRefused("InvalidRequest: The object was stored using a form of Server Side Encryption.")
DENIED = ActionDenied("AccessDenied: Access Denied")


@pytest.mark.parametrize("part", [None, PartOf("u", 1)])
def test_put_and_parts_have_the_three_headers(part: PartOf | None) -> None:
    request = BodyRequest(AT, memoryview(b""), None, part=part, customer_key=Secret(FIRST))
    assert dict(request_headers(request)) == HEADERS
    assert request_headers(request._replace(customer_key=None)) == []


def test_heads_have_them_and_copies_also_those_of_their_source() -> None:
    given = arguments.customer_key(Secret(FIRST))
    assert dict(OPERATIONS["head_object"].request_headers(given)) == HEADERS
    of_source = {name.replace("x-amz-", "x-amz-copy-source-"): value for name, value in HEADERS.items()}
    given |= arguments.source_key(Secret(FIRST))
    copy = OPERATIONS["copy_object"]
    assert copy.sends(given)
    assert dict(copy.request_headers(given)) == HEADERS | of_source
    assert (arguments.customer_key(None), arguments.source_key(None)) == ({}, {})


def test_a_read_goes_on_without_a_key_that_is_not_declared_and_a_write_does_not() -> None:
    keys = CustomerKeys.of_store(KEYS)
    assert keys.of(AT.keyed(DIGEST_OF_FIRST)) == keys.of_write(AT.keyed(DIGEST_OF_FIRST)) == Secret(FIRST)
    assert (keys.of(AT), keys.of_write(AT), keys.of(AT.keyed("gone"))) == (None, None, None)
    with pytest.raises(StoreRefused, match="not in the customer_keys"):
        keys.of_write(AT.keyed("gone"))
    assert FIRST not in repr(keys)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("InvalidRequest: The object was stored using a form of Server Side Encryption.", True),
        ("InvalidRequest: SSECustomerKey needed", True),
        ("InvalidRequest: Server Side Encryption keys must be sent over a secure connection", False),
        ("NotImplemented: Server side encryption specified but KMS is not configured", False),
        ("InvalidArgument: Requests specifying Server Side Encryption with AWS KMS managed keys require V4", False),
        ("AccessDenied", False),
    ],
)
def test_words_of_refusals(text: str, named: bool) -> None:
    assert names_key(StoreRefused(text)) is named


def heads(answers: dict[str | None, Any]) -> Callable[[Destination], Awaitable[Any]]:
    """HEADs by the digest of their key. An error is raised; a missing digest is denied."""

    async def head(at: Destination) -> Any:
        found = answers.get(at.customer_key, DENIED)
        if isinstance(found, StoreError):
            raise found
        return found

    return head


PLAIN = {"ETag": '"e"', "ContentLength": 1, "Metadata": {"a": "b"}}


@pytest.mark.parametrize(
    ("key", "refusal", "answers", "shown"),
    [
        (None, NEEDS_KEY, {}, UNREADABLE),
        (None, NEEDS_KEY, {DIGEST_OF_SECOND: PLAIN}, "metadata"),
        (DIGEST_OF_FIRST, DENIED, {None: NEEDS_KEY}, UNREADABLE),
        (DIGEST_OF_FIRST, DENIED, {None: NEEDS_KEY, DIGEST_OF_SECOND: PLAIN}, "metadata"),
        (DIGEST_OF_FIRST, StoreRefused("InvalidRequest"), {None: PLAIN}, "metadata"),
        (DIGEST_OF_FIRST, DENIED, {None: None}, None),
        ("gone", NEEDS_KEY, {DIGEST_OF_FIRST: PLAIN}, "metadata"),
        (None, DENIED, {}, DENIED),
        (DIGEST_OF_FIRST, DENIED, {}, DENIED),
        (DIGEST_OF_FIRST, DENIED, {None: StoreUnavailable("503")}, StoreUnavailable("503")),
    ],
)
async def test_what_a_refused_head_shows(key: str | None, refusal: StoreError, answers: Any, shown: Any) -> None:
    keys, at = CustomerKeys.of_store(KEYS), AT.keyed(key)
    if isinstance(shown, StoreError):
        with pytest.raises(type(shown), match=str(shown)):
            await shown_after(refusal, at, keys, heads(answers))
        return
    found = await shown_after(refusal, at, keys, heads(answers))
    if shown != "metadata":
        assert found is shown
        return
    assert found is not None
    assert (found.other_key, found.unreadable, found.metadata, found.etag) == (True, False, {"a": "b"}, '"e"')
