"""Hosts whose ETags are MD5s, and the digests in the headers of an answer."""

from base64 import b64encode
from hashlib import md5, sha256

import pytest

from mirrord.model import Checksum, ChecksumKind, Revision
from mirrord.sources.http.md5_etags import NEEDED, MD5ETags
from mirrord.sources.http.responses import md5_of_etag, stated_digests

HOST, OTHER = ("http", "a"), ("http", "b")
RAW_MD5, RAW_SHA = md5(b"x").digest(), sha256(b"x").digest()
MD5_64, SHA_64 = b64encode(RAW_MD5).decode(), b64encode(RAW_SHA).decode()
MD5, SHA = Checksum(ChecksumKind.MD5, MD5_64), Checksum(ChecksumKind.SHA256, SHA_64)


def test_a_host_is_trusted_after_some_different_etags_were_equal() -> None:
    etags = MD5ETags()
    for number in range(NEEDED):
        assert etags.are_md5(HOST) is None
        for _ in range(5):
            etags.note(HOST, str(number), equal=True)
    assert etags.are_md5(HOST) is True
    assert etags.are_md5(OTHER) is None


def test_one_that_differs_ends_the_trust() -> None:
    etags = MD5ETags()
    for number in range(NEEDED):
        etags.note(HOST, str(number), equal=True)
    etags.note(HOST, "x", equal=False)
    etags.note(HOST, "y", equal=True)
    assert etags.are_md5(HOST) is False


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, []),
        ({"Repr-Digest": f"sha-256=:{SHA_64}:"}, [SHA]),
        ({"Repr-Digest": f"unknown=:AAAA:, sha-256=:{SHA_64}:;p=1, md5=:{MD5_64}:"}, [SHA, MD5]),
        ({"Repr-Digest": f"sha-256={SHA_64}"}, []),  # that is the form of Digest
        ({"Digest": f"SHA-256={SHA_64},MD5={MD5_64}"}, [SHA, MD5]),
        ({"Digest": f"sha-256={SHA_64}"}, [SHA]),
        ({"Digest": f"id-sha-256={SHA_64}"}, []),
        ({"Digest": f"sha-512={SHA_64}"}, []),
        ({"Digest": f"SHA-256={MD5_64}"}, []),  # of another length
        ({"Content-MD5": MD5_64}, [MD5]),
        ({"Content-MD5": RAW_MD5.hex()}, []),
        ({"Content-MD5": "none"}, []),
        ({"Content-MD5": MD5_64, "Digest": f"MD5={MD5_64}"}, [MD5]),
    ],
)
def test_stated_digests(headers: dict[str, str], expected: list[Checksum]) -> None:
    assert stated_digests(headers) == expected


@pytest.mark.parametrize(
    ("etag", "expected"),
    [
        (f'"{RAW_MD5.hex()}"', MD5),
        (f'"{RAW_MD5.hex().upper()}"', MD5),
        (f'W/"{RAW_MD5.hex()}"', None),
        (RAW_MD5.hex(), None),  # unquoted: no valid ETag
        (f'"{RAW_MD5.hex()}-2"', None),
        ('"5f3-1a"', None),
        (None, None),
    ],
)
def test_an_etag_that_may_be_an_md5(etag: str | None, expected: Checksum | None) -> None:
    assert md5_of_etag(Revision(address="a", etag=etag)) == expected
