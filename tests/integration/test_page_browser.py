"""The status page in a real browser: correct during success, failures, and without a daemon."""

from collections.abc import AsyncIterator

import pytest

from mirrord.errors import LeftOut, Problem, Reason
from mirrord.model import Integrity, State, secret_of
from mirrord.status import FolderStatus
from mirrord.units import MiB
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.server import Server
from tests.support.browser import Browser
from tests.support.scripted_control import ScriptedControl, item_of, no_metrics

pytestmark = pytest.mark.xdist_group("browser")  # they share one browser
HOSTILE = """<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>"""
_CHANGES = """
const element = document.querySelector(arguments[0]);
return new Promise((done) => new MutationObserver(() => done(true)).observe(element, {childList: true}));
"""
DIRECTION = "\u202e"  # RIGHT-TO-LEFT OVERRIDE: the following text is shown backwards, to hide the real name of a file


@pytest.fixture
def control() -> ScriptedControl:
    return ScriptedControl()


def server_of(control: ScriptedControl, listen: str = "127.0.0.1:0", *, read_token: str | None = None) -> Server:
    return Server(listen, application(control, no_metrics, Access(None, secret_of(read_token))))


@pytest.fixture
async def url(control: ScriptedControl, browser: Browser) -> AsyncIterator[str]:
    """The page's URL. Asserts at the end an empty console, and requests to this server only."""
    async with server_of(control) as server:
        yield server.url
        assert await browser.complaints() == []
        asked = await browser.requests()
        assert asked, "the page made no request"
        assert [address for address in asked if not address.startswith(server.url + "/")] == []


async def test_progress_moves_and_ends(control: ScriptedControl, browser: Browser, url: str) -> None:
    item = control.put(item_of("planet.osm.pbf"), State.PENDING)
    await browser.open(url)
    await browser.until("#summary", "0 of 1 objects are up to date")
    await browser.until("#link-text", "live")
    await browser.until("#moving-none", "Nothing is being copied")
    control.start(item, 64 * MiB)
    await browser.until("#moving .name", "s3://mirror/planet.osm.pbf")
    for sent in (16, 48):
        control.advance(item, (sent + 8) * MiB, sent * MiB, 64 * MiB)
        await browser.until("#moving .numbers", f"{100 * sent // 64} % · {sent}.0 MiB of 64.0 MiB sent")
        assert await browser.run("return document.querySelector('[role=progressbar]').ariaValueNow") == str(
            100 * sent // 64
        )
        assert await browser.run("return document.querySelector('.bar .sent').style.width") == f"{100 * sent / 64:g}%"
    await browser.until("#moving .numbers", "MiB/s")
    control.complete(item, 64 * MiB)
    await browser.until("#summary", "The one object is up to date")
    await browser.until("#moving-none", "Nothing is being copied")
    await browser.until("#rows .size", "64.0 MiB")


async def test_a_source_that_does_not_say_its_length(control: ScriptedControl, browser: Browser, url: str) -> None:
    item = control.put(item_of("stream.bin"), State.PENDING)
    control.start(item, None)
    control.advance(item, 3 * MiB, 2 * MiB, None, attempt=3)
    await browser.open(url)
    await browser.until("#moving .numbers", "2.0 MiB sent · 3.0 MiB read")
    assert "%" not in await browser.seen("#moving .numbers")
    assert "attempt 3" in await browser.seen("#moving .numbers")
    assert await browser.run("return document.querySelector('[role=progressbar]').ariaValueNow") is None


async def test_an_error_shows_and_clears(control: ScriptedControl, browser: Browser, url: str) -> None:
    item = control.put(item_of("a.tar.gz"), State.SYNCED)
    await browser.open(url)
    await browser.until("#summary", "The one object is up to date")
    assert await browser.seen("#attention") == ""
    control.start(item, 9)
    control.fail(item, Reason.SOURCE_DENIED, "example.org answered 403")
    await browser.until("#attention", "SourceDenied: example.org answered 403")
    await browser.until("#summary", "1 item is blocked")
    await browser.until("#rows .why", "SourceDenied: example.org answered 403")
    assert await browser.run("return document.title") == "1 blocked · mirrord"
    control.start(item, 9)
    control.fail(item, Reason.STORE_UNAVAILABLE, "no answer", retry_in=42)
    await browser.until("#attention .numbers", "next try in")
    await browser.until("#summary", "1 item failed and will be tried again")
    control.start(item, 9)
    control.complete(item, 9)
    await browser.until("#summary", "The one object is up to date")
    assert await browser.seen("#attention") == ""
    assert await browser.run("return document.title") == "mirrord"


