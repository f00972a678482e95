"""The parser of responses: framings, tolerated and refused deviations, bounds; a fuzz over random splits and damage.

The fuzz obeys MIRRORD_FUZZ and MIRRORD_SEED: `tests.support.fuzzing`.
"""

import random
import tracemalloc
from dataclasses import dataclass

import pytest

from mirrord.s3.wire.response import MAX_FIELDS, MAX_HEAD, MAX_INTERIM, InvalidResponse, ResponseParser, ResponseTooLong
from tests.support.fuzzing import first_seeds, rounds

LIMIT = 1000
OK = b"HTTP/1.1 200 OK\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nA: b\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def parsed(raw: bytes, *, bodiless: bool = False, max_body: int = LIMIT, closed: bool = False) -> ResponseParser:
    parser = ResponseParser(bodiless=bodiless, max_body=max_body, max_refusal=100)
    if not parser.feed(raw) and closed:
        parser.feed_eof()
    return parser


def fed_in_pieces(raw: bytes, size: int) -> None:
    parser = ResponseParser(bodiless=False, max_body=LIMIT)
    for start in range(0, len(raw), size):
        parser.feed(raw[start : start + size])


# ── framings ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("raw", "body", "persistent"),
    [
        (OK + b"Content-Length: 3\r\n\r\nabc", b"abc", True),
        (OK + b"Content-Length: 0\r\n\r\n", b"", True),
        (OK + b"content-length:3\r\n\r\nabc", b"abc", True),
        (OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", b"abc", True),
        (OK + b"Content-Length: 3, 3\r\n\r\nabc", b"abc", True),
        (OK + b"Content-Length: 3\r\nTransfer-Encoding: identity\r\n\r\nabc", b"abc", True),
        (OK + b"Content-Length: 3\r\nConnection: close\r\n\r\nabc", b"abc", False),
        (OK + b"Content-Length: 3\r\nConnection: Keep-Alive, Close\r\n\r\nabc", b"abc", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", b"abc", True),
        (OK + b"Content-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n", b"abc", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"", True),
        (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", b"a", True),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nA: b\r\n\r\n"
            + OK
            + b"Content-Length: 1\r\n\r\na",
            b"a",
            True,
        ),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc", True),
        (
            OK + CHUNKED.title() + b"3;x=y\r\nabc\r\n2 \r\nde\r\n00\r\nTrailer: x\r\n\r\n",
            b"abcde",
            True,
        ),
        (OK + b"Transfer-Encoding: chunked\n\n3\nabc\n0\n\n", b"abc", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 3\nA: b\n\nabc", b"abc", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 6\n\na\r\n\r\nb", b"a\r\n\r\nb", True),
    ],
)
def test_a_framing_is_read(raw: bytes, body: bytes, persistent: bool) -> None:
    parser = parsed(raw)
    assert (parser.complete, parser.body, parser.persistent) == (True, body, persistent)
    if not parser.surplus:
        for end in range(len(raw)):
            assert not parsed(raw[:end]).complete


def test_an_answer_to_head_has_no_body() -> None:
    parser = parsed(OK + b"Content-Length: 5000000\r\n\r\n", bodiless=True)
    assert (parser.complete, parser.body, parser.persistent) == (True, b"", True)
    assert parsed(OK + b"Transfer-Encoding: chunked\r\n\r\n", bodiless=True).persistent
    assert parsed(OK + b"\r\n", bodiless=True).persistent
    assert not parsed(OK + b"Content-Length: 1\r\n\r\nx", bodiless=True).persistent


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    raw = b"HTTP/1.0 400 Bad Request\r\n\r\nno"
    assert not parsed(raw).complete
    parser = parsed(raw, closed=True)
    assert (parser.complete, parser.status, parser.body, parser.persistent) == (True, 400, b"no", False)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        OK,
        OK + b"Content-Length: 4\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabc",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_a_cut_answer_is_not_complete(raw: bytes) -> None:
    assert not parsed(raw, closed=True).complete


# ── heads ─────────────────────────────────────────────────────────────────────────────────────────
def test_headers_are_lower_case_joined_and_unfolded() -> None:
    raw = (
        OK
        + b'ETag:  "e" \t\r\nX-A: 1\r\nx-a: 2\r\nX-Long: one\r\n  two: 2\r\n\tthree\r\n'
        + b"X-\xfc: \xfc\r\nContent-Length: 0\r\n\r\n"
    )
    with pytest.raises(InvalidResponse, match="header line"):
        parsed(raw)
    assert parsed(raw.replace(b"X-\xfc", b"X-U")).headers == {
        "etag": '"e"',
        "x-a": "1, 2",
        "x-long": "one two: 2 three",
        "x-u": "ü",
        "content-length": "0",
    }


def test_a_field_that_is_repeated_with_the_same_value_counts_once() -> None:
    """Proxies do so. Else an ETag, a checksum, a Date or the length that a HEAD shows could not be read."""
    twice = b'ETag: "e"\r\nContent-Length: 7, 7\r\nX-A: 1\r\n' * 2
    answer = parsed(OK + twice + b"X-A: 2\r\n\r\n", bodiless=True)
    assert answer.headers == {"etag": '"e"', "content-length": "7", "x-a": "1, 2"}


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: 3, 4\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: 0x3\r\n",
        b"Content-Length: \xb2\r\n",
        b"Content-Length:\r\n",
        b"Content-Length: 1111111111111111111\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length : 3\r\n",
        b" folded: first\r\n",
        b"Content-Length\r\n",
        b": no name\r\n",
        b"A: b\0c\r\n",
        b"A: b\rc\r\n",
        b"A: b\r\r\n",
    ],
)
def test_an_ambiguous_head_is_refused(head: bytes) -> None:
    parsed(OK + b"Content-Length: 0\r\n\r\n")  # the names are known
    with pytest.raises(InvalidResponse):
        parsed(OK + head + b"\r\n" + b"abc")


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 2000 High\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"SSH-2.0",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"<",
    ],
)
def test_what_is_not_http_is_refused_at_once(raw: bytes) -> None:
    with pytest.raises(InvalidResponse):
        parsed(raw)


