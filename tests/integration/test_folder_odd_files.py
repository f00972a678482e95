"""Unusual files in a watched folder of the real daemon: each has a visible result, and normal files are uploaded."""

import os
import socket
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any
from unicodedata import normalize

from tests.support.command import mirrord
from tests.support.daemon import Daemon, running, store_section
from tests.support.stored import keys_in, stored
from tests.support.weed import Server

COMPOSED, DECOMPOSED = normalize("NFC", "\u00e9"), normalize("NFD", "\u00e9")
TAKEN = {
    "good": "good",
    "new\nline": "new\nline",
    "n" * 255: "n" * 255,
    "a\\b": "a/b",  # as the store would change it
    "screen\x1b[2J\x01\x7f": "screen\x1b[2J\x01\x7f",
    COMPOSED: COMPOSED,
    DECOMPOSED: DECOMPOSED,
    "a..": "a..",
    "b..c": "b..c",
    "per%2Fcent+plus?q=1#f&g": "per%2Fcent+plus?q=1#f&g",
    " sp ace ": " sp ace ",
    "'\"<&>": "'\"<&>",
}
"""Name -> key of unusual files that are uploaded."""
REFUSED = ("c\\..\\d", "/".join(["d" * 250] * 4 + ["over 1,024 bytes with the prefix"]))
"""Names that cannot be keys."""
HIDDEN = ("..a", "...", ".hidden", "x~", "x.part")
"""Temporary names, which are excluded."""


def make(folder: Path, names: Iterable[str], text: str = "") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text or name)


def manifest(home: Path, weed: Server, bucket: str, folders: dict[str, str]) -> str:
    entries = [
        f"  - {{name: {name}, path: {name}, to: 's3://{bucket}/{name}/', settle: 100ms, {rules}}}\n"
        for name, rules in folders.items()
    ]
    (home / "m.yaml").write_text(store_section(weed) + "folders:\n" + "".join(entries))
    return str(home / "m.yaml")


async def folder_of(daemon: Daemon, name: str) -> dict[str, Any]:
    (found,) = [one for one in (await daemon.api("status"))["folders"] if one["name"] == name]
    return dict(found)


async def left(daemon: Daemon, name: str) -> dict[str, tuple[int, str]]:
    return {one["kind"]: (one["count"], one["first"]) for one in (await folder_of(daemon, name))["left_out"]}


def says_only_what_is_new(daemon: Daemon, name: str) -> bool:
    told = [
        {field: line.get(field) for field in ("files", "complete", "problem", "left")}
        for line in daemon.logged("folder.rescanned", folder=name)
    ]
    return all(one != another for one, another in pairwise(told))


