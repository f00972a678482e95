"""Measurements of conditional writes and deletes. A HEAD follows: a store may answer one thing and do another."""

from collections.abc import AsyncIterator, Awaitable

from mirrord.errors import PreconditionFailed, StoreRefused
from mirrord.model import Destination
from mirrord.programs.doctor.measured_objects import BODY, OTHER
from mirrord.programs.doctor.measurement import Measured
from mirrord.programs.doctor.probe_objects import ProbeObjects
from mirrord.providers.facts import FactName

OTHER_ETAG = '"00000000000000000000000000000000"'


async def puts(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """If-None-Match, then If-Match with another and with the right ETag. A store that refuses the header itself
    also refuses the write that it allows."""
    at, free, store = probes.new("conditional-put"), probes.new("conditional-put-free"), probes.probe
    stored = await probes.put(at, BODY)
    kept = await _refused(probes.put(at, OTHER, if_none_match=True)) and await _is_still(probes, at, stored.etag)
    allowed = not await _refused(probes.put(free, BODY, if_none_match=True))
    yield Measured(FactName.CONDITIONAL_PUTS, kept and allowed)
    yield Measured("refuses_conditions", not allowed)
    at = probes.new("conditional-put-match")
    stored = await probes.put(at, BODY)
    kept = await _refused(probes.sent(lambda: store.put_if_match(at, OTHER, OTHER_ETAG)))
    kept = kept and await _is_still(probes, at, stored.etag)
    allowed = not await _refused(probes.sent(lambda: store.put_if_match(at, OTHER, stored.etag)))
    yield Measured("conditional_replaces", kept and allowed)


async def completes(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """CompleteMultipartUpload with If-None-Match, and with If-Match and another ETag."""
    at, free = probes.new("conditional-complete"), probes.new("conditional-complete-free")
    stored = await probes.put(at, BODY)
    upload_id, parts = await probes.upload(at, OTHER)
    kept = await _refused(probes.complete(at, upload_id, parts, if_none_match=True))
    kept = kept and await _is_still(probes, at, stored.etag)
    free_id, free_parts = await probes.upload(free, OTHER)
    allowed = not await _refused(probes.complete(free, free_id, free_parts, if_none_match=True))
    yield Measured(FactName.CONDITIONAL_COMPLETES, kept and allowed)
    async for one in _replacing_completes(probes):
        yield one


async def _replacing_completes(probes: ProbeObjects) -> AsyncIterator[Measured]:
    at, store = probes.new("conditional-complete-match"), probes.probe
    stored = await probes.put(at, BODY)
    upload_id, parts = await probes.upload(at, OTHER)
    kept = await _refused(probes.sent(lambda: store.complete_if_match(at, upload_id, parts, OTHER_ETAG)))
    kept = kept and await _is_still(probes, at, stored.etag)
    upload_id, parts = await probes.upload(at, OTHER)
    allowed = not await _refused(probes.sent(lambda: store.complete_if_match(at, upload_id, parts, stored.etag)))
    yield Measured("conditional_replacing_completes", kept and allowed)


async def deletes(probes: ProbeObjects) -> AsyncIterator[Measured]:
    """DeleteObject with If-Match, of another and of the right ETag."""
    at, store = probes.new("conditional-delete"), probes.probe
    stored = await probes.put(at, BODY)
    kept = await _refused(probes.sent(lambda: store.delete_object(at, only=OTHER_ETAG)))
    kept = kept and await _is_still(probes, at, stored.etag)
    allowed = not await _refused(probes.sent(lambda: store.delete_object(at, only=stored.etag)))
    yield Measured(FactName.CONDITIONAL_DELETES, kept and allowed)


async def _refused(call: Awaitable[object]) -> bool:
    """Whether the condition was not met, or the store does not support it."""
    try:
        await call
    except (PreconditionFailed, StoreRefused):
        return True
    return False


async def _is_still(probes: ProbeObjects, at: Destination, etag: str) -> bool:
    head = await probes.probe.head_object(at)
    return head is not None and head.etag == etag