@pytest.mark.parametrize(
    "chunks",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"0x1\r\na\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc3\r\n",
        b"1" * 16 + b"\r\n",
        b"1;" + b"x" * 5000,
    ],
)
def test_an_invalid_chunk_is_refused(chunks: bytes) -> None:
    with pytest.raises(InvalidResponse):
        parsed(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)


# ── bounds ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "raw",
    [
        OK + b"A: " + b"x" * MAX_HEAD,
        OK + b"A: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        OK + b"A: b\r\n" * MAX_FIELDS + b"\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * (MAX_INTERIM + 1),
        b"HTTP/1.1 102 Processing\r\nA: %b\r\n\r\n" % (b"x" * 9000) * 8,
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: bcdefgh\r\n" * 7000,
    ],
)
def test_heads_and_trailers_are_bounded(raw: bytes) -> None:
    with pytest.raises(InvalidResponse):
        parsed(raw)
    with pytest.raises(InvalidResponse):
        fed_in_pieces(raw, 1000)


FRAMED = {
    "length": OK + b"Content-Length: 1001\r\n\r\n",
    "until closed": OK + b"\r\n" + b"x" * 1001,
    "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n%b\r\n1\r\nx" % (b"x" * 1000),
}


@pytest.mark.parametrize("raw", FRAMED.values(), ids=FRAMED)
def test_a_longer_result_is_an_error(raw: bytes) -> None:
    with pytest.raises(ResponseTooLong):
        parsed(raw)


@pytest.mark.parametrize("raw", FRAMED.values(), ids=FRAMED)
@pytest.mark.parametrize("status", [b"301 Moved", b"403 Forbidden", b"500 Error"])
def test_a_longer_refusal_is_cut(raw: bytes, status: bytes) -> None:
    parser = parsed(raw.replace(b"200 OK", status) + b"x" * 200)
    assert (parser.complete, parser.persistent) == (True, False)
    assert parser.body == b"x" * 100


def test_a_body_in_small_pieces_takes_little_memory() -> None:
    parser = ResponseParser(bodiless=False, max_body=400_000)
    parser.feed(OK + b"Content-Length: 400000\r\n\r\n")
    tracemalloc.start()
    try:
        for number in range(200_000):
            parser.feed(b"%02d" % (number % 100))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert parser.complete
    assert parser.body[:8] == b"00010203"


def test_many_small_chunks_take_linear_time() -> None:
    """Each chunk copies its own bytes, not the rest of the buffer: that would be 2.5 GiB here."""
    raw = OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 30_000 + b"0\r\n\r\n"
    assert parsed(raw, max_body=30_000).body == b"x" * 30_000


