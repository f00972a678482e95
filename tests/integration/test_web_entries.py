"""`POST /api/v1/entries/{entry}/sync`: names with any characters, and what is refused. Its daemon is scripted."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from mirrord.cli.api_client import ApiClient
from mirrord.model import Secret
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.server import Server
from tests.support.scripted_control import ScriptedControl, no_metrics

TOKEN = "token"
NAMES = [
    "rows",
    "s3://bucket/prefix/",
    "/srv/in box",
    "a/b/../c",
    ".",
    "..",
    "../in",
    "50%",
    "%2F",
    "a?b#c",
    "a+b&c=d",
    "sync",
    "{x}",
    "für «λ»",
    "a\\b",
    " ",
]


@pytest.fixture
def control() -> ScriptedControl:
    return ScriptedControl(entries=tuple(NAMES))


@pytest.fixture
async def url(control: ScriptedControl) -> AsyncIterator[str]:
    async with Server("127.0.0.1:0", application(control, no_metrics, Access(Secret(TOKEN)))) as server:
        yield server.url


@pytest.mark.parametrize("name", NAMES)
async def test_an_entry_of_any_name_is_triggered(control: ScriptedControl, url: str, name: str) -> None:
    async with ApiClient(url, TOKEN) as api:
        assert await api.trigger_entry(name)
    assert control.triggered == [name]


@pytest.mark.parametrize("path", ["nothing", "a%2Fc", "rows%20", "%FF", "%00"])
async def test_an_unknown_entry_is_404_with_a_message(control: ScriptedControl, url: str, path: str) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        where = URL(f"{url}/api/v1/entries/{path}/sync", encoded=True)
        async with session.post(where) as answer:
            assert (answer.status, answer.content_type) == (404, "application/problem+json")
            assert (await answer.json())["message"]


async def test_without_the_token_nothing_is_triggered(control: ScriptedControl, url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for name in ("rows", "nothing"):
            async with session.post(f"{url}/api/v1/entries/{name}/sync") as answer:
                assert answer.status == 401
        async with session.get(f"{url}/api/v1/entries/rows/sync") as answer:
            assert answer.status == 405
    assert control.triggered == []
