"""How many bytes a server may send before they are read, while bandwidth is limited.

Linux lets the buffers of each connection grow to megabytes: a server would send a whole file at once that is then read
slowly, so the line would not be relieved. Owns the sizes; `client` applies them to a socket before it connects.
"""

import socket
from contextlib import suppress

from mirrord.units import KiB, MiB

FASTEST = 8 * MiB
"""Bytes a second. At a higher rate the system's sizes stay: the largest buffer that a process may ask for would be too
small for one connection to a distant server."""
_LEAST = 32 * KiB
_ROUND_TRIP = 0.1
"""Seconds of the rate that a connection may have on its way."""
_SEGMENT = 1460
"""Bytes, as on Ethernet. A server's own buffer is sized by them, and those of loopback have 64 KiB: 2.6 MB."""


def limit_window(sock: socket.socket, rate: int) -> None:
    """Before it connects: the peer may send about what may be read in `_ROUND_TRIP`."""
    if rate > FASTEST or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, max(_LEAST, int(rate * _ROUND_TRIP)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT)
