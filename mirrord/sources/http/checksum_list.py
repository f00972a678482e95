"""Reads a declared sha256 from a list of checksums at a URL, line by line; `planning.decisions.digests` parses.

Refuses a list larger than `LARGEST`. The caller decides which headers are sent to the list's URL.
"""

from mirrord.aio import CooperativePause
from mirrord.errors import SourceRefused
from mirrord.model import Item, shown
from mirrord.planning.decisions.digests import DigestSearch
from mirrord.planning.items.keys import key_values
from mirrord.ports import Source
from mirrord.units import KiB, MiB, format_size

LARGEST = 64 * MiB
"""About 640,000 names. The list is read line by line and never held in memory as a whole."""
_BUFFER = 64 * KiB
_LONGEST_LINE = 64 * KiB


async def listed_sha256(source: Source, url: str, item: Item) -> str:
    """The sha256 for the name of the item's source in the list at `url`, which `source` reads.

    Raises SourceRefused if the list has none or several for this name, and the errors of the source.
    """
    search = DigestSearch(key_values(item.primary)["name"])
    await _read(source, url, search)
    try:
        return search.result()
    except ValueError as error:
        raise SourceRefused(f"checksum: {shown(url)} {error}") from None


async def _read(source: Source, url: str, search: DigestSearch) -> None:
    buffer, rest, size, pause = memoryview(bytearray(_BUFFER)), b"", 0, CooperativePause()
    async with source:
        observed = await source.probe()
        assert observed is not None  # None only answers a known revision
        async with source.open(observed) as stream:
            while count := await stream.readinto(buffer):
                size += count
                if size > LARGEST:
                    raise SourceRefused(f"checksum: {shown(url)} is over {format_size(LARGEST)}: no list of digests")
                *lines, rest = (rest[:_LONGEST_LINE] + bytes(buffer[:count])).replace(b"\r", b"\n").split(b"\n")
                for line in lines:
                    search.line(line.decode("utf-8", "replace"))
                await pause.when_due()
    search.line(rest.decode("utf-8", "replace"))
