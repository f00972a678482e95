"""The spelling of options, checksums and metadata on the wire."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrord.errors import StoreRefused
from mirrord.model import Checksum, ChecksumKind, ObjectOptions, Part
from mirrord.s3 import arguments

CRC = Checksum(ChecksumKind.CRC64NVME, "RH9Kj0hgZpY=")
MD5 = Checksum(ChecksumKind.MD5, "XUFAKrxLKna5cZ2REBfFkg==")


def test_what_is_not_set_is_not_sent() -> None:
    assert arguments.object_arguments(ObjectOptions()) == {}


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (ObjectOptions(content_type="a/b"), {"ContentType": "a/b"}),
        (ObjectOptions(acl="public-read"), {"ACL": "public-read"}),
        (
            ObjectOptions(encryption="aws:kms", kms_key_id="k"),
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"},
        ),
        (ObjectOptions(tags={"a b": "c&d", "e": "f/g"}), {"Tagging": "a%20b=c%26d&e=f%2Fg"}),
        (ObjectOptions(metadata={"Team": "geo"}), {"Metadata": {"team": "geo"}}),
        (ObjectOptions(expires="2030-01-31"), {"Expires": datetime(2030, 1, 31, tzinfo=UTC)}),
        (ObjectOptions(expires="2030-01-31T12:00:00Z"), {"Expires": datetime(2030, 1, 31, 12, tzinfo=UTC)}),
    ],
)
def test_options_in_the_words_of_s3(options: ObjectOptions, asked: dict[str, object]) -> None:
    assert arguments.object_arguments(options) == asked


@pytest.mark.parametrize(
    "options",
    [ObjectOptions(expires="soon"), ObjectOptions(metadata={"sp ace": "x"}), ObjectOptions(metadata={"ü": "x"})],
)
def test_what_has_no_spelling_is_refused(options: ObjectOptions) -> None:
    with pytest.raises(StoreRefused):
        arguments.object_arguments(options)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_metadata_survives_the_header(text: str) -> None:
    carried = arguments.encode_metadata(text)
    assert carried.isascii()
    assert carried == carried.strip()
    assert "\n" not in carried
    assert "\r" not in carried
    assert arguments.decode_metadata(carried) == text


@pytest.mark.parametrize("text", ["=?x?=", "=?nonsense?Q?x?=", "=?UTF-8?B?/w==?="])
def test_what_is_no_rfc_2047_comes_as_it_is(text: str) -> None:
    assert arguments.decode_metadata(text) == text


def test_what_others_split_into_words_is_joined() -> None:
    assert arguments.decode_metadata("=?UTF-8?Q?Z=C3=BC?= =?UTF-8?B?cmljaA==?=") == "Zürich"


@pytest.mark.parametrize(
    ("checksum", "asked"),
    [
        (None, {}),
        (Checksum(ChecksumKind.NONE, ""), {}),
        (CRC, {"ChecksumCRC64NVME": CRC.value}),
        (MD5, {"ContentMD5": MD5.value}),
    ],
)
def test_a_digest_of_a_body(checksum: Checksum | None, asked: dict[str, str]) -> None:
    assert arguments.put_checksum(checksum) == asked


@pytest.mark.parametrize("kind", ChecksumKind)
def test_an_upload_is_created_for_the_checksum_that_its_object_can_have(kind: ChecksumKind) -> None:
    asked = arguments.create_checksum(kind)
    if kind in (ChecksumKind.CRC64NVME, ChecksumKind.CRC32C, ChecksumKind.CRC32):
        assert asked == {"ChecksumAlgorithm": kind.value.upper(), "ChecksumType": "FULL_OBJECT"}
    elif kind is ChecksumKind.SHA256:
        assert asked == {"ChecksumAlgorithm": "SHA256", "ChecksumType": "COMPOSITE"}
    else:
        assert asked == {}


def test_a_completion_names_parts_checksum_and_length() -> None:
    parts = [Part(number=1, size=5, etag='"a"', checksum=CRC), Part(number=2, size=3, etag='"b"', checksum=CRC)]
    listed = [
        {"PartNumber": 1, "ETag": '"a"', "ChecksumCRC64NVME": CRC.value},
        {"PartNumber": 2, "ETag": '"b"', "ChecksumCRC64NVME": CRC.value},
    ]
    assert arguments.complete_arguments(parts, CRC) == {
        "MultipartUpload": {"Parts": listed},
        "ChecksumCRC64NVME": CRC.value,
        "ChecksumType": "FULL_OBJECT",
        "MpuObjectSize": 8,
    }


def test_a_completion_of_a_poor_store_names_parts_alone() -> None:
    parts = [Part(number=1, size=5, etag='"a"', checksum=MD5)]
    assert arguments.complete_arguments(parts, None) == {
        "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": '"a"'}]}
    }


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
def test_only_a_full_object_checksum_counts(answer: dict[str, str], checksum: Checksum | None) -> None:
    assert arguments.full_object_checksum(answer) == checksum


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
def test_a_composite_checksum_is_told_from_a_full_one(answer: dict[str, str], checksum: Checksum | None) -> None:
    assert arguments.composite_checksum(answer) == checksum


def test_parts_of_a_sha256_upload_are_completed_with_theirs() -> None:
    sums = [Checksum(ChecksumKind.SHA256, "abc="), Checksum(ChecksumKind.SHA256, "def=")]
    parts = [Part(number=number, size=5, etag='"a"', checksum=one) for number, one in enumerate(sums, 1)]
    assert arguments.complete_arguments(parts, None) == {
        "MultipartUpload": {
            "Parts": [
                {"PartNumber": 1, "ETag": '"a"', "ChecksumSHA256": "abc="},
                {"PartNumber": 2, "ETag": '"a"', "ChecksumSHA256": "def="},
            ]
        }
    }


@pytest.mark.parametrize(
    ("answer", "has"),
    [({}, False), *(({"ETag": text}, False) for text in ("", '""', ' "" ', 'W/""')), ({"ETag": '"a"'}, True)],
)
def test_an_etag_that_says_nothing_is_none(answer: dict[str, str], has: bool) -> None:
    assert arguments.has_etag(answer) is has


@pytest.mark.parametrize(
    ("start", "end", "asked"), [(0, None, {}), (5, None, {"Range": "bytes=5-"}), (0, 10, {"Range": "bytes=0-9"})]
)
def test_ranges_are_half_open(start: int, end: int | None, asked: dict[str, str]) -> None:
    assert arguments.byte_range(start, end) == asked
