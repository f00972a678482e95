"""configs/examples/everything-that-works.yaml has each field with behaviour, and is valid."""

from collections.abc import Iterator
from pathlib import Path

from mirrord.manifest.load import parse
from mirrord.manifest.manifest import load_all
from mirrord.manifest.schema.not_yet import every_field, row_of
from mirrord.manifest.schema.section import Section
from mirrord.planning.items.expand import expand

EXAMPLE = Path(__file__).parents[3] / "configs" / "examples" / "everything-that-works.yaml"


def with_behaviour() -> set[str]:
    """Every field of the schema but those that NOT_YET has as a whole."""
    rows = {path: row_of(tuple(path.split("."))) for path, _ in every_field()}
    return {path for path, row in rows.items() if row is None or not row.whole}


def written(section: Section, names: tuple[str, ...] = ()) -> Iterator[str]:
    """Every field that a document sets, by its dotted path, without `defaults`, which repeats entries."""
    for name in section.model_fields_set - ({"defaults"} if not names else set()):
        value, here = getattr(section, name), (*names, name)
        many = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
        inner = [one for one in many if isinstance(one, Section)]
        if not inner:
            yield ".".join(here)
        for one in inner:
            yield from written(one, here)


def test_it_has_every_field_with_behaviour_and_no_other() -> None:
    found = set(written(parse(EXAMPLE.name, EXAMPLE.read_bytes(), {}).document))
    missing = with_behaviour() - found
    assert not missing, f"write these fields into {EXAMPLE.name}: {sorted(missing)}"
    assert found == with_behaviour()


def test_it_is_valid_without_any_variable() -> None:
    loaded = load_all([str(EXAMPLE)], {})
    assert loaded.problems == ()
    expansion = expand(loaded)
    assert not any(one.problems for one in expansion.files)
    assert len(list(expansion.items)) == 7
    assert len(list(expansion.folders)) == 2
