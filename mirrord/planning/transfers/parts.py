"""The layout of an upload: a single put, or parts of one size, within the limits of the store and of memory.

Owns the arithmetic of SPEC guarantee 8: a part takes at most half of the memory limit, and concurrency is reduced
before the part size. Refuses objects that fit no layout. The layout of an upload never changes: R2 requires that all
parts except the last have the same size (FIELD_NOTES 8). `transfer` uploads the parts.
"""

from dataclasses import dataclass

from mirrord.errors import MemoryLimitTooSmall, SourceTooLarge
from mirrord.model import TransferKind, UploadOptions
from mirrord.providers import Provider
from mirrord.units import MiB, format_size

AUTO_THRESHOLD = 16 * MiB
AUTO_PART = 8 * MiB
UNKNOWN_PART = 64 * MiB


@dataclass(frozen=True, slots=True)
class PartLayout:
    """`part_size` in bytes; for a put the length of the object. `concurrency`: parts that are sent at the same time."""

    kind: TransferKind
    part_size: int
    concurrency: int


def part_layout(length: int | None, options: UploadOptions, provider: Provider, memory_limit: int) -> PartLayout:
    """The layout for an object of `length` bytes; None: the length is unknown.

    Raises SourceTooLarge if the store cannot hold the object in any number of parts, MemoryLimitTooSmall (with the
    sufficient limit) if its parts exceed the memory limit.
    """
    if length is None:
        return _multipart(_unknown_size(options, provider, memory_limit), options, memory_limit)
    if length > provider.max_object:
        raise SourceTooLarge(f"{_size(length)} is over what {provider.name} stores: {format_size(provider.max_object)}")
    if length <= _largest_put(options, provider, memory_limit):
        return PartLayout(TransferKind.PUT, length, 1)
    part_size = _part_size(length, options, provider, memory_limit)
    if length <= min(part_size, provider.max_put):  # one part would be a put with two more requests
        return PartLayout(TransferKind.PUT, length, 1)
    return _multipart(part_size, options, memory_limit, parts=-(-length // part_size))


def _largest_put(options: UploadOptions, provider: Provider, memory_limit: int) -> int:
    """The largest size of a single put. An empty object is always a put. If the store's smallest part is larger than 16
    MiB, that is the threshold."""
    threshold = options.multipart_threshold
    if threshold is None:
        threshold = max(AUTO_THRESHOLD, provider.min_part)
    return max(0, min(threshold - 1, provider.max_put, memory_limit // 2))


def _part_size(length: int, options: UploadOptions, provider: Provider, memory_limit: int) -> int:
    least = max(provider.min_part, _whole_mib(-(-length // provider.max_parts)))
    if least > provider.max_part:
        raise SourceTooLarge(
            f"{_size(length)} need parts of {format_size(least)}; {provider.name} takes {provider.max_parts:,} parts "
            f"of at most {format_size(provider.max_part)}"
        )
    return _fit(least, options.part_size or AUTO_PART, provider, memory_limit, what=_size(length))


def _unknown_size(options: UploadOptions, provider: Provider, memory_limit: int) -> int:
    """One part size for the whole stream. Without a size in the manifest: large enough for a long stream, and at most a
    quarter of the memory limit, so that four parts fit."""
    wanted = options.part_size or min(UNKNOWN_PART, memory_limit // 4)
    return _fit(provider.min_part, wanted, provider, memory_limit, what="an object of unknown length")


def _fit(least: int, wanted: int, provider: Provider, memory_limit: int, *, what: str) -> int:
    """`wanted`, limited to the bounds of the store and of memory."""
    if least > memory_limit // 2:
        raise MemoryLimitTooSmall(
            f"{what} needs parts of {format_size(least)}, and a part may take half of memory_limit: set memory_limit "
            f"to {-(-2 * least // MiB)}MiB or more"
        )
    if least <= wanted <= min(provider.max_part, memory_limit // 2):
        return wanted
    most = min(provider.max_part, memory_limit // 2) // MiB * MiB
    return max(least, min(wanted, most))


def _multipart(part_size: int, options: UploadOptions, memory_limit: int, parts: int | None = None) -> PartLayout:
    concurrency = min(options.concurrency, memory_limit // part_size)
    if parts is not None:
        concurrency = min(concurrency, parts)
    return PartLayout(TransferKind.MULTIPART, part_size, max(1, concurrency))


def _whole_mib(size: int) -> int:
    return -(-size // MiB) * MiB


def _size(length: int) -> str:
    return f"{length:,} bytes ({format_size(length)})"
