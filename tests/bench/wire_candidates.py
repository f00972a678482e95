"""`python -m tests.bench.wire_candidates`: the measured table of docs/wire.md, which client sends the frequent calls.

CPU of an object of 4 KiB with 16 in flight and of a GiB in parts of 8 MiB with 4 in flight, each without the start of
the process; resident memory; and how each client behaves when a store does not answer, does not read, or refuses early.
The store is the bench's sink, which returns the checksums that it receives. Medians of alternating rounds.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from mirrord.units import MiB
from tests.bench.docs import filled
from tests.bench.measure import LAUNCH
from tests.bench.scenarios import StoreKind
from tests.bench.servers import Store, store
from tests.bench.tools import REPOSITORY
from tests.bench.wire_clients import CLIENTS
from tests.bench.wire_loads import AFTER_CANCEL, DEADLINE, SMALL
from tests.support.measuring import machine, report

PAGE = REPOSITORY / "docs" / "wire.md"
_REFUSAL = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
_ANSWER = b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n"


# ── costs ─────────────────────────────────────────────────────────────────────────────────────────
def run(name: str, load: str, endpoint: str, count: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cost and result of one load in its own process. RuntimeError: it failed."""
    with tempfile.NamedTemporaryFile() as log:
        command = [sys.executable, "-m", "tests.bench.wire_loads", name, load, endpoint, str(count)]
        launcher = [sys.executable, "-I", "-S", str(LAUNCH), log.name, *command]
        done = subprocess.run(launcher, stdout=subprocess.PIPE, check=True, cwd=REPOSITORY)
        cost, output = json.loads(done.stdout), Path(log.name).read_text().strip()
    if cost["code"]:
        raise RuntimeError(f"{name} {load}: {output[-300:]}")
    return cost, json.loads(output.splitlines()[-1])


def costs(names: Sequence[str], sink: Store, objects: int, mib: int, rounds: int) -> dict[str, dict[str, float]]:
    """CPU in µs an object and s a GiB, peak MiB at start and with a large object."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[:: -1 if turn % 2 else 1]:
            loads = (("small", 0, 0), ("small", objects, objects * SMALL), ("large", mib, mib * MiB))
            base, few, big = (_counted(name, load, sink, count, size) for load, count, size in loads)
            cost = {
                "small_us": (few["cpu_s"] - base["cpu_s"]) / objects * 1e6,
                "large_s_a_gib": (big["cpu_s"] - base["cpu_s"]) / mib * 1024,
                "base_mib": base["peak_bytes"] / MiB,
                "large_mib": big["peak_bytes"] / MiB,
            }
            runs[name].append(cost)
            print(
                f"  {turn + 1}/{rounds} {name}: { ({key: round(value, 2) for key, value in cost.items()}) }", flush=True
            )
    return {name: {key: median(one[key] for one in each) for key in each[0]} for name, each in runs.items()}


def _counted(name: str, load: str, sink: Store, count: int, size: int) -> dict[str, Any]:
    """The cost of one load whose bytes all arrived."""
    sink.reset()
    cost, _ = run(name, load, sink.endpoint, count)
    received = (sink.counts() or {})["bytes"]
    if received != size:
        raise RuntimeError(f"{name} {load}: {received} bytes arrived instead of {size}")
    return cost


# ── behaviour ─────────────────────────────────────────────────────────────────────────────────────
@contextmanager
def misbehaving(how: str) -> Iterator[tuple[str, list[float]]]:
    """A store that never answers (`hang`), reads no body (`stall`), or answers 403 to the head (`early`).

    Yields its URL and the times at which connections with a request were closed by the client."""
    closed: list[float] = []

    def serve_connection(connection: socket.socket) -> None:
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                more = connection.recv(4096)
                if not more:
                    return
                received += more
            if how == "early":
                connection.sendall(_ANSWER % len(_REFUSAL) + _REFUSAL)
                time.sleep(0.3)  # closing at once could destroy the answer on its way: RFC 9112, 9.6
                return
            if how == "stall":
                time.sleep(2 * DEADLINE)  # the client has cancelled; what is in the kernel's buffers follows
            while _received(connection):
                pass
            closed.append(time.monotonic())

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve_connection, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", closed


def _received(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(MiB))
    except OSError:
        return False


def behaviour(name: str) -> dict[str, str]:
    """What was seen, as text for the table."""
    seen = {}
    for how in ("hang", "stall"):
        with misbehaving(how) as (endpoint, closed):
            _, result = run(name, how, endpoint, 0)
            ended = time.monotonic() - AFTER_CANCEL / 2
            stopped = bool(closed) and closed[0] < ended
            seen[how] = f"{result['returned_s']} s, " + ("closed" if stopped else "**left open**")
    with misbehaving("early") as (endpoint, _):
        error = run(name, "early", endpoint, 0)[1]["error"]
        told = any(word in error for word in ("403", "AccessDenied", "Denied", "PermissionDenied"))
        seen["early"] = "reported" if told else f"**lost**: {error[:60]}"
    return seen


# ── the table ─────────────────────────────────────────────────────────────────────────────────────
def table(costs: Mapping[str, Mapping[str, float]], seen: Mapping[str, Mapping[str, str]]) -> str:
    names = list(costs)
    own = costs[names[0]]
    rows = [
        ["µs CPU an object of 4 KiB", *(f"{costs[name]['small_us']:.0f}" for name in names)],
        ["… multiple of our own", *(f"{costs[name]['small_us'] / own['small_us']:.2f}" for name in names)],
        ["s CPU a GiB", *(f"{costs[name]['large_s_a_gib']:.2f}" for name in names)],
        ["… multiple of our own", *(f"{costs[name]['large_s_a_gib'] / own['large_s_a_gib']:.2f}" for name in names)],
        ["resident MiB at start", *(f"{costs[name]['base_mib']:.0f}" for name in names)],
        ["resident MiB, large object", *(f"{costs[name]['large_mib']:.0f}" for name in names)],
        ["no answer, cancelled after 0.5 s", *(seen[name]["hang"] for name in names)],
        ["body not read, cancelled after 0.5 s", *(seen[name]["stall"] for name in names)],
        ["403 before the body is sent", *(seen[name]["early"] for name in names)],
    ]
    lines = [["measured", *names], ["---"] * (len(names) + 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CLIENTS)}; default: all")
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the table into docs/wire.md")
    given = parser.parse_args()
    names = given.names or list(CLIENTS)
    with store(StoreKind.ECHO) as sink:
        found = costs(names, sink, given.objects, given.mib, given.rounds)
    seen = {name: behaviour(name) for name in names}
    report("wire-candidates", {"costs": found, "behaviour": seen, "rounds": given.rounds})
    text = table(found, seen)
    print(text)
    if given.write:
        about = ", ".join(f"{key} {value}" for key, value in machine().items())
        PAGE.write_text(filled(PAGE.read_text(), f"Medians of {given.rounds} rounds; {about}.\n\n{text}"))


if __name__ == "__main__":
    main()
