"""A reload needs memory for items and options once: unchanged ones are the same objects."""

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
