"""An embedded store that never ran, for `plan`: no buckets and no objects. Writes are refused.

`plan` creates nothing, so it does not start the store itself (`s3.embedded`).
"""

from collections.abc import AsyncGenerator
from typing import Any, Never

from mirrord.errors import StoreRefused
from mirrord.model import Destination, ProviderName, StoredObject
from mirrord.providers import Provider, profile


async def _refused(*_: object, **__: object) -> Never:
    raise StoreRefused("the embedded store never ran: it has no objects, and `plan` writes none")


async def _nothing(*_: object, **__: object) -> AsyncGenerator[Any]:
    for one in list[Any]():
        yield one


def _no_stream(*_: object, **__: object) -> Never:
    raise StoreRefused("NoSuchKey: the embedded store never ran: it has no objects")


class EmptyStore:
    """`ports.ObjectStore` without objects. Reads find nothing; writes raise StoreRefused."""

    put_object = copy_object = copy_part = delete_object = put_retention = staticmethod(_refused)
    create_upload = upload_part = complete_upload = abort_upload = ensure_bucket = staticmethod(_refused)
    put_legal_hold = staticmethod(_refused)
    list_parts = list_uploads = list_objects = list_versions = staticmethod(_nothing)
    get_object = staticmethod(_no_stream)

    @property
    def provider(self) -> Provider:
        return profile(ProviderName.EMBEDDED)

    @property
    def server(self) -> str:
        return ""

    async def head_object(self, at: Destination) -> StoredObject | None:  # noqa: ARG002 - the port's
        return None

    async def inspect_object(self, at: Destination, part: int | None = None) -> None:  # noqa: ARG002 - the port's
        return None

    async def get_tags(self, at: Destination) -> dict[str, str]:  # noqa: ARG002 - the port's
        return {}

    async def head_version(self, at: Destination, version_id: str) -> StoredObject | None:  # noqa: ARG002 - the port's
        return None

    async def bucket_lock(self, bucket: str) -> None:  # noqa: ARG002 - the port's
        return None

    async def bucket_versioning(self, bucket: str) -> None:  # noqa: ARG002 - the port's
        return None

    async def has_bucket(self, bucket: str) -> bool:  # noqa: ARG002 - the port's
        return False
