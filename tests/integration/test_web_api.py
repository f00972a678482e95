"""The web application with a real socket and a real client; its daemon is scripted."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from mirrord.errors import JournalUnavailable, Problem, Reason
from mirrord.model import Secret, State, secret_of
from mirrord.status import FolderStatus
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.server import Server
from tests.support.json_schemas import validator
from tests.support.scripted_control import ScriptedControl, item_of, no_metrics, one_metric

TOKEN = "right-token"
SCRIPTS = (
    "page.js",
    "listing.js",
    "groups.js",
    "places.js",
    "item.js",
    "loop.js",
    "feed.js",
    "draw.js",
    "dom.js",
    "words.js",
    "advice.js",
)
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


class Site:
    """A server, its control and an HTTP client."""

    def __init__(self, control: ScriptedControl, url: str, session: aiohttp.ClientSession) -> None:
        self.control = control
        self.url = url
        self.session = session

    async def get(self, path: str, status: int = 200) -> Any:
        async with self.session.get(self.url + path) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json() if answer.content_type.endswith("json") else await answer.text()

    async def post(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        async with self.session.post(self.url + path, headers=headers) as answer:
            return answer.status, await answer.json()


@pytest.fixture
def token() -> str | None:
    return TOKEN


@pytest.fixture
async def site(token: str | None) -> AsyncIterator[Site]:
    control = ScriptedControl()
    app = application(control, one_metric, Access(secret_of(token)), heartbeat=0.05)
    async with Server("127.0.0.1:0", app) as server, aiohttp.ClientSession() as session:
        yield Site(control, server.url, session)


class Reader:
    """Reads server-sent events as a browser does: (event, data) pairs, and comments as (None, text)."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._lines = answer.content

    async def message(self) -> tuple[str | None, str]:
        name, data = None, ""
        while line := (await asyncio.wait_for(self._lines.readline(), 5)).decode():
            field, _, text = line.rstrip("\n").partition(": ")
            if field == "" and text:
                return None, text
            if field == "" and (name or data):
                return name, data
            name, data = (text, data) if field == "event" else (name, text) if field == "data" else (name, data)
        raise EOFError

    async def event(self) -> Any:
        """The next event; skips comments."""
        while True:
            name, data = await self.message()
            if name is not None:
                shown = json.loads(data)
                assert shown["event"] == name
                return shown


# ── health ────────────────────────────────────────────────────────────────────────────────────────
async def test_probes_and_metrics(site: Site) -> None:
    assert await site.get("/livez") == "alive\n"
    assert await site.get("/readyz") == "ready\n"
    async with site.session.get(site.url + "/metrics") as answer:
        assert await answer.read() == b"mirrord_items 1\n"
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_not_ready_gives_the_reason_while_livez_answers_200(site: Site) -> None:
    site.control.reason_not_ready = "stopping"
    assert await site.get("/readyz", 503) == "stopping\n"
    assert await site.get("/livez") == "alive\n"
    assert (await site.get("/api/v1/status"))["not_ready"] == "stopping"


# ── status and items ──────────────────────────────────────────────────────────────────────────────
async def test_status(site: Site) -> None:
    item = site.control.put(item_of("a.bin"), State.SYNCED)
    site.control.start(item, 100)
    site.control.advance(item, 60, 40, 100)
    site.control.load("a.yaml", 1)
    site.control.reject("b.yaml", Problem("b.yaml", 3, 5, "mirrors[0].to", "required"))
    site.control.folders = (FolderStatus(name="inbox", path="/srv/inbox", watching="events"),)
    shown = await site.get("/api/v1/status")
    assert shown["totals"] == {"Transferring": 1}
    assert [(one["destination"], one["bytes_sent"], one["size"]) for one in shown["running"]] == [
        ("s3://mirror/a.bin", 40, 100)
    ]
    assert [(one["file"], one["valid"]) for one in shown["files"]] == [("a.yaml", True), ("b.yaml", False)]
    assert shown["files"][1]["problems"][0] == {
        "file": "b.yaml",
        "line": 3,
        "column": 5,
        "path": "mirrors[0].to",
        "message": "required",
    }
    assert shown["folders"][0]["watching"] == "events"