async def test_each_odd_file_has_its_result_and_stops_no_other(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any
) -> None:
    odd, shut = tmp_path / "odd", tmp_path / "shut"
    make(odd, (*TAKEN, *REFUSED, *HIDDEN, "locked", "becomes a FIFO", "becomes a link", "goes"))
    (odd / "locked").chmod(0)
    os.close(os.open(os.fsencode(odd) + b"/no-text-\xff", os.O_CREAT))
    (odd / "link").symlink_to("/etc/passwd")
    (odd / "tree").symlink_to("/etc")
    (odd / "dangling").symlink_to("nowhere")
    (odd / ".link").symlink_to("nowhere")
    os.mkfifo(odd / "fifo")
    with socket.socket(socket.AF_UNIX) as unix:
        place = os.open(odd, os.O_RDONLY)
        unix.bind(f"/proc/self/fd/{place}/socket")
        os.close(place)
    make(shut, ("good", "closed/in it"))
    (shut / "closed").chmod(0)
    file = manifest(tmp_path, weed, bucket, {"odd": "rescan: 300ms, delete: mirror", "shut": "rescan: 300ms"})
    taken = {f"odd/{key}" for key in TAKEN.values()} | {"shut/good"}
    try:
        async with running(tmp_path, file, modes=True) as daemon:
            passing = {f"odd/{name}" for name in ("becomes a FIFO", "becomes a link", "goes")}
            await daemon.wait_for(
                lambda: keys_in(s3_client, bucket) == taken | passing, 60, "all files with possible keys are uploaded"
            )
            assert stored(s3_client, bucket, f"odd/{COMPOSED}") == COMPOSED.encode()
            assert stored(s3_client, bucket, f"odd/{DECOMPOSED}") == DECOMPOSED.encode()

            # ── files that are left out ────────────────────────────────────────────────────────────
            await daemon.log("transfer.failed", key="odd/locked", reason="SourceDenied", seconds=60)
            locked = (await daemon.items())["odd/locked"]
            assert (locked["state"], locked["reason"]) == ("Blocked", "SourceDenied")
            assert locked["message"] == f"{odd}/locked: permission denied"
            assert await left(daemon, "odd") == {
                "FIFO": (1, "fifo"),
                "non-UTF-8 name": (1, "no-text-\\xff"),
                "refused name": (2, "c\\..\\d"),
                "socket": (1, "socket"),
                "symbolic link": (3, "dangling"),
            }
            seen = await folder_of(daemon, "odd")
            assert seen["complete"]
            assert f"{odd}/no-text-\\xff: the name is not UTF-8, so it cannot be a key: rename it" in seen["problem"]
            assert "1 more names make no key" in seen["problem"]
            seen = await folder_of(daemon, "shut")
            assert not seen["complete"]
            assert seen["problem"] == f"{shut}/closed: cannot be read: Permission denied"
            shown = await mirrord("status", home=tmp_path)
            assert (
                f"{odd}: left: 1 FIFO (fifo), 1 non-UTF-8 name (no-text-\\xff), 1 socket (socket), "
                "3 symbolic links (first: dangling), 2 refused names (first: c\\..\\d)\n"
            ) in shown.out, shown.output

            # ── a file that becomes a link or a FIFO keeps its object ──────────────────────────────
            (odd / "becomes a FIFO").unlink()
            os.mkfifo(odd / "becomes a FIFO")
            (odd / "link").rename(odd / "becomes a link")
            (odd / "goes").unlink()
            await daemon.log("item.pruned", key="odd/goes", seconds=60)
            assert (await left(daemon, "odd"))["FIFO"] == (2, "becomes a FIFO")
            assert (await left(daemon, "odd"))["symbolic link"] == (3, "becomes a link")

            # ── repaired files are uploaded ───────────────────────────────────────────────────────────
            (odd / "locked").chmod(0o644)
            (shut / "closed").chmod(0o755)
            await daemon.log("transfer.completed", key="odd/locked", seconds=60)
            await daemon.log("transfer.completed", key="shut/closed/in it", seconds=60)
            assert keys_in(s3_client, bucket) == (taken | passing | {"odd/locked", "shut/closed/in it"}) - {"odd/goes"}
            assert len(daemon.logged("item.pruned")) == 1
            assert says_only_what_is_new(daemon, "odd")
            assert says_only_what_is_new(daemon, "shut")
    finally:
        (shut / "closed").chmod(0o755)


async def test_links_are_followed_with_follow_symlinks(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any
) -> None:
    inbox, outside = tmp_path / "inbox", tmp_path / "outside"
    make(inbox, ("good",))
    make(outside, ("a", "deep/b"))
    (inbox / "file").symlink_to(outside / "a")
    (inbox / "tree").symlink_to(outside)
    (inbox / "nowhere").symlink_to("gone")
    (outside / "back").symlink_to(inbox)
    rules = "poll_interval: 200ms, rescan: 1h, delete: mirror, follow_symlinks: true"
    first = {f"inbox/{name}" for name in ("good", "file", "tree/a", "tree/deep/b")}
    async with running(tmp_path, manifest(tmp_path, weed, bucket, {"inbox": rules})) as daemon:
        await daemon.synced(*first, seconds=60)
        assert await left(daemon, "inbox") == {"dangling link": (1, "nowhere"), "looping link": (1, "tree/back")}
        seen = await folder_of(daemon, "inbox")
        assert (seen["complete"], seen["problem"], seen["watching"]) == (True, "", "poll")

        (outside / "deep" / "c").write_text("the folder gets no event for it")
        await daemon.synced(*first, "inbox/tree/deep/c", seconds=60)
        (outside / "a").write_text("again")
        again = daemon.mark
        await daemon.wait_for(lambda: stored(s3_client, bucket, "inbox/file") == b"again", 60)
        await daemon.wait_for(lambda: stored(s3_client, bucket, "inbox/tree/a") == b"again", 60)
        assert {line["key"] for line in daemon.logged("transfer.completed", since=again)} <= {
            "inbox/file",
            "inbox/tree/a",
        }

        (outside / "deep").rename(tmp_path / "deep")  # the target of a link is deleted: its objects are deleted
        (inbox / "file").unlink()
        await daemon.log("item.pruned", key="inbox/file", seconds=60)
        await daemon.wait_for(lambda: len(daemon.logged("item.pruned")) == 3, 60)
        outside.rename(tmp_path / "away")  # a link whose target disappears deletes nothing
        await daemon.wait_for(lambda: daemon.logged("folder.rescanned", files=1), 60)
        (inbox / "goes").write_text("goes")
        await daemon.log("transfer.completed", key="inbox/goes", seconds=60)
        (inbox / "goes").unlink()
        await daemon.log("item.pruned", key="inbox/goes", seconds=60)
        assert keys_in(s3_client, bucket) == {"inbox/good", "inbox/tree/a"}
        assert await left(daemon, "inbox") == {"dangling link": (2, "nowhere")}
        assert says_only_what_is_new(daemon, "inbox")
