"""`mirrord doctor` as a command, against real stores."""

import asyncio
import itertools
import json
import re
import signal
import time
import uuid
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import environment, mirrord, start
from tests.support.daemon import running, store_section
from tests.support.proxy import StoreProxy
from tests.support.syncing import events, sync
from tests.support.weed import Server, fresh_bucket

Found = dict[tuple[str, str], dict[str, Any]]


async def doctor(home: Path, file: Path, *more: str, code: int = 0, env: dict[str, str] | None = None) -> Found:
    """The findings by name and subject. `code`: the exit code that is expected."""
    ended = await mirrord("doctor", str(file), "--json", *more, home=home, env=env)
    assert ended.code == code, ended.output
    report = json.loads(ended.out)
    assert report["ok"] is not any(one["verdict"] == "failed" for one in report["findings"])
    return {(one["name"], one["about"]): one for one in report["findings"]}


def verdicts(found: Found, *names: str) -> set[str]:
    return {one["verdict"] for (name, _), one in found.items() if name in names}


async def test_all_is_well_with_a_good_store(weed: Server, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "inbox" / "sub").mkdir(parents=True)
    file = tmp_path / "m.yaml"
    file.write_text(f"{store_section(weed)}folders: [{{path: inbox, to: 's3://{bucket}/', name: drop}}]\n")
    found = await doctor(tmp_path, file)
    assert verdicts(found, "failed", "warning") == set()
    assert found["credentials", "store default"]["message"] == "from the manifest"
    assert found["server", "store default"]["message"].startswith("Server: SeaweedFS")
    assert found["bucket", f"s3://{bucket}"]["verdict"] == "ok"
    assert found["folder", f"drop: {tmp_path}/inbox"]["message"] == "can be read: 2 directories"
    assert weed.secret_access_key not in json.dumps(list(found.values()))
    assert not (tmp_path / "state").exists()


async def test_each_fault_is_named_with_what_to_do(weed: Server, bucket: str, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(
        f"{store_section(weed)}"
        "mirrors:\n"
        "  - {url: 'https://no.such.invalid/a', to: 's3://no-such-bucket/a'}\n"
        f"  - {{url: 'http://127.0.0.1:9/b', to: 's3://{bucket}/b', http: {{proxy: 'http://u:pass@proxy.invalid:3128'}}}}\n"
        f"folders: [{{path: missing, to: 's3://{bucket}/in/', name: drop}}]\n"
    )
    found = await doctor(tmp_path, file, code=1)
    failed = {key for key, one in found.items() if one["verdict"] == "failed"}
    assert failed == {
        ("dns", "no.such.invalid"),
        ("bucket", "s3://no-such-bucket"),
        ("folder", f"drop: {tmp_path}/missing"),
    }
    assert all(found[key]["fix"] for key in failed)
    assert found["proxy", "http://proxy.invalid:3128"]["message"] == "is used for 127.0.0.1"


async def test_an_invalid_manifest_wins(weed: Server, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "good.yaml").write_text(f"{store_section(weed)}mirrors: {{}}\n")
    (tmp_path / "m" / "bad.yaml").write_text("mirors: []\n")
    found = await doctor(tmp_path, tmp_path / "m", code=78)
    assert found["manifest", f"{tmp_path}/m/bad.yaml"]["verdict"] == "failed"
    assert found["manifest", f"{tmp_path}/m/good.yaml"]["verdict"] == "ok"


async def test_the_source_of_the_keys_is_named_and_no_key_is_shown(weed: Server, bucket: str, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    store = f"{{provider: seaweedfs, endpoint_url: '{weed.endpoint_url}'}}"
    file.write_text(f"stores: {{default: {store}}}\nmirrors: {{'http://127.0.0.1:9/a': 's3://{bucket}/a'}}\n")
    env = {"AWS_ACCESS_KEY_ID": weed.access_key_id, "AWS_SECRET_ACCESS_KEY": weed.secret_access_key}
    found = await doctor(tmp_path, file, env=env)
    assert "AWS_ACCESS_KEY_ID" in found["credentials", "store default"]["message"]
    (tmp_path / ".aws").mkdir()
    keys = f"aws_access_key_id={weed.access_key_id}\naws_secret_access_key={weed.secret_access_key}\n"
    (tmp_path / ".aws" / "credentials").write_text(f"[default]\n{keys}")
    found = await doctor(tmp_path, file)
    assert "~/.aws/credentials" in found["credentials", "store default"]["message"]
    assert weed.secret_access_key not in json.dumps(list(found.values()))
    (tmp_path / ".aws" / "credentials").unlink()
    found = await doctor(tmp_path, file, code=1)
    assert found["credentials", "store default"]["verdict"] == "failed"


# ── with --store ──────────────────────────────────────────────────────────────────────────────────
def manifest(server: Server, bucket: str, provider: str = "seaweedfs") -> str:
    keys = f"{{access_key_id: {server.access_key_id}, secret_access_key: {server.secret_access_key}}}"
    store = f"{{provider: {provider}, endpoint_url: '{server.endpoint_url}', credentials: {keys}}}"
    return f"stores: {{default: {store}}}\nmirrors: [{{url: 'file:///etc/passwd', to: 's3://{bucket}/a'}}]\n"


def nothing_is_left(client: Any, bucket: str) -> bool:
    listed = client.list_objects_v2(Bucket=bucket, Prefix=".mirrord-doctor/")
    uploads = client.list_multipart_uploads(Bucket=bucket)
    return listed["KeyCount"] == 0 and "Uploads" not in uploads


async def test_what_was_measured_is_used(weed: Server, s3_client: Any, bucket: str, tmp_path: Path) -> None:
    """Of a generic store nothing is known: an MD5 is sent. SeaweedFS compares a stronger one, which is sent then."""
    file = tmp_path / "m.yaml"
    file.write_text(manifest(weed, bucket, "generic"))
    done = await sync(tmp_path, file)
    assert [one["integrity"] for one in events(done, "transfer.completed")] != ["full-object checksum"]
    ended = await mirrord("doctor", str(file), "--store", "default", home=tmp_path)
    assert ended.code == 0, ended.output
    assert f"below s3://{bucket}/.mirrord-doctor/ at store 'default'" in ended.err
    assert nothing_is_left(s3_client, bucket)
    s3_client.delete_object(Bucket=bucket, Key="a")
    done = await sync(tmp_path, file)
    assert [one["integrity"] for one in events(done, "transfer.completed")] == ["full-object checksum"]


async def test_a_running_daemon_uses_what_is_measured_meanwhile(weed: Server, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "before").write_bytes(b"before")
    file = tmp_path / "m.yaml"
    store = manifest(weed, bucket, "generic").partition("mirrors:")[0]
    file.write_text(f"{store}folders: [{{path: inbox, to: 's3://{bucket}/', settle: 0s}}]\n")
    async with running(tmp_path, str(file)) as daemon:
        assert (await daemon.log("transfer.completed", key="before"))["integrity"] == "md5"
        ended = await mirrord("doctor", str(file), "--store", "default", home=tmp_path)
        assert ended.code == 0, ended.output
        async with asyncio.timeout(60):
            for number in itertools.count():  # the file of the measurement is found within a second or so
                (tmp_path / "inbox" / f"after-{number}").write_bytes(b"%d" % number)
                done = await daemon.log("transfer.completed", key=f"after-{number}")
                if done["integrity"] == "full-object checksum":
                    break


async def test_versions_of_probe_objects_are_removed(weed: Server, s3_client: Any, tmp_path: Path) -> None:
    bucket = fresh_bucket(s3_client)
    s3_client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    file = tmp_path / "m.yaml"
    file.write_text(manifest(weed, bucket))
    found = await doctor(tmp_path, file, "--store", "default")
    assert found["versions", f"s3://{bucket}"]["message"] == "two writes are two versions"
    left = s3_client.list_object_versions(Bucket=bucket)
    assert "Versions" not in left
    assert "DeleteMarkers" not in left
    s3_client.delete_bucket(Bucket=bucket)


async def test_a_bucket_with_object_lock_is_refused(weed: Server, s3_client: Any, tmp_path: Path) -> None:
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    s3_client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    file = tmp_path / "m.yaml"
    file.write_text(manifest(weed, bucket))
    found = await doctor(tmp_path, file, "--store", "default", code=1)
    assert "object lock" in found["measure", f"s3://{bucket}"]["message"]
    assert "Versions" not in s3_client.list_object_versions(Bucket=bucket)
    s3_client.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize("after", ["PutObject", "UploadPart", "CompleteMultipartUpload"])
async def test_nothing_stays_after_an_interruption(
    after: str, store_proxy: StoreProxy, s3_client: Any, bucket: str, tmp_path: Path
) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(manifest(store_proxy.server, bucket))
    process = await start(["doctor", str(file), "--store", "default"], environment(tmp_path), tmp_path)
    async with asyncio.timeout(60):
        while not store_proxy.counts[after]:  # noqa: ASYNC110 - the calls are in another thread
            await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1, (out, err)
    await store_proxy.idle()
    assert nothing_is_left(s3_client, bucket)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--store", "other"], "--store other: no manifest declares a store of this name"),
        (["--bucket", "data"], "--bucket is for --store NAME"),
    ],
)
async def test_a_store_that_is_not_declared_is_a_usage_error(
    arguments: list[str], message: str, weed: Server, tmp_path: Path
) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(manifest(weed, "data"))
    ended = await mirrord("doctor", str(file), *arguments, home=tmp_path)
    assert ended.code == 2, ended.output
    assert message in ended.err


