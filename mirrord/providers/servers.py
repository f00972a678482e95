"""The facts of the servers that users run themselves: MinIO, SeaweedFS (also embedded) and Ceph."""

from mirrord.model import ProviderName
from mirrord.providers.facts import IGNORED, KEPT, PATH_AND_HOST, FactName, sheet
from mirrord.providers.faults import SEAWEEDFS_FAULTS
from mirrord.units import GiB, MiB, TiB

_MINIO = "measured: MinIO, source of February 2026"
_MINIO_LIMITS = "https://github.com/minio/minio/blob/master/cmd/utils.go"
_WEED = "measured: SeaweedFS 4.48"
_WEED_ABORT = "measured: SeaweedFS 4.47 and 4.48"
_RGW = "measured: Ceph RGW 16.2"
_RGW_DOCS = "https://docs.ceph.com/en/latest/radosgw/s3/"

MINIO = sheet(
    ProviderName.MINIO,
    "MinIO",
    (
        _MINIO,
        {
            FactName.CHECKSUM: "crc64nvme",
            FactName.CHECKSUMS: ("crc64nvme", "crc32c", "crc32", "sha256", "md5"),
            FactName.ETAG: "MD5 of the bytes, or of the MD5s of the parts",
            FactName.COMPLETE_ETAG: True,
            FactName.CONDITIONAL_PUTS: True,
            FactName.CONDITIONAL_COMPLETES: True,
            FactName.CONDITIONAL_DELETES: False,
            FactName.PART_COPIES: False,
            FactName.STORAGE_CLASSES: ("STANDARD", "REDUCED_REDUNDANCY"),
            FactName.ACL: IGNORED,
            FactName.TAGS: KEPT,
            FactName.KEYS: "a segment over 255 bytes; a backslash; an object `a/b` beside an object `a` is not listed",
            FactName.LISTING: "UTF-8; ListMultipartUploads finds an upload only by its exact key as prefix",
            FactName.VERSIONING: True,
            FactName.LATE_ABORT: True,
            FactName.FAULTS: (
                "a wrong checksum is XAmzContentChecksumMismatch; BadDigest only for Content-MD5",
                "a repeated CompleteMultipartUpload is 404 NoSuchUpload",
                "one empty part with a CRC of the whole object is refused",
                "CopyObject that asks for a checksum shows a wrong CRC if compression is on",
                "SSE without a KMS is 501",
            ),
        },
    ),
    (
        _MINIO_LIMITS,
        {
            FactName.ADDRESSING: PATH_AND_HOST,
            FactName.MIN_PART: 5 * MiB,
            FactName.MAX_PART: 5 * GiB,
            FactName.MAX_PARTS: 10_000,
            FactName.MAX_PUT: 5 * GiB,
            FactName.MAX_OBJECT: 5 * TiB,
        },
    ),
)
SEAWEEDFS = sheet(
    ProviderName.SEAWEEDFS,
    "SeaweedFS",
    (
        _WEED,
        {
            FactName.CHECKSUM: "crc64nvme",
            FactName.CHECKSUMS: ("crc64nvme", "crc32c", "crc32", "sha256", "md5"),
            FactName.ETAG: "MD5 of the bytes, or of the MD5s of the parts",
            FactName.COMPLETE_ETAG: True,
            FactName.CONDITIONAL_COMPLETES: True,
            FactName.PART_COPIES: True,
            FactName.ACL: IGNORED,
            FactName.TAGS: KEPT,
            FactName.MERGES_SLASHES: True,
            FactName.LISTING: "by directory, not UTF-8",
            FactName.VERSIONING: True,
        },
    ),
    (
        _WEED_ABORT,
        {
            FactName.LATE_ABORT: False,
            FactName.FAULTS: (
                *(one.summary for one in SEAWEEDFS_FAULTS),
                "x-amz-content-sha256 is not compared with the body",
                "ListParts shows both copies of a part that was sent twice",
                "UploadPartCopy to an object with SSE-KMS is 501",
                "CopyObject ignores a lock, and an ACL is only kept by PutObjectAcl, and not enforced",
            ),
        },
    ),
)
EMBEDDED = sheet(
    ProviderName.EMBEDDED,
    "the embedded SeaweedFS (4.48 or newer)",
    (_WEED, {FactName.CONDITIONAL_PUTS: True}),
    based_on=SEAWEEDFS,
)
CEPH = sheet(
    ProviderName.CEPH,
    "Ceph RGW",
    (
        _RGW,
        {
            FactName.CHECKSUM: "md5",
            FactName.CHECKSUMS: ("md5",),
            FactName.COMPLETE_ETAG: False,
            FactName.TAGS: "kept by PutObject, dropped by CreateMultipartUpload",
            FactName.FAULTS: (
                "CompleteMultipartUpload answers an empty ETag; repeated, the right one",
                "x-amz-checksum headers are ignored (16.2)",
                "an abort that meets a slow CompleteMultipartUpload may destroy the object",
                "error documents have no message",
                "SSE is refused without TLS",
                "STANDARD_IA is InvalidArgument unless the zone has this class",
            ),
        },
    ),
    (_RGW_DOCS, {FactName.ADDRESSING: PATH_AND_HOST, FactName.ACL: KEPT, FactName.VERSIONING: True}),
)
