"""Lines of crontabs, scripts and command files: each becomes commands of a known tool, or a remark.

Owns schedules and variables of crontabs (crontab(5) of Debian and cronie), `cd`, wrappers like `flock` and `sudo`, and
what surrounds a command. The tools' modules own the commands themselves.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from mirrord.frozen import frozen
from mirrord.importing.shell import DYNAMIC, ShellCommand, ShellFault, commands_of, plain_text, resolved
from mirrord.importing.values import CommandLine, Machine, Remark, Where, word_set
from mirrord.importing.wrappers import SYNTAX, Wrapped, program_of, unwrapped

TOOLS = frozenset({"rclone", "aws", "s5cmd"})
_BARE = word_set("cp mv sync pipe")
"""Commands of a file for `s5cmd run`, which has no program names."""
_SCHEDULE = re.compile(
    r"\s*(?P<when>@[a-z]+|[0-9*/,~-]+\s+[0-9*/,~-]+\s+[0-9*/,?~LW-]+\s+[0-9A-Za-z*/,~-]+\s+[0-9A-Za-z*/,?#~-]+)"
    r"\s+(?P<command>\S.*)",
    re.DOTALL,
)
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_CRON_VARIABLE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", re.DOTALL)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_ORDINARY = word_set(
    "sleep echo find curl wget mysqldump pg_dump pg_dumpall tar rsync python python3 bash sh zsh test "
    "nice date cp mv rm mkdir ls php perl ruby node docker podman gzip zstd xz set export source true "
    "false cd flock timeout sudo env ionice nohup chronic time exec if for while umask command restic "
    "mongodump sqlite3"
)
_HARMLESS = word_set("set shopt trap umask ulimit : true wait local readonly unset")
_NO_CONDITION = _HARMLESS | {"mkdir", "echo", "sleep", "source", "."}
_PIPES = frozenset({"|", "|&"})
MOST_LINES = 100_000


@frozen
class ReadLines:
    """The commands of one input, and all that is not carried over."""

    commands: tuple[CommandLine, ...] = ()
    remarks: tuple[Remark, ...] = ()


def read_lines(file: str, text: str, machine: Machine) -> ReadLines:
    """All command lines of a text."""
    reader = _Reader(file, machine)
    logical = list(_joined(text))
    reader.has_users = _has_users(line for _, line in logical)
    for number, line in logical[:MOST_LINES]:
        reader.read(Where(file, number), line)
    if len(logical) > MOST_LINES:
        reader.remarks.append(Remark(Where(file, logical[MOST_LINES][0]), "too many lines: the rest is not read"))
    return ReadLines(tuple(reader.commands), tuple(reader.remarks))


def has_commands(text: str) -> bool:
    """Whether any line has a schedule, or a command of a known tool."""
    for _, line in _joined(text):
        if _schedule(line) or any(_tool_in(words.split()) for words in re.split(r"[|;&()]", line)):
            return True
    return False


def _tool_in(words: Sequence[str]) -> bool:
    return any(program_of(word.strip("\"'")) in TOOLS for word in words) or (
        bool(words) and words[0] in _BARE and any("s3://" in word for word in words)
    )


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first line: a backslash at the end continues a line."""
    first, parts = 0, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        first = first if parts else number
        if line.endswith("\\") and not line.endswith("\\\\"):
            parts.append(line[:-1])
            continue
        yield first, "".join([*parts, line])
        parts = []
    if parts:
        yield first, "".join(parts)


def _schedule(line: str) -> re.Match[str] | None:
    return None if line.lstrip().startswith("#") else _SCHEDULE.fullmatch(line)


def _has_users(lines: Iterator[str]) -> bool:
    """Whether the crontab has the column of users, as /etc/crontab: each command begins with a plain name."""
    found = False
    for line in lines:
        if match := _schedule(line):
            first, _, rest = match["command"].partition(" ")
            if not rest.strip() or not _USER.fullmatch(first) or first in TOOLS | _ORDINARY:
                return False
            found = True
    return found


