"""Lists of sources that a running daemon follows: changed, broken, cut and corrected; and after a restart."""

from pathlib import Path
from typing import Any

from tests.support.daemon import TOKEN, Daemon, running, store_section
from tests.support.origin import Origin, cut_after
from tests.support.weed import Server


def manifest(home: Path, server: Server, entry: str) -> Path:
    file = home / "m.yaml"
    file.write_text(f"daemon: {{api_token: {TOKEN}}}\n{store_section(server)}mirrors:\n- {entry}\n")
    return file


async def shown(daemon: Daemon) -> dict[str, str]:
    """The state of each item, by the last segment of its key."""
    items = (await daemon.api("items"))["items"]
    return {one["destination"].rpartition("/")[2]: one["state"] for one in items}


async def synced(daemon: Daemon, *names: str) -> None:
    async def are_synced() -> bool:
        return await shown(daemon) == dict.fromkeys(names, "Synced")

    await daemon.wait_for(are_synced, what=f"{names} in sync")


def keys(s3_client: Any, bucket: str) -> set[str]:
    return {one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket).get("Contents", [])}


async def test_a_list_that_is_a_file_is_followed(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    for name in "abc":
        origin.publish(f"/{name}", name.encode())
    url, rows = origin.url(""), tmp_path / "urls.txt"
    rows.write_text(f"{url}/a\n{url}/b\n")
    file = manifest(tmp_path, weed, f"{{list: urls.txt, to: 's3://{bucket}/x/', name: mine, every: 1h}}")
    async with running(tmp_path, str(file), speed=5.0) as daemon:
        await synced(daemon, "a", "b")
        before = len(origin.asked("/a"))
        rows.write_text(f"{url}/a\n{url}/c\n")
        await synced(daemon, "a", "c")
        assert keys(s3_client, bucket) == {"x/a", "x/b", "x/c"}
        assert len(origin.asked("/a")) == before  # an unchanged row is not checked again
        rows.write_text(f"{url}/b\nftp://h/x\n")
        line = await daemon.log(f"{rows}:2: its url is not a source: it may be an http or https URL, or a path")
        assert line["level"] == "warning"
        await synced(daemon, "a", "b", "c")
        (status,) = (await daemon.api("status"))["lists"]
        assert (status["name"], status["source"], status["complete"]) == ("mine", str(rows), False)
        rows.write_text(f"{url}/b\n")
        await synced(daemon, "b")
        assert (await daemon.api("status"))["lists"][0]["complete"]
        rows.unlink()
        await daemon.log(f"{rows}: no such file")
        assert set(await shown(daemon)) == {"b"}


async def test_a_list_at_a_url_is_read_again_when_it_changed(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    for name in "abc":
        origin.publish(f"/{name}", name.encode())
    url = origin.publish("/urls.txt", b"/a\n/b\n")
    file = manifest(tmp_path, weed, f"{{list: '{url}', to: 's3://{bucket}/', every: 1s}}")
    async with running(tmp_path, str(file)) as daemon:
        await synced(daemon, "a", "b")
        await daemon.wait_for(lambda: any(one.status == 304 for one in origin.asked("/urls.txt")), what="a 304")
        origin.publish("/urls.txt", b"/b\n/c\n" * 1000)
        origin.behave("/urls.txt", cut_after(6))
        await synced(daemon, "a", "b", "c")  # cut short: nothing leaves
    origin.behave("/urls.txt")
    origin.withdraw("/urls.txt")
    async with running(tmp_path, str(file)) as daemon:

        async def is_missing() -> bool:
            return bool((await daemon.api("status"))["lists"][0]["faults"])

        await daemon.wait_for(is_missing, what="the list is missing")
        assert set(await shown(daemon)) == {"a", "b", "c"}  # recorded before: nothing leaves
        origin.publish("/urls.txt", b"/b\n")
        await synced(daemon, "b")
    assert keys(s3_client, bucket) == {"a", "b", "c"}
