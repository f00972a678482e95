"""Odd names with the real command: each is an object under exactly its key, or it is refused with a reason."""

import json
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from mirrord.s3.session import S3Store
from tests.support.command import Completed, mirrord
from tests.support.filling import put_all
from tests.support.stored import keys_in, stored
from tests.support.syncing import events, manifest, sync
from tests.support.weed import Server

NAMES = (
    *("\u00e9", "e\u0301", "\u212b", "\u00c5", "A\u030a", "A", "a", "\u017f", "s", "\u00df", "ss", "\uff0e\uff0e"),
    *("right\u202eleft", "mark\u200f", "\u2066isolate\u2069", "zero\u200bwidth", "\ufeffbom", "line\u2028", "\x85next"),
    *("new\nline", "carriage\rreturn", "cr\r\nlf", "tab\tinside", "\ttab", "tab\t", "\n", "vt\x0bff\x0c"),
    *("esc\x1b[2J", "\x01", "\x07bell", "\x1f", "del\x7f", "\ufffe", "x\uffff", "\ufffd", "\ue000", "\U00100007"),
    *("%2F", "%", "%%", "%41", "%zz", "%c3%a9", "+", "a+b", "a b", "a%20b", "a%2Bb", " ", "  ", " lead", "trail "),
    *("?", "q?x=1&y=2", "#", "a#b", "&", "&amp;", ";", "a;b=c", "=", "'", '"', "`", "<", ">", "<Key>", "]]>"),
    *("\U0001f600", "\U0001f468\u200d\U0001f469", "dots.", "dots..", "b..c", "COM1", "NUL", "con.txt", "*", "[a]"),
    *("$", "${HOME}", "$$", "{", "}", "{path}", "{{x}}", "!x", "|", ":", "@", ",", "-", "--help", "~user", "\xa0"),
    *("d/x", "d/y ", "d /x", "d+/x+", "d%2F/x", "\u00e9d/x", "e\u0301d/x", "null", "n" * 255, "\u00e9" * 127, "s3:"),
)
"""Names of files, and keys below a prefix: no two are one key."""
TEMPORARY = (".mirrord-x", ".hidden", "...", "backup~")
"""Keys of a mirror, a list and a prefix; a folder ignores such files."""
LONGEST = "/".join(["k" * 250] * 5)[: 1024 - len("mirror/")]
"""With the prefix of the mirrors exactly 1,024 bytes."""
UNSURE = ("\ufffd", "\U00100007")
"""Names whose text in a listing may stand for another character: objects that are a source are not copied."""
NO_CONTROLS = tuple(one for one in (*NAMES, *TEMPORARY) if min(one) >= " ")
"""A manifest refuses control characters below the space in `to`."""
INVALID = ("d//x", "/x", "x/../y", "./x", LONGEST + "k")


def text_of(value: str) -> str:
    """A YAML string whose text is `value` after interpolation and templates."""
    escaped = value.replace("$", "$$").replace("{", "{{").replace("}", "}}")
    return '"' + "".join(one if one.isascii() and one.isalnum() else f"\\U{ord(one):08x}" for one in escaped) + '"'


class World:
    """The same names in a folder, a list, mirrors and a prefix: a file, a row, an entry or an object for each."""

    def __init__(self, home: Path, server: Server, bucket: str, s3_client: Any) -> None:
        self.home, self.server, self.bucket, self.s3_client = home, server, bucket, s3_client
        (home / "files").mkdir()
        (home / "inbox").mkdir()

    def bodies(self, prefix: str, names: Iterable[str]) -> dict[str, bytes]:
        return {f"{prefix}/{name}": f"{prefix}/{name}".encode() for name in names}

    def write_files(self, names: Iterable[str]) -> None:
        for name in names:
            (self.home / "inbox" / name).parent.mkdir(exist_ok=True)
            (self.home / "inbox" / name).write_text(f"folder/{name}")

    def source_of(self, key: str) -> str:
        """A file with a plain name that holds the key."""
        file = self.home / "files" / sha256(key.encode()).hexdigest()
        file.write_text(key)
        return f"files/{file.name}"

    def write_rows(self, names: Iterable[str]) -> None:
        rows = [json.dumps({"url": self.source_of(f"list/{name}"), "key": name}) + "\n" for name in names]
        (self.home / "rows.jsonl").write_text("".join(rows))
        os.utime(self.home / "rows.jsonl", (1, 1))  # its writer has ended

    def write_manifest(self, names: Iterable[str]) -> Path:
        to = f"s3://{self.bucket}"
        entries = [
            f"  - {{url: {text_of(f'file://{self.home}/' + self.source_of(f'mirror/{name}'))}, "
            f"to: {text_of(f'{to}/mirror/{name}')}, prune: {{max: 100%}}}}\n"
            for name in names
        ]
        body = (
            f"folders:\n  - {{path: inbox, to: '{to}/folder/', settle: 0s, delete: mirror}}\n"
            f"mirrors:\n  - {{list: rows.jsonl, to: '{to}/list/', prune: {{max: 100%}}}}\n"
            f"  - {{url: '{to}/source/', to: '{to}/prefix/', prune: {{max: 100%}}}}\n" + "".join(entries)
        )
        return manifest(self.home, self.server, body)

    async def sync(self, *more: str, code: int = 0) -> Completed:
        done = await sync(self.home, self.home / "m.yaml", *more)
        assert done.code == code, done.output
        return done

    def keys(self) -> set[str]:
        return {key for key in keys_in(self.s3_client, self.bucket) if not key.startswith("source/")}


