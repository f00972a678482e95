"""Rewrites the head of an HTTP/1 response that is malformed but unambiguous, so that a strict parser accepts it. Pure.

Owns the deviations that curl, browsers and RFC 9112 accept from a server: spaces before a colon (5.1), folded lines
(5.2), equal values of Content-Length (6.3), the coding `identity`, chunked beside a Content-Length (6.3), a list in
several lines (RFC 9110 5.3). An ambiguous head stays unchanged: the parser refuses it with its reason.
"""

import re

_FOLD = re.compile(rb"\r?\n[ \t]+")
_LENGTH = b"content-length"
_CODINGS = b"transfer-encoding"
_ENCODINGS = b"content-encoding"

_SIMPLE = re.compile(
    rb"HTTP/1\.[01] [^\r\n]*\r\n"
    rb"(?:(?!(?:content-length|transfer-encoding|content-encoding):)[!-9;-~]+:[^\r\n]*\r\n)*"
    rb"(?:content-length: \d+\r\n)?"
    rb"(?:(?!(?:content-length|transfer-encoding|content-encoding):)[!-9;-~]+:[^\r\n]*\r\n)*\r\n",
    re.IGNORECASE,
)
"""A head in which nothing needs to be rewritten, as nearly all are: a tenth of the time."""

Field = tuple[bytes, bytes]


def normalised(head: bytes) -> bytes:
    """The same head with at most one Content-Length and one Transfer-Encoding, if these are unambiguous."""
    return head if _SIMPLE.fullmatch(head) else rewritten(head)


def rewritten(head: bytes) -> bytes:
    """As `normalised`, also for a head in which nothing needs to be rewritten."""
    status, *lines = _FOLD.sub(b" ", head.rstrip(b"\r\n")).split(b"\n")
    fields = [_field(line.rstrip(b"\r")) for line in lines]
    codings = _codings(fields)
    if codings is not None:
        fields = [*_without(fields, _CODINGS), *([(b"Transfer-Encoding", b": " + codings)] if codings else [])]
    if (codings or b"").lower().endswith(b"chunked"):
        fields = _without(fields, _LENGTH)
    elif length := _length(fields):
        fields = [*_without(fields, _LENGTH), (b"Content-Length", b": " + length)]
    encodings = _values(fields, _ENCODINGS)
    if len(encodings) > 1:
        fields = [*_without(fields, _ENCODINGS), (b"Content-Encoding", b": " + b", ".join(encodings))]
    return b"\r\n".join([status.rstrip(b"\r"), *(name + rest for name, rest in fields), b"", b""])


def _field(line: bytes) -> Field:
    """The name, and the rest from the colon on; a line without a colon is all name."""
    name, colon, value = line.partition(b":")
    return (name.rstrip(b" \t"), colon + value) if colon else (line, b"")


def _without(fields: list[Field], name: bytes) -> list[Field]:
    return [field for field in fields if field[0].lower() != name]


def _values(fields: list[Field], name: bytes) -> list[bytes]:
    """The members of all lines of a list field."""
    lines = [rest.removeprefix(b":") for found, rest in fields if found.lower() == name]
    return [member.strip() for line in lines for member in line.split(b",")]


def _length(fields: list[Field]) -> bytes | None:
    """The number that all Content-Length fields agree on; None if there is no field, or they differ."""
    found = set(_values(fields, _LENGTH))
    only = found.pop() if len(found) == 1 else b""
    return only if only.isdigit() else None


def _codings(fields: list[Field]) -> bytes | None:
    """The transfer codings in order, without `identity`, with one `chunked` at the end; None without the field."""
    named = _values(fields, _CODINGS)
    if not named:
        return None
    codings = [coding for coding in named if coding and coding.lower() != b"identity"]
    while len(codings) > 1 and codings[-1].lower() == codings[-2].lower() == b"chunked":
        codings.pop()
    return b", ".join(codings)
