"""Any text: no crash, a manifest that the loader accepts, and no secret in it or in a message."""

from contextlib import suppress

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirrord.importing.draft import imported
from mirrord.importing.inputs import InputText
from mirrord.importing.values import ImportRefused
from mirrord.manifest.manifest import Manifest
from tests.support.importing import CONF, MACHINE, importing

PLANTED = "PLANTED"
PIECES = st.sampled_from(
    [
        "rclone",
        "aws",
        "s3",
        "s5cmd",
        "copy",
        "sync",
        "cp",
        "mv",
        "copyurl",
        "rcat",
        "pipe",
        "/srv/a",
        "s3://bkt/x",
        "minio:bkt/x",
        "deep:",
        ":s3:bkt/x",
        "encrypted:x",
        "-",
        "--",
        "--exclude",
        "--include",
        "--filter",
        "*",
        "'*'",
        "*.csv",
        "{a,b}",
        "**",
        "/",
        "~",
        "~x",
        ".",
        "..",
        "$",
        "${",
        "${A}",
        "${A:-x}",
        "$(date)",
        "`id`",
        "$1",
        "\\",
        "'",
        '"',
        ";",
        "&&",
        "||",
        "|",
        "&",
        ">",
        ">>",
        "2>&1",
        "<",
        "(",
        ")",
        "#",
        "%",
        "\\%",
        "@daily",
        "@reboot",
        "0",
        "*/5",
        "1-5",
        "15",
        "3",
        "*",
        "*",
        "*",
        "root",
        "flock",
        "-n",
        "/tmp/l",
        "sudo",
        "-u",
        "x",
        "bash",
        "-c",
        "cd",
        "for",
        "f",
        "in",
        "do",
        "done",
        "if",
        "then",
        "fi",
        "curl",
        "-fsSL",
        "https://example.org/f",
        "wget",
        "-qO-",
        "--transfers",
        "4",
        "--bwlimit",
        "10M",
        "08:00,1M",
        "--acl",
        "--metadata",
        "{}",
        "a=b",
        "--sse",
        "--delete",
        "--dry-run",
        "--brand-new",
        "A=b",
        "TZ=UTC",
        "CRON_TZ=Nowhere/X",
        "[minio]",
        "type",
        "=",
        "s3",
        "TsvHttpData-1.0",
        "url,key",
        "{",
        "}",
        '{"url":1}',
        "é",
        "☃",
        "\u202e",
    ]
)
NOISE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
LINES = st.lists(st.lists(st.one_of(PIECES, PIECES, NOISE), max_size=14).map(" ".join), min_size=1, max_size=6).map(
    "\n".join
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LINES, st.sampled_from(["", CONF, "[minio]\ntype = s3\nendpoint = $a b@c\nregion = [\n"]))
def test_any_text_makes_a_valid_manifest_or_a_reason(text: str, conf: str) -> None:
    inputs = [InputText("rclone.conf", conf.encode())] if conf else []
    try:
        result = imported([*inputs, InputText("x", text.encode())], MACHINE)
    except ImportRefused as error:
        why = str(error)
    else:
        why = ""
    if why:
        assert "internal error" not in why
        return
    assert Manifest.parse("m.yaml", result.text.encode(), {}, allow_unset=True).problems == ()
    assert PLANTED not in result.text + "".join(map(str, result.remarks))
    yaml.safe_load(result.text)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_imported(content: bytes) -> None:
    with suppress(ImportRefused):
        imported([InputText("x", content)], MACHINE, "s3://bkt/")


SECRETS = [
    "AWS_SECRET_ACCESS_KEY=PLANTED AWS_ACCESS_KEY_ID=PLANTED aws s3 cp /srv/one.csv s3://bkt/x",
    "export AWS_SECRET_ACCESS_KEY=PLANTED\naws s3 sync /srv/a s3://bkt/x",
    'MY_TOKEN=PLANTED\n@daily curl -H "X-Token: $MY_TOKEN" https://example.org/f | aws s3 cp - s3://bkt/x',
    "rclone copy /srv/a minio:bkt --s3-secret-access-key PLANTED --s3-access-key-id=PLANTED",
    "rclone copy /srv/a :s3,access_key_id=PLANTED,secret_access_key='PLANTED':bkt",
    "rclone copy /srv/a minio:bkt --password-command 'echo PLANTED' --rc-pass PLANTED",
    "rclone copy /srv/a minio:bkt --brand-new=PLANTED --brand-newer PLANTED",
    "rclone copyurl https://user:PLANTED@example.org/a?X-Amz-Signature=PLANTED&x=1#PLANTED minio:bkt/a",
    "rclone copyurl 'https://example.org/a?token=PLANTED&access_token=PLANTED' minio:bkt/a",
    "rclone copyurl https://example.org/a minio:bkt/a --header 'Authorization: Bearer PLANTED' --header 'X: PLANTED'",
    "curl -u me:PLANTED https://example.org/a | aws s3 cp - s3://bkt/a",
    "curl -H 'PRIVATE-TOKEN: PLANTED' https://example.org/a | rclone rcat minio:bkt/a",
    "RCLONE_CONFIG_X_TYPE=s3 RCLONE_CONFIG_X_SECRET_ACCESS_KEY=PLANTED rclone copy /srv/a x:bkt",
    "mysqldump -pPLANTED db | aws s3 cp - s3://bkt/x",
    "aws s3 cp /srv/one.csv s3://bkt/x --sse-c-key PLANTED --sse-c",
    "rclone copy /srv/a 'PLANTED: x y' '",
    "aws s3 cp /srv/one.csv s3://bkt/x --acl PLANTED",
    "aws s3 cp /srv/one.csv s3://bkt/x --metadata 'a:b=PLANTED'",
    "X='x?token=PLANTED'\nrclone copy /srv/a minio:bkt/$X",
    "PLANTED",
    "rclone PLANTED /srv/a minio:bkt",
    "rclone copy /srv/a PLANTED:bkt",
    "aws s3 sync /srv/a s3://PLANTED_bad/x",
    "aws s3 cp /srv/one.csv s3://bkt/x --storage-class planted-PLANTED --endpoint-url https://me:PLANTED@s3.example.org",
]


@pytest.mark.parametrize("line", SECRETS)
def test_a_secret_reaches_neither_the_manifest_nor_a_message(line: str) -> None:
    result = importing(f"rclone copy /srv/first minio:bkt/first\n{line}\n")
    assert PLANTED not in result.text
    assert PLANTED not in "".join(map(str, result.remarks))
    assert len(result.remarks) + result.entries + result.text.count("# lines:2") > 1
