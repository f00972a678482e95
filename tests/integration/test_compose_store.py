"""docker-compose.yml without Docker: its flags on the SeaweedFS of the tests, and its manifest with mirrord."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from botocore.exceptions import ClientError

from mirrord.s3.embedded.weed import HOST, find_weed, free_port, killed_with_parent
from tests.support.command import mirrord
from tests.support.weed import Server

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("compose")  # they share one store
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
STORE, MIRRORD = COMPOSE["services"]["store"], COMPOSE["services"]["mirrord"]
SERVERS = ("s3", "master", "filer", "volume", "admin")


def given(service: Any) -> dict[str, str]:
    """The service's variables as compose sets them in an empty environment."""
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in service["environment"].items()}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The store of docker-compose.yml, with another directory, address and ports."""
    directory, port, keys = tmp_path_factory.mktemp("data"), free_port(), given(STORE)
    moved = {"-dir": str(directory), "-ip.bind": HOST}
    flags = [flag for flag in STORE["command"][1:] if flag.partition("=")[0] not in moved]
    assert len(flags) == len(STORE["command"]) - 1 - len(moved)
    flags += [f"{name}={value}" for name, value in moved.items()]
    flags += [f"-{server}.port={port + i}" for i, server in enumerate(SERVERS)]
    process = subprocess.Popen(
        [find_weed(), STORE["command"][0], *flags],
        cwd=directory,
        env={"HOME": str(directory), **keys},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=killed_with_parent(),
    )
    server = replace(
        Server(f"http://{HOST}:{port}"),
        access_key_id=keys["AWS_ACCESS_KEY_ID"],
        secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    try:
        server.wait_until_ready(lambda: process.poll() is None)
        yield server
    finally:
        process.kill()
        process.wait()


def test_the_flags_turn_off_unused_services(store: Server) -> None:
    flags = set(STORE["command"])
    assert {"-admin.ui=false", "-master.telemetry=false", "-s3.autoCreateBucket=false", "-webdav=false"} <= flags
    client = store.client()
    try:
        with pytest.raises(ClientError, match="NoSuchBucket"):
            client.put_object(Bucket="never-declared", Key="a", Body=b"a")
        assert client.list_buckets()["Buckets"] == []
    finally:
        client.close()


async def test_of_its_http_ports_only_s3_serves(store: Server) -> None:
    port = int(store.endpoint_url.rpartition(":")[2])
    async with aiohttp.ClientSession() as session:
        for server, path in (
            ("filer", "/buckets/"),
            ("filer", "/"),
            ("master", "/dir/assign"),
            ("master", "/dir/status"),
        ):
            url = f"http://{HOST}:{port + SERVERS.index(server)}{path}"
            async with session.get(url, allow_redirects=False) as answer:
                assert answer.status == 404, url


async def test_the_health_check_asks_what_the_store_answers(store: Server) -> None:
    _, program, *arguments, url = STORE["healthcheck"]["test"]
    assert (program, arguments) == ("wget", ["-q", "-O", "/dev/null"]), (
        "BusyBox must have this program and these options"
    )
    published = STORE["ports"][0].rpartition(":")[2]
    path = url.removeprefix(f"http://127.0.0.1:{published}")
    async with aiohttp.ClientSession() as session, session.get(store.endpoint_url + path) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (None, 1)], ids=["turns", "fails", "is not there"])
async def test_the_health_check_of_the_image_follows_the_answer_of_the_page(status: int | None, code: int) -> None:
    (check,) = re.findall(
        r"^HEALTHCHECK .*?CMD (\[.*?\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE | re.DOTALL
    )
    _, flag, program = json.loads(check)
    port = await asyncio.to_thread(free_port)

    async def livez(_: web.Request) -> web.Response:
        return web.Response(status=status or 200)

    app = web.Application()
    app.router.add_get("/livez", livez)
    runner = web.AppRunner(app)
    await runner.setup()
    if status is not None:
        await web.TCPSite(runner, HOST, port).start()
    environment = {"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
    asked = await asyncio.create_subprocess_exec(
        *(sys.executable, flag, program.replace("8420", str(port))),
        env=environment,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await asyncio.wait_for(asked.wait(), 60) == code
    await runner.cleanup()


async def test_its_manifest_works_with_its_variables(store: Server, tmp_path: Path) -> None:
    mounts = {inside: outside for outside, inside, *_ in (volume.split(":") for volume in MIRRORD["volumes"])}
    text = (ROOT / mounts["/etc/mirrord"] / "mirrord.yaml").read_text()
    shutil.copytree(ROOT / mounts["/srv/inbox"], tmp_path / "inbox")
    (tmp_path / "mirrord.yaml").write_text(text.replace("/srv", str(tmp_path)))
    variables = given(MIRRORD)
    assert variables["STORE_URL"] == f"http://store:{STORE['ports'][0].rpartition(':')[2]}"
    done = await mirrord(
        *("sync", str(tmp_path / "mirrord.yaml"), "--only", "inbox/*"),
        home=tmp_path,
        env=variables | {"STORE_URL": store.endpoint_url},
    )
    assert done.code == 0, done.output
    client = store.client()
    try:
        found = client.get_object(Bucket="datasets", Key="inbox/temperatures.csv")["Body"].read()
    finally:
        client.close()
    assert found == (tmp_path / "inbox" / "temperatures.csv").read_bytes()
