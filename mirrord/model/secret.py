"""A secret of a manifest or of the environment: a text that no output contains by accident.

Owns what a secret shows. Passwords, tokens, keys, values of headers, URLs of proxies and receivers have this type from
the manifest on; an adapter reveals them where it makes a request. The URLs of sources are `Url`s, and are shown by
`addresses.shown`.
"""

from collections.abc import Mapping

HIDDEN = "[secret]"


class Secret:
    """`reveal()` is the text. `str`, `repr`, `format` and a traceback's local variables show `[secret]`; JSON, pickle
    and the joining of texts refuse it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, for the request that needs it."""
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._text)  # an empty token protects nothing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, _known: object) -> "Secret":
        return self  # for `dataclasses.asdict`

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written to a file")


def secret_of(text: str | None) -> Secret | None:
    """The text as a secret; None: there is none."""
    return None if text is None else Secret(text)


def revealed(fields: Mapping[str, Secret]) -> dict[str, str]:
    """The headers of a request."""
    return {name: value.reveal() for name, value in fields.items()}
