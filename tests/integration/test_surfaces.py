"""What a daemon knows after a reload: each feature (adoption, lists, prefixes, fallbacks, prune, rewrites, restores,
bandwidth, notifications) through `trigger`, `--only`, `status`, page and API, and metrics.

One daemon and one manifest, so that the features are also there at the same time.
"""

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.support.command import Completed, mirrord
from tests.support.daemon import TOKEN, Daemon, running, store_section
from tests.support.origin import Origin, answers
from tests.support.stored import keys_in
from tests.support.webhook_receiver import WebhookReceiver
from tests.support.weed import Server

SPEED = 3.0


class Features:
    """A manifest with one entry for each feature."""

    def __init__(self, home: Path, server: Server, bucket: str, s3_client: Any, origin: Origin) -> None:
        self.home, self.server, self.bucket, self.s3_client, self.origin = home, server, bucket, s3_client, origin
        self.file, self.rows = home / "m.yaml", home / "urls.txt"
        self.hook = WebhookReceiver()
        self.urls = {name: origin.publish(f"/{name}", name.encode()) for name in ("l1", "l2", "l3", "fb", "opt")}
        self.urls["down"] = origin.url("/down")
        origin.behave("/down", answers(404))
        (home / "adopted.txt").write_bytes(b"by another tool")
        s3_client.put_object(Bucket=bucket, Key="adopted.txt", Body=b"by another tool")
        for key in ("src/p1", "src/p2"):
            s3_client.put_object(Bucket=bucket, Key=key, Body=key.encode())
        s3_client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        self.version = s3_client.put_object(Bucket=bucket, Key="opt", Body=b"an older version")["VersionId"]

    def write(self, options: str = "{}", rows: tuple[str, ...] = ("l1", "l2", "l3")) -> None:
        to, u = f"s3://{self.bucket}", self.urls
        self.rows.write_text("".join(f"{u[name]}\n" for name in rows))
        notify = json.dumps([{"url": self.hook.url("/hook"), "events": ["item.pruned", "item.synced"]}])
        self.file.write_text(
            f"daemon: {{api_token: {TOKEN}, bandwidth: 50MiB/s, notify: {notify}}}\n{store_section(self.server)}"
            f"defaults: {{every: 1h}}\n"
            f"mirrors:\n"
            f"  - {{url: 'file://{self.home}/adopted.txt', to: '{to}/adopted.txt', name: mine}}\n"
            f"  - {{list: urls.txt, to: '{to}/list/', name: rows, prune: true}}\n"
            f"  - {{url: '{to}/src/', to: '{to}/copy/', name: objects, prune: true}}\n"
            f"  - {{urls: ['{u['down']}', '{u['fb']}'], to: '{to}/fb', name: two places}}\n"
            f"  - {{url: '{u['opt']}', to: '{to}/opt', name: options, object: {options}}}\n"
        )

    async def run(self, *arguments: str) -> Completed:
        return await mirrord(*arguments, home=self.home, env={"MIRRORD_API_TOKEN": TOKEN})

    async def trigger(self, daemon: Daemon, *patterns: str) -> list[str]:
        done = await self.run("trigger", "--url", daemon.url, *patterns)
        assert done.code == 0, done.output
        return sorted(line.removeprefix("triggered ").split(" (")[0] for line in done.out.splitlines())

    async def planned(self, only: str) -> Any:
        done = await self.run("plan", str(self.file), "--only", only, "--json")
        assert done.code == 0, done.output
        return json.loads(done.out)


KEYS = ("adopted.txt", "copy/p1", "copy/p2", "fb", "list/l1", "list/l2", "list/l3", "opt")
OF_ENTRY = {
    "mine": ["adopted.txt"],
    "rows": ["list/l1", "list/l2", "list/l3"],
    "objects": ["copy/p1", "copy/p2"],
    "two places": ["fb"],
    "options": ["opt"],
}


