"""The error code of a refused HEAD, whose answer has no body (RFC 9110, 9.3.2).

Owns the GET that is refused for the same reason and that names it.
"""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from mirrord.s3.answers.error_response import code_of, status_of
from mirrord.s3.answers.transport import is_unanswered
from mirrord.s3.http_errors import PlainHttpAtTls
from mirrord.s3.regions import region_of

_AMBIGUOUS = {"head_object": frozenset({400, 401, 403}), "head_bucket": frozenset({400, 401, 403, 404})}
"""Statuses of a HEAD that have several causes."""
_SHARED = frozenset({"Bucket", "Key", "VersionId"})
"""Parameters of a HEAD that name the object of a GET."""


async def add_reason(client: Any, region: str, operation: str, given: Mapping[str, Any], error: Exception) -> None:
    """Put the error document of a GET into `error`, if that is a HEAD's without a code and a region.

    `client` is that of `region`; `given` has the arguments of the HEAD. If the GET is not refused, `error` stays as it
    is. Raises PlainHttpAtTls.
    """
    if not isinstance(error, ClientError) or status_of(error.response) not in _AMBIGUOUS.get(operation, ()):
        return
    if code_of(error.response) or region_of(error.response, region):
        return
    try:
        await _get(client, operation, given)
    except ClientError as refusal:
        if code_of(refusal.response) and status_of(refusal.response) in _AMBIGUOUS[operation]:
            error.response["Error"] = refusal.response["Error"]
    except Exception as failure:
        if isinstance(failure, PlainHttpAtTls) or not is_unanswered(failure):
            raise


async def _get(client: Any, operation: str, given: Mapping[str, Any]) -> None:
    """A GET that needs no more rights than the HEAD."""
    if operation == "head_bucket":
        await client.list_objects_v2(Bucket=given["Bucket"], MaxKeys=1)
    else:
        same = {name: value for name, value in given.items() if name in _SHARED or name.startswith("SSECustomer")}
        answer = await client.get_object(Range="bytes=0-0", **same)
        answer["Body"].close()
