"""The rules across files: shared stores and daemon, the store of an entry, values from the environment."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mirrord.declared import BucketOptions, Credentials, RequestOptions
from mirrord.errors import ManifestError
from mirrord.manifest.manifest import Loaded, Manifest, load_all
from mirrord.model import ChecksumKind, ProviderName

Load = Callable[..., Loaded]
ENTRY = "mirrors: {https://h/x: s3://bbb/x}\n"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def write(*texts: str, allow_unset: bool = False, **environ: str) -> Loaded:
        files = [tmp_path / f"{number}.yaml" for number in range(1, len(texts) + 1)]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        return load_all(map(str, files), environ, allow_unset=allow_unset)

    return write


def short(loaded: Loaded) -> list[str]:
    return [f"{Path(one.file).name}:{one.line}:{one.column}: {one.path}: {one.message}" for one in loaded.problems]


def test_with_no_stores_at_all_default_is_aws(load: Load) -> None:
    loaded = load(ENTRY)
    store = loaded.store_of(None)
    assert store is loaded.stores["default"]
    assert store is not None
    assert (store.provider, store.endpoint_url, store.credentials) == (ProviderName.AWS, None, None)
    assert loaded.problems == ()


def test_stores_are_shared_by_all_files(load: Load) -> None:
    loaded = load(ENTRY, "stores: {only: {provider: aws, region: eu-west-1}}\n")
    store = loaded.store_of(None)
    assert store is not None
    assert (store.name, store.region, loaded.problems) == ("only", "eu-west-1", ())


def test_a_store_declared_twice_is_an_error_in_the_later_file(load: Load) -> None:
    loaded = load("stores: {a: {region: first}}\n", "stores:\n  b: {}\n  a: {region: second}\n" + ENTRY, ENTRY)
    assert [one.split(": is declared in")[0] for one in short(loaded)] == ["2.yaml:3:3: stores.a"]
    assert [Path(one.file).name for one in loaded.manifests] == ["1.yaml", "3.yaml"]
    assert loaded.stores["a"].region == "first"
    assert "b" not in loaded.stores


def test_at_most_one_file_has_daemon(load: Load) -> None:
    loaded = load("daemon: {transfers: 3}\n", "daemon: {transfers: 4}\n")
    assert [one.split(": is declared in")[0] for one in short(loaded)] == ["2.yaml:1:1: daemon"]
    assert loaded.daemon.transfers == 3


def test_an_entry_needs_a_store_if_there_are_several_and_none_is_default(load: Load) -> None:
    loaded = load("stores: {a: {}, b: {}}\n" + ENTRY + "folders:\n  - {path: /a, to: s3://bbb/, store: aa}\n")
    assert short(loaded) == [
        "1.yaml:2:11: mirrors[0]: names no store, and none is called default; add store: one of a, b",
        "1.yaml:4:38: folders[0].store: no store is called aa; declared are a, b; did you mean a?",
    ]
    assert loaded.manifests == ()


def test_default_is_used_if_there_are_several_stores(load: Load) -> None:
    loaded = load("stores: {default: {region: x}, b: {}}\ndefaults: {store: b}\n" + ENTRY)
    assert loaded.problems == ()
    found = loaded.store_of(None)
    assert found is not None
    assert found.name == "default"


def test_entries_of_other_files_cannot_use_the_stores_of_a_faulty_file(load: Load) -> None:
    loaded = load("stores: {a: {}}\nmirrors: 5\n", "mirrors: [{url: https://h/x, to: s3://bbb/x, store: a}]\n", ENTRY)
    assert [one.split(":")[0] for one in short(loaded)] == ["1.yaml", "2.yaml", "3.yaml"]
    assert loaded.manifests == ()


@pytest.mark.parametrize(
    ("faulty", "valid"),
    [
        ("stores: {default: {}}\nmirrors: 5\n", False),
        ("stores: {default: {regio: x}}\n", False),
        ("stores: {default: {}}\nbad: [\n", False),  # no YAML, so that it is not known which stores it declares
        ("mirrors: [\n", True),
    ],
)
def test_aws_does_not_stand_in_for_a_store_whose_declaration_has_a_fault(load: Load, faulty: str, valid: bool) -> None:
    loaded = load(faulty, ENTRY)
    assert (len(loaded.manifests), len(loaded.stores)) == ((1, 1) if valid else (0, 0))
    message = "2.yaml:1:11: mirrors[0]: this store is declared in a file that has faults; correct those first"
    assert (short(loaded)[-1] == message) is not valid


@pytest.mark.parametrize("store", ["{provider: aws, addressing: x}", "aws", ""])
def test_a_store_of_a_faulty_file_is_not_reported_as_unknown(load: Load, store: str) -> None:
    loaded = load(
        f"stores: {{main: {store}}}\nmirrors: {{https://h/y: {{to: s3://bbb/y, store: main}}}}\n",
        "mirrors:\n- {url: https://h/x, to: s3://bbb/x, store: main}\n",
    )
    assert [one for one in short(loaded) if not one.startswith("1.yaml:1:")] == [
        "2.yaml:2:45: mirrors[0].store: this store is declared in a file that has faults; correct those first",
    ]
    assert loaded.manifests == ()


def test_each_file_is_checked_by_itself_and_problems_are_in_order(load: Load, tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("z.yaml", "missing.yaml", "a.yaml")]
    Path(files[0]).write_text("mirors: []")
    Path(files[2]).write_text("version: 9")
    assert [one.file for one in load_all(files, {}).problems] == files


def test_a_store_becomes_options(load: Load, tmp_path: Path) -> None:
    loaded = load(
        "stores:\n  s:\n    provider: seaweedfs\n    endpoint_url: http://h:8333\n    region: r\n    addressing: path\n"
        "    credentials: {access_key_id: a, secret_access_key: '${S}', session_token: t}\n"
        "    ca_file: ca.pem\n    checksum: crc32c\n    wire: sdk\n    payload_signing: never\n"
        "    buckets: {bbb: {create: true, versioning: true, region: q}}\n",
        S="secret",
    )
    store = loaded.stores["s"]
    assert (store.provider, store.endpoint_url, store.region) == (ProviderName.SEAWEEDFS, "http://h:8333", "r")
    assert store.requests == RequestOptions(addressing="path", wire="sdk", payload_signing="never")
    assert (store.checksum, store.connection.ca_file) == (ChecksumKind.CRC32C, f"{tmp_path}/ca.pem")
    assert store.credentials == Credentials.of("a", "secret", "t")
    assert store.buckets == {"bbb": BucketOptions(create=True, versioning=True, region="q")}
    assert "secret" not in repr(loaded)


@pytest.mark.parametrize(
    ("written", "credentials"),
    [
        ("{profile: p}", Credentials(profile="p")),
        ("{anonymous: true}", Credentials(anonymous=True)),
        ("{access_key_id: a, secret_access_key: b}", Credentials.of("a", "b")),
    ],
)
def test_credentials_have_three_kinds(load: Load, written: str, credentials: Credentials) -> None:
    assert load(f"stores: {{s: {{credentials: {written}}}}}\n").stores["s"].credentials == credentials


def test_minio_reads_its_own_variables(load: Load) -> None:
    store = load(
        "stores: {s: {provider: minio}}\n",
        MINIO_SERVER_URL="http://minio:9000",
        MINIO_ROOT_USER="root",
        MINIO_ROOT_PASSWORD="password",
        AWS_ENDPOINT_URL="http://other:1",
    ).stores["s"]
    assert store.endpoint_url == "http://minio:9000"
    assert store.credentials == Credentials.of("root", "password")


def test_values_of_the_manifest_override_the_variables(load: Load) -> None:
    store = load(
        "stores: {s: {provider: minio, endpoint_url: http://mine:1, credentials: {anonymous: true}}}\n",
        MINIO_SERVER_URL="http://minio:9000",
        MINIO_ROOT_USER="root",
        MINIO_ROOT_PASSWORD="password",
    ).stores["s"]
    assert (store.endpoint_url, store.credentials) == ("http://mine:1", Credentials(anonymous=True))


def test_minio_falls_back_to_the_aws_chain(load: Load) -> None:
    store = load("stores: {s: {provider: minio}}\n", AWS_ENDPOINT_URL_S3="http://other:1").stores["s"]
    assert (store.endpoint_url, store.credentials) == ("http://other:1", None)


def test_the_endpoint_of_the_environment_is_part_of_the_identity(load: Load) -> None:
    assert load(ENTRY, AWS_ENDPOINT_URL="http://l:4566").stores["default"].endpoint == "http://l:4566"
    ignoring = load(ENTRY, AWS_ENDPOINT_URL="http://l:4566", AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true")
    assert ignoring.stores["default"].endpoint_url is None


def test_a_provider_without_an_address_needs_an_endpoint(load: Load) -> None:
    loaded = load("stores:\n  s: {provider: minio}\n")
    assert short(loaded) == [
        "1.yaml:2:3: stores.s: endpoint_url is missing; provider minio has no common address, so give it or set "
        "MINIO_SERVER_URL"
    ]


def test_an_embedded_store_needs_no_settings_and_ignores_the_environment(load: Load) -> None:
    store = load("stores: {s: {provider: embedded}}\n", AWS_ENDPOINT_URL="http://l:4566").stores["s"]
    assert (store.endpoint_url, store.endpoint) == (None, "embedded")


def test_unset_values_of_stores_are_not_checked(load: Load) -> None:
    loaded = load(
        "stores:\n  s:\n    provider: minio\n    endpoint_url: ${E}\n  t: {}\nmirrors:\n"
        "- url: https://h/x\n  to: s3://bbb/x\n  store: ${S}\n",
        allow_unset=True,
    )
    assert loaded.problems == ()


def test_the_digest_covers_the_file_and_what_it_refers_to(tmp_path: Path) -> None:
    manifest, token = tmp_path / "m.yaml", tmp_path / "token"
    manifest.write_text("mirrors:\n- {url: https://h/x, to: s3://bbb/x, http: {bearer: '${file:token}'}}\n")
    token.write_text("one")
    first = Manifest.load(manifest).digest
    assert Manifest.load(manifest).digest == first
    token.write_text("two")
    assert Manifest.load(manifest).digest != first


def test_a_file_that_cannot_be_read_is_a_manifest_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"m\.yaml:1:1: cannot be read: No such file"):
        Manifest.load(tmp_path / "m.yaml")
    with pytest.raises(ManifestError, match="cannot be read: Is a directory"):
        Manifest.load(tmp_path)
