"""The facts of cloud services: AWS, Cloudflare R2, Backblaze B2, Google, Wasabi, DigitalOcean, Storj and Scaleway."""

from mirrord.model import ProviderName
from mirrord.providers.facts import KEPT, PATH_AND_HOST, REFUSED, FactName, sheet
from mirrord.units import GiB, MiB, TiB

_AWS_LIMITS = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"
_AWS_INTEGRITY = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html"
_AWS_CONDITIONS = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html"
_AWS_PUT = "https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html"
_AWS_ABORT = "https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html"
_AWS_REGIONS = "https://docs.aws.amazon.com/general/latest/gr/s3.html"
_AWS_LIST = "https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html"
_AWS_RATE = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html"
_R2_API = "https://developers.cloudflare.com/r2/api/s3/api/"
_R2_LIMITS = "https://developers.cloudflare.com/r2/platform/limits/"
_R2_PARTS = "https://developers.cloudflare.com/r2/objects/multipart-objects/"
_R2_CONDITIONS = "https://developers.cloudflare.com/r2/api/s3/conditional-operations/"
_R2_UNICODE = "https://developers.cloudflare.com/r2/reference/unicode-interoperability/"
_B2_CALLS = "https://www.backblaze.com/docs/cloud-storage-call-the-s3-compatible-api"
_B2_API = "https://www.backblaze.com/docs/cloud-storage-s3-compatible-api"
_B2_PARTS = "https://www.backblaze.com/apidocs/s3-upload-part"
_B2_CONDITIONS = "public reports: If-None-Match is answered 501; Backblaze documents no conditions of writes"
_B2_TRAILERS = "public reports: the SDKs' default CRC32 trailers fail"
_GCS_API = "https://cloud.google.com/storage/docs/interoperability"
_GCS_LIMITS = "https://cloud.google.com/storage/quotas"
_GCS_PARTS = "https://cloud.google.com/storage/docs/multipart-uploads"
_GCS_CLASSES = "https://cloud.google.com/storage/docs/storage-classes"
_GCS_COPY = "https://issuetracker.google.com/issues/323465186"
_WASABI_API = "https://docs.wasabi.com/docs/rest-api-introduction"
_WASABI_REGIONS = "https://docs.wasabi.com/docs/what-are-the-service-urls-for-wasabi-s-different-storage-regions"
_WASABI_PARTS = "https://docs.wasabi.com/docs/how-does-wasabi-handle-multipart-uploads"
_WASABI_CHECKSUMS = "https://docs.wasabi.com/docs/how-do-i-use-aws-cli-with-wasabi"
_SPACES_API = "https://docs.digitalocean.com/reference/api/spaces-api/"
_SPACES_LIMITS = "https://docs.digitalocean.com/products/spaces/details/limits/"
_SPACES_REGIONS = "https://docs.digitalocean.com/products/spaces/details/availability/"
_STORJ_API = "https://storj.dev/dcs/api/s3/s3-compatibility"
_STORJ_PARTS = "https://storj.dev/dcs/third-party-tools/rclone"
_STORJ_READS = "public reports: objects in parts of 5 MiB are read at half the speed"
_STORJ_LISTING = "https://docs.storj.io/api-reference/s3-compatible-gateway/supported-s3-commands"
_SCALEWAY = "https://www.scaleway.com/en/docs/object-storage/concepts/"
_SCALEWAY_LIMITS = "https://www.scaleway.com/en/docs/object-storage/api-cli/multipart-uploads/"
_SCALEWAY_CONDITIONS = "https://www.scaleway.com/en/docs/object-storage/api-cli/using-conditional-writes/"
_SCALEWAY_CLASSES = "https://www.scaleway.com/en/docs/object-storage/api-cli/object-operations/"

_S3_LIMITS = {
    FactName.MIN_PART: 5 * MiB,
    FactName.MAX_PART: 5 * GiB,
    FactName.MAX_PARTS: 10_000,
    FactName.MAX_PUT: 5 * GiB,
}
"""The limits of most stores."""

