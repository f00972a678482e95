"""The page over a scripted daemon, with the checks that hold for each visit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.server import Server
from tests.support.browser import Browser
from tests.support.scripted_control import ScriptedControl, no_metrics


@asynccontextmanager
async def served_page(control: ScriptedControl, browser: Browser, access: Access) -> AsyncIterator[str]:
    """The URL of the server. Asserts at the end an empty console, and requests to this server only."""
    async with Server("127.0.0.1:0", application(control, no_metrics, access)) as server:
        yield server.url
        assert await browser.complaints() == []
        asked = await browser.requests()
        assert asked, "the page made no request"
        assert [address for address in asked if not address.startswith(server.url + "/")] == []
