"""Object addresses: valid keys, the form in which a provider stores them, and placeholder values of a source. Pure."""

import re
from collections.abc import Mapping
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from mirrord.manifest.schema.texts import is_bucket
from mirrord.model import File, Origin, S3Object
from mirrord.providers import Provider

LONGEST_KEY = 1024
"""Bytes of UTF-8, S3's limit."""
_INVALID = re.compile(r"(?:^|/)\.{0,2}(?:/|\Z)")
_PLAIN = re.compile(
    r"https?://([a-z0-9.-]+)(?::(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}))?"
    r"(/[A-Za-z0-9!$&'()*+,/:;=@~._-]*)?(?:\?[A-Za-z0-9=&._-]*)?"
)
"""A URL as nearly all are: urllib gives the same host and path in four times the time, and a list has a million."""
_DIRECTORY_BUCKET = "--x-s3"
"""The end of their names (AWS, "Directory bucket naming rules")."""
_SPACE = re.compile(r"[\s\x00-\x1f\x7f]")


def normalised(key: str, provider: Provider) -> str:
    """The key in the form in which the store keeps it: some stores read a backslash as a slash, or take keys of one
    Unicode normal form as one (docs/providers.md)."""
    if provider.merges_unicode and not key.isascii():
        key = normalize("NFC", key)
    return key.replace("\\", "/") if provider.merges_slashes else key


def key_fault(key: str) -> str | None:
    """The fault of a key, in a message that does not contain the key; None if the key is valid."""
    if not key:
        return "the key is empty"
    if found := _INVALID.search(key):
        segment = found[0].strip("/")
        if segment:
            return f"the key has a segment {segment}"
        return "the key begins with a slash" if found.start() == 0 else "the key has an empty segment"
    if "\0" in key:
        return "the key holds a NUL"
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "the key is not UTF-8"
    return f"the key has {size:,} bytes, S3 takes {LONGEST_KEY:,}" if size > LONGEST_KEY else None


def address(text: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`. ValueError if the bucket's name is invalid, or that of something else than
    a general purpose bucket. The key is not checked."""
    bucket, _, key = text.removeprefix("s3://").partition("/")
    if bucket.endswith(_DIRECTORY_BUCKET):
        raise ValueError(f"directory buckets (…{_DIRECTORY_BUCKET}) are not supported (docs/s3-features.md)")
    if bucket.startswith("arn:"):
        raise ValueError("ARNs are not supported (docs/s3-features.md); write the bucket's name")
    if not is_bucket(bucket):
        raise ValueError("the bucket's name needs 3 to 63 of a-z, 0-9, - and ., with a letter or digit at both ends")
    return bucket, key


def key_values(origin: Origin) -> Mapping[str, str]:
    """Placeholder values of a source: `host` without port, `path` with its leading slash, `name`, the last segment.

    Percent-encodings are decoded, except for a slash inside a segment. ValueError if the URL is invalid. Of an object,
    the host is its bucket.
    """
    if isinstance(origin, S3Object):
        return {"host": origin.at.bucket, "path": f"/{origin.at.key}", "name": origin.at.key.rpartition("/")[2]}
    if isinstance(origin, File):
        return {"path": origin.path, "name": origin.path.rpartition("/")[2]}
    url = origin.address
    if plain := _PLAIN.fullmatch(url):
        path = plain[2] or ""
        return {"host": plain[1], "path": path, "name": path.rpartition("/")[2]}
    if _SPACE.search(url):
        raise ValueError("the URL holds a space or a control character; percent-encode it")
    host, path = _split(url)
    if not host:
        also = "; percent-encode / ? # @ in its user and password" if "@" in url else ""
        raise ValueError(f"this is no URL; check its host and port{also}")
    path = _decoded(path) if "%" in path else path
    return {"host": host, "path": path, "name": path.rpartition("/")[2]}


def _split(url: str) -> tuple[str | None, str]:
    """Host, None if it is absent or invalid, and path. urllib's message about a bad URL is dropped: it may hold a
    secret."""
    try:
        parts = urlsplit(url)
        return (None if parts.port == 0 else parts.hostname), parts.path
    except ValueError:
        return None, ""


def _decoded(path: str) -> str:
    try:
        return "/".join(unquote(one, errors="strict").replace("/", "%2F") for one in path.split("/"))
    except UnicodeDecodeError:
        return path
