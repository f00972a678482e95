"""A frozen dataclass of `mirrord.frozen` is a value: equal by its fields, hashable, and mypy refuses to change it."""

from dataclasses import field, replace

import pytest

from mirrord.frozen import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    size: int
    note: str = field(default="", compare=False)


@dataclass(slots=True)
class State:
    size: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    size: int = 0


def test_a_frozen_class_is_a_value() -> None:
    one = Value(size=1, note="a")
    assert one == replace(one, note="b") != Value(size=2)
    assert {one, Value(size=1, note="b")} == {one}
    assert repr(one) == "Value(size=1, note='a')"


def test_mypy_refuses_to_change_it() -> None:
    """mypy reports a comment that ignores no error: without the refusal, `make lint` would fail here."""
    one = Value(size=1)
    one.size = 2  # type: ignore[misc]
    assert one.size == 2


def test_other_classes_stay_what_they_are() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(State())
    assert Identity() != Identity()
    assert len({Identity(), Identity()}) == 2
