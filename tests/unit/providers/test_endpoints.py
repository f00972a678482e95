"""The minimal manifest of each provider is valid, and its store has the documented address and region."""

from pathlib import Path

import pytest

from mirrord.declared import StoreOptions
from mirrord.manifest.manifest import load_all
from mirrord.model import ProviderName
from mirrord.planning.items.expand import validate
from mirrord.providers import facts_of
from mirrord.providers.endpoints import is_documented

EXAMPLES = Path(__file__).parents[3] / "configs" / "examples"
MINIMAL: list[tuple[str, str, str | None, str | None]] = [
    ("aws", "", None, None),
    ("aws", "region: eu-central-1", None, "eu-central-1"),
    ("minio", "endpoint_url: http://127.0.0.1:9000", "http://127.0.0.1:9000", None),
    ("seaweedfs", "endpoint_url: http://127.0.0.1:8333", "http://127.0.0.1:8333", None),
    ("ceph", "endpoint_url: https://rgw.example.org", "https://rgw.example.org", None),
    ("r2", "account_id: 0123abcd", "https://0123abcd.r2.cloudflarestorage.com", "auto"),
    ("b2", "region: us-west-004", "https://s3.us-west-004.backblazeb2.com", "us-west-004"),
    ("gcs", "", "https://storage.googleapis.com", None),
    ("wasabi", "", "https://s3.us-east-1.wasabisys.com", "us-east-1"),
    ("wasabi", "region: eu-central-2", "https://s3.eu-central-2.wasabisys.com", "eu-central-2"),
    ("digitalocean", "region: fra1", "https://fra1.digitaloceanspaces.com", "fra1"),
    ("yandex", "", "https://storage.yandexcloud.net", "ru-central1"),
    ("selectel", "", "https://s3.ru-1.storage.selcloud.ru", "ru-1"),
    ("selectel", "region: ru-7", "https://s3.ru-7.storage.selcloud.ru", "ru-7"),
    ("vk", "", "https://hb.ru-msk.vkcloud-storage.ru", "ru-msk"),
    ("vk", "region: kz-ast", "https://hb.kz-ast.vkcloud-storage.ru", "kz-ast"),
    ("cloudru", "", "https://s3.cloud.ru", "ru-central-1"),
    ("storj", "", "https://gateway.storjshare.io", None),
    ("scaleway", "region: fr-par", "https://s3.fr-par.scw.cloud", "fr-par"),
    ("generic", "endpoint_url: https://s3.example.org", "https://s3.example.org", None),
    ("embedded", "", None, None),
]


def written(tmp_path: Path, provider: str, fields: str, entry: str = "") -> str:
    file = tmp_path / "m.yaml"
    given = f"{{provider: {provider}{f', {fields}' if fields else ''}}}"
    options = f"{{to: s3://bucket/x, {entry}}}" if entry else "s3://bucket/x"
    file.write_text(f"stores: {{s: {given}}}\nmirrors: {{'https://example.org/x': {options}}}\n")
    return str(file)


def store(file: str, **environ: str) -> StoreOptions:
    loaded = load_all([file], environ)
    assert loaded.problems == ()
    return loaded.stores["s"]


def problem(file: str, **environ: str) -> str:
    (found,) = validate([file], environ)
    return str(found).partition("m.yaml:")[2]


@pytest.mark.parametrize(("provider", "fields", "url", "region"), MINIMAL)
def test_the_minimal_manifest_of_a_provider(
    tmp_path: Path, provider: str, fields: str, url: str | None, region: str | None
) -> None:
    file = written(tmp_path, provider, fields)
    assert validate([file], {}) == ()
    found = store(file)
    assert (found.endpoint_url, found.region) == (url, region)


def test_each_provider_has_its_minimal_manifest() -> None:
    assert {provider for provider, *_ in MINIMAL} == set(ProviderName)