async def test_a_bad_manifest_shows_and_clears(control: ScriptedControl, browser: Browser, url: str) -> None:
    control.load("/etc/mirrord/a.yaml", 2)
    await browser.open(url)
    await browser.until("#files", "2 items · loaded")
    wrong = Problem("/etc/mirrord/a.yaml", 12, 9, "mirrors[3].every", "not a duration")
    control.reject(
        "/etc/mirrord/a.yaml", wrong, Problem("/etc/mirrord/a.yaml", 40, 3, "stores", "unknown field"), wrong
    )
    await browser.until("#summary", "1 manifest is rejected")
    await browser.until("#attention", "line 12, column 9 · mirrors[3].every: not a duration")
    await browser.until("#files", "its last good version stays in force")
    assert await browser.texts("#files .problems .spot") == [
        "line 12, column 9 · mirrors[3].every", "line 40, column 3 · stores", "line 12, column 9 · mirrors[3].every"
    ]  # fmt: skip
    assert (await browser.texts("#files .problems .why"))[1] == "unknown field"
    control.reason_not_ready = "no manifest is in force"
    control.reject("/etc/mirrord/b.yaml", wrong)
    await browser.until("#summary", "Not ready: no manifest is in force")
    await browser.until("#files", "nothing of it is in force")
    control.reason_not_ready = None
    control.load("/etc/mirrord/a.yaml", 2)
    control.load("/etc/mirrord/b.yaml", 1)
    await browser.until("#summary", "No items yet")
    assert await browser.seen("#attention") == ""


async def test_the_headline_counts_folders_and_stores_in_trouble(
    control: ScriptedControl, browser: Browser, url: str
) -> None:
    control.put(item_of("a.bin"), State.SYNCED, synced_at=control.clock.now() - 7200)
    control.put(item_of("b.bin"), State.PENDING)
    control.folders = (
        FolderStatus(name="in", path="/srv/in", watching="poll", last_scan=1.0, complete=False, problem="no such"),
        FolderStatus(name="ok", path="/srv/ok", watching="poll", last_scan=1.0, problem="no events, scanned every 5 s"),
    )
    control.stores = {"one": False, "two": False, "three": True}
    await browser.open(url)
    await browser.until("#summary", "1 folder cannot be read, 2 stores do not answer")
    assert await browser.run("return document.title") == "trouble · mirrord"
    assert {"2 h ago", "–"} == set(await browser.texts("#rows .copied"))
    control.folders, control.stores = (), {}
    await browser.until("#summary", "1 of 2 objects are up to date")
    await browser.until("#summary-note", "1 on the way")


async def test_hostile_names_are_text(control: ScriptedControl, browser: Browser, url: str) -> None:
    item = control.put(item_of(HOSTILE + DIRECTION, "https://example.org/" + HOSTILE, entry=HOSTILE), State.PENDING)
    control.start(item, 9)
    control.fail(item, Reason.SOURCE_DENIED, HOSTILE)
    running = control.put(item_of("running" + HOSTILE), State.PENDING)
    control.start(running, 9)
    control.reject(HOSTILE, Problem(HOSTILE, 1, 1, HOSTILE, HOSTILE))
    left_out = (LeftOut("FIFO", 2, HOSTILE), LeftOut("symbolic link", 1, "a"))
    control.folders = (FolderStatus(name=HOSTILE, path=HOSTILE, watching=HOSTILE, problem=HOSTILE, left_out=left_out),)
    control.stores = {HOSTILE: False}
    control.not_enforced = (HOSTILE,)
    await browser.open(url)
    await browser.until("#rows", "s3://mirror/")
    for selector in (
        "#attention-list",
        "#moving .name",
        "#rows .name",
        "#rows .source",
        "#rows .why",
        "#files .name",
        "#files .why",
        "#folders .name",
        "#stores .name",
        "#promises-list li",
    ):
        assert any(HOSTILE in text for text in await browser.texts(selector)), selector
    assert any(
        why.endswith(f"; left: 2 FIFOs (first: {HOSTILE}), 1 symbolic link (a)")
        for why in await browser.texts("#folders .why")
    )
    names = await browser.texts("#rows .name")
    assert any(name.endswith("\\u202e") for name in names), "an invisible character must be shown escaped"
    assert not any(DIRECTION in name for name in names)
    assert await browser.run("return document.querySelectorAll('img').length") == 1, "only the logo"
    assert await browser.run("return document.querySelectorAll('main script').length") == 0
    assert "owned" not in await browser.run("return document.title")


