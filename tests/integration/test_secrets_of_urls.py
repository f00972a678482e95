"""Userinfo and queries of URLs with the real command: never in output, log lines or files of the state."""

import json
from pathlib import Path
from typing import Any

from tests.support.command import mirrord
from tests.support.origin import Origin, answers, redirects
from tests.support.syncing import manifest
from tests.support.weed import Server

SECRETS = ("s3cretPW", "s3cretTOKEN", "s3cretSIG", "czNjcmV0")  # the last one is the start of their base64


def clean(output: str) -> None:
    assert not any(secret in output for secret in SECRETS), output


async def test_no_secret_of_a_url_is_shown_or_stored(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    origin.publish("/whole", b"bytes")
    origin.behave("/denied", answers(403))
    origin.behave("/away", redirects("ftp://me:s3cretPW@h/x?sig=s3cretSIG"))
    origin.behave("/broken", answers(500))
    asked = {
        origin.url("/whole?X-Amz-Signature=s3cretSIG").replace("//", "//s3cretTOKEN@"): f"s3://{bucket}/whole",
        origin.url("/denied#s3cretSIG").replace("//", "//me:s3cretPW@"): f"s3://{bucket}/denied",
        origin.url("/away?s3cretSIG").replace("//", "//me:p%2Fs3cretPW@"): f"s3://{bucket}/away",
        origin.url("/broken?sig=s3cretSIG").replace("//", "//:s3cretPW@"): f"s3://{bucket}/broken",
        "http://me:s3cretPW@h.invalid/x?sig=s3cretSIG": f"s3://{bucket}/nowhere",
    }
    file = manifest(tmp_path, weed, f"mirrors: {json.dumps(asked)}\n")
    for command in ("validate", "plan", "sync", "plan"):
        clean((await mirrord(command, str(file), home=tmp_path, speed=10.0)).output)
    for command in ("status", "status --json"):
        clean((await mirrord(*command.split(), "--config", str(file), home=tmp_path)).output)
    for kept in (tmp_path / "state").rglob("*"):
        if kept.is_file():
            clean(kept.read_bytes().decode("latin-1"))
    assert s3_client.get_object(Bucket=bucket, Key="whole")["Body"].read() == b"bytes"
    assert origin.asked("/whole")[-1].headers["authorization"] == "Basic czNjcmV0VE9LRU46"  # with its colon


async def test_a_manifest_of_malformed_urls_is_refused_without_quoting_them(tmp_path: Path, weed: Server) -> None:
    urls = [
        "https:/me:s3cretPW@h/a",
        "https://me:s3cretPW/s3cretTOKEN@h/a",
        "https://me:s3cretPW?s3cretTOKEN@h/a",
        "https://me:s3cretPW#s3cretTOKEN@h/a",
        "https:me:s3cretPW@h/a",
        "//me:s3cretPW@h/a?s3cretSIG",
        "HTTPS://s3cretTOKEN@h/a",
        "https://me:s3cretPW@h:port/a",
        "h.example/a;token=s3cretTOKEN",
    ]
    entries = [{"url": url, "to": f"s3://bucket/{n}"} for n, url in enumerate(urls)]
    file = manifest(tmp_path, weed, f"mirrors: {json.dumps(entries)}\n")
    hooks = '["https://h/s3cretTOKEN", {url: h/s3cretTOKEN, secret: whsec_s3cretTOKEN!}]'
    faulty = '{url: "https://h/a", to: "s3://bucket/f", http: {basic: "me:s3cretPW", headers: {"A: s3cretPW": x}}}'
    text = file.read_text().replace("mirrors: [", f"mirrors: [{faulty}, ")
    file.write_text(f"daemon: {{notify: {hooks}}}\n{text}")
    for command in ("validate", "plan", "sync", "run"):
        done = await mirrord(command, str(file), home=tmp_path)
        assert done.code == 78, done.output
        clean(done.output)
