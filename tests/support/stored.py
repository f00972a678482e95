"""Reads objects and uploads of a store with boto3."""

from typing import Any


def stored(s3_client: Any, bucket: str, key: str) -> bytes:
    """The object's bytes."""
    body: bytes = s3_client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def keys_in(s3_client: Any, bucket: str) -> set[str]:
    """The keys of all objects."""
    pages = s3_client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {one["Key"] for page in pages for one in page.get("Contents", ())}


def uploads(s3_client: Any, bucket: str) -> list[str]:
    """The keys of all open multipart uploads."""
    return [one["Key"] for one in s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]
