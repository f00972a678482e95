"""Keys of customers (SSE-C): what the journal and the addresses of objects contain instead of such a key.

Owns the digest of a key, and its place in the digest of an object's options. A key is a `Secret` of base64 that only
`declared.StoreOptions` and the adapter of its store have.
"""

import hmac
from base64 import b64decode
from binascii import Error

from mirrord.model.secret import Secret

SIZE = 32
"""Bytes of a key: SSE-C has AES-256 only (AWS, "Using server-side encryption with customer-provided keys")."""
_LABEL = b"mirrord: customer key"
_SEPARATOR = "."


def is_customer_key(text: str) -> bool:
    """Whether the text is base64 of 32 bytes."""
    try:
        return len(b64decode(text, validate=True)) == SIZE
    except (Error, ValueError):
        return False


def key_digest(key: Secret) -> str:
    """16 hex digits that tell two keys apart: an HMAC-SHA256 under the key itself.

    Not the MD5 of the key, which every request sends and stores may log: what the journal shows is of no use there."""
    return hmac.digest(key.reveal().encode(), _LABEL, "sha256").hex()[:16]


def with_customer_key(digest: str, customer_key: str | None) -> str:
    """The digest of options, completed by that of the key that the object is encrypted with."""
    return digest if customer_key is None else f"{digest}{_SEPARATOR}{customer_key}"


def customer_key_in(options_digest: str | None) -> str | None:
    """The digest of the key that an object with this digest of options is encrypted with; None: it has none."""
    return (options_digest or "").partition(_SEPARATOR)[2] or None
