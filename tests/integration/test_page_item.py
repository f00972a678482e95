"""The page of one item in a real browser: what it tells, "check now", and ids that do not exist."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from mirrord.errors import Reason
from mirrord.model import Integrity, Item, State, secret_of
from mirrord.status import HistoryEntry
from mirrord.units import MiB
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.server import Server
from tests.support.browser import Browser
from tests.support.screenshots import Screenshots
from tests.support.scripted_control import ScriptedControl, item_of, no_metrics
from tests.support.served_page import served_page

pytestmark = pytest.mark.xdist_group("browser")  # they share one browser
TOKEN = "right-token"
NOW = 1_700_000_000.0
HOSTILE = """<img src=x onerror="document.title='owned'">"""


@pytest.fixture
def control() -> ScriptedControl:
    return ScriptedControl()


@pytest.fixture
async def url(control: ScriptedControl, browser: Browser) -> AsyncIterator[str]:
    async with served_page(control, browser, Access(secret_of(TOKEN))) as url:
        yield url


def copied_and_failed(control: ScriptedControl) -> Item:
    """An item that was copied, replaced once, and failed between."""
    item = control.put(
        item_of("geo/planet.osm.pbf", "https://example.org/planet.osm.pbf", "planet"),
        State.SYNCED,
        size=64 * MiB,
        integrity=Integrity.FULL_OBJECT,
        synced_at=NOW,
    )
    revision: dict[str, str | int] = {"etag": '"r2"', "length": 64 * MiB}
    now = HistoryEntry(
        outcome="current", when=NOW, duration=12.0, size=64 * MiB, etag='"o2"', checksum="CRC64NVME:AAAA",
        integrity=Integrity.FULL_OBJECT, version_id="v2", revision=revision, transfer_id="t2",
    )  # fmt: skip
    failed = HistoryEntry(
        outcome="failed", when=NOW - 60, state=State.RETRYING, reason=Reason.SOURCE_UNAVAILABLE, message="answered 502"
    )
    before = HistoryEntry(outcome="replaced", when=NOW - 3600, until=NOW, size=9, etag='"o1"', transfer_id="t1")
    control.histories[item.id] = (now, failed, before)
    return item


async def test_each_row_leads_to_the_page_of_its_item(
    control: ScriptedControl, browser: Browser, url: str, screenshots: Screenshots
) -> None:
    item = copied_and_failed(control)
    await browser.open(url)
    await browser.until("#rows .name", "s3://mirror/geo/planet.osm.pbf")
    await browser.click("#rows .name a")
    await browser.until("#title", "s3://mirror/geo/planet.osm.pbf")
    await browser.until("#link-text", "live")
    assert await browser.run("return location.pathname") == f"/items/{item.id}"
    assert await browser.run("return document.title") == "Synced · geo/planet.osm.pbf · mirrord"
    for shown in ("default", "mirror", "geo/planet.osm.pbf", "64.0 MiB (67,108,864 bytes)", "CRC64NVME:AAAA", '"o2"'):
        assert shown in await browser.texts("#object dd"), shown
    assert "confirmed a checksum of the whole object" in await browser.seen("#object")
    assert {"https://example.org/planet.osm.pbf", "planet", '"r2"'} <= set(await browser.texts("#source dd"))
    await browser.until("#history", "took 12 s")
    assert await browser.texts("#history .badge") == ["Current", "Failed", "Replaced"]
    assert "SourceUnavailable: answered 502" in await browser.seen("#trouble")
    assert "Nothing is to be done: a later check succeeded." in await browser.seen("#trouble")
    assert await browser.barriers() == []
    await screenshots.take("item")
    await browser.click("#up")
    await browser.until("#rows .name", "s3://mirror/geo/planet.osm.pbf")


async def test_an_error_says_what_it_means_and_what_to_do(
    control: ScriptedControl, browser: Browser, url: str, screenshots: Screenshots
) -> None:
    item = control.put(item_of("a.bin"), State.PENDING)
    control.histories[item.id] = ()
    await browser.open(f"{url}/items/{item.id}")
    await browser.until("#history-note", "Nothing was copied yet, and nothing failed.")
    assert await browser.seen("#trouble") == ""
    control.start(item, 64 * MiB)
    control.advance(item, 32 * MiB, 16 * MiB, 64 * MiB)
    await browser.until("#progress", "25 % · 16.0 MiB of 64.0 MiB sent")
    control.histories[item.id] = (HistoryEntry(outcome="failed", when=NOW, state=State.BLOCKED, message=HOSTILE),)
    control.fail(item, Reason.STORE_DENIED, HOSTILE)
    await browser.until("#trouble", f"StoreDenied: {HOSTILE}")
    await browser.until("#history", HOSTILE)
    assert "What to do: check the credentials of the store" in await browser.seen("#trouble")
    assert "Next check:" in await browser.seen("#next")
    assert await browser.seen("#progress") == ""
    assert await browser.barriers() == []
    await screenshots.take("item-blocked")
    control.start(item, 9)
    control.complete(item, 9)
    await browser.until("#state", "Synced")


async def test_check_now_asks_for_the_token(control: ScriptedControl, browser: Browser, url: str) -> None:
    item = control.put(item_of("a.bin"), State.SYNCED)
    await browser.open(f"{url}/items/{item.id}")
    await browser.until("#state", "Synced")
    await browser.click("#check")
    assert "daemon.api_token" in await browser.seen("#write")
    assert await browser.run("return document.activeElement.id") == "write-text"
    assert await browser.barriers() == []
    await browser.run("document.querySelector('#write-text').value = 'wrong'")
    await browser.click("#write [type=submit]")
    await browser.until("#check-result", "mirrord refused this token.")
    assert control.triggered == []
    (refused,) = await browser.complaints()
    assert "401" in refused
    await browser.run(f"document.querySelector('#write-text').value = '{TOKEN}'")
    await browser.click("#write [type=submit]")
    await browser.until("#check-result", "The check is queued.")
    assert control.triggered == [item.id]
    await browser.click("#check")
    await browser.until("#check-result", "The check is queued.")
    assert await browser.seen("#write") == ""


async def test_where_post_is_off_the_page_says_so(control: ScriptedControl, browser: Browser) -> None:
    item = control.put(item_of("a.bin"), State.SYNCED)
    async with Server("127.0.0.1:0", application(control, no_metrics, Access(None))) as server:
        await browser.open(f"{server.url}/items/{item.id}")
        await browser.until("#state", "Synced")
        await browser.click("#check")
        await browser.run("document.querySelector('#write-text').value = 'any'")
        await browser.click("#write [type=submit]")
        await browser.until("#check-result", "POST is off: set daemon.api_token in the manifest to allow it")


@pytest.mark.parametrize("item_id", ["0" * 16, "nothing", "%2e%2e%2f"])
async def test_an_unknown_id_is_404_in_the_style_of_the_page(
    control: ScriptedControl, browser: Browser, item_id: str
) -> None:
    async with Server("127.0.0.1:0", application(control, no_metrics, Access(None))) as server:
        async with aiohttp.ClientSession() as session, session.get(f"{server.url}/items/{item_id}") as answer:
            assert (answer.status, answer.content_type) == (404, "text/html")
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")
        await browser.open(f"{server.url}/items/{item_id}")
        await browser.until("#title", "There is no such item")
        assert await browser.seen("#known") == ""
        assert await browser.barriers() == []


async def test_who_may_not_read_does_not_learn_which_items_exist(control: ScriptedControl, browser: Browser) -> None:
    item = control.put(item_of("a.bin"), State.SYNCED)
    app = application(control, no_metrics, Access(None, secret_of("reader")))
    async with Server("127.0.0.1:0", app) as server:
        async with aiohttp.ClientSession() as session:
            for one in (item.id, "0" * 16):
                async with session.get(f"{server.url}/items/{one}") as answer:
                    assert answer.status == 200
                    assert "a.bin" not in await answer.text()
        await browser.open(f"{server.url}/items/{item.id}")
        await browser.until("#link-text", "reading needs a token")
        await browser.run("document.querySelector('#token-text').value = 'reader'")
        await browser.click("#token button")
        await browser.until("#title", "s3://mirror/a.bin")
