"""Keys and certificates that are replaced during a real `mirrord run`: it continues without a restart."""

import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from aiohttp import web

from mirrord.units import MiB
from tests.support.daemon import TOKEN, Daemon, running
from tests.support.keyring import Keyring, profile
from tests.support.origin import Generated, Origin
from tests.support.proxy import SELF_SIGNED, Seen, StoreProxy
from tests.support.weed import Server


def chain(home: Path) -> Mapping[str, str]:
    """Environment for the AWS credential chain of the daemon."""
    return {
        "AWS_CONFIG_FILE": str(home / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
    }


def manifest(home: Path, endpoint: str, body: str, store: str = "") -> str:
    file = home / "m.yaml"
    file.write_text(
        f"daemon: {{api_token: {TOKEN}}}\n"
        f"stores:\n  default: {{provider: seaweedfs, endpoint_url: '{endpoint}'{store}}}\nmirrors:\n{body}"
    )
    return str(file)


def process(home: Path, key: str) -> None:
    """A `credential_process` whose answer changes, while no file that mirrord watches changes."""
    (home / "keys.json").write_text(f'{{"Version": 1, "AccessKeyId": "{key}", "SecretAccessKey": "s"}}')
    script = home / "script.py"
    if not script.exists():
        script.write_text(f"import pathlib; print(pathlib.Path({str(home / 'keys.json')!r}).read_text())")
        (home / "config").write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")


async def blocked(daemon: Daemon, key: str) -> bool:
    return (await daemon.states()).get(key) == "Blocked"


async def test_a_multipart_in_progress_continues_with_replaced_keys(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin
) -> None:
    ring = Keyring(store_proxy, "OLD")
    (tmp_path / "credentials").write_text(profile("OLD"))

    async def replace_keys(seen: Seen, request: web.BaseRequest) -> None:
        if seen.operation == "UploadPart" and ring.valid == {"OLD"}:
            ring.valid = {"NEW"}
            (tmp_path / "credentials").write_text(profile("NEW"))

    ring.also = replace_keys  # type: ignore[assignment]
    url = origin.publish("/large", Generated(40 * MiB, seed=4))
    options = f"{{to: 's3://{bucket}/large', upload: {{part_size: 5MiB, concurrency: 2}}}}"
    file = manifest(tmp_path, store_proxy.endpoint_url, f"  {url}: {options}\n")
    async with running(tmp_path, file, env=chain(tmp_path)) as daemon:
        await daemon.synced("large")
        assert daemon.logged("transfer.failed") == []
    assert store_proxy.counts["CreateMultipartUpload"] == 1
    assert set(ring.seen) == {"OLD", "NEW"}


async def test_items_that_the_store_refused_are_checked_when_the_file_changes(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin
) -> None:
    Keyring(store_proxy, "NEW")
    (tmp_path / "credentials").write_text(profile("OLD"))
    file = manifest(tmp_path, store_proxy.endpoint_url, f"  {origin.publish('/a', b'a')}: s3://{bucket}/a\n")
    async with running(tmp_path, file, env=chain(tmp_path)) as daemon:
        await daemon.wait_for(lambda: blocked(daemon, "a"))
        assert "InvalidAccessKeyId" in (await daemon.items())["a"]["message"]
        (tmp_path / "credentials").write_text(profile("NEW"))
        await daemon.synced("a")


async def sighup(daemon: Daemon) -> None:
    daemon.signal(signal.SIGHUP)


async def post(daemon: Daemon) -> None:
    status, text = await daemon.ask("/api/v1/reload", "POST", token=TOKEN)
    assert status == 200, text


@pytest.mark.parametrize("reload", [sighup, post])
async def test_a_reload_asks_the_process_for_keys_again(
    tmp_path: Path,
    store_proxy: StoreProxy,
    bucket: str,
    origin: Origin,
    reload: Callable[[Daemon], object],
) -> None:
    Keyring(store_proxy, "NEW")
    process(tmp_path, "OLD")
    file = manifest(tmp_path, store_proxy.endpoint_url, f"  {origin.publish('/a', b'a')}: s3://{bucket}/a\n")
    async with running(tmp_path, file, env=chain(tmp_path)) as daemon:
        await daemon.wait_for(lambda: blocked(daemon, "a"))
        process(tmp_path, "NEW")
        await reload(daemon)  # type: ignore[misc]
        await daemon.synced("a")


async def test_a_ca_file_without_a_certificate_is_named_and_its_repair_is_seen(
    tmp_path: Path, proxied: Callable[..., StoreProxy], weed: Server, bucket: str, origin: Origin
) -> None:
    proxy = proxied(weed, tls=True)
    ca = tmp_path / "ca.pem"
    ca.write_text("not a certificate\n")
    keys = f"{{access_key_id: {weed.access_key_id}, secret_access_key: {weed.secret_access_key}}}"
    store = f", ca_file: ca.pem, credentials: {keys}"
    body = f"  {origin.publish('/a', b'a')}: s3://{bucket}/a\n"
    file = manifest(tmp_path, proxy.endpoint_url, body, store)
    async with running(tmp_path, file) as daemon:
        await daemon.wait_for(lambda: blocked(daemon, "a"))
        assert f"ca_file {ca} holds no certificate" in (await daemon.items())["a"]["message"]
        ca.write_text(SELF_SIGNED.read_text())
        await daemon.synced("a")
        assert proxy.counts["PutObject"] == 1
