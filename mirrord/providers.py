"""Profiles of providers as data: limits, key rules, checksum kinds. One row for each provider, no code for one.

Owns the properties that differ between S3-compatible stores (FIELD_NOTES 7, 8). No other module compares their names.
"""

from mirrord.frozen import frozen
from mirrord.model import ChecksumKind, ProviderName
from mirrord.units import GiB, MiB, TiB


@frozen(kw_only=True)
class Provider:
    """One provider's profile. Sizes in bytes."""

    name: ProviderName
    checksum: ChecksumKind = ChecksumKind.MD5
    """The checksum kind that is sent with each write. `transfer.proof` decides from the store's answers what it
    proves."""
    min_part: int = 5 * MiB
    max_part: int = 5 * GiB
    max_parts: int = 10_000
    max_put: int = 5 * GiB
    max_object: int = 5 * TiB
    late_abort_harmless: bool = False
    """AbortMultipartUpload after a successful CompleteMultipartUpload does not change the object. AWS, API Reference:
    the answer is NoSuchUpload. MinIO: measured (FIELD_NOTES 18). SeaweedFS before 4.48 destroys the object (FIELD_NOTES
    17)."""
    equal_parts: bool = False
    """All parts of an upload except the last must have the same size."""
    conditional_puts: bool = False
    """PutObject with `If-None-Match: *` never replaces an object. False: unknown, or some versions ignore it."""
    conditional_deletes: bool = False
    """DeleteObject with `If-Match` deletes no other object. False: unknown; MinIO ignores it."""
    merges_slashes: bool = False
    """`d//x` and `d/x` are the same object, and `\\` is `/` (FIELD_NOTES table)."""


_PROFILES = {
    ProviderName.AWS: Provider(
        name=ProviderName.AWS,
        checksum=ChecksumKind.CRC64NVME,
        max_object=10_000 * 5 * GiB,
        late_abort_harmless=True,
        conditional_puts=True,
        conditional_deletes=True,
    ),  # "maximum object size 48.8 TiB": 10,000 parts of 5 GiB
    ProviderName.MINIO: Provider(
        name=ProviderName.MINIO, checksum=ChecksumKind.CRC64NVME, late_abort_harmless=True, conditional_puts=True
    ),
    ProviderName.SEAWEEDFS: Provider(name=ProviderName.SEAWEEDFS, checksum=ChecksumKind.CRC64NVME, merges_slashes=True),
    ProviderName.EMBEDDED: Provider(
        name=ProviderName.EMBEDDED, checksum=ChecksumKind.CRC64NVME, merges_slashes=True, conditional_puts=True
    ),
    ProviderName.R2: Provider(name=ProviderName.R2, equal_parts=True),
    ProviderName.SCALEWAY: Provider(name=ProviderName.SCALEWAY, max_parts=1_000),
    ProviderName.STORJ: Provider(name=ProviderName.STORJ, min_part=64 * MiB),
}


def profile(name: ProviderName) -> Provider:
    """The profile of a provider; the generic limits if it has no row."""
    return _PROFILES.get(name) or Provider(name=name)
