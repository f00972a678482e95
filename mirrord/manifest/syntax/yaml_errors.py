"""Messages for the most common errors of YAML syntax, each with the correct form.

Owns the way from libyaml's error to a message for the user and the position of the error. If no message here fits,
libyaml's own message is kept.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml

from mirrord.frozen import frozen

YamlMark = Any
"""The type of marks in yaml: `line` and `column` from 0; may be None."""


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NO_SPACE_AFTER = "a colon without a space behind it; write key: value, with the space"
_NO_COLON = 'a key without its ": "; write key: value, with the space'
_MAPPING = (
    "mapping values are not allowed here; "
    'put a value that holds ": " in quotes, and indent the fields of one mapping alike'
)
_REFERENCE = "inside [ ] or { } a value with ${…} must be in quotes"
_ACROSS = "a quote opens here and closes only in line"
IN_LAST_VALUE = tuple(f"not YAML: {message}" for message in (_MAPPING, _REFERENCE, _ACROSS, _NO_SPACE_AFTER))
"""Messages about the value that was read last, not about the next one."""
_OPEN = "the file ends inside a list [ ] or a mapping { }; close it"
_NO_SPACE = re.compile(r"\s*(?:- +)?[\w-]+:(?!//)\S")


class _At(NamedTuple):
    """A position, from 0."""

    line: int
    column: int


@frozen
class SyntaxFault:
    """libyaml's report about `text`: where the value that it was reading `began` (may be None), and where it
    stopped."""

    text: str
    context: str
    problem: str
    began: YamlMark
    stopped: YamlMark

    def at(self, mark: YamlMark) -> str:
        """The character at a mark."""
        return self.line(mark)[mark.column : mark.column + 1] if mark is not None else ""

    def line(self, mark: YamlMark) -> str:
        lines = self.text.split("\n")
        return lines[mark.line] if mark is not None and mark.line < len(lines) else ""


def explain(text: str, error: Any) -> tuple[YamlMark, str]:
    """The position of the error in `text`, and the message, from libyaml's error (a yaml.MarkedYAMLError)."""
    began, stopped = error.context_mark, error.problem_mark or error.context_mark
    fault = SyntaxFault(text, error.context or "", error.problem or "", began, stopped)
    if earlier := _in_the_value_before(fault):
        return earlier
    for recognise in _RULES:
        if message := recognise(fault):
            from_start = recognise in (_bare, _unclosed_quote, _no_colon)
            return (began if from_start and began is not None else stopped), f"not YAML: {message}"
    return stopped, "not YAML: " + ", ".join(part for part in (fault.context, fault.problem) if part)


def _in_the_value_before(fault: SyntaxFault) -> tuple[YamlMark, str] | None:
    """The error, if it is in the value that ends where libyaml stopped and began in an earlier line."""
    if not any(text in fault.problem for text in ("did not find expected", "mapping values are not allowed")):
        return None
    value = _value_before(fault)
    if value is None or value.start_mark.line == value.end_mark.line:
        return None
    if value.style in ("'", '"'):
        closes = value.end_mark.line + 1
        return value.start_mark, f"not YAML: {_ACROSS} {closes}; close it in its line"
    lines = fault.text[value.start_mark.index : value.end_mark.index].split("\n")
    for number, line in enumerate(lines):
        if _NO_SPACE.match(line):
            column = len(line) - len(line.lstrip()) if number else value.start_mark.column
            return _At(value.start_mark.line + number, column), f"not YAML: {_NO_SPACE_AFTER}"
    return None


def _value_before(fault: SyntaxFault) -> Any:
    """The scalar that ends where libyaml stopped; None if there is none."""
    last = None
    try:
        for token in yaml.scan(fault.text, Loader=_LOADER):
            mark = token.start_mark
            if (mark.line, mark.column) >= (fault.stopped.line, fault.stopped.column):
                break
            last = token
    except yaml.YAMLError:  # the fault itself
        pass
    return last if isinstance(last, yaml.ScalarToken) and last.style not in ("|", ">") else None


def bare(character: str) -> str:
    """The message about an unquoted value that begins with `character`."""
    return f"a value that begins with {character} must be in quotes"


def _tab(fault: SyntaxFault) -> str | None:
    cannot_start = "cannot start any token" in fault.problem and fault.at(fault.stopped) == "\t"
    tab = cannot_start or "tab character" in fault.problem
    return "a tab in the indentation; YAML is indented with spaces" if tab else None


def _bare(fault: SyntaxFault) -> str | None:
    """A plain value that begins with a character of YAML syntax."""
    reads = any(what in fault.context for what in ("an alias", "an anchor", "a tag"))
    if not reads and "cannot start any token" not in fault.problem:
        return None
    return bare(fault.at(fault.began or fault.stopped))


def _unclosed_quote(fault: SyntaxFault) -> str | None:
    unclosed = "quoted scalar" in fault.context and "end of stream" in fault.problem
    return "a quote opens here and is never closed" if unclosed else None


def _unclosed_bracket(fault: SyntaxFault) -> str | None:
    if "flow" not in fault.context or "did not find expected" not in fault.problem or fault.began is None:
        return None
    at = fault.stopped
    if fault.line(at)[: at.column].endswith("$") and fault.at(at) == "{":
        return _REFERENCE
    if "flow node" in fault.context:
        rest = fault.line(at)[at.column :].strip() if at is not None else ""
        return f'a value is missing before "{rest[0]}", or must be in quotes' if rest else _OPEN
    what, closing = ("list", "]") if "sequence" in fault.context else ("mapping", "}")
    return f"the {what} that opens in line {fault.began.line + 1} lacks a comma or its {closing}"


def _escape(fault: SyntaxFault) -> str | None:
    escape = "quoted scalar" in fault.context and ("escape" in fault.problem or "hexdecimal" in fault.problem)
    return "a backslash in double quotes begins an escape; use single quotes" if escape else None


def _colon(fault: SyntaxFault) -> str | None:
    if "mapping values are not allowed" not in fault.problem:
        return None
    return _MAPPING


def _no_colon(fault: SyntaxFault) -> str | None:
    return _NO_COLON if "could not find expected ':'" in fault.problem else None


def _layout(fault: SyntaxFault) -> str | None:
    if "block" not in fault.context or "did not find expected" not in fault.problem:
        return None
    if not fault.line(fault.stopped)[: fault.stopped.column].strip():
        return "the indentation fits no line above; indent the fields of one mapping or list alike"
    return "text after the end of a value; put the whole value in one pair of quotes"


_RULES: tuple[Callable[[SyntaxFault], str | None], ...] = (
    _tab,
    _bare,
    _unclosed_quote,
    _unclosed_bracket,
    _escape,
    _colon,
    _no_colon,
    _layout,
)
