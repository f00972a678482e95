"""The words of a shell command line, without running anything.

Owns quotes, escapes, comments, variables, redirections and the operators between commands. A word has the form of a
manifest's text: `${NAME}` is a variable, `$$` a dollar sign. What only a shell can compute (`$(…)`, `${x%y}`, `$1`)
becomes DYNAMIC. `lines` gives the commands their meaning.
"""

import re
from collections.abc import Iterator, Mapping

from mirrord.frozen import frozen

DYNAMIC = "\0"
"""Stands in a word for what only a shell can compute."""
_TOKEN = re.compile(
    r"(?P<blank>[ \t\r\n]+)"
    r"|(?P<redirection>(?:\d*(?:>>|>\||>&|<<<|<<-?|<>|<&|>|<)|&>>?)(?:&?\d+\b|-(?=\s|$))?)"
    r"|(?P<operator>\|\||&&|;;|\|&|[|&;()])"
    r"|(?P<single>'[^']*')"
    r"|(?P<double>\$?\"(?:\\.|[^\"\\])*\")"
    r"|(?P<escape>\\.)"
    r"|(?P<computed>\$\(|`|\$')"
    r"|(?P<variable>\$\{[^}]*\}|\$[A-Za-z_]\w*|\$[0-9@*#?$!-])"
    r"|(?P<plain>[^\s'\"\\$`|&;()<>]+|\$)",
    re.DOTALL,
)
_IN_DOUBLE = re.compile(
    r"(?P<escape>\\[\"\\$`])|(?P<computed>\$\(|`)|(?P<variable>\$\{[^}]*\}|\$[A-Za-z_]\w*|\$[0-9@*#?$!-])"
    r"|(?P<plain>[^\\$`]+|.)",
    re.DOTALL,
)
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^${}]*)?\}|\$([A-Za-z_][A-Za-z0-9_]*)")


_SECRET_NAME = re.compile(r"key|secret|token|pass|pwd|cred|auth|sig|session|cookie|jwt|bearer", re.IGNORECASE)
_PLAIN_VALUE = re.compile(r"(?:[A-Za-z0-9._/:~+-]|\$\{[A-Za-z_][A-Za-z0-9_]*\}){0,255}")
_VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-[^}]*)?\}")


class ShellFault(ValueError):
    """A line that a shell would not accept either."""


@frozen
class ShellCommand:
    """One simple command. `before`: the operator that precedes it, empty for the first one."""

    words: tuple[str, ...]
    before: str = ""
    redirected: bool = False
    """It reads its standard input from a file."""


def literal(text: str) -> str:
    """The text in the form of a manifest."""
    return text.replace("$", "$$")


def plain_text(word: str) -> str | None:
    """The text of a word that holds no variable; None if it holds one."""
    parts = word.split("$$")
    return None if DYNAMIC in word or any("$" in part for part in parts) else "$".join(parts)


def resolved(word: str, variables: Mapping[str, str]) -> str:
    """The word with the variables that the input itself sets, unless a name or value may be a secret."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        known = variables.get(name) if name and not _SECRET_NAME.search(name) else None
        return known if known is not None and _PLAIN_VALUE.fullmatch(known) else match[0]

    return _VARIABLE.sub(value, word)


def commands_of(text: str) -> list[ShellCommand]:
    """The simple commands of a line, in order. Raises ShellFault."""
    found: list[ShellCommand] = []
    words: list[str] = []
    before, skips, reads = "", False, False
    for kind, token in _tokens(text):
        if kind == "word":
            if skips:
                skips = False
            else:
                words.append(token)
        elif kind == "redirection":
            skips = not re.search(r"(?:\d|-)$", token) or token[-1] in "<>"
            reads = reads or "<" in token
        else:
            if words:
                found.append(ShellCommand(tuple(words), before, reads))
            words, before, skips, reads = [], token, False, False
    if words:
        found.append(ShellCommand(tuple(words), before, reads))
    return found


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Words, redirections and operators."""
    word: str | None = None
    at = 0
    while at < len(text):
        if word is None and text[at] == "#":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            raise ShellFault("a quote is not closed, or a backslash ends the line")
        kind, token, at = str(match.lastgroup), match[0], match.end()
        if kind in ("blank", "redirection", "operator"):
            if word is not None:
                yield "word", word
                word = None
            if kind == "blank" and "\n" in token:
                yield "operator", ";"
            elif kind != "blank":
                yield kind, token
            continue
        if kind == "computed":
            at = _end_of_computed(text, match.start(), token)
        word = (word or "") + _value(kind, token)
    if word is not None:
        yield "word", word


def _value(kind: str, token: str) -> str:
    if kind == "single":
        return literal(token[1:-1])
    if kind == "double":
        return _in_double(token[token.index('"') + 1 : -1])
    if kind == "escape":
        return "" if token[1] == "\n" else literal(token[1])
    if kind == "variable":
        return _reference(token)
    return DYNAMIC if kind == "computed" else literal(token)


def _in_double(text: str) -> str:
    text = text.replace("\\\n", "")
    parts: list[str] = []
    at = 0
    while at < len(text) and (match := _IN_DOUBLE.match(text, at)):
        kind, token, at = str(match.lastgroup), match[0], match.end()
        if kind == "computed":
            at = _end_of_computed(text, match.start(), token)
        parts.append(literal(token[1]) if kind == "escape" else _value(kind, token))
    return "".join(parts)


def _end_of_computed(text: str, start: int, opening: str) -> int:
    """The position after `$(…)`, a pair of backticks or `$'…'`; the end of the text if it is not closed."""
    if opening != "$(":
        end = text.find(opening[-1], start + len(opening))
        return len(text) if end < 0 else end + 1
    depth = 0
    for at in range(start + 1, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at + 1
    return len(text)


def _reference(token: str) -> str:
    match = _REFERENCE.fullmatch(token)
    if match is None:
        return DYNAMIC
    return f"${{{match[1] or match[3]}{match[2] or ''}}}"
