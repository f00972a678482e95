"""`mirrord import` as a user runs it: the manifest adopts what the tools copied; the files that it writes."""

import asyncio
import json
import os
import re
import subprocess
import sysconfig
from base64 import b64encode
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

from mirrord.importing.rclone_flags import TABLE
from tests.support.command import Completed, environment, mirrord
from tests.support.origin import Origin, says
from tests.support.weed import Server

FILES = {
    "site/index.html": b"<p>hello",
    "site/css/a.css": b"p {}",
    "site/draft.tmp2": b"not sent",
    "inbox/a.csv": b"1;2\n",
    "inbox/b.txt": b"not sent",
    "report.pdf": b"%PDF" * 100,
    "www/start.html": b"<h1>",
    "db.gz": b"\x1f\x8b" + bytes(1000),
    "photos/2024/x.jpg": b"\xff\xd8\xff",
    "photos/x.raw": b"not sent",
    "one.bin": bytes(range(256)),
    "dir/deep/two.bin": b"two",
    "raw/three.bin": b"three",
    "raw/three.txt": b"not sent",
    "list/four.iso": b"four" * 500,
}
PAGES = ("city.mmdb", "tool.tar.gz", "feed.json")


def rclone_conf(server: Server, bucket: str) -> str:
    return (
        f"[minio]\ntype = s3\nprovider = SeaweedFS\naccess_key_id = {server.access_key_id}\n"
        f"secret_access_key = {server.secret_access_key}\nendpoint = {server.endpoint_url}\nacl = private\n\n"
        f"[base]\ntype = alias\nremote = minio:{bucket}/base\n"
    )


def crontab(files: Path, origin: Origin, endpoint: str, bucket: str) -> list[str]:
    city, tool, feed = map(origin.url, (f"/{name}" for name in PAGES))
    at = f"--endpoint-url={endpoint}"
    return [
        "SHELL=/bin/bash",
        f"BUCKET={bucket}",
        f"15 3 * * * /usr/bin/rclone sync {files}/site minio:{bucket}/site --exclude '*.tmp2' -v >/dev/null 2>&1",
        f"*/15 * * * * flock -n /tmp/x.lock rclone copy {files}/inbox minio:$BUCKET/inbox --include '*.csv'",
        f"@daily rclone copyto {files}/report.pdf base:reports/latest.pdf --checksum",
        f"@daily rclone copyurl {city} minio:{bucket}/geo/city.mmdb",
        f"0 5 * * 1 rclone copyurl --auto-filename {tool} minio:{bucket}/tools",
        f"0 */6 * * * cd {files}/www && aws s3 sync . s3://{bucket}/www --delete --endpoint-url {endpoint} --quiet",
        f"10 1 * * * aws {at} s3 cp {files}/db.gz s3://{bucket}/dumps/ && curl -fsS https://hc.example.org/1",
        f"20 1 * * * aws s3 cp {files}/photos s3://{bucket}/photos --recursive --exclude '*' --include '*.jpg' {at}",
        f"*/5 * * * * curl -fsSL {feed} | aws s3 cp - s3://{bucket}/feed.json --endpoint-url {endpoint}",
        f"0 2 * * * rclone bisync {files}/site minio:{bucket}/both",
    ]  # fmt: skip


def script(files: Path, endpoint: str, bucket: str) -> str:
    tool = f"s5cmd --endpoint-url {endpoint}"
    return (
        "#!/bin/bash\nset -euo pipefail\n"
        f"{tool} cp {files}/one.bin s3://{bucket}/one.bin\n"
        f"{tool} cp \\\n  {files}/dir/ \\\n  s3://{bucket}/dir/\n"
        f"{tool} cp '{files}/raw/*.bin' s3://{bucket}/raw/\n"
    )


OBJECTS = {
    "one.bin": "one.bin",
    "dir/deep/two.bin": "dir/deep/two.bin",
    "raw/three.bin": "raw/three.bin",
    "www/start.html": "www/start.html",
    "dumps/db.gz": "db.gz",
    "photos/2024/x.jpg": "photos/2024/x.jpg",
    "list/four.iso": "list/four.iso",
}
"""Objects as the lines of s5cmd and aws, and of the list, have them: key and file."""


