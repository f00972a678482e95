"""Lists of sources with the real command: each format, a changed list, and lists that are incomplete."""

import gzip
import json
from base64 import b64encode
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Completed, mirrord
from tests.support.origin import Origin, cut_after, forces_gzip
from tests.support.syncing import manifest, sync
from tests.support.weed import Server

A, B = b"content of a", b"content of b"
SUM_A, SUM_B = sha256(A).hexdigest(), sha256(B).hexdigest()
MD5_A = b64encode(md5(A, usedforsecurity=False).digest()).decode()


def stored(s3_client: Any, bucket: str) -> dict[str, bytes]:
    found = s3_client.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {one["Key"]: s3_client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found}


def mirrors(*entries: dict[str, Any]) -> str:
    return f"mirrors: {json.dumps(entries)}\n"


def incomplete(done: Completed) -> list[str]:
    return [line.removeprefix("incomplete: ") for line in done.out.splitlines() if line.startswith("incomplete: ")]


FORMATS = {
    "urls.tsv": lambda url: f"url\tkey\tsha256\n{url}/a\tx/a\t{SUM_A}\n{url}/b\tx/b\t\n",
    "sts.tsv": lambda url: f"TsvHttpData-1.0\n{url}/a\t{len(A)}\t{MD5_A}\n{url}/b\t{len(B)}\n",
    "urls.csv": lambda url: f'"key",url,size\n"x/a",{url}/a,{len(A)}\nx/b,{url}/b,{len(B)}\n',
    "urls.jsonl": lambda url: "".join(
        json.dumps(row) + "\n" for row in ({"url": f"{url}/a", "size": len(A)}, {"url": "b", "key": "x/b"})
    ),
    "urls.txt": lambda url: f"# two\n{url}/a\n\nb\n",
    "SHA256SUMS": lambda url: f"{SUM_A}  ./a\n{SUM_B} *b\n",
    "PULP_MANIFEST": lambda url: f"a,{SUM_A},{len(A)}\nb,{SUM_B},{len(B)}\n",
}


@pytest.mark.parametrize("name", FORMATS)
async def test_each_format_by_url_and_by_file(
    name: str, tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    for path, body in (("/pub/a", A), ("/pub/b", B)):
        origin.publish(path, body)
        (tmp_path / "pub").mkdir(exist_ok=True)
        (tmp_path / path[1:]).write_bytes(body)
    text = FORMATS[name](origin.url("/pub"))
    (tmp_path / "pub" / name).write_text(text)
    entries = [
        {"list": origin.publish(f"/pub/{name}", text.encode()), "to": f"s3://{bucket}/url/"},
        {"list": f"pub/{name}", "to": f"s3://{bucket}/file/"},
    ]
    file = manifest(tmp_path, weed, mirrors(*entries))
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    bodies = stored(s3_client, bucket)
    assert sorted(bodies.values()) == sorted([A, A, B, B])
    assert {key.partition("/")[0] for key in bodies} == {"url", "file"}
    again = await sync(tmp_path, file)
    assert "4 unchanged" in again.out, again.output


async def test_bad_rows_are_reported_and_the_good_ones_used(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    origin.publish("/a", A)
    origin.publish("/b", B)
    rows = ["url,key,sha256", "a,a,", "b,../b,", "file:///etc/passwd,p,", f"b,wrong,{SUM_A}", "b,a,", "b,b,12"]
    url = origin.publish("/urls.csv", "\n".join(rows).encode())
    file = manifest(tmp_path, weed, mirrors({"list": url, "to": f"s3://{bucket}/x/"}))
    done = await sync(tmp_path, file)
    assert done.code == 1, done.output
    assert stored(s3_client, bucket) == {"x/a": A}
    assert incomplete(done) == [
        f"{url}:3: the key has a segment ..",
        f"{url}:4: its url is a local file: a list by URL names URLs only",
        f"{url}:6: s3://{bucket}/x/a is also the object of {url}:2; one object, one item",
        f"{url}:7: its sha256 is neither 64 hex digits nor 32 bytes in base64",
    ]
    assert "Blocked ChecksumMismatch: s3://" in done.out
    planned = await mirrord("plan", str(file), home=tmp_path)
    assert planned.code == 1
    assert f"! incomplete {url}:3: the key has a segment .." in planned.out


async def test_a_list_that_is_cut_short_is_incomplete(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    origin.publish("/a", A)
    origin.publish("/b", B)
    text = f"{SUM_A}  a\n{SUM_B}  b\n".encode()
    cut = origin.publish("/cut/SHA256SUMS", text)
    origin.behave("/cut/SHA256SUMS", cut_after(len(text) - 3))
    zipped = origin.publish("/zip/urls.txt.gz", gzip.compress(b"/a\n/b\n")[:-4])
    entries = [
        {"list": cut, "to": f"s3://{bucket}/cut{{path}}"},
        {"list": zipped, "to": f"s3://{bucket}/zip/"},
        {"list": origin.url("/missing.txt"), "to": f"s3://{bucket}/missing/"},
    ]
    origin.publish("/cut/a", A)
    done = await sync(tmp_path, manifest(tmp_path, weed, mirrors(*entries)))
    assert done.code == 1, done.output
    assert stored(s3_client, bucket) == {"cut/cut/a": A, "zip/a": A, "zip/b": B}
    first, second, missing = incomplete(done)
    assert first.startswith(f"{cut} is incomplete: ")
    assert "cut short at" in first
    assert second == f"{zipped} is cut short: its gzip data does not end"
    assert "404" in missing


async def test_the_headers_of_an_entry_are_for_the_lists_own_origin(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    origin.publish("/a", A)
    origin.publish("/b", B)
    url = origin.publish("/urls.txt", f"/a\n{origin.url('/b', host='localhost')}\n".encode())
    origin.behave("/urls.txt", forces_gzip())
    entry = {"list": url, "to": f"s3://{bucket}/", "http": {"headers": {"X-Token": "secret"}}}
    done = await sync(tmp_path, manifest(tmp_path, weed, mirrors(entry)))
    assert done.code == 0, done.output
    assert {asked.path: "x-token" in asked.headers for asked in origin.log} == {
        "/urls.txt": True,
        "/a": True,
        "/b": False,
    }
