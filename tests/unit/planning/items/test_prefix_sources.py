"""Mirrors whose source is a prefix, or an object of a store: from a manifest to items and lists."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mirrord.manifest.manifest import load_all
from mirrord.model import Destination, S3Object
from mirrord.planning.items.expand import Expansion, expand

STORES = """
stores:
  here: {provider: generic, endpoint_url: "http://here", credentials: {access_key_id: a, secret_access_key: b}}
  also: {provider: generic, endpoint_url: "http://HERE/", credentials: {access_key_id: a, secret_access_key: b}}
  keys: {provider: generic, endpoint_url: "http://here", credentials: {access_key_id: c, secret_access_key: d}}
  there: {provider: generic, endpoint_url: "http://there"}
defaults: {store: here}
mirrors:
"""
Of = Callable[[str], Expansion]


@pytest.fixture
def of(tmp_path: Path) -> Of:
    def expansion(mirror: str) -> Expansion:
        file = tmp_path / "m.yaml"
        file.write_text(f"{STORES}  - {{{mirror}}}\n")
        loaded = load_all([str(file)], {})
        assert loaded.problems == ()
        return expand(loaded)

    return expansion


def problem(expansion: Expansion) -> str:
    (found,) = expansion.problems
    return f"{found.path}: {found.message}"


@pytest.mark.parametrize(
    ("from_store", "store", "endpoint"),
    [
        ("here", "here", "http://here"),
        ("also", "here", "http://here"),  # the same store with the same credentials can copy its own objects
        ("keys", "keys", "http://here"),
        ("there", "there", "http://there"),
    ],
)
def test_the_store_of_a_source(of: Of, from_store: str, store: str, endpoint: str) -> None:
    (item,) = of(f"url: s3://source/a b/c?d#e, from_store: {from_store}, to: s3://copy/x/").items
    assert item.origin == S3Object(Destination(store, endpoint, "source", "a b/c?d#e"))
    assert str(item.destination) == "s3://copy/x/c?d#e"
    assert item.shown_source == "s3://source/a b/c?d#e"


def test_sources_of_two_stores_have_two_identities(of: Of) -> None:
    found = [of(f"url: s3://source/a, from_store: {name}, to: s3://copy/").items[0] for name in ("here", "there")]
    assert found[0].origin.fingerprint != found[1].origin.fingerprint


@pytest.mark.parametrize(
    ("to", "key"),
    [("s3://copy/{host}{path}", "source/d/a.txt"), ("s3://copy/x-{name}", "x-a.txt"), ("s3://copy{path}", "d/a.txt")],
)
def test_placeholders_of_an_object(of: Of, to: str, key: str) -> None:
    (item,) = of(f"url: s3://source/d/a.txt, to: '{to}'").items
    assert item.destination.key == key


def test_a_prefix_is_a_list(of: Of) -> None:
    expansion = of("url: s3://source/data/, from_store: there, to: s3://copy/data/, include: ['*.csv'], exclude: [x/]")
    (spec,) = expansion.lists
    assert (expansion.items, spec.entry, spec.location) == ((), "s3://copy/data/", "s3://source/data/")
    assert spec.prefix is not None
    assert spec.prefix.at == Destination("there", "http://there", "source", "data/")
    assert (spec.prefix.include, spec.prefix.exclude) == (("*.csv",), ("x/",))
    assert (spec.scheduled, spec.by_url) == (True, False)


@pytest.mark.parametrize(
    ("mirror", "message"),
    [
        ("url: s3://source/a, to: s3://source/", "to: s3://source/a is its own source; give it another key or bucket"),
        ("url: s3://source/a/, to: s3://source/a/", "to: s3://source/a/ is below its own source s3://source/a/"),
        ("url: s3://source/a/, to: s3://source/a/b/", "to: s3://source/a/b/ is below its own source s3://source/a/"),
        ("url: s3://source/, to: s3://source/a/", "to: s3://source/a/ is below its own source s3://source/"),
        ("url: s3://source/a/, from_store: also, to: s3://source/a/b/", "to: s3://source/a/b/ is below its own"),
        ("url: s3://source/a/, from_store: keys, to: s3://source/a/b/", "to: s3://source/a/b/ is below its own"),
        ("url: s3://source/a/, to: s3://copy/b", "to: every row would have the same key"),
        ("url: s3://source/a/, to: s3://copy/b/, matrix: {v: [x]}", "matrix: a prefix has no matrix"),
        ("url: s3://So/a, to: s3://copy/b", "url: the bucket's name needs"),
        ("url: s3://So/a/, to: s3://copy/b/", "url: the bucket's name needs"),
    ],
)
def test_a_source_that_makes_no_copy(of: Of, mirror: str, message: str) -> None:
    assert problem(of(mirror)).startswith(f"mirrors[0].{message}")


@pytest.mark.parametrize(
    "mirror",
    [
        "url: s3://source/a/, from_store: there, to: s3://source/a/",
        "url: s3://source/a/, to: s3://source/ab/",
        "url: s3://source/a/b/, to: s3://source/a/",
        "url: s3://source/a/, to: s3://copy/a/",
    ],
)
def test_prefixes_that_do_not_grow(of: Of, mirror: str) -> None:
    assert len(of(mirror).lists) == 1
