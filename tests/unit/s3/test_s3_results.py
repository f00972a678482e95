"""How answers of S3 become mirrord's types."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrord.model import Checksum, ChecksumKind
from mirrord.s3 import arguments
from mirrord.s3.answers import results
from mirrord.s3.wire.operations import OPERATIONS

CRC = Checksum(ChecksumKind.CRC64NVME, "RH9Kj0hgZpY=")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_encoded_metadata_is_decoded_to_the_same_text(text: str) -> None:
    carried = arguments.encode_metadata(text)
    assert carried.isascii()
    assert carried == carried.strip()
    assert "\n" not in carried
    assert "\r" not in carried
    assert results.decode_metadata(carried) == text


@pytest.mark.parametrize("text", ["=?x?=", "=?nonsense?Q?x?=", "=?UTF-8?B?/w==?="])
def test_text_that_is_not_rfc_2047_is_unchanged(text: str) -> None:
    assert results.decode_metadata(text) == text


def test_values_of_several_rfc_2047_words_are_joined() -> None:
    assert results.decode_metadata("=?UTF-8?Q?Z=C3=BC?= =?UTF-8?B?cmljaA==?=") == "Zürich"


@pytest.mark.parametrize(
    ("answer", "checksum"),
    [
        ({}, None),
        ({"ChecksumCRC64NVME": CRC.value}, CRC),
        ({"ChecksumCRC64NVME": CRC.value, "ChecksumType": "FULL_OBJECT"}, CRC),
        ({"ChecksumCRC32": "AAAAAA==", "ChecksumType": "COMPOSITE"}, None),
        ({"ChecksumSHA256": "abc=-7"}, None),
    ],
)
def test_only_a_full_object_checksum_is_read(answer: dict[str, str], checksum: Checksum | None) -> None:
    assert results.full_object_checksum(answer) == checksum


@pytest.mark.parametrize(
    ("named", "expected"), [(None, False), ("AES256", False), ("aws:kms", True), ("aws:kms:dsse", True)]
)
def test_the_key_of_a_kms_is_shown(named: str | None, expected: bool) -> None:
    answer = OPERATIONS["head_object"].answer_fields({"x-amz-server-side-encryption": named} if named else {})
    assert results.stored_object(answer).has_key is expected


@pytest.mark.parametrize(
    ("answer", "checksum"),
    [
        ({}, None),
        ({"ChecksumSHA256": "abc=-7", "ChecksumType": "COMPOSITE"}, Checksum(ChecksumKind.SHA256, "abc=")),
        ({"ChecksumCRC32C": "AAAAAA==-2"}, Checksum(ChecksumKind.CRC32C, "AAAAAA==")),
        ({"ChecksumSHA256": "abc=", "ChecksumType": "COMPOSITE"}, Checksum(ChecksumKind.SHA256, "abc=")),
        ({"ChecksumCRC64NVME": CRC.value, "ChecksumType": "FULL_OBJECT"}, None),
        ({"ChecksumSHA256": "abc="}, None),
        ({"ETag": '"abc-7"'}, None),
    ],
)
def test_a_composite_checksum_is_not_a_full_one(answer: dict[str, str], checksum: Checksum | None) -> None:
    assert results.composite_checksum(answer) == checksum


@pytest.mark.parametrize(
    ("answer", "has"),
    [({}, False), *(({"ETag": text}, False) for text in ("", '""', ' "" ', 'W/""')), ({"ETag": '"a"'}, True)],
)
def test_an_empty_etag_counts_as_missing(answer: dict[str, str], has: bool) -> None:
    assert results.has_etag(answer) is has
