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
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from mirrord.web.routes import problem_response

_log = logging.getLogger(__name__)

_LONGEST_LINE, _LONGEST_FIELD, _MOST_FIELDS = 8190, 8192, 64
"""Bytes of the request line and of one header field, and fields. More are answered with 414 and 431."""
_TOO_MANY_FIELDS = "Too many headers"
"""How the text of aiohttp's error begins, which has no class of its own."""
_OPTIONS: Mapping[str, Any] = {
    "access_log": None,
    "logger": _log,
    "max_line_size": _LONGEST_LINE,
    "max_field_size": _LONGEST_FIELD,
    "max_headers": _MOST_FIELDS,
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
            response = problem_response(request, *_of_invalid(status, exc))
        else:
            super().handle_error(request, status, exc, message)  # logs it; raises if part of an answer was sent
            response = problem_response(request, status, "internal error, please report it (see the log)")
        response.headers["Server"] = "mirrord"
        response.force_close()
        return response


def _of_invalid(status: int, error: HttpProcessingError) -> tuple[int, str]:
    """Status and text for what the parser refuses."""
    if isinstance(error, LineTooLong):
        if error.args[1] == _LONGEST_LINE:
            return 414, f"the request line is longer than {_LONGEST_LINE} bytes"
        return 431, f"a header field is longer than {_LONGEST_FIELD} bytes"
    if str(error.message).startswith(_TOO_MANY_FIELDS):
        return 431, f"the request has more than {_MOST_FIELDS} header fields"
    return status, "the request is not valid HTTP, or its head is too large"


def protocols(server: web.Server) -> Callable[[], RequestProtocol]:
    """Makes the protocol of each new connection to this server of an application."""
    server.request_handler = partial(_expecting, server.request_handler)
    return partial(RequestProtocol, server, loop=asyncio.get_running_loop(), **_OPTIONS)


async def _expecting(inner: RequestAnswer, request: web.BaseRequest) -> web.StreamResponse:
    """Refuse an Expect header that RFC 9110 10.1.1 does not define. aiohttp quotes it in an answer that it then cannot
    encode."""
    expected = request.headers.get("Expect", "")
    if expected and expected.lower() != "100-continue":
        return problem_response(request, 417, "of Expect only 100-continue is understood")
    return await inner(request)
