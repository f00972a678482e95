"""Tables of a result of `make bench`, in Markdown. Owns medians, ratios, and whether a target is met."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from mirrord.units import GiB, MiB
from tests.bench.scenarios import PEAK
from tests.bench.stall import MOST_STALL
from tests.bench.tools import MIRRORD, PARITY

_HEAD = (
    "scenario",
    "tool",
    "wall s",
    "CPU s",
    "CPU each",
    "peak MiB",
    "calls",
    "CPU ratio (target)",
    "wall ratio (target)",
    "target",
)


def summary(document: Mapping[str, Any]) -> str:
    """One row a tool. The ratios are mirrord's median divided by that tool's."""
    rows = [row for scenario in document["scenarios"] for row in _rows(scenario)]
    return "\n".join(_line(row) for row in (_HEAD, ["---"] * len(_HEAD), *rows))


def figures(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Medians of a tool's runs; the peak is the largest. Empty without runs."""
    runs = tool["runs"]
    if not runs:
        return {}
    middle = {name: median(run[name] for run in runs) for name in ("wall_s", "cpu_s")}
    calls = [sum(run["calls"].values()) for run in runs if run["calls"] is not None]
    return {**middle, "peak_bytes": max(run["peak_bytes"] for run in runs), "calls": median(calls) if calls else None}


def _rows(scenario: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    by_name = {tool["tool"]: figures(tool) for tool in scenario["tools"]}
    ours = by_name[MIRRORD.name]
    for tool in scenario["tools"]:
        name, numbers = tool["tool"], by_name[tool["tool"]]
        shown = f"`{scenario['name']}`" if name == MIRRORD.name else ""
        if not numbers:
            yield [shown, name, tool["error"].replace("|", "/")[:80] or "no runs", *[""] * 7]
            continue
        calls = "" if numbers["calls"] is None else f"{numbers['calls']:,.0f}"
        costs = [f"{numbers['wall_s']:.2f}", f"{numbers['cpu_s']:.2f}", _each(scenario, numbers["cpu_s"])]
        costs += [f"{numbers['peak_bytes'] / MiB:.0f}", calls]
        yield [shown, name, *costs, *_verdict(name, ours, numbers, scenario["targets"].get(name))]


def _verdict(
    name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any], target: Mapping[str, Any] | None
) -> Sequence[str]:
    if name in (MIRRORD.name, PARITY.name):
        return ["", "", _memory(theirs)]
    if not ours:
        return ["", "", ""]
    ratios = {part: _times(ours, theirs, part) for part in ("cpu", "wall")}
    limits = target or {}
    met = all(ratios[part] <= limit for part, limit in limits.items() if limit is not None)
    judged = any(limit is not None for limit in limits.values())
    verdict = ("met" if met else "**not met**") if judged else ""
    return [*(_ratio(ratios[part], limits.get(part)) for part in ratios), verdict]


def _times(ours: Mapping[str, Any], theirs: Mapping[str, Any], part: str) -> float:
    return float(ours[f"{part}_s"] / theirs[f"{part}_s"])


def _ratio(ratio: float, limit: float | None) -> str:
    return f"{ratio:.2f}" + ("" if limit is None else f" (≤ {limit})")


def _each(scenario: Mapping[str, Any], cpu: float) -> str:
    """CPU of one object, with start-up: from scan to durable record; for one large object that of a GiB."""
    if scenario["objects"] > 1:
        return f"{cpu / scenario['objects'] * 1e6:.0f} µs"
    return f"{cpu / scenario['size'] * GiB:.2f} s/GiB"


