"""`curl URL | aws s3 cp - …`: the URL of a command whose output becomes an object.

Owns the flags of curl and wget that change nothing about the bytes. Any other flag is a reason not to carry it over.
"""

from mirrord.importing.flags import FlagTable, flag_names, given_flags
from mirrord.importing.places import checked_words, is_web, web_place
from mirrord.importing.values import NotCarried, WebPlace
from mirrord.importing.wrappers import program_of

_CURL = FlagTable(
    values=flag_names(
    "header user user-agent retry max-time connect-timeout retry-delay"
),
    switches=flag_names(
    "fail silent show-error location compressed retry-all-errors http1.1 ipv4"
),
    letters={
        "H": "--header", "u": "--user", "A": "--user-agent", "m": "--max-time", "f": "--fail", "s": "--silent",
        "S": "--show-error", "L": "--location", "4": "--ipv4",
    },
)  # fmt: skip
_WGET = FlagTable(
    values=flag_names("header user-agent output-document tries timeout"),
    switches=frozenset({"--quiet", "--no-verbose"}),
    letters={"O": "--output-document", "q": "--quiet", "U": "--user-agent", "t": "--tries", "T": "--timeout"},
)


def fetched_by(words: tuple[str, ...]) -> WebPlace:
    """The URL that a command prints. Raises NotCarried."""
    program = program_of(words[0]) if words else ""
    if program not in ("curl", "wget"):
        raise NotCarried("reads its standard input, which is no source that mirrord can read again")
    given = given_flags(words[1:], _CURL if program == "curl" else _WGET)
    if given.unknown or len(given.positional) != 1 or not is_web(given.positional[0]):
        raise NotCarried(f"reads the output of a {program} that is more than one request for one URL")
    if program == "wget" and given.last("--output-document") != "-":
        raise NotCarried("reads the output of a wget that writes to a file")
    checked_words(given.positional)
    headers: dict[str, str] = {}
    for name, value in given.flags:
        if name == "--header" and value and ":" in value:
            key, _, text = value.partition(":")
            headers[key.strip()] = text.strip()
        elif name == "--user-agent" and value:
            headers["User-Agent"] = value
    return web_place(given.positional[0], headers, given.last("--user") or "")