async def test_items_are_paged_and_filtered(site: Site) -> None:
    for number in range(5):
        site.control.put(item_of(f"geo/{number}.bin"), State.SYNCED)
    bad = site.control.put(item_of("x y&z.bin"), State.BLOCKED, reason=Reason.TOO_LARGE)
    seen, cursor = [], ""
    for _ in range(3):
        page = await site.get(f"/api/v1/items?limit=2&cursor={cursor}")
        seen += [one["id"] for one in page["items"]]
        cursor = page["cursor"]
    assert cursor is None
    assert seen == sorted(site.control.shown)
    assert [one["id"] for one in (await site.get("/api/v1/items?state=Blocked"))["items"]] == [bad.id]
    assert [one["reason"] for one in (await site.get("/api/v1/items?q=x%20y%26z"))["items"]] == ["TooLarge"]
    await site.get("/api/v1/items?entry=geo/3.bin&state=Synced&limit=7")
    assert site.control.asked[-1] == {
        "state": State.SYNCED,
        "entry": "geo/3.bin",
        "text": None,
        "cursor": None,
        "limit": 7,
    }


async def test_one_item(site: Site) -> None:
    item = site.control.put(item_of("a.bin"), State.SYNCED)
    assert (await site.get(f"/api/v1/items/{item.id}"))["destination"] == "s3://mirror/a.bin"
    assert (await site.get("/api/v1/items/0123", 404))["message"] == "there is no item '0123'"


# ── errors ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/v1/items?state=Broken", 400, "'Broken' is no state"),
        ("/api/v1/items?limit=0", 400, "from 1 to 1000"),
        ("/api/v1/items?offset=5", 400, "'offset' is no parameter"),
        ("/api/v1/status?verbose=1", 400, "it has none"),
        ("/api/v2/status", 404, "nothing is served at /api/v2/status"),
        ("/page/../application.py", 404, "nothing is served"),
        ("/api/v1/reload", 405, "/api/v1/reload takes OPTIONS, POST, not GET"),
    ],
)
async def test_every_refusal_is_json_with_a_message(site: Site, path: str, status: int, words: str) -> None:
    assert words in (await site.get(path, status))["message"]


async def test_a_failing_journal_is_reported(site: Site) -> None:
    site.control.failure = JournalUnavailable("the disk is full")
    assert (await site.get("/api/v1/status", 503))["message"] == "the disk is full"


async def test_an_internal_error_is_logged_and_its_text_not_shown(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.control.failure = ZeroDivisionError("hunter2")
    body = await site.get("/api/v1/status", 500)
    assert body["message"] == "internal error, please report it (see the log)"
    assert "GET /api/v1/status" in caplog.text


# ── POST ──────────────────────────────────────────────────────────────────────────────────────────
async def test_with_the_token_items_are_triggered_and_manifests_reloaded(site: Site) -> None:
    item = site.control.put(item_of("a.bin"), State.SYNCED)
    site.control.load("a.yaml", 1)
    assert await site.post(f"/api/v1/items/{item.id}/sync", RIGHT) == (202, {"id": item.id})
    assert site.control.triggered == [item.id]
    status, body = await site.post("/api/v1/reload", RIGHT)
    assert (status, [one["file"] for one in body["files"]]) == (200, ["a.yaml"])
    assert site.control.reloads == 1
    assert (await site.post("/api/v1/items/beef/sync", RIGHT))[0] == 404


async def triggered(site: Site, body: object) -> tuple[int, Any]:
    async with site.session.post(f"{site.url}/api/v1/items/sync", json=body, headers=RIGHT) as answer:
        return answer.status, await answer.json()


async def test_many_items_are_triggered_by_one_request(site: Site) -> None:
    ids = [site.control.put(item_of(f"{number}.bin"), State.SYNCED).id for number in range(499)]
    unknown = "0" * 16
    assert await triggered(site, {"items": [*ids, unknown]}) == (202, {"items": ids, "unknown": [unknown]})
    assert site.control.triggered == ids
    assert await triggered(site, {"items": [ids[0], ids[0]]}) == (202, {"items": [ids[0]], "unknown": []})
    assert site.control.triggered == [*ids, ids[0]]


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], {"items": []}, {"items": ["0" * 15]}, {"items": [7]}, {"items": ["0" * 16] * 501}),
        *({"items": "0" * 16}, {"items": ["0" * 16], "more": 1}, {"items": ["0" * 16 + "\n"]}),
    ],
)
async def test_what_is_no_list_of_ids_is_refused(site: Site, body: object) -> None:
    status, answer = await triggered(site, body)
    assert status == 400
    assert '{"items": ["0123456789abcdef"]}' in answer["message"]
    assert not site.control.triggered


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer \u00fcml\u00e4ut"},
        {"X-Token": TOKEN},
    ],
)
async def test_without_the_token_nothing_happens(site: Site, headers: dict[str, str]) -> None:
    item = site.control.put(item_of("a.bin"), State.SYNCED)
    for path in (f"/api/v1/items/{item.id}/sync", "/api/v1/items/sync", "/api/v1/reload"):
        status, body = await site.post(path, headers)
        assert status == 401
        assert "Authorization: Bearer" in body["message"]
    assert (site.control.triggered, site.control.reloads) == ([], 0)


