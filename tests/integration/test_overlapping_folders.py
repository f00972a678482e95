"""Two folders that match the same file, one with `after_upload`: with the real commands and a real store."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import mirrord
from tests.support.daemon import DEBUG, Daemon, running, scanned, store_section
from tests.support.inbox import objects
from tests.support.weed import Server

Entry = dict[str, Any]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("in")
    return tmp_path


def entry(path: str, to: str, **fields: Any) -> Entry:
    return {"path": path, "to": to, "name": to, "settle": "50ms", "rescan": "500ms"} | fields


def write(home: Path, server: Server, *files: list[Entry]) -> list[str]:
    """Write a manifest for each list of folders; the first manifest has the store."""
    names = [f"{number}.yaml" for number in range(len(files))]
    for name, folders in zip(names, files, strict=True):
        (home / name).write_text(
            (store_section(server) if name == names[0] else "") + f"folders: {json.dumps(folders)}\n"
        )
    return [str(home / name) for name in names]


def rewrite(path: str, before: str, folders: list[Entry]) -> None:
    Path(path).write_text(f"{before}folders: {json.dumps(folders)}\n")


PAIRS: list[tuple[str, Entry, str, Entry, bool]] = [
    ("in", {}, "in/sub", {"after_upload": "delete"}, True),
    ("in", {"after_upload": {"move": "../done"}}, "in/sub", {}, True),
    ("in", {"after_upload": "delete"}, "in", {}, True),
    ("in", {}, "link", {"after_upload": "delete"}, True),
    ("in", {}, "link/../in/sub", {"after_upload": "delete"}, True),
    ("in", {"include": ["*.csv"]}, "in/sub", {"after_upload": "delete"}, True),
    ("in", {"include": ["*.csv"]}, "in/sub", {"after_upload": "delete", "include": ["a.*"]}, True),
    ("in", {"include": ["*.txt"]}, "in/sub", {"after_upload": "delete", "include": ["a.*"]}, False),
    ("in", {}, "in/sub", {}, False),
    ("in", {"after_upload": "delete"}, "elsewhere", {}, False),
]


@pytest.mark.parametrize(("one", "fields", "other", "more", "refused"), PAIRS)
@pytest.mark.parametrize("in_one_file", [True, False], ids=["one file", "two files"])
async def test_validate_refuses_what_one_would_take_from_the_other(
    home: Path, weed: Server, one: str, fields: Entry, other: str, more: Entry, refused: bool, in_one_file: bool
) -> None:
    (home / "in" / "sub" / "a.csv").write_text("a")
    folders = [entry(one, "s3://bucket/one/", **fields), entry(other, "s3://bucket/other/", **more)]
    paths = write(home, weed, folders) if in_one_file else write(home, weed, folders[:1], folders[1:])
    done = await mirrord("validate", *paths, home=home)
    assert done.code == (78 if refused else 0), done.output
    assert not refused or ("after_upload" in done.err and "folders[" in done.err), done.output


async def test_sync_refuses_too_and_takes_nothing(home: Path, weed: Server, bucket: str, s3_client: Any) -> None:
    (home / "in" / "sub" / "a.csv").write_text("a")
    folders = [entry("in", f"s3://{bucket}/1/", after_upload="delete"), entry("in/sub", f"s3://{bucket}/2/")]
    done = await mirrord("sync", *write(home, weed, folders), home=home)
    assert done.code == 78, done.output
    assert (home / "in" / "sub" / "a.csv").exists()
    assert objects(s3_client, bucket) == {}


async def states(daemon: Daemon) -> dict[str, tuple[str, str]]:
    return {key: (one["state"], one["reason"] or "") for key, one in (await daemon.items()).items()}


@pytest.mark.parametrize("inner", ["in/sub", "link/sub"])
@pytest.mark.parametrize("taker", [0, 1])
async def test_a_file_that_is_created_later_is_a_conflict_until_one_folder_excludes_it(
    home: Path, weed: Server, bucket: str, s3_client: Any, taker: int, inner: str
) -> None:
    folders = [
        entry("in", f"s3://{bucket}/1/", include=["*.csv"]),
        entry(inner, f"s3://{bucket}/2/", include=["a.*", "b.*"]),
    ]
    folders[taker]["after_upload"] = "delete"
    paths = write(home, weed, [folders[0]], [folders[1]])
    both = {"1/sub/a.csv": ("Blocked", "Conflict"), "2/a.csv": ("Blocked", "Conflict")}
    async with running(home, *paths, *DEBUG) as daemon:
        for name in ("a.csv", "b.txt", "c.csv"):
            (home / "in" / "sub" / name).write_text(name)
        wanted = both | {"1/sub/c.csv": ("Synced", ""), "2/b.txt": ("Synced", "")}

        async def settled() -> bool:
            return await states(daemon) == wanted

        await daemon.wait_for(settled, what="two conflicts; all others are copied")
        await scanned(daemon, 4)
        assert (home / "in" / "sub" / "a.csv").read_text() == "a.csv"
        assert objects(s3_client, bucket).keys() == {"1/sub/c.csv", "2/b.txt"}
        planned = await mirrord("plan", *paths, home=home)
        assert planned.code == 78, planned.output

        other = 1 - taker
        rewrite(paths[other], store_section(weed) if other == 0 else "", [])
        key = ("1/sub/a.csv", "2/a.csv")[taker]
        await daemon.wait_for(lambda: not (home / "in" / "sub" / "a.csv").exists(), 60, "it leaves")
        assert key in objects(s3_client, bucket)
        assert await daemon.stop() == 0


async def test_a_later_conflict_does_not_make_another_change_an_error(home: Path, weed: Server, bucket: str) -> None:
    folders = [
        entry("in", f"s3://{bucket}/1/", include=["*.csv"], after_upload="delete"),
        entry("in/sub", f"s3://{bucket}/2/", include=["a.*"]),
    ]
    paths = write(home, weed, folders, [])
    async with running(home, *paths) as daemon:
        (home / "in" / "sub" / "a.csv").write_text("a")
        await daemon.log("item.blocked", key="1/sub/a.csv")
        rewrite(paths[1], "", [entry("elsewhere", f"s3://{bucket}/3/")])
        await daemon.log("manifest.loaded", file="1.yaml", since=daemon.mark)
        assert not daemon.logged("manifest.rejected")
        assert await daemon.stop() == 0
