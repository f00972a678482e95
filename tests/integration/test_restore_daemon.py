"""`history` and `restore` through a running daemon: by the commands, and by the API with its problem documents."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.command import Completed, mirrord
from tests.support.daemon import TOKEN, Daemon, running, store_section
from tests.support.origin import Origin
from tests.support.weed import Server

Answer = tuple[int, str, dict[str, Any]]


async def post(daemon: Daemon, item: str, body: object, token: str = TOKEN) -> Answer:
    """POST …/restore: status, media type and document of the answer."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{daemon.url}/api/v1/items/{item}/restore", json=body, headers={"Authorization": f"Bearer {token}"}
        ) as answer,
    ):
        return answer.status, answer.content_type, await answer.json()


async def test_a_daemon_restores_and_refuses(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    plain = f"{bucket}-plain"
    s3_client.create_bucket(Bucket=plain)
    s3_client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = [s3_client.put_object(Bucket=bucket, Key="a", Body=b"by hand")["VersionId"]]
    url = origin.publish("/a", b"one")
    entries = [{"url": url, "to": f"s3://{bucket}/a"}, {"url": url, "to": f"s3://{plain}/p"}]
    suspended = {"url": url, "to": f"s3://{bucket}/s", "suspend": True}
    head = f"daemon: {{api_token: {TOKEN}}}\n{store_section(weed)}"
    file = tmp_path / "m.yaml"
    file.write_text(f"{head}mirrors: {json.dumps([*entries, suspended])}\n")

    def content() -> bytes:
        body: bytes = s3_client.get_object(Bucket=bucket, Key="a")["Body"].read()
        return body

    async def command(*arguments: str) -> Completed:
        return await mirrord(*arguments, home=tmp_path, env={"MIRRORD_API_TOKEN": TOKEN})

    async with running(tmp_path, str(file)) as daemon:
        await daemon.wait_for(lambda: content() == b"one", what="a is copied")

        async def settled() -> bool:
            return await daemon.states() == {"a": "Synced", "p": "Synced", "s": "Suspended"}

        await daemon.wait_for(settled, what="all settled")
        items = {key: one["id"] for key, one in (await daemon.items()).items()}
        shown = await command("history", "a", "--json")
        assert shown.code == 0, shown.output
        found = json.loads(shown.out)["entries"]
        assert [(one["outcome"], one["version_id"] == versions[0]) for one in found] == [
            ("current", False),
            ("other version", True),
        ]
        done = await command("restore", f"s3://{bucket}/a", "--version", versions[0])
        assert done.code == 0, done.output
        assert content() == b"by hand"
        one = await daemon.api(f"items/{items['a']}")
        assert (one["state"], one["restored"]) == ("Synced", versions[0])
        assert f"restored to version {versions[0]}" in one["message"]
        count = len(s3_client.list_object_versions(Bucket=bucket, Prefix="a")["Versions"])
        answers = await asyncio.gather(*(post(daemon, items["a"], {"version": versions[0]}) for _ in range(2)))
        assert {status for status, _, _ in answers} <= {200, 409}
        assert 200 in {status for status, _, _ in answers}
        assert (await command("trigger", "a")).code == 0
        await _checked(daemon, "a")
        assert content() == b"by hand"
        assert len(s3_client.list_object_versions(Bucket=bucket, Prefix="a")["Versions"]) == count

        s3_client.delete_object(Bucket=bucket, Key="a")
        marker = s3_client.list_object_versions(Bucket=bucket, Prefix="a")["DeleteMarkers"][0]["VersionId"]
        for item, body, token, status, why in (
            (items["a"], {"version": versions[0]}, "wrong", 401, "token"),
            ("0" * 16, {"version": versions[0]}, TOKEN, 404, "there is no item"),
            (items["a"], {"version": "nope"}, TOKEN, 409, "has no version nope"),
            (items["a"], {"version": marker}, TOKEN, 409, "delete marker"),
            (items["p"], {"version": versions[0]}, TOKEN, 409, "keeps no versions"),
            (items["s"], {"version": versions[0]}, TOKEN, 409, "never in sync"),
            (items["a"], {}, TOKEN, 400, "version"),
            (items["a"], ["x"], TOKEN, 400, "version"),
            (items["a"], {"version": 7}, TOKEN, 400, "version"),
        ):
            got, media, document = await post(daemon, item, body, token)
            assert (got, why in json.dumps(document)) == (status, True), (body, got, document)
            if status != 401:
                assert (media, document["status"]) == ("application/problem+json", status)
        assert (await post(daemon, items["a"], {"version": versions[0]}))[0] == 200
        assert content() == b"by hand"
        (state,) = (tmp_path / "state").rglob("daemon.json")
        hidden = state.rename(state.with_suffix(".hidden"))
        held = await command("restore", "a", "--version", versions[0], "--config", str(file))
        assert held.code == 75, held.output
        hidden.rename(state)


async def _checked(daemon: Daemon, key: str) -> None:
    """Wait until no check of the item runs."""

    async def idle() -> bool:
        return (await daemon.states())[key] == "Synced"

    await daemon.wait_for(idle, what=f"{key} Synced")
