"""Stores that redirect or refuse a region: faults for a StoreProxy, and a server that records redirected requests."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from tests.support.proxy import Fault, Seen

Reply = Callable[[web.BaseRequest, str], web.Response]
"""Makes the refusal of a request that is signed for another region than the store's, which is the second argument."""


def signed_region(request: web.BaseRequest) -> str:
    """The region in the signature of a request."""
    return request.headers.get("Authorization", "////").split("/")[2]


class Region:
    """A store in `region`: refuses requests signed for another region. `refused` counts them by operation."""

    def __init__(self, region: str, refuse: Reply) -> None:
        self.region = region
        self.refused: Counter[str] = Counter()
        self._refuse = refuse

    async def fault(self, seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        if signed_region(request) == self.region:
            return None
        await drain(request)
        self.refused[seen.operation] += 1
        return self._refuse(request, self.region)


async def drain(request: web.BaseRequest) -> None:
    """Read and discard a body of any size."""
    async for _ in request.content.iter_any():
        pass


def document(code: str, **more: str) -> bytes:
    """An error document of S3; `more` are further elements."""
    tags = "".join(f"<{name}>{text}</{name}>" for name, text in more.items())
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>planted</Message>{tags}</Error>'.encode()


def refusal(status: int, code: str = "", headers: dict[str, str] | None = None, **more: str) -> web.Response:
    """An error response, with a document if `code` is not empty."""
    body = document(code, **more) if code else b""
    return web.Response(status=status, body=body, content_type="application/xml", headers=headers)


def always(made: Callable[[], web.Response]) -> Fault:
    async def fault(seen: Seen, request: web.BaseRequest) -> web.StreamResponse:
        await drain(request)
        return made()

    return fault


@asynccontextmanager
async def serving(
    answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], **options: object
) -> AsyncIterator[str]:
    """A server on a free loopback port; yields host:port."""
    runner = web.ServerRunner(web.Server(answer, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, **options)  # type: ignore[arg-type]
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class RedirectTarget:
    """A server that accepts every request, as an attacker's server would, and records it in `asked`."""

    def __init__(self) -> None:
        self.asked: list[web.BaseRequest] = []

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        await drain(request)
        return web.Response(headers={"ETag": '"0"'})


async def never(_request: web.BaseRequest) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError
