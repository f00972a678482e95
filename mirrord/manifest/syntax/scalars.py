"""The value of one YAML scalar: references `${…}` are replaced, then the core types of YAML 1.2 are read.

Owns interpolation and the reading of plain scalars. Other forms of YAML 1.1 (FIELD_NOTES 15) are not converted: `014`,
`1_000`, `12:30:45` and dates are text; an unquoted `yes`, `no`, `on` or `off` is an error. Keeps no secret: a message
about a fault shows the raw text of the scalar.
"""

import os
import re
from collections.abc import Mapping

from mirrord.frozen import frozen
from mirrord.manifest.files import read_file

_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)\}|\$\{|\$(?P<bare>[A-Za-z_][A-Za-z0-9_]*)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})")
_BASED = re.compile(r"0o[0-7]{1,20}|0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_AMBIGUOUS = frozenset(form for word in ("yes", "no", "on", "off") for form in (word, word.title(), word.upper()))
_FILE_LIMIT = 1024 * 1024  # bytes; for secrets and tokens
_SUBSTITUTE = "unset-"
_LONGEST_NUMBER = 40  # characters


class ReferenceText(str):
    """The text of a plain scalar that is one `${…}` and nothing else: it is read as the type of the field."""

    __slots__ = ()


class FaultyValue:
    """The value of a faulty scalar. No field accepts it, so the scalar is left out and causes no further fault."""


@frozen
class BooleanWord:
    """A plain `yes`, `no`, `on` or `off`: a boolean in YAML 1.1, text in YAML 1.2; here it is neither."""

    text: str


def core_value(text: str) -> object:
    """The value of a plain scalar: None, bool, int, float, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if text in _AMBIGUOUS:
        return BooleanWord(text)
    if len(text) > _LONGEST_NUMBER or text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


def resolved(value: object) -> object:
    """For fields that are not text: a ReferenceText is read as a plain scalar, any other value is returned
    unchanged."""
    return core_value(str(value)) if isinstance(value, ReferenceText) else value


class BareReference(ValueError):
    """`$NAME` without braces. `name` is not in the message: in a password it would be a part of the secret."""

    def __init__(self, name: str) -> None:
        super().__init__("a reference without braces; write ${NAME}, and $$ for a dollar sign")
        self.name = name


@frozen
class InterpolatedText:
    """The text of a scalar with its references replaced. `whole`: the scalar is one `${…}`. `unset`: a reference had no
    value and was replaced by a substitute."""

    text: str
    whole: bool = False
    unset: bool = False


class Interpolation:
    """Replaces `${VAR}`, `${VAR:-default}`, `${file:/path}` and `$$` for one manifest file.

    `seen_files` holds what was read through `${file:…}`, for the manifest's digest. `unset`: a value was missing, which
    `allow_unset` allowed. With `only`, references in all other sections of the file are not replaced.
    """

    def __init__(
        self, environ: Mapping[str, str], directory: str, *, allow_unset: bool = False, only: str | None = None
    ) -> None:
        self._environ = environ
        self._directory = directory
        self._allow_unset = allow_unset
        self._only = only
        self.seen_files: dict[str, str] = {}
        self.unset = False

    def fill(self, text: str, section: str = "") -> InterpolatedText:
        """The text with all references replaced. ValueError with a message that holds no value."""
        if "$" not in text or self._only not in (None, section):
            return InterpolatedText(text)
        unset = False

        def replace(match: re.Match[str]) -> str:
            nonlocal unset
            if match[0] == "$$":
                return "$"
            if match["bare"] is not None:
                raise BareReference(match["bare"])
            if match[1] is None:
                raise ValueError("a ${ without its }; write $$ for a dollar sign")
            value = self._value(match[1])
            if value is None:
                unset = self.unset = True
                return _substitute(match[1])
            return value

        filled = _REFERENCE.sub(replace, text)
        first = _REFERENCE.match(text)
        whole = first is not None and first[1] is not None and first.end() == len(text)
        return InterpolatedText(filled, whole, unset)

    def _value(self, reference: str) -> str | None:
        if reference.startswith("file:"):
            return self._file(reference.removeprefix("file:"))
        name, dash, default = reference.partition(":-")
        if not _NAME.fullmatch(name) or "${" in default:
            raise ValueError(
                "not a reference; write ${VAR}, ${VAR:-default} or ${file:/path}, and $$ for a dollar sign"
            )
        value = self._environ.get(name)
        if value is None and not dash and not self._allow_unset:
            raise ValueError(f"the variable {name} is not set; set it, or write ${{{name}:-default}}")
        return (value or default) if dash else value

    def _file(self, path: str) -> str | None:
        if path not in self.seen_files:
            try:
                location = os.path.join(self._directory, os.path.expanduser(path))
                self.seen_files[path] = _secret(read_file(location, _FILE_LIMIT))
            except OSError as error:
                if self._allow_unset:
                    return None
                raise ValueError(f"the file {path} cannot be read: {error.strerror}") from None
        return self.seen_files[path]


def _secret(content: bytes) -> str:
    if len(content) > _FILE_LIMIT:
        raise ValueError(f"the file of a ${{file:…}} is larger than {_FILE_LIMIT // (1024 * 1024)} MiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError("the file of a ${file:…} is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


def _substitute(reference: str) -> str:
    """Text in place of an unknown value: valid as a bucket, a host or a key, and different for each variable."""
    return _SUBSTITUTE + re.sub(r"[^a-z0-9]+", "-", reference.lower()).strip("-")


def is_substitute(text: str | None) -> bool:
    """Whether this is the text of a value that is only an unset reference."""
    return text is not None and text.startswith(_SUBSTITUTE)
