"""`@frozen` makes the classes that `@dataclass(frozen=True, slots=True)` makes."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any

import pytest

from mirrord.frozen import frozen


@frozen
class Point:
    x: int
    y: int = 2


@frozen(kw_only=True)
class Shape:
    name: str
    secret: str = field(default="s", repr=False)
    seen: float = field(default=0.0, compare=False)
    tags: list[str] = field(default_factory=list)


@frozen(kw_only=True)
class Circle(Shape):
    radius: int

    @property
    def area(self) -> int:
        return 3 * self.radius**2


@frozen
class Empty:
    pass


@frozen
class Shown:
    x: int

    def __repr__(self) -> str:
        return "shown"


def same_by_stdlib(kind: type[Any]) -> type[Any]:
    body = {name: value for name, value in vars(Shape).items() if name in ("__annotations__", "__module__")}
    given = {
        "secret": field(default="s", repr=False),
        "seen": field(default=0.0, compare=False),
        "tags": field(default_factory=list),
    }
    return dataclass(frozen=True, slots=True, kw_only=True)(type(kind.__name__, (), body | given))


def test_it_is_as_a_dataclass_of_the_standard_library() -> None:
    other = same_by_stdlib(Shape)
    for given in ({"name": "a"}, {"name": "b", "secret": "t", "seen": 1.0, "tags": ["x"]}):
        mine, theirs = Shape(**given), other(**given)  # type: ignore[arg-type]
        assert repr(mine) == repr(theirs)
        assert asdict(mine) == asdict(theirs)
        assert [one.name for one in fields(mine)] == [one.name for one in fields(theirs)]
        assert replace(mine, name="c") == Shape(**given | {"name": "c"})  # type: ignore[arg-type]
    assert Shape.__slots__ == other.__slots__
    assert not hasattr(Shape(name="a"), "__dict__")


@pytest.mark.parametrize("wrong", [lambda: Point(), lambda: Point(1, 2, 3), lambda: Point(z=1), lambda: Shape("a")])
def test_wrong_arguments_are_type_errors(wrong: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"Point.__init__|Shape.__init__"):
        wrong()


def test_equal_values_are_equal_and_have_one_hash() -> None:
    assert Point(1) == Point(1, 2) != Point(1, 3)
    assert hash(Point(1)) == hash(Point(1, 2))
    assert len({Point(1), Point(1, 2), Point(2)}) == 2
    assert Empty() == Empty()
    assert hash(Empty()) == hash(Empty())
    assert Shape(name="a", seen=1.0) == Shape(name="a", seen=2.0)
    assert Shape(name="a") != Circle(name="a", radius=1)
    assert Point(1) != (1, 2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Shape(name="a"))  # its list


def test_each_instance_has_its_own_new_default() -> None:
    assert Shape(name="a").tags is not Shape(name="b").tags


def test_no_field_can_be_changed_or_deleted() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError, match="'x' of Point"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        point.other = 2  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError):
        del point.x
    assert point == Point(1)


def test_a_class_can_be_derived_and_has_its_own_methods() -> None:
    circle = Circle(name="c", radius=2, tags=["t"])
    assert (circle.area, circle.name, circle.tags) == (12, "c", ["t"])
    assert repr(circle) == "Circle(name='c', seen=0.0, tags=['t'], radius=2)"
    assert repr(Shown(1)) == "shown"
    assert Point.__match_args__ == ("x", "y")


def test_a_standard_frozen_dataclass_may_inherit() -> None:
    @dataclass(frozen=True, slots=True)
    class Colored(Point):
        color: str = "red"

    assert Colored(1) == Colored(1, 2, "red") != Colored(1, 2, "blue")
    with pytest.raises(FrozenInstanceError):
        Colored(1).x = 2  # type: ignore[misc]


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_are_equal(again: Callable[[Any], Any]) -> None:
    for one in (Point(1, 3), Circle(name="c", radius=2), Empty()):
        assert again(one) == one


def test_a_class_keeps_its_docstring_and_gets_none() -> None:
    @frozen
    class Documented:
        """What it is."""

    assert Documented.__doc__ == "What it is."
    assert Empty.__doc__ is None
