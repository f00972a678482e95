"""Manifests edited, added, removed, broken and repaired during a real `mirrord run`: what is in force and reported."""

import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mirrord.units import MiB
from tests.support.daemon import DEBUG, TOKEN, Daemon, Line, running, store_section
from tests.support.gate import Gate
from tests.support.measuring import stretched
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.saving import ConfigMap, mirrors, replaced
from tests.support.stored import stored
from tests.support.weed import Server

TAKES_EFFECT = 2.0
"""Bound in seconds from a save until the changed items are checked, with 1,000 items; see `stretched`."""
CROWD = 1000
BROKEN = "mirrors:\n  - urll: http://h/x\n"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    directory = tmp_path / "conf"
    directory.mkdir()
    return directory


def base(server: Server) -> str:
    return f"daemon: {{api_token: {TOKEN}}}\n" + store_section(server)


def publish(origin: Origin, *keys: str) -> None:
    for key in keys:
        origin.publish(f"/{key}", key.encode())


def seconds_after(saved: float, line: Line) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp() - saved


async def valid(daemon: Daemon, file: Path) -> float | None:
    return (await daemon.metrics()).get(f'mirrord_manifest_valid{{file="{file}"}}')


async def file_status(daemon: Daemon, file: Path) -> Line | None:
    files = (await daemon.api("status"))["files"]
    return next((one for one in files if one["file"] == str(file)), None)


