"""The stores as they answer reads: keys, address, clock, buckets, and which rights are missing. Writes nothing.

Readers ask, judgements are pure. `measuring` finds out by writes what a store does.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

from mirrord.declared import StoreOptions
from mirrord.engine.diagnosis import key_source, opened_probe
from mirrord.errors import BucketMissing, StoreDenied, StoreError, StoreRefused
from mirrord.model import Destination, ProviderName
from mirrord.ports.probe import BucketAnswer, StoreProbe
from mirrord.programs.doctor.findings import DoctorFinding, failed, ok, skipped, warning
from mirrord.programs.doctor.probe_objects import PREFIX
from mirrord.providers.faults import known_faults
from mirrord.units import format_duration

T = TypeVar("T")
SMALL_SKEW, LARGE_SKEW = 60.0, 15 * 60.0
"""Seconds. S3 refuses a signature whose time differs by more than 15 minutes (RequestTimeTooSkewed)."""
STORE_SECONDS = 120.0
"""Seconds for all reads of one store."""
_CUSTOMER_KEYS = "SSE-C"


async def store_findings(options: StoreOptions, buckets: Mapping[str, bool], directory: Path) -> list[DoctorFinding]:
    """What reads of one store show. `buckets`: those that entries use, and whether mirrord will create them."""
    found: list[DoctorFinding] = []
    about = f"store {options.name}"
    try:
        async with asyncio.timeout(STORE_SECONDS):
            async for finding in _findings(options, buckets, directory):
                found += [finding]  # what was found before an error counts
    except StoreError as error:
        found.append(failed("store", about, str(error), "correct endpoint_url, credentials or ca_file of the store"))
    except TimeoutError:
        found.append(
            failed(
                "store",
                about,
                f"the checks did not end in {STORE_SECONDS:.0f} s",
                "see the checks of names and proxies",
            )
        )
    return found


async def _findings(
    options: StoreOptions, buckets: Mapping[str, bool], directory: Path
) -> AsyncIterator[DoctorFinding]:
    about = f"store {options.name}"
    yield address_finding(options)
    try:
        yield credentials_finding(options, await key_source(options))
    except StoreError as error:
        yield failed("credentials", about, str(error), "correct the profile, its files or its credential_process")
        return
    async with opened_probe(options, directory, create=False) as probe:
        if probe is None:
            yield skipped("bucket", about, "the embedded store was never started; `mirrord run` does it")
            return
        if not buckets:
            yield skipped("bucket", about, "no entry uses this store")
        first = True
        for bucket, created in sorted(buckets.items()):
            asked = time.time()
            answer = await probe.bucket_answer(bucket)
            if first and (answer.date is not None or answer.server or answer.error is None):
                first = False
                yield clock_finding(about, answer, (asked + time.time()) / 2)
                yield server_finding(about, answer)
            yield bucket_finding(options, bucket, answer, created=created)
            if answer.error is None or isinstance(answer.error, StoreDenied):
                for finding in await bucket_findings(probe, f"s3://{bucket}", bucket):
                    yield finding


# ── judgements ────────────────────────────────────────────────────────────────────────────────────
def address_finding(options: StoreOptions) -> DoctorFinding:
    """Where the requests go, and for which region they are signed."""
    if options.provider is ProviderName.EMBEDDED:
        return ok("address", f"store {options.name}", "embedded: a free port of this machine")
    url = options.endpoint_url or "https://s3.amazonaws.com (AWS)"
    region = options.region or "that of the AWS configuration, else us-east-1"
    style = options.requests.addressing
    place = "host name" if style == "virtual" or (style == "auto" and not options.endpoint_url) else "path"
    message = f"{options.provider} at {url}, region {region}, addressing {style}: the bucket is in the {place}"
    if url.startswith("http://") and options.requests.payload_signing != "always" and not _is_local(url):
        return warning("address", f"store {options.name}", f"{message}; nothing is encrypted", "use https://")
    return ok("address", f"store {options.name}", message)


def _is_local(url: str) -> bool:
    return url.startswith(("http://127.", "http://localhost", "http://[::1]"))


def credentials_finding(options: StoreOptions, source: str | None) -> DoctorFinding:
    about = f"store {options.name}"
    if source is None:
        fix = "give `credentials`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role"
        return failed("credentials", about, "the AWS chain has no keys: each call will be refused", fix)
    return ok("credentials", about, f"from {source}")


def clock_finding(about: str, answer: BucketAnswer, now: float) -> DoctorFinding:
    """`now`: this machine's time when the store answered."""
    if answer.date is None:
        return skipped("clock", about, "the store's answers have no Date")
    ahead = now - answer.date
    what = f"this machine is {format_duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} the store"
    fix = "synchronise the clocks (chrony, systemd-timesyncd)"
    if abs(ahead) > LARGE_SKEW:
        return failed("clock", about, f"{what}: signatures are refused (RequestTimeTooSkewed)", fix)
    if abs(ahead) > SMALL_SKEW:
        return warning("clock", about, f"{what}; from 15 minutes on signatures are refused", fix)
    return ok("clock", about, "differs by less than a minute")