async def run_tools(lines: list[str], conf: Path, env: dict[str, str]) -> None:
    """Run the lines of rclone with the real program."""
    programs = f"export PATH={sysconfig.get_path('scripts')}:$PATH RCLONE_CONFIG={conf}\n"
    process = await asyncio.create_subprocess_exec(
        "bash", "-ec", programs + "\n".join(lines), env=env, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, out.decode()


async def test_what_the_tools_copied_is_adopted_by_the_imported_manifest(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    files = tmp_path / "files"
    for name, content in FILES.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_bytes(content)
    for name in PAGES:
        origin.publish(f"/{name}", name.encode())
        origin.behave(f"/{name}", says(**{"Content-MD5": b64encode(md5(name.encode()).digest()).decode()}))
    conf = tmp_path / "rclone.conf"
    conf.write_text(rclone_conf(weed, bucket))
    cron = crontab(files, origin, weed.endpoint_url, bucket)
    (tmp_path / "crontab").write_text("\n".join(cron) + "\n")
    (tmp_path / "upload.sh").write_text(script(files, weed.endpoint_url, bucket))
    sums = files / "list" / "SHA256SUMS"
    sums.write_text(f"{sha256(FILES['list/four.iso']).hexdigest()}  four.iso\n")

    keys = {
        "AWS_ACCESS_KEY_ID": weed.access_key_id,
        "AWS_SECRET_ACCESS_KEY": weed.secret_access_key,
        "AWS_REGION": "us-east-1",
        "BUCKET": bucket,
    }
    commands = [
        line.partition("rclone ")[2].partition(" >")[0] for line in cron if "rclone " in line and "bisync" not in line
    ]
    await run_tools([f"rclone {one}" for one in commands], conf, environment(tmp_path, keys))
    for key, name in OBJECTS.items():
        s3_client.upload_file(str(files / name), bucket, key)
    s3_client.put_object(Bucket=bucket, Key="feed.json", Body=b"feed.json")

    done = await mirrord(
        "import", "rclone.conf", "crontab", "upload.sh", str(sums), "--to", f"s3://{bucket}/list/",
        "--timezone", "Europe/Berlin", "--output", "m.yaml", home=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.output
    assert "crontab:12: rclone: not carried over: rclone bisync copies in both directions" in done.err
    text = (tmp_path / "m.yaml").read_text()
    assert weed.secret_access_key not in text + done.output
    assert weed.access_key_id not in text + done.output

    variables = {
        **keys,
        "RCLONE_CONFIG_MINIO_ACCESS_KEY_ID": weed.access_key_id,
        "RCLONE_CONFIG_MINIO_SECRET_ACCESS_KEY": weed.secret_access_key,
    }
    plan = await mirrord("plan", "m.yaml", "--json", "--log-level", "error", home=tmp_path, env=variables)
    found = json.loads(plan.out)
    assert (found["left"], found["problems"], found["incomplete"]) == ([], [], []), text
    assert {change["action"] for change in found["changes"]} == {"adopt"}, plan.output
    assert found["adopted"] == len([name for name, content in FILES.items() if content != b"not sent"]) + len(PAGES)
    assert plan.code == 0


def test_the_flags_of_rclone_take_values_as_rclone_says() -> None:
    program = f"{sysconfig.get_path('scripts')}/rclone"
    pages = [["help", "flags"], ["copyurl", "--help"], ["sync", "--help"], ["move", "--help"]]
    text = "".join(
        subprocess.run([program, *page], capture_output=True, text=True, timeout=60).stdout for page in pages
    )
    found = re.findall(r"^ +(?:-\w, )? *(--[a-z0-9-]+)( (?!count)\S+)?(?: count)?  +", text, re.MULTILINE)
    valued = {name for name, value in found if value}
    assert {name for name, _ in found} >= TABLE.values | TABLE.switches
    assert TABLE.values <= valued
    assert not TABLE.switches & valued


async def test_what_it_writes_and_its_exit_codes(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("rclone copy /srv/a x:bkt\naws s3 sync /srv/b s3://bkt/b\n")
    output = tmp_path / "m.yaml"

    async def run(*arguments: str) -> Completed:
        return await mirrord("import", *arguments, home=tmp_path)

    shown = await run("lines")
    assert shown.code == 0
    assert shown.err.splitlines() == [
        "mirrord: lines:1: rclone: not carried over: its remote is in no rclone.conf of the import: name that file too",
        "mirrord: lines:2: aws follows symbolic links in a folder, mirrord only with `follow_symlinks: true`",
        "mirrord: 1 entry written, 2 remarks on what was not carried over",
    ]
    assert (await run("lines", "-o", "m.yaml")).out == ""
    assert output.read_text() == shown.out
    again = await run("lines", "--output", "m.yaml")
    assert (again.code, output.read_text()) == (2, shown.out)
    assert "--force replaces it" in again.err
    (tmp_path / "lines").write_text("aws s3 sync /srv/c s3://bkt/c\n")
    assert (await run("lines", "--output", "m.yaml", "--force")).code == 0
    assert "/srv/c" in output.read_text()
    assert sorted(os.listdir(tmp_path)) == ["lines", "m.yaml"], "no temporary file"

    assert (await run("nowhere")).code == 2
    assert (await run()).code == 2
    assert (await run("lines", "--timezone", "Mars")).code == 2
    assert (await run("lines", "--to", "bkt")).code == 2
    (tmp_path / "garbage").write_bytes(b"\x80\x81")
    bad = await run("garbage", "lines")
    assert (bad.code, bad.out) == (1, "")
    assert bad.err == "mirrord: garbage: is not UTF-8 text\n"
    (tmp_path / "nothing").write_text("rclone ls x:bkt\n")
    assert (await run("nothing")).code == 1
    assert (await run(str(tmp_path))).code == 1
