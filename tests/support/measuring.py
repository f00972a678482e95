"""CPU and memory use of a process, facts about the machine, and the format of all results.

A result is a JSON file below tests/bench/results (not committed): the scenario, its numbers, and facts about the
machine, without which numbers cannot be compared.
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
"""Whether to run the long measurements (`make soak`)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds (user and system) of a process so far, and its resident memory in bytes: now, and the peak."""

    cpu: float
    resident: int
    peak: int


def usage(pid: int) -> Usage:
    """Read from /proc; raises FileNotFoundError if the process has ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = dict(re.findall(r"(Vm\w+):\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()))
    ticks = int(fields[11]) + int(fields[12])
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), int(status["VmRSS"]) * 1024, int(status["VmHWM"]) * 1024)


def busy() -> float:
    """Busy CPU seconds of all cores since the machine started (proc_stat(5))."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, Any]:
    """Facts about this machine, with its load: numbers from a busy machine are not reliable."""
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
"""A number of additions, and the seconds that they take on an idle core of the reference machine of the limits."""


def stretched(seconds: float) -> float:
    """Scale seconds of the reference machine to this machine under its present load; never less than `seconds`."""
    took = []
    for _ in range(3):
        began = time.monotonic()
        sum(range(_WORK))
        took.append(time.monotonic() - began)
    return seconds * max(1.0, max(took) / _WORK_TAKES)


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which this part (0 to 1) of the values lies."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def report(scenario: str, numbers: Mapping[str, Any]) -> Path:
    """Print the numbers and write them to a file with the facts about the machine; the path of the file."""
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
