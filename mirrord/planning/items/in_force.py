"""Which version of each manifest file is in force, when some are bad or collide. Pure.

Owns SPEC section 2, "Reload": each file stands for itself; a bad one keeps its last good version in force; when two
files collide, the one that changed is the bad one, and at start the later in order. `daemon.manifests` reads the files
and waits; what comes out here is what the daemon runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from mirrord.errors import Problem
from mirrord.manifest.manifest import Loaded, Manifest, join
from mirrord.model import Item
from mirrord.planning.items.expand import Expansion, Overlap, expand, no_overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestVersions:
    """One file: `good` is what is in force of it, `candidate` what it says now if that is lawful by itself.

    `problems` are those of what it says now; empty when `good` is what it says.
    """

    file: str
    good: Manifest | None = None
    candidate: Manifest | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """Some manifests together."""

    loaded: Loaded
    expansion: Expansion

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*self.loaded.problems, *self.expansion.problems)


@dataclass(frozen=True, slots=True)
class Trials:
    """What manifests are judged by, beside each other: the environment, and where folders stand."""

    environ: Mapping[str, str]
    overlap: Overlap = no_overlap
    known: Mapping[str, Item] = field(default_factory=dict)

    def __call__(self, manifests: Iterable[Manifest | None]) -> Trial:
        """These manifests together, and what is wrong with them."""
        loaded = join([one for one in manifests if one is not None], (), self.environ)
        return Trial(loaded, expand(loaded, self.overlap, self.known))


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What the daemon runs: the files in order, and everything that they ask for together."""

    versions: tuple[ManifestVersions, ...]
    loaded: Loaded
    expansion: Expansion


def resolve(
    files: Sequence[ManifestVersions],
    environ: Mapping[str, str],
    overlap: Overlap = no_overlap,
    known: Mapping[str, Item] = MappingProxyType({}),
) -> InForce:
    """Admit every candidate that is sound beside the others; the rest keep their last good version."""
    refused: dict[str, tuple[Problem, ...]] = {}
    judge = Trials(environ, overlap, known)
    while True:
        trial = judge(_chosen(one, refused) for one in files)
        bad = _by_file(trial.problems)
        candidates = {one.file for one in files if one.candidate is not None and one.file not in refused}
        if not bad.keys() <= candidates:
            return _one_by_one(files, judge)
        if not bad:
            return _result(files, refused, trial)
        refused |= bad


def _one_by_one(files: Sequence[ManifestVersions], judge: Trials) -> InForce:
    """A changed file broke one that did not change: find out which, by admitting candidates in order, until no more
    fits beside those that did."""
    refused = {one.file: one.problems for one in files if one.candidate is not None}
    admitted = True
    while admitted:
        admitted = False
        for one in [one for one in files if one.file in refused]:
            problems = _problems_with(one, files, refused, judge)
            if problems:
                refused[one.file] = problems
            else:
                del refused[one.file]
                admitted = True
    return _result(files, refused, judge(_chosen(one, refused) for one in files))


def _problems_with(
    one: ManifestVersions, files: Sequence[ManifestVersions], refused: Mapping[str, object], judge: Trials
) -> tuple[Problem, ...]:
    """What is wrong if one more candidate is admitted. It is judged last: what collides is found at its place."""
    others = [_chosen(other, refused) for other in files if other is not one]
    trial = judge([*others, one.candidate])
    return tuple(_blamed(one.file, problem) for problem in trial.problems)


def _blamed(file: str, problem: Problem) -> Problem:
    """A problem that shows in another file is reported where its cause is."""
    if problem.file == file:
        return problem
    return Problem(file, 1, 1, "", f"this version is refused because of what it does to another file: {problem}")


def _chosen(one: ManifestVersions, refused: Mapping[str, object]) -> Manifest | None:
    return one.good if one.candidate is None or one.file in refused else one.candidate


def _by_file(problems: Iterable[Problem]) -> dict[str, tuple[Problem, ...]]:
    found: dict[str, tuple[Problem, ...]] = {}
    for problem in problems:
        found[problem.file] = (*found.get(problem.file, ()), problem)
    return found


def _result(files: Sequence[ManifestVersions], refused: Mapping[str, tuple[Problem, ...]], trial: Trial) -> InForce:
    versions = tuple(_after(one, refused) for one in files)
    return InForce(versions=versions, loaded=trial.loaded, expansion=trial.expansion)


def _after(one: ManifestVersions, refused: Mapping[str, tuple[Problem, ...]]) -> ManifestVersions:
    if one.file in refused:
        return replace(one, problems=refused[one.file])
    if one.candidate is not None:
        return replace(one, good=one.candidate, candidate=None, problems=())
    return one


def without_entries(manifest: Manifest) -> Manifest:
    """What stays of a file that is gone while others still use its stores: no entries."""
    document = manifest.document.model_copy(update={"mirrors": (), "folders": ()})
    return replace(manifest, document=document)
