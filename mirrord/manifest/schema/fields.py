"""The types of a manifest's scalars that are quantities or words, each with its JSON Schema; `texts` has the others.

Owns the values that a scalar may have, and the messages about others. A message never holds the value, which may be a
secret: `report` replaces `{quoted}` in it by the raw text of the scalar.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mirrord import units
from mirrord.manifest.schema.hints import NO_OTHERS, PROVIDERS, suggestion
from mirrord.manifest.syntax.scalars import BooleanWord, resolved
from mirrord.model import TLS_VERSIONS, ChecksumKind, Drift, Notice, Overwrite, ProviderName
from mirrord.providers import Provider
from mirrord.settings import LEAST_MEMORY, LOG_FORMATS, LOG_LEVELS, MOST_CONNECTIONS, MOST_TRANSFERS
from mirrord.units import GiB, TiB

REFUSED = "mirrord"
"""The pydantic error type of all refusals of this module."""


def refuse(message: str) -> PydanticCustomError:
    """A refusal. `{quoted}` in `message` becomes the scalar as it is written in the file."""
    return PydanticCustomError(REFUSED, message)


def as_text(value: object, expected: str) -> str:
    """The value if it is text. Raises a refusal with `expected` otherwise."""
    if isinstance(value, str):
        return value
    if isinstance(value, BooleanWord):
        raise refuse("{quoted} is a boolean to some and text to others; write true or false, or put it in quotes")
    raise refuse(f"{{quoted}} is not {expected}")


@dataclass(frozen=True, slots=True, eq=False)
class ScalarType:
    """How one type of scalar is read, and its JSON Schema for editors."""

    read: Callable[[object], Any]
    schema: dict[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────
def read_flag(value: object) -> bool:
    """The boolean value of a scalar. Raises a refusal if it is not a boolean."""
    value = resolved(value)
    if isinstance(value, bool):
        return value
    raise refuse("{quoted} is not a boolean; write true or false, without quotes")


Flag = Annotated[bool, ScalarType(read_flag, {"type": "boolean"})]


def _count(low: int, high: int) -> ScalarType:
    def check(value: object) -> int:
        value = resolved(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise refuse("{quoted} is not a whole number; write digits, without quotes")
        if not low <= value <= high:
            raise refuse(f"{{quoted}} is out of bounds; between {low:,} and {high:,}")
        return value

    return ScalarType(check, {"type": "integer", "minimum": low, "maximum": high})


Version = Annotated[int, _count(1, 1)]
TransferCount = Annotated[int, _count(1, MOST_TRANSFERS)]
ConnectionCount = Annotated[int, _count(1, MOST_CONNECTIONS)]
PartConcurrency = Annotated[int, _count(1, 64)]
RedirectCount = Annotated[int, _count(0, 50)]


def _positive(value: object) -> float:
    value = resolved(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e6:
        raise refuse("{quoted} is not a positive number")
    return float(value)


Positive = Annotated[float, ScalarType(_positive, {"type": "number", "exclusiveMinimum": 0, "maximum": 1e6})]


_SIZE = r"^\d+(\.\d+)?\s*(B|KiB|MiB|GiB|TiB|KB|kB|MB|GB|TB)?$"


def _size(low: int, high: int, *words: str) -> ScalarType:
    """A size in bytes between two bounds, or one of `words`, which all mean None: mirrord chooses the size."""

    def check(value: object) -> int | None:
        value = resolved(value)
        if isinstance(value, str) and value in words:
            return None
        try:
            size = units.parse_size(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else -1
        except ValueError:
            size = -1
        if size < 0:
            also = "".join(f" or {word}" for word in words)
            raise refuse("{quoted} is not a size; write it like 64MiB or 10GB" + also)
        if not low <= size <= high:
            bounds = f"between {units.format_size(low)} and {units.format_size(high)}"
            raise refuse(f"{{quoted}} is out of bounds; {bounds}")
        return size

    shapes = [{"type": "string", "pattern": _SIZE}, {"type": "integer", "minimum": low, "maximum": high}]
    return ScalarType(check, {"anyOf": [*({"const": one} for one in words), *shapes]})


_LARGEST_OBJECT = 50 * TiB  # above the 48.8 TiB that AWS stores
MemoryLimit = Annotated[int, _size(LEAST_MEMORY, 1024 * GiB)]
MaxSize = Annotated[int, _size(1, _LARGEST_OBJECT)]
_S3 = Provider(name=ProviderName.GENERIC)
"""The limits of S3. The limits of a store apply later, when a transfer is divided into parts."""
Threshold = Annotated[int | None, _size(0, _S3.max_put, "auto")]
PartSize = Annotated[int | None, _size(_S3.min_part, _S3.max_part, "auto")]


def read_rate(value: object) -> int:
    """Bytes a second. Raises a refusal."""
    text = as_text(value, "a rate; write a size a second, like 20MiB/s")
    try:
        rate = units.parse_rate(text)
    except ValueError:
        raise refuse("{quoted} is not a rate; write a size a second, like 20MiB/s") from None
    if rate < 1:
        raise refuse("{quoted} is out of bounds; at least 1B/s")
    return rate


RATE_SCHEMA: dict[str, Any] = {"type": "string", "pattern": _SIZE.replace("$", "/s$")}
ByteRate = Annotated[int, ScalarType(read_rate, RATE_SCHEMA)]


_LONGEST = 10 * 366 * 86400.0


def _duration(low: float, *, never: bool = False) -> ScalarType:
    expected = "a duration; write it like 90s, 6h or 30d" + (", or never" if never else "")

    def check(value: object) -> float | None:
        text = as_text(value, expected)
        if never and text == "never":
            return None
        try:
            seconds = units.parse_duration(text)
        except ValueError:
            raise refuse(f"{{quoted}} is not {expected}") from None
        if not low <= seconds <= _LONGEST:
            raise refuse(f"{{quoted}} is out of bounds; from {units.format_duration(low)} to 10 years")
        return seconds

    shape = {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$"}
    return ScalarType(check, {"anyOf": [{"const": "never"}, shape]} if never else shape)


Duration = Annotated[float, _duration(0.001)]
Pause = Annotated[float, _duration(0.0)]
BeatInterval = Annotated[float, _duration(1.0)]
Every = Annotated[float | None, _duration(0.1, never=True)]
StaleAfter = Annotated[float | None, _duration(3600.0, never=True)]


def _percent(value: object) -> float:
    text = as_text(value, "a percentage; write it like 50%")
    number = text.removesuffix("%")
    if not re.fullmatch(r"\d{1,3}(\.\d+)?%", text) or float(number) > 100:
        raise refuse("{quoted} is not a percentage; write it like 50%")
    return float(number)


Percent = Annotated[float, ScalarType(_percent, {"type": "string", "pattern": r"^\d{1,3}(\.\d+)?%$"})]


# ── words ─────────────────────────────────────────────────────────────────────────────────────────
def word(words: Sequence[str], make: Callable[[str], Any] = str, others: Mapping[str, str] = NO_OTHERS) -> ScalarType:
    """One of a few words. A message suggests a similar word, or the word for one of `others`. `make` converts the word
    to the value of the field."""
    known = [str(one) for one in words]

    def check(value: object) -> Any:
        text = as_text(value, "one of " + ", ".join(known))
        if text not in known:
            raise refuse("{quoted} is not one of " + ", ".join(known) + suggestion(text, known, others))
        return make(text)

    return ScalarType(check, {"enum": known})


_MODES = {"sses3": "AES256", "aes": "AES256", "s3": "AES256", "ssekms": "aws:kms", "kms": "aws:kms"}
_MODES |= dict.fromkeys(("ssec", "c", "customer"), "SSE-C")
_UNSUPPORTED_MODES = frozenset({"awskmsdsse", "dsse"})
_MODE = word(["AES256", "aws:kms", "SSE-C"], others=_MODES)


def _encryption(value: object) -> Any:
    text = value.lower() if isinstance(value, str) else ""
    if "".join(character for character in text if character.isalnum()) in _UNSUPPORTED_MODES:
        raise refuse("{quoted} is not supported (docs/s3-features.md); one of AES256, aws:kms, SSE-C")
    return _MODE.read(value)


_ENCRYPTION = ScalarType(_encryption, _MODE.schema)
ProviderWord = Annotated[ProviderName, word(list(ProviderName), ProviderName, PROVIDERS)]
DriftWord = Annotated[Drift, word(list(Drift), Drift)]
OverwriteWord = Annotated[Overwrite, word(list(Overwrite), Overwrite)]
ChecksumWord = Annotated[str, word(["auto", *ChecksumKind])]
LogFormat = Annotated[str, word(LOG_FORMATS)]
LogLevel = Annotated[str, word(LOG_LEVELS)]
EventName = Annotated[Notice, word(list(Notice), Notice)]
Addressing = Annotated[str, word(["auto", "path", "virtual"])]
Wire = Annotated[str, word(["auto", "sdk"])]
TlsVersion = Annotated[str, word(TLS_VERSIONS)]
Signing = Annotated[str, word(["auto", "always", "never"])]
EncryptionMode = Annotated[str, _ENCRYPTION]
LockMode = Annotated[str, word(["GOVERNANCE", "COMPLIANCE"])]
VerifyMode = Annotated[str, word(["store", "readback"])]
WatchMode = Annotated[str, word(["auto", "events", "poll"])]
DeleteMode = Annotated[str, word(["keep", "mirror"])]
AFTER = word(["keep", "delete"])
AfterUploadWord = Annotated[str, AFTER]