# ── edits of every kind ───────────────────────────────────────────────────────────────────────────
async def test_with_a_thousand_items_every_kind_of_save_takes_effect_at_once(
    tmp_path: Path, conf: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    keys = [f"k{number}" for number in range(CROWD)]
    publish(origin, *keys, "plain", "renamed", "third")
    (conf / "base.yaml").write_text(base(weed))
    file = conf / "crowd.yaml"
    file.write_text(mirrors(origin, bucket, *keys))
    async with running(tmp_path, str(conf)) as daemon:
        await daemon.wait_for(lambda: len(daemon.logged("transfer.completed")) == CROWD, 180, "1,000 copies")
        asked = len(origin.log)

        async def saved(save: Any, text: str, key: str) -> None:
            mark, within, began = daemon.mark, stretched(TAKES_EFFECT), time.time()
            save(text)
            loaded = await daemon.log("manifest.loaded", since=mark, file="crowd.yaml")
            done = await daemon.log("transfer.completed", since=mark, key=key)
            assert seconds_after(began, done) < max(within, stretched(TAKES_EFFECT)), (
                seconds_after(began, loaded),
                done,
            )

        # added by a plain write, by vim's rename
        await saved(file.write_text, mirrors(origin, bucket, *keys, "plain"), "plain")
        await saved(lambda text: replaced(file, text), mirrors(origin, bucket, *keys, "plain", "renamed"), "renamed")
        # changed: the source has another address
        origin.publish("/other", b"other")
        changed = mirrors(origin, bucket, *keys, "plain", "renamed").replace("/k7'", "/other'", 1)
        await saved(file.write_text, changed, "k7")
        assert stored(s3_client, bucket, "k7") == b"other"
        assert len(origin.log) - asked <= 12, "unchanged items must not be checked"
        assert all(asked.path in ("/plain", "/renamed", "/other") for asked in origin.log[asked:])

        # removed
        mark, began = daemon.mark, time.time()
        file.write_text(mirrors(origin, bucket, *keys[1:], "plain"))
        await daemon.log("manifest.loaded", since=mark, file="crowd.yaml", items=CROWD)
        await daemon.wait_for(lambda: _gone(daemon, "k0", "renamed"))
        assert time.time() - began < stretched(TAKES_EFFECT)
        assert stored(s3_client, bucket, "k0") == b"k0"
        assert stored(s3_client, bucket, "renamed") == b"renamed"

        # the same bytes again: no effect
        mark = daemon.mark
        file.write_text(file.read_text())
        replaced(conf / "new.yaml", mirrors(origin, bucket, "third"))
        await daemon.log("transfer.completed", since=mark, key="third")
        assert [Path(line["file"]).name for line in daemon.logged("manifest.loaded", since=mark)] == ["new.yaml"]
        assert await daemon.reloads() == {"loaded": 7, "rejected": 0, "removed": 0}
        assert not daemon.logged("transfer.interrupted") + daemon.logged("transfer.failed")


async def _gone(daemon: Daemon, *keys: str) -> bool:
    found = [one for key in keys for one in (await daemon.api(f"items?q=/{key}"))["items"]]
    return not [one for one in found if one["destination"].rpartition("/")[2] in keys]


async def test_a_broken_half_written_or_emptied_file_keeps_its_last_good_version_until_it_is_mended(
    tmp_path: Path, conf: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    publish(origin, "a", "b", "c")
    (conf / "base.yaml").write_text(base(weed))
    file, other = conf / "m.yaml", conf / "n.yaml"
    file.write_text(mirrors(origin, bucket, "a"))
    other.write_text(mirrors(origin, bucket, "c"))
    async with running(tmp_path, str(conf)) as daemon:
        await daemon.synced("a", "c")
        whole = mirrors(origin, bucket, "a", "b")
        for bad, words in ((BROKEN, "urll"), (whole[:-20], "m.yaml:"), ("", "the file is empty"), ("\0", "m.yaml:1")):
            mark = daemon.mark
            file.write_text(bad)
            rejected = await daemon.log("manifest.rejected", since=mark, file="m.yaml")
            assert any(words in problem for problem in rejected["problems"]), rejected
            assert (await valid(daemon, file), await valid(daemon, other)) == (0, 1)
            status = await file_status(daemon, file)
            assert status is not None
            assert (status["valid"], status["in_force"], status["items"]) == (False, True, 1)
            assert status["problems"]
            assert await daemon.states() == {"a": "Synced", "c": "Synced"}
            assert (await daemon.ask("/readyz"))[0] == 200
        # the last valid version is in force: its entries are still mirrored
        s3_client.delete_object(Bucket=bucket, Key="a")
        await sync_now(daemon, "a")
        await daemon.wait_for(lambda: daemon.logged("item.drifted", key="a"))
        await daemon.wait_for(lambda: len(daemon.logged("transfer.completed", key="a")) == 2)
        # repaired by its former text, then by a new one
        mark = daemon.mark
        file.write_text(mirrors(origin, bucket, "a"))
        await daemon.log("manifest.loaded", since=mark, file="m.yaml", items=1)
        assert await valid(daemon, file) == 1
        file.write_text(whole)
        await daemon.synced("a", "b", "c")
        assert await daemon.reloads() == {"loaded": 5, "rejected": 4, "removed": 0}
        assert not daemon.logged("manifest.rejected", file="n.yaml")


async def sync_now(daemon: Daemon, key: str) -> None:
    item = (await daemon.items())[key]
    status, text = await daemon.ask(f"/api/v1/items/{item['id']}/sync", "POST", token=TOKEN)
    assert status == 202, text


async def test_a_deleted_file_is_in_force_for_ten_seconds_and_its_objects_stay(
    tmp_path: Path, conf: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    publish(origin, "a", "b", "c")
    (conf / "base.yaml").write_text(base(weed))
    gone, moved, used = conf / "gone.yaml", conf / "moved.yaml", conf / "stores.yaml"
    gone.write_text(mirrors(origin, bucket, "a"))
    moved.write_text(mirrors(origin, bucket, "b"))
    used.write_text(store_section(weed, "second"))
    (conf / "user.yaml").write_text(mirrors(origin, bucket, "c", more=", store: second"))
    async with running(tmp_path, str(conf), speed=(speed := 3.0)) as daemon:
        await daemon.synced("a", "b", "c")
        mark, began = daemon.mark, time.time()
        gone.unlink()
        used.unlink()
        moved.rename(tmp_path / "aside")
        await daemon.wait_for(lambda: _missing(daemon, gone, moved))
        assert await daemon.states() == {"a": "Synced", "b": "Synced", "c": "Synced"}
        (tmp_path / "aside").rename(moved)  # restored within ten seconds
        await daemon.wait_for(lambda: _in_force(daemon, moved))
        removed = await daemon.log("manifest.removed", since=mark, file="gone.yaml")
        assert 9.5 < speed * seconds_after(began, removed) < 60
        await daemon.log("manifest.removed", since=mark, file="stores.yaml")
        await daemon.synced("b", "c")
        assert stored(s3_client, bucket, "a") == b"a"
        assert await valid(daemon, gone) is None
        assert await daemon.reloads() == {"loaded": 5, "rejected": 0, "removed": 2}
        # stores of a removed file stay in use as long as another file uses them
        s3_client.delete_object(Bucket=bucket, Key="c")
        await sync_now(daemon, "c")
        await daemon.wait_for(lambda: len(daemon.logged("transfer.completed", key="c")) == 2)
        # a file that is restored later is a new one
        mark = daemon.mark
        gone.write_text(mirrors(origin, bucket, "a"))
        used.write_text(store_section(weed, "second") + mirrors(origin, bucket, "d"))
        publish(origin, "d")
        await daemon.synced("a", "b", "c", "d")
        assert len(daemon.logged("manifest.loaded", since=mark)) == 2


async def _missing(daemon: Daemon, *files: Path) -> bool:
    found = [await file_status(daemon, file) for file in files]
    return all(one is not None and not one["valid"] and one["in_force"] for one in found)


async def _in_force(daemon: Daemon, file: Path) -> bool:
    found = await file_status(daemon, file)
    return found is not None and bool(found["valid"])


async def test_a_config_map_is_swapped_three_times(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    publish(origin, "a", "b", "c", "d")
    mounted = ConfigMap(tmp_path / "mounted")
    mounted.swap({"base.yaml": base(weed), "m.yaml": mirrors(origin, bucket, "a")})
    async with running(tmp_path, str(mounted.directory)) as daemon:
        await daemon.synced("a")
        for keys in (("a", "b"), ("a", "b", "c"), ("b", "d")):
            mark, began = daemon.mark, time.time()
            mounted.swap({"base.yaml": base(weed), "m.yaml": mirrors(origin, bucket, *keys)})
            loaded = await daemon.log("manifest.loaded", since=mark, file="m.yaml")
            assert seconds_after(began, loaded) < stretched(TAKES_EFFECT)
            await daemon.synced(*keys)
        mark = daemon.mark
        mounted.swap({"base.yaml": base(weed), "m.yaml": BROKEN})
        await daemon.log("manifest.rejected", since=mark, file="m.yaml")
        assert await daemon.states() == {"b": "Synced", "d": "Synced"}
        mounted.swap({"base.yaml": base(weed), "m.yaml": mirrors(origin, bucket, "a")})
        await daemon.synced("a")
        assert await daemon.reloads() == {"loaded": 6, "rejected": 1, "removed": 0}
        assert not daemon.logged("manifest.removed")
    for key in "abcd":
        assert stored(s3_client, bucket, key) == key.encode()


async def test_one_file_of_a_config_map_may_be_the_path(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    publish(origin, "a", "b")
    mounted = ConfigMap(tmp_path / "mounted")
    mounted.swap({"m.yaml": base(weed) + mirrors(origin, bucket, "a")})
    async with running(tmp_path, str(mounted.directory / "m.yaml")) as daemon:
        await daemon.synced("a")
        for keys in (("b",), ("a", "b"), ("a",)):
            mark, began = daemon.mark, time.time()
            mounted.swap({"m.yaml": base(weed) + mirrors(origin, bucket, *keys)})
            loaded = await daemon.log("manifest.loaded", since=mark)
            assert seconds_after(began, loaded) < stretched(TAKES_EFFECT)
            await daemon.synced(*keys)


# ── files together ────────────────────────────────────────────────────────────────────────────────
async def test_of_two_files_that_collide_the_one_that_changed_is_the_bad_one(
    tmp_path: Path, conf: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    publish(origin, "a", "b", "x", "y")
    (conf / "base.yaml").write_text(base(weed))
    first, second = conf / "1.yaml", conf / "2.yaml"
    first.write_text(mirrors(origin, bucket, "a"))
    second.write_text(mirrors(origin, bucket, "b"))
    async with running(tmp_path, *DEBUG, str(conf)) as daemon:
        await daemon.synced("a", "b")
        mark = daemon.mark
        first.write_text(mirrors(origin, bucket, "a", "b"))
        rejected = await daemon.log("manifest.rejected", since=mark, file="1.yaml")
        assert "1.yaml:3:" in rejected["problems"][0]
        assert "2.yaml:2" in rejected["problems"][0]
        assert (await valid(daemon, first), await valid(daemon, second)) == (0, 1)
        second.write_text(mirrors(origin, bucket, "x"))  # it is removed: the first one comes into force without a save
        await daemon.synced("a", "b", "x")
        assert (await valid(daemon, first), await valid(daemon, second)) == (1, 1)
        # a store is declared twice: only the file that did it is rejected, with all its entries
        mark = daemon.mark
        second.write_text(store_section(weed) + mirrors(origin, bucket, "x", "y"))
        rejected = await daemon.log("manifest.rejected", since=mark, file="2.yaml")
        assert "base.yaml" in rejected["problems"][0]
        assert await daemon.states() == {"a": "Synced", "b": "Synced", "x": "Synced"}
        second.write_text(mirrors(origin, bucket, "x", "y", more=", store: default"))
        await daemon.synced("a", "b", "x", "y")
        # a file that renames the store of the other files
        mark = daemon.mark
        (conf / "base.yaml").write_text(f"daemon: {{api_token: {TOKEN}}}\n" + store_section(weed, "renamed"))
        await daemon.log("manifest.rejected", since=mark, file="base.yaml")
        assert await daemon.states() == dict.fromkeys(("a", "b", "x", "y"), "Synced")
        assert (await daemon.ask("/readyz"))[0] == 200
        # until every file that uses it has the new name
        mark = daemon.mark
        for file, keys in ((first, ("a", "b")), (second, ("x", "y"))):
            file.write_text(mirrors(origin, bucket, *keys, more=", store: renamed"))
        await daemon.log("manifest.loaded", since=mark, file="base.yaml")
        await daemon.synced("a", "b", "x", "y")
        assert not daemon.logged("transfer.started", since=mark)


# ── stores ────────────────────────────────────────────────────────────────────────────────────────
async def test_changed_credentials_are_used_for_every_item_of_the_store(
    tmp_path: Path, conf: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    publish(origin, "a", "b")
    (conf / "base.yaml").write_text(store_section(weed, secret_access_key="mistyped"))
    (conf / "m.yaml").write_text(mirrors(origin, bucket, "a", "b"))
    async with running(tmp_path, str(conf)) as daemon:
        await daemon.wait_for(lambda: _states(daemon, a="Blocked", b="Blocked"))
        assert (await daemon.metrics())['mirrord_store_up{store="default"}'] == 0
        (conf / "base.yaml").write_text(store_section(weed))
        await daemon.synced("a", "b")
        assert (await daemon.metrics())['mirrord_store_up{store="default"}'] == 1
        (conf / "base.yaml").write_text(store_section(weed, secret_access_key="mistyped"))
        await daemon.wait_for(lambda: _states(daemon, a="Blocked", b="Blocked"))
        assert "mistyped" not in daemon.output
        assert stored(s3_client, bucket, "a") == b"a"
        (conf / "base.yaml").write_text(store_section(weed))
        await daemon.synced("a", "b")
        assert len(daemon.logged("transfer.completed")) == 2


async def _states(daemon: Daemon, **wanted: str) -> bool:
    return await daemon.states() == wanted


async def test_what_a_manifest_refers_to_is_read_again_on_sighup_and_post_reload(
    tmp_path: Path, conf: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    publish(origin, "a")
    secret = tmp_path / "secret"
    secret.write_text("mistyped")
    (conf / "m.yaml").write_text(
        f"daemon: {{api_token: {TOKEN}}}\n"
        + store_section(weed, secret_access_key=f"${{file:{secret}}}")
        + mirrors(origin, bucket, "a")
    )
    async with running(tmp_path, str(conf)) as daemon:
        await daemon.wait_for(lambda: _states(daemon, a="Blocked"))
        secret.write_text(weed.secret_access_key)
        daemon.signal(signal.SIGHUP)
        await daemon.synced("a")
        assert await daemon.reloads() == {"loaded": 2, "rejected": 0, "removed": 0}

        secret.write_text("mistyped")
        for token, status in (("", 401), ("wrong", 401)):
            assert (await daemon.ask("/api/v1/reload", "POST", token=token))[0] == status
        assert await daemon.states() == {"a": "Synced"}
        status, text = await daemon.ask("/api/v1/reload", "POST", token=TOKEN)
        assert status == 200, text
        await daemon.wait_for(lambda: _states(daemon, a="Blocked"))

        secret.unlink()
        assert (await daemon.ask("/api/v1/reload", "POST", token=TOKEN))[0] == 200
        rejected = await daemon.log("manifest.rejected")
        assert str(secret) in rejected["problems"][0]
        assert await valid(daemon, conf / "m.yaml") == 0
        secret.write_text(weed.secret_access_key)
        assert (await daemon.ask("/api/v1/reload", "POST", token=TOKEN))[0] == 200
        await daemon.synced("a")
        assert "mistyped" not in daemon.output


# ── transfers ─────────────────────────────────────────────────────────────────────────────────────
async def test_a_reload_continues_unchanged_transfers_and_cancels_those_of_changed_or_removed_items(
    tmp_path: Path, conf: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    sizes = {"stays": 40, "changes": 41, "leaves": 42}
    contents = {key: Generated(size * MiB, seed=size) for key, size in sizes.items()}
    for key, content in contents.items():
        origin.publish(f"/{key}", content)
    origin.publish("/instead", b"instead")
    s3_client.put_object(Bucket=bucket, Key="leaves", Body=b"what stood before")
    (conf / "base.yaml").write_text(base(store_proxy.server))
    (conf / "m.yaml").write_text(mirrors(origin, bucket, *sizes))
    gate = Gate.before(store_proxy, "UploadPart", after=3)
    async with running(tmp_path, str(conf)) as daemon:
        for key in sizes:
            await daemon.log("transfer.started", key=key)
        await gate.reached()
        ids = {key: daemon.logged("transfer.started", key=key)[0]["transfer_id"] for key in sizes}
        mark, began = daemon.mark, time.time()
        (conf / "m.yaml").write_text(mirrors(origin, bucket, "stays", "changes").replace("/changes'", "/instead'", 1))
        for key in ("changes", "leaves"):
            line = await daemon.log("transfer.interrupted", since=mark, key=key)
            assert line["transfer_id"] == ids[key]
            assert seconds_after(began, line) < stretched(TAKES_EFFECT)
        assert (await daemon.log("transfer.completed", since=mark, key="changes"))["bytes"] == 7
        gate.open()
        assert (await daemon.log("transfer.completed", key="stays"))["transfer_id"] == ids["stays"]
        await daemon.synced("stays", "changes")
        assert await daemon.stop() == 0
        for transfer_id in ids.values():
            assert len(endings(daemon, transfer_id)) == 1
    assert stored(s3_client, bucket, "changes") == b"instead"
    assert stored(s3_client, bucket, "leaves") == b"what stood before"
    assert s3_client.head_object(Bucket=bucket, Key="stays")["ContentLength"] == 40 * MiB


def endings(daemon: Daemon, transfer_id: str) -> list[Line]:
    ends = ("transfer.completed", "transfer.failed", "transfer.interrupted")
    return [line for end in ends for line in daemon.logged(end, transfer_id=transfer_id)]


async def test_settings_that_need_a_restart_say_so_once(
    tmp_path: Path, conf: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    publish(origin, "a")
    (conf / "base.yaml").write_text("daemon: {transfers: 4, listen: '127.0.0.1:1'}\n" + store_section(weed))
    (conf / "m.yaml").write_text(mirrors(origin, bucket, "a"))
    async with running(tmp_path, str(conf)) as daemon:  # --listen overrides the file's
        await daemon.synced("a")
        warnings = [line for line in daemon.lines if "restart" in line["event"]]
        assert warnings == []
        changed = f"daemon: {{transfers: 5, listen: '127.0.0.1:2', api_token: {TOKEN}, log: {{level: debug}}}}\n"
        (conf / "base.yaml").write_text(changed + store_section(weed))
        await daemon.wait_for(lambda: [line for line in daemon.lines if "restart" in line["event"]])
        (conf / "base.yaml").write_text(changed + store_section(weed) + "# a comment\n")
        await daemon.wait_for(lambda: len(daemon.logged("manifest.loaded", file="base.yaml")) == 3)
        (warning,) = [line for line in daemon.lines if "restart" in line["event"]]
        assert warning["level"] == "warning"
        for name in ("daemon.transfers", "daemon.api_token", "daemon.log.level"):
            assert name in warning["event"]
        assert "listen" not in warning["event"]
        assert TOKEN not in daemon.output
        assert (await daemon.ask("/api/v1/reload", "POST", token=TOKEN))[0] == 403
