"""Cheap commands import no expensive library, so that they start quickly. `tests/bench` has the times."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import store_section
from tests.support.weed import Server
from tests.support.wires import chosen_wire

_MODULES_OF = """
import json, sys
from mirrord.cli.main import invoke
code = invoke(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""
SDK = frozenset({"aiobotocore", "botocore", "awscrt"})
"""The S3 client, and what computes CRCs: 0.3 s of CPU."""
SERVERS = frozenset({"aiohttp", "mirrord.daemon.run", "mirrord.web.application"})
DISPLAYS = frozenset({"rich", "structlog"})
"""What draws on a terminal."""
ENGINE = frozenset({"mirrord.engine.wiring", "mirrord.reconcile", "mirrord.transfer", "watchfiles"})
MANIFESTS = frozenset({"pydantic", "yaml"})
LOOPS = frozenset({"asyncio", "uvloop"})
PATTERNS = frozenset({"pathspec"})
WATCHES = frozenset({"mirrord.sources.watch", "watchfiles"})

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
        (["validate", "mirrord.yaml"], SDK | SERVERS | DISPLAYS | ENGINE | LOOPS | PATTERNS),
        (["status", "--config", "mirrord.yaml", "--state", "state"], SDK | {"aiohttp"} | DISPLAYS | ENGINE | PATTERNS),
        (
            ["sync", "mirrord.yaml", "--state", "state"],
            (SDK - {"botocore"}) | SERVERS | DISPLAYS | PATTERNS | WATCHES,
        ),
        (
            ["plan", "mirrord.yaml", "--state", "state"],
            (SDK - {"botocore"}) | SERVERS | DISPLAYS | PATTERNS | WATCHES,
        ),
    ],
    ids=["help", "validate", "status", "sync", "plan"],
)
def test_what_a_command_does_not_need_is_not_imported(
    manifest: Path, arguments: list[str], unneeded: frozenset[str]
) -> None:
    assert not unneeded & _modules_after(manifest.parent, arguments)


def _modules_after(home: Path, arguments: list[str]) -> set[str]:
    """The modules that a command has imported at its end."""
    command = [sys.executable, "-c", _MODULES_OF, *arguments]
    ended = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=60, check=True)
    code, modules = json.loads(ended.stdout.splitlines()[-1])
    assert code == 0, ended.stderr
    return set(modules)


def test_small_files_are_stored_without_the_sdk(tmp_path: Path, weed: Server, bucket: str, s3_client: Any) -> None:
    """Neither the SDK nor aiohttp is imported to check and store them with keys of the manifest."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "file").write_bytes(b"bytes")
    file = tmp_path / "mirrord.yaml"
    folders = f'folders: [{{path: inbox, to: "s3://{bucket}/in/", settle: 0s}}]\n'
    file.write_text(store_section(weed) + folders)
    for _ in ("a first pass", "an unchanged one"):
        modules = _modules_after(tmp_path, ["sync", "mirrord.yaml", "--state", "state"])
        assert ("aiobotocore" in modules) is (chosen_wire() == "sdk")
        assert chosen_wire() == "sdk" or not modules & {"aiohttp", "botocore.session"}
    assert s3_client.get_object(Bucket=bucket, Key="in/file")["Body"].read() == b"bytes"