async def test_rclone_is_measured(rclone_serve: Server, tmp_path: Path) -> None:
    client = rclone_serve.client()
    client.create_bucket(Bucket="doctor")
    file = tmp_path / "m.yaml"
    file.write_text(manifest(rclone_serve, "doctor", "generic"))
    found = await doctor(tmp_path, file, "--store", "default")
    about = "s3://doctor"
    assert found["conditional_puts", about]["verdict"] == "warning"
    assert found["checksums", about]["message"] == "compares md5 with the bytes"
    assert "Contents" not in client.list_objects_v2(Bucket="doctor")


async def test_moto_is_measured(moto_server: Server, tmp_path: Path) -> None:
    client = moto_server.client()
    client.create_bucket(Bucket="doctor")
    file = tmp_path / "m.yaml"
    file.write_text(manifest(moto_server, "doctor", "generic"))
    found = await doctor(tmp_path, file, "--store", "default")
    assert found["conditional_puts", "s3://doctor"]["verdict"] == "ok"
    assert "Contents" not in client.list_objects_v2(Bucket="doctor")


async def test_the_clock_and_the_version_of_the_server_are_looked_at(
    store_proxy: StoreProxy, bucket: str, tmp_path: Path
) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(manifest(store_proxy.server, bucket))
    store_proxy.says = {"Date": formatdate(time.time() - 300, usegmt=True), "Server": "SeaweedFS 30GB 4.40"}
    found = await doctor(tmp_path, file)
    ahead = found["clock", "store default"]["message"]
    assert re.match(r"this machine is 5m0\ds ahead of the store", ahead), "a Date has whole seconds, and time passes"
    assert "destroys the object" in found["server", "store default"]["message"]
    store_proxy.says = {"Date": formatdate(time.time() + 3600, usegmt=True)}
    found = await doctor(tmp_path, file, code=1)
    assert found["clock", "store default"]["verdict"] == "failed"
