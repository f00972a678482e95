"""Which of several files has the object that all of them claim. Pure.

Owns the rule, for `run`, `sync` and `plan`, and the message of a conflict. An item of a mirror or of a list has
precedence over each file. Of files in several folders, those of the recorded folder have precedence while the recorded
file exists, else those of the first folder by the order of the manifests. Of one folder's files, the first by name has
the object. A file that several folders find, or that several links lead to, is one file: it is in no conflict with
itself.
"""

from collections.abc import Iterable
from dataclasses import replace
from unicodedata import normalize

from mirrord.frozen import frozen
from mirrord.model import Destination, FileIdentity

_IN_FOLDER = " in the folder "


@frozen
class Claim:
    """A file of a folder that exists now and has the object by its folder's key. `rank`: the folder's position in the
    manifests."""

    rank: int
    entry: str
    name: str
    file: FileIdentity | None = None
    options: str = ""
    """The digest of the object's options."""
    recorded: bool = False
    """The journal has a file of this folder, which exists, as the source of the object."""

    def joined(self, other: "Claim") -> "Claim":
        """The claim of a folder of which two files claim the object."""
        return replace(min(self, other, key=_name), recorded=self.recorded or other.recorded)

    def is_file_of(self, other: "Claim") -> bool:
        """Whether both are one file, and their objects would be equal: then one of them stands for both."""
        if self.file is None or other.file is None or self.options != other.options:
            return False
        return (self.file.device, self.file.inode) == (other.file.device, other.file.inode)


def holder(claims: Iterable[Claim]) -> Claim:
    """The claim that has the object. At least one."""
    by_folder: dict[str, Claim] = {}
    for claim in claims:
        known = by_folder.get(claim.entry)
        by_folder[claim.entry] = claim if known is None else known.joined(claim)
    return min(by_folder.values(), key=_precedence)


def _precedence(claim: Claim) -> tuple[bool, int]:
    return not claim.recorded, claim.rank


def _name(claim: Claim) -> str:
    return claim.name


# ── texts ─────────────────────────────────────────────────────────────────────────────────────────
def mirror_text(entry: str) -> str:
    """An item of a mirror or list, as the rival of a file."""
    return f"the mirror {entry}"


def file_text(address: str, entry: str) -> str:
    """A file of another folder, as the rival of a file."""
    return f"{address}{_IN_FOLDER}{entry}"


def conflict_message(name: str, rival: str, destination: Destination) -> str:
    """The message of the file `name`, whose object `rival` has: a name in the same folder, or another text."""
    one, other = _with_forms(name, rival)
    return f"{one} and {other} have one object, {destination}: rename one, or change the folder's `key`"


def _with_forms(name: str, rival: str) -> tuple[str, str]:
    """Both texts; with their Unicode forms if the names look equal without them."""
    path = rival.partition(_IN_FOLDER)[0]
    if f"/{path}".endswith(f"/{name}") or not f"/{normalize('NFC', path)}".endswith(f"/{normalize('NFC', name)}"):
        return name, rival
    return f"{name} (Unicode form {_form(name)})", f"{rival} (Unicode form {_form(path)})"


def _form(text: str) -> str:
    for form in ("NFC", "NFD"):
        if normalize(form, text) == text:
            return form
    return "mixed"
