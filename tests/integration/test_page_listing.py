"""The list of items in a real browser: order, filters and place are in the address, and the back button goes back."""

from collections.abc import AsyncIterator

import pytest

from mirrord.errors import Reason
from mirrord.model import State
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.server import Server
from tests.support.browser import Browser
from tests.support.screenshots import Screenshots
from tests.support.scripted_control import ScriptedControl, item_of, no_metrics
from tests.support.served_page import served_page

pytestmark = pytest.mark.xdist_group("browser")  # they share one browser


@pytest.fixture
def control() -> ScriptedControl:
    return ScriptedControl()


@pytest.fixture
async def url(control: ScriptedControl, browser: Browser) -> AsyncIterator[str]:
    async with served_page(control, browser, Access(None)) as url:
        yield url


async def search(browser: Browser) -> str:
    return str(await browser.run("return location.search"))


async def typed(browser: Browser, field: str, text: str) -> None:
    script = "const field = document.querySelector(arguments[0]); field.focus(); field.value = arguments[1]; "
    await browser.run(script + "field.dispatchEvent(new Event('input'))", field, text)


async def test_items_are_in_the_order_of_states_and_then_of_changes(
    control: ScriptedControl, browser: Browser, url: str
) -> None:
    for number, state in enumerate([State.SYNCED, State.BLOCKED, State.PENDING, State.SYNCED, State.RETRYING]):
        item = control.put(item_of(f"{number}.bin"), state)
        control.change(item, state, since=1000.0 + number)
    await browser.open(url)
    await browser.until("#rows", "0.bin")
    assert [name[-5:] for name in await browser.texts("#rows .name")] == ["1.bin", "4.bin", "2.bin", "3.bin", "0.bin"]
    await browser.run("const order = document.querySelector('#filter-order'); order.value = 'id'; "
                      "order.dispatchEvent(new Event('change'))")  # fmt: skip
    ids = sorted(control.shown)
    await browser.until("#rows .name", control.shown[ids[0]].destination)
    assert await search(browser) == "?sort=id"
    assert await browser.texts("#rows .name") == [control.shown[one].destination for one in ids]


async def test_the_headers_of_columns_sort_the_whole_list(control: ScriptedControl, browser: Browser, url: str) -> None:
    for number in range(60):
        item = control.put(item_of(f"{number:02}.bin"), State.SYNCED, size=number, synced_at=2000.0 - number)
        control.change(item, State.SYNCED, since=1000.0 + number)
    control.put(item_of("never.bin"), State.WAITING, reason=Reason.SCHEDULE)
    await browser.open(url)
    await browser.until("#rows", "never.bin")
    assert await sorted_by(browser) == "State ascending"
    assert (await browser.texts("#rows .name"))[1] == "s3://mirror/59.bin", "the item that changed last, of all pages"
    for column, first, then in [
        ("-size", ["59", "58"], ["00", "01"]),
        ("-copied", ["00", "01"], ["59", "58"]),
        ("object", ["00", "01"], ["never", "59"]),
        ("-since", ["never", "59"], ["00", "01"]),
    ]:
        for order, names in ((column, first), (column.removeprefix("-") if "-" in column else f"-{column}", then)):
            await browser.click(f"th [data-first={column}]")
            shown = ["s3://mirror/" + name + ".bin" for name in names]
            await browser.until_so(f"{_NAMES}.slice(0, 2).join() === '{','.join(shown)}'")
            assert await search(browser) == f"?sort={order}"
            assert (await sorted_by(browser)).endswith("descending" if order.startswith("-") else "ascending")
    await browser.click("th [data-first=-size]")
    await browser.until("#rows .name", "59.bin")
    await browser.click("#page-next")
    await browser.until("#rows .name", "09.bin")
    assert (await browser.texts("#rows .name"))[-1] == "s3://mirror/never.bin", "without a size, last"
    await browser.run("history.back()")
    await browser.until("#rows .name", "59.bin")
    assert await browser.barriers() == []


async def test_a_phone_sorts_by_a_menu(control: ScriptedControl, browser: Browser, url: str) -> None:
    for number in range(3):
        control.put(item_of(f"{number}.bin"), State.SYNCED, size=number)
    await browser.open(f"{url}/?sort=-size", width=390, height=844)
    await browser.until("#rows .name", "2.bin")
    assert await browser.seen("th") == ""
    assert await browser.run("return document.querySelector('#filter-order').value") == "-size"
    await browser.run("const order = document.querySelector('#filter-order'); order.value = 'size'; "
                      "order.dispatchEvent(new Event('change'))")  # fmt: skip
    await browser.until("#rows .name", "0.bin")
    assert await search(browser) == "?sort=size"
    assert "Smallest" in await browser.seen(".order")
    assert await browser.barriers() == []