AWS = sheet(
    ProviderName.AWS,
    "Amazon S3",
    (_AWS_LIMITS, {**_S3_LIMITS, FactName.MAX_OBJECT: 10_000 * 5 * GiB}),
    (
        _AWS_REGIONS,
        {FactName.ENDPOINT: "https://s3.{region}.amazonaws.com", FactName.ADDRESSING: PATH_AND_HOST},
    ),
    (
        _AWS_INTEGRITY,
        {
            FactName.CHECKSUM: "crc64nvme",
            FactName.CHECKSUMS: ("crc64nvme", "crc32c", "crc32", "sha256", "md5"),
            FactName.TRAILERS: True,
            FactName.ETAG: "MD5 of the bytes, or of the MD5s of the parts; not with SSE-KMS or SSE-C",
            FactName.COMPLETE_ETAG: True,
        },
    ),
    (
        _AWS_CONDITIONS,
        {
            FactName.CONDITIONAL_PUTS: True,
            FactName.CONDITIONAL_COMPLETES: True,
            FactName.CONDITIONAL_COPIES: True,
            FactName.CONDITIONAL_DELETES: True,
        },
    ),
    (
        _AWS_PUT,
        {
            FactName.STORAGE_CLASSES: (
                *("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER"),
                *("DEEP_ARCHIVE", "OUTPOSTS", "GLACIER_IR", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS", "FSX_ONTAP"),
            ),
            FactName.ACL: "kept; refused by buckets with enforced ownership (the default)",
            FactName.TAGS: KEPT,
            FactName.VERSIONING: True,
        },
    ),
    (_AWS_LIST, {FactName.LISTING: "UTF-8; directory buckets have no order"}),
    (_AWS_ABORT, {FactName.LATE_ABORT: True}),
    (_AWS_RATE, {FactName.RATE: "3,500 writes and 5,500 reads a second and prefix"}),
)
R2 = sheet(
    ProviderName.R2,
    "Cloudflare R2",
    (
        _R2_API,
        {
            FactName.ENDPOINT: "https://{account_id}.r2.cloudflarestorage.com",
            FactName.DEFAULT_REGION: "auto",
            FactName.CHECKSUMS: ("crc64nvme", "md5"),
            FactName.STORAGE_CLASSES: ("STANDARD", "STANDARD_IA"),
            FactName.ACL: REFUSED,
            FactName.TAGS: REFUSED,
        },
    ),
    (
        _R2_LIMITS,
        {
            FactName.MAX_PARTS: 10_000,
            FactName.MAX_PART: 5 * GiB - 5 * MiB,
            FactName.MAX_PUT: 5 * GiB - 5 * MiB,
            FactName.MAX_OBJECT: 5 * TiB - 5 * GiB,
            FactName.RATE: "one write a second and key; more are 429",
        },
    ),
    (
        _R2_PARTS,
        {
            FactName.MIN_PART: 5 * MiB,
            FactName.EQUAL_PARTS: True,
            FactName.ETAG: "MD5 of the bytes; of an upload in parts random",
        },
    ),
    (
        _R2_CONDITIONS,
        {
            FactName.CONDITIONAL_PUTS: True,
            FactName.CONDITIONAL_COMPLETES: True,
            FactName.CONDITIONAL_COPIES: False,
        },
    ),
    (_R2_UNICODE, {FactName.MERGES_UNICODE: True}),
)
B2 = sheet(
    ProviderName.B2,
    "Backblaze B2",
    (
        _B2_CALLS,
        {FactName.ENDPOINT: "https://s3.{region}.backblazeb2.com", FactName.ADDRESSING: PATH_AND_HOST},
    ),
    (_B2_API, {FactName.ACL: "of the bucket only: `private` or `public-read`"}),
    (
        _B2_PARTS,
        {
            FactName.MAX_PARTS: 10_000,
            FactName.FAULTS: ("in a bucket with Live Read all parts but the last must have one size",),
        },
    ),
    (_B2_CONDITIONS, {FactName.CONDITIONAL_PUTS: False}),
    (_B2_TRAILERS, {FactName.TRAILERS: False}),
)
GCS = sheet(
    ProviderName.GCS,
    "Google Cloud Storage (XML API, with HMAC keys)",
    (_GCS_API, {FactName.ENDPOINT: "https://storage.googleapis.com", FactName.TRAILERS: False}),
    (_GCS_LIMITS, {**_S3_LIMITS, FactName.MAX_PUT: 5 * TiB, FactName.MAX_OBJECT: 5 * TiB}),
    (
        _GCS_PARTS,
        {
            FactName.ETAG: "MD5 of the bytes; of an upload in parts no MD5",
            FactName.CONDITIONAL_COMPLETES: False,
        },
    ),
    (_GCS_CLASSES, {FactName.STORAGE_CLASSES: ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE")}),
    (_GCS_COPY, {FactName.FAULTS: ("UploadPartCopy is not supported",)}),
)
WASABI = sheet(
    ProviderName.WASABI,
    "Wasabi",
    (
        _WASABI_REGIONS,
        {
            FactName.ENDPOINT: "https://s3.{region}.wasabisys.com",
            FactName.REGIONS: (
                *(
                    "us-east-1",
                    "us-east-2",
                    "us-central-1",
                    "us-west-1",
                    "ca-central-1",
                    "eu-central-1",
                    "eu-central-2",
                ),
                *("eu-west-1", "eu-west-2", "eu-south-1", "ap-northeast-1", "ap-northeast-2"),
                *("ap-southeast-1", "ap-southeast-2"),
            ),
            FactName.DEFAULT_REGION: "us-east-1",
        },
    ),
    (_WASABI_API, {FactName.ADDRESSING: PATH_AND_HOST}),
    (_WASABI_PARTS, {FactName.MIN_PART: 5 * MiB, FactName.MAX_PART: 5 * GiB, FactName.MAX_PARTS: 10_000}),
    (_WASABI_CHECKSUMS, {FactName.FAULTS: ("x-amz-checksum-crc64nvme is refused",)}),
)
DIGITALOCEAN = sheet(
    ProviderName.DIGITALOCEAN,
    "DigitalOcean Spaces",
    (
        _SPACES_API,
        {
            FactName.ENDPOINT: "https://{region}.digitaloceanspaces.com",
            FactName.ADDRESSING: PATH_AND_HOST,
            FactName.STORAGE_CLASSES: ("STANDARD",),
            FactName.ACL: KEPT,
        },
    ),
    (
        _SPACES_REGIONS,
        {FactName.REGIONS: ("nyc3", "ams3", "sfo2", "sfo3", "sgp1", "lon1", "fra1", "tor1", "blr1", "syd1")},
    ),
    (_SPACES_LIMITS, {**_S3_LIMITS, FactName.MAX_OBJECT: 5 * TiB}),
)
STORJ = sheet(
    ProviderName.STORJ,
    "Storj (hosted gateway)",
    (
        _STORJ_API,
        {
            FactName.ENDPOINT: "https://gateway.storjshare.io",
            FactName.TAGS: KEPT,
            FactName.VERSIONING: True,
            FactName.FAULTS: ("UploadPartCopy is not supported", "GetObject knows no partNumber"),
        },
    ),
    (_STORJ_PARTS, {FactName.MIN_PART: 64 * MiB}),
    (_STORJ_READS, {FactName.MULTIPART_THRESHOLD: 64 * MiB}),
    (_STORJ_LISTING, {FactName.LISTING: "the order of the encrypted keys"}),
)
SCALEWAY = sheet(
    ProviderName.SCALEWAY,
    "Scaleway Object Storage",
    (
        _SCALEWAY,
        {
            FactName.ENDPOINT: "https://s3.{region}.scw.cloud",
            FactName.REGIONS: ("fr-par", "nl-ams", "pl-waw", "it-mil"),
            FactName.ADDRESSING: PATH_AND_HOST,
            FactName.ACL: KEPT,
        },
    ),
    (
        _SCALEWAY_LIMITS,
        {
            FactName.MAX_PARTS: 1_000,
            FactName.MIN_PART: 5 * MiB,
            FactName.MAX_PART: 5 * GiB,
            FactName.MAX_OBJECT: 5 * TiB,
        },
    ),
    (_SCALEWAY_CONDITIONS, {FactName.CONDITIONAL_PUTS: True, FactName.CONDITIONAL_COPIES: True}),
    (_SCALEWAY_CLASSES, {FactName.STORAGE_CLASSES: ("STANDARD", "ONEZONE_IA", "GLACIER")}),
)
