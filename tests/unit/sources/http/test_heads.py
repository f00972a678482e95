"""Heads of responses: malformed but unambiguous fields are rewritten, all others stay for the parser to refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrord.sources.http.heads import normalised, rewritten

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"Content-Length: 5\r\n", b"Content-Length: 5\r\n"),
        (b'ETag: "a"\r\nDate: now\r\n', b'ETag: "a"\r\nDate: now\r\n'),
        (b"", b""),
        (b"Content-Length: 5\r\nX: y\r\ncontent-length:5 \r\n", b"X: y\r\nContent-Length: 5\r\n"),
        (b"Content-Length: 5, 5\r\n", b"Content-Length: 5\r\n"),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n"),
        (b"Content-Length: x\r\n", b"Content-Length: x\r\n"),
        (b"Content-Length:\r\n", b"Content-Length:\r\n"),
        (b"Content-Length : 5\r\nX-A\t: b : c\r\n", b"X-A: b : c\r\nContent-Length: 5\r\n"),
        (b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", b"Content-Length: 5\r\n"),
        (b"transfer-encoding:Identity, chunked\r\n", b"Transfer-Encoding: chunked\r\n"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: Chunked\r\n", b"Transfer-Encoding: chunked\r\n"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
        (b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n"),
        (
            b"Transfer-Encoding: gzip\r\nContent-Length: 5\r\n",
            b"Transfer-Encoding: gzip\r\nContent-Length: 5\r\n",
        ),
        (b"X-Long: a\r\n  b\r\n\tc\r\nY: d\r\n", b"X-Long: a b c\r\nY: d\r\n"),
        (b"Content-Encoding: gzip\r\ncontent-encoding: br\r\n", b"Content-Encoding: gzip, br\r\n"),
        (b"no colon here\r\n", b"no colon here\r\n"),
    ],
)
def test_a_head_as_other_clients_read_it(sent: bytes, read: bytes) -> None:
    def fields(head: bytes) -> list[bytes]:
        return sorted(head.split(b"\r\n"))

    assert fields(normalised(OK + sent + b"\r\n")) == fields(OK + read + b"\r\n")
    bare = (OK + sent + b"\r\n").replace(b"\r\n", b"\n")
    assert fields(normalised(bare)) == fields(OK + read + b"\r\n")


LINES = (
    *(b"Content-Length: 5", b"content-length:5", b"Content-Length: 5, 5", b"Content-Length : 5", b"Content-Length: x"),
    *(b"Transfer-Encoding: chunked", b"transfer-encoding: identity", b"Content-Encoding: gzip", b'ETag: "a"'),
    *(b" folded", b"\tfolded", b"no colon", b"X: y", b"X:", b": z", b"X-\xff: \xff"),
)


@given(st.lists(st.sampled_from(LINES), max_size=6), st.sampled_from([b"\r\n", b"\n"]))
def test_the_quick_way_changes_no_field(lines: list[bytes], end: bytes) -> None:
    head = end.join([b"HTTP/1.1 200 OK", *lines, b"", b""])
    quick, slow = normalised(head), rewritten(head)
    assert sorted(quick.lower().split(b"\r\n")) == sorted(slow.lower().split(b"\r\n"))
