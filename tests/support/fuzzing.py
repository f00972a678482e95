"""Fuzz targets: random inputs by hypothesis, mutations of a corpus, for as long as MIRRORD_FUZZ says.

Without MIRRORD_FUZZ (in `make test`) a target makes one round from a fixed seed, so that the suite is repeatable. With
MIRRORD_FUZZ=seconds (30 in .ci/run, 600 in `make fuzz`) it makes rounds from a random seed until the time is up, which
the parameters of one test share; MIRRORD_SEED=n makes only the round of that seed. The seed of each round is printed;
hypothesis shrinks what fails. A target must end within `SLOWEST` seconds of CPU for each input, and must not grow.

The corpus is `tests/fuzz/corpus/TARGET/*`: each file of it is also an input itself in every run. A timed run adds what
failed to it, as `found-DIGEST`: commit that file with the correction.
"""

import gc
import hashlib
import os
import random
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeVar

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from mirrord.units import KiB, MiB

T = TypeVar("T")

SECONDS = float(os.environ.get("MIRRORD_FUZZ") or 0)
SLOWEST = 5.0
"""Seconds of CPU for one input. All targets need some milliseconds."""
MOST_GROWTH = 96 * MiB
"""Bytes that the process may grow while a target runs, after its first round."""
EXAMPLES = 50
CORPUS = Path(__file__).parent.parent / "fuzz" / "corpus"

_TOKENS = (
    b"\0",
    b"\r\n",
    b"\n",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"%2F",
    b"../",
    b"'",
    b'"',
)
_TOKENS += (
    b"-1",
    b"9" * 25,
    b"9" * 5000,
    b"1e999",
    b"nan",
    b"{",
    b"}",
    b"[" * 200,
    b"<",
    b"&",
    b"&#0;",
    b"${",
    b"*a",
    b"&a ",
)


def first_seeds(count: int) -> list[int]:
    """The parameters of a test that calls `rounds`: several seeds where MIRRORD_FUZZ is not set, else one."""
    return [1] if SECONDS else [*range(1, count + 1)]


def rounds(first: int = 1, *, shared_by: int = 1) -> Iterator[int]:
    """The seeds of the rounds to make now: at least one. `first`: the seed where MIRRORD_FUZZ is not set. `shared_by`:
    so many parameters of the test share its time."""
    if "MIRRORD_SEED" in os.environ:
        yield int(os.environ["MIRRORD_SEED"])
        return
    seed, end = random.SystemRandom().randrange(10**9) if SECONDS else first, time.monotonic() + SECONDS / shared_by
    while True:
        print(f"seed {seed}")
        yield seed
        seed += 1
        if time.monotonic() >= end:
            return


def fuzz(
    inputs: SearchStrategy[T],
    check: Callable[[T], object],
    *,
    examples: int = EXAMPLES,
    kept: Iterable[T] = (),
    target: str = "",
    shared_by: int = 1,
) -> None:
    """Call `check` with the inputs in `kept`, and with many others. It fails by an exception, by its time, or by the
    growth of the process. `target`: the corpus to which a timed run adds what failed."""
    for one in kept:
        _timed(check, one)
    before: int | None = None
    for seed in rounds(shared_by=shared_by):
        _round(inputs, check, seed, examples, target)
        gc.collect()
        now = resident()
        before = before or now
        assert now - before < MOST_GROWTH, f"seed {seed}: grew by {now - before} bytes"


def _round(inputs: SearchStrategy[T], check: Callable[[T], object], seed: int, examples: int, target: str) -> None:
    failed: list[T] = []  # the last one is the shortest: hypothesis repeats it at its end

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @hypothesis.given(inputs)
    def each(value: T) -> None:
        try:
            _timed(check, value)
        except Exception:
            failed[:] = [value]
            raise

    try:
        each()
    except Exception:
        if SECONDS and target and failed:
            _add(target, failed[0])
        raise


def _timed(check: Callable[[T], object], value: T) -> None:
    began = time.thread_time()
    check(value)
    spent = time.thread_time() - began
    assert spent < SLOWEST, f"{spent:.1f} s of CPU for one input"


def _add(target: str, value: object) -> None:
    """Add the bytes of an input (the first of a tuple) to a corpus."""
    content = value[0] if isinstance(value, tuple) else value
    if isinstance(content, bytes):
        (CORPUS / target / f"found-{hashlib.sha256(content).hexdigest()[:12]}").write_bytes(content)


def explained(error: Exception, words: str = "") -> None:
    """The error says what is wrong, in text that can be printed, with these words."""
    text = str(error)
    text.encode()
    assert text
    assert words in text, text


def resident() -> int:
    """Bytes of memory that this process has now (Linux), or had at most (elsewhere)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KiB


class PeakMemory:
    """Inside `with`: how much more memory the process had at a time than at the start. Linux only, else 0."""

    _RESET = b"5"  # proc_pid_clear_refs(5): the peak is now what the process has

    def __enter__(self) -> Self:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_bytes(self._RESET)
        self._before = resident()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def growth(self) -> int:
        """Bytes."""
        try:
            status = Path("/proc/self/status").read_text()
        except OSError:
            return 0
        return int(status.partition("VmHWM:")[2].split()[0]) * KiB - self._before


def corpus(name: str) -> list[bytes]:
    """The kept inputs of one target: `tests/fuzz/corpus/NAME/*`."""
    return [one.read_bytes() for one in sorted((CORPUS / name).iterdir())]


def mutated(seeds: list[bytes]) -> SearchStrategy[bytes]:
    """The seeds with up to six changes each; rarely quite other bytes."""
    changes = st.lists(st.tuples(st.integers(0, 6), st.floats(0, 1), st.integers(0, 30), _piece(seeds)), max_size=6)
    return st.one_of(
        st.builds(_changed, st.sampled_from(seeds), changes),
        st.builds(_changed, st.sampled_from(seeds), changes),
        st.builds(_changed, st.sampled_from(seeds), changes),
        st.binary(max_size=200),
    )


def _piece(seeds: list[bytes]) -> SearchStrategy[bytes]:
    return st.one_of(st.sampled_from(_TOKENS), st.binary(max_size=8), st.sampled_from(seeds))


def _changed(seed: bytes, changes: list[tuple[int, float, int, bytes]]) -> bytes:
    data = bytearray(seed)
    for kind, where, size, piece in changes:
        at = int(where * len(data))
        match kind:
            case 0 | 1:
                data[at:at] = piece
            case 2:
                data[at : at + len(piece)] = piece
            case 3:
                del data[at : at + size]
            case 4:
                del data[at:]
            case 5:
                data[at:at] = data[at : at + size] * (1 + size)
            case _:
                end = int((size / 30) * len(data))
                data[at:at] = data[min(at, end) : max(at, end)]
    return bytes(data[: 64 * KiB + 10])
