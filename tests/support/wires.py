"""The value of `wire` in the stores of tests: both values in the contracts of S3Store, else that of MIRRORD_TEST_WIRE.

`MIRRORD_TEST_WIRE=sdk pytest tests/fault` runs the fault suite with every call by aiobotocore.
"""

import os
from collections.abc import Iterator

import pytest

from mirrord.declared import RequestOptions

_chosen = os.environ.get("MIRRORD_TEST_WIRE", "auto")


def chosen_wire() -> str:
    return _chosen


def request_options() -> RequestOptions:
    return RequestOptions(wire=_chosen)


@pytest.fixture(params=["auto", "sdk"])
def both_wires(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test with both values; `pytestmark = pytest.mark.usefixtures("both_wires")` does it for a module."""
    global _chosen
    before, _chosen = _chosen, request.param
    yield _chosen
    _chosen = before
