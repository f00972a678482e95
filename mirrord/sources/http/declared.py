"""A declared sha256 that stands in a list on the web: read whole, and understood by `planning.digests`.

Refuses a list larger than `LARGEST`. What is sent to the list's address is the caller's choice.
"""

from mirrord.errors import SourceRefused
from mirrord.model import Item, shown
from mirrord.planning.digests import sha256_for
from mirrord.planning.keys import url_values
from mirrord.ports import Source
from mirrord.units import KiB, MiB, format_size

LARGEST = 4 * MiB
"""Some 40,000 names, and small beside the memory that a transfer may take."""
_PIECE = 64 * KiB


async def listed_sha256(source: Source, url: str, item: Item) -> str:
    """The sha256 that the list at `url`, which `source` reads, gives for the name of the item's own source.

    Raises SourceRefused if it gives none, or several, else what the source raises.
    """
    text = await _whole(source, url)
    try:
        return sha256_for(url_values(item.source)["name"], text)
    except ValueError as error:
        raise SourceRefused(f"checksum: {shown(url)} {error}") from None


async def _whole(source: Source, url: str) -> str:
    text, piece = bytearray(), memoryview(bytearray(_PIECE))
    async with source:
        observed = await source.probe()
        assert observed is not None  # nothing is known, so nothing is unchanged
        async with source.open(observed) as stream:
            while count := await stream.readinto(piece):
                text += piece[:count]
                if len(text) > LARGEST:
                    raise SourceRefused(f"checksum: {shown(url)} is over {format_size(LARGEST)}: no list of digests")
    return text.decode("utf-8", "replace")