# ── the fuzz ──────────────────────────────────────────────────────────────────────────────────────
@dataclass
class Case:
    """A response, and what a parser must find in it."""

    raw: bytes
    bodiless: bool
    status: int
    body: bytes
    until_closed: bool


def made(chance: random.Random) -> Case:
    status = chance.choice([200, 200, 200, 204, 206, 301, 304, 400, 403, 503])
    bodiless = chance.random() < 0.2
    has_body = not bodiless and status not in (204, 304)
    body = chance.randbytes(chance.choice([0, 1, 7, 99])) if has_body else b""
    framing = chance.choice(["length", "chunked", "closed"])
    end = chance.choice([b"\r\n", b"\r\n", b"\n"])
    lines = [b"X-%d: %d" % (n, chance.randrange(10**6)) for n in range(chance.randrange(5))]
    raw = body
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        raw = in_chunks(body, chance) if has_body else b""
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" * chance.choice([0, 0, 0, 1, 2])
    head = end.join([b"HTTP/1.1 %d Reason" % status, *lines, b"", b""])
    return Case(interim + head + raw, bodiless, status, body, has_body and framing == "closed")


def in_chunks(body: bytes, chance: random.Random) -> bytes:
    found, at = b"", 0
    while at < len(body):
        piece = body[at : at + chance.randint(1, 40)]
        found += b"%x\r\n%b\r\n" % (len(piece), piece)
        at += len(piece)
    return found + b"0\r\n\r\n"


def outcome(case: Case, raw: bytes, cuts: list[int]) -> tuple[object, ...]:
    """What a parser finds if the bytes arrive in these pieces and the peer then closes; how many bytes it left."""
    parser = ResponseParser(bodiless=case.bodiless, max_body=LIMIT, max_refusal=100)
    ends = [*sorted(cuts), len(raw)]
    start = 0
    try:
        for end in ends:
            if end > start and parser.feed(raw[start:end]):
                return parser.status, parser.headers, parser.body
            start = end
        return (parser.status, parser.headers, parser.body) if parser.feed_eof() else ("cut",)
    except InvalidResponse:
        return ("invalid",)


def random_cuts(chance: random.Random, size: int) -> list[int]:
    if chance.random() < 0.1:
        return list(range(size))
    return [chance.randrange(size + 1) for _ in range(chance.randrange(6))]


def damaged(raw: bytes, chance: random.Random) -> bytes:
    damage = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(damage))
        match chance.randrange(4):
            case 0:
                damage[at] = chance.choice(b"\0\r\n :;,0123456789abcHTP/\xff")
            case 1:
                del damage[at : at + chance.randint(1, 5)]
            case 2:
                damage[at:at] = chance.choice(
                    [b"\r\n", b"\n", b"\r\n\r\n", b" ", b"Content-Length: 3\r\n", b"0\r\n\r\n"]
                )
            case _:
                del damage[at:]
        if not damage:
            break
    return bytes(damage) or b"x"


CASES = 700


@pytest.mark.parametrize("first", first_seeds(3))
def test_fuzz(first: int) -> None:
    for seed in rounds(first):
        _fuzz(seed)


def _fuzz(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(CASES):
        case = made(chance)
        status, headers, body = outcome(case, case.raw, random_cuts(chance, len(case.raw)))
        assert (status, body) == (case.status, case.body), case
        # pieces change nothing, whatever the bytes are
        raw = damaged(case.raw, chance)
        assert outcome(case, raw, []) == outcome(case, raw, random_cuts(chance, len(raw))), (case, raw)
        # a part of the bytes is never an answer
        if not case.until_closed:
            assert outcome(case, case.raw[: chance.randrange(len(case.raw))], []) == ("cut",), case
            # a second answer in the same bytes is not read, and ends the connection
            both = ResponseParser(bodiless=case.bodiless, max_body=LIMIT)
            assert both.feed(case.raw + made(chance).raw)
            assert (both.status, both.headers, both.body) == (case.status, headers, case.body)
            assert not both.persistent


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 hidden\r\n\r\n",
        OK + b"hidden: \0\r\n\r\n",
        OK + b"x-amz-security-token hidden\r\n\r\n",
        OK + b"Content-Length: hidden\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nhidden\r\n",
        b"PUT /bucket/a-long-key HTTP/1.1\r\nAuthorization: hidden\r\n\r\n",
    ],
)
def test_an_answer_that_repeats_the_request_is_not_quoted(raw: bytes) -> None:
    with pytest.raises(InvalidResponse) as caught:
        parsed(raw)
    assert "hidden" not in str(caught.value)
