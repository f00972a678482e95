"""The webhooks and heartbeats of a `daemon:` block. Pure.

Owns the forms of a secret: `whsec_` and base64, as Standard Webhooks write it, or any other text, taken as it is.
"""

import binascii
from base64 import b64decode

from mirrord.declared import Heartbeat, Webhook
from mirrord.manifest.schema.document import DaemonSection
from mirrord.model import DEFAULT_NOTICES, Notice, Secret

PREFIX = "whsec_"


def webhooks_of(block: DaemonSection) -> dict[str, Webhook]:
    """The webhooks by id."""
    made = [
        Webhook(
            url=one.url,
            notices=frozenset(map(Notice, one.events or DEFAULT_NOTICES)),
            headers=dict(one.headers),
            secret=one.secret,
        )
        for one in block.notify
        if one.url is not None
    ]
    return {one.id: one for one in made}


def heartbeats_of(block: DaemonSection) -> dict[str, Heartbeat]:
    """The heartbeats by id."""
    made = [
        Heartbeat(url=one.heartbeat, every=one.every, headers=dict(one.headers))
        for one in block.notify
        if one.heartbeat is not None
    ]
    return {one.id: one for one in made}


def key_of(secret: Secret) -> bytes:
    """The key of signatures. Raises ValueError if the text after `whsec_` is not base64."""
    whole = secret.reveal()
    if not whole.startswith(PREFIX):
        return whole.encode()
    text = whole.removeprefix(PREFIX)
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise ValueError("whsec_ is not followed by base64") from None
    if not key:
        raise ValueError("whsec_ is not followed by a key")
    return key
