"""The command lines `aws s3 cp`, `sync` and `mv`.

Owns the meaning of their flags (AWS CLI Command Reference, `s3` and global options) and of their paths: without a slash
at its end, the target of one file is the whole key.
"""

import json
import re
from collections.abc import Mapping

from mirrord.importing.curl import fetched_by
from mirrord.importing.filters import of_aws
from mirrord.importing.flags import FlagTable, flag_names, given_flags
from mirrord.importing.places import checked_words, local_place, no_target
from mirrord.importing.remotes import CLIENT_KEY
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
    Machine,
    NotCarried,
    ObjectPlace,
    Place,
    WebPlace,
)

_OBJECT = OBJECT_FLAGS | {"--content-language": "content_language"}
_NEEDLESS = flag_names(
    "quiet only-show-errors no-progress size-only exact-timestamps no-paginate no-cli-pager debug "
    "page-size output query color cli-read-timeout cli-connect-timeout expected-size "
    "ignore-glacier-warnings checksum-algorithm checksum-mode progress-frequency progress-multiline "
    "cli-binary-format no-cli-auto-prompt no-guess-mime-type copy-props metadata-directive source-region"
)
_REMARKED = REMARKED_FLAGS | {
    "--grants": "grants are not carried over: mirrord has canned ACLs (object.acl)",
    "--website-redirect": "redirects of websites are not carried over",
}
_HELD: Mapping[str, str] = {
    "--dryrun": "copies nothing",
    **dict.fromkeys(("--sse-c", "--sse-c-key"), CLIENT_KEY),
    "--case-conflict": "decides about names that differ in case only",
}
_SWITCHES = flag_names(
    "recursive delete quiet only-show-errors no-progress dryrun follow-symlinks no-follow-symlinks "
    "size-only no-guess-mime-type exact-timestamps no-sign-request no-verify-ssl debug no-paginate "
    "no-cli-pager ignore-glacier-warnings force-glacier-transfer no-overwrite progress-multiline "
    "no-cli-auto-prompt"
)
_TABLE = FlagTable(
    values=(
        frozenset(_OBJECT)
        | _NEEDLESS
        | _REMARKED.keys()
        | _HELD.keys()
        | flag_names("sse sse-kms-key-id metadata exclude include endpoint-url region profile ca-bundle")
    )
    - _SWITCHES,
    switches=_SWITCHES,
    letters={},
)
_VERBS = frozenset({"cp", "sync", "mv"})


class AwsReader:
    """Reads the command lines of the AWS CLI."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def read(self, command: CommandLine) -> ImportedCopy:
        """The copy of one command. Raises NotCarried."""
        given = given_flags(_with_values(command.words[1:]), _TABLE)
        service, verb, *arguments = (
            *given.positional[:2],
            *[""] * (2 - len(given.positional[:2])),
            *given.positional[2:],
        )
        if service != "s3" or verb not in _VERBS:
            raise NotCarried("is no `aws s3 cp`, `sync` or `mv`: mirrord has no such command")
        checked_words(arguments)
        arguments = [resolved(word, command.variables) for word in arguments]
        if len(arguments) != 2:
            more = "; a flag that mirrord does not know may be the reason" if given.unknown else ""
            raise NotCarried(f"has not the source and target that the command needs{more}")
        options = copy_options(given, _MEANINGS)
        store = aws_store(given.last, command.variables, anonymous=given.has("--no-sign-request"))
        source = self._source(arguments[0], command, store)
        target = s3_place(arguments[1], store)
        if not isinstance(target, ObjectPlace):
            raise no_target(arguments[1])
        single = isinstance(source, WebPlace) or not (verb == "sync" or given.has("--recursive"))
        if single:
            target = with_name(target, source)
        else:
            source, target = source.below if isinstance(source, ObjectPlace) else source, target.below
        removals(verb, given, options)
        if not single:
            links("aws", source, given, options)
        return ImportedCopy(command, f"aws s3 {verb}", source, target, single, options)

    def _source(self, word: str, command: CommandLine, store: ImportedStore) -> Place:
        if word == "-":
            return fetched_by(command.piped_from)
        place = s3_place(word, store)
        return place if place is not None else local_place(word, command, self._machine)


def _with_values(words: tuple[str, ...]) -> list[str]:
    """`--sse` and `--sse-c` may stand without a value; `--grants` takes several."""
    made: list[str] = []
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else ""
        if word == "--sse" and following not in ("AES256", "aws:kms", "aws:kms:dsse"):
            made.append("--sse=AES256")
        elif word == "--sse-c" and following != "AES256":
            made.append("--sse-c=AES256")
        elif made and re.match(r"(?:read|readacl|writeacl|full)=", word) and "--grants" in made:
            made[:] = [*made, word] if made[-1] == "--grants" else made
        else:
            made.append(word)
    return made


def _other(name: str, value: str, options: CopyOptions) -> None:
    if name == "--no-overwrite":
        options.entry["overwrite"] = "never"
    elif name == "--follow-symlinks":
        options.entry["follow_symlinks"] = True
    elif name == "--metadata":
        options.object["metadata"] = _metadata(value, options)


def _metadata(text: str, options: CopyOptions) -> dict[str, str]:
    """`name=value,…`, or a JSON object."""
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return {str(name): str(value) for name, value in found.items()}
        options.holds.append("--metadata is not valid JSON")
        return {}
    pairs = [part.partition("=") for part in text.split(",")]
    return {name.strip(): value for name, _, value in pairs if name.strip()}


_MEANINGS = FlagMeanings(_OBJECT, _NEEDLESS, _REMARKED, _HELD, _other, of_aws)
