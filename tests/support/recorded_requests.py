"""Fixture `recorded`: the requests of both S3 clients, recorded instead of sent. No socket is opened."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.awsrequest import HeadersDict

from mirrord.s3 import session
from mirrord.s3.answers.xml_repair import readable
from mirrord.s3.http_errors import REFUSAL_LIMIT, RESULT_LIMIT
from mirrord.s3.http_session import HttpSession
from mirrord.s3.wire.http import WireClient, WireResponse
from mirrord.s3.wire.pool import ConnectionLimit


@dataclass(frozen=True)
class Recorded:
    """One request. `headers` have names in lower case; `wire`: sent by the own client; `repeatable`: see there."""

    method: str
    url: str
    headers: dict[str, str]
    wire: bool
    repeatable: bool = False

    @property
    def region(self) -> str:
        """The region of the signature."""
        return self.headers["authorization"].split("/")[2]


@dataclass(frozen=True)
class GivenAnswer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"etag": '"0"', "content-length": "0"})
    body: bytes = b""


class _SdkAnswer:
    raw = None

    def __init__(self, answer: GivenAnswer) -> None:
        self.status_code = answer.status
        self.headers = HeadersDict(answer.headers)
        body = answer.body[:REFUSAL_LIMIT] if answer.status >= 300 else answer.body
        self._body = readable(body, answer.headers, RESULT_LIMIT)

    @property
    def content(self) -> Awaitable[bytes]:
        async def read() -> bytes:
            return self._body

        return read()


class RecordedRequests:
    """`requests` in the order of their sending; `answer` makes the answer of each. `limits`: one for each origin."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.limits: list[ConnectionLimit] = []
        self.answer: Callable[[Recorded], GivenAnswer] = lambda _: GivenAnswer()

    def take(self, request: Recorded) -> GivenAnswer:
        self.requests.append(request)
        return self.answer(request)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> RecordedRequests:
    found = RecordedRequests()

    async def sdk_send(self: HttpSession, request: Any) -> _SdkAnswer:
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        return _SdkAnswer(found.take(Recorded(request.method, request.url, headers, wire=False)))

    class RecordingWire(WireClient):
        def __init__(self, endpoint_url: str, *, limit: ConnectionLimit, **_: object) -> None:
            found.limits.append(limit)
            self._origin_url = endpoint_url

        async def __aexit__(self, *_: object) -> None:
            pass

        async def send(
            self,
            method: str,
            target: str,
            headers: Sequence[tuple[str, str]],
            body: memoryview | bytes = b"",
            *,
            repeatable: bool,
            max_body: int,
        ) -> WireResponse:
            named = dict(headers)
            assert len(named) == len(headers), "a header occurs twice"
            answer = found.take(Recorded(method, self._origin_url + target, named, wire=True, repeatable=repeatable))
            return WireResponse(answer.status, answer.headers, answer.body)

    monkeypatch.setattr(HttpSession, "send", sdk_send)
    monkeypatch.setattr(session, "WireClient", RecordingWire)
    return found


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
