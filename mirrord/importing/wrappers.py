"""Programs that run another command: `flock`, `sudo`, `timeout`, `bash -c` …; and the words of the shell's own syntax.

Owns which words of such a program belong to it, and what the inner command is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from types import MappingProxyType

from mirrord.frozen import frozen
from mirrord.importing.shell import plain_text
from mirrord.importing.values import word_set

CONDITIONS = word_set("if elif while until")
SYNTAX = word_set("fi done esac then do else { } in case function break continue")
_PREFIXES = CONDITIONS | {"then", "do", "else", "!", "{", "time"}
_SHELLS = word_set("sh bash zsh dash ash ksh")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


@frozen
class _Wrapper:
    """`valued`: options whose value is the next word. `positional`: words of its own after the options."""

    valued: frozenset[str] = frozenset()
    positional: int = 0
    remark: str = ""


_USER = "it runs as another user: run mirrord as a user who may read the same files"
_WRAPPERS: Mapping[str, _Wrapper] = MappingProxyType(
    {
        "flock": _Wrapper(word_set("-w --wait --timeout -E --conflict-exit-code"), 1),
        "timeout": _Wrapper(word_set("-k --kill-after -s --signal"), 1),
        "nice": _Wrapper(word_set("-n --adjustment")),
        "ionice": _Wrapper(word_set("-c --class -n --classdata")),
        "chrt": _Wrapper(positional=1),
        "cpulimit": _Wrapper(word_set("-l --limit")),
        "sudo": _Wrapper(word_set("-u --user -g --group -h --host -C -T -U -r -t -p -D --chdir"), remark=_USER),
        "doas": _Wrapper(word_set("-u -C"), remark=_USER),
        "runuser": _Wrapper(word_set("-u --user -g --group"), remark=_USER),
        "env": _Wrapper(word_set("-u --unset -C --chdir")),
        "nohup": _Wrapper(),
        "setsid": _Wrapper(),
        "exec": _Wrapper(word_set("-a")),
        "command": _Wrapper(),
        "chronic": _Wrapper(),
        "cronic": _Wrapper(),
        "unbuffer": _Wrapper(),
        "stdbuf": _Wrapper(word_set("-i -o -e")),
        "run-one": _Wrapper(),
        "systemd-cat": _Wrapper(word_set("-t --identifier -p --priority")),
        "systemd-run": _Wrapper(word_set("-p --property -u --unit --slice --uid --gid -E --setenv"), remark=_USER),
        "caffeinate": _Wrapper(word_set("-t -w")),
        "time": _Wrapper(word_set("-f --format -o --output")),
    }
)


@frozen
class Wrapped:
    """The inner command of a simple command. `script`: it is a whole command line, given to a shell."""

    words: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    script: str | None = None
    looped: frozenset[str] = frozenset()
    """Variables that a loop sets."""


def program_of(word: str) -> str:
    """The name of a program, without its directory and version."""
    return word.rpartition("/")[2]


def unwrapped(words: Sequence[str]) -> Wrapped:
    """Remove assignments, the shell's syntax and wrappers from the front."""
    rest, variables, remarks = list(words), dict[str, str](), list[str]()
    while rest:
        word, name = rest[0], program_of(rest[0])
        if assignment := _ASSIGNMENT.fullmatch(word):
            variables[assignment[1]] = assignment[2]
            rest.pop(0)
        elif word == "export":
            rest.pop(0)
        elif word in _PREFIXES:
            remarks += ["it runs under a condition, which mirrord does not have"] * (word in CONDITIONS)
            rest.pop(0)
        elif word in ("for", "select"):
            return Wrapped((), variables, looped=frozenset(rest[1:2]))
        elif word == "read":
            return Wrapped((), variables, looped=frozenset(one for one in rest[1:] if not one.startswith("-")))
        elif (script := _script(name, rest)) is not None:
            return Wrapped((), variables, tuple(remarks), script)
        elif (wrapper := _WRAPPERS.get(name)) is not None and len(rest) > 1:
            rest = _inner(rest[1:], wrapper)
            remarks += [wrapper.remark] * bool(wrapper.remark)
        else:
            break
    return Wrapped(tuple(rest), variables, tuple(remarks))


def _script(name: str, words: Sequence[str]) -> str | None:
    """The text after `bash -c`, `su -c`, `flock FILE -c`."""
    if name not in _SHELLS | {"su", "flock"}:
        return None
    for at, word in enumerate(words[1:-1], 1):
        if re.fullmatch(r"-[a-z]*c|--command", word):
            text = words[at + 1]
            return plain_text(text) or text.replace("$$", "$")
    return None


def _inner(words: Sequence[str], wrapper: _Wrapper) -> list[str]:
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "--":
        takes = rest.pop(0) in wrapper.valued
        if takes and rest:
            rest.pop(0)
    if rest[:1] == ["--"]:
        rest.pop(0)
    return rest[wrapper.positional :]
