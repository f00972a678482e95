"""What a `sync` came to: counts, and each item that is not in sync with the reason why."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from mirrord.errors import Problem
from mirrord.model import Item, Outcome, State


@dataclass(frozen=True, slots=True)
class Left:
    """One item that is not in sync."""

    item: Item
    outcome: Outcome


@dataclass(slots=True)
class Report:
    """Filled while `sync` runs. `problems` are those of manifests that were left out; bytes are those stored."""

    problems: tuple[Problem, ...] = ()
    copied: int = 0
    unchanged: int = 0
    deleted: int = 0
    bytes: int = 0
    left: list[Left] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    """Folders that could not be read wholly, each with why."""
    duration: float = 0.0

    def add(self, item: Item, outcome: Outcome) -> None:
        """Count one item's outcome."""
        if outcome.copied is not None:
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
        """How many items and folders the run was about."""
        return self.copied + self.unchanged + self.deleted + len(self.left) + len(self.incomplete)

    @property
    def states(self) -> Mapping[State, int]:
        """How many items are not in sync, by state."""
        return Counter(left.outcome.state for left in self.left)

    @property
    def failed(self) -> bool:
        """Whether anything needs a person, or another try: Waiting and Suspended items do not."""
        quiet = {State.WAITING, State.SUSPENDED}
        return bool(self.incomplete) or any(state not in quiet for state in self.states)
