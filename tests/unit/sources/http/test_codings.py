"""Codings of bodies: which are stored with an object, which are decoded, which are refused."""

import gzip
import zlib
from collections.abc import Iterable

import pytest

from mirrord.errors import SourceError, SourceRefused, SourceUnavailable
from mirrord.sources.http.codings import TransferDecoder, content_encoding, transfer_codings
from mirrord.units import KiB, MiB

BODY = b"0123456789abcdef" * 5000


def raw_deflate(body: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(body) + deflate.flush()


class Pieces:
    """A BodyReader of these pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    async def read(self) -> bytes:
        return next(self._pieces, b"")


async def decoded(coding: str, coded: bytes, size: int) -> bytes:
    body = TransferDecoder(Pieces(coded[at : at + size] for at in range(0, len(coded), size)), coding, "http://h/x")
    whole = b""
    while piece := await body.read():
        assert len(piece) <= 256 * KiB
        whole += piece
    return whole


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("GZip", "GZip"),
        ("x-gzip", "x-gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("deflate , gzip", "deflate, gzip"),
        ("utf-8", None),
        ("UTF-8", None),
        ("none", None),
        ("aws-chunked", None),
        ("aws-chunked,gzip", "gzip"),
        ("gzip,", "gzip"),
        ("binary", None),
        ("8bit", None),
        ("g\udce9zip", None),
        ("gzip\x07", None),
    ],
)
def test_only_registered_content_codings_are_stored(value: str | None, stored: str | None) -> None:
    assert content_encoding(value) == stored


@pytest.mark.parametrize(
    ("value", "codings"),
    [
        ("", []),
        ("chunked", []),
        ("identity", []),
        ("Identity, Chunked", []),
        ("gzip, chunked", ["gzip"]),
        ("GZIP,chunked", ["gzip"]),
        ("x-gzip", ["x-gzip"]),
        ("deflate, gzip, chunked", ["gzip", "deflate"]),
    ],
)
def test_transfer_codings_in_the_order_of_decoding(value: str, codings: list[str]) -> None:
    assert transfer_codings({"Transfer-Encoding": value}, "http://h/x") == codings


@pytest.mark.parametrize(
    "value", ["br, chunked", "zstd", "compress, chunked", "chunked, gzip", "aws-chunked", "g\udcffzip"]
)
def test_a_transfer_coding_that_is_not_supported_is_named(value: str) -> None:
    with pytest.raises(SourceRefused, match=r"http://h/x: the transfer coding .+ is not supported"):
        transfer_codings({"Transfer-Encoding": value}, "http://h/x")


CODED = {
    "gzip": gzip.compress(BODY, mtime=0),
    "x-gzip": gzip.compress(BODY[:7], mtime=0)
    + gzip.compress(b"", mtime=0)
    + gzip.compress(BODY[7:], mtime=0),  # members in a row
    "deflate": zlib.compress(BODY),
}


@pytest.mark.parametrize("size", [1, 2, 7, 1000, MiB])
@pytest.mark.parametrize(("coding", "coded"), [*CODED.items(), ("deflate", raw_deflate(BODY))])
async def test_a_body_is_decoded(coding: str, coded: bytes, size: int) -> None:
    assert await decoded(coding, coded, size) == BODY


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_bomb_is_read_in_small_pieces(coding: str) -> None:
    bomb = (gzip.compress if coding == "gzip" else zlib.compress)(bytes(64 * MiB))
    body = TransferDecoder(Pieces([bomb]), coding, "http://h/x")
    assert len(await body.read()) <= 256 * KiB


async def test_output_that_zlib_holds_back_is_not_lost() -> None:
    for size in (256 * KiB - 1, 256 * KiB, 256 * KiB + 1, MiB):
        assert await decoded("deflate", raw_deflate(bytes(size)), MiB) == bytes(size)


@pytest.mark.parametrize(
    ("coding", "coded", "error"),
    [
        ("gzip", b"", SourceUnavailable),
        ("gzip", gzip.compress(BODY, mtime=0)[:-1], SourceUnavailable),
        ("gzip", gzip.compress(BODY, mtime=0)[:100], SourceUnavailable),
        ("gzip", gzip.compress(BODY, mtime=0) + gzip.compress(BODY, mtime=0)[:5], SourceUnavailable),
        ("gzip", b"plain bytes", SourceRefused),
        ("gzip", gzip.compress(BODY, mtime=0) + b"rubbish", SourceRefused),
        ("gzip", gzip.compress(BODY, mtime=0)[:-8] + bytes(8), SourceRefused),
        ("deflate", zlib.compress(BODY)[:-1], SourceUnavailable),
        ("deflate", raw_deflate(BODY)[:-1], SourceUnavailable),
        ("deflate", zlib.compress(BODY) + b"rubbish", SourceRefused),
    ],
)
async def test_a_body_that_is_malformed_or_cut_is_an_error(coding: str, coded: bytes, error: type[SourceError]) -> None:
    with pytest.raises(error, match=f"http://h/x: .*transfer coding {coding}"):
        await decoded(coding, coded, 64)
