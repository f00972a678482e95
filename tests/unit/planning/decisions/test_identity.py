"""When a file is the recorded one, also after its device got another number."""

from dataclasses import fields, replace

import pytest

from mirrord.model import FileIdentity, Revision
from mirrord.planning.decisions.identity import same_revision, same_state

FILE = FileIdentity(device=1, inode=2, size=3, mtime_ns=4, ctime_ns=5)
OF_FILE = Revision(address="a", length=3, file=FILE)
OF_URL = Revision(address="a", length=3, etag='"1"')


@pytest.mark.parametrize("field", [field.name for field in fields(FileIdentity)])
def test_a_file_on_a_device_of_another_number_is_the_same(field: str) -> None:
    other = replace(FILE, **{field: 9})
    assert same_state(other, FILE) is (field == "device")
    assert same_state(FILE, FILE)
    assert same_revision(replace(OF_FILE, file=other), OF_FILE) is (field == "device")


def test_an_unknown_state_is_never_the_same() -> None:
    assert not same_state(None, FILE)
    assert not same_state(FILE, None)
    assert not same_state(None, None)


@pytest.mark.parametrize(
    ("now", "then", "verdict"),
    [
        (OF_URL, OF_URL, True),
        (OF_URL, replace(OF_URL, etag='"2"'), False),
        (OF_URL, None, False),
        (OF_FILE, None, False),
        (OF_FILE, OF_URL, False),
        (OF_URL, OF_FILE, False),
        (replace(OF_FILE, address="b", file=replace(FILE, device=9)), OF_FILE, False),
        (replace(OF_FILE, digest="sha256:x", file=replace(FILE, device=9)), OF_FILE, False),
    ],
)
def test_the_rest_of_a_revision_counts(now: Revision, then: Revision | None, verdict: bool) -> None:
    assert same_revision(now, then) is verdict
