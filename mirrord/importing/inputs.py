"""What an input is, by its content: an rclone.conf, command lines, or a list of sources.

Owns the refusal of texts that are none of these. Pure; the command reads the files.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mirrord.frozen import frozen
from mirrord.importing.lines import has_commands, read_lines
from mirrord.importing.listed import list_kind, read_list
from mirrord.importing.remotes import ENCRYPTED, Remotes, in_manifest_form, read_remotes
from mirrord.importing.values import CommandLine, ImportedList, ImportRefused, Machine, Remark

_SECTION = re.compile(r"\s*\[[^\]\n]+\]\s*")
_TYPE = re.compile(r"^\s*type\s*=", re.MULTILINE | re.IGNORECASE)
STDIN = "-"


@frozen
class InputText:
    """One input. `file` is its name in messages."""

    file: str
    content: bytes


@dataclass(slots=True)
class FoundInputs:
    """What all inputs hold together."""

    remotes: Remotes = field(default_factory=Remotes)
    commands: list[CommandLine] = field(default_factory=list)
    lists: list[ImportedList] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    @property
    def alone(self) -> bool:
        """Whether there are remotes only."""
        return not self.commands and not self.lists


def found_in(inputs: Sequence[InputText], machine: Machine, to: str | None) -> FoundInputs:
    """The content of all inputs. Raises ImportRefused for one that is nothing mirrord can import."""
    found = FoundInputs()
    for one in inputs:
        _read(one.file, _text(one), machine, to, found)
    found.remotes.known = {name: in_manifest_form(remote) for name, remote in found.remotes.known.items()}
    found.remarks += found.remotes.remarks
    return found


def _text(one: InputText) -> str:
    try:
        text = one.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ImportRefused(f"{one.file}: is not UTF-8 text") from None
    if "\0" in text:
        raise ImportRefused(f"{one.file}: is not text: it has a NUL")
    if not text.strip():
        raise ImportRefused(f"{one.file}: is empty")
    return text


def _read(file: str, text: str, machine: Machine, to: str | None, found: FoundInputs) -> None:
    first = next((line for line in text.splitlines() if line.strip() and line.strip()[0] not in "#;"), "")
    if first.startswith(ENCRYPTED) or (_SECTION.fullmatch(first) and _TYPE.search(text)):
        read_remotes(file, text, found.remotes)
    elif re.search(r"^\s*aws_(access_key_id|secret_access_key)\s*=", text, re.MULTILINE):
        raise ImportRefused(f"{file}: is a file of AWS credentials: mirrord reads it by credentials: {{profile: NAME}}")
    elif (kind := list_kind(text)) is not None:
        if file == STDIN:
            raise ImportRefused(
                "-: is a list of sources, which a manifest names by its file: save it, and import that file"
            )
        listed, bad = read_list(file, text, kind, machine.directory, to)
        found.lists.append(listed)
        found.remarks += bad
    elif not _SECTION.fullmatch(first) and has_commands(text):
        read = read_lines(file, text, machine)
        found.commands += read.commands
        found.remarks += read.remarks
    else:
        raise ImportRefused(
            f"{file}: is no rclone.conf, no crontab, no command lines of rclone, aws or s5cmd, and no list of sources"
        )
