"""Keys and certificates that are replaced while a store is open."""

import os
import ssl
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from mirrord.declared import Credentials, StoreOptions
from mirrord.errors import StoreDenied, StoreRefused, StoreUnavailable
from mirrord.model import ConnectionOptions, Destination, ObjectOptions
from mirrord.s3 import security
from mirrord.s3.session import S3Store
from tests.support.elsewhere import refusal, serving
from tests.support.keyring import Keyring, profile
from tests.support.proxy import SELF_SIGNED, StoreProxy, self_signed
from tests.support.wires import request_options

pytestmark = pytest.mark.usefixtures("both_wires")

PLAIN = ObjectOptions()
PART = memoryview(b"x" * (5 * 1024 * 1024))


@pytest.fixture(autouse=True)
def nothing_ambient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setattr(security, "RELOAD_PAUSE", 0.0)


def in_place(file: Path, text: str) -> None:
    file.write_text(text)


def renamed(file: Path, text: str) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)


def linked(file: Path, text: str) -> None:
    """As Kubernetes replaces a mounted secret."""
    fresh = file.with_suffix(".data")
    renamed(fresh, text)
    link = file.with_suffix(".link")
    link.symlink_to(fresh)
    link.replace(file)


async def put(store: S3Store, at: Destination) -> None:
    await store.put_object(at, memoryview(b"x"), PLAIN)


@pytest.mark.parametrize("write", [in_place, renamed, linked])
async def test_a_multipart_upload_continues_with_keys_replaced_in_the_file(
    store_proxy: StoreProxy, bucket: str, tmp_path: Path, write: Callable[[Path, str], None]
) -> None:
    ring, file = Keyring(store_proxy, "OLD", "NEW"), tmp_path / "credentials"
    write(file, profile("OLD"))
    at = store_proxy.server.destination(bucket, "k")
    async with S3Store(store_proxy.server.options(credentials=None)) as store:
        upload = await store.create_upload(at, PLAIN)
        first = await store.upload_part(at, upload, 1, PART)
        ring.valid = {"NEW"}
        write(file, profile("NEW"))
        second = await store.upload_part(at, upload, 2, PART)
        await store.complete_upload(at, upload, [first, second])
        head = await store.head_object(at)
    assert head is not None
    assert head.size == 2 * len(PART)
    assert store_proxy.counts["CreateMultipartUpload"] == 1
    assert ring.seen[-1] == "NEW"


async def test_a_file_that_changes_is_read_before_the_old_keys_are_refused(
    store_proxy: StoreProxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "FILE_CHECK_INTERVAL", 0.0)
    ring, file = Keyring(store_proxy, "OLD", "NEW"), tmp_path / "credentials"
    file.write_text(profile("OLD"))
    async with S3Store(store_proxy.server.options(credentials=None)) as store:
        await put(store, store_proxy.server.destination(bucket, "k"))
        file.write_text(profile("NEW"))
        await put(store, store_proxy.server.destination(bucket, "k"))
        assert store.version == 1
    assert ring.seen == ["OLD", "NEW"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ExpiredToken", 400),
        ("InvalidAccessKeyId", 403),
        ("InvalidToken", 400),
        ("SignatureDoesNotMatch", 403),
        ("TokenRefreshRequired", 400),
    ],
)
@pytest.mark.parametrize("operation", ["put", "head"])
async def test_keys_of_a_process_are_loaded_again_when_the_store_refuses_them(
    store_proxy: StoreProxy, bucket: str, tmp_path: Path, code: str, status: int, operation: str
) -> None:
    """`credential_process` has no file that changes. The error response of a HEAD has no code: a GET finds it."""
    ring = Keyring(store_proxy, "OLD", code=code, status=status)
    told = tmp_path / "told.json"
    script = f"import pathlib; print(pathlib.Path({str(told)!r}).read_text())"
    (tmp_path / "script.py").write_text(script)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {sys.executable} {tmp_path / 'script.py'}\n")
    told.write_text('{"Version": 1, "AccessKeyId": "OLD", "SecretAccessKey": "s", "SessionToken": "t"}')
    at = store_proxy.server.destination(bucket, "k")
    async with S3Store(store_proxy.server.options(credentials=None)) as store:
        await put(store, at)
        ring.valid = {"NEW"}
        with pytest.raises(StoreDenied, match=code):
            await put(store, at)  # the process gives the same keys: nothing to try
        told.write_text('{"Version": 1, "AccessKeyId": "NEW", "SecretAccessKey": "s", "SessionToken": "t"}')
        assert await store.head_object(at) if operation == "head" else await put(store, at) is None
    assert ring.seen[-1] == "NEW"


