"""rclone's command lines: `copy`, `copyto`, `sync`, `move`, `moveto`, `copyurl` and `rcat`.

Owns the meaning of its flags (rclone docs, "Global Flags") and of its paths: `remote:path`, `:s3,option=value:path`,
and local ones. `rclone_flags` has the tables.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from mirrord.importing import rclone_flags as known
from mirrord.importing.curl import fetched_by
from mirrord.importing.filters import FilterRule, of_rclone
from mirrord.importing.flags import GivenFlags, given_flags, hold_unknown
from mirrord.importing.places import (
    checked_words,
    is_file,
    is_web,
    local_path,
    local_place,
    template,
    web_place,
)
from mirrord.importing.remotes import (
    HELD_OPTIONS,
    Remote,
    Remotes,
    object_options,
    remotes_of_variables,
    store_of_remote,
    unknown_options,
    unknown_web_options,
    web_headers_of,
)
from mirrord.importing.shell import resolved
from mirrord.importing.values import (
    CommandLine,
    CopyOptions,
    ImportedCopy,
    ImportedList,
    LocalPlace,
    Machine,
    NotCarried,
    ObjectPlace,
    Place,
    WebPlace,
)

_REMOTE = re.compile(
    r"(?P<name>:?[\w.+@ ${}-]+)(?P<options>(?:,\w+(?:=(?:\"[^\"]*\"|'[^']*'|[^:,]*))?)*):(?P<path>.*)", re.DOTALL
)
_OPTION = re.compile(r",(\w+)(?:=(\"[^\"]*\"|'[^']*'|[^:,]*))?")
_COPIES = frozenset({"copy", "copyto", "sync", "move", "moveto"})
_DEEPEST = 8
"""Aliases of aliases."""
_HEADERS = {
    "cache-control": "cache_control",
    "content-type": "content_type",
    "content-disposition": "content_disposition",
    "content-encoding": "content_encoding",
    "content-language": "content_language",
    "x-amz-storage-class": "storage_class",
    "x-amz-acl": "acl",
}


class RcloneReader:
    """Reads the command lines of rclone, with the remotes of the input."""

    def __init__(self, remotes: Remotes, machine: Machine) -> None:
        self._remotes = remotes
        self._machine = machine
        self.used: set[str] = set()
        """The names of the remotes that commands name."""

    def read(self, command: CommandLine) -> ImportedCopy | ImportedList:
        """The copy of one command. Raises NotCarried."""
        given = given_flags([*_flags_of_variables(command.variables), *command.words[1:]], known.TABLE)
        if not given.positional:
            raise NotCarried("names no command of rclone")
        verb, *arguments = given.positional
        if verb in ("copyurl", "rcat", *_COPIES):
            checked_words([verb, *arguments])
            arguments = [resolved(word, command.variables) for word in arguments]
            options = self._options(given)
            if verb == "copyurl":
                return self._copyurl(command, given, arguments, options)
            if verb == "rcat":
                return self._rcat(command, given, arguments, options)
            return self._copy(command, given, (verb, arguments), options)
        reason = known.OTHER_COMMANDS.get(verb, "is no copy: mirrord has no such command")
        raise NotCarried(
            f"rclone {verb} {reason}" if verb in known.OTHER_COMMANDS else f"this command of rclone {reason}"
        )

    # ── commands ──────────────────────────────────────────────────────────────────────────────────
    def _copy(
        self, command: CommandLine, given: GivenFlags, call: tuple[str, list[str]], options: CopyOptions
    ) -> ImportedCopy:
        verb, arguments = call
        if len(arguments) != 2:
            raise NotCarried(_wrong_count(given))
        source = self._place(arguments[0], command, given, options)
        target = self._target(arguments[1], command, given, options)
        if not isinstance(source, WebPlace):
            options.remarks += [f"{name} is not carried over: its source is no URL" for name in _of_requests(given)]
        single = self._is_single(arguments[0], source)
        if single and verb in ("copy", "sync", "move"):
            name = _last_segment(source)
            target = replace(target.below, key=target.below.key + name)
        if not single:
            target = target.below
            options.entry |= {"delete": "mirror"} if verb == "sync" else {}
        if verb in ("move", "moveto"):
            options.entry["after_upload"] = "delete"
        return ImportedCopy(command, f"rclone {verb}", source, target, single, options)

    def _copyurl(
        self, command: CommandLine, given: GivenFlags, arguments: list[str], options: CopyOptions
    ) -> ImportedCopy | ImportedList:
        if given.has("--stdout") or len(arguments) != 2:
            raise NotCarried("writes to standard output" if given.has("--stdout") else _wrong_count(given))
        target = self._target(arguments[1], command, given, options)
        if given.has("--header-filename"):
            raise NotCarried("takes the name of the object from a header of the response")
        if given.has("--urls"):
            location = local_path(arguments[0], command, self._machine)
            to = template(target.below.address)
            options.remarks += [f"{name} is not carried over: write http.headers" for name in _of_requests(given)]
            return ImportedList(command.where, "rclone copyurl --urls", location, to, target.store, command, options)
        if not is_web(arguments[0]):
            raise NotCarried("its source is no http or https URL")
        if given.has("--auto-filename"):
            options.remarks.append("the name of the object is that of the URL, not of a redirect's target")
            target = target.below
        elif not target.key:
            raise NotCarried("it names no object: --auto-filename is missing")
        source = web_place(arguments[0], _web_headers(given))
        return ImportedCopy(command, "rclone copyurl", source, target, True, options)

    def _rcat(
        self, command: CommandLine, given: GivenFlags, arguments: list[str], options: CopyOptions
    ) -> ImportedCopy:
        if len(arguments) != 1:
            raise NotCarried(_wrong_count(given))
        source = fetched_by(command.piped_from)
        return ImportedCopy(
            command, "rclone rcat", source, self._target(arguments[0], command, given, options), True, options
        )

    # ── places ────────────────────────────────────────────────────────────────────────────────────
    def _target(self, word: str, command: CommandLine, given: GivenFlags, options: CopyOptions) -> ObjectPlace:
        place = self._place(word, command, given, options, target=True)
        if not isinstance(place, ObjectPlace):
            raise NotCarried("it writes to no S3 store, and mirrord writes to S3 only")
        return place

    def _place(
        self, word: str, command: CommandLine, given: GivenFlags, options: CopyOptions, *, target: bool = False
    ) -> Place:
        match = _REMOTE.fullmatch(word)
        if match is None or word.startswith(("/", ".", "~")):
            return local_place(word, command, self._machine)
        remote, path = self._remote(match, command)
        if remote.type == "local":
            return local_place(path or "/", command, self._machine)
        if remote.type == "http":
            url = given.last("--http-url") or remote.options.get("url", "")
            unknown = unknown_web_options(remote)
            options.remarks += [f"the option {name} of the remote is not carried over" for name in unknown]
            headers = {**web_headers_of(remote), **_web_headers(given)}
            return web_place(url.rstrip("/") + "/" + path.lstrip("/"), headers)
        if remote.type != "s3":
            raise NotCarried(remote.refusal)
        flags = {name[5:].replace("-", "_"): value or "true" for name, value in given.flags if name.startswith("--s3-")}
        authority = given.last("--ca-cert")
        remote = replace(remote, options={**remote.options, **flags, **({"ca_cert": authority} if authority else {})})
        if target:
            options.object = {**object_options(remote), **options.object}
        for name in unknown_options(remote):
            if name in HELD_OPTIONS:
                options.holds.append(f"the option {name} of the remote {HELD_OPTIONS[name]}")
            else:
                options.remarks.append(f"the option {name} of the remote is not carried over")
        bucket, _, key = re.sub(r"/{2,}", "/", path.lstrip("/")).partition("/")
        if not bucket:
            raise NotCarried("it names no bucket")
        return ObjectPlace(store_of_remote(remote), bucket, key)

    def _remote(self, match: re.Match[str], command: CommandLine) -> tuple[Remote, str]:
        """The remote and the path in it; aliases are followed."""
        path = match["path"]
        for _ in range(_DEEPEST):
            remote = self._named(match, command)
            if remote.type != "alias":
                return remote, path
            inner = remote.options.get("remote", "")
            path = f"{inner.rstrip('/')}/{path}" if path and not inner.endswith(":") else inner + path
            following = _REMOTE.fullmatch(path)
            if following is None or path.startswith("/"):
                return Remote("local", {"type": "local"}), path
            match, path = following, following["path"]
        raise NotCarried("its alias leads to itself")

    def _named(self, match: re.Match[str], command: CommandLine) -> Remote:
        name = match["name"]
        own = {key.lower(): value.strip("\"'") if value else "true" for key, value in _OPTION.findall(match["options"])}
        if name.startswith(":"):
            return Remote(name[1:], {"type": name[1:], **own})
        self.used.add(name)
        declared = remotes_of_variables(command.variables)
        remote = self._remotes.known.get(name) or declared.get(name.lower().replace("-", "_"))
        if remote is None:
            raise NotCarried("its remote is in no rclone.conf of the import: name that file too")
        return replace(remote, options={**remote.options, **own})

    def _is_single(self, word: str, source: Place) -> bool:
        if isinstance(source, LocalPlace):
            return is_file(word, source.path, self._machine)
        last = _last_segment(source)
        single = re.search(r"[^/.]\.[A-Za-z0-9]{1,8}\Z", last) is not None
        if not single and not isinstance(source, ObjectPlace):
            raise NotCarried("its source is a listing of a web server: write a list of the URLs (mirrors: list)")
        return single

    # ── flags ─────────────────────────────────────────────────────────────────────────────────────
    def _options(self, given: GivenFlags) -> CopyOptions:
        options = CopyOptions()
        hold_unknown(given, options)
        for name, value in given.flags:
            if name in known.HELD:
                options.holds.append(f"{name} {known.HELD[name]}")
            elif name in known.REMARKED:
                options.remarks.append(f"{name}: {known.REMARKED[name]}")
            elif name in known.ENTRY:
                options.entry |= known.ENTRY[name]
            elif name in ("--transfers", "--bwlimit"):
                options.daemon[name[2:]] = value or ""
            elif name in known.NEEDLESS:
                options.needless.append(name)
        _upload_headers(given, options)
        _filters(given, options)
        return options


def _flags_of_variables(variables: Mapping[str, str]) -> list[str]:
    """`RCLONE_TRANSFERS=4` is `--transfers=4` (rclone docs, "Environment Variables")."""
    names = [name for name in variables if re.fullmatch(r"RCLONE_(?!CONFIG(?:_|$))[A-Z0-9_]+", name)]
    return [f"--{name[7:].lower().replace('_', '-')}={variables[name]}" for name in names]


def _filters(given: GivenFlags, options: CopyOptions) -> None:
    rules: list[FilterRule] = [("+", value or "") for name, value in given.flags if name == "--include"]
    closed = bool(rules)
    rules += [("-", value or "") for name, value in given.flags if name == "--exclude"]
    for name, value in given.flags:
        if name == "--filter":
            sign, _, pattern = (value or "").strip().partition(" ")
            rules.append((sign, pattern.strip()))
    try:
        if any(sign not in ("+", "-") for sign, _ in rules):
            raise NotCarried("a filter is neither + nor -")
        options.include, options.exclude = of_rclone(rules, closed=closed) if rules else ([], [])
    except NotCarried as error:
        options.holds.append(str(error))


def _upload_headers(given: GivenFlags, options: CopyOptions) -> None:
    for name, value in given.flags:
        if name not in ("--header-upload", "--metadata-set"):
            continue
        key, found, text = (value or "").partition(":" if name == "--header-upload" else "=")
        field = _HEADERS.get(key.strip().lower())
        plain = key.strip().lower().removeprefix("x-amz-meta-")
        if found and field:
            options.object[field] = text.strip()
        elif found and (name == "--metadata-set" or key.lower().startswith("x-amz-meta-")):
            options.object.setdefault("metadata", {})[plain] = text.strip()
        else:
            options.holds.append(f"{name} sets a header that is no field of object")


def _web_headers(given: GivenFlags) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, value in given.flags:
        if name in ("--header", "--header-download") and value and ":" in value:
            key, _, text = value.partition(":")
            found[key.strip()] = text.strip()
        elif name == "--user-agent" and value:
            found["User-Agent"] = value
    return found


def _of_requests(given: GivenFlags) -> list[str]:
    """The given flags that set headers of requests for URLs."""
    return [name for name in ("--header", "--header-download", "--user-agent") if given.has(name)]


def _wrong_count(given: GivenFlags) -> str:
    more = "; a flag that mirrord does not know may be the reason" if given.unknown else ""
    return f"has not the source and target that the command needs{more}"


def _last_segment(place: Place) -> str:
    if isinstance(place, LocalPlace):
        return place.path.rpartition("/")[2]
    if isinstance(place, ObjectPlace):
        return place.key.rpartition("/")[2]
    return re.split(r"[?#]", place.url, maxsplit=1)[0].rpartition("/")[2]
