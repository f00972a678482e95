"""A store that keeps no bytes: `python -m tests.bench.sink`, one process, as little CPU as possible for each request.

It keeps keys, sizes, ETags and metadata, so that HEAD, ListObjectsV2 and the completion of uploads answer as a store
does. By default it computes CRC64NVME and MD5 of each body, compares them with what was sent, and returns them. With
`--echo` it computes nothing and returns the checksums that it received: MD5 costs 1.9 s per GiB on its core. It counts
requests by operation, and body bytes: `GET /-/counts`, `POST /-/reset`, and `POST /-/recount` (objects stay).

It prints its port and ends when its standard input is closed. Bodies in aws-chunked are counted, not verified.
"""

import argparse
import asyncio
import gc
import json
import ssl
import sys
from collections.abc import Sequence
from typing import cast

import uvloop

from tests.bench.sink_store import Body, Reply, SinkStore
from tests.bench.tls import server_context
from tests.support.operations import operation

_RECEIVE = 1 << 20
_LONGEST_HEAD = 1 << 16
_COLLECTED = ("CompleteMultipartUpload", "DeleteObjects")
"""Operations whose body is a short document that the store reads."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASONS = {200: b"OK", 204: b"No Content", 400: b"Bad Request", 404: b"Not Found", 412: b"Precondition Failed"}


class Connection(asyncio.BufferedProtocol):
    """HTTP/1.1 with Content-Length bodies, one request after the other."""

    _buffer = memoryview(bytearray(_RECEIVE))  # one for all: each read is used up before the next one starts

    def __init__(self, store: SinkStore) -> None:
        self._store = store
        self._head = b""
        self._body: Body | None = None
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # transports of uvloop are no subclasses of it

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        view = self._buffer[:nbytes]
        while view:
            view = self._take_head(view) if self._body is None else self._take_body(self._body, view)

    def _take_body(self, body: Body, view: memoryview) -> memoryview:
        taken = view[: self._left]
        body.update(taken)
        self._left -= len(taken)
        if not self._left:
            self._finish(body)
        return view[len(taken) :]

    def _take_head(self, view: memoryview) -> memoryview:
        before = len(self._head)
        received = self._head + bytes(view[:_LONGEST_HEAD])
        end = received.find(b"\r\n\r\n")
        if end < 0:
            self._head = received
            if len(received) > _LONGEST_HEAD:
                self._transport.close()
            return view[:0]
        self._head = b""
        self._start(received[:end].decode("latin-1").split("\r\n"))
        return view[end + 4 - before :]

    def _start(self, lines: Sequence[str]) -> None:
        method, target, _ = lines[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if target.startswith("/-/"):
            self._send(method, self._control(target))
            return
        name, bucket, key = operation(method, target, headers)
        self._left = int(headers.get("content-length", 0))
        body = self._store.body(name, bucket, key, target, headers, collected=name in _COLLECTED)
        if headers.get("expect"):
            self._transport.write(_CONTINUE)
        if self._left:
            self._body = body
        else:
            self._finish(body)

    def _finish(self, body: Body) -> None:
        self._body = None
        self._send("HEAD" if body.operation.startswith("Head") else "GET", self._store.answer(body))

    def _control(self, target: str) -> Reply:
        if target == "/-/counts":
            return Reply(200, {}, json.dumps({"calls": self._store.calls, "bytes": self._store.received}).encode())
        self._store.reset(keep_objects=target == "/-/recount")
        return Reply(200)

    def _send(self, method: str, reply: Reply) -> None:
        length = reply.length if reply.length is not None else len(reply.body)
        head = [b"HTTP/1.1 %d %s\r\n" % (reply.status, _REASONS.get(reply.status, b"Other"))]
        head += [f"{name}: {value}\r\n".encode("latin-1") for name, value in reply.headers.items()]
        head.append(
            b"x-amz-request-id: sink\r\n" + (b"" if reply.status == 204 else b"Content-Length: %d\r\n" % length)
        )
        self._transport.write(b"".join([*head, b"\r\n", b"" if method == "HEAD" else reply.body]))


async def serve(store: SinkStore, tls: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(store), "127.0.0.1", 0, ssl=tls, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--echo", action="store_true", help="return the checksums that were sent, compute nothing")
    parser.add_argument("--tls", action="store_true")
    given = parser.parse_args()
    gc.disable()  # nothing here has cycles, and 100,000 objects make each collection long
    uvloop.run(serve(SinkStore(echo=given.echo), server_context() if given.tls else None))


if __name__ == "__main__":
    main()
