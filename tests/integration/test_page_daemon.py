"""The status page of a real daemon in a real browser: progress, reasons of failures, and a daemon that ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mirrord.demo.sample_origin import Published, SampleOrigin, Text
from mirrord.units import MiB
from tests.support.browser import Browser
from tests.support.daemon import Daemon, running, store_section
from tests.support.weed import Server

pytestmark = pytest.mark.xdist_group("browser")  # they share one browser


@asynccontextmanager
async def shown(home: Path, mirrors: str, weed: Server, browser: Browser) -> AsyncIterator[Daemon]:
    """A daemon with these mirrors and its open page. Asserts an empty console and requests to the daemon only."""
    (home / "mirrord.yaml").write_text(store_section(weed) + "mirrors:\n" + mirrors)
    async with running(home, str(home / "mirrord.yaml")) as daemon:
        await browser.open(daemon.url)
        await browser.until("#link-text", "live")
        yield daemon
        if daemon.process.returncode is None:
            assert await browser.complaints() == []
        asked = await browser.requests()
        assert asked, "the page made no request"
        assert [address for address in asked if not address.startswith(daemon.url + "/")] == []


async def test_the_progress_of_a_slow_transfer_moves(
    tmp_path: Path, weed: Server, bucket: str, browser: Browser
) -> None:
    async with (
        SampleOrigin(pace=12 * MiB) as origin,
        shown(tmp_path, f"  {origin.url}/hello.txt: s3://{bucket}/hello.txt\n", weed, browser) as daemon,
    ):
        await browser.until("#summary", "The one object is up to date")  # the page is open before the transfer starts
        with (tmp_path / "mirrord.yaml").open("a") as manifest:
            manifest.write(f"  {origin.url}/large.bin: {{to: 's3://{bucket}/large.bin', http: {{connections: 1}}}}\n")
        await browser.until("#moving .name", f"s3://{bucket}/large.bin")
        await browser.until("#moving .numbers", "MiB/s")
        seen: list[int] = []
        while (share := await browser.run(_SHARE)) is not None:
            seen += [int(share)] if int(share) not in seen else []
            await asyncio.sleep(0.1)
        assert len(seen) >= 3, seen
        assert seen == sorted(seen)
        await daemon.synced("hello.txt", "large.bin")
        await browser.until("#summary", "All 2 objects are up to date")
        await browser.until("#moving-none", "Nothing is being copied")
        await browser.until("#rows", "64.0 MiB")


_SHARE = "return document.querySelector('#moving [role=progressbar]')?.ariaValueNow ?? null"


async def test_an_error_shows_with_its_reason_and_clears_once_the_origin_has_the_file(
    tmp_path: Path, weed: Server, bucket: str, browser: Browser
) -> None:
    async with SampleOrigin() as origin:
        mirrors = (
            f"  {origin.url}/hello.txt: s3://{bucket}/hello.txt\n"
            f"  {origin.url}/late.txt: {{to: 's3://{bucket}/late.txt', every: 1s}}\n"
        )
        async with shown(tmp_path, mirrors, weed, browser) as daemon:
            await browser.until("#summary", "1 item is blocked")
            await browser.until("#attention .name", f"s3://{bucket}/late.txt")
            await browser.until("#attention .why", "SourceMissing")
            await browser.until("#attention .why", "404")
            assert await browser.run("return document.title") == "1 blocked · mirrord"
            origin.files["late.txt"] = Published(Text(b"late\n"), '"late"')
            await browser.until("#summary", "All 2 objects are up to date")
            assert await browser.seen("#attention") == ""
            assert await daemon.states() == {"hello.txt": "Synced", "late.txt": "Synced"}


async def test_an_edited_manifest_and_its_faults_show(
    tmp_path: Path, weed: Server, bucket: str, browser: Browser
) -> None:
    async with SampleOrigin() as origin:
        mirrors = f"  {origin.url}/hello.txt: s3://{bucket}/hello.txt\n"
        async with shown(tmp_path, mirrors, weed, browser):
            await browser.until("#summary", "The one object is up to date")
            manifest = tmp_path / "mirrord.yaml"
            sound = manifest.read_text()
            manifest.write_text(sound + f"  {origin.url}/news.txt: s3://{bucket}/news.txt\n")
            await browser.until("#summary", "All 2 objects are up to date")
            manifest.write_text(sound + f"  {origin.url}/part-one.txt: {{to: 's3://{bucket}/', evry: 1h}}\n")
            await browser.until("#summary", "1 manifest is rejected")
            await browser.until("#attention", "did you mean every?")
            manifest.write_text(sound)
            await browser.until("#summary", "The one object is up to date")


async def test_the_page_shows_that_the_daemon_ended(
    tmp_path: Path, weed: Server, bucket: str, browser: Browser
) -> None:
    async with SampleOrigin() as origin:
        mirrors = f"  {origin.url}/hello.txt: s3://{bucket}/hello.txt\n"
        async with shown(tmp_path, mirrors, weed, browser) as daemon:
            await browser.until("#summary", "The one object is up to date")
            assert await browser.complaints() == []
            assert await daemon.stop() == 0
            await browser.until("#gone", "mirrord does not answer.")
            assert await browser.run("return document.title") == "no answer · mirrord"
