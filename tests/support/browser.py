"""Fixture `browser`: a headless Chromium that all tests share, with its console log and its requests.

Chromium and chromedriver are programs of the system; if one is missing, the tests skip. The browser resolves no host
names, so no request can leave the machine.
"""

import asyncio
import ctypes
import json
import shutil
import signal
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_core_python
import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.only_browser_skips import MISSING_BROWSER

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root in a container has no sandbox
    "--disable-gpu",
    "--hide-scrollbars",  # a screenshot has the width that was asked for
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",  # the browser exits when chromedriver, the other end of the pipe, exits
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
_AXE = Path(axe_core_python.__file__).with_name("axe.min.js")
PATIENCE = 60.0
_SEEN = """
const found = document.querySelector(arguments[0]);
return found?.checkVisibility() ? found.innerText : "";
"""
_FOCUSED = """
const one = document.activeElement;
if (one === null || one === document.body) return ["", true];
const { outlineStyle, outlineWidth } = getComputedStyle(one);
const { width, height, top, bottom } = one.getBoundingClientRect();
const hasRing = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
const isShown = one.checkVisibility() && width > 1 && height > 1 && bottom > 0 && top < innerHeight;
return [one.id || one.textContent.trim(), hasRing && isShown];
"""
KEYS: dict[str, dict[str, object]] = {
    "Tab": {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
    "Shift+Tab": {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9, "modifiers": 8},
    "Enter": {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
}
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Browser:
    """One window. Its calls block in a thread, so that the event loop of the server under test goes on."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    async def open(self, url: str, width: int = 1200, height: int = 900) -> None:
        """Load the page; discards the console messages and requests so far."""
        await asyncio.to_thread(self._open, url, width, height)

    def _open(self, url: str, width: int, height: int) -> None:
        self._driver.get("about:blank")
        self._driver.get_log("browser")
        self._driver.get_log("performance")
        self._resize(width, height)
        self._driver.get(url)

    async def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript in the page; its return value."""
        return await asyncio.to_thread(self._driver.execute_script, script, *arguments)

    async def texts(self, selector: str) -> list[str]:
        """textContent of every element that matches the selector."""
        found: list[str] = await self.run(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector
        )
        return found

    async def seen(self, selector: str) -> str:
        """The visible text of the first element that matches; empty if the element is hidden or missing."""
        return str(await self.run(_SEEN, selector))

    async def until(self, selector: str, text: str) -> None:
        """Wait until the visible text of the first element that matches contains `text`."""
        try:
            await asyncio.to_thread(self._until, selector, text)
        except WebDriverException:
            pytest.fail(f"{selector} never showed {text!r}; it shows {await self.seen(selector)!r}")

    async def until_so(self, expression: str) -> None:
        """Wait until this JavaScript expression is true."""
        wait = WebDriverWait(self._driver, PATIENCE, poll_frequency=0.05)
        try:
            await asyncio.to_thread(wait.until, lambda driver: driver.execute_script(f"return {expression}"))
        except WebDriverException:
            pytest.fail(f"never true: {expression}")

    def _until(self, selector: str, text: str) -> None:
        wait = WebDriverWait(self._driver, PATIENCE, poll_frequency=0.05)
        wait.until(lambda driver: text in driver.execute_script(_SEEN, selector))

    async def click(self, selector: str) -> None:
        await self.run("document.querySelector(arguments[0]).click()", selector)

    async def press(self, key: str, times: int = 1) -> None:
        """Press a key of `KEYS` as a user does, so that the browser moves the focus."""
        await asyncio.to_thread(self._press, KEYS[key], times)

    def _press(self, key: dict[str, object], times: int) -> None:
        for _ in range(times):
            for kind in ("keyDown", "keyUp"):
                self._driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, **key})

    async def focused(self) -> str:
        """What has the focus: its id, else its text; empty if nothing has it. Asserts that the focus can be seen."""
        name, is_seen = await self.run(_FOCUSED)
        assert is_seen, f"the focus of {name!r} cannot be seen"
        return str(name)

    async def prefer(self, scheme: str) -> None:
        """Emulate the preferred colour scheme: light or dark."""
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        await asyncio.to_thread(self._driver.execute_cdp_cmd, "Emulation.setEmulatedMedia", media)

    async def resize(self, width: int, height: int) -> None:
        """Give the window another size, without loading the page again."""
        await asyncio.to_thread(self._resize, width, height)

    def _resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    async def screenshot(self) -> bytes:
        """The whole page as PNG."""
        shown = await asyncio.to_thread(
            self._driver.execute_cdp_cmd, "Page.captureScreenshot", {"captureBeyondViewport": True}
        )
        return b64decode(shown["data"])

    async def barriers(self) -> list[str]:
        """What axe-core finds against WCAG 2.2 AA and good practice: rule, and the first element of each."""
        if not await self.run("return 'axe' in window"):
            await self.run(_AXE.read_text())
        found = await self.run("return axe.run().then(({violations}) => violations)")
        return [f"{one['id']}: {one['nodes'][0]['target']} {one['nodes'][0]['failureSummary']}" for one in found]

    async def complaints(self) -> list[str]:
        """Errors in the console since `open` or the last call: exceptions, policy violations, failed requests."""
        lines = await asyncio.to_thread(self._driver.get_log, "browser")
        return [str(line["message"]) for line in lines if line["level"] in ("SEVERE", "WARNING")]

    async def requests(self) -> list[str]:
        """The URL of every request since `open` or the last call."""
        lines = await asyncio.to_thread(self._driver.get_log, "performance")
        messages = [json.loads(line["message"])["message"] for line in lines]
        return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]


def _exit_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    chromedriver = shutil.which("chromedriver")
    if program is None or chromedriver is None:
        pytest.skip(f"{MISSING_BROWSER}: chromium and chromedriver are not both installed")
    profile: Path = tmp_path_factory.mktemp("profile")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = Service(chromedriver, popen_kw={"preexec_fn": _exit_with_parent})
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
