"""From rows to items: addresses, keys, and the settings that apply."""

from dataclasses import replace
from typing import Any

import pytest

from mirrord.declared import ListSpec, SourcePrefix
from mirrord.model import DeclaredBytes, Destination, HttpOptions, Options, ProviderName, S3Object, Secret
from mirrord.planning.lists.binding import RowBinding, prefix_source
from mirrord.planning.lists.rows import ListRow

LOCAL = ListSpec(entry="e", location="/srv/l/x.txt", to="s3://bucket/p/", store="s", endpoint="http://s")
WEB = replace(LOCAL, location="https://user:pass@h.example/d/x.txt?sig=1")


def bound(spec: ListSpec, row: ListRow) -> tuple[str, str]:
    item = RowBinding(spec).item(row)
    assert item.id == item.destination.item_id
    return item.origin.address, str(item.destination)


@pytest.mark.parametrize(
    ("spec", "row", "address", "key"),
    [
        (LOCAL, ListRow("https://h/d/a%20b?x=1"), "https://h/d/a%20b?x=1", "p/a b"),
        (LOCAL, ListRow("sub/../a%20b"), "file:///srv/l/a%20b", "p/a%20b"),
        (LOCAL, ListRow("/abs/a"), "file:///abs/a", "p/a"),
        (LOCAL, ListRow("file:///abs/a b"), "file:///abs/a b", "p/a b"),
        (LOCAL, ListRow("d/a:b", "d/a:b", None, True), "file:///srv/l/d/a:b", "p/d/a:b"),
        (LOCAL, ListRow("https://h/a", "x/y z"), "https://h/a", "p/x/y z"),
        (WEB, ListRow("a"), "https://user:pass@h.example/d/a", "p/a"),
        (WEB, ListRow("../a?x"), "https://user:pass@h.example/a?x", "p/a"),
        (WEB, ListRow("//other/a"), "https://other/a", "p/a"),
        (WEB, ListRow("http://127.0.0.1:1/a"), "http://127.0.0.1:1/a", "p/a"),
        (
            WEB,
            ListRow("d/a b#?:ä", "d/a b#?:ä", None, True),
            "https://user:pass@h.example/d/d/a%20b%23%3F%3A%C3%A4",
            "p/d/a b#?:ä",
        ),
        (replace(WEB, to="s3://bucket/{host}{path}"), ListRow("https://H/b/c"), "https://H/b/c", "h/b/c"),
        (replace(WEB, to="s3://bucket/{host}/"), ListRow("https://h/b/c", "k/l"), "https://h/b/c", "h/k/l"),
        (
            replace(WEB, to="s3://bucket/x-{name}"),
            ListRow("a/b", "a/b", None, True),
            "https://user:pass@h.example/d/a/b",
            "x-b",
        ),
        (replace(LOCAL, provider=ProviderName.SEAWEEDFS), ListRow("https://h/a", "a\\b"), "https://h/a", "p/a/b"),
    ],
)
def test_the_source_and_the_object_of_a_row(spec: ListSpec, row: ListRow, address: str, key: str) -> None:
    assert bound(spec, row) == (address, f"s3://bucket/{key}")