async def test_items_are_filtered_found_and_paged(control: ScriptedControl, browser: Browser, url: str) -> None:
    for number in range(120):
        control.put(item_of(f"geo/{number:03}.bin"), State.SYNCED, size=1, integrity=Integrity.FULL_OBJECT)
    control.put(item_of("late.bin"), State.WAITING, reason=Reason.SCHEDULE)
    await browser.open(url)
    await browser.until("#page-text", "page 1")
    first = await browser.texts("#rows .name")
    assert len(first) == 50
    await browser.click("#page-next")
    await browser.until("#page-text", "page 2")
    await browser.click("#page-next")
    await browser.until("#page-text", "page 3")
    await browser.until("#rows tr:nth-child(21)", "Synced")
    assert len(await browser.texts("#rows .name")) == 21
    assert await browser.run("return document.querySelector('#page-next').disabled") is True
    await browser.click(".tile.Waiting")
    await browser.until("#rows .name", "s3://mirror/late.bin")
    assert len(await browser.texts("#rows .name")) == 1
    assert await browser.run("return location.search") == "?state=Waiting"
    await browser.click(".tile.Waiting")
    await browser.run("const find = document.querySelector('#filter-text'); find.value = 'geo/07'; "
                      "find.dispatchEvent(new Event('input'))")  # fmt: skip
    await browser.until("#rows .name", "s3://mirror/geo/07")
    assert len(await browser.texts("#rows .name")) == 10
    await browser.open(url + "/?q=nowhere")
    await browser.until("#items-none", "No item fits the filter.")


async def test_a_narrow_screen_is_never_scrolled_sideways(control: ScriptedControl, browser: Browser, url: str) -> None:
    long = "a" * 300 + "/" + "b " * 100
    item = control.put(item_of(long, "https://example.org/" + long), State.PENDING)
    control.start(item, 9)
    control.put(item_of("x" + long), State.BLOCKED, reason=Reason.CONFLICT, message=long)
    control.reject("/" + long, Problem("/" + long, 1, 1, long, long))
    await browser.open(url, width=320, height=700)
    await browser.until("#rows", "s3://mirror/")
    assert await browser.run("return document.documentElement.scrollWidth <= innerWidth")


async def test_the_page_shows_that_the_daemon_ended_and_finds_it_again(
    control: ScriptedControl, browser: Browser
) -> None:
    control.put(item_of("a.bin"), State.SYNCED)
    async with server_of(control) as server:
        await browser.open(server.url)
        await browser.until("#link-text", "live")
        await browser.until("#summary", "The one object is up to date")
        assert await browser.seen("#gone") == ""
        listen = server.url.removeprefix("http://")
    await browser.until("#gone", "mirrord does not answer.")
    await browser.until("#gone", "s ago. What is shown below was true then.")
    await browser.until("#link-text", "no answer, last heard ")
    await browser.run(_CHANGES, "#link-text")  # the age grows
    assert await browser.run("return document.title") == "no answer · mirrord"
    control.put(item_of("b.bin"), State.SYNCED)
    async with server_of(control, listen):
        await browser.until("#summary", "All 2 objects are up to date")
        await browser.until("#link-text", "live")
        assert await browser.seen("#gone") == ""


async def test_without_a_stream_the_page_asks(
    control: ScriptedControl, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrord.web.stream.MOST", 0)
    async with server_of(control) as server:
        await browser.open(server.url)
        await browser.until("#link-text", "no stream, asking every 2 s")
        await browser.until("#summary", "No items yet")
        control.put(item_of("a.bin"), State.SYNCED)
        await browser.until("#summary", "The one object is up to date")
        monkeypatch.setattr("mirrord.web.stream.MOST", 1)
        await browser.until("#link-text", "live")


async def test_a_daemon_that_cannot_say_how_things_stand(control: ScriptedControl, browser: Browser) -> None:
    async with server_of(control) as server:
        await browser.open(server.url)
        await browser.until("#link-text", "live")
        control.failure = ZeroDivisionError()
        control.load("a.yaml", 0)
        await browser.until("#gone", "mirrord answers, but cannot say how things stand: internal error")
        control.failure = None
        await browser.until("#summary", "No items yet")
        await browser.until("#link-text", "live")


async def test_the_page_asks_for_the_token_for_reading(control: ScriptedControl, browser: Browser) -> None:
    control.put(item_of("a.bin"), State.SYNCED)
    async with server_of(control, read_token="reader") as server:
        await browser.open(server.url)
        for token in ("wrong", "reader"):
            await browser.until("#link-text", "reading needs a token")
            assert "daemon.read_token" in await browser.seen("#token")
            await browser.run(f"document.querySelector('#token-text').value = '{token}'")
            await browser.run("document.querySelector('#token button').click()")
        await browser.until("#summary", "The one object is up to date")
        await browser.until("#link-text", "asking every 2 s, with the token")
        assert await browser.seen("#token") == ""
        control.put(item_of("b.bin"), State.SYNCED)
        await browser.until("#summary", "All 2 objects are up to date")
        await browser.open(server.url)
        await browser.until("#summary", "All 2 objects are up to date")
