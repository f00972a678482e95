"""The disk of the state: full, very small, or with a removed journal; and a user without a home directory."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mirrord.s3.embedded.weed import killed_with_parent
from tests.support.command import environment
from tests.support.daemon import PATIENCE, running, store_section
from tests.support.origin import Origin
from tests.support.saving import mirrors
from tests.support.weed import Server

DISK = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c"]
_can = shutil.which("unshare") is not None and subprocess.run([*DISK, "true"], check=False).returncode == 0
MANIFEST = "folders: [{path: inbox, to: 's3://bucket/'}]\n"
NOBODY = 54321
"""A uid without an entry in passwd."""

WRITES = """
import asyncio, sys
from pathlib import Path
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import Condition, Destination, Record, State

def record(key, message):
    at = Destination(store="default", endpoint="http://127.0.0.1:9000", bucket="b", key=key)
    condition = Condition(state=State.PENDING, message=message)
    return Record(item_id=at.item_id, entry="e", source="file:///x", destination=at, condition=condition)

async def main():
    async with SqliteJournal(Path(sys.argv[1]) / "state.db") as journal:
        for number in range(3000):
            await journal.save_all([record(f"k{one}", f"{number}" * 100) for one in range(number % 200, 200, 20)])

asyncio.run(main())
print("all written")
"""


async def on_a_small_disk(home: Path, script: str, *arguments: str) -> tuple[int, str, str]:
    """Run bash with $disk, an empty file system of 3 MiB, $python, this interpreter, and the arguments as $1 …."""
    (home / "disk").mkdir()
    env = environment(home, {"disk": str(home / "disk"), "python": sys.executable})
    process = await asyncio.create_subprocess_exec(
        *DISK,
        f'mount -t tmpfs -o size=3m tmpfs "$disk"; {script}',
        "bash",
        *arguments,
        env=env,
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=killed_with_parent(),
    )
    try:
        async with asyncio.timeout(PATIENCE * 2):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.skipif(not _can, reason="no namespaces for this user")
@pytest.mark.parametrize("command", ["run --listen none", "sync"])
@pytest.mark.parametrize("kept", ["", "started"])
async def test_a_start_on_a_full_disk_is_a_clear_error(tmp_path: Path, command: str, kept: str) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    (tmp_path / "inbox").mkdir()
    before = '"$python" -m mirrord sync --state "$disk/state" m.yaml 2>/dev/null >&2; ' if kept else ""
    fill = 'dd if=/dev/zero of="$disk/fill" bs=1k 2>/dev/null; '
    script = f'{before}{fill}exec "$python" -m mirrord {command} --state "$disk/state" m.yaml'
    code, out, err = await on_a_small_disk(tmp_path, script)
    last = err.splitlines()[-1]
    assert code == 1, (out, err)
    assert last.startswith("mirrord: ")
    assert "disk" in last
    assert "free" in last
    assert "Traceback" not in err


@pytest.mark.skipif(not _can, reason="no namespaces for this user")
async def test_a_demo_on_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    fill = 'dd if=/dev/zero of="$disk/fill" bs=1k 2>/dev/null; '
    code, _, err = await on_a_small_disk(tmp_path, f'{fill}exec "$python" -m mirrord demo --dir "$disk/demo"')
    assert (code, err) == (1, "mirrord: cannot write a file: No space left on device; free some space\n")


@pytest.mark.skipif(not _can, reason="no namespaces for this user")
async def test_a_demo_that_a_full_disk_interrupted_leaves_no_files(tmp_path: Path) -> None:
    """A left-over empty manifest would make every later start fail."""
    full = 'mkdir -p "$disk/demo/inbox"; dd if=/dev/zero of="$disk/fill" bs=1k 2>/dev/null; '
    demo = '"$python" -m mirrord demo --dir "$disk/demo"'
    script = f'{full}{demo} 2>/dev/null; test $? = 1 || exit 3; find "$disk/demo" -type f'
    assert await on_a_small_disk(tmp_path, script) == (0, "", "")


@pytest.mark.skipif(not _can, reason="no namespaces for this user")
async def test_a_disk_of_3_mib_is_not_filled_by_the_wal(tmp_path: Path) -> None:
    (tmp_path / "writes.py").write_text(WRITES)
    code, out, err = await on_a_small_disk(tmp_path, 'exec "$python" writes.py "$disk"')
    assert (code, out) == (0, "all written\n"), err


async def test_a_journal_that_is_removed_while_it_runs_makes_it_not_ready(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    async with running(tmp_path, "conf") as daemon:
        assert (await daemon.ask("/readyz"))[0] == 200
        for file in (tmp_path / "state" / "mirrord").glob("state.db*"):
            file.unlink()

        async def not_ready() -> bool:
            status, text = await daemon.ask("/readyz")
            return status == 503 and "was removed or replaced" in text

        await daemon.wait_for(not_ready)
        assert (await daemon.ask("/livez"))[0] == 200
        assert "restart mirrord" in json.loads((await daemon.ask("/api/v1/status"))[1])["not_ready"]
        assert len([line for line in daemon.lines if "was removed or replaced" in line["event"]]) == 1
        assert await daemon.stop() == 0
    async with running(tmp_path, "conf") as daemon:
        assert (await daemon.ask("/readyz"))[0] == 200


# ── a user without a home ─────────────────────────────────────────────────────────────────────────
NO_HOME = f"unshare --user --map-user={NOBODY} --map-group={NOBODY} env -u HOME -u XDG_STATE_HOME".split()
_can_be_nobody = _can and subprocess.run([*NO_HOME, "true"], check=False).returncode == 0


async def without_home(home: Path, *arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run the command as a user without an entry in passwd; its exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *NO_HOME,
        sys.executable,
        "-m",
        "mirrord",
        *arguments,
        env=environment(home, env),
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=killed_with_parent(),
    )
    async with asyncio.timeout(PATIENCE):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.mark.skipif(not _can_be_nobody, reason="no namespaces for this user")
@pytest.mark.parametrize("named", ["daemon", "flag", "variable"])
async def test_a_user_without_a_home_works_with_a_state_that_is_named(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin, named: str
) -> None:
    origin.publish("/a", b"a")
    daemon = f"daemon: {{state: 'sqlite://{tmp_path}/s/state.db'}}\n" if named == "daemon" else ""
    (tmp_path / "m.yaml").write_text(daemon + store_section(weed) + mirrors(origin, bucket, "a"))
    flags = ["--state", str(tmp_path / "s")] if named == "flag" else []
    env = {"MIRRORD_STATE": str(tmp_path / "s")} if named == "variable" else {}
    code, out = await without_home(tmp_path, "sync", "m.yaml", *flags, env=env)
    assert (code, "Traceback" in out) == (0, False), out
    code, out = await without_home(tmp_path, "plan", "m.yaml", *flags, env=env)
    assert (code, "Traceback" in out) == (0, False), out
    config = [] if flags else ["--config", "m.yaml"]
    code, out = await without_home(tmp_path, "status", *flags, *config, env=env)
    assert (code, "1 Synced" in out) == (0, True), out


@pytest.mark.skipif(not _can_be_nobody, reason="no namespaces for this user")
@pytest.mark.parametrize("command", ["run m.yaml", "sync m.yaml", "plan m.yaml", "status"])
async def test_without_one_the_error_names_the_remedy(tmp_path: Path, command: str) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    code, out = await without_home(tmp_path, *command.split())
    assert code == 2, out
    assert f"user {NOBODY} has no home directory for the state; set daemon.state, --state, MIRRORD_STATE" in out
    assert "Traceback" not in out
