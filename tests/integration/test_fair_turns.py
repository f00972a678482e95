"""A running daemon whose slots large transfers would take: small items are copied meanwhile."""

import json
from pathlib import Path
from typing import Any

from mirrord.reconcile.transfer_slots import LARGE
from tests.support.daemon import running, store_section
from tests.support.origin import Generated, Origin, stalls_after
from tests.support.stored import keys_in
from tests.support.weed import Server

MANY = 60
"""More than the checks that run at a time."""


async def test_small_items_pass_large_ones_that_hold_their_slots(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    urls = [origin.publish(f"/large{number}", Generated(LARGE, seed=number)) for number in range(MANY)]
    for number in range(MANY):
        origin.behave(f"/large{number}", stalls_after(1000))
    large = [{"url": url, "to": f"s3://{bucket}/{number}"} for number, url in enumerate(urls)]
    manifest = tmp_path / "m.yaml"
    head = f"daemon: {{transfers: 2}}\n{store_section(weed)}"
    manifest.write_text(f"{head}mirrors: {json.dumps(large)}\n")
    async with running(tmp_path, str(manifest)) as daemon:

        async def all_begun() -> bool:
            states = [one["state"] for one in (await daemon.items()).values()]
            return states.count("Transferring") >= 1 and all(len(origin.asked(f"/large{n}")) for n in range(MANY))

        await daemon.wait_for(all_begun, what="large items that were looked at")
        small = [{"url": origin.publish(f"/s{n}", b"small"), "to": f"s3://{bucket}/s{n}"} for n in range(5)]
        manifest.write_text(f"{head}mirrors: {json.dumps(large + small)}\n")
        await daemon.wait_for(lambda: {f"s{n}" for n in range(5)} <= keys_in(s3_client, bucket), what="small objects")
        states = [one["state"] for one in (await daemon.items()).values()]
        assert states.count("Synced") == 5
