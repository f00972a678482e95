"""Known faults by the Server header: the versions that have them, and no other server."""

import re

import pytest

from mirrord.model import ProviderName
from mirrord.providers import facts_of
from mirrord.providers.facts import FactName
from mirrord.providers.faults import SEAWEEDFS_FAULTS, known_faults

ABORT, LISTING = "destroys the object; upgrade it to 4.48 or newer", "before its prefix is empty; upgrade it to 4.48"


@pytest.mark.parametrize(
    ("server", "faults"),
    [
        ("SeaweedFS 30GB 4.47", (ABORT, LISTING)),
        ("SeaweedFS 30GB 4.44", (ABORT, LISTING)),
        ("SeaweedFS 30GB 4.43", (ABORT,)),
        ("SeaweedFS 8000GB 3.99", (ABORT,)),
        ("SeaweedFS/4.10", (ABORT,)),
        ("seaweedfs v4.47.1", (ABORT, LISTING)),
        ("SeaweedFS 30GB 4.5", (ABORT,)),
        ("SeaweedFS 30GB 4.48", ()),
        ("SeaweedFS 30GB 4.48.1", ()),
        ("SeaweedFS 30GB 4.100", ()),
        ("SeaweedFS 30GB 5.0", ()),
        ("SeaweedFS", ()),
        ("SeaweedFS 30GB", ()),
        ("MinIO", ()),
        ("AmazonS3", ()),
        ("VERSITYGW", ()),
        ("Ceph Object Gateway (squid)", ()),
        ("nginx/1.4", ()),
        ("", ()),
        ("SeaweedFS 30GB " + "4." * 5_000, (ABORT,)),
    ],
)
def test_the_faults_of_a_version(server: str, faults: tuple[str, ...]) -> None:
    found = known_faults(server)
    assert len(found) == len(faults)
    for text, words in zip(found, faults, strict=True):
        assert text.startswith("SeaweedFS ")
        assert words in text


def test_the_sheet_of_the_product_has_them() -> None:
    known = facts_of(ProviderName.SEAWEEDFS)
    assert set(known.texts(FactName.FAULTS)) > {one.summary for one in SEAWEEDFS_FAULTS}
    assert all(re.match(r"https://\S+$|measured: .+", one.source) for one in SEAWEEDFS_FAULTS)
