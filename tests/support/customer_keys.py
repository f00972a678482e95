"""Keys for SSE-C of the tests."""

from base64 import b64decode, b64encode
from typing import Any

from mirrord.model import Secret, key_digest

FIRST, SECOND, UNDECLARED = (b64encode(bytes(range(start, start + 32))).decode() for start in (0, 100, 200))
KEYS = {"first": Secret(FIRST), "second": Secret(SECOND)}
DIGEST_OF_FIRST, DIGEST_OF_SECOND = map(key_digest, KEYS.values())


def with_key(key: str) -> dict[str, Any]:
    """Parameters of boto3, which encodes the key and computes its MD5."""
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b64decode(key)}
