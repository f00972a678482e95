"""Runs a real Prometheus on the alert rules, with their times and thresholds shortened, at daemons of a test.

Tests that need it skip without the program: `.ci/run` installs it.
"""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from mirrord.s3.embedded.weed import killed_with_parent

RULES = Path(__file__).parents[2] / "configs" / "prometheus" / "mirrord.rules.yaml"
MISSING_PROMETHEUS = "no prometheus"
HAS_PROMETHEUS = shutil.which("prometheus") is not None and shutil.which("promtool") is not None
SECONDS = {"1d": "11s", "1h": "30s"}
"""Ranges and offsets of the rules -> those of a test. The rise of an hour is in the range for 30 s: on a busy machine,
scrapes of several seconds are late or fail."""
THRESHOLDS = {"172800": "11", "86400": "10", "900": "8", "268435456": "8388608"}
PATIENCE = 60.0


def shortened(rules: str) -> str:
    """The rules with each range, offset and threshold of them replaced, and `for` half a second."""
    rules = re.sub(r"(?<=for: )\S+", "500ms", rules)
    rules = re.sub(r"(?<=\[)\w+(?=\])|(?<=offset )\w+", lambda found: SECONDS[found[0]], rules)
    return re.sub(r"(?<=[<>] )[1-9]\d*", lambda found: THRESHOLDS[found[0]], rules)


class Prometheus:
    """A running server; `query` is PromQL at this moment."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def query(self, expression: str) -> list[dict[str, str]]:
        """The labels of the result."""
        async with self._session.post(f"{self._url}/api/v1/query", data={"query": expression}) as answer:
            found: dict[str, Any] = json.loads(await answer.text())
        assert found["status"] == "success", found
        return [one["metric"] for one in found["data"]["result"]]

    async def firing(self) -> set[tuple[str, str]]:
        """The alerts that fire now, each with its instance."""
        found = await self.query('ALERTS{alertstate="firing"}')
        return {(one["alertname"], one.get("instance", "")) for one in found}

    async def fired(self) -> set[tuple[str, str]]:
        """The alerts that fired in the last 5 minutes."""
        found = await self.query('count_over_time(ALERTS{alertstate="firing"}[5m])')
        return {(one["alertname"], one.get("instance", "")) for one in found}

    async def wait_until_fired(self, *alerts: tuple[str, str]) -> None:
        await self._wait(lambda fired: set(alerts) <= fired, self.fired)

    async def wait_until_clear(self) -> None:
        await self._wait(lambda firing: not firing, self.firing)

    async def _wait(self, enough: Any, read: Any) -> None:
        seen: set[tuple[str, str]] = set()
        try:
            async with asyncio.timeout(PATIENCE):
                while not enough(seen := await read()):  # noqa: ASYNC110 - another process has no event
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"not within {PATIENCE:g} s; alerts: {sorted(seen)}") from None

    async def ready(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with self._session.get(f"{self._url}/-/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.1)


def _config(targets: Mapping[str, int]) -> str:
    scrapes = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": instance}} for instance, port in targets.items()
    ]
    return json.dumps(
        {
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": "mirrord", "static_configs": scrapes}],
        }
    )


def _configure(home: Path, targets: Mapping[str, int]) -> None:
    home.mkdir()
    (home / "rules.yaml").write_text(shortened(RULES.read_text()))
    (home / "prometheus.yml").write_text(_config(targets))


@asynccontextmanager
async def prometheus(home: Path, port: int, targets: Mapping[str, int]) -> AsyncIterator[Prometheus]:
    """Scrape the ports of `targets`, by their instance, every quarter of a second."""
    _configure(home, targets)
    arguments: Sequence[str] = (
        f"--config.file={home}/prometheus.yml",
        f"--storage.tsdb.path={home}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    )
    process = await asyncio.create_subprocess_exec("prometheus", *arguments, preexec_fn=killed_with_parent())
    try:
        async with aiohttp.ClientSession() as session:
            server = Prometheus(f"http://127.0.0.1:{port}", session)
            await server.ready()
            yield server
    finally:
        process.kill()
        await process.wait()
