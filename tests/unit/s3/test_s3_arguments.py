"""How options, checksums and metadata become parameters of S3 calls."""

from datetime import UTC, datetime

import pytest

from mirrord.errors import StoreRefused
from mirrord.model import Checksum, ChecksumKind, ObjectOptions, Part
from mirrord.s3 import arguments

CRC = Checksum(ChecksumKind.CRC64NVME, "RH9Kj0hgZpY=")
MD5 = Checksum(ChecksumKind.MD5, "XUFAKrxLKna5cZ2REBfFkg==")


def test_options_without_values_add_no_parameters() -> None:
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
        (ObjectOptions(expires="2030-01-31T12:00:00+02:00"), {"Expires": datetime(2030, 1, 31, 10, tzinfo=UTC)}),
    ],
)
def test_options_become_parameters(options: ObjectOptions, asked: dict[str, object]) -> None:
    assert arguments.object_arguments(options) == asked


@pytest.mark.parametrize(
    "options",
    [ObjectOptions(expires="soon"), ObjectOptions(metadata={"sp ace": "x"}), ObjectOptions(metadata={"ü": "x"})],
)
def test_values_that_s3_cannot_represent_are_refused(options: ObjectOptions) -> None:
    with pytest.raises(StoreRefused):
        arguments.object_arguments(options)


@pytest.mark.parametrize(
    ("checksum", "asked"),
    [
        (None, {}),
        (Checksum(ChecksumKind.NONE, ""), {}),
        (CRC, {"ChecksumCRC64NVME": CRC.value}),
        (MD5, {"ContentMD5": MD5.value}),
    ],
)
def test_the_checksum_of_a_body_is_a_parameter(checksum: Checksum | None, asked: dict[str, str]) -> None:
    assert arguments.put_checksum(checksum) == asked


@pytest.mark.parametrize("kind", ChecksumKind)
def test_an_upload_is_created_with_a_checksum_kind_that_s3_supports(kind: ChecksumKind) -> None:
    asked = arguments.create_checksum(kind)
    if kind in (ChecksumKind.CRC64NVME, ChecksumKind.CRC32C, ChecksumKind.CRC32):
        assert asked == {"ChecksumAlgorithm": kind.value.upper(), "ChecksumType": "FULL_OBJECT"}
    elif kind is ChecksumKind.SHA256:
        assert asked == {"ChecksumAlgorithm": "SHA256", "ChecksumType": "COMPOSITE"}
    else:
        assert asked == {}


def test_complete_has_parts_checksum_and_length() -> None:
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


def test_complete_without_checksums_has_only_the_parts() -> None:
    parts = [Part(number=1, size=5, etag='"a"', checksum=MD5)]
    assert arguments.complete_arguments(parts, None) == {
        "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": '"a"'}]}
    }


def test_complete_has_the_sha256_of_each_part() -> None:
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
    ("start", "end", "asked"), [(0, None, {}), (5, None, {"Range": "bytes=5-"}), (0, 10, {"Range": "bytes=0-9"})]
)
def test_a_range_is_half_open(start: int, end: int | None, asked: dict[str, str]) -> None:
    assert arguments.byte_range(start, end) == asked
