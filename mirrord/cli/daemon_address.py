"""The rule for the URL of a daemon. Apart from `api_client`: it is checked also where no request follows."""

from urllib.parse import urlsplit


def checked_address(url: str) -> str:
    """The URL without a final slash. Raises ValueError if it is neither http nor https, or has no host."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not the URL of a daemon; write it like http://127.0.0.1:8420")
    return url.rstrip("/")
