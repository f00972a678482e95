"""`mirrord sync` as users run it: a separate process, a real store, a real origin."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from mirrord.units import GiB, MiB
from tests.support.command import mirrord
from tests.support.daemon import DEBUG
from tests.support.measuring import SOAK
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import MEMORY_BOUND, digest_of, events, manifest, sync
from tests.support.weed import Server

MORE_THAN_THE_BOUND = GiB if SOAK else MEMORY_BOUND + 96 * MiB
SMALL_FILES = 2000 if SOAK else 600


async def test_urls_and_files_arrive_and_a_second_pass_moves_nothing(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    small = origin.publish("/a/small.txt", b"small\n")
    large = Generated(40 * MiB, seed=3)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "b c.csv").write_bytes(b"1;2\n")
    (inbox / "draft.tmp").write_bytes(b"no")
    file = manifest(
        tmp_path,
        store_proxy.server,
        f"mirrors:\n  {small}: s3://{bucket}/small.txt\n"
        f"  {origin.publish('/large.bin', large)}: s3://{bucket}/deep/large.bin\n"
        f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', settle: 100ms}}\n",
    )
    done = await sync(tmp_path, file, *DEBUG)
    assert done.code == 0, done.output
    assert s3_client.get_object(Bucket=bucket, Key="small.txt")["Body"].read() == b"small\n"
    assert s3_client.get_object(Bucket=bucket, Key="in/b c.csv")["Body"].read() == b"1;2\n"
    assert digest_of(s3_client, bucket, "deep/large.bin") == large.sha256()
    assert [one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"]] == [
        "deep/large.bin",
        "in/b c.csv",
        "small.txt",
    ]
    assert store_proxy.counts["UploadPart"] == 5
    assert len(events(done, "transfer.completed")) == len(events(done, "transfer.started")) == 3
    assert "3 copied" in done.out

    store_proxy.clear()
    origin.log.clear()
    again = await sync(tmp_path, file)
    assert again.code == 0, again.output
    assert "0 copied (0 B), 3 unchanged" in again.out
    assert (store_proxy.writes, store_proxy.bytes_sent, origin.body_bytes()) == (0, 0, 0)
    assert store_proxy.counts["HeadObject"] == 3
    assert len(origin.log) == 2


async def test_a_file_without_its_marker_is_left_waiting_and_listed(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name in ("a.csv", "a.csv.done", "b.csv", "c.csv", "c.done"):
        (inbox / name).write_text(name)
    body = f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', settle: 0s, ready: '*.done'}}\n"
    done = await sync(tmp_path, manifest(tmp_path, weed, body))
    assert done.code == 0, done.output
    keys = [one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == ["in/a.csv", "in/c.csv"]
    (line,) = [line for line in done.out.splitlines() if "in/b.csv" in line]
    assert "Waiting NoMarker" in line
    assert "no marker: waits for b.csv.done or b.done" in line
    (inbox / "c.done").unlink()
    again = await sync(tmp_path, tmp_path / "m.yaml")
    assert "2 unchanged" in again.out, "a file that is marked as ready stays ready without its marker"


async def test_objects_of_files_that_are_gone_are_deleted_within_the_guard(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(20):
        (inbox / f"{number:02}").write_text(f"{number}")
    body = f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', settle: 0s, delete: mirror}}\n"
    file = manifest(tmp_path, weed, body)
    assert (await sync(tmp_path, file)).code == 0

    def keys() -> list[str]:
        return [one["Key"].removeprefix("in/") for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"]]

    for name in ("00", "01", "02"):
        (inbox / name).unlink()
    s3_client.put_object(Bucket=bucket, Key="in/02", Body=b"a stranger's")
    (inbox / "sub").mkdir()
    partly = await sync(tmp_path, file, "--only", "inbox*")
    assert len(keys()) == 20, (partly.output, "--only never prunes")
    planned = await mirrord("plan", str(file), home=tmp_path)
    assert [line.split()[2] for line in planned.out.splitlines() if line.startswith("- delete")] == [
        f"s3://{bucket}/in/00",
        f"s3://{bucket}/in/01",
    ]
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert "2 deleted" in done.out
    assert len(events(done, "item.pruned")) == 2
    assert keys() == [f"{number:02}" for number in range(2, 20)], "an object of another program must stay"
    assert "deleted" not in (await sync(tmp_path, file)).out

    inbox.rename(tmp_path / "away")
    gone = await sync(tmp_path, file)
    assert (gone.code, len(keys())) == (1, 18), gone.output
    inbox.mkdir()
    assert "deleted" not in (await sync(tmp_path, file)).out
    assert len(keys()) == 18, "an empty folder may be one that is not mounted"

    (inbox / "19").write_text("19")
    guarded = await sync(tmp_path, file)
    assert (guarded.code, len(keys())) == (1, 18), guarded.output
    (line,) = [line for line in guarded.out.splitlines() if "PruneGuard" in line]
    assert "16 of 17 objects would be deleted" in line
    allowed = await sync(tmp_path, file, "--prune-max", "100%")
    assert allowed.code == 0, allowed.output
    assert keys() == ["02", "19"]


async def test_a_changed_source_and_a_deleted_object_are_mended(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    file = manifest(
        tmp_path,
        weed,
        f"mirrors:\n  {origin.publish('/a', b'one')}: s3://{bucket}/a\n"
        f"  {origin.publish('/b', b'bbb')}: s3://{bucket}/b\n",
    )
    assert (await sync(tmp_path, file)).code == 0
    origin.publish("/a", b"two")
    s3_client.delete_object(Bucket=bucket, Key="b")
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert s3_client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"two"
    assert s3_client.get_object(Bucket=bucket, Key="b")["Body"].read() == b"bbb"
    assert len(events(done, "item.drifted")) == 1


async def test_more_than_the_bound_by_url_and_by_file_in_bounded_memory(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    content = Generated(MORE_THAN_THE_BOUND, seed=7)
    expected = content.sha256()
    with (tmp_path / "big.bin").open("wb") as stream:
        for piece in content.pieces():
            stream.write(piece)
    file = manifest(
        tmp_path,
        weed,
        f"daemon: {{memory_limit: 64MiB}}\nmirrors:\n  {origin.publish('/big.bin', content)}: s3://{bucket}/url.bin\n"
        f"  file://{tmp_path}/big.bin: s3://{bucket}/file.bin\n",
    )
    done = await sync(tmp_path, file, seconds=300)
    assert done.code == 0, done.output
    assert digest_of(s3_client, bucket, "url.bin") == expected
    assert digest_of(s3_client, bucket, "file.bin") == expected
    print(f"VmHWM {done.peak / MiB:.0f} MiB of {MEMORY_BOUND / MiB:.0f}")
    assert 0 < done.peak < MEMORY_BOUND


async def test_many_small_files_cost_a_put_and_a_head_each(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    inbox = tmp_path / "inbox"
    contents = {f"{n // 100}/{n}.bin": n.to_bytes(4, "big") * 1024 for n in range(SMALL_FILES)}
    for name, body in contents.items():
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_bytes(body)
    file = manifest(
        tmp_path,
        store_proxy.server,
        f"daemon: {{memory_limit: 64MiB}}\nfolders:\n  - {{path: inbox, to: 's3://{bucket}/', settle: 100ms}}\n",
    )
    done = await sync(tmp_path, file, seconds=300)
    assert done.code == 0, done.output
    assert store_proxy.counts["PutObject"] == SMALL_FILES
    assert store_proxy.counts.total() - SMALL_FILES <= SMALL_FILES
    assert 0 < done.peak < MEMORY_BOUND
    pages = s3_client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    found = {one["Key"]: one["ETag"].strip('"') for page in pages for one in page["Contents"]}
    assert found == {name: hashlib.md5(body).hexdigest() for name, body in contents.items()}
    for name in ("0/0.bin", "4/444.bin", "5/599.bin"):
        assert s3_client.get_object(Bucket=bucket, Key=name)["Body"].read() == contents[name]


@pytest.fixture
def refused_port(origin: Origin) -> str:
    """A loopback address without a listener: port 1 needs root, and no test runs a server there."""
    return "http://127.0.0.1:1/gone"


async def test_what_fails_is_one_clear_line_and_the_others_are_done(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin, refused_port: str
) -> None:
    good = origin.publish("/good", b"good")
    file = manifest(
        tmp_path,
        weed,
        f"mirrors:\n  {origin.url('/missing')}: s3://{bucket}/missing\n"
        f"  {refused_port}: s3://{bucket}/refused\n"
        f"  {good}: s3://{bucket}/good\n"
        f"  {good}?again: s3://no-such-bucket-here/good\n",
    )
    origin.publish("/good", b"good")
    done = await sync(tmp_path, file, speed=10.0)
    assert done.code == 1, done.output
    assert s3_client.get_object(Bucket=bucket, Key="good")["Body"].read() == b"good"
    lines = done.out.splitlines()
    for words in (
        ("Blocked SourceMissing", "/missing", "404"),
        ("failed SourceUnavailable", "/refused", "refused"),
        ("Blocked BucketMissing", "no-such-bucket-here", "create"),
    ):
        assert len([line for line in lines if all(word in line for word in words)]) == 1, (words, done.output)
    assert "Traceback" not in done.err


async def test_wrong_credentials_are_one_clear_line(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> None:
    file = manifest(
        tmp_path,
        weed,
        f"mirrors:\n  {origin.publish('/a', b'a')}: s3://{bucket}/a\n",
        secret_access_key="wrong-and-secret",
    )
    done = await sync(tmp_path, file)
    assert done.code == 1, done.output
    assert len([line for line in done.out.splitlines() if "Blocked StoreDenied" in line]) == 1, done.output
    assert "wrong-and-secret" not in done.out + done.err


async def test_an_invalid_file_is_left_out_and_the_valid_one_is_synced(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    config = tmp_path / "conf"
    config.mkdir()
    manifest(config, weed, f"mirrors:\n  {origin.publish('/a', b'a')}: s3://{bucket}/a\n", "good.yaml")
    (config / "bad.yaml").write_text("mirrors:\n  - urll: http://x/y\n")
    done = await sync(tmp_path, config)
    assert done.code == 78, done.output
    assert "bad.yaml:2:5" in done.out
    assert s3_client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"a"


async def test_exit_codes_of_bad_usage(tmp_path: Path) -> None:
    assert (await mirrord("sync", "nowhere.yaml", home=tmp_path)).code == 2
    assert (await mirrord("sync", "--transfers", "many", ".", home=tmp_path)).code == 2
    assert (await mirrord("fly", home=tmp_path)).code == 2
    (tmp_path / "empty").mkdir()
    assert (await mirrord("sync", "empty", home=tmp_path)).code == 2


async def test_copy_copies_one_source_and_reports_unchanged_the_next_time(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    env = {"AWS_ACCESS_KEY_ID": weed.access_key_id, "AWS_SECRET_ACCESS_KEY": weed.secret_access_key}
    where = ["--provider", "seaweedfs", "--endpoint-url", weed.endpoint_url]
    url = origin.publish("/pack/a b.txt", b"copied").replace(" ", "%20")
    for words in ("6 B copied", "unchanged"):
        done = await mirrord("copy", url, f"s3://{bucket}/in/", *where, home=tmp_path, env=env)
        assert done.code == 0, done.output
        assert words in done.out
    assert s3_client.get_object(Bucket=bucket, Key="in/a b.txt")["Body"].read() == b"copied"
    (tmp_path / "local.bin").write_bytes(b"file")
    done = await mirrord("copy", "local.bin", f"s3://{bucket}/local.bin", *where, home=tmp_path, env=env)
    assert done.code == 0, done.output
    assert s3_client.get_object(Bucket=bucket, Key="local.bin")["Body"].read() == b"file"
    gone = await mirrord("copy", origin.url("/none"), f"s3://{bucket}/none", *where, home=tmp_path, env=env)
    assert gone.code == 1
    assert "404" in gone.err
