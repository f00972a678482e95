"""What a process costs, what the machine is, and results in the one form that all measurements have.

A result is JSON below tests/bench/results (not committed): the scenario, its numbers, and the machine's facts beside
them, for a number without its machine says nothing.
"""

import json
import os
import platform
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirrord._version import __version__
from mirrord.units import MiB

RESULTS = Path(__file__).resolve().parents[1] / "bench" / "results"
SOAK = bool(os.environ.get("MIRRORD_SOAK"))
"""Whether long runs are wanted (`make soak`)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used up to now: CPU seconds, user and system; resident bytes, now and at most."""

    cpu: float
    resident: int
    peak: int


def usage(pid: int) -> Usage:
    """From /proc; raises FileNotFoundError once the process is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = dict(re.findall(r"(Vm\w+):\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()))
    ticks = int(fields[11]) + int(fields[12])
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), int(status["VmRSS"]) * 1024, int(status["VmHWM"]) * 1024)


def busy() -> float:
    """CPU seconds that all cores together were busy since the machine started (proc_stat(5))."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, Any]:
    """Facts about this machine, and how busy it is: numbers of a busy one are noise."""
    model = re.search(r"model name\s+: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cores": os.cpu_count(),
        "cpu": model[1] if model else platform.machine(),
        "memory_mib": int(memory[1]) // 1024 if memory else None,
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "load": [round(load, 2) for load in os.getloadavg()],
    }


_WORK, _WORK_TAKES = 1_000_000, 0.025
"""Additions, and the seconds that they take on an idle core of the machine on which the figures were set."""


def stretched(seconds: float) -> float:
    """So many seconds of the machine on which the figures were set, on this one as busy as it is now; no fewer."""
    took = []
    for _ in range(3):
        began = time.monotonic()
        sum(range(_WORK))
        took.append(time.monotonic() - began)
    return seconds * max(1.0, max(took) / _WORK_TAKES)


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which that part of the values lies."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def report(scenario: str, numbers: Mapping[str, Any]) -> Path:
    """Print the numbers, and keep them beside the machine's facts."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    result = {
        "scenario": scenario,
        "when": when,
        "mirrord": __version__,
        "machine": machine(),
        "numbers": dict(numbers),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / f"{scenario}-{when.replace(':', '')}.json"
    file.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\n{scenario}: {json.dumps(numbers)}")
    return file


def mib(size: int) -> float:
    return round(size / MiB, 1)
