"""`object:` is edited under the daemon: its entries, lists and folders are rewritten without a restart."""

import asyncio
from pathlib import Path
from typing import Any

from tests.support.daemon import running
from tests.support.origin import Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest


async def test_edited_options_are_rewritten_by_the_daemon(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(30):
        (inbox / f"{number}.csv").write_bytes(b"1;2\n" * number)
    (tmp_path / "list.txt").write_text("\n".join(origin.publish(f"/{n}", b"%d" % n) for n in range(5)))
    url = origin.publish("/page", b"<html>", content_type="text/html")

    def edit(options: str) -> Path:
        body = (
            f"mirrors:\n  - {{url: '{url}', to: 's3://{bucket}/page', every: 1h}}\n"
            f"  - {{list: list.txt, to: 's3://{bucket}/l/', name: rows}}\n"
            f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', settle: 0s}}\n"
        )
        return manifest(tmp_path, store_proxy.server, f"defaults: {{object: {options}}}\n{body}")

    file = edit("{}")
    keys = ["page", *(f"l/{n}" for n in range(5)), *(f"in/{n}.csv" for n in range(30))]

    def shown(key: str) -> tuple[str | None, str]:
        head = s3_client.head_object(Bucket=bucket, Key=key)
        return head.get("CacheControl"), head["ContentType"]

    async with running(tmp_path, str(file)) as daemon:
        await daemon.synced(*keys)
        sent = origin.body_bytes()
        store_proxy.clear()
        for options, value in (("{cache_control: no-store}", "no-store"), ("{cache_control: max-age=1}", "max-age=1")):
            edit(options)

            async def rewritten(value: str = value) -> bool:
                return await asyncio.to_thread(lambda: all(shown(key)[0] == value for key in keys))

            await daemon.wait_for(rewritten)
            await daemon.synced(*keys)
        assert store_proxy.counts["CopyObject"] == 2 * len(keys)
        assert store_proxy.counts["PutObject"] == 0
        assert origin.body_bytes() == sent
        assert (shown("page")[1], shown("in/3.csv")[1]) == ("text/html", "text/csv")
