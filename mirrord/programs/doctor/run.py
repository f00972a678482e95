"""One run of `doctor`: all groups of checks, the slow ones at the same time.

Owns their order, and which stores and buckets are looked at: those that entries use, and all that are declared.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import chain

from mirrord.declared import StoreOptions
from mirrord.model import ProviderName, S3Object, Secret
from mirrord.programs.desired import Desired
from mirrord.programs.doctor import folders, machine, network, stores
from mirrord.programs.doctor.findings import DoctorFinding, failed, ok, skipped
from mirrord.settings import Settings

UsedBuckets = Mapping[str, Mapping[str, bool]]
"""By store: its buckets, and whether mirrord creates them."""


async def examine(desired: Desired, settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[DoctorFinding]:
    """Every finding, the groups in a fixed order. Reads only."""
    used = used_buckets(desired)
    asked = [
        asyncio.ensure_future(stores.store_findings(options, used.get(name, {}), settings.directory))
        for name, options in sorted(desired.loaded.stores.items())
    ]
    walks = [asyncio.ensure_future(folders.read_folder(spec)) for spec in desired.expansion.folders]
    try:
        for finding in chain(manifest_findings(desired), _of_machine(desired, settings)):
            yield finding
        seen = [await walk for walk in walks]
        for facts in seen:
            for finding in folders.folder_findings(facts):
                yield finding
        yield _of_inotify(desired, seen)
        async for finding in _of_network(desired, environ):
            yield finding
        for one in asked:
            for finding in await one:
                yield finding
    finally:
        for task in (*asked, *walks):
            task.cancel()


def manifest_findings(desired: Desired) -> Iterator[DoctorFinding]:
    """One for each problem, and for each valid file."""
    bad = {problem.file for problem in desired.problems}
    for problem in desired.problems:
        fix = "correct it; the last valid version stays in force meanwhile, after a restart none"
        yield failed("manifest", problem.file, str(problem), fix)
    for share in desired.expansion.files:
        if share.manifest.file not in bad:
            counts = f"{len(share.items)} items, {len(share.folders)} folders, {len(share.lists)} lists"
            yield ok("manifest", share.manifest.file, f"valid: {counts}")


def used_buckets(desired: Desired) -> UsedBuckets:
    """The buckets of all entries and their sources. One whose name is a placeholder is left out."""
    found: dict[str, dict[str, bool]] = defaultdict(dict)
    for store, bucket in set(_named_buckets(desired)):
        options = desired.loaded.stores.get(store)
        if options is not None and "{" not in bucket:
            declared = options.buckets.get(bucket)
            found[store][bucket] = declared is not None and declared.create
    for name, options in desired.loaded.stores.items():
        for bucket, declared in options.buckets.items():
            found[name].setdefault(bucket, declared.create)
    return found


def _named_buckets(desired: Desired) -> Iterator[tuple[str, str]]:
    for item in desired.expansion.items:
        yield item.destination.store, item.destination.bucket
        for origin in item.urls or (item.origin,):
            if isinstance(origin, S3Object):
                yield origin.at.store, origin.at.bucket
    for folder in desired.expansion.folders:
        yield folder.target.store, folder.target.bucket
    for spec in desired.expansion.lists:
        yield spec.store, spec.to.removeprefix("s3://").partition("/")[0]
        if spec.prefix is not None:
            yield spec.prefix.at.store, spec.prefix.at.bucket


def _of_machine(desired: Desired, settings: Settings) -> Iterator[DoctorFinding]:
    try:
        yield from machine.state_findings(machine.read_state(settings.directory))
    except OSError as error:
        what = f"cannot be looked at: {(error.strerror or str(error)).lower()}"
        yield failed("state-directory", str(settings.directory), what, "name another directory with --state")
    yield machine.open_files_finding(machine.open_files(), len(desired.loaded.stores))


def _of_inotify(desired: Desired, seen: Sequence[folders.FolderFacts]) -> DoctorFinding:
    watched = {spec.entry for spec in desired.expansion.folders if spec.times.watch != "poll"}
    if not watched:
        return skipped("inotify", "folders", "no folder is watched by events")
    directories = sum(facts.directories for facts in seen if facts.entry in watched)
    return machine.inotify_finding(directories, machine.inotify_limits())


async def _of_network(desired: Desired, environ: Mapping[str, str]) -> AsyncIterator[DoctorFinding]:
    found = network.routes(desired, dict(_addresses(desired.loaded.stores)), environ)
    for finding in network.proxy_findings(found):
        yield finding
    for finding in network.name_findings(await network.names(found)):
        yield finding


def _addresses(declared: Mapping[str, StoreOptions]) -> Iterator[tuple[str, Secret | None]]:
    for options in declared.values():
        if options.provider is not ProviderName.EMBEDDED:
            yield options.endpoint_url or "https://s3.amazonaws.com", options.connection.proxy
