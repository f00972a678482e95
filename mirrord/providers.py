"""What each kind of store can do, as data: limits, key rules, checksum kinds. One row a provider, no code paths.

Owns the facts that differ between S3-compatible stores (FIELD_NOTES 7, 8). Nobody else compares provider names.
"""

from dataclasses import dataclass

from mirrord.model import ChecksumKind, ProviderName
from mirrord.units import GiB, MiB, TiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider's profile. Sizes in bytes."""

    name: ProviderName
    checksum: ChecksumKind = ChecksumKind.MD5
    """The best kind the store verifies; CRC kinds as a full-object checksum, MD5 as Content-MD5 per request."""
    min_part: int = 5 * MiB
    max_part: int = 5 * GiB
    max_parts: int = 10_000
    max_put: int = 5 * GiB
    max_object: int = 5 * TiB
    honours_md5: bool = True
    """It is known to refuse a wrong Content-MD5; otherwise only an ETag that is the MD5 shows what it received."""
    late_abort_harmless: bool = False
    """AbortMultipartUpload of an upload that CompleteMultipartUpload consumed leaves the object as it is. AWS, API
    Reference: a completed upload is gone, the answer is NoSuchUpload. MinIO: measured (FIELD_NOTES 18). SeaweedFS
    before 4.48 destroys the object (FIELD_NOTES 17)."""
    merges_slashes: bool = False
    """`d//x` and `d/x` are one object, and `\\` is `/` (FIELD_NOTES table)."""


_GENERIC = Provider(name=ProviderName.GENERIC)
_PROFILES = {
    ProviderName.GENERIC: Provider(name=ProviderName.GENERIC, honours_md5=False),
    ProviderName.AWS: Provider(
        name=ProviderName.AWS, checksum=ChecksumKind.CRC64NVME, max_object=10_000 * 5 * GiB, late_abort_harmless=True
    ),  # "maximum object size 48.8 TiB": as many parts of 5 GiB as there may be
    ProviderName.MINIO: Provider(name=ProviderName.MINIO, checksum=ChecksumKind.CRC64NVME, late_abort_harmless=True),
    ProviderName.SEAWEEDFS: Provider(name=ProviderName.SEAWEEDFS, checksum=ChecksumKind.CRC64NVME, merges_slashes=True),
    ProviderName.EMBEDDED: Provider(name=ProviderName.EMBEDDED, checksum=ChecksumKind.CRC64NVME, merges_slashes=True),
    ProviderName.SCALEWAY: Provider(name=ProviderName.SCALEWAY, max_parts=1_000),
    ProviderName.STORJ: Provider(name=ProviderName.STORJ, min_part=64 * MiB),
}


def profile(name: ProviderName) -> Provider:
    """The profile of a provider; one that has no row of its own gets the cautious generic limits."""
    if name in _PROFILES:
        return _PROFILES[name]
    return Provider(name=name, checksum=_GENERIC.checksum)
