"""Reads of the API that are repeated: ETags, and pages while entries come and go; methods and parameters that a path
does not have. The daemon is scripted, the server real."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from mirrord.model import Secret, State
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.server import Server
from tests.support.scripted_control import ScriptedControl, item_of, one_metric

READS = ["/api/v1/status", "/api/v1/items", "/api/v1/entries"]


class Site:
    def __init__(self, control: ScriptedControl, url: str, session: aiohttp.ClientSession) -> None:
        self.control, self.url, self._session = control, url, session

    async def ask(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], Any]:
        """Status, headers, and the body as JSON; None without one."""
        async with self._session.request(method, self.url + path, headers=headers) as answer:
            is_json = method != "HEAD" and answer.content_type.endswith("json")
            return answer.status, answer.headers, await answer.json() if is_json else None


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    control = ScriptedControl()
    for number in range(6):
        control.put(item_of(f"{number}.bin", entry=f"entry {number}"), State.SYNCED, size=number)
    app = application(control, one_metric, Access(Secret("token")))
    async with Server("127.0.0.1:0", app) as server, aiohttp.ClientSession() as session:
        yield Site(control, server.url, session)


# ── ETags ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("path", [*READS, "item", "history"])
async def test_what_did_not_change_is_304_and_what_changed_is_not(site: Site, path: str) -> None:
    item = next(iter(site.control.things.values()))
    path = {"item": f"/api/v1/items/{item.id}", "history": f"/api/v1/items/{item.id}/history"}.get(path, path)
    status, first, _ = await site.ask(path)
    assert (status, first["Cache-Control"]) == (200, "private, no-cache")
    for known in (first["ETag"], f'"other", W/{first["ETag"]}', "*"):
        status, again, body = await site.ask(path, headers={"If-None-Match": known})
        assert (status, again["ETag"], body) == (304, first["ETag"], None)
    assert (await site.ask(path, "HEAD"))[1]["ETag"] == first["ETag"]
    for other in ('"other"', "nonsense", first["ETag"].strip('"')):
        assert (await site.ask(path, headers={"If-None-Match": other}))[0] == 200
    if not path.endswith("history"):
        site.control.change(item, State.BLOCKED)
        status, after, _ = await site.ask(path, headers={"If-None-Match": first["ETag"]})
        assert status == 200
        assert after["ETag"] != first["ETag"]


async def test_an_error_has_no_etag(site: Site) -> None:
    status, headers, _ = await site.ask("/api/v1/items/0123", headers={"If-None-Match": "*"})
    assert (status, headers["Cache-Control"]) == (404, "no-store")
    assert "ETag" not in headers


# ── pages ─────────────────────────────────────────────────────────────────────────────────────────
async def test_pages_of_entries_neither_hide_nor_repeat_others_while_entries_come_and_go(site: Site) -> None:
    _, _, page = await site.ask("/api/v1/entries?limit=2")
    assert [one["name"] for one in page["entries"]] == ["entry 0", "entry 1"]
    assert page["entries"][1] == {
        "name": "entry 1",
        "kind": "mirror",
        "items": 1,
        "states": {"Synced": 1},
        "size": 1,
        "last_pass": None,
        "staleness": None,
        "problems": [],
    }
    for item in [one for one in site.control.things.values() if one.entry in ("entry 1", "entry 2")]:
        del site.control.shown[item.id]
    site.control.put(item_of("new", entry="an entry before"))
    site.control.put(item_of("late", entry="entry 3½"))
    names, cursor = [], page["cursor"]
    while cursor is not None:
        _, _, page = await site.ask(f"/api/v1/entries?limit=2&cursor={cursor}")
        names += [one["name"] for one in page["entries"]]
        cursor = page["cursor"]
    assert names == ["entry 3", "entry 3½", "entry 4", "entry 5"]


# ── what a path does not have ─────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/v1/entries?cursor=nonsense!", "cursor is 'nonsense!'"),
        ("/api/v1/items?cursor=abc", "cursor is 'abc'"),
        ("/api/v1/entries?limit=1001", "from 1 to 1000"),
        ("/api/v1/entries?state=Synced", "'state' is no parameter of this path: it has cursor, limit"),
        ("/api/v1/status?a=1", "'a' is no parameter of this path: it has none"),
        ("/api/v1/events?a=1", "'a' is no parameter"),
        ("/api/v1/openapi.json?a=1", "'a' is no parameter"),
        ("/api/v1/items/0123456789abcdef?a=1", "'a' is no parameter"),
        ("/api/v1/items/0123456789abcdef/history?a=1", "'a' is no parameter"),
    ],
)
async def test_a_wrong_query_is_400_with_a_problem_document(site: Site, path: str, words: str) -> None:
    status, headers, body = await site.ask(path)
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert words in body["detail"]
    assert (body["type"], body["title"], body["status"]) == ("about:blank", "Bad Request", 400)
    assert body["instance"] == path.partition("?")[0]


async def test_a_post_with_an_unknown_parameter_changes_nothing(site: Site) -> None:
    token = {"Authorization": "Bearer token"}
    item = next(iter(site.control.things))
    for path in ("/api/v1/reload", f"/api/v1/items/{item}/sync", "/api/v1/entries/entry%200/sync"):
        assert (await site.ask(f"{path}?force=1", "POST"))[0] == 401, "the token comes first"
        assert (await site.ask(f"{path}?force=1", "POST", token))[0] == 400
    assert (site.control.reloads, site.control.triggered) == (0, [])


@pytest.mark.parametrize("path", ["/livez?x=1", "/readyz?x=1", "/metrics?x=1", "/?x=1"])
async def test_probes_metrics_and_page_take_any_query(site: Site, path: str) -> None:
    assert (await site.ask(path))[0] == 200


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/status", "GET, HEAD, OPTIONS"),
        ("/api/v1/entries", "GET, HEAD, OPTIONS"),
        ("/api/v1/reload", "OPTIONS, POST"),
        ("/livez", "GET, HEAD, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_the_methods_of_a_path(site: Site, path: str, allowed: str) -> None:
    status, headers, _ = await site.ask(path, "OPTIONS")
    assert (status, headers["Allow"]) == (204, allowed)
    assert "Access-Control-Allow-Origin" not in headers
    status, headers, body = await site.ask(path, "DELETE")
    assert (status, headers["Allow"], body["title"]) == (405, allowed, "Method Not Allowed")
    assert (await site.ask(path, "OPTIONS", {"Origin": "https://evil.example"}))[0] == 403
    assert (await site.ask("/nowhere", "OPTIONS"))[0] == 404
