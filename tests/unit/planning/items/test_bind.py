"""The names of a folder's files, and their addresses in records."""

import pytest

from mirrord.declared import FileSelection, FolderSpec, FolderTarget
from mirrord.model import DeleteFile, File, Origin, Url
from mirrord.planning.items.bind import file_of, name_of, recorded_origin

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
