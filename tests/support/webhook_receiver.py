"""A receiver of webhooks that a test can take away and bring back, and the verification of their signatures.

`verified` follows the specification of Standard Webhooks 1.0.0 (symmetric signatures) and shares no code with mirrord.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdefghijklmnop").decode()
TOLERANCE = 300


def verified(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether one of the signatures is that of the id, the time and the body, and the time is now."""
    sent_at = headers["webhook-timestamp"]
    if abs(time.time() - int(sent_at)) > TOLERANCE:
        return False
    prefix, _, text = secret.rpartition("whsec_")
    key = base64.b64decode(text) if secret != text and not prefix else secret.encode()
    content = headers["webhook-id"].encode() + b"." + sent_at.encode() + b"." + body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    versions = [one.partition(",") for one in headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(given, expected) for version, _, given in versions)


@dataclass
class Received:
    """One request: the event, its headers in lower case, the path, and the raw body."""

    event: dict[str, Any]
    headers: dict[str, str]
    path: str
    body: bytes


def accept(received: Received) -> int:
    return 204


@dataclass
class WebhookReceiver:
    """`here()` listens, on the same port each time. `answer` decides the status of each POST."""

    answer: Callable[[Received], int] = accept
    port: int = 0
    received: list[Received] = field(default_factory=list)
    """Accepted events, in order."""
    refused: list[Received] = field(default_factory=list)
    beats: list[str] = field(default_factory=list)
    """Paths of GET requests."""
    extra: dict[str, str] = field(default_factory=dict)
    """Headers of refusals."""

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def names(self, key: str = "") -> list[str]:
        """The types of the events about keys that end so, without repeated ones."""
        first = {one.event["id"]: one.event for one in reversed(self.received)}
        order = list(dict.fromkeys(one.event["id"] for one in self.received))
        return [first[event_id]["type"] for event_id in order if first[event_id]["subject"].endswith(key)]

    @asynccontextmanager
    async def here(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._post)
        app.router.add_get("/{path:.*}", self._get)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        one = Received(json.loads(body), headers, request.path_qs, body)
        status = self.answer(one)
        (self.received if status < 300 else self.refused).append(one)
        return web.Response(status=status, headers=self.extra if status >= 300 else None)

    async def _get(self, request: web.Request) -> web.Response:
        self.beats.append(request.path_qs)
        return web.Response()
