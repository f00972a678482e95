"""Placeholders in addresses and keys: `{version}`, `{host}{path}`, `{date:%Y/%m/%d}`. Pure.

`{{` and `}}` are literal braces.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from mirrord.frozen import frozen

_PIECE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)(?::([^{}]*))?\}|[{}]")
DATE = "date"
"""The one placeholder that takes a format, strftime's."""


@frozen
class Placeholder:
    """A placeholder and the format after its colon."""

    name: str
    format: str | None = None


@frozen
class Template:
    """Texts and placeholders in their order."""

    pieces: tuple[str | Placeholder, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The placeholders, in order."""
        return tuple(piece.name for piece in self.pieces if isinstance(piece, Placeholder))

    def fill(self, values: Mapping[str, str], moment: float = 0.0) -> str:
        """The text with all placeholders replaced. `moment`: for `{date}`, in seconds since the epoch; written in UTC.

        KeyError for a name without a value; ValueError for a moment outside the calendar.
        """
        if len(self.pieces) == 1 and isinstance(self.pieces[0], str):
            return self.pieces[0]
        return "".join(piece if isinstance(piece, str) else _value(piece, values, moment) for piece in self.pieces)


def _value(placeholder: Placeholder, values: Mapping[str, str], moment: float) -> str:
    if placeholder.name == DATE and DATE not in values:
        try:
            return datetime.fromtimestamp(moment, UTC).strftime(placeholder.format or "%Y-%m-%d")
        except (OverflowError, OSError) as error:
            raise ValueError(f"no date has {moment} seconds since 1970") from error
    return values[placeholder.name]


@lru_cache(maxsize=1024)
def template(text: str) -> Template:
    """The template of a text. ValueError names the wrong brace."""
    if "{" not in text and "}" not in text:
        return Template((text,))
    pieces: list[str | Placeholder] = []
    after = 0
    for match in _PIECE.finditer(text):
        pieces.append(text[after : match.start()])
        after = match.end()
        if match[1]:
            pieces.append(_placeholder(match[1], match[2]))
        elif len(match[0]) == 2:
            pieces.append(match[0][0])
        else:
            raise ValueError(f"a {match[0]} that belongs to no placeholder; double it for a literal one")
    pieces.append(text[after:])
    return Template(tuple(_joined(pieces)))


def _placeholder(name: str, form: str | None) -> Placeholder:
    if form is not None and name != DATE:
        raise ValueError(f"the placeholder {name} takes no format; only date does")
    return Placeholder(name, form)


def _joined(pieces: list[str | Placeholder]) -> list[str | Placeholder]:
    """The pieces with adjacent texts joined and empty texts removed."""
    joined: list[str | Placeholder] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    return joined or [""]
