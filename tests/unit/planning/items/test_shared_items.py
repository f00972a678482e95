"""A reload needs memory for entries, items and options once: unchanged ones are the same objects."""

import pytest

from mirrord.manifest.manifest import Manifest, join
from mirrord.planning.items.expand import Expansion, expand

ENTRY = "- {{url: 'https://h/{0}', to: 's3://bbb/{0}', every: {1}}}\n"


def expanded(text: str, known: Expansion | None = None) -> Expansion:
    items = {item.id: item for item in known.items} if known else {}
    return expand(join([Manifest.parse("m.yaml", f"mirrors:\n{text}".encode(), {})]), known=items)


def test_items_that_did_not_change_are_the_same_objects() -> None:
    before = expanded(ENTRY.format("a", "6h") + ENTRY.format("b", "6h"))
    after = expanded(ENTRY.format("a", "6h") + ENTRY.format("b", "7h") + ENTRY.format("c", "6h"), before)
    assert [new is old for new, old in zip(after.items, before.items, strict=False)] == [True, False]
    assert [item.options.schedule.every for item in after.items] == [21_600.0, 25_200.0, 21_600.0]


def test_entries_with_equal_plain_values_share_their_options() -> None:
    a, b, c = expanded(ENTRY.format("a", "6h") + ENTRY.format("b", "6h") + ENTRY.format("c", "7h")).items
    assert a.options is b.options
    assert c.options is not a.options


def test_what_equal_items_have_in_common_is_held_once() -> None:
    entry = "- {{url: 'https://h/{0}', to: 's3://bbb/{0}', max_size: 1MiB, object: {{metadata: {{id: {0}}}}}}}\n"
    a, b = expanded(entry.format("a") + entry.format("b")).items
    assert a.options.object != b.options.object
    assert a.options.schedule is b.options.schedule
    assert a.options.requires is b.options.requires
    assert a.options.object.tags is b.options.object.tags
    assert a.destination.bucket is b.destination.bucket
    assert a.destination.endpoint is b.destination.endpoint


@pytest.mark.parametrize(
    "changed", ["every: 7h", "every: 6h, object: {metadata: {id: 'b'}}", "every: 6h, verify: readback"]
)
def test_entries_that_did_not_change_are_shared_with_the_former_version(changed: str) -> None:
    text = "mirrors:\n" + ENTRY.format("a", "6h") + "- {url: 'https://h/b', to: 's3://bbb/b', every: 6h}\n"
    before = Manifest.parse("m.yaml", text.encode(), {})
    edited = text.replace("b', every: 6h", f"b', {changed}") + ENTRY.format("c", "6h")
    after = Manifest.parse("m.yaml", edited.encode(), {}, former=before)
    kept = [new is old for new, old in zip(after.document.mirrors, before.document.mirrors, strict=False)]
    assert kept == [True, False]
    assert after == Manifest.parse("m.yaml", edited.encode(), {})
    assert len(after.document.mirrors) == 3
