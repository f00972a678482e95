"""Results of programs that check every item: what `sync` and `plan` have in common, and the report of `sync`."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mirrord.errors import Problem
from mirrord.frozen import frozen
from mirrord.model import Item, Outcome, State

_NO_FAILURE = frozenset({State.WAITING, State.SUSPENDED})
"""States out of sync that are not failures."""


@frozen
class Left:
    """One item that is not in sync."""

    item: Item
    outcome: Outcome


@dataclass(slots=True)
class Result:
    """Filled while a program runs."""

    problems: tuple[Problem, ...] = ()
    """Problems of manifests that were left out."""
    unchanged: int = 0
    left: Sequence[Left] = ()
    """Items that are not in sync at the end: Blocked, Retrying, Waiting or Suspended."""
    guarded: int = 0
    """Further items, Blocked, whose deletion the prune guard refuses: of each entry, only the first is in `left`."""
    incomplete: list[str] = field(default_factory=list)
    """Folders and lists that could not be read completely, and bad rows of lists, each with the reason."""
    duration: float = 0.0
    """Seconds."""

    @property
    def states(self) -> Mapping[State, int]:
        """How many items are not in sync, by state."""
        states = Counter(left.outcome.state for left in self.left)
        if self.guarded:
            states[State.BLOCKED] += self.guarded
        return states

    @property
    def failed(self) -> bool:
        """Whether a folder or list is incomplete or an item is Blocked or Retrying."""
        return bool(self.incomplete) or any(left.outcome.state not in _NO_FAILURE for left in self.left)


@dataclass(slots=True)
class Report(Result):
    """The result of `sync`. `bytes` counts the bytes stored."""

    left: list[Left] = field(default_factory=list)
    copied: int = 0
    rewritten: int = 0
    """Objects of which only the options changed."""
    deleted: int = 0
    bytes: int = 0
    each: Callable[[Item, Outcome], None] | None = None
    """Called with each item."""

    def add(self, item: Item, outcome: Outcome) -> None:
        """Count one item's outcome."""
        if self.each is not None:
            self.each(item, outcome)
        if outcome.rewritten:
            self.rewritten += 1
        elif outcome.copied is not None:
            self.copied += 1
            self.bytes += 0 if outcome.copied.reused else outcome.copied.size
        elif outcome.pruned:
            self.deleted += 1
        elif outcome.state is State.SYNCED:
            self.unchanged += 1
        else:
            self.left.append(Left(item, outcome))

    @property
    def seen(self) -> int:
        """Number of items and folders of the run."""
        ended = self.copied + self.rewritten + self.unchanged + self.deleted
        return ended + len(self.left) + self.guarded + len(self.incomplete)
