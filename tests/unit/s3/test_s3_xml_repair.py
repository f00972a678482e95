"""Answers with characters that XML forbids, and answers that are compressed without a request for it."""

import gzip
import zlib
from xml.etree import ElementTree

import pytest

from mirrord.s3.answers.xml_repair import fits_in_xml, key_of, readable, restored

CREATED = "<?xml version='1.0'?>\r\n<R><Key>{}</Key><UploadId>u-1</UploadId></R>"
LIMIT = 2**20


def parsed(body: bytes) -> tuple[str, str]:
    root = ElementTree.fromstring(body)
    return root.findtext("Key") or "", root.findtext("UploadId") or ""


@pytest.mark.parametrize("code", [*range(0, 9), 0xB, 0xC, *range(0xE, 0x20), 0xFFFE, 0xFFFF])
@pytest.mark.parametrize("form", ["{0}", "&#x{1:x};", "&#X{1:X};", "&#{1};", "&#x{1:06x};"])
def test_the_upload_id_is_read_although_the_key_has_a_forbidden_character(code: int, form: str) -> None:
    written = form.replace("&#X", "&#x").format(chr(code), code)
    key, upload_id = parsed(readable(CREATED.format(f"a{written}b").encode(), {}, LIMIT))
    assert upload_id == "u-1"
    assert restored(key) == f"a{chr(code)}b"


def test_references_to_surrogates_are_replaced() -> None:
    assert parsed(readable(CREATED.format("a&#xD800;").encode(), {}, LIMIT))[1] == "u-1"


def test_a_carriage_return_in_a_key_is_preserved() -> None:
    key, _ = parsed(readable(CREATED.format("a\rb").encode(), {}, LIMIT))
    assert restored(key) == "a\rb"


@pytest.mark.parametrize("text", ["plain", "ünï 漢字 😀", "&amp;&#x41;&#9;", "&#xFFFF", ""])
def test_allowed_characters_are_unchanged(text: str) -> None:
    body = CREATED.format(text).encode()
    assert readable(body, {}, LIMIT) == body


def test_bytes_that_are_not_xml_are_unchanged() -> None:
    assert readable(b"\x00\x07&#7;", {}, LIMIT) == b"\x00\x07&#7;"


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("pack", "headers"),
    [
        (gzip.compress, {"content-encoding": "gzip"}),
        (gzip.compress, {"content-encoding": "X-GZIP"}),
        (gzip.compress, {}),
        (zlib.compress, {"content-encoding": "deflate"}),
        (raw_deflate, {"content-encoding": "deflate"}),
    ],
    ids=["gzip", "x-gzip", "gzip without a header", "deflate", "raw deflate"],
)
def test_a_compressed_answer_is_decoded(pack, headers: dict[str, str]) -> None:  # type: ignore[no-untyped-def]
    packed = pack(CREATED.format("a\x07b").encode())
    assert parsed(readable(packed, headers, LIMIT))[1] == "u-1"


@pytest.mark.parametrize(
    "body", [gzip.compress(bytes(2 * LIMIT), mtime=0), gzip.compress(b"<a/>", mtime=0)[:-9], b"<a/>"]
)
def test_a_body_over_the_limit_is_unchanged(body: bytes) -> None:
    assert readable(body, {"content-encoding": "gzip"}, LIMIT) == body


@pytest.mark.parametrize(
    ("text", "encoded", "key"),
    [
        ("a%2Bb+c%07", True, "a+b c\x07"),
        ("a+b", True, "a+b"),  # a store that leaves the plus sign
        ("a%20b", True, "a b"),
        ("a%20b", False, "a%20b"),
        ("a+b", False, "a+b"),
        ("a b+ü", True, "a b+ü"),
        ("a%20b", True, "a%20b"),  # a store that says so and encodes nothing
        ("a%EF%BF%BDb", True, "a\x07b"),
        ("a\ufffdb", False, "a\x07b"),
        ("a\U00100007b", False, "a\x07b"),
        ("a\U00100007b", False, "a\U00100007b"),
    ],
)
def test_a_listed_key_is_decoded_only_if_the_answer_says_so(text: str, encoded: bool, key: str) -> None:
    assert key_of(text, key, encoded=encoded) == key


@pytest.mark.parametrize(("key", "speakable"), [("a b/ü", True), ("a\tb", True), ("a\x07", False), ("a\r", False)])
def test_keys_that_xml_cannot_represent_are_recognised(key: str, speakable: bool) -> None:
    assert fits_in_xml(key) is speakable
