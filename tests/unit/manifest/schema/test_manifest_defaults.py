"""All defaults of SPEC section 2, and the full form of its example."""

from pathlib import Path

import pytest

from mirrord.manifest import load
from mirrord.manifest.manifest import Manifest
from mirrord.manifest.schema.document import DaemonSection, Document
from mirrord.model import BandwidthLimits, Options, Secret
from mirrord.units import KiB, MiB

ENVIRON = {"TOKEN": "t", "MINIO_ROOT_USER": "u", "MINIO_ROOT_PASSWORD": "p", "HOOK_SECRET": "s"}
FULL = Path(__file__).with_name("full_form.yaml")
"""SPEC section 2's full form, as it stands there."""


def full_form(tmp_path: Path) -> bytes:
    """Its one secret file made to exist."""
    token = tmp_path / "token"
    token.write_text("t\n")
    return FULL.read_bytes().replace(b"/run/secrets/mirrord-token", str(token).encode())


def test_the_defaults_are_those_of_the_contract() -> None:
    document = Manifest.parse(
        "m.yaml", b"mirrors: {https://h/x: s3://bbb/x}\nfolders: [{path: /a, to: s3://bbb/}]\ndaemon: {}\n", {}
    ).document
    mirror, folder, daemon = document.mirrors[0], document.folders[0], document.daemon
    assert daemon == DaemonSection()
    assert (daemon.transfers, daemon.memory_limit, daemon.listen) == (16, 256 * MiB, "127.0.0.1:8420")
    assert (daemon.shutdown_grace, daemon.per_host.connections) == (25.0, 8)
    assert (daemon.log.format, daemon.log.level) == ("auto", "info")
    assert (mirror.every, mirror.drift, mirror.overwrite, mirror.verify) == (3600.0, "repair", "always", "store")
    assert (mirror.prune, mirror.suspend, mirror.checksum, mirror.max_size) == (None, False, None, None)
    assert (mirror.http.connections, mirror.http.idle_timeout) == (4, 60.0)
    assert (mirror.http.min_rate, mirror.http.max_redirects) == (KiB, 10)
    assert (mirror.upload.concurrency, mirror.upload.part_size, mirror.upload.multipart_threshold) == (4, None, None)
    assert (folder.settle, folder.watch, folder.poll_interval, folder.rescan) == (2.0, "auto", 5.0, 60.0)
    assert (folder.after_upload, folder.delete, folder.key, folder.follow_symlinks) == (None, "keep", "{path}", False)


def test_an_empty_store_is_aws_with_all_fields_auto() -> None:
    store = Document.model_validate({"stores": {"x": {}}}).stores["x"]
    assert (store.provider, store.checksum, store.payload_signing, store.addressing) == ("aws", "auto", "auto", "auto")
    assert (store.endpoint_url, store.region, store.credentials, store.buckets) == (None, None, None, {})


def test_what_the_items_get_by_default_is_what_the_schema_says() -> None:
    mirror = Document.model_validate({"mirrors": ({"url": "https://h/x", "to": "s3://bbb/x"},)}).mirrors[0]
    options = Options()
    assert (options.schedule.every, options.drift, options.overwrite) == (mirror.every, mirror.drift, mirror.overwrite)
    assert options.http.idle_timeout == mirror.http.idle_timeout
    assert options.http.max_redirects == mirror.http.max_redirects
    assert options.upload.concurrency == mirror.upload.concurrency


def test_the_full_form_of_the_contract_is_valid(tmp_path: Path) -> None:
    Manifest.parse("full.yaml", full_form(tmp_path), ENVIRON)


def test_the_values_of_the_full_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load.not_yet, "breaches", lambda document: iter(()))
    document = Manifest.parse("full.yaml", full_form(tmp_path), ENVIRON).document
    daemon, store, mirror, folder = (
        document.daemon,
        document.stores["default"],
        document.mirrors[0],
        document.folders[0],
    )
    assert daemon is not None
    assert daemon.bandwidth == BandwidthLimits(default=100 * MiB)
    assert store.credentials is not None
    assert store.credentials.secret_access_key == Secret("p")
    assert (mirror.http.headers, mirror.every, mirror.max_size) == ({"X-Token": Secret("t")}, 21600.0, 5 * 1024**4)
    assert mirror.checksum is not None
    assert mirror.checksum.digest == "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    assert (document.mirrors[1].list, document.mirrors[2].from_store) == ("urls.tsv", "aws")
    assert (folder.include, folder.key) == (("**/*.csv",), "{date:%Y/%m/%d}/{path}")