@pytest.mark.parametrize("token", [None, ""])
@pytest.mark.parametrize("headers", [{}, RIGHT, {"Authorization": "Bearer "}])
async def test_where_no_token_is_set_post_is_off(site: Site, headers: dict[str, str]) -> None:
    status, body = await site.post("/api/v1/reload", headers)
    assert status == 403
    assert "daemon.api_token" in body["message"]
    assert site.control.reloads == 0


# ── the stream ────────────────────────────────────────────────────────────────────────────────────
async def test_events_arrive_as_they_happen(site: Site) -> None:
    item = site.control.put(item_of("a.bin", "https://u:hunter2@example.org/a?sig=hunter2"), State.PENDING)
    async with site.session.get(site.url + "/api/v1/events") as answer:
        assert answer.content_type == "text/event-stream"
        reader = Reader(answer)
        assert await reader.message() == (None, "still here"), "an idle stream must send comments"
        site.control.start(item, 100)
        site.control.fail(item, Reason.SOURCE_DENIED, "403")
        names = [await reader.event() for _ in range(4)]
    assert [one["event"] for one in names] == ["item.changed", "transfer.started", "transfer.failed", "item.changed"]
    assert names[3]["state"] == "Blocked"
    assert names[1]["item"] == item.id
    assert "hunter2" not in json.dumps(names)


async def test_a_reader_that_leaves_is_forgotten(site: Site) -> None:
    async with site.session.get(site.url + "/api/v1/events") as answer:
        await Reader(answer).message()
        assert len(site.control.board._subscriptions) == 1
    await asyncio.wait_for(site.control.left.wait(), 5)
    assert not site.control.board._subscriptions


async def test_streams_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrord.web.stream.MOST", 1)
    async with site.session.get(site.url + "/api/v1/events") as answer:
        await Reader(answer).message()
        assert "1 streams are open" in (await site.get("/api/v1/events", 503))["message"]


async def test_the_end_of_events_ends_the_stream(site: Site) -> None:
    async with site.session.get(site.url + "/api/v1/events") as answer:
        reader = Reader(answer)
        await reader.message()
        site.control.board.close()
        with pytest.raises(EOFError):
            await reader.event()


async def test_an_open_stream_does_not_hold_up_the_end() -> None:
    app = application(ScriptedControl(), no_metrics, Access(None), heartbeat=0.05)
    async with aiohttp.ClientSession() as session:
        async with Server("127.0.0.1:0", app) as server:
            answer = await session.get(server.url + "/api/v1/events")
            await Reader(answer).message()
            before = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - before < 1
        answer.close()


# ── what is common to all answers ─────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("path", ["/", "/page.js", "/api/v1/status", "/api/v1/items?limit=0", "/metrics", "/nowhere"])
async def test_headers_that_protect_the_reader(site: Site, path: str) -> None:
    async with site.session.get(site.url + path) as answer:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Server"] == "mirrord"
        assert "Access-Control-Allow-Origin" not in answer.headers
        kept = {"/": "no-cache", "/page.js": "no-cache", "/api/v1/status": "private, no-cache"}
        assert answer.headers["Cache-Control"] == kept.get(path, "no-store")


