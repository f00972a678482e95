"""Where the CPU of one `mirrord` command goes, by package: `python -m tests.bench.profiled OUTPUT ARGUMENT …`.

cProfile in every thread, because the event loop and the file pools have their own. The time of a built-in function
counts for the package that called it. Profiling makes calls of Python functions dearer, so only the shares count.
"""

import cProfile
import marshal
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_PACKAGE = re.compile(r".*/(?:site-packages|python3\.\d+)/([^/]+)")
_OURS = re.compile(r"/mirrord/(.+)\.py$")


def shares(stats: Mapping[Any, Any]) -> list[tuple[str, float]]:
    """(package or part of mirrord, share of the time), the largest first."""
    times: Counter[str] = Counter()
    for (file, _, _), (_, _, own, _, callers) in stats.items():
        if file != "~":
            times[_part(file)] += own
            continue
        for (caller, _, _), (_, _, spent, _) in callers.items():
            times[_part(caller)] += spent
    total = sum(times.values()) or 1.0
    return [(name, spent / total) for name, spent in times.most_common()]


def _part(file: str) -> str:
    if ours := _OURS.search(file):
        return "mirrord." + ".".join(ours[1].split("/")[:2])
    found = _PACKAGE.search(file)
    return found[1].removesuffix(".py") if found else "interpreter"


def main() -> None:
    output, *arguments = sys.argv[1:]
    profiles = [cProfile.Profile(_cpu_of_this_thread())]
    run = threading.Thread.run

    def run_profiled(thread: threading.Thread) -> None:
        profile = cProfile.Profile(_cpu_of_this_thread())
        profiles.append(profile)
        profile.runcall(run, thread)

    threading.Thread.run = run_profiled  # type: ignore[method-assign]
    sys.argv = ["mirrord", *arguments]
    from mirrord.__main__ import main as mirrord

    try:
        profiles[0].runcall(mirrord)
    finally:
        Path(output).write_bytes(marshal.dumps(_merged(profiles)))


def _cpu_of_this_thread() -> Callable[[], float]:
    """A clock of CPU time, so that waiting does not count. To another thread, which reads the profile of a thread that
    waits, it shows the time of the last call."""
    owner, last = threading.get_ident(), 0.0

    def clock() -> float:
        nonlocal last
        if threading.get_ident() == owner:
            last = time.thread_time()
        return last

    return clock


def _merged(profiles: list[cProfile.Profile]) -> dict[Any, Any]:
    merged: dict[Any, Any] = {}
    for number, profile in enumerate(profiles):
        profile.create_stats()
        for function, numbers in profile.stats.items():  # type: ignore[attr-defined]
            merged[(*function[:2], f"{function[2]}#{number}")] = numbers
    return merged


if __name__ == "__main__":
    main()
