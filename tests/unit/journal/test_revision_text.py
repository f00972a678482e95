"""The JSON of a revision in the journal: the same text as the standard encoder's."""

import json
from dataclasses import asdict

import pytest

from mirrord.journal.sql.rows import from_transfer
from mirrord.model import Destination, Revision, Transfer, TransferKind

REVISIONS = [
    Revision(address="a"),
    Revision(address="a", length=0, departs=True),
    Revision(address='q"\\', etag='W/"ключ-\udcff"', last_modified="\n", length=2**40, digest="md5:0", location="l"),
]


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_revision_is_written_as_json_writes_it(revision: Revision) -> None:
    at = Destination("s", "", "b", "k")
    row = from_transfer(
        Transfer(id="t", item_id="i", destination=at, revision=revision, kind=TransferKind.PUT, started=0.0)
    )
    known = {name: value for name, value in asdict(revision).items() if value is not None}
    assert json.dumps(known) in row
