"""A store that reads one request a connection and answers with given raw bytes, or never."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mirrord.declared import Credentials, StoreOptions
from mirrord.model import Destination, ProviderName
from tests.support.wires import request_options

_TLS = b"\x16"
"""First byte of a TLS handshake: S3Store probes a port that closes connections for TLS. This server has no TLS."""
BODY = memoryview(b"some bytes")
AT = Destination("elsewhere", "http://elsewhere", "data", "a/key")


@asynccontextmanager
async def answering(raw: bytes | None) -> AsyncIterator[StoreOptions]:
    """A server that reads a request and answers with `raw`; never, if it is None."""
    stop = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(1) == _TLS:
                return
            await reader.readuntil(b"\r\n\r\n")
            if raw is None:
                await stop.wait()
            else:
                writer.write(raw)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield store_at(server.sockets[0].getsockname()[1])
    finally:
        stop.set()
        server.close()
        await server.wait_closed()


def store_at(port: int) -> StoreOptions:
    """A declared store at this loopback port."""
    credentials = Credentials.of("AKIA", "a-secret-of-the-test")
    return StoreOptions(
        name="elsewhere",
        provider=ProviderName.GENERIC,
        endpoint_url=f"http://127.0.0.1:{port}",
        region="us-east-1",
        credentials=credentials,
        requests=request_options(),
    )
