"""s5cmd's command lines: `cp`, `mv`, `sync` and `pipe`, also the lines of a file for `s5cmd run`, without its name.

Owns the meaning of its flags (s5cmd README and `--help`, 2.3) and of its paths: `dir/` is the content of a directory,
`dir` the directory with its name, and `*` matches names.
"""

import re
from collections.abc import Callable, Mapping

from mirrord.importing.curl import fetched_by
from mirrord.importing.filters import of_wildcards
from mirrord.importing.flags import FlagTable, GivenFlags, flag_names, given_flags
from mirrord.importing.places import checked_words, is_file, local_path, no_target
from mirrord.importing.s3_commands import (
    OBJECT_FLAGS,
    REMARKED_FLAGS,
    FlagMeanings,
    aws_store,
    copy_options,
    links,
    removals,
    s3_place,
    with_name,
)
from mirrord.importing.shell import resolved
from mirrord.importing.values import (
    CommandLine,
    CopyOptions,
    ImportedCopy,
    ImportedStore,
    LocalPlace,
    Machine,
    NotCarried,
    ObjectPlace,
    Place,
    word_set,
)
from mirrord.importing.wrappers import program_of

_NEEDLESS_SWITCHES = flag_names(
    "json stat if-size-differ if-source-newer size-only show-progress sp raw ignore-glacier-warnings "
    "exit-on-error use-list-objects-v1"
)
_NEEDLESS_VALUES = flag_names(
    "log retry-count numworkers concurrency part-size credentials-file metadata-directive source-region"
)
_HELD: Mapping[str, str] = {
    "--dry-run": "copies nothing",
    "--flatten": 'drops directories from keys: write `key: "{name}"` of the folder',
    "--version-id": "names one version of an object",
    "--all-versions": "names all versions of an object",
}
_SWITCHES = flag_names(
    "delete no-clobber no-follow-symlinks no-sign-request no-verify-ssl force-glacier-transfer dry-run "
    "flatten all-versions"
)
_TABLE = FlagTable(
    values=(
        _NEEDLESS_VALUES
        | frozenset(OBJECT_FLAGS)
        | REMARKED_FLAGS.keys()
        | _HELD.keys()
        | flag_names(
    "endpoint-url profile exclude include sse sse-kms-key-id metadata destination-region "
    "region"
)
    )
    - _SWITCHES,
    switches=_NEEDLESS_SWITCHES | _SWITCHES,
    letters={
        "n": "--no-clobber", "s": "--if-size-differ", "u": "--if-source-newer", "f": "--flatten", "c": "--concurrency",
        "p": "--part-size", "r": "--retry-count",
    },
)  # fmt: skip
_VERBS = word_set("cp mv sync pipe")


class S5cmdReader:
    """Reads the command lines of s5cmd."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def read(self, command: CommandLine) -> ImportedCopy:
        """The copy of one command. Raises NotCarried."""
        words = command.words[1:] if program_of(command.words[0]) == "s5cmd" else command.words
        given = given_flags([_two_dashes(word) for word in words], _TABLE)
        verb, *arguments = given.positional or ("",)
        if verb == "run":
            raise NotCarried("runs the lines of a file: import that file too")
        if verb not in _VERBS:
            raise NotCarried("is no `s5cmd cp`, `mv`, `sync` or `pipe`: mirrord has no such command")
        checked_words(arguments)
        arguments = [resolved(word, command.variables) for word in arguments]
        if len(arguments) != (1 if verb == "pipe" else 2):
            raise NotCarried(
                "has not one source and one target: a shell may have expanded a pattern, or a flag is not known"
            )
        options = copy_options(given, _MEANINGS)
        store = aws_store(_located(given), command.variables, anonymous=given.has("--no-sign-request"))
        target = s3_place(arguments[-1], store)
        if target is None:
            raise no_target(arguments[-1])
        if verb == "pipe":
            return ImportedCopy(command, "s5cmd pipe", fetched_by(command.piped_from), target, True, options)
        source, target, single = self._ends(arguments[0], target, command, store)
        removals(verb, given, options)
        if not single:
            links("s5cmd", source, given, options)
        return ImportedCopy(command, f"s5cmd {verb}", source, target, single, options)

    def _ends(
        self, word: str, target: ObjectPlace, command: CommandLine, store: ImportedStore
    ) -> tuple[Place, ObjectPlace, bool]:
        """Source, target, and whether they are one file and one key."""
        if (place := s3_place(word, store)) is not None:
            return _stored(place, target)
        if re.search(r"[*?\[]", word):
            return self._matching(word, command), target.below, False
        path = local_path(word, command, self._machine)
        if is_file(word, path, self._machine):
            return LocalPlace(path), with_name(target, LocalPlace(path)), True
        below = target.below
        if not word.endswith("/") and path not in ("/", "~/", "~"):
            below = ObjectPlace(below.store, below.bucket, f"{below.key}{path.rpartition('/')[2]}/")
        return LocalPlace(path), below, False

    def _matching(self, word: str, command: CommandLine) -> LocalPlace:
        """`dir/*` is the folder, `dir/*.csv` some of its files."""
        directory, slash, pattern = word.rpartition("/")
        if re.search(r"[*?\[\\]", directory) or re.search(r"[\\\]\[?]|\*\*|\$", pattern):
            raise NotCarried("its source is a pattern for directories: write a folder with include")
        path = local_path(f"{directory}{slash}" or "./", command, self._machine)
        return LocalPlace(path, None if pattern == "*" else f"/{pattern}")


def _stored(source: ObjectPlace, target: ObjectPlace) -> tuple[Place, ObjectPlace, bool]:
    if "*" not in source.key and "?" not in source.key:
        single = bool(source.key) and not source.key.endswith("/")
        return source, with_name(target, source) if single else target.below, single
    if not re.fullmatch(r"[^*?]*/?\*", source.key) or not (source.key == "*" or source.key.endswith("/*")):
        raise NotCarried("its source is a pattern for keys: write a prefix")
    return ObjectPlace(source.store, source.bucket, source.key[:-1]), target.below, False


def _two_dashes(word: str) -> str:
    """s5cmd takes `-endpoint-url` like `--endpoint-url`."""
    return (
        f"-{word}"
        if re.match(r"-[a-z][a-z0-9]*(?:-[a-z0-9]+)+(?:=|$)|-(?:profile|json|stat|delete|exclude|acl)\b", word)
        else word
    )


def _located(given: GivenFlags) -> Callable[[str], str | None]:
    """The last value of a flag; the region of the target is that of the store."""
    return lambda name: given.last(name) or (given.last("--destination-region") if name == "--region" else None)


def _other(name: str, value: str, options: CopyOptions) -> None:
    if name == "--no-clobber":
        options.entry["overwrite"] = "never"
    elif name == "--metadata":
        key, _, text = value.partition("=")
        options.object.setdefault("metadata", {})[key] = text


_MEANINGS = FlagMeanings(
    OBJECT_FLAGS, _NEEDLESS_SWITCHES | _NEEDLESS_VALUES, REMARKED_FLAGS, _HELD, _other, of_wildcards
)
