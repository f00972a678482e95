"""Faults of origins and their outcomes, all in one run of the real command: no fault affects another item.

For each row: the bytes of the object afterwards (the old ones where the copy failed), the state and reason, one
terminal event for each attempt, no open upload; for the whole run the exit code.
"""

import gzip
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mirrord.units import MiB
from tests.support.command import Completed
from tests.support.daemon import DEBUG
from tests.support.origin import (
    Behaviour,
    Generated,
    Origin,
    answers,
    chunked,
    cut_after,
    drips,
    endless,
    forces_gzip,
    ignores_range,
    once,
    redirects,
    refuses_head,
    rotating_etag,
    says,
    shifts_range,
    stalls_after,
    unframed,
    weak_etag,
    without,
)
from tests.support.syncing import events, manifest, sync
from tests.support.weed import Server

OLD = b"the object before"
SMALL = b"".join(Generated(20_000, seed=1).pieces())
LARGE = b"".join(Generated(7 * MiB + 77, seed=2).pieces())  # two parts
UNPINNED = without("Accept-Ranges")
IN_PARTS = {"upload": {"multipart_threshold": "5MiB", "part_size": "5MiB"}}
DIGEST = {"checksum": f"sha256:{sha256(SMALL).hexdigest()}"}


@dataclass(frozen=True)
class Row:
    """A source, its faults, and the outcome of `sync`. `stored` None: the old object remains."""

    behaviours: tuple[Behaviour, ...]
    stored: bytes | None = None
    ends: str = ""  # state and reason; empty: in sync
    body: bytes = SMALL
    options: Mapping[str, Any] = field(default_factory=dict)


def synced(*behaviours: Behaviour, body: bytes = SMALL, **options: Any) -> Row:
    """The item is in sync although the origin misbehaves."""
    return Row(behaviours, body, body=body, options=options)


def large(*behaviours: Behaviour) -> Row:
    return synced(*behaviours, body=LARGE, **IN_PARTS)


def fails(ends: str, *behaviours: Behaviour, body: bytes = SMALL, **options: Any) -> Row:
    return Row(behaviours, ends=ends, body=body, options=options)


def in_a_second() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


UNAVAILABLE = "failed SourceUnavailable"
ROWS: dict[str, Row] = {
    "nothing": synced(),
    "nothing-in-parts": large(),
    # truncation
    "cut-once": synced(once(cut_after(9_000))),
    "cut-once-in-parts": large(once(cut_after(6 * MiB))),
    "cut-once-unpinned": synced(UNPINNED, once(cut_after(9_000))),
    "cut-once-unpinned-in-parts": large(UNPINNED, once(cut_after(6 * MiB))),
    "cut-chunks-once": synced(chunked(), once(cut_after(9_000))),
    "cut-always": fails(UNAVAILABLE, UNPINNED, cut_after(9_000)),
    "cut-always-in-parts": fails(UNAVAILABLE, UNPINNED, cut_after(6 * MiB), body=LARGE, **IN_PARTS),
    "cut-chunks-always": fails(UNAVAILABLE, chunked(), cut_after(9_000)),
    "cut-at-once": fails(UNAVAILABLE, UNPINNED, cut_after(0)),
    "cut-unframed-declared": fails("Blocked ChecksumMismatch", unframed(), cut_after(9_000), **DIGEST),
    # without a length
    "chunked": synced(chunked()),
    "unframed": synced(unframed()),
    "unframed-in-parts": large(unframed()),
    "endless": fails("Blocked TooLarge", endless(), max_size="1MiB"),
    "endless-in-parts": fails("Blocked TooLarge", endless(), max_size="11MiB", body=LARGE, **IN_PARTS),
    "too-large": fails("Blocked TooLarge", max_size="19kB"),
    # ranges and validators
    "no-ranges": large(UNPINNED),
    "ranges-ignored": large(ignores_range()),
    "ranges-shifted": large(shifts_range()),
    "weak-etag": large(weak_etag()),
    "no-etag": large(without("ETag")),
    "no-validators": large(without("ETag", "Last-Modified")),
    "rotating-etag": large(rotating_etag()),
    # silence and slowness
    "stall-once": synced(UNPINNED, once(stalls_after(9_000)), http={"idle_timeout": "2s"}),
    "stall-once-pinned": synced(once(stalls_after(9_000)), http={"idle_timeout": "2s"}),
    "stall-always": fails(UNAVAILABLE, UNPINNED, stalls_after(9_000), http={"idle_timeout": "1s"}),
    "drip": fails(UNAVAILABLE, UNPINNED, drips(0.02), http={"idle_timeout": "1s", "min_rate": "10KiB/s"}),
    # statuses
    "401": fails("Blocked SourceDenied", answers(401)),
    "403": fails("Blocked SourceDenied", answers(403)),
    "404": fails("Blocked SourceMissing", answers(404)),
    "410": fails("Blocked SourceMissing", answers(410)),
    "418": fails("Blocked SourceRefused", answers(418)),
    "206-unasked": fails("Blocked SourceRefused", answers(206)),
    "304-unasked": fails("Blocked SourceRefused", answers(304)),
    "503-once": synced(once(answers(503))),
    "503-always": fails(UNAVAILABLE, answers(503)),
    "429-retry-after": synced(once(answers(429, Retry_After="1"))),
    "503-retry-after-date": synced(once(answers(503, Retry_After=in_a_second()))),
    "503-retry-after-nonsense": synced(once(answers(503, Retry_After="soon"))),
    "head-refused": synced(refuses_head()),
    # redirects
    "redirect-loop": fails("Blocked SourceRefused", redirects("redirect-loop"), http={"max_redirects": 3}),
    "redirect-to-ftp": fails("Blocked SourceRefused", redirects("ftp://127.0.0.1/x")),
    "redirect-to-metadata": fails("Blocked SourceRefused", redirects("http://169.254.169.254/latest/meta-data/")),
    "redirect-to-nowhere": fails("Blocked SourceRefused", answers(302)),
    "redirect": synced(redirects("nothing")),
    # contents
    "gzip-forced": Row((forces_gzip(),), gzip.compress(SMALL, mtime=0)),
    "login-page": fails(
        "Blocked SourceRefused", says(Content_Type="text/html"), expect={"content_type": "application/gzip"}
    ),
    "declared": synced(**DIGEST),
    "declared-otherwise": fails("Blocked ChecksumMismatch", body=b"other bytes", **DIGEST),
    "declared-cut-once": synced(once(cut_after(9_000)), **DIGEST),
}