@pytest.mark.parametrize(
    ("provider", "fields", "words"),
    [
        (
            "digitalocean",
            "",
            "region is missing: the address is https://{region}.digitaloceanspaces.com; give one of nyc3",
        ),
        ("scaleway", "", "give one of fr-par, nl-ams, pl-waw, it-mil, or endpoint_url"),
        ("b2", "", "region is missing: the address is https://s3.{region}.backblazeb2.com; give that of the bucket"),
        ("r2", "", "account_id is missing"),
        ("r2", "account_id: a.b", "account_id is not an account"),
        ("digitalocean", "region: us-east-1", "digitalocean has no region us-east-1: give one of nyc3"),
        ("selectel", "region: 'ru-1/x'", "selectel has no region ru-1/x"),
        ("ceph", "", "provider ceph has no common address"),
        ("yandex", "account_id: abc", "only for provider r2"),
        ("r2", "account_id: abc, endpoint_url: https://x.example.org", "endpoint_url is given too"),
    ],
)
def test_what_is_missing_or_wrong_is_named(tmp_path: Path, provider: str, fields: str, words: str) -> None:
    assert words in problem(written(tmp_path, provider, fields))


def test_an_address_that_is_given_wins(tmp_path: Path) -> None:
    given = store(written(tmp_path, "yandex", "endpoint_url: https://storage.yandexcloud.kz, region: kz1"))
    assert (given.endpoint_url, given.region) == ("https://storage.yandexcloud.kz", "kz1")
    of_variable = store(written(tmp_path, "yandex", ""), AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert (of_variable.endpoint_url, of_variable.region) == ("http://127.0.0.1:1", None)


def test_a_region_is_not_checked_beside_an_address(tmp_path: Path) -> None:
    assert store(written(tmp_path, "vk", "region: new-1, endpoint_url: https://hb.new.example.org")).region == "new-1"


def test_the_account_may_be_in_the_environment(tmp_path: Path) -> None:
    found = store(written(tmp_path, "r2", ""), CLOUDFLARE_ACCOUNT_ID="abc1")
    assert found.endpoint_url == "https://abc1.r2.cloudflarestorage.com"


@pytest.mark.parametrize("name", ["aws", "digitalocean", "vk", "cloudru", "selectel", "yandex"])
def test_each_example_is_valid_and_needs_no_address(name: str) -> None:
    file = EXAMPLES / f"{name}.yaml"
    assert "endpoint_url" not in file.read_text()
    assert validate([str(file)], {}, allow_unset=True) == ()
    loaded = load_all([str(file)], {}, allow_unset=True)
    assert loaded.stores["default"].provider == name


# ── storage classes ───────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("provider", "fields", "storage_class", "message"),
    [
        ("aws", "", "COLD", "mirrors[0].object.storage_class: aws has no storage class COLD: give one of STANDARD, "),
        ("minio", "endpoint_url: http://127.0.0.1:9000", "STANDARD_IA", "give one of STANDARD, REDUCED_REDUNDANCY"),
        ("r2", "account_id: a", "GLACIER", "give one of STANDARD, STANDARD_IA"),
        ("digitalocean", "region: fra1", "COLD", "give one of STANDARD"),
        ("aws", "endpoint_url: https://s3.eu-west-1.amazonaws.com", "COLD", "aws has no storage class"),
    ],
)
def test_a_storage_class_that_a_provider_does_not_have_is_refused(
    tmp_path: Path, provider: str, fields: str, storage_class: str, message: str
) -> None:
    assert message in problem(written(tmp_path, provider, fields, f"object: {{storage_class: {storage_class}}}"))


@pytest.mark.parametrize(
    ("provider", "fields", "storage_class"),
    [
        ("yandex", "", "COLD"),
        ("yandex", "", "ICE"),
        ("scaleway", "region: fr-par", "ONEZONE_IA"),
        ("generic", "endpoint_url: https://s3.example.org", "ANYTHING"),
        ("selectel", "", "ANYTHING"),
        ("aws", "endpoint_url: https://storage.yandexcloud.net", "COLD"),
    ],
    ids=str,
)
def test_other_storage_classes_are_sent(tmp_path: Path, provider: str, fields: str, storage_class: str) -> None:
    file = written(tmp_path, provider, fields, f"object: {{storage_class: {storage_class}}}")
    assert validate([file], {}) == ()


def test_only_an_address_of_the_provider_is_documented() -> None:
    aws = facts_of(ProviderName.AWS)
    assert is_documented(aws, None)
    assert not is_documented(aws, "https://amazonaws.com.example.org")