@pytest.mark.parametrize("broken", ["", "[default\n", "[other]\naws_access_key_id = X\n"])
async def test_keys_in_use_stay_if_the_file_has_none(
    store_proxy: StoreProxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(security, "FILE_CHECK_INTERVAL", 0.0)
    ring, file = Keyring(store_proxy, "OLD", "NEW"), tmp_path / "credentials"
    file.write_text(profile("OLD"))
    at = store_proxy.server.destination(bucket, "k")
    async with S3Store(store_proxy.server.options(credentials=None)) as store:
        await put(store, at)
        file.write_text(broken)
        await put(store, at)
        file.write_text(profile("NEW"))
        await put(store, at)
    assert ring.seen == ["OLD", "OLD", "NEW"]


async def test_keys_written_after_the_store_was_opened_are_used(
    store_proxy: StoreProxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "FILE_CHECK_INTERVAL", 0.0)
    Keyring(store_proxy, "NEW")
    at = store_proxy.server.destination(bucket, "k")
    async with S3Store(store_proxy.server.options(credentials=None)) as store:
        with pytest.raises(StoreDenied, match="Unable to locate credentials"):
            await put(store, at)
        (tmp_path / "credentials").write_text(profile("NEW"))
        await put(store, at)


async def test_keys_are_not_loaded_again_after_each_refusal(
    store_proxy: StoreProxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "RELOAD_PAUSE", 60.0)
    Keyring(store_proxy, "ANOTHER")
    count = tmp_path / "count"
    script = "import sys; open(sys.argv[1], 'a').write('x'); "
    script += """print('{"Version": 1, "AccessKeyId": "OLD", "SecretAccessKey": "s"}')"""
    (tmp_path / "script.py").write_text(script)
    process = f"{sys.executable} {tmp_path / 'script.py'} {count}"
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {process}\n")
    async with S3Store(store_proxy.server.options(credentials=None)) as store:
        for _ in range(5):
            with pytest.raises(StoreDenied):
                await put(store, store_proxy.server.destination(bucket, "k"))
    assert count.read_text() == "xx"  # at opening, and after the first refusal


@pytest.mark.parametrize(
    ("process", "words"),
    [
        ("/no/such/process", "No such file"),
        (f"{sys.executable} -c 'print(1'", "SyntaxError"),
        ("echo not JSON", "AWS chain"),
        (
            """echo '{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "s", "SessionToken": "t", """
            """"Expiration": "2020-01-01T00:00:00Z"}'""",
            "still expired",
        ),
    ],
)
async def test_a_process_without_keys_is_a_transient_error(
    store_proxy: StoreProxy, tmp_path: Path, process: str, words: str
) -> None:
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {process}\n")
    with pytest.raises(StoreUnavailable, match=words):
        async with S3Store(store_proxy.server.options(credentials=None)):
            pytest.fail("it opened")


# ── certificates ──────────────────────────────────────────────────────────────────────────────────
async def test_a_replaced_ca_file_is_read_when_the_handshake_is_refused(tmp_path: Path) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return refusal(404)

    other = ssl.DER_cert_to_PEM_cert(ssl.create_default_context().get_ca_certs(binary_form=True)[0])
    file = tmp_path / "ca.pem"
    file.write_text(other)
    async with serving(answer, ssl_context=self_signed()) as place:
        options = StoreOptions(
            name="s",
            endpoint_url=f"https://localhost:{place.partition(':')[2]}",
            connection=ConnectionOptions(ca_file=str(file)),
            credentials=Credentials.of("A", "s"),
            requests=request_options(),
        )
        at = Destination("s", options.endpoint, "data", "k")
        async with S3Store(options) as store:
            with pytest.raises(StoreRefused, match="set ca_file"):
                await store.head_object(at)
            renamed(file, SELF_SIGNED.read_text())
            assert await store.head_object(at) is None
            assert store.version == 1
            file.write_text("no certificate\n")
            assert await store.head_object(at) is None  # what it had stays in use
            with pytest.raises(StoreRefused, match=f"ca_file {file} holds no certificate"):
                await store.reload()
        with pytest.raises(StoreRefused, match=f"ca_file {file} holds no certificate"):
            async with S3Store(replace(options, name="t")):
                pytest.fail("it opened")