async def test_each_name_is_one_object_with_its_key_until_it_goes(
    tmp_path: Path, weed: Server, store: S3Store, bucket: str, s3_client: Any
) -> None:
    world, others = World(tmp_path, weed, bucket, s3_client), (*NAMES, *TEMPORARY)
    assert len(set(NAMES)) == len(NAMES) > 60
    source = {f"source/{name}": f"prefix/{name}".encode() for name in others}
    await put_all(store, weed, bucket, source)
    world.write_files(others)
    (tmp_path / "inbox" / "b\\s").write_text("folder/b/s")  # this store reads a backslash as a slash
    os.close(os.open(os.fsencode(tmp_path / "inbox") + b"/no-text-\xff", os.O_CREAT))
    world.write_rows((*others, "b\\s"))
    world.write_manifest((*NO_CONTROLS, LONGEST))
    expected = (
        world.bodies("folder", (*NAMES, "b/s"))
        | world.bodies("prefix", (one for one in others if one not in UNSURE))
        | world.bodies("mirror", (*NO_CONTROLS, LONGEST))
        | world.bodies("list", others)
        | {"list/b/s": b"list/b\\s"}
    )
    done = await world.sync(code=1)
    assert "no-text-\\xff: the name is not UTF-8, so it cannot be a key: rename it" in done.output
    assert "2 keys cannot be read for sure" in done.out
    assert world.keys() == expected.keys()
    assert {key: stored(s3_client, bucket, key) for key in expected} == expected
    sent = [one["item"] for one in events(done, "transfer.completed")]
    assert len(sent) == len(set(sent)) == len(expected)  # a log shows control characters of keys as U+FFFD
    shown = json.loads((await mirrord("status", "--json", home=tmp_path)).out)
    assert (shown["totals"], shown["left"]) == ({"Synced": len(expected)}, [])

    (tmp_path / "inbox" / os.fsdecode(b"no-text-\xff")).unlink()
    for name in UNSURE:
        s3_client.delete_object(Bucket=bucket, Key=f"source/{name}")
    assert not events(await world.sync(), "transfer.completed")

    kept = others[::2]
    for name in set(NAMES) - set(kept):
        (tmp_path / "inbox" / name).unlink()
    for name in set(others) - set(kept):
        s3_client.delete_object(Bucket=bucket, Key=f"source/{name}")
    world.write_rows(kept)
    world.write_manifest([name for name in NO_CONTROLS if name in kept])
    await world.sync("--prune-max", "100%")
    left = world.bodies("folder", (*(name for name in NAMES if name in kept), "b/s"))
    left |= world.bodies("prefix", (one for one in kept if one not in UNSURE)) | world.bodies("list", kept)
    left |= world.bodies("mirror", (name for name in NO_CONTROLS if name in kept))
    assert world.keys() == left.keys()
    assert {key: stored(s3_client, bucket, key) for key in left} == left


async def test_keys_that_no_store_keeps_are_refused_each_with_its_entry(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any
) -> None:
    world = World(tmp_path, weed, bucket, s3_client)
    world.write_rows(())
    refused = (*INVALID, *(one for one in NAMES if min(one) < " "))
    file = world.write_manifest(("b/s", "b\\s", *refused))  # this store makes one key of the first two
    done = await mirrord("validate", str(file), home=tmp_path)
    assert done.code == 78
    told = [number for number in range(len(refused) + 4) if f"mirrors[{number}].to: " in done.output]
    assert told == [number + 3 for number in range(len(refused) + 1)], done.output
    assert "one object, one item" in done.output
    assert world.keys() == set()