def server_finding(about: str, answer: BucketAnswer) -> DoctorFinding:
    """The product and version that the store names, and the faults that this version is known to have."""
    if faults := known_faults(answer.server):
        return warning("server", about, f"Server: {answer.server}: {'; '.join(faults)}", "upgrade the server")
    return ok("server", about, f"Server: {answer.server}" if answer.server else "the answers have no Server header")


def bucket_finding(options: StoreOptions, bucket: str, answer: BucketAnswer, *, created: bool) -> DoctorFinding:
    """Whether the bucket can be used, and in which region it is."""
    about, error = f"s3://{bucket}", answer.error
    if isinstance(error, BucketMissing) or (error is not None and _is_missing(error)):
        if created:
            return ok("bucket", about, "does not exist yet; mirrord creates it")
        return failed(
            "bucket", about, "does not exist", f"create it, or declare it: buckets: {{{bucket}: {{create: true}}}}"
        )
    if isinstance(error, StoreDenied):
        return warning("bucket", about, f"it is not known whether it exists: {error}", "grant s3:ListBucket")
    if error is not None:
        return failed("bucket", about, str(error), _bucket_fix(options, bucket))
    if answer.region and options.region and answer.region != options.region:
        what = f"exists, in the region {answer.region}, and not in {options.region}: one call more at each start"
        return warning("bucket", about, what, f"set region: {answer.region}")
    return ok("bucket", about, f"exists{f', region {answer.region}' if answer.region else ''}")


def _bucket_fix(options: StoreOptions, bucket: str) -> str:
    if options.requests.addressing == "virtual":
        return f"requests go to the host {bucket}.HOST: give it a DNS record, or set `addressing: path`"
    return "see the message; `endpoint_url`, `region` and `ca_file` decide"


def _is_missing(error: StoreError) -> bool:
    return isinstance(error, StoreRefused) and ("404" in str(error) or "NoSuchBucket" in str(error))


# ── reads of one bucket ───────────────────────────────────────────────────────────────────────────
async def bucket_findings(probe: StoreProbe, about: str, bucket: str) -> list[DoctorFinding]:
    """Which reads the credentials allow, and what the bucket is."""
    at = Destination("", "", bucket, f"{PREFIX}absent")
    return [
        *await _allowed("head", about, _head(probe, at), "copies cannot be compared or proven by a HEAD"),
        *await _allowed("list", about, _list(probe, bucket), "passes send a HEAD for each item"),
        *await _allowed("list-uploads", about, _uploads(probe, bucket), "uploads of other processes are not swept"),
        await _versioning(probe, about, bucket),
        await _lock(probe, about, bucket),
        await _encryption(probe, about, bucket),
    ]


async def _allowed(name: str, about: str, call: Awaitable[None], without: str) -> Iterator[DoctorFinding]:
    try:
        await call
    except StoreDenied as error:
        return iter([warning(name, about, f"{error}; without it {without}", "see docs/rights.md for the policies")])
    except StoreError as error:
        fix = "nothing to set: mirrord does without this call; a newer version of the store may have it"
        return iter([warning(name, about, f"{error}; without it {without}", fix)])
    return iter([ok(name, about, "allowed")])


async def _head(probe: StoreProbe, at: Destination) -> None:
    await probe.head_object(at)


async def _list(probe: StoreProbe, bucket: str) -> None:
    async with aclosing(probe.list_objects(bucket, PREFIX)) as pages:
        async for _ in pages:
            return


async def _uploads(probe: StoreProbe, bucket: str) -> None:
    async for _ in probe.list_uploads(bucket, PREFIX):
        return


async def _versioning(probe: StoreProbe, about: str, bucket: str) -> DoctorFinding:
    try:
        status = await probe.bucket_versioning(bucket)
    except StoreError as error:
        return skipped("versioning", about, str(error))
    return ok("versioning", about, f"{(status or 'off').lower()}: {_VERSIONS.get(status, _NO_VERSIONS)}")


_NO_VERSIONS = "a replaced or deleted object is gone"
_VERSIONS: dict[str | None, str] = {
    "Enabled": "replaced and deleted objects stay as versions, and take space",
    "Suspended": "older versions stay, new writes have none",
}


async def _lock(probe: StoreProbe, about: str, bucket: str) -> DoctorFinding:
    try:
        lock = await probe.bucket_lock(bucket)
    except StoreError as error:
        return skipped("object-lock", about, str(error))
    if lock is None:
        return ok("object-lock", about, "off")
    default = f"{lock.mode} for {lock.days} days" if lock.days else "without a default"
    return ok("object-lock", about, f"on, {default}: `doctor --store` refuses to write here")


async def _encryption(probe: StoreProbe, about: str, bucket: str) -> DoctorFinding:
    """Whether other tools can write objects that only their keys can read."""
    try:
        blocked = await probe.blocked_encryption(bucket)
    except StoreError:
        return skipped("sse-c", about, "the store has no such configuration; `doctor --store` tries a write with SSE-C")
    if _CUSTOMER_KEYS in blocked:
        return ok("sse-c", about, "switched off")
    what = "not switched off: other tools can write objects that cannot be read without their keys"
    return ok("sse-c", about, what)
