"""`copy` with MemoryStore as users get it: it refuses small parts, wrong checksums and unknown uploads."""

import os
from dataclasses import replace

import pytest

from mirrord.errors import PreconditionFailed
from mirrord.model import ChecksumKind, Integrity, ProviderName, TransferKind, UploadOptions
from mirrord.planning.transfers.parts import part_layout
from mirrord.providers import profile
from mirrord.testing import MemoryStore
from mirrord.transfer.budget import Budget
from mirrord.transfer.copy import copy
from mirrord.transfer.spec import TransferContext, TransferSpec
from mirrord.units import MiB
from tests.support.moving import AT, source_of, transfer_spec

CONTENT = os.urandom(17 * MiB + 5)
LIMIT = 24 * MiB


def planned(length: int | None, kind: ChecksumKind = ChecksumKind.CRC64NVME, **more: object) -> TransferSpec:
    return transfer_spec(part_layout(length, UploadOptions(), profile(ProviderName.AWS), LIMIT), kind, **more)


async def with_bucket() -> MemoryStore:
    store = MemoryStore()
    await store.ensure_bucket(AT.bucket)
    return store


@pytest.mark.parametrize("length", [0, 1000, 12 * MiB, len(CONTENT)])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("kind", [ChecksumKind.CRC64NVME, ChecksumKind.MD5])
async def test_the_object_has_the_bytes_that_were_sent(length: int, known: bool, kind: ChecksumKind) -> None:
    store, budget = await with_bucket(), Budget(LIMIT)
    source = source_of(CONTENT[:length], length=length if known else None, step=MiB)
    copied = await copy(
        planned(length if known else None, kind), source, source.observed, TransferContext(store=store, budget=budget)
    )
    assert store.buckets[AT.bucket][AT.key].content == CONTENT[:length]
    assert not store.uploads
    assert copied.size == length
    assert copied.integrity is (Integrity.MD5 if kind is ChecksumKind.MD5 else Integrity.FULL_OBJECT)
    assert budget.mapped <= LIMIT


async def test_a_body_of_unknown_length_goes_in_parts_that_start_at_8_mib() -> None:
    store, source = await with_bucket(), source_of(CONTENT, length=None, step=MiB)
    copied = await copy(planned(None), source, source.observed, TransferContext(store=store, budget=Budget(LIMIT)))
    assert (copied.kind, copied.parts) == (TransferKind.MULTIPART, 3)


def unless_it_exists(one: TransferSpec) -> TransferSpec:
    return replace(one, new=replace(one.new, if_none_match=True))


@pytest.mark.parametrize("length", [1000, len(CONTENT)])
async def test_if_none_match_keeps_an_existing_object(length: int) -> None:
    store, source = await with_bucket(), source_of(CONTENT[:length], step=MiB)
    context = TransferContext(store=store, budget=Budget(LIMIT))
    await copy(planned(length), source, source.observed, context)
    changed = source_of(CONTENT[1 : length + 1], step=MiB)
    with pytest.raises(PreconditionFailed):
        await copy(unless_it_exists(planned(length)), changed, changed.observed, context)
    assert store.buckets[AT.bucket][AT.key].content == CONTENT[:length]
    assert not store.uploads
