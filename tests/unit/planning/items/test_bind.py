"""The names of a folder's files, their keys and ids, and their addresses in records."""

from dataclasses import replace

import pytest

from mirrord.declared import FileSelection, FolderSpec, FolderTarget
from mirrord.errors import KeyRefused
from mirrord.model import DeleteFile, File, ItemIds, Origin, ProviderName, Url
from mirrord.planning.items.bind import file_of, item_of, key_of, name_of, recorded_origin

FOLDER = FolderSpec(
    entry="in",
    path="/srv/in",
    target=FolderTarget(store="s", endpoint="", bucket="b"),
    selection=FileSelection(follow_symlinks=True),
    after_upload=DeleteFile(),
)


@pytest.mark.parametrize(
    ("address", "name", "origin"),
    [
        ("file:///srv/in/sub/a", "sub/a", File("/srv/in", "sub/a", follow=True, after_upload=DeleteFile())),
        ("file:///srv/inbox/a", None, File(None, "/srv/inbox/a")),
        ("file:///srv/in", None, File(None, "/srv/in")),
        ("https://h/srv/in/a", None, Url("https://h/srv/in/a")),
    ],
)
def test_a_record_names_a_file_of_its_folder_or_something_else(address: str, name: str | None, origin: Origin) -> None:
    assert (name_of(FOLDER, address), recorded_origin(FOLDER, address)) == (name, origin)
    if name is not None:
        assert file_of(FOLDER, name).address == address


@pytest.mark.parametrize("provider", [ProviderName.GENERIC, ProviderName.MINIO])
@pytest.mark.parametrize(
    ("template", "name", "key"),
    [
        ("{path}", "a/b.csv", "a/b.csv"),
        ("in/{path}", "a/b.csv", "in/a/b.csv"),
        ("in {{x}}/{path}", "ü😀 +.csv", "in {x}/ü😀 +.csv"),
        ("{path}.gz", "a/b.csv", "a/b.csv.gz"),
        ("{name}", "a/b.csv", "b.csv"),
        ("{stem}/{path}{ext}", "a/b.csv", "b/a/b.csv.csv"),
        ("in/{path}", "a/{name}", "in/a/{name}"),
    ],
)
def test_a_key_is_its_template_filled_and_its_id_that_of_its_item(
    template: str, name: str, key: str, provider: ProviderName
) -> None:
    target = FolderTarget(store="s", endpoint="https://h", bucket="bucket", provider=provider, key=template)
    folder = replace(FOLDER, target=target)
    item = item_of(folder, name, 0.0)
    assert key_of(folder, name, 0.0) == item.destination.key == key
    assert ItemIds("https://h", "bucket").of(key) == item.id == item.destination.item_id


@pytest.mark.parametrize("name", ["../a", "a//b", "a\0b", "b" * 1100])
def test_a_name_that_makes_no_key_is_refused(name: str) -> None:
    folder = replace(FOLDER, target=replace(FOLDER.target, key="in/{path}"))
    with pytest.raises(KeyRefused):
        key_of(folder, name, 0.0)
