"""What the command lines of the AWS CLI and s5cmd share.

Owns `s3://` URLs, the key of one source, the store of flags and variables, and flags with the same meaning. The modules
of the tools own their words, the other flags, and their rules for paths.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from mirrord.frozen import frozen
from mirrord.importing.filters import FilterPatterns, FilterRule
from mirrord.importing.flags import GivenFlags, hold_unknown
from mirrord.importing.remotes import provider_at, store_name
from mirrord.importing.values import (
    CopyOptions,
    ImportedStore,
    LocalPlace,
    NotCarried,
    ObjectPlace,
    Place,
    WebPlace,
)

OBJECT_FLAGS = {
    "--content-type": "content_type",
    "--cache-control": "cache_control",
    "--content-encoding": "content_encoding",
    "--content-disposition": "content_disposition",
    "--expires": "expires",
    "--storage-class": "storage_class",
    "--acl": "acl",
}
"""Flags with a value that is an option of the object."""
REMARKED_FLAGS = {
    "--no-verify-ssl": "mirrord always verifies certificates: name the authority in ca_file",
    "--request-payer": "set requester_pays: true at the store",
    "--force-glacier-transfer": "archived objects are not restored",
}


@frozen
class FlagMeanings:
    """What a tool's flags mean. A flag in none of these is passed to `other` with its value, "" if it has none."""

    object: Mapping[str, str]
    needless: frozenset[str]
    remarked: Mapping[str, str]
    held: Mapping[str, str]
    other: Callable[[str, str, CopyOptions], None]
    patterns: Callable[[Sequence[FilterRule]], FilterPatterns]
    """`include` and `exclude` of the rules "-" and "+" in order. Raises NotCarried."""


def copy_options(given: GivenFlags, meanings: FlagMeanings) -> CopyOptions:
    """The options of the flags of one command line."""
    options = CopyOptions()
    hold_unknown(given, options)
    for name, value in given.flags:
        if name in meanings.object:
            options.object[meanings.object[name]] = value or ""
        elif name in meanings.needless:
            options.needless.append(name)
        elif name in meanings.remarked:
            options.remarks.append(f"{name}: {meanings.remarked[name]}")
        elif name in meanings.held:
            options.holds.append(f"{name} {meanings.held[name]}")
        else:
            meanings.other(name, value or "", options)
    _encryption(given, options)
    rules = [
        ("-" if name == "--exclude" else "+", value or "")
        for name, value in given.flags
        if name in ("--exclude", "--include")
    ]
    try:
        options.include, options.exclude = meanings.patterns(rules)
    except NotCarried as error:
        options.holds.append(str(error))
    return options


def removals(verb: str, given: GivenFlags, options: CopyOptions) -> None:
    """`--delete`, and the verb `mv`."""
    if given.has("--delete"):
        options.entry["delete"] = "mirror"
    if verb == "mv":
        options.entry["after_upload"] = "delete"


def links(tool: str, source: Place, given: GivenFlags, options: CopyOptions) -> None:
    """The remark on symbolic links, for a source that is not one file."""
    if isinstance(source, LocalPlace) and not given.has("--no-follow-symlinks"):
        options.remarks.append(f"{tool} follows symbolic links in a folder, mirrord only with `follow_symlinks: true`")


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


def _encryption(given: GivenFlags, options: CopyOptions) -> None:
    """`--sse` and its key."""
    if mode := given.last("--sse"):
        key = given.last("--sse-kms-key-id")
        options.object["encryption"] = {"mode": mode, **({"kms_key_id": key} if key else {})}
