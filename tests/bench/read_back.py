"""Reads the objects of a run back from a real store, in several processes, and compares them with the files."""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from mirrord.units import MiB
from tests.bench.tools import Source
from tests.support.weed import Server

_COMPARED = 512 * MiB
"""Objects up to this total are read back completely, larger ones by samples."""
_SAMPLE = 4 * MiB
_GROUP = 500
"""Samples that one call in another process reads, with one client."""

Sample = tuple[str, int, int]
"""A range of a file and of its object: name, start, end."""


def difference(server: Server, bucket: str, source: Source) -> str | None:
    """Where the bucket differs from the source: in names, sizes or bytes. None: it does not."""
    client = server.client()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    listed = {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", [])}
    client.close()
    if listed != dict.fromkeys(source.names, source.size):
        return f"the bucket has {len(listed)} objects of {sum(listed.values())} bytes"
    chosen = list(samples(source))
    groups = [chosen[start : start + _GROUP] for start in range(0, len(chosen), _GROUP)]
    with ProcessPoolExecutor() as pool:
        return next(filter(None, pool.map(partial(_first_difference, server, bucket, source), groups)), None)


def samples(source: Source) -> Iterator[Sample]:
    """Ranges that are read back: everything of small sources, else the ends and random pieces of each object."""
    if source.total <= _COMPARED:
        yield from ((name, 0, source.size) for name in source.names)
        return
    chosen = random.sample(list(source.names), min(len(source.names), 200))
    for name in chosen:
        most = max(source.size - _SAMPLE, 0)
        for start in {0, most, *(random.randrange(most + 1) for _ in range(16 if len(chosen) == 1 else 1))}:
            yield name, start, min(start + _SAMPLE, source.size)


def _first_difference(server: Server, bucket: str, source: Source, group: Sequence[Sample]) -> str | None:
    client = server.client()
    for name, start, end in group:
        got = client.get_object(Bucket=bucket, Key=name, Range=f"bytes={start}-{end - 1}")["Body"].read()
        with open(source.directory / name, "rb") as file:
            file.seek(start)
            if got != file.read(end - start):
                return f"{name} differs in bytes {start} to {end}"
    return None
