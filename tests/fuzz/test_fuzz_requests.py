"""Requests to the API, and inputs of `mirrord import`, of any text: an answer below 500, a manifest or a reason."""

import asyncio
import json
import logging.handlers
import re
from contextlib import suppress
from typing import Self

from hypothesis import strategies as st

from mirrord.importing.draft import imported
from mirrord.importing.inputs import InputText
from mirrord.importing.values import ImportRefused
from mirrord.manifest.manifest import Manifest
from mirrord.model import Secret
from mirrord.units import KiB
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.client_rates import ClientRates
from mirrord.web.query import items_query
from mirrord.web.server import Server
from tests.support.fuzzing import corpus, fuzz, mutated
from tests.support.importing import MACHINE
from tests.support.scripted_control import ScriptedControl, one_metric


def _import(content: bytes) -> None:
    with suppress(ImportRefused):
        result = imported([InputText("x", content)], MACHINE, "s3://bkt/")
        assert Manifest.parse("m.yaml", result.text.encode(), {}, allow_unset=True).problems == ()


def test_imports() -> None:
    kept = corpus("imports")
    fuzz(mutated(kept), _import, examples=40, kept=kept, target="imports")


_PAIRS = st.lists(
    st.tuples(
        st.sampled_from(["state", "entry", "q", "cursor", "limit", "Q", ""]),
        st.one_of(st.sampled_from(["", "Synced", "5", "9" * 2000, "²"]), st.text(max_size=20)),
    ),
    max_size=4,
)


def _query(pairs: list[tuple[str, str]]) -> None:
    with suppress(ValueError):
        assert 1 <= items_query(pairs).limit <= 1000


def test_queries() -> None:
    fuzz(_PAIRS, _query, examples=200)


_STATUS = re.compile(rb"^HTTP/1\.[01] ([0-9]{3}) ", re.MULTILINE)
_VISIBLE = st.binary(max_size=40).map(lambda text: bytes(one for one in text if one > 32 and one != 127))
_PATH = st.one_of(
    st.sampled_from([b"/", b"/metrics", b"/api/v1/status", b"/api/v1/items", b"/api/v1/items/0123", b"/page.js"]),
    st.sampled_from(
        [b"/api/v1/items/0123/restore", b"/api/v1/entries/a/sync", b"/api/v1/reload", b"*", b"//", b"/%00"]
    ),
    st.builds(b"/api/v1/items/%s/history".__mod__, _VISIBLE),
    st.builds(b"/%s".__mod__, _VISIBLE),
)
_QUERY = st.one_of(st.just(b""), st.builds(b"?%s=%s".__mod__, st.tuples(_VISIBLE, _VISIBLE)), _VISIBLE)
_METHOD = st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"TRACE", b"get"])
_NAMES = (
    b"Host Origin Authorization Sec-Fetch-Site Range If-None-Match If-Modified-Since Expect Upgrade Accept-Encoding "
    b"Content-Type Cookie Content-Encoding"
)
_HEADER = st.builds(
    b"%s: %s\r\n".__mod__,
    st.tuples(
        st.sampled_from(_NAMES.split()),
        st.one_of(
            st.sampled_from([b"localhost", b"http://localhost", b"Bearer right", b"Basic \xff", b"bytes=0-", b"null"]),
            st.sampled_from([b"100-continue", b"websocket", b"gzip", b'W/"x"', b"[::1", b"http://[", b"a" * 9_000]),
            _VISIBLE,
        ),
    ),
)
_BODY = st.one_of(
    st.just(b""), st.sampled_from([b'{"version": "v"}', b"[" * 9_000, b"x" * 20_000]), st.binary(max_size=50)
)


class Site:
    """A server with both tokens, inside `with`. What it logs is a fault: any client can send any request."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._server = Server(
            "127.0.0.1:0",
            application(
                ScriptedControl(),
                one_metric,
                Access(Secret("right"), Secret("reader")),
                rates=ClientRates(1e6),
            ),
        )
        self._log = logging.handlers.BufferingHandler(1000)

    def __enter__(self) -> Self:
        self._runner.run(self._server.__aenter__())
        logging.getLogger("mirrord.web").addHandler(self._log)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("mirrord.web").removeHandler(self._log)
        self._runner.run(self._server.__aexit__(None, None, None))
        self._runner.close()

    def answers(self, request: bytes, silence: float) -> bytes:
        """All that comes until the connection ends, or nothing comes for so many seconds."""
        found = self._runner.run(self._answers(request, silence))
        assert not self._log.buffer, self._log.buffer[0].getMessage()
        statuses = [int(one) for one in _STATUS.findall(found)]
        assert all(100 <= status < 500 for status in statuses), found
        return found

    async def _answers(self, request: bytes, silence: float) -> bytes:
        reader, writer = await asyncio.open_connection(*self._server.url.removeprefix("http://").split(":"))
        found = b""
        try:
            writer.write(request)
            with suppress(TimeoutError, ConnectionResetError):  # it refused the rest of a body
                while piece := await asyncio.wait_for(reader.read(KiB), silence):
                    found += piece
        finally:
            writer.close()
        return found


def test_requests() -> None:
    with Site() as site:

        def check(value: tuple[bytes, bytes, bytes, list[bytes], bytes]) -> None:
            method, path, query, headers, body = value
            head = b"%s %s%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" % (method, path, query)
            length = b"Content-Length: %d\r\n\r\n" % len(body)
            answer = site.answers(head + b"".join(headers) + length + body, 10)
            answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            if b"application/problem+json" in answer and method != b"HEAD":
                head, _, document = answer.partition(b"\r\n\r\n")
                assert json.loads(document)["status"] == int(head[9:12])

        fuzz(st.tuples(_METHOD, _PATH, _QUERY, st.lists(_HEADER, max_size=4), _BODY), check, examples=60)


def test_malformed_requests() -> None:
    kept = corpus("requests")
    with Site() as site:
        fuzz(mutated(kept), lambda raw: site.answers(raw, 0.02), kept=kept, target="requests")
