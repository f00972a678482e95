"""`mirrord status` and `mirrord trigger` as processes, with a scripted daemon and with a journal only."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mirrord.daemon.presence import PRESENCE_FILE
from mirrord.errors import LeftOut, Problem, Reason
from mirrord.journal.lock import StateLock
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import Destination, Record, Secret, State
from mirrord.status import BreakerStatus, FolderStatus, Status
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.server import Server
from tests.support.command import Completed, environment, mirrord, start
from tests.support.records import make_record
from tests.support.scripted_control import ScriptedControl, item_of, no_metrics

TOKEN = "t0ken"
LEFT_OUT = (LeftOut("FIFO", 1, "x"), LeftOut("symbolic link", 3, "a\x1b[2J"))


class Control(ScriptedControl):
    """A scripted daemon with the process id of this process, which runs."""

    async def status(self) -> Status:
        return replace(await super().status(), pid=os.getpid())


@dataclass
class Served:
    """A scripted daemon with an HTTP server, and a home whose state has its address."""

    control: Control
    url: str
    home: Path

    async def run(self, *arguments: str, token: str = TOKEN, **env: str) -> Completed:
        return await mirrord(*arguments, home=self.home, env={"MIRRORD_API_TOKEN": token, **env})


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    control = Control()
    async with Server("127.0.0.1:0", application(control, no_metrics, Access(Secret(TOKEN)))) as server:
        announce(tmp_path / "state" / "mirrord", server.url)
        yield Served(control, server.url, tmp_path)


def announce(directory: Path, url: str, pid: int | None = None) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    content = {"pid": os.getpid() if pid is None else pid, "url": url, "version": "0.1.0"}
    (directory / PRESENCE_FILE).write_text(json.dumps(content))


def busy(control: Control) -> None:
    """Set items, folders, files and stores in all kinds of states."""
    control.put(item_of("good.bin"), State.SYNCED)
    control.put(item_of("gone.bin"), State.BLOCKED, reason=Reason.SOURCE_MISSING, message="answered 404")
    running = control.put(item_of("big.iso"), State.PENDING)
    control.start(running, 1024)
    control.advance(running, 768, 512, 1024)
    control.load("/etc/mirrord/a.yaml", 3)
    control.reject("/etc/mirrord/a.yaml", Problem("/etc/mirrord/a.yaml", 7, 3, "mirrors[0].to", "is missing"))
    control.load("/etc/mirrord/fine.yaml", 3)
    control.folders = (
        FolderStatus(name="in", path="/srv/in", watching="poll", complete=False, problem="no watches left"),
        FolderStatus(name="ok", path="/srv/ok", watching="events"),
        FolderStatus(name="some", path="/srv/some", watching="events", left_out=LEFT_OUT),
    )
    control.stores = {"default": True, "dark": False}
    control.calls_at_once = {"host a.example:443": 1, "store 'dark'": 4}
    since, error = control.clock.now() - 120, "connection refused"
    control.breakers = (
        BreakerStatus(name="host a.example", state="open", since=since, next_try=since + 180, error=error, waiting=1),
        BreakerStatus(name="host b.example", state="closed", error=error),
    )
    control.not_enforced = ("mirrors.http.connections: 4 (parallel ranges)",)


# ── status of a daemon ────────────────────────────────────────────────────────────────────────────
async def test_the_daemon_is_found_and_its_picture_shown(served: Served) -> None:
    busy(served.control)
    done = await served.run("status")
    assert done.code == 0, done.output
    first, totals, *rest = done.out.splitlines()
    assert first.startswith(f"mirrord 0.1.0 (pid {os.getpid()}) at {served.url}, up ")
    assert first.endswith(", ready")
    assert totals == "items: 1 Synced, 1 Transferring, 1 Blocked"
    text = "\n".join(rest)
    assert "running:\n  s3://mirror/big.iso  [##########----------]  50% of 1.0 KiB at " in text
    assert "not in sync:\n  Blocked SourceMissing  s3://mirror/gone.bin: answered 404  since " in text
    assert "/etc/mirrord/a.yaml: invalid; its last good version is in force" in text
    assert "/etc/mirrord/a.yaml:7:3: mirrors[0].to: is missing" in text
    assert "fine.yaml" not in text
    assert "/srv/in: no watches left" in text
    assert "/srv/ok" not in text
    assert "/srv/some: left: 1 FIFO (x), 3 symbolic links (first: a\\x1b[2J)\n" in text
    assert "dark: the last call was not answered" in text
    held = r"\n  host a\.example: breaker open for 2m.*, next try in .*, 1 item waiting: connection refused\n"
    assert re.search(held, text), text
    assert "b.example" not in text
    assert "defaults that are not enforced yet:\n  mirrors.http.connections: 4 (parallel ranges)" in text


async def test_its_json_has_every_key(served: Served) -> None:
    busy(served.control)
    done = await served.run("status", "--json")
    assert done.code == 0, done.output
    found = json.loads(done.out)
    assert found["daemon"] == {
        "url": served.url,
        "pid": os.getpid(),
        "version": "0.1.0",
        "started": served.control.started,
        "not_ready": "",
    }
    assert (found["journal"], found["last_written"]) == (None, None)
    assert found["totals"] == {"Synced": 1, "Transferring": 1, "Blocked": 1}
    assert [one["destination"] for one in found["running"]] == ["s3://mirror/big.iso"]
    assert [(one["state"], one["reason"]) for one in found["left"]] == [("Blocked", "SourceMissing")]
    assert {one["file"]: one["valid"] for one in found["files"]} == {
        "/etc/mirrord/a.yaml": False,
        "/etc/mirrord/fine.yaml": True,
    }
    assert found["stores"] == {"default": True, "dark": False}
    assert [(one["name"], one["state"]) for one in found["breakers"]] == [
        ("host a.example", "open"), ("host b.example", "closed")
    ]  # fmt: skip
    assert found["calls_at_once"] == {"host a.example:443": 1, "store 'dark'": 4}
    offline = json.loads((await served.run("status", "--json", "--state", str(served.home / "other"))).out)
    assert offline.keys() == found.keys()


async def test_the_list_is_bounded_and_the_worst_come_first(served: Served) -> None:
    for number in range(30):
        served.control.put(item_of(f"wait-{number}"), State.WAITING)
    for number in range(5):
        served.control.put(item_of(f"bad-{number}"), State.BLOCKED)
    lines = (await served.run("status")).out.splitlines()
    listed = lines[lines.index("not in sync:") + 1 :]
    assert [line.split()[0] for line in listed] == ["Blocked"] * 5 + ["Waiting"] * 15 + ["and"]
    assert listed[-1] == "  and 15 more"


async def test_a_url_wins_and_must_answer(served: Served, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    done = await mirrord("status", "--url", served.url + "/", home=other)
    assert done.code == 0, done.output
    assert f"at {served.url}, up" in done.out
    done = await mirrord("status", "--url", "http://127.0.0.1:1", home=tmp_path)
    assert done.code == 1
    assert done.err == "mirrord: no daemon answers at http://127.0.0.1:1: Connection refused\n"
    done = await mirrord("status", "--url", "127.0.0.1:8420", home=tmp_path)
    assert done.code == 2
    assert "write it like http://127.0.0.1:8420" in done.err


async def test_another_program_at_the_address_is_an_error(served: Served, origin: Any) -> None:
    done = await served.run("status", "--url", origin.url(""))
    assert (done.code, done.err) == (1, f"mirrord: what answers at {origin.url('')} is no mirrord\n")


async def test_watching_redraws_until_it_is_stopped(served: Served) -> None:
    one = served.control.put(item_of("a"), State.PENDING)
    process = await start(["status", "--watch", "--json"], environment(served.home), served.home)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert json.loads(await process.stdout.readline())["totals"] == {"Pending": 1}
            served.control.change(one, State.SYNCED)
            while json.loads(await process.stdout.readline())["totals"] != {"Synced": 1}:
                pass
            process.send_signal(signal.SIGINT)
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, errors) == (0, b"")


async def test_on_a_terminal_it_redraws_in_place(served: Served) -> None:
    one = served.control.put(item_of("a"), State.PENDING)
    ours, theirs = os.openpty()
    env = environment(served.home, {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mirrord", "status", "--watch", env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    screen = bytearray()
    try:
        async with asyncio.timeout(60):
            await _until(ours, screen, b"items: 1 Pending")
            served.control.change(one, State.SYNCED)
            await _until(ours, screen, b"items: 1 Synced")
            process.send_signal(signal.SIGINT)
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)
    assert process.returncode == 0
    assert b"\x1b[?1049h" in screen, "the alternate screen"
    assert b"Traceback" not in screen


async def _until(terminal: int, screen: bytearray, wanted: bytes) -> None:
    while wanted not in screen:
        screen += await asyncio.to_thread(os.read, terminal, 4096)


# ── status without a daemon ───────────────────────────────────────────────────────────────────────
def record(key: str, state: State, **changes: Any) -> Record:
    at = Destination(store="default", endpoint="http://s", bucket="data", key=key)
    return make_record(item_id=at.item_id, entry=key, source="https://h/x", destination=at, state=state, **changes)


async def write_journal(state: Path, *records: Record) -> None:
    async with SqliteJournal(state) as journal:
        await journal.save_all(records)
    os.utime(state, (1_700_000_000, 1_700_000_000))


async def test_without_a_daemon_the_journal_is_read_and_its_age_shown_first(tmp_path: Path) -> None:
    state = tmp_path / "state" / "mirrord" / "state.db"
    await write_journal(
        state,
        record("good", State.SYNCED),
        record("left", State.BLOCKED, removed=5.0),
        record("bad", State.BLOCKED, reason=Reason.STORE_DENIED, message="403"),
        record("again", State.RETRYING, reason=Reason.SOURCE_UNAVAILABLE, message="refused"),
    )
    before = {path.name for path in state.parent.iterdir()}
    done = await mirrord("status", home=tmp_path)
    assert done.code == 0, done.output
    lines = done.out.splitlines()
    assert lines[0].startswith(f"no daemon runs here; the journal {state} was last written 2023-11-14 22:13:20 UTC, ")
    assert lines[1] == "items: 1 Synced, 1 Retrying, 1 Blocked"
    assert lines[3:5] == [
        "  Blocked StoreDenied  s3://data/bad: 403",
        "  Retrying SourceUnavailable  s3://data/again: refused",
    ]
    found = json.loads((await mirrord("status", "--json", home=tmp_path)).out)
    assert (found["daemon"], found["journal"], found["last_written"]) == (None, str(state), 1_700_000_000)
    assert [one["destination"] for one in found["left"]] == ["s3://data/bad", "s3://data/again"]
    assert {path.name for path in state.parent.iterdir()} == before, "status must not write to the state"


async def test_without_daemon_and_journal_the_output_reports_both(tmp_path: Path) -> None:
    done = await mirrord("status", home=tmp_path)
    assert done.code == 0, done.output
    state = tmp_path / "state" / "mirrord" / "state.db"
    assert done.out.splitlines()[:2] == [f"no daemon runs here, and there is no journal {state} yet", "items: none"]
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("url", "pid", "shown"),
    [
        ("http://127.0.0.1:1", None, "no daemon answers at http://127.0.0.1:1: Connection refused (daemon.json names"),
        ("", None, "has no HTTP server (daemon.listen: none); the journal"),
        ("http://127.0.0.1:1", 2**22 + 1, "no daemon runs here; the journal"),  # above the largest pid of Linux
    ],
)
async def test_a_daemon_that_does_not_answer_is_named(tmp_path: Path, url: str, pid: int | None, shown: str) -> None:
    state = tmp_path / "state.db"
    await write_journal(state, record("good", State.SYNCED))
    announce(tmp_path, url, pid)
    with StateLock(tmp_path):
        done = await mirrord("status", "--state", str(tmp_path), home=tmp_path)
    assert done.code == 0, done.output
    assert shown in done.out.splitlines()[0]
    assert "items: 1 Synced" in done.out


async def test_a_daemon_with_another_state_at_the_address_is_not_used(served: Served) -> None:
    announce(served.home / "state" / "mirrord", served.url, os.getppid())
    done = await served.run("status")
    assert f"no daemon runs here ({served.url} is that of another, pid {os.getpid()}), and" in done.out


async def test_the_state_of_manifests_is_found_without_their_secrets(tmp_path: Path) -> None:
    await write_journal(tmp_path / "elsewhere" / "state.db", record("good", State.SYNCED))
    config = tmp_path / "conf"
    config.mkdir()
    (config / "a.yaml").write_text("mirrors: {https://h/x: 's3://${NOT_SET}/x'}\nbroken: [")
    (config / "b.yaml").write_text(
        f"stores: {{default: {{provider: minio, credentials: {{profile: '${{file:{tmp_path}/none}}'}}}}}}\n"
        f"daemon: {{state: 'sqlite://{tmp_path}/${{WHERE}}/state.db', api_token: '${{file:/not/there}}'}}\n"
    )
    done = await mirrord("status", "--config", str(config), home=tmp_path, env={"WHERE": "elsewhere"})
    assert (done.code, done.err) == (0, ""), done.output
    assert "items: 1 Synced" in done.out
    same = await mirrord("status", home=tmp_path, env={"WHERE": "elsewhere", "MIRRORD_CONFIG": str(config)})
    assert "items: 1 Synced" in same.out
    unset = await mirrord("status", "--config", str(config), home=tmp_path)
    assert "daemon.state: the variable WHERE is not set" in unset.err
    assert (await mirrord("status", "--config", "nowhere", home=tmp_path)).code == 2


# ── trigger ───────────────────────────────────────────────────────────────────────────────────────
async def test_items_are_triggered_by_id_object_key_entry_and_glob(served: Served) -> None:
    things = {key: served.control.put(item_of(key, entry=entry)) for key, entry in [
        ("a/1.txt", "letters"), ("a/2.txt", "letters"), ("b/1.gz", "packs"), ("c", "c"), ("d/deep/x.gz", "packs"),
    ]}  # fmt: skip
    cases = [
        ([things["c"].id], ["c"]),
        (["s3://mirror/b/1.gz"], ["b/1.gz"]),
        (["a/1.txt"], ["a/1.txt"]),
        (["letters"], ["a/1.txt", "a/2.txt"]),
        (["*.gz"], ["b/1.gz", "d/deep/x.gz"]),
        (["s3://mirror/*"], list(things)),
        (["c", "lett*", "a/*"], ["c", "a/1.txt", "a/2.txt"]),
    ]
    for patterns, keys in cases:
        served.control.triggered.clear()
        done = await served.run("trigger", *patterns)
        assert done.code == 0, done.output
        assert sorted(served.control.triggered) == sorted(things[key].id for key in keys), patterns
        assert sorted(done.out.splitlines()) == sorted(
            f"triggered s3://mirror/{key} ({things[key].id})" for key in keys
        )


async def test_unknown_arguments_are_reported_and_the_others_triggered(served: Served) -> None:
    served.control.put(item_of("a"))
    done = await served.run("trigger", "nothing/*", "a", "f" * 16)
    assert done.code == 1
    assert len(served.control.triggered) == 1
    assert done.err.splitlines() == [
        "mirrord: nothing/*: no item has this id, object, key or entry",
        f"mirrord: {'f' * 16}: no item has this id, object, key or entry",
    ]


async def test_many_items_are_triggered_over_many_pages(served: Served) -> None:
    for number in range(1_050):
        served.control.put(item_of(f"k/{number}"))
    done = await served.run("trigger", "k/*")
    assert done.code == 0, done.output
    assert len(set(served.control.triggered)) == len(served.control.triggered) == 1_050
    assert done.out.splitlines()[-1] == "and 1,030 more"


async def test_a_token_is_needed_and_must_be_right(served: Served) -> None:
    served.control.put(item_of("a"))
    done = await served.run("trigger", "a", token="")
    assert done.code == 2
    assert "set MIRRORD_API_TOKEN to the manifest's daemon.api_token" in done.err
    done = await served.run("trigger", "a", token="wr0ng")
    assert done.code == 1
    assert done.err == f"mirrord: {served.url}: the token is wrong: set MIRRORD_API_TOKEN to the manifest's " \
        "daemon.api_token\n"  # fmt: skip
    assert served.control.triggered == []
    async with Server("127.0.0.1:0", application(served.control, no_metrics, Access(None))) as mute:
        done = await served.run("trigger", "a", "--url", mute.url)
    assert done.code == 1
    assert "POST is off: set daemon.api_token in the manifest" in done.err


async def test_without_a_daemon_the_error_names_the_remedy(tmp_path: Path) -> None:
    env = {"MIRRORD_API_TOKEN": TOKEN}
    done = await mirrord("trigger", "a", home=tmp_path, env=env)
    assert done.code == 1
    assert "no daemon runs on the state in" in done.err
    assert "start one with `mirrord run`" in done.err
    announce(tmp_path / "state" / "mirrord", "")
    done = await mirrord("trigger", "a", home=tmp_path, env=env)
    assert "has no HTTP server: set daemon.listen" in done.err
    done = await mirrord("trigger", "a", "--url", "http://127.0.0.1:1", home=tmp_path, env=env)
    assert "no daemon answers at http://127.0.0.1:1" in done.err
    assert (await mirrord("trigger", home=tmp_path, env=env)).code == 2
