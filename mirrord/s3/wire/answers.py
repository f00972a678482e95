"""Answers of the own HTTP client as the SDK's dictionaries and errors.

Owns which answers are read here: successes without a body, pages of ListObjectsV2, refusals without a document. All
others are rare and go through the SDK's parser, so that a code, a message and a damaged document mean the same with
both clients. `answers.xml_repair` makes bodies readable, `operations` reads headers.
"""

from collections.abc import Mapping
from http.client import responses
from typing import Any, cast

from botocore.exceptions import ClientError

from mirrord.s3.answers.xml_repair import readable
from mirrord.s3.deferred_client import DeferredClient, sdk_session
from mirrord.s3.http_errors import REFUSAL_LIMIT, RESULT_LIMIT
from mirrord.s3.wire.http import WireResponse
from mirrord.s3.wire.listing_page import listing_page
from mirrord.s3.wire.operations import Fields, Operation

Answer = dict[str, Any]


class AnswerReader:
    """Reads the answers to the operations of one SDK client, which `sdk` opens if it must read one."""

    def __init__(self, sdk: DeferredClient) -> None:
        self._sdk = sdk

    async def read(self, operation: Operation, response: WireResponse) -> Answer:
        """Raises ClientError: a refusal, also one in an answer with the status 200. ResponseParserError, ValueError,
        TypeError: the answer is not S3."""
        status, headers = response.status, _decoded(response.headers)
        body = _readable(response.body, headers, status) if response.body else b""
        if status < 300 and not body:
            return operation.answer_fields(headers) | _metadata(status, headers)
        if not body:
            raise ClientError(_refusal(status, headers), operation.name)
        if status == 200 and operation.name == "ListObjectsV2" and (page := listing_page(body)) is not None:
            return page | _metadata(status, headers)
        return await self._parsed(operation, status, headers, body)

    async def _parsed(self, operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        client = await self._sdk.opened()
        parsed = await (await sdk_session()).parsed_answer(client, operation.name, status, headers, body)
        if parsed["ResponseMetadata"]["HTTPStatusCode"] >= 300:
            raise ClientError(parsed, operation.name)
        return cast("Answer", parsed)


def _readable(body: bytes, headers: Mapping[str, str], status: int) -> bytes:
    if status >= 300:
        body = body[:REFUSAL_LIMIT]
    return readable(body, headers, RESULT_LIMIT)


def _refusal(status: int, headers: Mapping[str, str]) -> Any:
    """What the SDK makes of a refusal without a document."""
    return {"Error": {"Code": str(status), "Message": responses.get(status, "")}} | _metadata(status, headers)


def _metadata(status: int, headers: Mapping[str, str]) -> Fields:
    return {"ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers, "RetryAttempts": 0}}


def _decoded(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Headers as UTF-8; the HTTP client gives each byte as one character."""
    if all(map(str.isascii, headers.values())):
        return headers
    return {name: value.encode("latin-1").decode(errors="replace") for name, value in headers.items()}
