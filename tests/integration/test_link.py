"""`mirrord link`: presigned URLs by the real command, fetched with plain aiohttp from a real store."""

import asyncio
import json
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from mirrord.journal.lock import StateLock
from tests.support.command import Completed, mirrord
from tests.support.origin import Origin
from tests.support.syncing import manifest, sync
from tests.support.weed import Server

KEY = "in dir/ü+& %41?#~'.bin"


async def fetched(url: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.get(URL(url, encoded=True)) as answer:
        return answer.status, await answer.read()


@pytest.fixture
async def file(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> Path:
    """A manifest whose item is in sync."""
    entry = json.dumps({origin.publish("/a", b"bytes of a"): f"s3://{bucket}/{KEY}"})
    file = manifest(tmp_path, weed, f"mirrors: {entry}\n")
    assert (await sync(tmp_path, file)).code == 0
    return file


def edit(file: Path, pattern: str, by: str) -> None:
    file.write_text(re.sub(pattern, by, file.read_text()))


async def link(file: Path, *arguments: str, env: dict[str, str] | None = None) -> Completed:
    return await mirrord("link", *arguments, "--config", str(file), home=file.parent, env=env)


async def test_the_url_fetches_the_bytes_until_it_ends(file: Path, bucket: str) -> None:
    with StateLock(file.parent / "state" / "mirrord"):  # as a daemon holds it
        done = await link(file, KEY, "--expires", "2s")
    assert (done.code, done.err) == (0, ""), done.output
    assert done.out.count("\n") == 1
    assert await fetched(done.out.strip()) == (200, b"bytes of a")
    other = done.out.strip()[:-1] + ("0" if done.out.strip()[-1] != "0" else "1")
    assert (await fetched(other))[0] == 403, "another signature"
    assert (await fetched(done.out.strip().replace("X-Amz-Expires=2", "X-Amz-Expires=3")))[0] == 403
    await asyncio.sleep(3.1)
    assert (await fetched(done.out.strip()))[0] == 403, "it ended"


async def test_json_says_what_the_url_is_of_and_when_it_ends(file: Path, bucket: str) -> None:
    done = await link(file, f"s3://{bucket}/{KEY}", "--json")
    assert done.code == 0, done.output
    found = json.loads(done.out)
    assert set(found) == {"id", "store", "destination", "url", "signed", "expires", "keys_may_end"}
    assert (found["destination"], found["signed"], found["keys_may_end"]) == (f"s3://{bucket}/{KEY}", True, False)
    assert found["expires"] == pytest.approx(time.time() + 3600, abs=60)
    by_id = await link(file, found["id"], "--expires", "7d")
    assert "X-Amz-Expires=604800&" in by_id.out
    assert await fetched(by_id.out.strip()) == (200, b"bytes of a")


@pytest.mark.parametrize("given", ["0s", "500ms", "7d1s", "1 hour", "-1h"])
async def test_other_durations_are_refused(tmp_path: Path, given: str) -> None:
    done = await mirrord("link", "a", "--expires", given, home=tmp_path)
    assert (done.code, done.out) == (2, ""), done.output
    assert "--expires" in done.err


async def test_an_item_or_object_that_is_missing_has_no_url(file: Path, bucket: str, s3_client: Any) -> None:
    unknown = await link(file, "nothing")
    assert (unknown.code, unknown.out) == (1, ""), unknown.output
    assert "no item in force has this id, object or key" in unknown.err
    s3_client.delete_object(Bucket=bucket, Key=KEY)
    gone = await link(file, KEY)
    assert (gone.code, gone.out) == (1, ""), gone.output
    assert "the store has no such object" in gone.err
    no_manifest = await mirrord("link", KEY, home=file.parent)
    assert (no_manifest.code, no_manifest.out) == (2, "")
    assert "name one with --config" in no_manifest.err


def _temporary(tmp_path: Path, weed: Server, **told: str) -> dict[str, str]:
    """The environment of temporary keys from a `credential_process`, which has keys that the store accepts."""
    keys = {"Version": 1, "AccessKeyId": weed.access_key_id, "SecretAccessKey": weed.secret_access_key, **told}
    script = tmp_path / "keys.py"
    script.write_text(f"print({json.dumps(keys)!r})")
    (tmp_path / "aws").write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")
    return {"AWS_CONFIG_FILE": str(tmp_path / "aws")}


async def test_a_url_that_would_outlive_temporary_keys_is_refused(
    file: Path, tmp_path: Path, weed: Server, bucket: str
) -> None:
    edit(file, r" +credentials: .*\n", "")
    end = datetime.now(UTC) + timedelta(minutes=40)
    env = _temporary(tmp_path, weed, Expiration=end.isoformat())
    done = await link(file, KEY, env=env)
    assert (done.code, done.out) == (1, ""), done.output
    assert f"its temporary keys end at {end:%Y-%m-%d %H:%M:%SZ}, in 39m" in done.err
    shorter = await link(file, KEY, "--expires", "30m", env=env)
    assert (shorter.code, shorter.err) == (0, ""), shorter.output
    assert await fetched(shorter.out.strip()) == (200, b"bytes of a")


async def test_without_keys_the_url_is_plain(file: Path, bucket: str, s3_client: Any) -> None:
    """It is the public link of the object, and that of a signed URL before its query."""
    public = (await link(file, KEY)).out.partition("?")[0]
    assert (await fetched(public))[0] == 403
    everyone = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3_client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everyone]}))
    edit(file, "credentials: .*", "credentials: {anonymous: true}")
    plain = await link(file, KEY)
    assert plain.code == 0, plain.output
    assert "?" not in plain.out
    assert "the URL is not signed, and does not end" in plain.err
    assert await fetched(plain.out.strip()) == (200, b"bytes of a")
    assert plain.out.strip() == public


async def test_a_link_to_an_embedded_store_that_nobody_runs_is_refused(tmp_path: Path, origin: Origin) -> None:
    file = tmp_path / "m.yaml"
    source = origin.publish("/a", b"bytes")
    file.write_text(
        f"stores: {{default: {{provider: embedded, buckets: {{demo: {{create: true}}}}}}}}\nmirrors: {{'{source}': 's3://demo/a'}}\n"
    )
    assert (await sync(tmp_path, file)).code == 0
    done = await link(file, "a")
    assert (done.code, done.out) == (1, ""), done.output
    assert "the embedded store runs only while `mirrord run` does" in done.err
