"""The protocol of one connection: aiohttp's, with bounds of a request's head, and our own answers where the application
is not asked.

Any client can send a malformed request, so that it is answered without a line in the log. Bodies are not decompressed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mirrord.web.routes import problem_response

_log = logging.getLogger(__name__)

_LONGEST_LINE = 8190
"""Bytes of the request line, and of one header field. A longer one is answered with 400."""
_OPTIONS: Mapping[str, Any] = {
    "access_log": None,
    "logger": _log,
    "max_line_size": _LONGEST_LINE,
    "max_field_size": _LONGEST_LINE,
    "max_headers": 64,
    "auto_decompress": False,
}

RequestAnswer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class RequestProtocol(web.RequestHandler):
    """aiohttp's protocol; errors that it finds itself are answered with problem documents, and end the connection."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, HttpProcessingError):
            response = problem_response(status, "the request is not valid HTTP, or its head is too large")
        else:
            super().handle_error(request, status, exc, message)  # logs it; raises if part of an answer was sent
            response = problem_response(status, "internal error, please report it (see the log)")
        response.headers["Server"] = "mirrord"
        response.force_close()
        return response


def protocols(server: web.Server) -> Callable[[], RequestProtocol]:
    """Makes the protocol of each new connection to this server of an application."""
    server.request_handler = partial(_expecting, server.request_handler)
    return partial(RequestProtocol, server, loop=asyncio.get_running_loop(), **_OPTIONS)


async def _expecting(inner: RequestAnswer, request: web.BaseRequest) -> web.StreamResponse:
    """Refuse an Expect header that RFC 9110 10.1.1 does not define. aiohttp quotes it in an answer that it then cannot
    encode."""
    expected = request.headers.get("Expect", "")
    if expected and expected.lower() != "100-continue":
        return problem_response(417, "of Expect only 100-continue is understood")
    return await inner(request)