@dataclass
class Run:
    """The results of one `sync` over all rows."""

    done: Completed
    objects: dict[str, bytes]
    encodings: dict[str, str]
    uploads: list[Any]
    terminal: Counter[tuple[str, int]]  # by key and attempt
    started: set[tuple[str, int]]  # more than once where ranges are wrong
    methods: set[str]


def entry(origin: Origin, bucket: str, name: str, row: Row) -> dict[str, Any]:
    url = origin.publish(f"/{name}", row.body)
    origin.behave(f"/{name}", *row.behaviours)
    return {"url": url, "to": f"s3://{bucket}/{name}", **row.options}


def attempts(done: Completed, *names: str) -> Counter[tuple[str, int]]:
    return Counter((one["key"], one["attempt"]) for name in names for one in events(done, name))


@pytest.fixture
async def run(tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin) -> Run:
    for name in ROWS:
        s3_client.put_object(Bucket=bucket, Key=name, Body=OLD)
    entries = [entry(origin, bucket, name, row) for name, row in ROWS.items()]
    text = f"daemon: {{transfers: 64, per_host: {{connections: 64}}}}\nmirrors: {json.dumps(entries)}\n"
    done = await sync(tmp_path, manifest(tmp_path, weed, text), *DEBUG, seconds=240, speed=5.0)
    answers = {name: s3_client.get_object(Bucket=bucket, Key=name) for name in ROWS}
    return Run(
        done,
        {name: answer["Body"].read() for name, answer in answers.items()},
        {name: answer.get("ContentEncoding", "") for name, answer in answers.items()},
        s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads", []),
        attempts(done, "transfer.completed", "transfer.failed", "transfer.interrupted"),
        set(attempts(done, "transfer.started")),
        {asked.method for asked in origin.log},
    )


def line_of(run: Run, bucket: str, name: str) -> str:
    lines = [line for line in run.done.out.splitlines() if f": s3://{bucket}/{name}: " in line]
    assert len(lines) <= 1, lines
    return lines[0] if lines else ""


async def test_every_fault_has_its_outcome(run: Run, bucket: str) -> None:
    wrong = []
    for name, row in ROWS.items():
        line = line_of(run, bucket, name)
        if line.partition(": ")[0] != row.ends:
            wrong.append(f"{name}: ends {line or 'in sync'}, not {row.ends or 'in sync'}")
        if run.objects[name] != (OLD if row.stored is None else row.stored):
            wrong.append(f"{name}: other bytes are stored ({len(run.objects[name])})")
        ended = {attempt: count for (key, attempt), count in run.terminal.items() if key == name}
        if row.stored is not None and not ended:
            wrong.append(f"{name}: no terminal event")
        if any(count != 1 for count in ended.values()):
            wrong.append(f"{name}: terminal events an attempt: {ended}")
    assert not wrong, "\n".join([*wrong, run.done.output])
    assert run.started <= run.terminal.keys(), "an attempt without an end"
    assert run.uploads == []
    assert run.encodings == {name: "gzip" if name == "gzip-forced" else "" for name in ROWS}
    assert run.methods == {"GET"}
    assert run.done.code == 1
    assert "Traceback" not in run.done.err
