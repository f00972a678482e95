"""Cheap commands import no expensive library, so that they start quickly. `tests/bench` has the times."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_MODULES_OF = """
import json, sys
from mirrord.cli.main import invoke
code = invoke(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""
SDK = frozenset({"aiobotocore", "botocore", "awscrt"})
"""The S3 client: 0.3 s of CPU."""
SERVERS = frozenset({"aiohttp", "mirrord.daemon.run", "mirrord.web.application"})
DISPLAYS = frozenset({"rich", "structlog"})
ENGINE = frozenset({"mirrord.engine.wiring", "mirrord.reconcile", "mirrord.transfer", "watchfiles"})
MANIFESTS = frozenset({"pydantic", "yaml"})
LOOPS = frozenset({"asyncio", "uvloop"})

MANIFEST = """
stores: {default: {provider: generic, endpoint_url: "http://127.0.0.1:9", credentials: {anonymous: true}}}
folders: [{path: inbox, to: "s3://bucket/inbox/", settle: 0s}]
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    file = tmp_path / "mirrord.yaml"
    file.write_text(MANIFEST)
    return file


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--help"], SDK | SERVERS | DISPLAYS | ENGINE | MANIFESTS | LOOPS),
        (["validate", "mirrord.yaml"], SDK | SERVERS | DISPLAYS | ENGINE | LOOPS),
        (["status", "--config", "mirrord.yaml", "--state", "state"], SDK | {"aiohttp"} | DISPLAYS | ENGINE),
        (
            ["sync", "mirrord.yaml", "--state", "state"],
            {"aiobotocore", "aiohttp", "mirrord.daemon.run", "mirrord.web.application"},
        ),
        (
            ["plan", "mirrord.yaml", "--state", "state"],
            {"aiobotocore", "aiohttp", "mirrord.daemon.run", "mirrord.web.application"},
        ),
    ],
    ids=["help", "validate", "status", "sync", "plan"],
)
def test_what_a_command_does_not_need_is_not_imported(
    manifest: Path, arguments: list[str], unneeded: frozenset[str]
) -> None:
    command = [sys.executable, "-c", _MODULES_OF, *arguments]
    ended = subprocess.run(command, cwd=manifest.parent, capture_output=True, text=True, timeout=60, check=True)
    code, modules = json.loads(ended.stdout.splitlines()[-1])
    assert code == 0, ended.stderr
    assert not unneeded & set(modules)