async def sorted_by(browser: Browser) -> str:
    """The one column that the list is sorted by, and the direction."""
    script = "return [...document.querySelectorAll('th[aria-sort]')].map((one) => `${one.textContent} ${one.ariaSort}`)"
    (found,) = await browser.run(script)
    return str(found)


_NAMES = "[...document.querySelectorAll('#rows .name')].map((one) => one.textContent)"


async def test_pages_go_from_one_state_to_the_next(control: ScriptedControl, browser: Browser, url: str) -> None:
    for number in range(60):
        control.put(item_of(f"b{number:02}"), State.BLOCKED, reason=Reason.CONFLICT)
    for number in range(50):
        control.put(item_of(f"s{number:02}"), State.SYNCED)
    await browser.open(url)
    names: list[str] = []
    for page, states in (("page 1", "Blocked"), ("page 2", "Blocked,Synced"), ("page 3", "Synced")):
        if names:
            await browser.click("#page-next")
        await browser.until("#page-text", page)
        await browser.until_so(f"{_STATES} === '{states}'")
        names += await browser.texts("#rows .name")
    assert len(names) == len(set(names)) == 110
    assert await browser.run("return document.querySelector('#page-next').disabled") is True


async def test_filters_are_in_the_address_and_the_back_button_undoes_them(
    control: ScriptedControl, browser: Browser, url: str, screenshots: Screenshots
) -> None:
    for number in range(60):
        control.put(item_of(f"geo/{number:02}", entry="maps & more"), State.SYNCED)
    control.put(item_of("late.bin"), State.WAITING, reason=Reason.SCHEDULE)
    await browser.open(url)
    await browser.until("#rows .name", "late.bin")
    await browser.click(".tile.Synced")
    await browser.until("#rows .name", "geo/")
    await typed(browser, "#filter-text", "geo/0")
    await browser.until("#rows .source", "https://example.org/file")
    await browser.until("#page-text", "")
    await browser.until_so("location.search === '?state=Synced&q=geo%2F0'")
    await typed(browser, "#filter-text", "geo/01")
    await browser.until_so("location.search === '?state=Synced&q=geo%2F01'")
    await browser.until("#rows .name", "geo/01")
    await browser.run("history.back()")  # the letters of one word are one step
    await browser.until_so("location.search === '?state=Synced'")
    await browser.until("#page-text", "page 1")
    assert await browser.run("return document.querySelector('#filter-text').value") == ""
    await browser.click("#page-next")
    await browser.until("#page-text", "page 2")
    shared = await browser.run("return location.href")
    await browser.run("history.back()")
    await browser.until("#page-text", "page 1")
    await browser.run("history.back()")
    await browser.until("#rows .name", "late.bin")
    assert await browser.run("return document.querySelector('.tile.Synced').ariaPressed") == "false"
    assert await browser.barriers() == []
    await screenshots.take("page")
    await browser.open(shared)
    await browser.until("#page-text", "a later page")
    assert len(await browser.texts("#rows .name")) == 10
    await browser.open(f"{url}/?after=nowhere&sort=nothing&state=None")
    await browser.until("#rows .name", "late.bin")
    for item_id in [one.id for one in control.shown.values() if "geo/" in one.destination]:
        del control.shown[item_id]
    await browser.open(shared)
    await browser.until("#items-none", "No item is left on this page.")
    await browser.click("#page-back")
    await browser.until("#items-none", "No item fits the filter.")
    control.put(item_of("geo/new", entry="maps & more"), State.SYNCED)
    await browser.open(f"{url}/?entry=maps+%26+more")
    await browser.until("#rows .of a", "maps & more")
    assert await browser.run("return document.querySelector('#filter-entry').value") == "maps & more"
    assert "late.bin" not in await browser.seen("#rows")


_STATES = "[...new Set([...document.querySelectorAll('#rows .badge')].map((one) => one.textContent))].sort().join()"


async def test_a_place_that_the_daemon_refuses_is_the_first_page(control: ScriptedControl, browser: Browser) -> None:
    control.put(item_of("a.bin"), State.SYNCED)
    async with Server("127.0.0.1:0", application(control, no_metrics, Access(None))) as server:
        await browser.open(f"{server.url}/?after=Synced.nonsense")
        await browser.until("#rows .name", "a.bin")
