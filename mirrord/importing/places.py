"""Paths and URLs of command lines as sources: variables with known values, directories, secrets of URLs.

Owns which parts of a URL are secrets. They become variables, so that the manifest has none.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from mirrord.importing.lines import joined
from mirrord.importing.shell import DYNAMIC, plain_text
from mirrord.importing.values import CommandLine, LocalPlace, Machine, NotCarried, WebPlace, variable_for

_SECRET_PARAMETER = re.compile(
    r"token|sig|signature|key|secret|pass|pwd|auth|cred|session|sas|jwt|x-amz-|x-goog-|code|^s[a-z]$|^sig$|policy",
    re.IGNORECASE,
)
_HARMLESS_HEADERS = frozenset({"user-agent", "accept", "accept-language", "accept-encoding", "referer", "range"})
_WEB = re.compile(r"https?://", re.IGNORECASE)


def no_target(word: str) -> NotCarried:
    """Why a word that is no `s3://` URL is no target: it is a path, or a variable that the input does not set."""
    if word.startswith("${"):
        return NotCarried("its target begins with a variable that the input does not set: write its value")
    return NotCarried("it downloads, and mirrord writes to S3 only")


def checked_words(words: tuple[str, ...] | list[str]) -> None:
    """NotCarried if a shell computes one of the words."""
    if any(DYNAMIC in word for word in words):
        raise NotCarried("a shell computes a part of it: $(…), `…`, $1, a loop or an input file")


def template(word: str) -> str:
    """The word with literal braces doubled: url and to have placeholders."""
    parts = re.split(r"(\$\{[^}]*\}|\$\$)", word)
    return "".join(one if at % 2 else one.replace("{", "{{").replace("}", "}}") for at, one in enumerate(parts))


# ── local paths ───────────────────────────────────────────────────────────────────────────────────
def local_path(word: str, command: CommandLine, machine: Machine) -> str:
    """The path, absolute or below `~/`."""
    word = word.removeprefix("file://")
    if word.startswith("${HOME}"):
        word = "~" + word.removeprefix("${HOME}")
    path = joined(command.directory, word)
    if path == "." or path.startswith(("./", "../")) or not path.startswith(("/", "~", "${")):
        path = joined(machine.directory, path)
    if path.startswith("~") and not path.startswith("~/") and path != "~":
        raise NotCarried("a path is in the home directory of another user: write the whole path")
    path = re.sub(r"/(?:\./)+|/{2,}", "/", path)
    return path if path in ("/", "~/") else path.rstrip("/")


def local_place(word: str, command: CommandLine, machine: Machine) -> LocalPlace:
    """The place of a path without shell patterns."""
    if re.search(r"[*?\[]", word):
        raise NotCarried("its source is a shell pattern: write a folder with include")
    return LocalPlace(local_path(word, command, machine))


def is_file(word: str, path: str, machine: Machine) -> bool:
    """Whether a path is one file: as found on this machine, else by its form."""
    if word.endswith(("/", "/.")) or word in (".", "..", "~"):
        return False
    text = plain_text(path)
    found = machine.is_file(text) if text else None
    if found is not None:
        return found
    return re.search(r"[^/.]\.[A-Za-z0-9]{1,8}\Z", path.rpartition("/")[2]) is not None and not path.endswith(".d")


# ── URLs ──────────────────────────────────────────────────────────────────────────────────────────
def is_web(word: str) -> bool:
    return _WEB.match(word) is not None


def web_place(url: str, headers: Mapping[str, str] | None = None, login: str = "") -> WebPlace:
    """The URL without its secrets. `login`: `user:password`, instead of that in the URL. Raises NotCarried."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise NotCarried("its source is no URL") from None
    if not host or re.search(r"\s", url):
        raise NotCarried("its source is no URL")
    scheme, rest = url[: len(parts.scheme)].lower(), url[len(parts.scheme) + 3 :]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    rest = rest[len(authority) :].partition("#")[0]
    name = re.sub(r"[^A-Z0-9]+", "_", host.upper()).strip("_") or "SOURCE"
    user, at, authority = authority.rpartition("@")
    secrets: dict[str, str] = {}
    found = {key: _header(name, key, value, secrets) for key, value in (headers or {}).items()}
    login = login or (user if at else "")
    username, _, password = login.partition(":")
    basic = (
        (_secret(username, f"{name}_USER", secrets), _secret(password, f"{name}_PASSWORD", secrets)) if login else None
    )
    path, mark, query = rest.partition("?")
    if mark:
        query = "&".join(_parameter(name, one, secrets) for one in query.split("&"))
    return WebPlace(f"{scheme}://{authority}{path}{mark}{query}", tuple(found.items()), basic, tuple(secrets.items()))


def _secret(text: str, name: str, secrets: dict[str, str]) -> str:
    """The reference that the text is already, or one to a variable of this name, which is added to `secrets`."""
    if re.fullmatch(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", text):
        return text
    return f"${{{variable_for(text, name, secrets)}}}"


def _header(host: str, key: str, value: str, secrets: dict[str, str]) -> str:
    if key.lower() in _HARMLESS_HEADERS:
        return value
    if re.fullmatch(r"(?:Bearer |Basic |token )?\$\{[A-Za-z_][A-Za-z0-9_]*\}", value):
        return value
    return _secret(value, f"{host}_{re.sub(r'[^A-Z0-9]+', '_', key.upper())}", secrets)


def _parameter(host: str, text: str, secrets: dict[str, str]) -> str:
    key, equals, value = text.partition("=")
    if not equals or not value or not _SECRET_PARAMETER.search(key):
        return text
    return f"{key}={_secret(value, host + '_' + re.sub(r'[^A-Z0-9]+', '_', key.upper()), secrets)}"
