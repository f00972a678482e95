"""`doctor --store`: measures what a store does, by writes below `.mirrord-doctor/`, which are all removed.

Owns the order of the measurements, and that buckets with object lock are refused: what is written there may not be
removable. `judgements` has the words, `providers.measured` uses the values.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mirrord.declared import StoreOptions
from mirrord.engine.diagnosis import opened_probe
from mirrord.engine.measured_stores import keep_measured
from mirrord.errors import MirrordError, StoreDenied, StoreError
from mirrord.ports.probe import StoreProbe
from mirrord.programs.doctor import judgements, measured_conditions, measured_objects, measured_uploads
from mirrord.programs.doctor.findings import DoctorFinding, failed, ok, warning
from mirrord.programs.doctor.measurement import Measurement
from mirrord.programs.doctor.probe_objects import ProbeObjects
from mirrord.providers import facts_of
from mirrord.providers.facts import FactValue
from mirrord.providers.measured import MeasuredFacts

_ALWAYS: Mapping[str, Measurement] = {
    "objects": measured_objects.objects,
    "checksums": measured_objects.checksums,
    "conditional_puts": measured_conditions.puts,
    "conditional_deletes": measured_conditions.deletes,
    "copies": measured_objects.copies,
    "tags": measured_objects.tags,
    "keys": measured_objects.keys,
    "customer_keys": measured_objects.customer_keys,
    "multipart": measured_uploads.uploads,
    "upload_checksums": measured_uploads.upload_checksums,
    "conditional_completes": measured_conditions.completes,
    "late_aborts": measured_uploads.late_aborts,
    "part_limits": measured_uploads.part_limits,
}
_WITH_VERSIONS: Mapping[str, Measurement] = {"versions": measured_objects.versions}
_NEEDED = frozenset({"objects", "multipart"})
"""Measurements without which no copy can work: that they fail is a failure."""


@dataclass(slots=True)
class StoreMeasurement:
    """Filled while `measure` runs. `left`: what could not be removed."""

    values: dict[str, FactValue] = field(default_factory=dict)
    findings: list[DoctorFinding] = field(default_factory=list)
    server: str = ""


async def measure(
    probe: StoreProbe,
    options: StoreOptions,
    bucket: str,
    say: Callable[[str], None],
    only: Collection[str] = (),
) -> StoreMeasurement:
    """Measure the store in one bucket. `say` is told, also after Ctrl-C, what could not be removed. `only`: these
    measurements; empty: all."""
    about, result = f"s3://{bucket}", StoreMeasurement()
    if (refusal := await _refusal(probe, about, bucket)) is not None:
        result.findings.append(refusal)
        return result
    versioned = await _versioned(probe, bucket)
    probes = ProbeObjects(probe, options, bucket, versioned=versioned is not None)
    try:
        async with probes:
            measurements = {**_ALWAYS, **(_WITH_VERSIONS if versioned == "Enabled" else {})}
            for name in only or measurements:
                async for finding in _measured(name, measurements[name], probes, result.values):
                    result.findings.append(finding)
    finally:
        for left in probes.left:
            say(f"left at store {options.name!r}: {left}")
    result.findings.append(_removal(about, probes))
    result.server = probe.server
    return result


async def _refusal(probe: StoreProbe, about: str, bucket: str) -> DoctorFinding | None:
    try:
        lock = await probe.bucket_lock(bucket)
    except StoreError as error:
        what = f"nothing is written: it is not known whether the bucket has object lock: {error}"
        return failed("measure", about, what, "grant s3:GetBucketObjectLockConfiguration, or choose another --bucket")
    if lock is None:
        return None
    what = "nothing is written: the bucket has object lock, so that the probe objects may not be removable"
    return failed("measure", about, what, "choose another bucket of this store with --bucket")


async def _versioned(probe: StoreProbe, bucket: str) -> str | None:
    """`Enabled`, `Suspended`, or None. If it is not known, versions are looked for."""
    try:
        return await probe.bucket_versioning(bucket)
    except StoreDenied:
        return "Suspended"
    except StoreError:
        return None


async def _measured(
    name: str, measurement: Measurement, probes: ProbeObjects, values: dict[str, FactValue]
) -> AsyncIterator[DoctorFinding]:
    about, profile = f"s3://{probes.bucket}", facts_of(probes.probe.provider.name)
    try:
        async for one in measurement(probes):
            values[str(one.name)] = one.value
            yield judgements.finding(str(one.name), about, one.value, profile)
    except MirrordError as error:
        level: Any = failed if name in _NEEDED else warning
        denied = isinstance(error, StoreDenied)
        fix = "see docs/rights.md" if denied else "the store refuses what S3 allows: ask its vendor, or upgrade it"
        yield level(name, about, f"not measured: {error}", fix)


def _removal(about: str, probes: ProbeObjects) -> DoctorFinding:
    if probes.left:
        what = f"{len(probes.left)} objects or uploads could not be removed, the first: {probes.left[0]}"
        return failed("removal", about, what, f"delete what is below s3://{probes.bucket}/{probes.prefix}")
    return ok("removal", about, "everything that was written is removed")


class ProbePlace(NamedTuple):
    """Where `doctor --store` writes."""

    store: StoreOptions
    bucket: str


async def measured(place: ProbePlace, directory: Path, say: Callable[[str], None]) -> list[DoctorFinding]:
    """Measure a store, and keep the values; a running daemon uses them, too."""
    about = f"store {place.store.name}"
    try:
        async with opened_probe(place.store, directory, create=True) as probe:
            assert probe is not None
            result = await measure(probe, place.store, place.bucket, say)
    except StoreError as error:
        return [failed("measure", about, str(error), "correct the store; see the checks above")]
    if result.values:
        facts = MeasuredFacts(result.server, time.time(), tuple(sorted(result.values.items())))
        result.findings.append(await asyncio.to_thread(_kept, place.store, directory, facts))
    return result.findings


def _kept(store: StoreOptions, directory: Path, facts: MeasuredFacts) -> DoctorFinding:
    try:
        keep_measured(directory, store.endpoint, facts)
    except (MirrordError, OSError) as error:
        return warning("kept", str(directory), f"what was measured is not kept: {error}", "see state-directory above")
    what = f"{len(facts.values)} values: they count for 30 days; a running daemon uses them within seconds"
    return ok("kept", str(directory), what)
