"""The errors of HTTP to a store that the SDK has no class for, how a TLS port is recognised, and the size of answers.

`http_session` and `wire` raise them; `answers.transport` translates them.
"""

import asyncio
import re
import ssl
from contextlib import suppress

from botocore.exceptions import HTTPClientError

from mirrord.units import KiB, MiB

REFUSAL_LIMIT = 64 * KiB
"""Bytes of an error response that are read."""
RESULT_LIMIT = 16 * MiB
"""Bytes of a result, without the bytes of an object: a longer one is AnswerTooLong."""
TLS_PROBE = 5.0
"""Seconds for the check whether a port that closes http:// connections speaks TLS."""
_TLS_PORT = re.compile(
    r"HTTP request to an HTTPS server|plain HTTP request was sent to HTTPS port"  # in 400s of Go's and nginx's servers
    r"|\\+x15\\+x03"  # a TLS alert, as parsers quote it
)


class PlainHttpAtTls(HTTPClientError):
    fmt = "the port speaks TLS"


class UrlUnusable(HTTPClientError):
    fmt = "the endpoint's or the proxy's URL cannot be used: {error}"


class AnswerTooLong(HTTPClientError):
    fmt = "the answer is longer than {limit}"


def is_from_tls_port(text: str) -> bool:
    """Whether a TLS port answers like this to a request without TLS."""
    return _TLS_PORT.search(text) is not None


async def speaks_tls(host: str | None, port: int) -> bool:
    """Whether the port carries out a TLS handshake. No data is sent and no certificate verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without authorities: reading those of the system takes 50 ms
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError, ValueError, TimeoutError):
        async with asyncio.timeout(TLS_PROBE):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
        writer.close()
        return True
    return False
