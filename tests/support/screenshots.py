"""Fixture `screenshots`: pictures of a page as artefacts, in light, dark and phone width.

They are written into the directory that MIRRORD_SCREENSHOTS names, else into pytest's own; the directory is printed.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import Browser

FORMS = {"light": ("light", 1200, 900), "dark": ("dark", 1200, 900), "phone": ("light", 390, 844)}


class Screenshots:
    """Takes pictures of what `browser` shows."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser = browser
        self.folder = folder

    async def take(self, name: str) -> None:
        """Write NAME-FORM.png for each form. Asserts that axe-core finds nothing in dark either, and that no form is
        scrolled sideways."""
        for form, (scheme, width, height) in FORMS.items():
            await self._browser.prefer(scheme)
            await self._browser.resize(width, height)
            (self.folder / f"{name}-{form}.png").write_bytes(await self._browser.screenshot())
            assert await self._browser.run("return document.documentElement.scrollWidth <= innerWidth"), form
            if form != "light":
                assert await self._browser.barriers() == [], form
        await self._browser.prefer("light")
        await self._browser.resize(1200, 900)


@pytest.fixture
def screenshots(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screenshots]:
    named = os.environ.get("MIRRORD_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    yield Screenshots(browser, folder)
    print(f"screenshots: {folder}")
