"""The command lines `aws s3 cp`, `sync` and `mv`.

Owns the meaning of their flags (AWS CLI Command Reference, `s3` and global options) and of their paths: without a slash
at its end, the target of one file is the whole key.
"""

import json
import re
from collections.abc import Callable, Mapping

from mirrord.importing.curl import fetched_by
from mirrord.importing.filters import of_aws
from mirrord.importing.flags import FlagTable, GivenFlags, flag_names, given_flags, hold_unknown
from mirrord.importing.places import checked_words, local_place, no_target
from mirrord.importing.remotes import provider_at, store_name
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
    WebPlace,
)

_OBJECT = {
    "--content-type": "content_type",
    "--cache-control": "cache_control",
    "--content-encoding": "content_encoding",
    "--content-language": "content_language",
    "--content-disposition": "content_disposition",
    "--expires": "expires",
    "--storage-class": "storage_class",
    "--acl": "acl",
}
_NEEDLESS = flag_names(
    "quiet only-show-errors no-progress size-only exact-timestamps no-paginate no-cli-pager debug "
    "page-size output query color cli-read-timeout cli-connect-timeout expected-size "
    "ignore-glacier-warnings checksum-algorithm checksum-mode progress-frequency progress-multiline "
    "cli-binary-format no-cli-auto-prompt no-guess-mime-type copy-props metadata-directive source-region"
)
_REMARKED: Mapping[str, str] = {
    "--no-verify-ssl": "mirrord always verifies certificates: name the authority in ca_file",
    "--grants": "grants are not carried over: mirrord has canned ACLs (object.acl)",
    "--website-redirect": "redirects of websites are not carried over",
    "--request-payer": "requester pays is not carried over",
    "--force-glacier-transfer": "archived objects are not restored",
}
_HELD: Mapping[str, str] = {
    "--dryrun": "copies nothing",
    "--sse-c": "encrypts with a key of the client, which mirrord does not",
    "--sse-c-key": "encrypts with a key of the client, which mirrord does not",
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
        options = _options(given)
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
        if given.has("--delete"):
            options.entry["delete"] = "mirror"
        if verb == "mv":
            options.entry["after_upload"] = "delete"
        if isinstance(source, LocalPlace) and not single and not given.has("--no-follow-symlinks"):
            options.remarks.append("aws follows symbolic links in a folder, mirrord only with `follow_symlinks: true`")
        return ImportedCopy(command, f"aws s3 {verb}", source, target, single, options)

    def _source(self, word: str, command: CommandLine, store: ImportedStore) -> Place:
        if word == "-":
            return fetched_by(command.piped_from)
        place = s3_place(word, store)
        return place if place is not None else local_place(word, command, self._machine)


def s3_place(word: str, store: ImportedStore) -> ObjectPlace | None:
    """The place of an `s3://` URL; None for another word."""
    if not word.startswith("s3://"):
        return None
    bucket, _, key = word.removeprefix("s3://").partition("/")
    if bucket.startswith("arn:") or not bucket:
        raise NotCarried("it names an access point, or no bucket")
    return ObjectPlace(store, bucket, key)


def with_name(target: ObjectPlace, source: Place) -> ObjectPlace:
    """The key of one source: below a slash it has the name of the source."""
    if target.key and not target.key.endswith("/"):
        return target
    if isinstance(source, WebPlace):
        raise NotCarried("it names no key")
    name = source.path.rpartition("/")[2] if isinstance(source, LocalPlace) else source.key.rpartition("/")[2]
    return ObjectPlace(target.store, target.bucket, target.key + name)


def aws_store(last: Callable[[str], str | None], variables: Mapping[str, str], *, anonymous: bool) -> ImportedStore:
    """The store of the flags and variables that the AWS CLI and s5cmd share."""
    endpoint = last("--endpoint-url") or next(
        (
            variables[name]
            for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "S3_ENDPOINT_URL")
            if name in variables
        ),
        None,
    )
    profile = last("--profile") or variables.get("AWS_PROFILE")
    region = last("--region") or variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION")
    fields = {
        "endpoint_url": endpoint,
        "region": region,
        "ca_file": last("--ca-bundle") or variables.get("AWS_CA_BUNDLE"),
    }
    credentials: tuple[tuple[str, object], ...] = ()
    comments: tuple[str, ...] = ()
    if anonymous:
        credentials = (("anonymous", True),)
    elif profile:
        credentials = (("profile", profile),)
    elif "AWS_SECRET_ACCESS_KEY" in variables:
        comments = ("keys are not copied: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for mirrord",)
    host = re.sub(r"^https?://|[:/].*$", "", endpoint or "")
    wish = profile or (host if host and "$" not in host else "s3" if endpoint else "aws")
    return ImportedStore(
        name=store_name(wish),
        provider=provider_at(endpoint),
        fields=tuple((name, value) for name, value in fields.items() if value),
        credentials=credentials,
        comments=comments,
    )


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


def _options(given: GivenFlags) -> CopyOptions:
    options = CopyOptions()
    hold_unknown(given, options)
    for name, value in given.flags:
        if name in _OBJECT:
            options.object[_OBJECT[name]] = value or ""
        elif name in _NEEDLESS:
            options.needless.append(name)
        elif name in _REMARKED:
            options.remarks.append(f"{name}: {_REMARKED[name]}")
        elif name in _HELD:
            options.holds.append(f"{name} {_HELD[name]}")
        elif name == "--no-overwrite":
            options.entry["overwrite"] = "never"
        elif name == "--follow-symlinks":
            options.entry["follow_symlinks"] = True
        elif name == "--metadata":
            options.object["metadata"] = _metadata(value or "", options)
    encryption(given, options)
    rules = [
        ("-" if name == "--exclude" else "+", value or "")
        for name, value in given.flags
        if name in ("--exclude", "--include")
    ]
    try:
        options.include, options.exclude = of_aws(rules)
    except NotCarried as error:
        options.holds.append(str(error))
    return options


def encryption(given: GivenFlags, options: CopyOptions) -> None:
    """`--sse` and its key."""
    if mode := given.last("--sse"):
        key = given.last("--sse-kms-key-id")
        options.object["encryption"] = {"mode": mode, **({"kms_key_id": key} if key else {})}


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
