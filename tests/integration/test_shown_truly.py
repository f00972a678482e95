"""API and metrics of `mirrord run` show the real state of folders, stores and the queue."""

import json
import time
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon, running, store_section
from tests.support.gate import Gate
from tests.support.origin import Origin
from tests.support.proxy import StoreProxy
from tests.support.weed import Server


async def shows(daemon: Daemon, **wanted: float) -> bool:
    """Whether these samples have these values; names without `mirrord_`, with labels."""
    found = await daemon.metrics()
    return all(found.get(f"mirrord_{name}") == value for name, value in wanted.items())


def watching(folder: str, mode: str) -> dict[str, float]:
    return {f'folder_watching{{folder="{folder}",mode="{one}"}}': float(one == mode) for one in ("events", "poll")}


async def test_a_folder_that_is_not_there_is_down_and_polled_until_it_is(
    tmp_path: Path, weed: Server, bucket: str
) -> None:
    (tmp_path / "there").mkdir()
    common = "settle: 50ms, rescan: 400ms, poll_interval: 200ms"
    entries = [f"{{path: {name}, name: {name}, to: 's3://{bucket}/{name}/', {common}}}" for name in ("there", "away")]
    file = tmp_path / "m.yaml"
    file.write_text(f"{store_section(weed)}folders: [{', '.join(entries)}]\n")
    began = time.time()
    async with running(tmp_path, str(file)) as daemon:
        up = {'folder_up{folder="there"}': 1.0, 'folder_up{folder="away"}': 0.0}
        await daemon.wait_for(lambda: shows(daemon, **up, **watching("there", "events"), **watching("away", "poll")))
        folders = {one["name"]: one for one in (await daemon.api("status"))["folders"]}
        assert (folders["away"]["complete"], folders["away"]["watching"]) == (False, "poll")

        (tmp_path / "away").mkdir()
        (tmp_path / "away" / "x").write_text("x")
        up['folder_up{folder="away"}'] = 1.0
        await daemon.wait_for(lambda: shows(daemon, **up, **watching("away", "events")))
        last = (await daemon.metrics())['mirrord_folder_last_scan_timestamp_seconds{folder="away"}']
        assert began <= last <= time.time()
        await daemon.synced("away/x")


async def test_a_store_that_is_away_is_down_and_checks_that_failed_are_counted(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin, unused_tcp_port: int
) -> None:
    dead = f"http://127.0.0.1:{unused_tcp_port}"
    stores = store_section(weed).replace(weed.endpoint_url, dead)
    file = tmp_path / "m.yaml"
    file.write_text(f"{stores}mirrors:\n  {origin.publish('/x', b'x')}: s3://{bucket}/x\n")
    async with running(tmp_path, str(file)) as daemon:
        line = await daemon.log("item.retrying", key="x")
        assert (line["reason"], line["level"], line["attempt"]) == ("StoreUnavailable", "warning", 1)
        assert (await daemon.api("status"))["stores"] == {"default": False}
        samples = await daemon.metrics()
        assert samples['mirrord_retries_total{reason="StoreUnavailable"}'] >= 1
        assert samples['mirrord_store_up{store="default"}'] == 0
        assert not daemon.logged("transfer.failed"), "none was started"


async def test_the_row_of_a_deleted_file_shows_the_deletion_and_the_time_of_its_copy(
    tmp_path: Path, weed: Server, bucket: str
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "goes").write_text("x")
    (inbox / "stays").write_text("y")
    file = tmp_path / "m.yaml"
    file.write_text(f"{store_section(weed)}folders: [{{path: inbox, to: 's3://{bucket}/', settle: 50ms}}]\n")
    began = time.time()
    async with running(tmp_path, str(file)) as daemon:
        await daemon.synced("goes", "stays")
        assert began <= (await daemon.items())["goes"]["synced_at"] <= time.time()
        (inbox / "goes").unlink()
        rows = await daemon.items()
        assert (rows["goes"]["state"], rows["goes"]["message"]) == (
            "Synced",
            "its file is gone, the object stays (delete: keep)",
        )
        assert rows["stays"]["message"] == ""
        assert (await daemon.api(f"items/{rows['goes']['id']}"))["message"] == rows["goes"]["message"]
        (inbox / "goes").write_text("x again")
        await daemon.wait_for(lambda: back(daemon), 60, "it is back")


async def back(daemon: Daemon) -> bool:
    row = (await daemon.items())["goes"]
    return (row["state"], row["size"], row["message"]) == ("Synced", 7, "")


async def test_the_queue_counts_what_is_due_and_not_begun_and_totals_are_the_rows(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin
) -> None:
    many = 80
    mirrors = {origin.publish(f"/{n}", b"x"): f"s3://{bucket}/{n}" for n in range(many)}
    file = tmp_path / "m.yaml"
    file.write_text(f"{store_section(store_proxy.server)}daemon: {{transfers: 2}}\nmirrors: {json.dumps(mirrors)}\n")
    gate = Gate.before(store_proxy, "PutObject")
    async with running(tmp_path, str(file)) as daemon:
        await gate.reached()

        async def waits() -> bool:
            found = await daemon.metrics()
            return found["mirrord_transfers_in_flight"] == 2 and found["mirrord_queue_items"] == many - 2 - 48

        await daemon.wait_for(waits, 60, "two transfers, 48 checks at the same time, the others are due")
        totals: dict[str, Any] = (await daemon.api("status"))["totals"]
        states = list((await daemon.states()).values())
        assert totals == {state: states.count(state) for state in set(states)}
        assert totals["Transferring"] == 2
        for state in ("Pending", "Transferring"):
            assert len(await daemon.items(f"&state={state}")) == totals[state]
        gate.open()
        await daemon.synced(*map(str, range(many)))
        await daemon.wait_for(lambda: shows(daemon, queue_items=0.0, transfers_in_flight=0.0))