async def test_the_page_and_all_that_it_names_are_served(site: Site) -> None:
    page = await site.get("/")
    assert "<script>" not in page
    assert " style=" not in page
    around, _, example = page.partition('<pre id="start-example"')
    around += example.partition("</pre>")[2]  # the example of a manifest is text
    assert "//" not in around.replace("<!doctype html>", ""), "the page must not name another host"
    for path, kind in {
        "page.css": "text/css",
        **dict.fromkeys(SCRIPTS, "text/javascript"),
        "icon.svg": "image/svg+xml",
    }.items():
        async with site.session.get(f"{site.url}/{path}") as answer:
            assert (answer.status, answer.content_type) == (200, kind)
            again = {"If-None-Match": answer.headers["ETag"]}
        async with site.session.get(f"{site.url}/{path}", headers=again) as answer:
            assert answer.status == 304


# ── OpenAPI ───────────────────────────────────────────────────────────────────────────────────────
async def test_the_document_names_every_route_and_nothing_else(site: Site) -> None:
    app = application(ScriptedControl(), no_metrics, Access(Secret(TOKEN)))
    routed = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource
        and route.method != "HEAD"
        and "." not in route.resource.canonical
        and route.resource.canonical not in ("/", "/items/{id}")  # the pages
    }
    document = await site.get("/api/v1/openapi.json")
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == routed | {("GET", "/api/v1/openapi.json")}
    for method, path in described:
        assert (document["paths"][path][method.lower()]["security"] == [{"token": []}]) == (method == "POST")


async def test_real_answers_conform_to_the_openapi_document(site: Site) -> None:
    control = site.control
    item = control.put(item_of("a.bin"), State.PENDING)
    other = control.put(item_of("b.bin"), State.PENDING)
    control.start(item, None)
    control.advance(item, 5, 3, None)
    control.fail(other, Reason.STORE_UNAVAILABLE, "503", retry_in=3.0)
    control.load("a.yaml", 2)
    control.reject("a.yaml", Problem("a.yaml", 1, 1, "", "bad"))
    control.folders = (FolderStatus(name="f", path="/f", watching="poll", last_scan=1.0, files=2),)
    document = await site.get("/api/v1/openapi.json")
    calls = [
        ("GET", "/api/v1/status", {}, 200),
        ("GET", "/api/v1/items", {}, 200),
        ("GET", "/api/v1/entries", {}, 200),
        ("GET", "/api/v1/items/{id}/history", {"id": item.id}, 200),
        ("GET", "/api/v1/items/{id}", {"id": item.id}, 200),
        ("GET", "/api/v1/items/{id}", {"id": "0" * 16}, 404),
        ("POST", "/api/v1/items/{id}/sync", {"id": item.id}, 202),
        ("POST", "/api/v1/reload", {}, 200),
    ]
    for method, path, values, status in calls:
        async with site.session.request(method, site.url + path.format(**values), headers=RIGHT) as answer:
            assert answer.status == status
            body = await answer.json()
        schema = document["paths"][path][method.lower()]["responses"][str(status)]["content"]
        (schema,) = schema.values()
        whole = {**schema["schema"], "components": document["components"]}
        validator(whole).validate(body)
        assert not validator(whole).is_valid({"unheard": 1}), "the check can fail"


@pytest.mark.parametrize("media", ["application/json", "application/json; charset=nonsense"])
@pytest.mark.parametrize("body", [b"[" * 16_000, b"\xff", b"", b"{", b"null"])
@pytest.mark.parametrize("what", [f"{'0' * 16}/restore", "sync"])
async def test_no_body_is_an_internal_error(site: Site, what: str, body: bytes, media: str) -> None:
    path = f"{site.url}/api/v1/items/{what}"
    async with site.session.post(path, data=body, headers={**RIGHT, "Content-Type": media}) as answer:
        assert answer.status == 400, await answer.text()
