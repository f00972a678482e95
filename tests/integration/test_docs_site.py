"""The documentation site: `make docs` finds no missing page or anchor, each page is in the navigation, each link within
the site has its file, and no page loads anything from another host.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "docs", "configs", "Makefile")
LINK = re.compile(r"""(?:href|src)=["']?([^"'\s>]+)""")
LOADED = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*>")
ELSEWHERE = re.compile(r"(?:https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built by the Makefile's commands beside the sources, so that no other run writes there."""
    root, venv = tmp_path_factory.mktemp("docs"), Path(sys.executable).parents[1]
    for name in COPIED:
        (root / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "zensical.toml", root)  # its real directory is where the site goes
    build = subprocess.run(
        ["make", "--silent", f"--old-file={venv}/.installed-dev", "docs", f"VENV={venv}"],
        cwd=root, env=os.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert build.returncode == 0, build.stdout + build.stderr
    assert (root / "site" / "docs" / "manifest.html").is_file()
    return root / "site"


def _navigation(part: list[dict[str, object]]) -> list[str]:
    found: list[str] = []
    for entry in part:
        for value in entry.values():
            found += _navigation(value) if isinstance(value, list) else [str(value)]
    return found


def test_each_page_is_in_the_navigation_once() -> None:
    listed = _navigation(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"])
    pages = {str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")}
    assert sorted(listed) == sorted(pages | {"README.md", "CHANGELOG.md", "SECURITY.md"})


def test_each_link_within_the_site_has_its_file(site: Path) -> None:
    for page in site.rglob("*.html"):
        for link in LINK.findall(page.read_text()):
            path = re.split("[#?]", link)[0]
            if path and not re.match(r"[a-z]+:|/", path):
                target = page.parent / path
                assert target.is_file() or (target / "index.html").is_file(), f"{page.name}: {link}"


def test_no_page_loads_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text()
        loaded = [tag for tag in LOADED.findall(text) if any(map(ELSEWHERE.match, LINK.findall(tag)))]
        assert not loaded, page.name
        assert 'class="mermaid"' not in text, f"{page.name}: its drawings are loaded from another host"
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import )['\"]?(?:https?:)?//", style.read_text()), style.name
