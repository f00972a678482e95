"""What `doctor` says about the answers of a store to reads."""

import pytest

from mirrord.declared import StoreOptions
from mirrord.errors import BucketMissing, StoreDenied, StoreError, StoreUnavailable
from mirrord.model import ProviderName
from mirrord.ports.probe import BucketAnswer
from mirrord.programs.doctor.findings import Verdict
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
        (0, Verdict.OK),
        (60, Verdict.OK),
        (61, Verdict.WARNING),
        (-61, Verdict.WARNING),
        (900, Verdict.WARNING),
        (901, Verdict.FAILED),
        (-901, Verdict.FAILED),
    ],
)
def test_a_clock_that_differs_is_told(ahead: float, verdict: Verdict) -> None:
    finding = clock_finding("store s", BucketAnswer(date=1000.0), 1000.0 + ahead)
    assert finding.verdict is verdict
    if verdict is not Verdict.OK:
        assert ("ahead of" if ahead > 0 else "behind") in finding.message


def test_a_store_without_a_date_has_no_clock() -> None:
    assert clock_finding("store s", BucketAnswer(), 1000.0).verdict is Verdict.SKIPPED


@pytest.mark.parametrize(
    ("error", "created", "region", "verdict"),
    [
        (None, False, "", Verdict.OK),
        (None, False, "eu-1", Verdict.OK),
        (None, False, "eu-2", Verdict.WARNING),
        (BucketMissing("no"), False, "", Verdict.FAILED),
        (BucketMissing("no"), True, "", Verdict.OK),
        (StoreDenied("no"), False, "", Verdict.WARNING),
        (StoreUnavailable("no"), True, "", Verdict.FAILED),
    ],
)
def test_a_bucket_is_judged(error: StoreError | None, created: bool, region: str, verdict: Verdict) -> None:
    finding = bucket_finding(STORE, "data", BucketAnswer(region=region, error=error), created=created)
    assert finding.verdict is verdict
    assert bool(finding.fix) is (verdict is not Verdict.OK)


def test_keys_that_are_missing_are_a_failure() -> None:
    assert credentials_finding(STORE, "the manifest").message == "from the manifest"
    assert credentials_finding(STORE, None).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        (None, Verdict.OK),
        ("https://store.example", Verdict.OK),
        ("http://127.0.0.1:9000", Verdict.OK),
        ("http://store.example", Verdict.WARNING),
    ],
)
def test_an_address_without_tls_is_told(url: str | None, verdict: Verdict) -> None:
    assert address_finding(StoreOptions(name="s", endpoint_url=url)).verdict is verdict


def test_the_server_is_shown() -> None:
    assert server_finding("store s", BucketAnswer(server="SeaweedFS 4.48")).message == "Server: SeaweedFS 4.48"
