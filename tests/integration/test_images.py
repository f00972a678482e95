"""`make images`: the list is what the files name; a registry of the test, with tokens, is asked as real ones are."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.support import images

ROOT = Path(__file__).parents[2]
DIGEST, OTHER = (f"sha256:{digit * 64}" for digit in "12")
SCOPE = "repository:data/mirrord:pull"


class Registry:
    """Has `data/mirrord` as 1.0 and by two digests; asks for a token. `status`: what it answers instead."""

    def __init__(self) -> None:
        self.manifests = {"1.0": DIGEST, DIGEST: DIGEST, OTHER: OTHER}
        self.status: int | None = None
        self.challenge = 'Bearer realm="{realm}",service="test",scope="' + SCOPE + '"'
        self.accepted: set[str] = set()
        self.address = ""

    async def manifest(self, request: web.Request) -> web.Response:
        assert request.method == "HEAD"
        if self.status is not None:
            return web.Response(status=self.status)
        if request.headers.get("Authorization") != f"Bearer token of {SCOPE}":
            challenge = self.challenge.format(realm=f"http://{self.address}/token")
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        self.accepted |= set(request.headers["Accept"].split(", "))
        digest = self.manifests.get(request.match_info["reference"])
        return web.Response(status=404) if digest is None else web.Response(headers={"Docker-Content-Digest": digest})

    async def token(self, request: web.Request) -> web.Response:
        assert request.query["service"] == "test"
        return web.json_response({"token": f"token of {request.query['scope']}"})


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    server = Registry()
    app = web.Application()
    app.router.add_route("*", "/v2/data/mirrord/manifests/{reference}", server.manifest)
    app.router.add_get("/token", server.token)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.address = site.name.removeprefix("http://")
    yield server
    await runner.cleanup()


@pytest.mark.parametrize(
    ("reference", "code", "said"),
    [
        (":1.0", 0, f"exists as {DIGEST}"),
        (f":1.0@{DIGEST}", 0, "exists\n"),
        (f":1.0@{OTHER}", 0, f"exists; the tag is now {DIGEST}"),
        (":2.0", 1, "has no 2.0"),
        (f":1.0@sha256:{'3' * 64}", 1, f"has no sha256:{'3' * 64}"),
        (f":2.0@sha256:{'3' * 64}", 1, "has no 2.0 and no sha256:3"),
    ],
)
async def test_a_registry_is_asked_for_tag_and_digest(
    reference: str, code: int, said: str, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await images.check_all([f"{registry.address}/data/mirrord{reference}"]) == code
    out, err = capsys.readouterr()
    assert said in (err if code else out)
    assert {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.v2+json"} <= (
        registry.accepted
    )


@pytest.mark.parametrize(("status", "challenge"), [(429, ""), (503, ""), (None, "Basic realm-less")])
async def test_without_an_answer_nothing_is_said_to_be_missing(
    status: int | None, challenge: str, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.status, registry.challenge = status, challenge
    assert await images.check_all([f"{registry.address}/data/mirrord:1.0"]) == 2
    assert "not checked" in (said := capsys.readouterr().err)
    assert "with a network, run this again" in said


async def test_what_is_missing_counts_more_than_what_is_unknown(registry: Registry) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        unanswered = f"127.0.0.1:{closed.getsockname()[1]}/data/mirrord:1.0"
    present, missing = (f"{registry.address}/data/mirrord:{tag}" for tag in ("1.0", "2.0"))
    assert await images.check_all([present, unanswered]) == 2
    assert await images.check_all([missing, unanswered]) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python:3.12-slim", (images.DOCKER_HUB, "library/python", "3.12-slim", None)),
        (f"prom/prometheus:v3@{DIGEST}", (images.DOCKER_HUB, "prom/prometheus", "v3", DIGEST)),
        ("quay.io/minio/minio:R", ("quay.io", "minio/minio", "R", None)),
        ("localhost:5000/a/b", ("localhost:5000", "a/b", None, None)),
    ],
)
def test_a_name_is_read_as_docker_reads_it(text: str, expected: tuple[str, str, str | None, str | None]) -> None:
    assert images.Image.parse(text) == images.Image(*expected)


def test_only_loopback_is_asked_without_tls() -> None:
    assert images.Image.parse("quay.io/a/b:1").manifest("1") == "https://quay.io/v2/a/b/manifests/1"
    assert images.Image.parse("localhost:5000/a/b:1").manifest("1").startswith("http://")


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="is no image"):
        images.Image.parse("a b:1")


def test_the_list_is_what_the_files_name() -> None:
    assert images.listed() == sorted(images.named())
    assert {image.split(":")[0] for image in images.named()} > {"python", "prom/prometheus", "quay.io/minio/minio"}


def test_a_list_that_differs_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(images, "listed", lambda: ["python:3"])
    assert images.main([]) == 1
    assert "configs/images.txt differs from what the files name" in capsys.readouterr().err


def test_the_goal_of_the_makefile_fails_without_a_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        image = f"127.0.0.1:{closed.getsockname()[1]}/data/mirrord:1.0"
    command = [
        "make",
        "--silent",
        f"VENV={sys.prefix}",
        f"--old-file={sys.prefix}/.installed-dev",
        "images",
        f"ARGS={image}",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert f"{image}: not checked: " in done.stderr
