"""`mirrord trigger` of a running daemon: lists and folders by name, also those that a reload added, and items that the
prune guard holds."""

import json
from pathlib import Path
from typing import Any

from tests.support.command import Completed, mirrord
from tests.support.daemon import TOKEN, Daemon, running, store_section
from tests.support.origin import Origin
from tests.support.stored import keys_in
from tests.support.weed import Server


async def test_lists_folders_and_guarded_items_are_triggered(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    manifests, inbox = tmp_path / "manifests", tmp_path / "in"
    manifests.mkdir()
    inbox.mkdir()
    (manifests / "stores.yaml").write_text(f"daemon: {{api_token: {TOKEN}}}\n{store_section(weed)}")
    rows = {f"n{number}": origin.publish(f"/n{number}", b"x") for number in range(12)}

    def publish(keys: list[str]) -> str:
        return origin.publish("/l.txt", "".join(f"{rows[key]}\n" for key in keys).encode())

    async def trigger(daemon: Daemon, *patterns: str) -> Completed:
        return await mirrord("trigger", "--url", daemon.url, *patterns, home=tmp_path, env={"MIRRORD_API_TOKEN": TOKEN})

    async with running(tmp_path, str(manifests)) as daemon:
        entry = {"list": publish(list(rows)), "to": f"s3://{bucket}/l/", "name": "rows/of it", "prune": True}
        folder = {"path": str(inbox), "to": f"s3://{bucket}/f/", "name": "in", "watch": "poll", "settle": "100ms"}
        folder |= {"poll_interval": "1h", "rescan": "1h"}
        (manifests / "a.yaml").write_text(f"mirrors: {json.dumps([entry])}\nfolders: {json.dumps([folder])}\n")
        await daemon.wait_for(lambda: len(keys_in(s3_client, bucket)) == 12, what="12 objects")
        await daemon.log("folder.rescanned")

        (inbox / "new").write_bytes(b"new")
        done = await trigger(daemon, "in")
        assert (done.code, done.out) == (0, "triggered the list or folder in\n"), done.output
        await daemon.wait_for(lambda: "f/new" in keys_in(s3_client, bucket), what="f/new")

        publish(["n0"])
        assert (await trigger(daemon, "rows*")).code == 0

        async def guarded() -> bool:
            return sum(one["reason"] == "PruneGuard" for one in (await daemon.items()).values()) == 11

        await daemon.wait_for(guarded, what="11 items Blocked")
        publish(list(rows))
        assert (await trigger(daemon, "l/n5")).code == 0

        async def none_left() -> bool:
            return all(one["state"] == "Synced" for one in (await daemon.items()).values())

        await daemon.wait_for(none_left, what="all Synced")
        assert (await trigger(daemon, "nothing")).code == 1