@pytest.mark.parametrize(
    ("spec", "row", "reason"),
    [
        (WEB, ListRow("file:///etc/passwd"), "its url is a local file: a list by URL names URLs only"),
        (WEB, ListRow("FILE:///etc/passwd"), "its url is a local file: a list by URL names URLs only"),
        (WEB, ListRow("s3://bucket/x"), "its url is an s3:// source: a list names URLs and paths"),
        (WEB, ListRow("ftp://h/x"), "its url is not a source: it may be an http or https URL, or a path"),
        (LOCAL, ListRow("gopher:x"), "its url is not a source: it may be an http or https URL, or a path"),
        (LOCAL, ListRow("file://host/x"), "its url is no path; write file:///…"),
        (LOCAL, ListRow("a\0b"), "its path holds a NUL"),
        (WEB, ListRow("https://h:port/x"), "this is no URL; check its host and port"),
        (WEB, ListRow("https://h/a b"), "its url is no URL"),
        (WEB, ListRow("<html></html>"), "its url is no URL"),
        (WEB, ListRow('{"error":404}'), "its url is no URL"),
        (LOCAL, ListRow("<html></html>"), "its url is no URL"),
        (WEB, ListRow("http://[::1"), "this is no URL; check its host and port"),
        (WEB, ListRow("https://h/"), "its url has no last path segment for `to`; give it a key"),
        (WEB, ListRow("https://h/a", "../a"), "the key has a segment .."),
        (WEB, ListRow("../a", "../a", None, True), "the key has a segment .."),
        (WEB, ListRow("https://h/%2e%2e"), "the key has a segment .."),
        (WEB, ListRow("https://h/a", "/a"), "the key has an empty segment"),
        (WEB, ListRow("https://h/a", "a/"), "the key has an empty segment"),
        (WEB, ListRow("https://h/a", "a\0"), "the key holds a NUL"),
        (WEB, ListRow("https://h/a", "x" * 1025), "the key has 1,027 bytes, S3 takes 1,024"),
        (
            replace(WEB, to="s3://bucket{path}"),
            ListRow("https://h/a", "k"),
            "it has a key, which is put below `to`: end `to` with /",
        ),
        (replace(WEB, to="s3://{host}/"), ListRow("https://H_H/a"), "`to`: the bucket's name needs 3 to 63"),
    ],
)
def test_a_row_that_makes_no_item(spec: ListSpec, row: ListRow, reason: str) -> None:
    with pytest.raises(ValueError, match="^" + reason.replace(".", r"\.")):
        RowBinding(spec).item(row)


def test_headers_are_for_the_origin_of_a_list_by_url() -> None:
    secret = Options(http=HttpOptions(headers={"X-Token": Secret("t")}))
    web = RowBinding(replace(WEB, options=secret))
    own = ("a", "https://h.example/x", "https://h.example:443/x", "HTTPS://h.example/x".lower())
    other = (
        "https://other/x",
        "http://h.example/x",
        "https://h.example:8443/x",
        "https://h.example.evil/x",
        "//other/x",
    )
    assert all(web.item(ListRow(url)).options is secret for url in own)
    assert not any(web.item(ListRow(url)).options.http.headers for url in other)
    local = RowBinding(replace(LOCAL, options=secret))
    assert local.item(ListRow("https://other/x")).options is secret  # the user wrote both


def test_what_a_row_declares_is_in_its_item() -> None:
    declared = DeclaredBytes(size=1)
    assert RowBinding(WEB).item(ListRow("a", None, declared)).declared is declared


@pytest.mark.parametrize(
    ("name", "changes", "key", "found"),
    [
        ("a/b", {}, "p/a/b", True),
        ("a/b", {"to": "s3://bucket/q/"}, "p/a/b", False),  # it left because of `to`
        ("a/b", {"exclude": ("a",)}, "p/a/b", False),
        ("a/b", {"at": "s3://data/other/"}, "p/a/b", False),
        ("", {}, "p/", False),
    ],
)
def test_the_object_of_a_prefix_that_only_a_listing_took_away(
    name: str, changes: dict[str, Any], key: str, found: bool
) -> None:
    at = Destination("s", "http://s", "data", changes.get("at", "s3://data/in/").removeprefix("s3://data/"))
    prefix = SourcePrefix(at, exclude=changes.get("exclude", ()))
    spec = replace(LOCAL, location=str(at), to=changes.get("to", LOCAL.to), prefix=prefix)
    left = Destination("s", "http://s", "bucket", key)
    expected = S3Object(Destination("s", "http://s", "data", f"in/{name}")) if found else None
    assert prefix_source(spec, f"s3://data/in/{name}", left.item_id) == expected
    assert prefix_source(LOCAL, f"s3://data/in/{name}", left.item_id) is None
