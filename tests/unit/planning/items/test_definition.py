"""The digest of an item's definition: equal in each process, and different for each difference that matters."""

import subprocess
import sys
from dataclasses import replace

import pytest

from mirrord.declared import StoreOptions
from mirrord.model import (
    DeclaredBytes,
    Destination,
    File,
    HttpOptions,
    Item,
    ObjectOptions,
    Options,
    ProviderName,
    S3Object,
    Secret,
    Url,
)
from mirrord.planning.items.definition import definition, may_run_elsewhere

AT = Destination("default", "http://127.0.0.1:9000", "bkt", "a/b")
OPTIONS = Options(
    http=HttpOptions(headers={"X-Key": Secret("hunter2"), "A": Secret("b")}),
    object=ObjectOptions(metadata={"b": "1", "a": "2"}, tags={"t": "u"}),
)
ITEM = Item(id=AT.item_id, entry="rows", origin=Url("https://example.org/a?token=x"), destination=AT, options=OPTIONS)


def test_it_is_the_same_in_another_process() -> None:
    """Hashes of texts differ from process to process."""
    script = "from tests.unit.planning.items.test_definition import ITEM, definition; print(definition(ITEM))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == definition(ITEM)
    assert definition(replace(ITEM, options=replace(OPTIONS))) == definition(ITEM), "of an equal instance"


@pytest.mark.parametrize(
    "other",
    [
        replace(ITEM, entry="others"),
        replace(ITEM, origin=Url("https://example.org/a?token=y")),
        replace(ITEM, urls=(ITEM.origin, Url("https://example.net/a"))),
        replace(ITEM, destination=replace(AT, bucket="other")),
        replace(ITEM, declared=DeclaredBytes(size=3)),
        replace(ITEM, options=replace(OPTIONS, adopt=False)),
        replace(ITEM, options=replace(OPTIONS, object=replace(OPTIONS.object, retain=5.0))),
        replace(ITEM, options=replace(OPTIONS, object=replace(OPTIONS.object, metadata={"b": "1", "a": "3"}))),
        replace(ITEM, options=replace(OPTIONS, http=HttpOptions(headers={"X-Key": Secret("hunter2")}))),
    ],
)
def test_each_difference_gives_another_digest(other: Item) -> None:
    assert definition(other) != definition(ITEM)


def test_values_of_secrets_are_no_part_of_it() -> None:
    http = HttpOptions(headers={"X-Key": Secret("else"), "A": Secret("b")})
    assert definition(replace(ITEM, options=replace(OPTIONS, http=http))) == definition(ITEM)


def test_files_and_deletions_stay_on_their_host() -> None:
    assert may_run_elsewhere(ITEM)
    assert not may_run_elsewhere(replace(ITEM, gone=True))
    assert not may_run_elsewhere(replace(ITEM, origin=File(None, "/a")))
    assert not may_run_elsewhere(replace(ITEM, urls=(ITEM.origin, File(None, "/a"))))


def test_objects_of_embedded_stores_stay_on_their_host() -> None:
    embedded = replace(AT, endpoint=StoreOptions(name="s", provider=ProviderName.EMBEDDED).endpoint)
    assert not may_run_elsewhere(replace(ITEM, destination=embedded))
    assert not may_run_elsewhere(replace(ITEM, origin=S3Object(embedded)))
    assert may_run_elsewhere(replace(ITEM, origin=S3Object(AT)))