def _memory(numbers: Mapping[str, Any]) -> str:
    return "memory met" if numbers["peak_bytes"] < PEAK else f"**memory not met** (< {PEAK // MiB} MiB)"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def page(document: Mapping[str, Any]) -> str:
    """The part of docs/benchmarks.md that a result fills: machine, versions, integrity work, table, commands."""
    machine = ", ".join(f"{name} {value}" for name, value in document["machine"].items() if name != "load")
    loads = [document["machine"]["load"][0], *(scenario["load"][0] for scenario in document["scenarios"])]
    load = f"Load averages of {min(loads)} to {max(loads)}; medians of {document['pairs']} runs."
    when = f"{document['when']}: {machine}. {load}"
    tools = [_line(("tool", "version", "integrity work")), _line(["---"] * 3)]
    tools += [_line((name, document["versions"][name], work)) for name, work in document["integrity"].items()]
    parts = [when, summary(document), _lost(document), *_daemon(document), *_profiles(document)]
    return "\n\n".join([*parts, "\n".join(tools), _commands(document)])


def _lost(document: Mapping[str, Any]) -> str:
    """Where mirrord takes more than another tool."""
    lost = []
    for scenario in document["scenarios"]:
        by_name = {tool["tool"]: figures(tool) for tool in scenario["tools"]}
        ours = by_name[MIRRORD.name]
        for name, theirs in by_name.items():
            more = [f"{part} {_times(ours, theirs, part):.1f}x" for part in ("cpu", "wall") if ours and theirs]
            if name not in (MIRRORD.name, PARITY.name):
                more = [one for one in more if float(one.split()[1][:-1]) > 1]
                lost += [f"`{scenario['name']}` ({name}): {', '.join(more).replace('cpu', 'CPU')}"] if more else []
    return "mirrord takes more than another tool here: " + ("; ".join(lost) or "nowhere") + "."


def _daemon(document: Mapping[str, Any]) -> Iterator[str]:
    if found := document.get("stall"):
        verdict = "met" if found["longest_ms"] < MOST_STALL else "**not met**"
        yield (
            f"`{found['name']}`: `mirrord run` uploaded {found['files']:,} files in {found['seconds']} s, peak "
            f"{found['peak_mib']} MiB. `/livez`: longest {found['longest_ms']} ms (< {MOST_STALL} ms: {verdict}), "
            f"99 % within {found['p99_ms']} ms."
        )
    if found := document.get("latency"):
        head = ("one dropped file", "p50 ms", "p90 ms", "longest ms", "idle CPU %", "resident MiB")
        rows = [(name, *(str(one.get(key, "")) for key in _LATENCY)) for name, one in found["tools"].items()]
        text = "\n".join(_line(row) for row in (head, ["---"] * len(head), *rows))
        yield f"`{found['name']}`, {found['drops']} of each:\n\n{text}\n\n{_dropped(found)}"


_LATENCY = ("p50_ms", "p90_ms", "max_ms", "idle_cpu_percent", "resident_mib")


def _dropped(latency: Mapping[str, Any]) -> str:
    tools = latency["tools"]
    if "ferry" not in tools:
        return "ferry-ingest is not installed."
    ratio = tools["mirrord"]["p50_ms"] / tools["ferry"]["p50_ms"]
    return f"p50 of mirrord / ferry-ingest: {ratio:.2f} (≤ 1.0: {'met' if ratio <= 1 else '**not met**'})."


def _profiles(document: Mapping[str, Any]) -> Iterator[str]:
    for scenario in document["scenarios"]:
        if found := scenario.get("profile"):
            largest = ", ".join(f"{name} {share:.0%}" for name, share in found[:14])
            yield f"Shares of mirrord's CPU in `{scenario['name']}`: {largest}."


def _commands(document: Mapping[str, Any]) -> str:
    """The command of each tool for each kind of scenario. `$BENCH` is the temporary directory."""
    seen: dict[tuple[str, str], str] = {}
    for scenario in document["scenarios"]:
        for tool in scenario["tools"]:
            kind = (scenario["name"].split("-")[0] + ("" if scenario["objects"] == 1 else "s"), tool["tool"])
            if tool["command"]:
                seen.setdefault(kind, f"# {scenario['name']}, {tool['tool']}\n{tool['command']}")
    return "\n".join(("```sh", *seen.values(), "```"))
