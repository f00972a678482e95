"""A journal that an older mirrord wrote opens, is migrated, and nothing is sent again."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mirrord.journal.sql.scripts import Migration
from mirrord.journal.sqlite.schema import migrate, migrations
from mirrord.units import MiB
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest, sync

WRITES = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CopyObject", "DeleteObject")
OLDEST = 5
"""The schema version of the first released mirrord."""


def as_of(version: int, state: Path) -> None:
    """Rewrite a journal to an older schema version: without its later tables and columns."""
    steps: list[Migration] = [step for step in migrations() if step.version <= version]
    old = state.with_name("old.db")
    with sqlite3.connect(old, isolation_level=None) as connection:
        migrate(connection, old, steps)
        connection.execute("ATTACH DATABASE ? AS now", (str(state),))
        for (table,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            known = {row[1] for row in connection.execute(f"PRAGMA now.table_info({table})")}
            columns = ", ".join(
                name for _, name, *_ in connection.execute(f"PRAGMA main.table_info({table})") if name in known
            )
            connection.execute(f"INSERT OR REPLACE INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
        connection.execute("DETACH DATABASE now")
    connection.close()
    for file in state.parent.glob("state.db*"):
        file.unlink()
    old.rename(state)


@pytest.mark.parametrize("version", range(OLDEST, len(migrations())))
async def test_nothing_is_sent_again(
    version: int, tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "small.csv").write_bytes(b"1;2\n")
    with (inbox / "large.bin").open("wb") as stream:
        stream.writelines(Generated(17 * MiB, seed=3).pieces())
    body = (
        f"mirrors:\n  {origin.publish('/small', b'small')}: s3://{bucket}/small\n"
        f"  {origin.publish('/large.bin', Generated(17 * MiB, seed=4))}: s3://{bucket}/large.bin\n"
        f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', settle: 0s, delete: mirror}}\n"
    )
    file = manifest(tmp_path, store_proxy.server, body)
    first = await sync(tmp_path, file)
    assert first.code == 0, first.output
    assert "4 copied" in first.out
    as_of(version, tmp_path / "state" / "mirrord" / "state.db")

    for _ in range(2):
        store_proxy.clear()
        done = await sync(tmp_path, file)
        assert done.code == 0, done.output
        assert "0 copied (0 B), 4 unchanged" in done.out
        assert {name: store_proxy.counts[name] for name in WRITES} == dict.fromkeys(WRITES, 0)

    (inbox / "small.csv").unlink()  # objects that the old journal records as owned can be deleted, and no others
    done = await sync(tmp_path, file)
    assert "1 deleted" in done.out, done.output
    assert {one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"]} == {
        "small",
        "large.bin",
        "in/large.bin",
    }
