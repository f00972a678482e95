"""Measurements of conditional writes and deletes. A HEAD follows: a store may answer one thing and do another."""

from collections.abc import AsyncIterator, Awaitable

from mirrord.errors import OutcomeUnknown, PreconditionFailed, StoreRefused
from mirrord.model import Destination
from mirrord.programs.doctor.measured_objects import BODY, OTHER
from mirrord.programs.doctor.measurement import Measured
from mirrord.programs.doctor.probe_objects import ProbeObjects
from mirrord.providers.facts import FactName

OTHER_ETAG = '"00000000000000000000000000000000"'
ABSENT = ""
"""In place of the ETag of an object that does not exist."""


async def puts(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """If-None-Match, then If-Match with another and with the right ETag. A store that refuses the header itself
    also refuses the write that it allows."""
    at, free, store = probes.new("conditional-put"), probes.new("conditional-put-free"), probes.probe
    before = (await probes.put(at, BODY)).etag
    kept = await _kept(probes, at, before, probes.put(at, OTHER, if_none_match=True))
    allowed = await _done(probes, free, ABSENT, probes.put(free, BODY, if_none_match=True))
    yield Measured(FactName.CONDITIONAL_PUTS, kept and allowed)
    yield Measured("refuses_conditions", not allowed)
    at = probes.new("conditional-put-match")
    before = (await probes.put(at, BODY)).etag
    kept = await _kept(probes, at, before, probes.sent(lambda: store.put_if_match(at, OTHER, OTHER_ETAG)))
    allowed = await _done(probes, at, before, probes.sent(lambda: store.put_if_match(at, OTHER, before)))
    yield Measured("conditional_replaces", kept and allowed)


async def completes(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """CompleteMultipartUpload with If-None-Match, and with If-Match and another ETag."""
    at, free = probes.new("conditional-complete"), probes.new("conditional-complete-free")
    before = (await probes.put(at, BODY)).etag
    upload_id, parts = await probes.upload(at, OTHER)
    kept = await _kept(probes, at, before, probes.complete(at, upload_id, parts, if_none_match=True))
    upload_id, parts = await probes.upload(free, OTHER)
    allowed = await _done(probes, free, ABSENT, probes.complete(free, upload_id, parts, if_none_match=True))
    yield Measured(FactName.CONDITIONAL_COMPLETES, kept and allowed)
    async for one in _replacing_completes(probes):
        yield one


async def _replacing_completes(probes: ProbeObjects) -> AsyncIterator[Measured]:
    at, store = probes.new("conditional-complete-match"), probes.probe
    before = (await probes.put(at, BODY)).etag
    upload_id, parts = await probes.upload(at, OTHER)
    refused = probes.sent(lambda: store.complete_if_match(at, upload_id, parts, OTHER_ETAG))
    kept = await _kept(probes, at, before, refused)
    right_id, right_parts = await probes.upload(at, OTHER)
    right = probes.sent(lambda: store.complete_if_match(at, right_id, right_parts, before))
    allowed = await _done(probes, at, before, right)
    yield Measured("conditional_replacing_completes", kept and allowed)


async def deletes(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """DeleteObject with If-Match, of another and of the right ETag."""
    at, store = probes.new("conditional-delete"), probes.probe
    before = (await probes.put(at, BODY)).etag
    kept = await _kept(probes, at, before, probes.sent(lambda: store.delete_object(at, only=OTHER_ETAG)))
    allowed = await _done(probes, at, before, probes.sent(lambda: store.delete_object(at, only=before)))
    yield Measured(FactName.CONDITIONAL_DELETES, kept and allowed)


async def _kept(probes: ProbeObjects, at: Destination, before: str, call: Awaitable[object]) -> bool:
    """Whether the store refused the call, and the object still has the ETag `before`."""
    return not await _done(probes, at, before, call) and await _etag(probes, at) == before


async def _done(probes: ProbeObjects, at: Destination, before: str, call: Awaitable[object]) -> bool:
    """Whether the store did what was asked. If its answer does not say so, a HEAD shows another ETag than `before`."""
    try:
        await call
    except (PreconditionFailed, StoreRefused):
        return False
    except OutcomeUnknown:
        return await _etag(probes, at) != before
    return True


async def _etag(probes: ProbeObjects, at: Destination) -> str:
    head = await probes.probe.head_object(at)
    return ABSENT if head is None else head.etag
