"""Fixture `moto_server`: moto's server of S3 in a thread of the tests, a store that keeps all in memory.

Owns where moto is no S3: `UNFAITHFUL` has each test of the contract suite that it fails for this reason. Such a test is
expected to fail, and must: one that passes with a newer moto has to leave the table.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from mirrord.model import ProviderName
from tests.support.weed import Server

_CHECKSUMS = "moto compares no checksum and no Content-MD5 with the bytes"
UNFAITHFUL = {
    "test_bytes_that_differ_from_their_checksum_never_become_visible": _CHECKSUMS,
    "test_a_wrong_md5_is_refused_even_by_a_poor_store": _CHECKSUMS,
    "test_a_part_that_differs_from_its_checksum_is_refused": _CHECKSUMS,
    "test_the_whole_of_an_upload_is_proven": _CHECKSUMS,
    "test_the_store_shows_the_full_object_checksum": "moto shows a CRC64NVME to GetObjectAttributes only, not to HEAD",
    "test_a_copy_of_an_object_that_changed_or_is_gone_is_refused": "moto ignores x-amz-copy-source-if-match",
    "test_parts_out_of_order_are_named": "moto puts the parts of CompleteMultipartUpload in order itself",
    "test_an_upload_that_is_gone_is_named": "moto answers 500 to UploadPart of an upload that is gone",
}
"""The reason, by the name of a test."""


def expect_unfaithful(request: pytest.FixtureRequest) -> None:
    """Mark a test that runs at moto, and that moto cannot pass. To be called by a fixture of the test."""
    node: Any = request.node
    if reason := UNFAITHFUL.get(node.originalname):
        node.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Server]:
    """It checks no credentials."""
    from moto.server import ThreadedMotoServer  # takes a second

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield Server(f"http://{host}:{port}", provider=ProviderName.GENERIC)
    finally:
        server.stop()
