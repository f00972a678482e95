"""Each fact of a profile that a store can show, at a double of the product, at SeaweedFS, and at a store that
MIRRORD_TEST_STORE_… names."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from mirrord.model import ProviderName
from mirrord.providers import facts_of
from mirrord.providers.facts import FactName
from mirrord.s3.session import S3Store
from tests.support import store_doubles
from tests.support.fact_probes import PROBES, Probed
from tests.support.named_store import NAMED
from tests.support.proxy import StoreProxy
from tests.support.store_doubles import Quirks
from tests.support.weed import Server, fresh_bucket

DOUBLES: dict[ProviderName, Callable[[], Quirks]] = {
    ProviderName.CEPH: store_doubles.ceph,
    ProviderName.MINIO: store_doubles.minio,
    ProviderName.R2: lambda: store_doubles.r2(limited=False),
    ProviderName.STORJ: store_doubles.storj,
    ProviderName.B2: store_doubles.b2,
    ProviderName.GCS: store_doubles.gcs,
    ProviderName.SCALEWAY: store_doubles.scaleway,
    ProviderName.YANDEX: store_doubles.yandex,
    ProviderName.SEAWEEDFS: Quirks,
    ProviderName.EMBEDDED: Quirks,
}
NOT_SHOWN = {(ProviderName.SEAWEEDFS, FactName.LATE_ABORT), (ProviderName.EMBEDDED, FactName.LATE_ABORT)}
"""Unsafe before 4.48 only, and after a kill of the filer."""
SHOWN = [
    (name, fact)
    for name in DOUBLES
    for fact in PROBES
    if fact in facts_of(name).facts and (name, fact) not in NOT_SHOWN
]
OF_THE_NAMED = [(one, fact) for one in NAMED[:1] for fact in PROBES]


@pytest.mark.parametrize(("name", "fact"), [*SHOWN, *OF_THE_NAMED])
async def test_a_store_shows_the_fact_of_its_profile(request: pytest.FixtureRequest, name: str, fact: FactName) -> None:
    if name in NAMED:
        server: Server = request.getfixturevalue("named")
        bucket = fresh_bucket(server.client())
    else:
        proxy: StoreProxy = request.getfixturevalue("store_proxy")
        bucket = request.getfixturevalue("bucket")
        DOUBLES[ProviderName(name)]().install(proxy)
        server = replace(proxy.server, provider=ProviderName(name))
    known = facts_of(server.provider)
    async with S3Store(server.options()) as store:
        assert fact not in known.facts or await PROBES[fact](Probed(store, bucket)) == known.value(fact)
