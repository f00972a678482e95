"""The keys of the customer in manifests: from the names in the store to the digests in options and addresses."""

from pathlib import Path

import pytest

from mirrord.manifest.manifest import load_all
from mirrord.planning.items.bind import item_of
from mirrord.planning.items.expand import Expansion, expand, validate
from mirrord.planning.lists.binding import RowBinding
from mirrord.planning.lists.rows import ListRow
from tests.support.customer_keys import DIGEST_OF_FIRST, DIGEST_OF_SECOND, FIRST, SECOND

DEFAULTS = "defaults: {object: {encryption: {mode: SSE-C, customer_key: one}}}\n"


def store(*fields: str, key: str = FIRST) -> str:
    keys = f"customer_keys: {{one: '{key}', two: '{SECOND}'}}"
    return f"stores: {{default: {{{', '.join((*fields, keys))}}}}}\n"


def expanded(home: Path, text: str) -> Expansion:
    file = home / "m.yaml"
    file.write_text(text)
    loaded = load_all([str(file)], {})
    assert loaded.problems == ()
    return expand(loaded)


def problems(home: Path, text: str, **given: bool) -> list[str]:
    file = home / "m.yaml"
    file.write_text(text)
    return [f"{one.line}: {one.path}: {one.message}" for one in validate([str(file)], {}, **given)]


def test_every_kind_of_item_has_the_key_in_its_options_and_in_its_address(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("")
    body = (
        "mirrors:\n"
        "- {url: 'https://h/a', to: 's3://bbb/a'}\n"
        "- {url: 'https://h/b', to: 's3://bbb/b', object: {encryption: {mode: SSE-C, customer_key: two}}}\n"
        "- {url: 'https://h/c', to: 's3://bbb/c', object: {encryption: {mode: AES256}}}\n"
        "- {list: list.txt, to: 's3://bbb/l/'}\n"
        "folders: [{path: inbox, to: 's3://bbb/in/'}]\n"
    )
    made = expanded(tmp_path, store("provider: aws") + DEFAULTS + body)
    items = {item.destination.key: item for item in made.items}
    (folder,), (listed,) = made.folders, made.lists
    row = ListRow("https://h/x", "x")
    items |= {"in": item_of(folder, "x", 0.0), "l": RowBinding(listed).item(row)}
    keys = {name: (item.destination.customer_key, item.options.object.customer_key) for name, item in items.items()}
    first, second = (DIGEST_OF_FIRST,) * 2, (DIGEST_OF_SECOND,) * 2
    assert keys == {"a": first, "b": second, "c": (None, None), "in": first, "l": first}
    assert [items[name].options.object.encryption for name in ("a", "c")] == [None, "AES256"]
    assert FIRST not in repr(made)


def test_entries_with_one_key_share_their_options(tmp_path: Path) -> None:
    body = "mirrors: {" + ", ".join(f"'https://h/{n}': 's3://bbb/{n}'" for n in range(50)) + "}\n"
    made = expanded(tmp_path, store("provider: aws") + DEFAULTS + body)
    assert len({id(item.options) for item in made.items}) == 1


ENTRY = "mirrors: [{url: 'https://h/a', to: 's3://bbb/a'}]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            store("provider: aws") + DEFAULTS.replace("one", "onee") + ENTRY,
            "3: mirrors[0].object.encryption.customer_key: the store 'default' has no key of this name; "
            "did you mean one?",
        ),
        (
            DEFAULTS + ENTRY,
            "2: mirrors[0].object.encryption.customer_key: the store 'default' has no key of this name; add it as "
            "stores.default.customer_keys.one",
        ),
        (
            store("provider: minio", "endpoint_url: 'http://minio.example'") + DEFAULTS + ENTRY,
            "3: mirrors[0].object.encryption.mode: SSE-C sends the key with each request, and endpoint_url of the "
            "store 'default' is http: use https",
        ),
        (
            store(key=FIRST[4:]) + DEFAULTS + ENTRY,
            "1: stores.default.customer_keys.one: the value is not a key for SSE-C; write base64 of 32 bytes, as "
            "`openssl rand -base64 32` makes it",
        ),
        (
            store(key="${UNSET}") + DEFAULTS + ENTRY,
            "1: stores.default.customer_keys.one: the variable UNSET is not set; set it, or write ${UNSET:-default}",
        ),
        (
            store() + DEFAULTS.replace(", customer_key: one", "") + ENTRY,
            "2: defaults.object.encryption.customer_key: is missing; name one of the store's customer_keys",
        ),
        (
            store() + DEFAULTS.replace("customer_key: one", f"customer_key: '{FIRST}'") + ENTRY,
            "2: defaults.object.encryption.customer_key: the value is a key itself; write it in customer_keys of the "
            "store, and its name here",
        ),
        (
            store(key="").replace("one: ''", "one: 12") + DEFAULTS + ENTRY,
            "1: stores.default.customer_keys.one: the value is not a key for SSE-C; write base64 of 32 bytes in quotes",
        ),
        (
            store() + DEFAULTS.replace("SSE-C", "AES256") + ENTRY,
            "2: defaults.object.encryption.customer_key: only with mode: SSE-C",
        ),
        (
            store() + DEFAULTS.replace("customer_key: one", "customer_key: one, kms_key_id: x") + ENTRY,
            "2: defaults.object.encryption.kms_key_id: only with mode: aws:kms",
        ),
    ],
)
def test_faults(tmp_path: Path, text: str, message: str) -> None:
    assert problems(tmp_path, text) == [message]


@pytest.mark.parametrize(
    "text",
    [
        store(key="${UNSET}") + DEFAULTS + ENTRY,
        store() + DEFAULTS.replace("one", "'${UNSET}'") + ENTRY,
        store("provider: minio", "endpoint_url: 'http://localhost:9000'") + DEFAULTS + ENTRY,
        store("provider: embedded") + DEFAULTS + ENTRY,
    ],
)
def test_no_fault(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text, allow_unset=True) == []
