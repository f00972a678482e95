"""The version of each manifest file that is in force when some files are bad or collide. Pure.

Owns the rules of a reload: each file counts by itself; of a bad file the last good version stays in force; if two
files collide, the changed one is bad, and at start the later one in order. `daemon.manifests` reads the files and
waits; the daemon runs the result of this module.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from types import MappingProxyType

from mirrord.errors import Problem
from mirrord.frozen import frozen
from mirrord.manifest.manifest import Loaded, Manifest, join
from mirrord.model import Item
from mirrord.planning.items.expand import Expansion, Overlap, expand, no_overlap


@frozen(kw_only=True)
class ManifestVersions:
    """The versions of one file: `good` is in force; `proposed` is the present content if it is valid by itself.

    `problems` are those of the present content; empty if `good` is the present content.
    """

    file: str
    good: Manifest | None = None
    proposed: Manifest | None = None
    problems: tuple[Problem, ...] = ()
    hidden_stores: bool = False
    """The present content is invalid, and may declare stores."""

    @property
    def hides_stores(self) -> bool:
        """Whether the present content may declare stores, which do not count while it is refused."""
        return self.hidden_stores or (self.proposed is not None and bool(self.proposed.document.stores))


@frozen
class Trial:
    """Some manifests joined and expanded."""

    loaded: Loaded
    expansion: Expansion

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*self.loaded.problems, *self.expansion.problems)


@frozen
class Trials:
    """Joins and expands manifests of `files`, with the environment and the directories of folders."""

    files: Sequence[ManifestVersions]
    environ: Mapping[str, str]
    overlap: Overlap = no_overlap
    known: Mapping[str, Item] = field(default_factory=dict)
    removed_stores: bool = False
    """A file that was deleted, and is none of `files`, declared stores."""

    def of(self, manifests: Iterable[Manifest | None]) -> Trial:
        """These manifests together, with their problems."""
        chosen = [one for one in manifests if one is not None]
        loaded = join(chosen, (), self.environ, hidden_stores=self._hidden({one.file for one in chosen}))
        return Trial(loaded, expand(loaded, self.overlap, self.known))

    def _hidden(self, chosen: Collection[str]) -> bool:
        """Whether a file that is not `chosen` may declare the store of entries that name none. Not if there are such
        entries in force without any declared store: a further bad file does not stop them."""
        good = [one.good.document for one in self.files if one.good is not None]
        runs = any(one.mirrors or one.folders for one in good) and not any(one.stores for one in good)
        bad = any(one.hides_stores for one in self.files if one.file not in chosen)
        return self.removed_stores or (bad and not runs)


@frozen(kw_only=True)
class InForce:
    """The manifests that the daemon runs: the files in order, with their merged stores, items and folders."""

    versions: tuple[ManifestVersions, ...]
    loaded: Loaded
    expansion: Expansion


def resolve(
    files: Sequence[ManifestVersions],
    environ: Mapping[str, str],
    overlap: Overlap = no_overlap,
    known: Mapping[str, Item] = MappingProxyType({}),
    *,
    removed_stores: bool = False,
) -> InForce:
    """Accept each proposed version that is valid with the others. The other files keep their last good version.

    `removed_stores`: as in `Trials`.
    """
    refused: dict[str, tuple[Problem, ...]] = {}
    trials = Trials(files, environ, overlap, known, removed_stores)
    while True:
        trial = trials.of(_chosen(one, refused) for one in files)
        bad = _by_file(trial.problems)
        with_proposal = {one.file for one in files if one.proposed is not None and one.file not in refused}
        if not bad.keys() <= with_proposal:
            return _one_by_one(files, trials)
        if not bad:
            return _result(files, refused, trial)
        refused |= bad


def _one_by_one(files: Sequence[ManifestVersions], trials: Trials) -> InForce:
    """A changed file made an unchanged one invalid. To find it, proposed versions are accepted one by one, in order,
    until no further one is valid together with those accepted."""
    refused = {one.file: one.problems for one in files if one.proposed is not None}
    accepted = True
    while accepted:
        accepted = False
        for one in [one for one in files if one.file in refused]:
            problems = _problems_with(one, files, refused, trials)
            if problems:
                refused[one.file] = problems
            else:
                del refused[one.file]
                accepted = True
    return _result(files, refused, trials.of(_chosen(one, refused) for one in files))


def _problems_with(
    one: ManifestVersions, files: Sequence[ManifestVersions], refused: Mapping[str, object], trials: Trials
) -> tuple[Problem, ...]:
    """The problems if one more proposed version is accepted. It is the last in order, so that a collision is reported
    at its position."""
    others = [_chosen(other, refused) for other in files if other is not one]
    trial = trials.of([*others, one.proposed])
    return tuple(_reported_in(one.file, problem) for problem in trial.problems)


def _reported_in(file: str, problem: Problem) -> Problem:
    """The problem, in `file`. A problem of another file is reported in `file`, which caused it."""
    if problem.file == file:
        return problem
    return Problem(file, 1, 1, "", f"this version is refused because of what it does to another file: {problem}")


def _chosen(one: ManifestVersions, refused: Mapping[str, object]) -> Manifest | None:
    return one.good if one.proposed is None or one.file in refused else one.proposed


def _by_file(problems: Iterable[Problem]) -> dict[str, tuple[Problem, ...]]:
    found: dict[str, tuple[Problem, ...]] = {}
    for problem in problems:
        found[problem.file] = (*found.get(problem.file, ()), problem)
    return found


def _result(files: Sequence[ManifestVersions], refused: Mapping[str, tuple[Problem, ...]], trial: Trial) -> InForce:
    versions = tuple(_next_versions(one, refused) for one in files)
    return InForce(versions=versions, loaded=trial.loaded, expansion=trial.expansion)


def _next_versions(one: ManifestVersions, refused: Mapping[str, tuple[Problem, ...]]) -> ManifestVersions:
    if one.file in refused:
        return replace(one, problems=refused[one.file])
    if one.proposed is not None:
        return replace(one, good=one.proposed, proposed=None, problems=())
    return one


def without_entries(manifest: Manifest) -> Manifest:
    """The manifest of a deleted file whose stores other files still use: it has no entries."""
    document = manifest.document.model_copy(update={"mirrors": (), "folders": ()})
    return replace(manifest, document=document)
