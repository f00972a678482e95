"""`sync` and `copy` at a real terminal (a pty): progress bars and problems; lines for each item only with -v."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from mirrord.units import MiB
from tests.support.command import environment, mirrord
from tests.support.daemon import store_section
from tests.support.gate import Gate
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.weed import Server

PLAIN = {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "100"}


async def at_a_terminal(*arguments: str, home: Path, env: dict[str, str] | None = None) -> tuple[int, str]:
    """The exit code and all output on the terminal."""
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mirrord", *arguments, env=environment(home, PLAIN | (env or {})), cwd=home,
        stdin=asyncio.subprocess.DEVNULL, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen = bytearray()
    try:
        async with asyncio.timeout(120):
            while piece := await asyncio.to_thread(_read, ours):
                seen += piece
            return await process.wait(), seen.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: the last writer closed it
        return b""


@pytest.fixture
def manifest(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> Path:
    file = tmp_path / "m.yaml"
    good, missing = origin.publish("/good", b"good"), origin.url("/missing")
    file.write_text(
        f"{store_section(weed)}mirrors:\n  {good}: s3://{bucket}/good\n  {missing}: s3://{bucket}/missing\n"
    )
    return file


async def test_sync_shows_problems_and_at_its_end_the_failed_items(manifest: Path, tmp_path: Path, bucket: str) -> None:
    code, seen = await at_a_terminal("sync", str(manifest), home=tmp_path)
    assert code == 1, seen
    assert f"blocked s3://{bucket}/missing" in seen
    assert "copied s3://" not in seen, "only with -v"
    assert "transfer.started" not in seen, "no log lines"
    assert "1 copied (4 B), 0 unchanged, 1 Blocked in" in seen


async def test_with_v_sync_prints_one_short_line_an_item(manifest: Path, tmp_path: Path, bucket: str) -> None:
    _, seen = await at_a_terminal("sync", "-v", str(manifest), home=tmp_path)
    lines = [line.strip() for line in seen.splitlines() if f"s3://{bucket}/good" in line]
    assert lines == [f"copied s3://{bucket}/good (4 B)"], seen


async def test_what_was_asked_for_the_log_is_kept(manifest: Path, tmp_path: Path) -> None:
    _, seen = await at_a_terminal("sync", str(manifest), "--log-format", "json", home=tmp_path)
    assert '"event": "transfer.completed"' in seen


async def test_elsewhere_sync_logs_every_item(manifest: Path, tmp_path: Path) -> None:
    ended = await mirrord("sync", str(manifest), home=tmp_path)
    assert '"event": "transfer.completed"' in ended.err


# ── copy ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("source", "to", "words"),
    [
        ("nowhere.bin", "s3://bucket/key", "SRC nowhere.bin does not exist"),
        (".", "s3://bucket/key", "SRC . is a directory; a folder entry of a manifest"),
        ("ftp://h/x", "s3://bucket/key", "SRC begins with ftp://; write http://, https://, s3://, or a path"),
        ("s3://bucket/k/", "s3://bucket/key", "SRC s3://bucket/k/ is a prefix"),
        ("s3://bucket/key", "s3://bucket/key", "s3://bucket/key is its own source"),
        ("https://", "s3://bucket/key", "this is no URL"),
        ("https://u:hunter2@h:99999/x", "s3://bucket/key", "this is no URL"),
        ("m.yaml", "bucket/key", "'bucket/key' is no object; write s3://bucket/key"),
        ("m.yaml", "s3://B_D/key", "the bucket's name needs 3 to 63 of a-z"),
        ("m.yaml", "s3://bucket/a//b", "the key has an empty segment"),
        ("m.yaml", "S3://bucket/key", "'S3://bucket/key' is no object; write s3://bucket/key"),
    ],
)
async def test_copy_checks_its_arguments_before_it_asks_any_store(
    source: str, to: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "m.yaml").touch()
    ended = await mirrord("copy", source, to, "--endpoint-url", "http://127.0.0.1:9", home=tmp_path)
    assert ended.code == 2, ended.output
    assert words in ended.err
    assert "hunter2" not in ended.output
    assert not (tmp_path / "state").exists()


async def test_a_copy_that_failed_is_kept_and_is_not_in_status(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin
) -> None:
    server = store_proxy.server
    env = {"AWS_ACCESS_KEY_ID": server.access_key_id, "AWS_SECRET_ACCESS_KEY": server.secret_access_key}
    where = ["--provider", "seaweedfs", "--endpoint-url", server.endpoint_url]
    url = origin.publish("/large.bin", Generated(64 * MiB))
    gate = Gate.before(store_proxy, "UploadPart", after=3)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mirrord", "copy", url, f"s3://{bucket}/large.bin", *where,
        env=environment(tmp_path, env), cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await gate.reached()
    process.terminate()
    await process.communicate()
    assert process.returncode == 1
    status = await mirrord("status", home=tmp_path)
    assert "large.bin" not in status.out, status.output
    gate.open()
    again = await mirrord("copy", url, f"s3://{bucket}/large.bin", *where, home=tmp_path, env=env)
    assert again.code == 0, again.output
    assert store_proxy.counts["CreateMultipartUpload"] == 1
    assert "large.bin" not in (await mirrord("status", home=tmp_path)).out
