"""Where an item's bytes come from, as types: a URL, or a file of this machine.

Owns the text form of an origin, which the journal records and which is shown. It is the same text as in a manifest:
`http(s)://…`, or `file:///…` with nothing encoded. A new kind of source is one more type of `Origin`.
"""

from dataclasses import dataclass, field

from mirrord.model.after_upload import FileAction, KeepFile

_FILE = "file://"


@dataclass(frozen=True, slots=True)
class Url:
    """A source at a host. `text` is the full URL, which may hold secrets."""

    text: str = field(repr=False)

    @property
    def address(self) -> str:
        """The origin as text."""
        return self.text


@dataclass(frozen=True, slots=True)
class File:
    """A local file. `root` is the path of the folder that found it; None: an entry names the file itself.

    `name` is relative to `root`, and the file may not leave `root`; without a root it is the absolute path.
    """

    root: str | None
    name: str
    follow: bool = False
    """The folder says `follow_symlinks`: a link at the file's path or on the way to it leads to the file."""
    after_upload: FileAction = KeepFile()

    @property
    def path(self) -> str:
        """The absolute path."""
        return self.name if self.root is None else f"{directory_prefix(self.root)}{self.name}"

    @property
    def address(self) -> str:
        """The origin as text."""
        return file_address(self.path)


Origin = Url | File


def origin_at(address: str) -> Origin:
    """The origin that a text names, as an entry gives it: a URL, or a file outside any folder."""
    path = file_path(address)
    return Url(address) if path is None else File(None, path)


def file_address(path: str) -> str:
    """How a local file is named as a source: the absolute path after the scheme, nothing in it encoded."""
    return f"{_FILE}{path}"


def file_path(address: str) -> str | None:
    """The path that `file_address` was given; None: the address is no file's."""
    return address.removeprefix(_FILE) if address.startswith(_FILE) else None


def directory_prefix(path: str) -> str:
    """What the paths of all files below a directory begin with."""
    return path.rstrip("/") + "/"
