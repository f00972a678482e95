"""The commonest slips of YAML syntax, each as a sentence that says what to write instead.

Owns the way from what libyaml reports to words for a person, and the place where the slip is. What libyaml says is kept
where none of these sentences fits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Mark = Any
"""yaml's own mark: `line` and `column` from 0, or None."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What libyaml reports of `text`: where it `began` to read something (may be None), and where it stopped."""

    text: str
    context: str
    problem: str
    began: Mark
    stopped: Mark

    def at(self, mark: Mark) -> str:
        """The character at a mark."""
        return self.line(mark)[mark.column : mark.column + 1] if mark is not None else ""

    def line(self, mark: Mark) -> str:
        lines = self.text.split("\n")
        return lines[mark.line] if mark is not None and mark.line < len(lines) else ""


def explained(text: str, error: Any) -> tuple[Mark, str]:
    """Where `text` is wrong and the sentence about it, from libyaml's error (a yaml.MarkedYAMLError)."""
    began, stopped = error.context_mark, error.problem_mark or error.context_mark
    fault = Fault(text, error.context or "", error.problem or "", began, stopped)
    for sentence in _SENTENCES:
        if said := sentence(fault):
            from_start = sentence in (_bare, _unclosed_quote, _no_colon)
            return (began if from_start and began is not None else stopped), f"not YAML: {said}"
    return stopped, "not YAML: " + ", ".join(part for part in (fault.context, fault.problem) if part)


def bare(character: str) -> str:
    """The sentence about an unquoted value that begins with `character`."""
    return f"a value that begins with {character} must be in quotes"


def _tab(fault: Fault) -> str:
    cannot_start = "cannot start any token" in fault.problem and fault.at(fault.stopped) == "\t"
    tab = cannot_start or "tab character" in fault.problem
    return "a tab in the indentation; YAML is indented with spaces" if tab else ""


def _bare(fault: Fault) -> str:
    """A plain value that begins with a character that means something else in YAML."""
    reads = any(what in fault.context for what in ("an alias", "an anchor", "a tag"))
    if not reads and "cannot start any token" not in fault.problem:
        return ""
    return bare(fault.at(fault.began or fault.stopped))


def _unclosed_quote(fault: Fault) -> str:
    unclosed = "quoted scalar" in fault.context and "end of stream" in fault.problem
    return "a quote opens here and is never closed" if unclosed else ""


def _unclosed_bracket(fault: Fault) -> str:
    if "flow" not in fault.context or "did not find expected" not in fault.problem or fault.began is None:
        return ""
    what, closing = ("list", "]") if "sequence" in fault.context else ("mapping", "}")
    return f"the {what} that opens in line {fault.began.line + 1} lacks a comma or its {closing}"


def _escape(fault: Fault) -> str:
    escape = "quoted scalar" in fault.context and ("escape" in fault.problem or "hexdecimal" in fault.problem)
    return "a backslash in double quotes begins an escape; use single quotes" if escape else ""


def _colon(fault: Fault) -> str:
    if "mapping values are not allowed" not in fault.problem:
        return ""
    return (
        "mapping values are not allowed here; "
        'put a value that holds ": " in quotes, and indent the fields of one mapping alike'
    )


def _no_colon(fault: Fault) -> str:
    lacks = "could not find expected ':'" in fault.problem
    return 'a key without its ": "; write key: value, with the space' if lacks else ""


def _layout(fault: Fault) -> str:
    if "block" not in fault.context or "did not find expected" not in fault.problem:
        return ""
    if not fault.line(fault.stopped)[: fault.stopped.column].strip():
        return "the indentation fits no line above; indent the fields of one mapping or list alike"
    return "text after the end of a value; put the whole value in one pair of quotes"


_SENTENCES: tuple[Callable[[Fault], str], ...] = (
    _tab,
    _bare,
    _unclosed_quote,
    _unclosed_bracket,
    _escape,
    _colon,
    _no_colon,
    _layout,
)
