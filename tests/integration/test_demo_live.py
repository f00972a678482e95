"""`mirrord demo` without --once: its printed paths, edits of the manifest, new files, and Ctrl-C."""

import asyncio
import json
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from mirrord.cli import demo as demo_command
from mirrord.cli.demo import command, on_a_free_port
from mirrord.demo.directory import ORIGIN, DemoDirectory
from mirrord.demo.sample_origin import SampleOrigin
from mirrord.errors import ListenFailed
from mirrord.programs.desired import read
from mirrord.settings import Settings
from tests.support.command import environment, start
from tests.support.weed import children_of

SECONDS = 60.0
"""Time-out; an idle machine needs a few seconds."""
PRINTED = re.compile(r"^  (page|manifest|inbox|store|origin) +(\S+)", re.MULTILINE)


class Demo:
    """One running demo: its output, its page, and a boto3 client with the printed address of its store."""

    def __init__(self, process: asyncio.subprocess.Process, out: str) -> None:
        self.process = process
        self.out = out
        self.printed = dict(PRINTED.findall(out))
        self.inbox, self.manifest = Path(self.printed["inbox"]), Path(self.printed["manifest"])
        named = re.search(r"keys in (\S+)", out)
        assert named, out
        keys = json.loads(Path(named[1]).read_text())
        self.client = boto3.client(
            "s3",
            endpoint_url=self.printed["store"],
            region_name="us-east-1",
            aws_access_key_id=keys["access_key_id"],
            aws_secret_access_key=keys["secret_access_key"],
            config=Config(s3={"addressing_style": "path"}),
        )

    async def get(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(self.printed["page"] + path) as answer:
            assert answer.status == 200, await answer.text()
            return await (answer.json() if path.startswith("/api") else answer.text())

    async def object(self, key: str) -> bytes:
        """Wait until the object exists; its bytes."""
        return await until(lambda: self._body(key))

    def _body(self, key: str) -> bytes | None:
        with suppress(ClientError):
            return self.client.get_object(Bucket="demo", Key=key)["Body"].read()
        return None

    async def item(self, text: str, state: str) -> dict[str, Any]:
        """Wait until the only item that matches `text` has this state; the item."""
        async with asyncio.timeout(SECONDS):
            while True:
                found = (await self.get(f"/api/v1/items?q={text}"))["items"]
                if [one["state"] for one in found] == [state]:
                    return dict(found[0])
                await asyncio.sleep(0.1)


async def until(find: Callable[[], Any]) -> Any:
    """Poll until `find` returns something else than None; its result."""
    async with asyncio.timeout(SECONDS):
        while (found := await asyncio.to_thread(find)) is None:  # noqa: ASYNC110 - there is no event for a process
            await asyncio.sleep(0.1)
    return found


@asynccontextmanager
async def live(tmp_path: Path, **variables: str) -> AsyncIterator[Demo]:
    """A running demo without log lines and with a short shutdown grace; killed if the test did not end it."""
    env = {"MIRRORD_LOG_LEVEL": "error", "MIRRORD_SHUTDOWN_GRACE": "1s", **variables}
    process = await start(["demo"], environment(tmp_path, env), tmp_path)
    assert process.stdout
    try:
        async with asyncio.timeout(120):
            out = ""
            while "origin" not in out:
                line = await process.stdout.readline()
                assert line, (await process.communicate())[1].decode()
                out += line.decode()
        demo = Demo(process, out)
        yield demo
        demo.client.close()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ends(demo: Demo, number: signal.Signals) -> None:
    """Assert that the demo ends on this signal with code 0 and without errors."""
    demo.process.send_signal(number)
    _, err = await asyncio.wait_for(demo.process.communicate(), 60)
    assert demo.process.returncode == 0, err.decode()
    assert err == b""


def weed_of(pid: int) -> int:
    """The process id of the demo's store, its only child."""
    names = {child: Path(f"/proc/{child}/comm").read_text().strip() for child in children_of(pid)}
    assert list(names.values()) == ["weed"], names
    return next(iter(names))


def _has_ended(pid: int) -> bool:
    """Whether the process has ended or is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_the_printed_paths_and_addresses_work(tmp_path: Path) -> None:
    async with live(tmp_path) as demo:
        assert "<title>mirrord" in await demo.get("/")
        for key in ("hello.txt", "parts/part-two.txt"):
            name = key.rpartition("/")[2]
            assert await demo.object(key) == b"".join(SampleOrigin().files[name].content.pieces())
        assert await demo.object("inbox/note.txt") == (demo.inbox / "note.txt").read_bytes()
        (demo.inbox / "dropped.txt").write_text("dropped\n")
        assert await demo.object("inbox/dropped.txt") == b"dropped\n"

        text = demo.manifest.read_text()
        demo.manifest.write_text(re.sub(r"^  #(- \{url: .*/no-such-file)", r"  \1", text, flags=re.MULTILINE))
        wrong = await demo.item("no-such-file", "Blocked")
        assert wrong["reason"] == "SourceMissing"
        demo.manifest.write_text(text.replace("s3://demo/hello.txt", "s3://demo/renamed.txt"))
        assert await demo.object("renamed.txt") == b"This file came through mirrord.\n"
        assert (await demo.get("/api/v1/items?q=no-such-file"))["items"] == []

        assert (await demo.item("large.bin", "Synced"))["size"] == 64 * 1024 * 1024
        first = await demo.object("news.txt")
        demo.process.send_signal(signal.SIGHUP)  # the address of the origin is the same after a reload
        assert await until(lambda: demo._body("news.txt") if demo._body("news.txt") != first else None)


@pytest.mark.parametrize("name", ["demo", "a #1", "$HOME", "${HOME}", "a: b", 'q"uote', "käse", "back\\slash"])
def test_the_manifest_names_its_state_whatever_the_directory_is_called(tmp_path: Path, name: str) -> None:
    place = DemoDirectory(tmp_path / name)
    place.prepare()
    environ = {ORIGIN: "http://127.0.0.1:1"}
    desired = read([str(place.manifest)], environ)
    assert desired.problems == ()
    assert desired.settings({}, environ).directory == place.root / "state"


async def test_the_status_line_that_it_prints_works_beside_it(tmp_path: Path) -> None:
    """Run it as in another terminal: other directory, without the demo's variables, no `mirrord` on PATH."""
    async with live(tmp_path) as demo:
        (line,) = re.findall(r"^  status +(.*mirrord status --config .*)$", demo.out, re.MULTILINE)
        await demo.object("hello.txt")
        env = environment(tmp_path / "elsewhere") | {"PATH": "/usr/bin:/bin"}
        other = await asyncio.create_subprocess_shell(line, env=env, cwd="/", stdout=PIPE, stderr=STDOUT)
        output = (await asyncio.wait_for(other.communicate(), 60))[0].decode()
        assert other.returncode == 0, output
        assert demo.printed["page"] in output


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("/home/me/.local/bin/mirrord", "/home/me/.local/bin/mirrord status"),
        (".venv/bin/mirrord", f"{Path.cwd()}/.venv/bin/mirrord status"),
        ("/my tools/mirrord", "'/my tools/mirrord' status"),
        ("/site-packages/mirrord/__main__.py", f"{sys.executable} -m mirrord status"),
    ],
)
def test_a_line_for_another_terminal_names_this_program(
    monkeypatch: pytest.MonkeyPatch, program: str, line: str
) -> None:
    monkeypatch.setattr(sys, "argv", [program, "demo"])
    assert command("status") == line


