"""The page with much to show, and with nothing, in a real browser: groups, the last hour, 100,000 items, no daemon."""

import pytest

from mirrord.errors import Problem, Reason
from mirrord.model import Integrity, State
from mirrord.status import BreakerStatus, FolderStatus, FolderWait
from mirrord.units import MiB
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.server import Server
from tests.support.browser import Browser
from tests.support.screenshots import Screenshots
from tests.support.scripted_control import ScriptedControl, item_of, no_metrics
from tests.support.served_page import served_page

pytestmark = pytest.mark.xdist_group("browser")  # they share one browser
MANY = 100_000
RUNNING = 500
_FIRST_CONTENT = "return performance.getEntriesByName('first-contentful-paint')[0].startTime"


async def test_a_hundred_thousand_items_and_500_transfers(browser: Browser) -> None:
    control = ScriptedControl()
    for number in range(MANY):
        control.put(item_of(f"{number:06}.bin", entry="all of them"), State.SYNCED, size=1)
    for item in list(control.things.values())[:RUNNING]:
        control.start(item, 64 * MiB)
    async with served_page(control, browser, Access(None)) as url:
        await browser.open(url)
        await browser.until("#summary", "99,500 of 100,000 objects are up to date")
        await browser.until("#moving-none", "and 480 more transfers.")
        await browser.until("#entries", "99,500 of 100,000 items up to date · 500 transferring")
        assert await browser.run(_FIRST_CONTENT) < 1000
        assert len(await browser.texts("#rows tr")) == 50
        assert await browser.run("return performance.memory.usedJSHeapSize") < 50e6
        assert await browser.run("return document.querySelectorAll('*').length") < 2000


async def test_a_busy_page_and_the_page_without_its_daemon(browser: Browser, screenshots: Screenshots) -> None:
    control = ScriptedControl()
    now = control.clock.now()
    for number in range(8):
        control.put(item_of(f"geo/{number}.bin", entry="maps"), State.SYNCED, size=MiB, integrity=Integrity.MD5)
    control.put(item_of("geo/late.bin", entry="maps"), State.WAITING, reason=Reason.SCHEDULE)
    denied = control.put(item_of("geo/denied.bin"), State.PENDING)
    slow = control.put(item_of("geo/slow.bin"), State.PENDING)
    control.start(denied, 9)
    control.fail(denied, Reason.SOURCE_DENIED, "example.org answered 403")
    control.start(slow, 64 * MiB)
    control.advance(slow, 32 * MiB, 16 * MiB, 64 * MiB)
    control.load("/etc/mirrord/a.yaml", 11)
    control.reject("/etc/mirrord/b.yaml", Problem("/etc/mirrord/b.yaml", 12, 9, "mirrors[3].every", "not a duration"))
    settling = FolderWait("settling", 12, ("a.csv: still growing, 3.0 MiB, changed 1s ago", "b.csv: settling, 1 B"))
    waits = (settling, FolderWait("no marker", 1, ("c.csv",)), FolderWait("excluded", 2_400, (".git",)))
    control.folders = (
        FolderStatus(
            name="in", path="/srv/in", watching="poll", last_scan=now - 9, problem="no events", waits=waits,
            scan_began=now - 5, scan_files=3_000,
        ),
    )  # fmt: skip
    control.stores = {"one": False, "two": True}
    control.calls_at_once = {"store 'two'": 1, "host example.org": 4}
    control.breakers = (
        BreakerStatus(
            name="store 'one'",
            state="open",
            since=now - 720,
            next_try=now + 60,
            error="ListObjectsV2: refused",
            waiting=9,
        ),
        BreakerStatus(name="host slow.example", state="half-open", since=now - 60, error="no answer within 60 s"),
        BreakerStatus(name="host once.example", state="closed", error="answered 502"),
    )
    async with Server("127.0.0.1:0", application(control, no_metrics, Access(None))) as server:
        await browser.open(server.url)
        await browser.until("#entries", "8 of 9 items up to date · 1 waiting · 8.0 MiB")
        await browser.until("#hour", "16.0 MiB sent in the last hour, at most 273.1 KiB/s in one minute")
        await browser.until("#rows .name", "denied.bin")
        await browser.until(
            "#stores li:nth-child(1)", "did not answer the last call · breaker open: no item passes · for 12 min"
        )
        one = await browser.seen("#stores li:nth-child(1)")
        assert "next try in " in one
        assert "9 items wait" in one
        assert "ListObjectsV2: refused" in one
        two = await browser.seen("#stores li:nth-child(2)")
        assert "answered the last call · breaker closed" in two
        assert "it refused calls: 1 call at once now" in two
        hosts = [await browser.seen(f"#stores li:nth-child({place})") for place in (3, 4, 5)]
        assert "slow.example" in hosts[0]
        assert "host · breaker half-open: one item tries · for 1 min" in hosts[0]
        assert "breaker closed\n\nanswered 502" in hosts[1]
        assert "example.org" in hosts[2]
        assert "it refused calls: 4 calls at once now" in hosts[2]
        assert await browser.texts("#attention .badge") == ["Rejected", "Store", "Host", "Folder", "Blocked"]
        assert await browser.texts("#folders .what") == [
            "12 not settled yet", "1 without their marker", "2,400 excluded by the filters"
        ]  # fmt: skip
        assert "b.csv: settling, 1 B · …" in await browser.seen("#folders")
        assert "3,000 files so far" in await browser.seen("#folders .numbers")
        assert await browser.run("return document.querySelectorAll('#hour-bars rect').length") == 60
        assert await browser.barriers() == []
        await screenshots.take("busy")
        assert await browser.complaints() == []
    await browser.until("#gone", "mirrord does not answer.")
    assert await browser.barriers() == []
    await screenshots.take("down")


async def test_an_empty_daemon_says_what_to_do_next(browser: Browser, screenshots: Screenshots) -> None:
    control = ScriptedControl()
    async with served_page(control, browser, Access(None)) as url:
        await browser.open(url)
        await browser.until("#start", "Write a manifest like this one")
        assert "s3://my-bucket/file.iso" in await browser.seen("#start-example")
        assert await browser.barriers() == []
        await screenshots.take("empty")
        control.load("/etc/mirrord/a.yaml", 0)
        await browser.until("#start", "Add an entry under mirrors in a manifest below")
        assert await browser.seen("#start-example") == ""
        control.put(item_of("a.bin"), State.PENDING)
        control.load("/etc/mirrord/a.yaml", 1)
        await browser.until("#summary", "0 of 1 objects are up to date")
        assert await browser.seen("#start") == ""
