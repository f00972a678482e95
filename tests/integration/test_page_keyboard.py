"""Both pages by keyboard in a real browser: what Tab reaches, in which order, that the focus is seen, and no trap."""

from collections.abc import AsyncIterator

import pytest

from mirrord.errors import Reason
from mirrord.model import State, secret_of
from mirrord.web.access import Access
from tests.support.browser import Browser
from tests.support.scripted_control import ScriptedControl, item_of
from tests.support.served_page import served_page

pytestmark = pytest.mark.xdist_group("browser")  # they share one browser
MOST = 150
"""Presses of Tab within which the focus leaves the page."""


@pytest.fixture
def control() -> ScriptedControl:
    return ScriptedControl()


@pytest.fixture
async def url(control: ScriptedControl, browser: Browser) -> AsyncIterator[str]:
    async with served_page(control, browser, Access(secret_of("right-token"))) as url:
        yield url


async def focus_after(browser: Browser, key: str = "Tab") -> str:
    """What has the focus after a press of the key."""
    await browser.press(key)
    return await browser.focused()


async def walk(browser: Browser) -> list[str]:
    """What has the focus after each press of Tab, until the focus leaves the page."""
    found: list[str] = []
    for _ in range(MOST):
        if not (name := await focus_after(browser)):
            return found
        found.append(name)
    pytest.fail(f"the focus never left the page: {found}")


async def test_tab_reaches_everything_in_order_and_leaves(control: ScriptedControl, browser: Browser, url: str) -> None:
    for number in range(52):
        control.put(item_of(f"{number:02}.bin", entry="all" if number > 49 else ""), State.SYNCED, size=number)
    control.put(item_of("bad.bin"), State.BLOCKED, reason=Reason.SOURCE_DENIED, message="403")
    await browser.open(f"{url}/?sort=-size&state=Synced")
    await browser.until("#rows .name", "51.bin")
    await browser.until("#attention", "bad.bin")
    await browser.until("#entries", "all")
    found = await walk(browser)
    columns = ["State", "Object and source", "Since", "Last copied", "Size"]
    rows = [f"s3://mirror/{number:02}.bin" for number in range(51, 1, -1)]
    assert found == [
        "Skip to the items",
        *("1Blocked", "0Retrying", "0Transferring", "0Pending", "0Waiting", "0Suspended", "52Synced"),
        *("s3://mirror/bad.bin", "all"),
        *("filter-state", "filter-entry", "filter-text", *columns),
        *(rows[0], "all", rows[1], "all", *rows[2:]),
        *("page-next", "metrics", "status", "API"),
    ]
    assert [await focus_after(browser, "Shift+Tab") for _ in found] == found[::-1]


async def test_enter_skips_sorts_and_opens_an_item(control: ScriptedControl, browser: Browser, url: str) -> None:
    for number in range(3):
        control.put(item_of(f"{number}.bin"), State.SYNCED, size=number)
    await browser.open(url)
    await browser.until("#rows", "2.bin")
    await browser.press("Tab")
    await browser.press("Enter")
    assert await browser.run("return document.activeElement.id") == "items-title"
    await browser.press("Tab", 4)
    assert await browser.focused() == "State"
    await browser.press("Tab", 4)
    await browser.press("Enter")
    await browser.until("#rows .name", "2.bin")
    assert await browser.focused() == "Size", "the focus stays while the list is sorted"
    await browser.press("Tab")
    assert await browser.focused() == "s3://mirror/2.bin"
    await browser.press("Enter")
    await browser.until("#title", "s3://mirror/2.bin")


async def test_check_now_by_keyboard(control: ScriptedControl, browser: Browser, url: str) -> None:
    item = control.put(item_of("a.bin"), State.SYNCED)
    await browser.open(f"{url}/items/{item.id}")
    await browser.until("#state", "Synced")
    found = await walk(browser)
    assert "check" in found
    await browser.press("Tab", 1 + found.index("check"))
    assert await browser.focused() == "check"
    await browser.press("Enter")
    assert await browser.focused() == "write-text"
    assert await walk(browser) != [], "no trap"
    await browser.run(
        "document.querySelector('#write-text').value = 'right-token'; document.querySelector('#write-text').focus()"
    )
    await browser.press("Enter")
    await browser.until("#check-result", "The check is queued.")
    assert control.triggered == [item.id]
