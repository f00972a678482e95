"""A last filter for every log line: no userinfo, query, fragment or path parameter of any URL, no control characters.

Adapters remove secrets from their own errors; this filter covers lines that libraries write. Keys, paths and messages
stay as they are.
"""

import re
from collections.abc import MutableMapping
from typing import Any

from mirrord.model.addresses import LEFT, shown

_ADDRESS = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:[/\\]+|https?:|\bhttps?[;.,]?//|(?<![\w:/.])//)[^\s\"'<>]+", re.IGNORECASE
)
_TRAILING = re.compile(r"[).,;:]+$")
_REQUEST = re.compile(
    r"(?P<before>(?<![^\s\"'(])/[^\s?\"'<>]*)\?[^\s\"'<>=]+=[^\s\"'<>]*"
)  # "GET /a?X-Amz-Signature=…"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # an escape sequence in a file's name must not reach a terminal
_FILE = re.compile(r"file://[^\s'<>?#\x22]*")
"""The address of a file, which `shown` shows whole."""

Line = MutableMapping[str, Any]


def redact(text: str) -> str:
    """`text` without the userinfo, query and fragment of everything that looks like a URL or a request's path."""
    if text.isprintable() and (not (":" in text or "?" in text or "//" in text) or _FILE.fullmatch(text)):
        return text  # most values
    if ":" in text or "//" in text:
        text = _ADDRESS.sub(_found_address, text)
    if "?" in text:
        text = _REQUEST.sub(rf"\g<before>?{LEFT}", text)
    return printable(text)


def _found_address(found: re.Match[str]) -> str:
    whole = found[0]
    address = _TRAILING.sub("", whole)
    if ("?" in whole or "#" in whole) and not address.endswith(LEFT):  # the punctuation may be of the query
        address = whole
    return shown(address) + whole[len(address) :]


def printable(text: str) -> str:
    """`text` without control characters other than tab and line feed."""
    return _CONTROL.sub("\ufffd", text)


def redacted(line: Line) -> Line:
    """The line itself, with every string filtered, at any depth."""
    for name, value in line.items():
        if not isinstance(value, int | float):
            line[name] = _cleaned(value)
    return line


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple):
        return [_cleaned(one) for one in value]
    if isinstance(value, dict):
        return {name: _cleaned(one) for name, one in value.items()}
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))
