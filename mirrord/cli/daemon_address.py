"""The rule for the URL of a daemon, and the token for it. Apart from `api_client`: they are checked also where no
request follows."""

import os
from urllib.parse import urlsplit

from mirrord.settings import socket_path

TOKEN = "MIRRORD_API_TOKEN"


def own_token() -> str:
    """The token in the environment, else nothing."""
    return os.environ.get(TOKEN, "")


def checked_address(url: str) -> str:
    """The URL without a final slash, or `unix:PATH`. Raises ValueError if it is neither http nor https, or has no
    host."""
    if socket_path(url) is not None:
        return url
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not the URL of a daemon; write it like http://127.0.0.1:8420 or unix:/path")
    return url.rstrip("/")
