"""Runs the real `mirrord run` as a separate process, with access to its log, API and metrics, and to signals.

`running(...)` waits for `daemon.ready` in the log and kills the process at the end, if the test did not stop it.
"""

import asyncio
import json
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from inspect import isawaitable
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.command import Process, environment, start
from tests.support.weed import Server
from tests.support.wires import chosen_wire

PATIENCE = 60.0
"""Time-out in seconds for conditions that take milliseconds on an idle machine."""
POLL = 0.02
"""Interval in seconds at which a condition is evaluated if no new log line arrives."""
TOKEN = "t0ken-of-the-test"
DEBUG = ("--log-level", "debug")
"""Arguments for tests that read `transfer.started`, which is a debug line for single puts."""
ENDS = ("transfer.completed", "transfer.failed", "transfer.interrupted")

Line = dict[str, Any]


class Daemon:
    """One running process. `lines` are its JSON log lines so far, `noise` all its other output."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[Line] = []
        self.noise: list[str] = []
        self.url = ""
        self._news = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None
        self._reading = [asyncio.create_task(self._read(stream)) for stream in (process.stderr, process.stdout)]

    # ── the log ───────────────────────────────────────────────────────────────────────────────────
    async def _read(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        async for line in stream:
            text = line.decode(errors="replace").rstrip("\n")
            if text.startswith("{"):
                self.lines.append(json.loads(text))
            else:
                self.noise.append(text)
            self._news.set()
        self._news.set()

    @property
    def output(self) -> str:
        """All output so far, for the message of a failed assertion."""
        return "\n".join([*(json.dumps(line) for line in self.lines), *self.noise])

    def logged(self, event: str, *, since: int = 0, **fields: object) -> list[Line]:
        """Log lines of this event with these fields, from index `since` on; `file` and `key` may be path suffixes."""
        return [line for line in self.lines[since:] if line["event"] == event and _has(line, fields)]

    async def log(self, event: str, *, since: int = 0, seconds: float = PATIENCE, **fields: object) -> Line:
        """Wait for the first such line (see `logged`)."""
        await self.wait_for(lambda: self.logged(event, since=since, **fields), seconds, f"{event} {fields}")
        return self.logged(event, since=since, **fields)[0]

    @property
    def mark(self) -> int:
        """The number of log lines so far, for `since`."""
        return len(self.lines)

    async def wait_for(self, done: Callable[[], Any], seconds: float = PATIENCE, what: str = "") -> Any:
        """Wait until the result of `done` (a function or a coroutine function) is true; that result.

        `done` is called after each new log line and every POLL seconds. Raises AssertionError after `seconds`.
        """
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self._news.clear()
                    answer = done()
                    answer = await answer if isawaitable(answer) else answer
                    if answer:
                        return answer
                    await self._pause()
        except TimeoutError:
            code = self.process.returncode
            raise AssertionError(f"not within {seconds} s: {what or done}; exit {code}\n{self.output}") from None

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(POLL):
                await self._news.wait()
        except TimeoutError:
            pass

    # ── HTTP ──────────────────────────────────────────────────────────────────────────────────────
    async def ask(self, path: str, method: str = "GET", *, token: str = "") -> tuple[int, str]:
        """Send one request; its status and body."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._session.request(method, self.url + path, headers=headers) as answer:
            return answer.status, await answer.text()

    async def api(self, path: str) -> Any:
        """The JSON of GET /api/v1/…; asserts status 200."""
        status, text = await self.ask(f"/api/v1/{path}")
        assert status == 200, (status, text)
        return json.loads(text)

    async def items(self, query: str = "") -> dict[str, Line]:
        """All items of the API by key, over all pages."""
        found: dict[str, Line] = {}
        cursor = ""
        while True:
            page = await self.api(f"items?limit=1000{query}{cursor}")
            found |= {one["destination"].split("/", 3)[3]: one for one in page["items"]}
            if not page["cursor"]:
                return found
            cursor = f"&cursor={page['cursor']}"

    async def states(self) -> dict[str, str]:
        """The states of all items by key."""
        return {key: one["state"] for key, one in (await self.items()).items()}

    async def synced(self, *keys: str, seconds: float = PATIENCE) -> None:
        """Wait until the API lists exactly these keys, all of them Synced."""

        async def done() -> bool:
            return await self.states() == dict.fromkeys(keys, "Synced")

        await self.wait_for(done, seconds, f"Synced: {keys}")

    async def metrics(self) -> dict[str, float]:
        """Every sample of /metrics, by its name and labels in the exposition format."""
        status, text = await self.ask("/metrics")
        assert status == 200, (status, text)
        samples = (re.fullmatch(r"([a-z_]+(?:\{.*\})?) (\S+)", line) for line in text.splitlines())
        return {sample[1]: float(sample[2]) for sample in samples if sample}

    async def reloads(self) -> dict[str, int]:
        """mirrord_manifest_reloads_total, by outcome."""
        found = await self.metrics()
        outcomes = ("loaded", "rejected", "removed")
        return {one: int(found.get(f'mirrord_manifest_reloads_total{{outcome="{one}"}}', 0)) for one in outcomes}

    # ── the end ───────────────────────────────────────────────────────────────────────────────────
    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    async def ended(self, seconds: float = PATIENCE) -> int:
        """Wait for the end of the process and of its output; the exit code."""
        try:
            async with asyncio.timeout(seconds):
                code = await self.process.wait()
                await asyncio.gather(*self._reading)
        except TimeoutError:
            raise AssertionError(f"the process did not end within {seconds} s\n{self.output}") from None
        return code

    async def stop(self, seconds: float = PATIENCE) -> int:
        """Send SIGTERM and wait for the end; the exit code."""
        self.signal(signal.SIGTERM)
        return await self.ended(seconds)

    async def kill(self) -> None:
        """Send SIGKILL, unless the process has ended."""
        if self.process.returncode is None:
            self.process.kill()
        await self.ended()

    async def close(self) -> None:
        await self.kill()
        if self._session is not None:
            await self._session.close()


