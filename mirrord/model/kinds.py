"""The enums of mirrord: states, kinds of transfers and checksums, providers, and what an entry may choose."""

from enum import StrEnum


class State(StrEnum):
    """The state of an item. It describes the object, not the last attempt."""

    SYNCED = "Synced"
    PENDING = "Pending"
    TRANSFERRING = "Transferring"
    WAITING = "Waiting"
    RETRYING = "Retrying"
    BLOCKED = "Blocked"
    SUSPENDED = "Suspended"


class TransferKind(StrEnum):
    PUT = "put"
    MULTIPART = "multipart"


class ChecksumKind(StrEnum):
    CRC64NVME = "crc64nvme"
    CRC32C = "crc32c"
    CRC32 = "crc32"
    SHA256 = "sha256"
    MD5 = "md5"
    NONE = "none"


class ProviderName(StrEnum):
    AWS = "aws"
    MINIO = "minio"
    SEAWEEDFS = "seaweedfs"
    CEPH = "ceph"
    R2 = "r2"
    B2 = "b2"
    GCS = "gcs"
    WASABI = "wasabi"
    DIGITALOCEAN = "digitalocean"
    YANDEX = "yandex"
    SELECTEL = "selectel"
    VK = "vk"
    CLOUDRU = "cloudru"
    STORJ = "storj"
    SCALEWAY = "scaleway"
    GENERIC = "generic"
    EMBEDDED = "embedded"


class Integrity(StrEnum):
    """What proved a copy, best first (guarantee 3)."""

    FULL_OBJECT = "full-object checksum"
    COMPOSITE = "composite checksum"
    MD5 = "md5"
    READBACK = "readback"
    LENGTH = "length only"


class Overwrite(StrEnum):
    ALWAYS = "always"
    OWNED = "owned"
    NEVER = "never"


class Drift(StrEnum):
    REPAIR = "repair"
    REPORT = "report"
    IGNORE = "ignore"
