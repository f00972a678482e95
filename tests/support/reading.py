"""Reads a source to its end as a transfer does: into a buffer of the reader."""

from mirrord.model import Destination, HttpOptions, Item, Observed, Options, Secret, origin_at
from mirrord.ports import ByteStream, Source


def item_of(source: str, **http: object) -> Item:
    """An item with this source; `http` are fields of HttpOptions, the headers as plain texts."""
    headers = http.get("headers")
    if isinstance(headers, dict):
        http["headers"] = {name: Secret(value) for name, value in headers.items()}
    options = Options(http=HttpOptions(**http))  # type: ignore[arg-type]
    return Item(
        id="1", entry="e", origin=origin_at(source), destination=Destination("s", "", "b", "k"), options=options
    )


async def drained(stream: ByteStream, buffer: int = 64 * 1024) -> bytes:
    """Read a stream to its end through one buffer that is reused; all its bytes."""
    view, whole = memoryview(bytearray(buffer)), bytearray()
    while count := await stream.readinto(view):
        whole += view[:count]
    return bytes(whole)


async def read(source: Source, observed: Observed, start: int = 0, end: int | None = None) -> bytes:
    """Read bytes [start, end) of the observed revision."""
    async with source.open(observed, start, end) as stream:
        return await drained(stream)


async def probed(source: Source) -> Observed:
    """The observation of an unconditional probe."""
    observed = await source.probe()
    assert observed is not None
    return observed
