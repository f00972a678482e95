"""The layout of an upload: a single put, or parts whose sizes follow from their numbers, within the limits of the store
and of memory.

Owns the arithmetic of the memory limit: a part takes at most half of the memory limit, and concurrency is reduced
before the part size. Refuses objects that fit no layout. An object of known length has parts of one size. One of
unknown length has parts that grow with their number, so that a short one needs little memory and a long one does not
run out of numbers. The sizes of an upload never change; R2 requires that all parts except the last have the same size
(FIELD_NOTES 8). `transfer` uploads the parts.
"""

from mirrord.errors import MemoryLimitTooSmall, SourceTooLarge
from mirrord.frozen import frozen
from mirrord.model import PartSizes, TransferKind, UploadOptions
from mirrord.providers import Provider
from mirrord.units import MiB, format_size

AUTO_THRESHOLD = 16 * MiB
AUTO_PART = 8 * MiB
EQUAL_PART = 64 * MiB
"""The largest size of parts that must be equal, for an object of unknown length."""
LEFT_TO_OTHERS = AUTO_THRESHOLD + AUTO_PART
"""Bytes of memory for another transfer: the largest put, and a part. So with `memory_limit: 64MiB` one reader fills a
buffer: with two, a URL of 1 GiB took 11 MiB more resident memory, and no less CPU or time."""
GROWTH_STEP = 1000
"""After so many parts of one size the size doubles, or after a tenth of the parts that the store takes."""


@frozen
class PartLayout:
    """`sizes` of the parts; a put has one, of the length of the object. `concurrency`: parts that are sent at the same
    time, fewer while the memory limit has no room for so many."""

    kind: TransferKind
    sizes: PartSizes
    concurrency: int


def part_layout(length: int | None, options: UploadOptions, provider: Provider, memory_limit: int) -> PartLayout:
    """The layout for an object of `length` bytes; None: the length is unknown.

    Raises SourceTooLarge if the store cannot hold the object in any number of parts, MemoryLimitTooSmall (with the
    sufficient limit) if its parts exceed the memory limit.
    """
    if length is None:
        return _multipart(_sizes_of_unknown(options, provider, memory_limit), options, memory_limit)
    if length > provider.max_object:
        raise SourceTooLarge(f"{_size(length)} is over what {provider.name} stores: {format_size(provider.max_object)}")
    if length <= _largest_put(options, provider, memory_limit):
        return _put(length)
    part_size = _part_size(length, options, provider, memory_limit)
    if length <= min(part_size, provider.max_put):  # one part would be a put with two more requests
        return _put(length)
    return _multipart(PartSizes.equal(part_size), options, memory_limit, parts=-(-length // part_size))


def readers_that_fit(connections: int, layout: PartLayout, memory_limit: int) -> int:
    """How many of `connections` may read ranges at the same time. Each fills a buffer while `concurrency` others are
    sent. They leave a quarter of the memory limit, at least `LEFT_TO_OTHERS`, so that another transfer can go on."""
    buffers = (memory_limit - max(memory_limit // 4, LEFT_TO_OTHERS)) // max(1, layout.sizes.largest)
    return max(1, min(connections, buffers - layout.concurrency))


def growing(first: int, largest: int, provider: Provider) -> PartSizes:
    """Parts that grow with their number from `first` to at most `largest` bytes, for an object of unknown length."""
    return PartSizes(first, largest, min(GROWTH_STEP, max(1, provider.max_parts // 10)))


def size_of(sizes: PartSizes, number: int) -> int:
    """The size in bytes of part `number` (from 1). The last part of an object may be shorter."""
    return min(sizes.largest, sizes.first << min((number - 1) // sizes.step, 64))


def most_bytes(sizes: PartSizes, provider: Provider) -> int:
    """The length of the largest object that these parts can hold. A longer one ends with SourceTooLarge."""
    return min(provider.max_object, sum(size_of(sizes, number) for number in range(1, provider.max_parts + 1)))


def _largest_put(options: UploadOptions, provider: Provider, memory_limit: int) -> int:
    """The largest size of a single put. An empty object is always a put. If the store's smallest part is larger than 16
    MiB, that is the threshold."""
    threshold = options.multipart_threshold
    if threshold is None:
        threshold = max(provider.multipart_threshold or AUTO_THRESHOLD, provider.min_part)
    return max(0, min(threshold - 1, provider.max_put, memory_limit // 2))


def _part_size(length: int, options: UploadOptions, provider: Provider, memory_limit: int) -> int:
    least = max(provider.min_part, _whole_mib(-(-length // provider.max_parts)))
    if least > provider.max_part:
        raise SourceTooLarge(
            f"{_size(length)} need parts of {format_size(least)}; {provider.name} takes {provider.max_parts:,} parts "
            f"of at most {format_size(provider.max_part)}"
        )
    return _fit(least, options.part_size or AUTO_PART, provider, memory_limit, what=_size(length))


def _sizes_of_unknown(options: UploadOptions, provider: Provider, memory_limit: int) -> PartSizes:
    """One size if the manifest gives it or the store wants it: then at most a quarter of the memory limit, so that four
    parts fit. Else growing sizes."""

    def fitting(wanted: int) -> int:
        return _fit(provider.min_part, wanted, provider, memory_limit, what="an object of unknown length")

    if options.part_size is not None:
        return PartSizes.equal(fitting(options.part_size))
    if provider.equal_parts:
        return PartSizes.equal(fitting(min(EQUAL_PART, memory_limit // 4)))
    return growing(fitting(AUTO_PART), fitting(provider.max_part), provider)


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


def _put(length: int) -> PartLayout:
    return PartLayout(TransferKind.PUT, PartSizes.equal(length), 1)


def _multipart(sizes: PartSizes, options: UploadOptions, memory_limit: int, parts: int | None = None) -> PartLayout:
    concurrency = min(options.concurrency, memory_limit // sizes.first)
    if parts is not None:
        concurrency = min(concurrency, parts)
    return PartLayout(TransferKind.MULTIPART, sizes, max(1, concurrency))


def _whole_mib(size: int) -> int:
    return -(-size // MiB) * MiB


def _size(length: int) -> str:
    return f"{length:,} bytes ({format_size(length)})"
