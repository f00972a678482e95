"""A declared sha256 that stands in a list on the web: read line by line by `planning.decisions.digests`.

Refuses a list larger than `LARGEST`. What is sent to the list's address is the caller's choice.
"""

from mirrord.aio import Turns
from mirrord.errors import SourceRefused
from mirrord.model import Item, shown
from mirrord.planning.decisions.digests import DigestSearch
from mirrord.planning.items.keys import key_values
from mirrord.ports import Source
from mirrord.units import KiB, MiB, format_size

LARGEST = 64 * MiB
"""Some 640,000 names. It is read line by line and never held."""
_PIECE = 64 * KiB
_LONGEST_LINE = 64 * KiB


async def listed_sha256(source: Source, url: str, item: Item) -> str:
    """The sha256 that the list at `url`, which `source` reads, gives for the name of the item's own source.

    Raises SourceRefused if it gives none, or several, else what the source raises.
    """
    search = DigestSearch(key_values(item.origin)["name"])
    await _read(source, url, search)
    try:
        return search.result()
    except ValueError as error:
        raise SourceRefused(f"checksum: {shown(url)} {error}") from None


async def _read(source: Source, url: str, search: DigestSearch) -> None:
    piece, rest, size, turns = memoryview(bytearray(_PIECE)), b"", 0, Turns()
    async with source:
        observed = await source.probe()
        assert observed is not None  # nothing is known, so nothing is unchanged
        async with source.open(observed) as stream:
            while count := await stream.readinto(piece):
                size += count
                if size > LARGEST:
                    raise SourceRefused(f"checksum: {shown(url)} is over {format_size(LARGEST)}: no list of digests")
                *lines, rest = (rest[:_LONGEST_LINE] + bytes(piece[:count])).replace(b"\r", b"\n").split(b"\n")
                for line in lines:
                    search.line(line.decode("utf-8", "replace"))
                await turns.give()
    search.line(rest.decode("utf-8", "replace"))
