"""`daemon.listen: unix:PATH`, and `daemon.read_token`, with the real commands."""

import json
import os
import signal
import socket
import stat
from pathlib import Path

import aiohttp
import pytest

from mirrord.errors import ListenFailed
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.server import Server
from tests.support.command import mirrord
from tests.support.daemon import running, started
from tests.support.scripted_control import ScriptedControl, no_metrics


def server(path: Path) -> Server:
    return Server(f"unix:{path}", application(ScriptedControl(), no_metrics, Access(None)))


async def status_of(path: Path, host: str = "localhost") -> int:
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        session.get(f"http://{host}/api/v1/status") as answer,
    ):
        return answer.status


async def test_the_socket_is_there_while_it_serves_for_owner_and_group(tmp_path: Path) -> None:
    path, former = tmp_path / "s", os.umask(0)
    try:
        async with server(path) as running_server:
            assert running_server.url == f"unix:{path}"
            found = path.stat()
            assert (stat.S_ISSOCK(found.st_mode), stat.S_IMODE(found.st_mode)) == (True, 0o660)
            assert await status_of(path) == 200
            assert await status_of(path, "any.name.example") == 200, "no host name is checked here"
    finally:
        os.umask(former)
    assert not path.exists()


async def test_a_dead_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with server(path):
        with pytest.raises(ListenFailed, match=f"cannot listen on unix:{path}: another program listens there"):
            async with server(path):
                pass
        assert await status_of(path) == 200
        path.unlink()
        path.write_text("of another program")
    assert path.read_text() == "of another program", "it removes only its own socket"


@pytest.mark.parametrize("kind", ["file", "link", "directory"])
async def test_what_is_no_socket_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "other"))
    {"file": path.touch, "link": lambda: path.symlink_to("other"), "directory": path.mkdir}[kind]()
    with pytest.raises(ListenFailed, match="a file that is no socket is there"):
        async with server(path):
            pass
    assert path.is_symlink() or path.exists()


async def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ListenFailed, match="its directory does not exist"):
        async with server(tmp_path / "none" / "s"):
            pass


async def test_a_path_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ListenFailed, match="the path is longer than 107 bytes"):
        async with server(tmp_path / ("s" * 108)):
            pass


async def test_commands_find_a_daemon_at_its_socket_also_after_kill_9(tmp_path: Path) -> None:
    file, path = tmp_path / "m.yaml", tmp_path / "s"
    file.write_text("daemon: {listen: 'unix:s', api_token: right-token}\nmirrors: []\n")
    url = f"unix:{path}"
    for end in (signal.SIGKILL, signal.SIGTERM):
        async with running(tmp_path, str(file), listen="") as daemon:
            assert daemon.url == url
            for given in ((), ("--url", url)):
                shown = await mirrord("status", "--json", *given, home=tmp_path)
                assert json.loads(shown.out)["daemon"]["url"] == url, shown.output
            done = await mirrord("trigger", "x", home=tmp_path, env={"MIRRORD_API_TOKEN": "wrong"})
            assert "x: no item has this id, object, key or entry" in done.err, done.output
            daemon.signal(end)
            await daemon.ended()
        assert path.exists() == (end == signal.SIGKILL)
    assert "no daemon answers at unix:" in (await mirrord("status", "--url", url, home=tmp_path)).err


async def test_a_second_daemon_does_not_take_the_socket(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("mirrors: []\n")
    listen = f"unix:{tmp_path}/s"
    async with running(tmp_path, "m.yaml", listen=listen):
        async with started(tmp_path, "m.yaml", "--state", str(tmp_path / "other"), listen=listen) as second:
            assert await second.ended() == 1
            assert "another program listens there; choose another path with daemon.listen" in second.output
        assert await status_of(tmp_path / "s") == 200


async def test_a_daemon_with_a_token_for_reading(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text("daemon: {api_token: changes, read_token: '${file:token}'}\nmirrors: []\n")
    (tmp_path / "token").write_text("reads\n")
    async with running(tmp_path, str(file)) as daemon:
        assert (await daemon.ask("/livez"))[0] == 200
        for path in ("/metrics", "/api/v1/status"):
            assert [(await daemon.ask(path, token=one))[0] for one in ("", "reads", "changes")] == [401, 200, 200]
        asked = ("status", "--json", "--url", daemon.url)
        refused = await mirrord(*asked, home=tmp_path)
        assert (refused.code, "reading needs a token: set MIRRORD_API_TOKEN" in refused.err) == (1, True)
        shown = await mirrord(*asked, home=tmp_path, env={"MIRRORD_API_TOKEN": "reads"})
        assert json.loads(shown.out)["daemon"]["pid"] == daemon.process.pid
        offline = await mirrord("status", home=tmp_path)
        assert offline.code == 0
        assert "reading needs a token" in offline.out
        assert "reads" not in daemon.output.replace("reads only", "")
