"""Imports texts without files: `imported` for a machine with a few paths."""

from collections.abc import Mapping
from typing import Any

import yaml

from mirrord.importing.draft import ImportResult, imported
from mirrord.importing.inputs import InputText
from mirrord.importing.values import Machine

FILES: Mapping[str, bool] = {
    "/srv/one.csv": True,
    "/srv/noext": True,
    "/srv/www.example.org": False,
    "~/report.pdf": True,
    "/work/here/local.bin": True,
}
MACHINE = Machine("/work/here", "Europe/Berlin", FILES.get)
CONF = """\
[minio]
type = s3
provider = Minio
access_key_id = AKPLANTED
secret_access_key = SECRETPLANTED
endpoint = http://minio.local:9000

[aws]
type = s3
provider = AWS
env_auth = true
region = eu-west-1

[deep]
type = alias
remote = minio:backups/host1

[encrypted]
type = crypt
remote = minio:enc
password = PLANTEDobscured

[site]
type = http
url = https://files.example.org/pub/

[drive]
type = drive
token = {"access_token":"PLANTED"}

[round]
type = alias
remote = round:x
"""


def importing(text: str, conf: str = CONF, to: str | None = None, file: str = "lines") -> ImportResult:
    """The result for command lines beside an rclone.conf; an empty `conf`: without one."""
    inputs = [InputText("rclone.conf", conf.encode())] if conf else []
    return imported([*inputs, InputText(file, text.encode())], MACHINE, to)


def document(result: ImportResult) -> dict[str, Any]:
    """The manifest as YAML reads it."""
    found = yaml.safe_load(result.text)
    assert isinstance(found, dict)
    return found


def entry(line: str, **more: Any) -> dict[str, Any]:
    """The one entry that a command line becomes, without its store."""
    result = importing(line, **more)
    found = document(result)
    entries = [*found.get("mirrors", []), *found.get("folders", [])]
    assert len(entries) == 1, result.text
    entries[0].pop("store", None)
    return dict(entries[0])


def said(result: ImportResult) -> list[str]:
    """The remarks on command lines."""
    return [str(remark) for remark in result.remarks if remark.where.file == "lines"]


def reasons(line: str, **more: Any) -> str:
    """All remarks on a command line, one a line."""
    return "\n".join(map(str, importing(line, **more).remarks))