async def test_each_feature_through_each_surface(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    features = Features(tmp_path, weed, bucket, s3_client, origin)
    async with features.hook.here():
        features.write()
        async with running(tmp_path, str(features.file), speed=SPEED) as daemon:
            await daemon.synced(*KEYS)
            await _shown(features, daemon, OF_ENTRY)
            await _selected(features, daemon)
            await _triggered_objects_of_a_prefix(features, daemon)
            await _restored(features, daemon)
            await _reloaded(features, daemon)
        features.rows.unlink()
        async with running(tmp_path, str(features.file), speed=SPEED) as daemon:
            await _without_a_list(features, daemon)


async def _shown(features: Features, daemon: Daemon, of_entry: dict[str, list[str]]) -> None:
    """API, status, page and metrics: by the names of the entries."""
    for name, keys in of_entry.items():
        assert sorted(await daemon.items(f"&entry={name}")) == keys
    items = await daemon.items()
    assert items["fb"]["source"] == features.urls["fb"], "the fallback that served it"
    assert items["adopted.txt"]["integrity"] is None, "adopted"
    status = json.loads((await features.run("status", "--config", str(features.file), "--json")).out)
    assert {one["name"]: one["items"] for one in status["lists"]} == {
        name: len(of_entry[name]) for name in ("rows", "objects")
    }
    assert status["totals"] == {"Synced": sum(map(len, of_entry.values()))}
    assert (await daemon.ask("/"))[0] == 200
    metrics = await daemon.metrics()
    stale = {name.split('"')[1] for name in metrics if name.startswith("mirrord_item_staleness_seconds")}
    assert stale == set(of_entry)

    async def counted() -> bool:
        return (await daemon.metrics())['mirrord_items{state="Synced"}'] == status["totals"]["Synced"]

    await daemon.wait_for(counted, what="the items in the metrics")


async def _selected(features: Features, daemon: Daemon) -> None:
    """`trigger` and `--only`: by entry, key and glob."""
    to = f"s3://{features.bucket}"
    for pattern, keys in (
        ("mine", OF_ENTRY["mine"]),
        ("rows", OF_ENTRY["rows"]),
        ("list/l2", ["list/l2"]),
        ("list/*", OF_ENTRY["rows"]),
        ("obj*", OF_ENTRY["objects"]),
        ("copy/p[12]", OF_ENTRY["objects"]),
        ("two places", ["fb"]),
        ("*", list(KEYS)),
    ):
        read = [f"the list or folder {name}" for name in ("objects", "rows") if fnmatchcase(name, pattern)]
        assert await features.trigger(daemon, pattern) == sorted([*(f"{to}/{key}" for key in keys), *read]), pattern
        plan = await features.planned(pattern)
        assert (plan["unchanged"], plan["changes"]) == (len(keys), []), pattern
    assert await features.trigger(daemon, f"{to}/copy/p1") == [f"{to}/copy/p1"]
    assert (await features.run("trigger", "--url", daemon.url, "src/p1")).code == 1
    assert (await features.run("plan", str(features.file), "--only", "src/p1")).code == 2


async def _triggered_objects_of_a_prefix(features: Features, daemon: Daemon) -> None:
    """By one of the objects, and by the entry, which is listed again."""
    store, bucket = features.s3_client, features.bucket
    store.put_object(Bucket=bucket, Key="src/p1", Body=b"changed")
    await features.trigger(daemon, "copy/p1")
    await daemon.wait_for(lambda: content(store, bucket, "copy/p1") == b"changed", what="p1")
    store.put_object(Bucket=bucket, Key="src/p3", Body=b"new")
    store.delete_object(Bucket=bucket, Key="src/p2")
    await features.trigger(daemon, "objects")
    await daemon.log("item.pruned", key="copy/p2")
    await daemon.wait_for(
        lambda: {key for key in keys_in(store, bucket) if key.startswith("copy/")} == {"copy/p1", "copy/p3"},
        what="p3, and not p2",
    )


async def _restored(features: Features, daemon: Daemon) -> None:
    done = await features.run("restore", "opt", "--version", features.version, "--url", daemon.url)
    assert done.code == 0, done.output
    one = (await daemon.items())["opt"]
    assert (one["state"], one["restored"]) == ("Synced", features.version)
    past = (await features.run("history", "opt", "--url", daemon.url)).out
    assert f"restored from version {features.version}" in past
    assert past.count("  in ") == 2, f"how long the copy and the restore took: {past}"
    await features.trigger(daemon, "opt")
    assert (await features.planned("opt"))["unchanged"] == 1
    assert content(features.s3_client, features.bucket, "opt") == b"an older version"


async def _reloaded(features: Features, daemon: Daemon) -> None:
    """A new name, a row less, other options, and another limit, in one edit."""
    text = features.file.read_text()
    features.rows.write_text(f"{features.urls['l1']}\n{features.urls['l2']}\n")
    text = text.replace("name: two places", "name: fallback").replace("object: {}", "object: {cache_control: no-store}")
    features.file.write_text(text.replace("50MiB/s", "40MiB/s"))
    await daemon.log("item.pruned", key="list/l3")
    names = {"mine": ["adopted.txt"], "rows": ["list/l1", "list/l2"], "objects": ["copy/p1", "copy/p3"]}
    await daemon.synced("adopted.txt", "copy/p1", "copy/p3", "fb", "list/l1", "list/l2", "opt")
    head = features.s3_client.head_object(Bucket=features.bucket, Key="opt")
    assert (head["CacheControl"], head["ContentLength"]) == ("no-store", len(b"an older version"))
    assert (await daemon.items())["opt"]["restored"] == features.version
    await _shown(features, daemon, {**names, "fallback": ["fb"], "options": ["opt"]})
    to = f"s3://{features.bucket}"
    assert await features.trigger(daemon, "fall*") == [f"{to}/fb"]
    assert (await features.run("trigger", "--url", daemon.url, "two places")).code == 1
    assert (await features.planned("rows"))["unchanged"] == 2
    await daemon.wait_for(lambda: features.hook.names("/list/l3")[-1:] == ["item.pruned"], what="the event of l3")
    assert features.hook.names("/fb") == ["item.synced"], "a new name is no event"
    assert len(daemon.logged("transfer.completed", key="fb")) == 1


async def _without_a_list(features: Features, daemon: Daemon) -> None:
    """After a start the list cannot be read: its items are shown, not checked, and nothing of them leaves."""
    shown = await daemon.items()
    assert {one["state"] for one in shown.values()} == {"Synced"}
    assert len(shown) == 7
    for pattern in ("list/l1", "list/*"):
        done = await features.run("trigger", "--url", daemon.url, pattern)
        assert (done.code, done.out) == (1, "")
        assert "/list/l1" in done.err
        assert "not checked: its list was not read yet" in done.err
    done = await features.run("restore", "list/l1", "--version", features.version, "--url", daemon.url)
    assert done.code == 1
    assert "its list was not read yet" in done.err
    status = (await features.run("status", "--config", str(features.file))).out
    assert f"{features.rows}: incomplete, nothing leaves because of it" in status
    features.rows.write_text(f"{features.urls['l1']}\n{features.urls['l2']}\n")
    assert await features.trigger(daemon, "rows")
    to = f"s3://{features.bucket}"

    async def is_read() -> bool:
        return (await features.run("trigger", "--url", daemon.url, "list/l1")).out.startswith(f"triggered {to}/list/l1")

    await daemon.wait_for(is_read, what="the list is read again")


def content(client: Any, bucket: str, key: str) -> bytes:
    body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body
