"""What `doctor` says about the answers of a store to reads."""

import pytest

from mirrord.declared import StoreOptions
from mirrord.errors import BucketMissing, StoreDenied, StoreError, StoreUnavailable
from mirrord.model import ProviderName
from mirrord.ports.probe import BucketAnswer
from mirrord.programs.doctor.findings import FindingLevel
from mirrord.programs.doctor.stores import (
    address_finding,
    bucket_finding,
    clock_finding,
    credentials_finding,
    server_finding,
)

STORE = StoreOptions(name="s", provider=ProviderName.GENERIC, endpoint_url="https://store.example", region="eu-1")


@pytest.mark.parametrize(
    ("ahead", "verdict"),
    [
        (0, FindingLevel.OK),
        (60, FindingLevel.OK),
        (61, FindingLevel.WARNING),
        (-61, FindingLevel.WARNING),
        (900, FindingLevel.WARNING),
        (901, FindingLevel.FAILED),
        (-901, FindingLevel.FAILED),
    ],
)
def test_a_clock_that_differs_is_told(ahead: float, verdict: FindingLevel) -> None:
    finding = clock_finding("store s", BucketAnswer(date=1000.0), 1000.0 + ahead)
    assert finding.verdict is verdict
    if verdict is not FindingLevel.OK:
        assert ("ahead of" if ahead > 0 else "behind") in finding.message


def test_a_store_without_a_date_has_no_clock() -> None:
    assert clock_finding("store s", BucketAnswer(), 1000.0).verdict is FindingLevel.SKIPPED


@pytest.mark.parametrize(
    ("error", "created", "region", "verdict"),
    [
        (None, False, "", FindingLevel.OK),
        (None, False, "eu-1", FindingLevel.OK),
        (None, False, "eu-2", FindingLevel.WARNING),
        (BucketMissing("no"), False, "", FindingLevel.FAILED),
        (BucketMissing("no"), True, "", FindingLevel.OK),
        (StoreDenied("no"), False, "", FindingLevel.WARNING),
        (StoreUnavailable("no"), True, "", FindingLevel.FAILED),
    ],
)
def test_a_bucket_is_judged(error: StoreError | None, created: bool, region: str, verdict: FindingLevel) -> None:
    finding = bucket_finding(STORE, "data", BucketAnswer(region=region, error=error), created=created)
    assert finding.verdict is verdict
    assert bool(finding.fix) is (verdict is not FindingLevel.OK)


def test_keys_that_are_missing_are_a_failure() -> None:
    assert credentials_finding(STORE, "the manifest").message == "from the manifest"
    assert credentials_finding(STORE, None).verdict is FindingLevel.FAILED


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        (None, FindingLevel.OK),
        ("https://store.example", FindingLevel.OK),
        ("http://127.0.0.1:9000", FindingLevel.OK),
        ("http://store.example", FindingLevel.WARNING),
    ],
)
def test_an_address_without_tls_is_told(url: str | None, verdict: FindingLevel) -> None:
    assert address_finding(StoreOptions(name="s", endpoint_url=url)).verdict is verdict


def test_the_server_is_shown() -> None:
    assert server_finding("store s", BucketAnswer(server="SeaweedFS 4.48")).message == "Server: SeaweedFS 4.48"
    old = server_finding("store s", BucketAnswer(server="SeaweedFS 30GB 4.47"))
    assert (old.verdict, "destroys the object" in old.message) == (FindingLevel.WARNING, True)