@dataclass(slots=True)
class _Reader:
    """Reads the lines of one input in order; variables and the directory of a script apply to later lines."""

    file: str
    machine: Machine
    has_users: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    looped: set[str] = field(default_factory=set)
    directory: str | None = None
    commands: list[CommandLine] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def read(self, where: Where, line: str) -> None:
        if not line.strip() or line.lstrip().startswith("#"):
            return
        if match := _schedule(line):
            self._scheduled(where, match["when"], match["command"])
        elif (variable := _CRON_VARIABLE.fullmatch(line)) and (value := _one_word(variable[2])) is not None:
            self._set(where, variable[1], value)
        else:
            self._run(where, line, CommandLine(where, (), self.variables, self.directory))

    def _set(self, where: Where, name: str, value: str) -> None:
        """A variable of a crontab, or of a script, on a line of its own."""
        self.variables = {**self.variables, name: resolved(value, self.variables)}
        if name == "MAILTO":
            self.remarks.append(Remark(where, "MAILTO: mirrord sends no mail; daemon.notify calls webhooks"))

    def _scheduled(self, where: Where, when: str, text: str) -> None:
        remarks: list[str] = []
        if self.has_users:
            text = text.partition(" ")[2].strip()
            remarks.append("it runs as the user in the crontab: run mirrord as a user who may read the same files")
        text, cut = _before_percent(text)
        if cut:
            remarks.append("a % that is not escaped ends the command in a crontab")
        zone = self.variables.get("CRON_TZ") or self.machine.timezone
        base = CommandLine(
            where, (), self.variables, "~", " ".join(when.split()), plain_text(zone or ""), tuple(remarks)
        )
        self._run(where, text, base)

    def _run(self, where: Where, text: str, base: CommandLine) -> None:
        """The commands of one line; `base` has what they share."""
        try:
            parts = commands_of(text)
        except ShellFault as error:
            self.remarks.append(Remark(where, f"cannot be read as a command line: {error}"))
            return
        variables, directory = dict(base.variables), base.directory
        carried, others = list[CommandLine](), list[str]()
        feeding: tuple[str, ...] = ()
        conditional, before_pipe = False, 0
        for part in parts:
            wrapped = unwrapped(part.words)
            given = {name: resolved(value, variables) for name, value in wrapped.variables.items()}
            if wrapped.script is not None:
                inner = (*base.remarks, *wrapped.remarks)
                known = {**variables, **given}
                self._run(where, wrapped.script, replace(base, variables=known, directory=directory, remarks=inner))
                continue
            self.looped |= wrapped.looped
            before_pipe = before_pipe if part.before in _PIPES else len(others)
            if not wrapped.words:
                variables |= given
                continue
            if wrapped.words[0] == "cd" and len(wrapped.words) == 2:
                directory = joined(directory, wrapped.words[1])
                continue
            if not _is_tool(wrapped.words):
                others += self._other(part, wrapped, bool(carried))
                feeding, conditional = wrapped.words, wrapped.words[0] not in _NO_CONDITION
                continue
            if part.before in _PIPES:
                others = others[:before_pipe]
            command = replace(base, words=wrapped.words, variables={**variables, **given}, directory=directory)
            carried.append(self._surrounded(command, part, wrapped, feeding, conditional))
        if base.cron is None:
            self.variables, self.directory = variables, directory
        self.commands += carried
        texts = dict.fromkeys(others)
        self.remarks += [Remark(where, text) for text in texts if not carried or "runs no" not in text]
        self.remarks += [
            Remark(where, "the other commands of the line are not carried over (a ping: daemon.notify with heartbeat)")
        ] * bool(carried and others)

    def _other(self, part: ShellCommand, wrapped: Wrapped, after: bool) -> list[str]:
        """A command of no known tool."""
        name = wrapped.words[0]
        if name in SYNTAX or name in _HARMLESS or (after and part.before in _PIPES):
            return []
        if name in ("docker", "podman", "kubectl") and any(program_of(word) in TOOLS for word in wrapped.words):
            return ["runs in a container, with the paths of the container"]
        if any(program_of(word) in TOOLS for word in wrapped.words[1:]):
            return ["another program runs rclone, aws or s5cmd, with arguments that it makes itself"]
        return ["runs no rclone, aws or s5cmd: keep it where it is"]

    def _surrounded(
        self, command: CommandLine, part: ShellCommand, wrapped: Wrapped, feeding: tuple[str, ...], conditional: bool
    ) -> CommandLine:
        """The command with remarks on what surrounds it."""
        remarks = [*command.remarks, *wrapped.remarks]
        if conditional and part.before in ("&&", "||"):
            remarks.append("it runs only after another command: mirrord has no such condition")
        used = {name for word in command.words for name in re.findall(r"\$\{(\w+)", word)}
        words = command.words
        if used & self.looped:
            words = tuple(
                re.sub(rf"\$\{{(?:{'|'.join(sorted(self.looped))})\b[^}}]*\}}", DYNAMIC, one) for one in words
            )
        piped = feeding if part.before in _PIPES else (DYNAMIC,) if part.redirected else ()
        return replace(command, words=words, remarks=tuple(dict.fromkeys(remarks)), piped_from=piped)


def _one_word(text: str) -> str | None:
    """The value of an assignment; None if more than a value follows the `=`."""
    try:
        parts = commands_of(f"X={text}")
    except ShellFault:
        return None
    return parts[0].words[0][2:] if len(parts) == 1 and len(parts[0].words) == 1 else None


def _is_tool(words: Sequence[str]) -> bool:
    return program_of(words[0]) in TOOLS or (words[0] in _BARE and any(one.startswith("s3://") for one in words))


def _before_percent(text: str) -> tuple[str, bool]:
    """The command of a crontab's line: an unescaped `%` ends it, `\\%` is a percent sign (crontab(5))."""
    parts = re.split(r"(?<!\\)%", text, maxsplit=1)
    return parts[0].replace("\\%", "%"), len(parts) > 1


def joined(directory: str | None, path: str) -> str:
    """A path, relative to a directory; `~`, a variable at the start and `/` are not relative."""
    if directory is None or path.startswith(("/", "~", "${")):
        return path
    path = path.removeprefix("./")
    return directory if path in ("", ".") else f"{directory.rstrip('/')}/{path}"
