"""A method of an observer with a variant for each type of event, as `functools.singledispatchmethod`.

That one builds a new wrapper for each call (5 us on Python 3.11), and each object that is copied has several events for
several observers. Here the type of the event is looked up in one dict. A variant is for exactly the annotated type.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, get_args, get_type_hints

from mirrord.events import Event

Variant = TypeVar("Variant", bound=Callable[..., None])


class EventMethod:
    """`@EventMethod` on the default, then `@name.register` on each variant, whose annotation is one type or a union."""

    def __init__(self, default: Callable[..., None]) -> None:
        self._default = default
        self._variants: dict[type[Event], Callable[..., None]] = {}

    def register(self, variant: Variant) -> Variant:
        """Use `variant` for events of the type that its parameter is annotated with."""
        (annotated,) = (kind for name, kind in get_type_hints(variant).items() if name != "return")
        for one in get_args(annotated) or (annotated,):
            self._variants[one] = variant
        return variant

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    def __get__(self, observer: object, owner: type[Any]) -> Callable[[Event], None]:
        """The method, which the observer keeps."""
        method: Callable[[Event], None] = partial(self._call, observer)
        vars(observer)[self._name] = method
        return method

    def _call(self, observer: object, event: Event) -> None:
        self._variants.get(type(event), self._default)(observer, event)
