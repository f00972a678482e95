"""A store of the developer's for the contract suite, named by MIRRORD_TEST_STORE_ENDPOINT_URL, _ACCESS_KEY_ID,
_SECRET_ACCESS_KEY and _PROVIDER (generic if absent). The tests create buckets there, named contract-…, and leave them.
"""

import os

import pytest

from mirrord.model import ProviderName
from tests.support.weed import Server

_PREFIX = "MIRRORD_TEST_STORE_"
NAMED = [f"named{wire}" for wire in ("", " by the SDK") if f"{_PREFIX}ENDPOINT_URL" in os.environ]
"""The subjects that a suite has besides its own: none without these variables."""


@pytest.fixture(scope="session")
def named() -> Server:
    """The store of the variables."""
    return Server(
        os.environ[f"{_PREFIX}ENDPOINT_URL"],
        os.environ[f"{_PREFIX}ACCESS_KEY_ID"],
        os.environ[f"{_PREFIX}SECRET_ACCESS_KEY"],
        ProviderName(os.environ.get(f"{_PREFIX}PROVIDER", ProviderName.GENERIC)),
    )
