"""A web server for the files of one directory with very low CPU use: `python -m tests.bench.origin DIRECTORY`.

One thread a connection, sendfile(2) for plain HTTP. It answers GET and HEAD with Content-Length, a strong ETag and
Last-Modified, single ranges with 206, and If-None-Match with 304. It prints its port and ends when its standard input
is closed.
"""

import argparse
import mmap
import os
import re
import socket
import ssl
import sys
import threading
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote

from tests.bench.tls import server_context

_WRITE = 256 * 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def serve(root: Path, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve_connection, args=(root, connection, tls), daemon=True).start()


def _serve_connection(root: Path, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
    try:
        with tls.wrap_socket(connection, server_side=True) if tls else connection as wire:
            received = b""
            while True:
                while b"\r\n\r\n" not in received:
                    more = wire.recv(65536)
                    if not more:
                        return
                    received += more
                head, _, received = received.partition(b"\r\n\r\n")
                _answer(root, wire, head.decode("latin-1"))
    except (OSError, BufferError):  # the client closed the connection, as it may at any time; views of the file remain
        return


def _answer(root: Path, wire: socket.socket, head: str) -> None:
    method, target, _ = head.split(" ", 2)
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
    path = root / unquote(target.partition("?")[0]).lstrip("/")
    if not path.is_file():
        wire.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        return
    with open(path, "rb") as file:
        found = os.fstat(file.fileno())
        etag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
        shared = f"ETag: {etag}\r\nLast-Modified: {formatdate(found.st_mtime, usegmt=True)}\r\nAccept-Ranges: bytes\r\n"
        if headers.get("if-none-match") == etag:
            wire.sendall(f"HTTP/1.1 304 Not Modified\r\n{shared}\r\n".encode())
            return
        start, end, status = _range_of(headers.get("range", ""), found.st_size)
        part = f"Content-Range: bytes {start}-{end - 1}/{found.st_size}\r\n" if status.startswith("206") else ""
        length = f"Content-Length: {end - start}\r\nContent-Type: application/octet-stream\r\n"
        answer = f"HTTP/1.1 {status}\r\n{shared}{part}{length}\r\n".encode()
        more = socket.MSG_MORE if method == "GET" and end > start and not isinstance(wire, ssl.SSLSocket) else 0
        wire.sendall(answer, more) if more else wire.sendall(answer)
        if method == "GET" and end > start:
            _send(wire, file.fileno(), start, end)


def _range_of(header: str, size: int) -> tuple[int, int, str]:
    found = _RANGE.fullmatch(header)
    if not found:
        return 0, size, "200 OK"
    end = int(found[2]) + 1 if found[2] else size
    return int(found[1]), min(end, size), "206 Partial Content"


def _send(wire: socket.socket, file: int, start: int, end: int) -> None:
    if isinstance(wire, ssl.SSLSocket):
        with mmap.mmap(file, 0, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as view:
            for at in range(start, end, _WRITE):
                with view[at : min(at + _WRITE, end)] as piece:
                    wire.sendall(piece)
        return
    while start < end:
        start += os.sendfile(wire.fileno(), file, start, end - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--tls", action="store_true")
    given = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    arguments = (given.directory, listener, server_context() if given.tls else None)
    threading.Thread(target=serve, args=arguments, daemon=True).start()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