async def scans(daemon: Daemon) -> float:
    """The number of complete scans so far, over all folders."""
    found = await daemon.metrics()
    return sum(value for name, value in found.items() if name.startswith("mirrord_folder_rescans_total"))


async def scanned(daemon: Daemon, times: int) -> None:
    """Wait for this many further complete scans."""
    until = await scans(daemon) + times

    async def enough() -> bool:
        return await scans(daemon) >= until

    await daemon.wait_for(enough, 60, "scans")


def one_end_for_each_start(daemon: Daemon) -> bool:
    """Whether each attempt in the log has exactly one terminal event. Needs `DEBUG`."""
    begun = Counter(line["transfer_id"] for line in daemon.logged("transfer.started"))
    ended = Counter(line["transfer_id"] for end in ENDS for line in daemon.logged(end))
    return begun == ended


def _has(line: Line, fields: Mapping[str, object]) -> bool:
    return all(
        line.get(name) == value or (name in ("file", "key") and str(line.get(name, "")).endswith(f"/{value}"))
        for name, value in fields.items()
    )


@asynccontextmanager
async def started(
    home: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    listen: str = "127.0.0.1:0",
    modes: bool = False,
    fresh: bool = False,
    speed: float = 1.0,
    command: str = "run",
) -> AsyncIterator[Daemon]:
    """Start `mirrord run` with these arguments, without waiting for daemon.ready; killed at the end."""
    given = [command, "--listen", listen, *arguments] if listen else [command, *arguments]
    daemon = Daemon(await start(given, environment(home, env), home, modes=modes, fresh=fresh, speed=speed))
    try:
        yield daemon
    finally:
        await daemon.close()


@asynccontextmanager
async def running(
    home: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    listen: str = "127.0.0.1:0",
    modes: bool = False,
    fresh: bool = False,
    speed: float = 1.0,
) -> AsyncIterator[Daemon]:
    """`mirrord run` after its event daemon.ready. At the end its output must contain no traceback or internal error.

    `modes`, `fresh`, `speed`: see `command.start`.
    """
    async with started(home, *arguments, env=env, listen=listen, modes=modes, fresh=fresh, speed=speed) as daemon:
        daemon.url = (await daemon.log("daemon.ready"))["url"]
        yield daemon
        await daemon.kill()
        assert not any("Traceback" in text or "internal error" in text for text in (*daemon.noise, daemon.output)), (
            daemon.output
        )


def store_section(server: Server, name: str = "default", **keys: str) -> str:
    """The section `stores` of a manifest; `keys` override the credentials."""
    credentials = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key} | keys
    return (
        f"stores:\n  {name}:\n    provider: seaweedfs\n"
        f"    endpoint_url: {server.endpoint_url}\n    credentials: {json.dumps(credentials)}\n"
        f"    wire: {chosen_wire()}\n"
    )
