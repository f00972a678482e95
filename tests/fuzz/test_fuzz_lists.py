"""Lists and checksum lists of any bytes: rows or faults, the same wherever the bytes are divided."""

import gzip
from dataclasses import replace

import pytest
from hypothesis import strategies as st

from mirrord.declared import ListSpec
from mirrord.planning.decisions.digests import DigestSearch
from mirrord.planning.items.keys import key_fault
from mirrord.sources.list.intake import ListIntake
from tests.support.fuzzing import corpus, explained, fuzz, mutated

SPEC = ListSpec(entry="e", location="/l/x.txt", to="s3://bucket/{host}{path}", store="s", endpoint="http://s")
FORMATS = ("x.tsv", "x.csv", "x.jsonl", "x.txt", "SHA256SUMS", "PULP_MANIFEST")


def _taken(spec: ListSpec, chunks: list[bytes]) -> tuple[list[str], list[str]]:
    keys: list[str] = []
    intake = ListIntake(spec, lambda item, *_: keys.append(item.destination.key))
    for chunk in chunks:
        list(intake.feed(chunk))
    intake.end()
    return keys, list(intake.faults)


@pytest.mark.parametrize("name", FORMATS)
def test_lists(name: str) -> None:
    spec = replace(SPEC, location=f"https://h/d/{name}")

    def check(value: tuple[bytes, int, bool]) -> None:
        content, cut, packed = value
        content = gzip.compress(content, 1) if packed else content
        keys, faults = _taken(spec, [content])
        assert (keys, faults) == _taken(spec, [content[:cut], content[cut:]])
        assert keys or faults
        assert not any(map(key_fault, keys))
        "".join([*keys, *faults]).encode()

    kept = corpus("lists")
    inputs = st.tuples(mutated(kept), st.integers(0, 400), st.booleans())
    whole = [(one, len(one) // 2, False) for one in kept]
    fuzz(inputs, check, examples=40, kept=whole, target="lists", shared_by=len(FORMATS))


def test_damaged_gzip() -> None:
    whole = [gzip.compress(one, 1, mtime=0) for one in corpus("lists")] + [gzip.compress(bytes(10**6), 9, mtime=0)]
    fuzz(mutated(whole), lambda content: _taken(SPEC, [content]))


def _digests(content: bytes) -> None:
    search = DigestSearch("file.iso")
    for line in content.replace(b"\r", b"\n").split(b"\n"):
        search.line(line.decode("utf-8", "replace"))
    try:
        assert len(search.result()) == 64
    except ValueError as error:
        explained(error)


def test_checksum_lists() -> None:
    kept = corpus("digests")
    fuzz(mutated(kept), _digests, kept=kept, target="digests")
