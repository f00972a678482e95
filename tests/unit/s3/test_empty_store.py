"""An embedded store that never ran, for `plan`: reads find nothing, writes are refused."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mirrord.errors import StoreRefused
from mirrord.model import Destination, ObjectOptions, ProviderName
from mirrord.ports import ObjectStore
from mirrord.s3.empty_store import EmptyStore

AT = Destination("default", "embedded", "bucket", "key")
STORE: ObjectStore = EmptyStore()
WRITES: dict[str, Callable[[], Awaitable[Any]]] = {
    "put": lambda: STORE.put_object(AT, memoryview(b""), ObjectOptions(), if_none_match=True),
    "copy": lambda: STORE.copy_object(AT, AT, ObjectOptions(), if_match="e", size=1),
    "create": lambda: STORE.create_upload(AT, ObjectOptions()),
    "part": lambda: STORE.upload_part(AT, "u", 1, memoryview(b"")),
    "complete": lambda: STORE.complete_upload(AT, "u", ()),
    "abort": lambda: STORE.abort_upload(AT, "u"),
    "delete": lambda: STORE.delete_object(AT),
    "bucket": lambda: STORE.ensure_bucket("bucket", versioning=True),
}


async def test_reads_find_nothing() -> None:
    assert STORE.provider.name is ProviderName.EMBEDDED
    assert await STORE.head_object(AT) is None
    assert await STORE.head_version(AT, "v") is None
    assert await STORE.bucket_versioning("bucket") is None
    assert not await STORE.has_bucket("bucket")
    assert [one async for one in STORE.list_parts(AT, "u")] == []
    assert [one async for one in STORE.list_uploads("bucket", "")] == []
    assert [one async for one in STORE.list_objects("bucket", "")] == []
    assert [one async for one in STORE.list_versions(AT)] == []
    with pytest.raises(StoreRefused):
        STORE.get_object(AT)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_every_write_is_refused(write: Callable[[], Awaitable[Any]]) -> None:
    with pytest.raises(StoreRefused, match="`plan` writes none"):
        await write()
