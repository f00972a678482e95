"""The types of a manifest's texts with a fixed form: addresses, names, headers, paths; each with its JSON Schema.

Owns which texts are valid, by one pattern each that means the same in Python and in JSON Schema, and the messages about
invalid ones.
"""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from mirrord.manifest.schema.fields import ScalarType, as_text, refuse
from mirrord.manifest.syntax.scalars import is_substitute
from mirrord.model import Secret, is_customer_key
from mirrord.proxies import NONE, Proxy
from mirrord.settings import HOST_PATTERN, is_network, socket_path


def _same(text: str) -> str:
    return text


def _text(
    pattern: str, expected: str, check: Callable[[str], bool] | None = None, make: Callable[[str], object] = _same
) -> ScalarType:
    """Text that matches the whole `pattern` and passes `check`. `expected` completes the message "… is not"."""
    compiled = re.compile(pattern)

    def read(value: object) -> object:
        if isinstance(value, bool | int | float):
            raise refuse(f"{{quoted}} is no text; put it in quotes if it is {expected}")
        text = as_text(value, expected)
        if not compiled.fullmatch(text) or (check is not None and not check(text)):
            raise refuse(f"{{quoted}} is not {expected}")
        return make(text)

    return ScalarType(read, {"type": "string", "pattern": f"^(?:{pattern})$"})


BUCKET_PATTERN = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_BUCKET = re.compile(BUCKET_PATTERN)
_IPV4 = re.compile(r"\d+(\.\d+){3}")


def _no_address(name: str) -> bool:
    return ".." not in name and not _IPV4.fullmatch(name)


@lru_cache(maxsize=1024)  # asked for each row of a list
def is_bucket(name: str) -> bool:
    """Whether S3 accepts this as the name of a bucket."""
    return _BUCKET.fullmatch(name) is not None and _no_address(name)