async def test_it_ends_cleanly_and_leaves_no_store_behind(tmp_path: Path) -> None:
    async with live(tmp_path) as demo:
        weed = weed_of(demo.process.pid)
        await ends(demo, signal.SIGTERM)
        # Stopped by the demo, or killed by the kernel with its parent: both take a moment.
        await until(lambda: True if _has_ended(weed) else None)
        assert not (tmp_path / "demo" / "state" / "daemon.json").exists()


def test_a_taken_port_is_given_way_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = Settings(state=Path("state.db"), listen=address)
        assert on_a_free_port(settings).listen == "127.0.0.1:0"
    assert on_a_free_port(settings) is settings


async def test_a_port_that_is_taken_after_the_check_is_replaced_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    async def serve(_: object, settings: Settings, *__: object) -> None:
        tried.append(settings.listen)
        if len(tried) == 1:
            raise ListenFailed("another program listens there")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("MIRRORD_LISTEN", address)
        monkeypatch.setattr(demo_command, "on_a_free_port", lambda given: on_a_free_port(given) if tried else given)
        monkeypatch.setattr(demo_command, "serve", serve)
        directory = DemoDirectory(tmp_path / "demo")
        directory.prepare()
        await demo_command._live(directory, verbose=False)
    assert tried == [address, "127.0.0.1:0"]


async def test_a_taken_port_is_named_and_ctrl_c_ends_it_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with live(tmp_path, MIRRORD_LISTEN=address) as demo:
            assert f"({address} is taken)" in demo.out
            assert "<title>mirrord" in await demo.get("/")
            await ends(demo, signal.SIGINT)
