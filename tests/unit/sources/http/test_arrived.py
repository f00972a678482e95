"""Responses that arrived whole: which are read without aiohttp's parser, which would read them in the same way."""

import asyncio
import random
from collections.abc import Mapping
from unittest.mock import Mock

import pytest
from aiohttp.http_parser import HttpResponseParser

from mirrord.sources.http.arrived import arrived_response
from tests.support.raw_origin import response

BODY = b"some bytes"
LENGTH = f"Content-Length: {len(BODY)}"


def read(received: bytes) -> tuple[int, list[tuple[str, str]], bytes] | None:
    """Status, fields and body; None: the parser has to read it."""
    found = arrived_response(received)
    return found and (found[0].code, in_lower_case(found[0].headers), found[1].read_nowait())


def in_lower_case(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in headers.items()]


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (response(LENGTH, 'ETag: "1"', body=BODY), [("Content-Length", "10"), ("ETag", '"1"')]),
        (response(f"content-length:{len(BODY)}", "A: \t b c \t", body=BODY), [("content-length", "10"), ("A", "b c")]),
        (
            response(LENGTH, "Connection: Keep-Alive", body=BODY),
            [("Content-Length", "10"), ("Connection", "Keep-Alive")],
        ),
        (response(LENGTH, "A:", "A: é", body=BODY), [("Content-Length", "10"), ("A", ""), ("A", "\udce9")]),
        (response(LENGTH, body=BODY, status="HTTP/1.1 200"), [("Content-Length", "10")]),
    ],
)
def test_a_whole_response_is_read(received: bytes, expected: list[tuple[str, str]]) -> None:
    assert read(received) == (200, [(name.lower(), value) for name, value in expected], BODY)


@pytest.mark.parametrize("fields", [['ETag: "1"'], ['ETag: "1"', LENGTH]])
def test_a_304_has_no_body_whatever_its_content_length(fields: list[str]) -> None:
    found = read(response(*fields, status="HTTP/1.1 304 Not Modified"))
    assert found is not None
    assert (found[0], found[2]) == (304, b"")


def test_an_empty_body_is_whole() -> None:
    assert read(response("Content-Length: 0")) == (200, [("content-length", "0")], b"")


@pytest.mark.parametrize(
    "received",
    [
        response(LENGTH, body=BODY)[:-1],
        response(LENGTH, body=BODY + b"x"),
        response(LENGTH, body=BODY) * 2,
        response("A: b", body=BODY),
        response(LENGTH, LENGTH, body=BODY),
        response("Content-Length: +10", body=BODY),
        response("Content-Length: 10, 10", body=BODY),
        response("Content-Length: \xb9\xb2", body=BODY),
        response(LENGTH, "Transfer-Encoding: identity", body=BODY),
        response(LENGTH, "Connection: close", body=BODY),
        response(LENGTH, "Connection: keep-alive, close", body=BODY),
        response(LENGTH, "Upgrade: h2c", body=BODY),
        response(LENGTH, "Content-Encoding: gzip", "Content-Encoding: br", body=BODY),
        response("Content-Length : 10", body=BODY),
        response(LENGTH, "A: b", "  folded", body=BODY),
        response(LENGTH, "A: b\x00", body=BODY),
        response(LENGTH, "no colon", body=BODY),
        response(LENGTH, ": no name", body=BODY),
        response(LENGTH, "A: " + "a" * 9_000, body=BODY),
        response(LENGTH, body=BODY).replace(b"\r\n", b"\n"),
        response(LENGTH, body=BODY, status="HTTP/1.0 200 OK"),
        response(LENGTH, body=BODY, status="HTTP/1.1 206 Partial Content"),
        response(LENGTH, body=BODY, status="HTTP/1.1 404 Not Found"),
        response(status="HTTP/1.1 103 Early Hints") + response(LENGTH, body=BODY),
        response(LENGTH, body=BODY, status="HTTP/1.1 304 Not Modified"),
        b"\r\n" + response(LENGTH, body=BODY),
        b"",
    ],
)
def test_every_other_response_is_left_to_the_parser(received: bytes) -> None:
    assert arrived_response(received) is None


def test_the_body_is_read_once_in_pieces_of_any_size() -> None:
    found = arrived_response(response(LENGTH, body=BODY))
    assert found is not None
    body = found[1]
    assert (body.total_bytes, body.read_nowait(4), asyncio.run(body.read(100)), body.read_nowait()) == (
        10,
        BODY[:4],
        BODY[4:],
        b"",
    )


def test_the_strict_parser_reads_each_of_them_in_the_same_way() -> None:
    """Random changes of a valid response: what is read without the parser, the parser reads, too, and nothing else."""
    chance, taken = random.Random(7), 0
    start = response(LENGTH, 'ETag: "1"', "Content-Type: text/plain; a=b", "Accept-Ranges: bytes", body=BODY)
    for _ in range(3_000):
        received = bytearray(start)
        for _ in range(chance.randrange(3)):
            at = chance.randrange(len(received))
            received[at : at + chance.randrange(2)] = chance.choice(
                [b"", b"\r\n", b" ", b":", b"\t", b"\xe9", b"1", b"\0"]
            )
        if (mine := read(bytes(received))) is not None:
            taken += 1
            assert mine == parsed(bytes(received))
    assert taken > 1_000


def parsed(received: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """As aiohttp's parser reads it."""
    loop = asyncio.new_event_loop()
    try:
        parser = HttpResponseParser(
            Mock(), loop, 2**16, max_line_size=2**16, max_field_size=2**16, read_until_eof=True, auto_decompress=False
        )
        messages, upgraded, _ = parser.feed_data(received)
        [(message, payload)] = messages
        assert not upgraded
        assert not message.should_close
        body = b"" if payload.is_eof() and not payload.total_bytes else payload.read_nowait(-1)
        assert payload.is_eof()
        return message.code, in_lower_case(message.headers), body
    finally:
        loop.close()
