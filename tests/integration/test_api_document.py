"""The OpenAPI document is valid and true: schemathesis asks a real daemon over a socket what it allows and forbids.

Also the commands of docs/api.md and the pages of entries. The store of the daemon does not answer: the API must.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings

from tests.support.daemon import TOKEN, Daemon, running

if TYPE_CHECKING:
    from schemathesis import APIOperation, Case

ROOT = Path(__file__).parents[2]
EXAMPLES = 200 if os.environ.get("MIRRORD_SOAK") else 8
"""Of each operation."""
CURSORS = ("/api/v1/entries", "/api/v1/items")
ENDLESS = "/api/v1/events"
MANIFEST = """
daemon: {{api_token: {token}}}
stores: {{default: {{provider: seaweedfs, endpoint_url: "http://127.0.0.1:{port}",
  credentials: {{access_key_id: a, secret_access_key: b}}}}}}
mirrors:
  - {{name: geo, urls: ["http://127.0.0.1:{port}/a", "http://127.0.0.1:{port}/b"], to: s3://bkt/geo/}}
  - {{name: "für «λ»", url: "http://127.0.0.1:{port}/c", to: s3://bkt/c}}
  - {{name: rows, list: rows.txt, to: s3://bkt/rows/}}
folders:
  - {{name: inbox, path: inbox, to: s3://bkt/inbox/}}
"""
SEEN = {
    "GET /api/v1/status": {200},
    "GET /api/v1/items": {200},
    "GET /api/v1/entries": {200},
    "GET /api/v1/items/{id}": {200, 404},
    "GET /api/v1/items/{id}/history": {200, 404},
    "POST /api/v1/items/{id}/sync": {202, 404},
    "POST /api/v1/items/sync": {202},
    "POST /api/v1/items/{id}/restore": {404},
    "POST /api/v1/entries/{entry}/sync": {202, 404},
    "POST /api/v1/reload": {200},
}
NAMES = ["für «λ»", "geo", "inbox", "rows"]


@asynccontextmanager
async def unstored(home: Path) -> AsyncIterator[Daemon]:
    """A daemon with one entry of each kind; nothing listens at the address of its store and sources."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        (home / "inbox").mkdir()
        (home / "rows.txt").write_text(f"http://127.0.0.1:{port}/d\nhttp://127.0.0.1:{port}/e\n")
        (home / "m.yaml").write_text(MANIFEST.format(token=TOKEN, port=port))
        async with running(home, str(home / "m.yaml")) as daemon:
            yield daemon


def exercise(document: dict[str, Any], url: str, known: dict[str, str]) -> dict[str, set[int]]:
    """Send what the document allows and what it forbids: it must describe each answer. The statuses seen, by operation.

    `known`: an item and an entry of the daemon, because hardly one of the paths that schemathesis makes has one.
    """
    import schemathesis  # takes two seconds, in each worker that imports this file to collect its tests

    seen: dict[str, set[int]] = {}
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        if operation.path != ENDLESS:
            waits = operation.path.endswith("/restore")  # until the store answers
            found = exercised(operation, url, {} if waits else known)
            described = document["paths"][operation.path][operation.method]["responses"]
            assert {str(status) for status in found - {405}} <= described.keys(), operation.path
            seen[f"{operation.method.upper()} {operation.path}"] = found
    return seen


def exercised(operation: "APIOperation", url: str, known: dict[str, str]) -> set[int]:
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    statuses: set[int] = set()

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck]
    )
    @given(case=operation.as_strategy())
    def check(case: "Case") -> None:
        if 404 in statuses:
            case.path_parameters |= {name: known[name] for name in case.path_parameters.keys() & known.keys()}
        answer = case.call(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
        statuses.add(answer.status_code)
        opaque = operation.path in CURSORS and "cursor" in (case.query or {})  # no schema has its form
        case.validate_response(answer, excluded_checks=[positive_data_acceptance] if opaque else [])

    check()
    return statuses


async def commands_of_the_docs(daemon: Daemon, home: Path) -> None:
    blocks = (ROOT / "docs" / "api.md").read_text().split("```bash\n")[1:]
    script = "set -eu\n" + "".join(block.partition("```")[0] for block in blocks)
    env = {**os.environ, "MIRRORD_URL": daemon.url, "MIRRORD_API_TOKEN": TOKEN}
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", script, cwd=home, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert b'"totals"' in output
    assert b'"files"' in output, "the reload"


async def pages_of_entries(daemon: Daemon) -> None:
    names, cursor = [], ""
    while cursor is not None:
        page = await daemon.api(f"entries?limit=1&cursor={cursor}")
        names += [one["name"] for one in page["entries"]]
        cursor = page["cursor"]
    assert names == NAMES
    shown = {one["name"]: one for one in (await daemon.api("entries"))["entries"]}
    assert [shown[name]["kind"] for name in NAMES] == ["mirror", "mirror", "folder", "list"]
    assert [shown[name]["items"] for name in NAMES] == [1, 1, 0, 2]
    assert shown["rows"]["last_pass"] is not None
    totals = (await daemon.api("status"))["totals"]
    assert sum(one["items"] for one in shown.values()) == sum(totals.values())


async def test_the_api_of_a_real_daemon_is_as_its_document_says(tmp_path: Path) -> None:
    from openapi_spec_validator import validate

    async with unstored(tmp_path) as daemon:

        async def listed() -> bool:
            return len((await daemon.api("items"))["items"]) == 4

        await daemon.wait_for(listed, what="the rows of the list")
        document = await daemon.api("openapi.json")
        validate(document)
        await pages_of_entries(daemon)
        await commands_of_the_docs(daemon, tmp_path)
        item = next(iter((await daemon.items()).values()))
        seen = await asyncio.to_thread(exercise, document, daemon.url, {"id": item["id"], "entry": "rows"})
        assert seen.keys() == {
            f"{method.upper()} {path}"
            for path, methods in document["paths"].items()
            for method in methods
            if path != ENDLESS
        }
        for operation, statuses in SEEN.items():
            assert seen[operation] >= statuses, (operation, seen)