Bucket = Annotated[
    str,
    _text(BUCKET_PATTERN, "a bucket's name; 3 to 63 of a-z, 0-9, - and ., a letter or digit at both ends", _no_address),
]
Name = Annotated[str, _text(r"[^\x00-\x1f\x7f]{1,255}", "a name; 1 to 255 characters without control characters")]
StoreName = Annotated[str, _text(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", "a store's name; letters, digits, _, - and .")]
PlaceholderName = Annotated[str, _text(r"[A-Za-z_][A-Za-z0-9_]{0,62}", "a placeholder's name; letters, digits and _")]


def at_home(path: str) -> str:
    """The path with a leading `~/`, or `~` alone, expanded. Refused if the user has no home directory."""
    if path != "~" and not path.startswith("~/"):
        return path
    expanded = os.path.expanduser(path)
    if expanded == path:
        raise refuse("{quoted} begins with ~, but the user has no home directory; set HOME, or write the whole path")
    return expanded


def _file_at_home(url: str) -> str:
    """`file://~/x` and `file:///~/x` mean a file of the home directory."""
    scheme, separator, path = url.partition("://")
    if scheme not in ("file", "sqlite") or not path.startswith(("~/", "/~/")):
        return url
    return f"{scheme}{separator}{at_home(path.removeprefix('/'))}"


SourceUrl = Annotated[
    str,
    _text(
        r"https?://[^/\s\x00-\x1f]+\S*|file://(/|~/)\S.*|s3://[^/\s\x00-\x1f]+/[^\x00-\x1f]*",
        "a source; write http://…, https://…, file:///… for a local file, or s3://bucket/key",
        make=_file_at_home,
    ),
]
ListLocation = Annotated[
    str,
    _text(
        r"https?://[^/\s\x00-\x1f]+\S*|(?![A-Za-z][A-Za-z0-9+.-]*://)[^\x00]+",
        "a list of sources; write a path, http://… or https://…",
        make=lambda text: at_home(text),
    ),
]
_WEB, _A_URL = r"https?://[^/\s\x00-\x1f]+\S*", "an http:// or https:// URL"
WebUrl = Annotated[str, _text(_WEB, _A_URL)]
ReceiverUrl = Annotated[Secret, _text(_WEB, _A_URL, make=Secret)]
"""Its path may be a secret, too."""
_ADVICE = "none or a proxy; write none, or an http:// or https:// URL (SOCKS is not supported)"


def _is_proxy(text: str) -> bool:
    try:
        return text == NONE or bool(Proxy.of(text))
    except ValueError:
        return False


ProxyUrl = Annotated[Secret, _text(r"none|[Hh][Tt][Tt][Pp][Ss]?://[^\s\x00-\x1f]+", _ADVICE, _is_proxy, Secret)]
EndpointUrl = Annotated[
    str,
    _text(
        r"https?://[^/@?#\s\x00-\x1f]+(/[^@?#\s]*)?",
        "an http:// or https:// URL without user, password and query; keys go under credentials",
    ),
]
S3Url = Annotated[str, _text(r"s3://[^/\x00-\x1f]+(/[^\x00-\x1f]*)?", "a destination; write s3://bucket/key")]
Digest = Annotated[str, _text(r"sha256:[0-9a-fA-F]{64}", "a digest; write sha256: and 64 hex digits, or {url: …}")]
_POSTGRES = ("postgresql://", "postgres://")
StateUrl = Annotated[
    str | Secret,
    _text(
        r"sqlite://(/|~/)\S.*|postgres(ql)?://\S+",
        "a state address; write sqlite:///path/to/state.db or postgresql://…",
        make=lambda text: Secret(text) if text.startswith(_POSTGRES) else _file_at_home(text),
    ),
]
Listen = Annotated[
    str,
    _text(
        r"none|unix:[^\x00]+|(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}",
        "an address to listen on; write host:port, unix:/path, or none",
        lambda text: text == "none" or socket_path(text) is not None or int(text.rpartition(":")[2]) < 65536,
        lambda text: f"unix:{at_home(path)}" if (path := socket_path(text)) else text,
    ),
]
HostName = Annotated[
    str, _text(HOST_PATTERN, "a host's name without a port; write it like mirror.example.org or *.example.org")
]
Token = Annotated[
    Secret, _text(r"[\x21-\x7e]+", "a secret; printable ASCII without spaces, at least one character", make=Secret)
]
_KEY_NAME = _text(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", "a key's name; letters, digits, _, - and .")


def _customer_key_name(value: object) -> object:
    """A key in the place of its name is refused without being shown."""
    if isinstance(value, str) and is_customer_key(value):
        raise refuse("the value is a key itself; write it in customer_keys of the store, and its name here")
    return _KEY_NAME.read(value)


CustomerKeyName = Annotated[str, ScalarType(_customer_key_name, _KEY_NAME.schema)]


def _customer_key(value: object) -> Secret:
    """An unset reference counts as a key, so that the entries which name it are no faults."""
    text = as_text(value, "a key for SSE-C; write base64 of 32 bytes in quotes")
    if not is_customer_key(text) and not is_substitute(text):
        raise refuse("{quoted} is not a key for SSE-C; write base64 of 32 bytes, as `openssl rand -base64 32` makes it")
    return Secret(text)


CustomerKey = Annotated[Secret, ScalarType(_customer_key, {"type": "string", "pattern": "^[A-Za-z0-9+/]{43}=$"})]
WebhookSecret = Annotated[
    Secret,
    _text(
        r"whsec_[A-Za-z0-9+/]+={0,2}|(?!whsec_)[\x21-\x7e]+",
        "a secret of a webhook; write whsec_ and base64, or printable ASCII without spaces",
        lambda text: not text.startswith("whsec_") or len(text.removeprefix("whsec_").rstrip("=")) % 4 != 1,
        make=Secret,
    ),
]
NetworkRange = Annotated[
    str,
    _text(
        r"[0-9a-fA-F:.]+(/\d{1,3})?",
        "a network; write an address or a CIDR block without host bits, like 10.0.0.0/8",
        is_network,
    ),
]


def _is_ever_due(line: str) -> bool:
    try:
        CronSim("0 0 * * *" if line.startswith("@") else line, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:  # a field out of its range, or a day that its months do not have
        return False
    return True


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, or a directory of the database
        return False
    return True


_CRON_STEP = r"(?:\*|[0-9A-Za-z]+(?:-[0-9A-Za-z]+)?)(?:/\d+)?"
_CRON_FIELD = rf"{_CRON_STEP}(?:,{_CRON_STEP})*"
Cron = Annotated[
    str,
    _text(
        rf"@(hourly|daily|midnight|weekly|monthly|yearly|annually)|{_CRON_FIELD}(?: +{_CRON_FIELD}){{4}}",
        'a cron line; write five fields, like "0 3 * * *", or "@daily"',
        _is_ever_due,
    ),
]
ZONE = _text(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*", "a time zone; write it like Europe/Berlin or UTC", _is_zone)
TimeZone = Annotated[str, ZONE]
HeaderName = Annotated[str, _text(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", "a header's name")]
HeaderText = Annotated[
    Secret, _text(r"[^\x00-\x08\x0a-\x1f\x7f]*", "a header's value; no line breaks or control characters", make=Secret)
]
HeaderValue = Annotated[str, _text(r"[\x20-\x7e]*", "a value that S3 headers can carry; printable ASCII only")]
MetaText = Annotated[str, _text(r"[^\x00-\x1f\x7f]*", "a metadata value; no line breaks or control characters")]
MetaName = Annotated[
    str,
    _text(
        r"[0-9A-Za-z._-]+",
        "a metadata name; ASCII letters, digits, -, _ and ., not beginning with mirrord- or x-amz-",
        lambda name: not name.lower().startswith(("mirrord-", "x-amz-")),
    ),
]
ContentType = Annotated[
    str,
    _text(
        r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+([ ]*;[\x20-\x7e]*)?",
        "a content type; write it like application/gzip",
    ),
]
StorageClass = Annotated[str, _text(r"[A-Z][A-Z0-9_-]*", "a storage class; upper case, like STANDARD_IA")]
Acl = Annotated[str, _text(r"[a-z][a-z-]*", "a canned ACL; like private or public-read")]


def _is_moment(text: str) -> bool:
    try:
        moment = datetime.fromisoformat(text)
        (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


Expires = Annotated[
    str,
    _text(
        r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:?\d\d)?)?",
        "a date; write it like 2030-01-31T12:00:00Z",
        _is_moment,
    ),
]


def _is_pattern(text: str) -> bool:
    from pathspec import GitIgnoreSpec  # here: most manifests have no pattern, and the import takes 8 ms

    try:
        GitIgnoreSpec.from_lines([text])
    except ValueError:
        return False
    return True


FilePath = Annotated[str, _text(r"[^\x00]+", "a path", make=at_home)]
Pattern = Annotated[str, _text(r"[^\x00\n]+", "a gitignore pattern", _is_pattern)]
_IN_MARKER = r"[^*/?\[\]!\x00-\x1f\x7f]"
Marker = Annotated[
    str,
    _text(
        rf"{_IN_MARKER}+|{_IN_MARKER}+\*{_IN_MARKER}*|\*{_IN_MARKER}+",
        'a marker; write a name with one * for the name of what it marks, like "*.done", or a plain name like _SUCCESS',
        lambda name: name not in {".", ".."},
    ),
]
Language = Annotated[str, _text(r"[A-Za-z0-9, -]+", "a content language; like en or de-CH")]
TagName = Annotated[
    str,
    _text(
        r"[\w .:/=+@-]{1,128}",
        "a tag's name; 1 to 128 letters, digits, spaces and . : / = + - _ @, not beginning with aws:",
        lambda name: not name.lower().startswith("aws:"),
    ),
]
TagText = Annotated[str, _text(r"[\w .:/=+@-]{0,256}", "a tag; up to 256 letters, digits, spaces and . : / = + - _ @")]
MatrixText = Annotated[str, _text(r"[^\x00-\x1f\x7f]+", "a value; at least one character, no control characters")]
KeyTemplate = Annotated[str, _text(r"[^\x00]+", "a key template; like {date:%Y/%m/%d}/{path}")]
