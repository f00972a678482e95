"""The values that all readers of `importing` share: places, stores and copies, as command lines of tools describe them.

A message never contains a value of the input, only positions and the names of tools, flags and fields: any word of a
command line may be a secret.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mirrord.errors import MirrordError
from mirrord.frozen import frozen
from mirrord.planning.items.expand import Overlap, no_overlap


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


@frozen
class Where:
    """A line of an input; counts from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@frozen
class Remark:
    """Something of the input that the manifest lacks, and why."""

    where: Where
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


class ImportRefused(MirrordError):
    """An input that cannot be imported at all."""


class NotCarried(Exception):
    """A command that cannot be carried over. The message is the reason; it contains no value of the input."""


@frozen
class Machine:
    """What the import knows of the machine. `is_file` is True for a file, False for a directory, None if there is
    nothing at the path. `directory` is absolute; `timezone` is None if it is unknown. `overlap`: whether two folders
    may be declared together."""

    directory: str
    timezone: str | None
    is_file: Callable[[str], bool | None]
    overlap: Overlap = no_overlap


@frozen
class CommandLine:
    """One command without its wrappers. `variables`: set for it by the input, in the form of a manifest."""

    where: Where
    words: tuple[str, ...]
    variables: Mapping[str, str]
    directory: str | None = None
    """The directory of relative paths; None: that of the import."""
    cron: str | None = None
    timezone: str | None = None
    remarks: tuple[str, ...] = ()
    piped_from: tuple[str, ...] = ()
    """The words of the command whose output is its standard input."""


# ── places ────────────────────────────────────────────────────────────────────────────────────────
@frozen
class ImportedStore:
    """A store as a tool describes it. `name` is a wish; `comments` are for the people who read the manifest."""

    name: str
    provider: str = "aws"
    fields: tuple[tuple[str, object], ...] = ()
    """endpoint_url, region, addressing, ca_file, requester_pays, dual_stack."""
    credentials: tuple[tuple[str, Any], ...] = ()
    comments: tuple[str, ...] = ()


@frozen
class ObjectPlace:
    """A bucket and a key, or the prefix of keys, of a store."""

    store: ImportedStore
    bucket: str
    key: str = ""

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def below(self) -> "ObjectPlace":
        """The same as a prefix, which ends with a slash or is empty."""
        return self if self.key.endswith("/") or not self.key else ObjectPlace(self.store, self.bucket, self.key + "/")


@frozen
class LocalPlace:
    """A path: absolute, or below `~/`. `pattern`: only the files that match this gitignore pattern."""

    path: str
    pattern: str | None = None


@frozen
class WebPlace:
    """A URL, the headers of its requests, and the user and password for HTTP basic authentication."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    basic: tuple[str, str] | None = None
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """The variables that were made for the secrets of the input, with the values that they stand for."""

    def renamed(self, names: Mapping[str, str]) -> "WebPlace":
        """The same with other names of its variables."""

        def own(text: str) -> str:
            return re.sub(r"(?<!\$)\$\{(\w+)\}", lambda match: f"${{{names.get(match[1], match[1])}}}", text)

        headers = tuple((name, own(value)) for name, value in self.headers)
        return WebPlace(own(self.url), headers, self.basic and (own(self.basic[0]), own(self.basic[1])))


Place = ObjectPlace | LocalPlace | WebPlace


def variable_for(value: str, name: str, known: dict[str, str]) -> str:
    """The variable for a value: `name`, with a number if it stands for another value in `known`, which is changed."""
    own, number = name, 2
    while known.setdefault(own, value) != value:
        own, number = f"{name}_{number}", number + 1
    return own


# ── copies ────────────────────────────────────────────────────────────────────────────────────────
@dataclass(slots=True)
class CopyOptions:
    """What the flags of one command ask for, collected flag by flag."""

    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    object: dict[str, Any] = field(default_factory=dict)
    entry: dict[str, Any] = field(default_factory=dict)
    """Other fields of an entry: overwrite, delete, after_upload, follow_symlinks."""
    daemon: dict[str, str] = field(default_factory=dict)
    """transfers, bandwidth: as the tool writes them."""
    needless: list[str] = field(default_factory=list)
    """Flags that mirrord does not need."""
    remarks: list[str] = field(default_factory=list)
    """What is not carried over, without harm to objects."""
    holds: list[str] = field(default_factory=list)
    """Reasons to suspend the entry: without them it would copy, replace or delete other objects than the command."""


@frozen
class ImportedCopy:
    """One copy. `single`: one source to one key; else all files below a folder, or all objects below a prefix."""

    command: CommandLine
    what: str
    """The tool and its command: `rclone sync`."""
    source: Place
    target: ObjectPlace
    single: bool
    options: CopyOptions


@frozen
class ImportedList:
    """A list of sources, and the prefix or template of its objects."""

    where: Where
    what: str
    location: str
    to: str
    store: ImportedStore | None = None
    command: CommandLine | None = None
    options: CopyOptions = field(default_factory=CopyOptions)
