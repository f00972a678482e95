"""The scenarios of `make bench`, as data: source, store, tools and targets.

Names follow aws-crt-s3-benchmarks: what is done, the size of one object, how many, and the store. `upload` is from
files, `mirror` from URLs, `unchanged` a second pass in which nothing changed. Targets are those of issue 10: CPU and
wall time of mirrord as a multiple of the other tool's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from mirrord.units import GiB, KiB, MiB
from tests.bench.tools import (
    AWS,
    CRT,
    MIRRORD,
    MIRRORD_64,
    PARITY,
    RCLONE,
    RCLONE_16,
    RCLONE_URL,
    S5CMD,
    S5CMD_SYNC,
    Tool,
)

PEAK = 150 * MiB
"""The limit of mirrord's peak resident memory in every scenario, with `memory_limit: 64MiB`."""


class StoreKind(StrEnum):
    """Where a scenario writes to."""

    SINK = "sink"
    """Computes and verifies MD5 and CRC64NVME."""
    ECHO = "sink (echo)"
    """Returns the checksums that were sent: MD5 of large objects would make the sink the slowest part."""
    ECHO_TLS = "sink (echo, TLS)"
    WEED = "weed"


@dataclass(frozen=True, slots=True)
class Target:
    """The largest allowed ratios mirrord / other tool. None: no target, the ratio is only shown."""

    cpu: float | None = None
    wall: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """`against`: the other tools, each with the target of mirrord's ratio to it."""

    verb: str
    size: int
    count: int
    store: StoreKind
    against: Mapping[Tool, Target] = field(hash=False)
    warm: bool = False
    """Each tool makes a first pass that is not measured, into a bucket that it keeps."""

    @property
    def name(self) -> str:
        size = next(f"{self.size // unit}{name}" for unit, name in _UNITS if self.size >= unit)
        store = {StoreKind.ECHO: "sink", StoreKind.ECHO_TLS: "sink-tls"}.get(self.store, self.store.value)
        return f"{self.verb}-{size}-{self.count:_}x-{store}"

    @property
    def from_urls(self) -> bool:
        return self.verb == "mirror"

    @property
    def tools(self) -> Sequence[Tool]:
        return [MIRRORD, *([] if self.warm else [PARITY]), *self.against]

    def scaled(self, scale: float) -> "Scenario":
        """The same with fewer objects, or with a smaller one."""
        if self.count > 1:
            return replace(self, count=max(2, round(self.count * scale)))
        return replace(self, size=max(MiB, round(self.size * scale) // MiB * MiB))


_UNITS = ((GiB, "GiB"), (MiB, "MiB"), (KiB, "KiB"), (1, "B"))
_SHOWN = Target()

SCENARIOS: Sequence[Scenario] = (
    Scenario("upload", 4 * KiB, 20_000, StoreKind.SINK, {S5CMD: Target(0.7, 1.0), AWS: _SHOWN}),
    Scenario(
        "upload",
        4 * KiB,
        20_000,
        StoreKind.WEED,
        {S5CMD: Target(0.7, 0.9), RCLONE: Target(0.7, 0.9), MIRRORD_64: _SHOWN},
    ),
    Scenario("upload", 256 * KiB, 10_000, StoreKind.ECHO, {S5CMD: _SHOWN, AWS: _SHOWN, CRT: _SHOWN}),
    Scenario(
        "unchanged",
        4 * KiB,
        100_000,
        StoreKind.ECHO,
        {RCLONE: Target(0.5, 0.5), S5CMD_SYNC: Target(1.5, 1.5)},
        warm=True,
    ),
    Scenario("upload", 4 * GiB, 1, StoreKind.ECHO, {S5CMD: Target(0.35, 0.5), AWS: _SHOWN, CRT: _SHOWN}),
    Scenario("upload", 4 * GiB, 1, StoreKind.WEED, {S5CMD: Target(0.4, 0.9), RCLONE: Target(0.4, 0.9)}),
    Scenario("mirror", 4 * GiB, 1, StoreKind.ECHO, {RCLONE_URL: Target(0.5, 0.5)}),
    Scenario("mirror", 4 * GiB, 1, StoreKind.ECHO_TLS, {RCLONE_URL: Target(0.8, 0.8)}),
    Scenario("mirror", 64 * KiB, 2_000, StoreKind.SINK, {RCLONE_URL: Target(0.6, 0.7), RCLONE_16: _SHOWN}),
)
