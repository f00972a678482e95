"""The declared buckets of one store: each missing one is created.

Owns which buckets could not be created, and how existing buckets differ from their declaration. A bucket that cannot
be created fails the items of that bucket only; the next of these items tries again.
"""

import asyncio
from logging import getLogger

from mirrord.declared import BucketLock, BucketOptions, StoreOptions
from mirrord.errors import Recovery, StoreError
from mirrord.ports import ObjectStore

_log = getLogger(__name__)

PAUSE = 5.0
"""Seconds until a failed creation is tried again: many items may need the bucket."""
CHECK_EVERY = 10.0
"""Seconds between two checks that a declared bucket still exists, while its items are checked."""
_ENABLED = "Enabled"


class Buckets:
    """`await buckets.prepare()`, then `await buckets.require(bucket)` before each use; `read_only` creates none."""

    def __init__(self, store: ObjectStore, options: StoreOptions, *, read_only: bool = False) -> None:
        self._store = store
        self._name = options.name
        self._declared = {
            name: one for name, one in options.buckets.items() if one.create or one.versioning or one.lock
        }
        self._read_only = read_only
        self._failed: dict[str, tuple[float, StoreError]] = {}  # when, and why
        self._checked: dict[str, float] = {}
        self._lock = asyncio.Lock()
        self.missing: set[str] = set()
        """Buckets that would be created."""
        self.differences: dict[str, str] = {}
        """How existing buckets differ from their declaration: a text for people, by name."""

    async def prepare(self) -> None:
        """Create the missing buckets. `require` raises the errors."""
        async with self._lock:
            await asyncio.gather(*(self._try(bucket) for bucket in self._declared))

    async def require(self, bucket: str) -> None:
        """Create a declared bucket again if it was deleted. Raises StoreError if it could not be created."""
        if bucket not in self._failed and not self._check_is_due(bucket):
            return
        async with self._lock:
            failed = self._failed.get(bucket)
            due = _is_due(*failed) if failed is not None else await self._is_gone(bucket)
            if due:
                await self._try(bucket)
            if bucket in self._failed:
                error = self._failed[bucket][1]
                raise type(error)(str(error), retry_after=error.retry_after) from error

    def _check_is_due(self, bucket: str) -> bool:
        wanted = self._declared.get(bucket)
        if wanted is None or not wanted.create or self._read_only:
            return False
        return _now() - self._checked.get(bucket, float("-inf")) >= CHECK_EVERY

    async def _is_gone(self, bucket: str) -> bool:
        if not self._check_is_due(bucket):
            return False
        self._checked[bucket] = _now()
        try:
            return not await self._store.has_bucket(bucket)
        except StoreError:
            return False

    async def _try(self, bucket: str) -> None:
        self._checked[bucket] = _now()
        try:
            await self._prepare(bucket, self._declared[bucket])
        except StoreError as error:
            self._failed[bucket] = _now(), error
        else:
            self._failed.pop(bucket, None)

    async def _prepare(self, bucket: str, wanted: BucketOptions) -> None:
        if wanted.create and self._read_only:
            stood = await self._store.has_bucket(bucket)
            if not stood:
                self.missing.add(bucket)
        elif wanted.create:
            stood = not await self._store.ensure_bucket(
                bucket, region=wanted.region, versioning=wanted.versioning, lock=wanted.lock
            )
        else:
            stood = True
        if wanted.versioning and stood:
            await self._compare_versioning(bucket)
        if wanted.lock is not None and stood:
            await self._compare_lock(bucket, wanted.lock)

    async def _compare_lock(self, bucket: str, wanted: BucketLock) -> None:
        """Note that an existing bucket has another lock: a lock of a bucket cannot be undone either."""
        try:
            found = await self._store.bucket_lock(bucket)
        except StoreError as error:
            _log.debug("whether s3://%s has object lock is not known: %s", bucket, error)
            return
        if found is None or (wanted.days is not None and found != wanted):
            has = f"object lock with {found.mode or 'no default'}" if found else "no object lock"
            days = f" for {found.days} days" if found and found.days else ""
            self._note(bucket, f"{has}{days}; lock counts only for a bucket that mirrord creates: set it")

    async def _compare_versioning(self, bucket: str) -> None:
        """Note missing versioning of an existing bucket. Only its owner enables it: it cannot be undone."""
        try:
            status = await self._store.bucket_versioning(bucket)
        except StoreError as error:
            _log.debug("whether s3://%s has versioning is not known: %s", bucket, error)
            return
        if status != _ENABLED:
            has = f"versioning {status}" if status else "no versioning"
            self._note(bucket, f"{has}; versioning: true counts only for a bucket that mirrord creates: enable it")

    def _note(self, bucket: str, difference: str) -> None:
        where = f"s3://{bucket} at store {self._name!r}"
        text = f"{where} exists and has {difference} with the store's tools, or remove the line"
        self.differences[bucket] = text
        _log.warning("%s", text)


def _is_due(when: float, error: StoreError) -> bool:
    return error.recovery is Recovery.RETRY or _now() - when >= PAUSE


def _now() -> float:
    return asyncio.get_running_loop().time()
