"""The remotes of an rclone.conf, and the stores that they describe.

Owns rclone's names of providers and of its S3 options (rclone docs, "Amazon S3"). Keys of a remote are secrets: they
become `${RCLONE_CONFIG_NAME_…}`, the variables by which rclone itself takes them.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mirrord.frozen import frozen
from mirrord.importing.shell import literal
from mirrord.importing.values import ImportedStore, ImportRefused, Remark, Where, word_set

ENCRYPTED = "RCLONE_ENCRYPT_V0:"
_PROVIDERS = {
    "aws": "aws",
    "minio": "minio",
    "ceph": "ceph",
    "cloudflare": "r2",
    "digitalocean": "digitalocean",
    "gcs": "gcs",
    "wasabi": "wasabi",
    "scaleway": "scaleway",
    "seaweedfs": "seaweedfs",
    "selectel": "selectel",
    "storj": "storj",
}
_HOSTS = {
    "amazonaws.com": "aws",
    "r2.cloudflarestorage.com": "r2",
    "backblazeb2.com": "b2",
    "storage.googleapis.com": "gcs",
    "wasabisys.com": "wasabi",
    "digitaloceanspaces.com": "digitalocean",
    "yandexcloud.net": "yandex",
    "selcdn.ru": "selectel",
    "selcloud.ru": "selectel",
    "vkcs.cloud": "vk",
    "s3.cloud.ru": "cloudru",
    "storjshare.io": "storj",
    "scw.cloud": "scaleway",
}
SECRET_OPTIONS = frozenset({"access_key_id", "secret_access_key", "session_token"})
_CARRIED = SECRET_OPTIONS | word_set(
    "type provider env_auth profile region endpoint force_path_style acl storage_class "
    "server_side_encryption sse_kms_key_id ca_cert requester_pays use_dual_stack"
)
_NEEDLESS = word_set(
    "location_constraint no_check_bucket bucket_acl chunk_size upload_cutoff copy_cutoff "
    "upload_concurrency disable_checksum disable_http2 description list_chunk list_version "
    "list_url_encode no_head no_head_object encoding memory_pool_flush_time memory_pool_use_mmap "
    "leave_parts_on_error max_upload_parts use_multipart_etag use_multipart_uploads use_unsigned_payload "
    "use_presigned_request use_accept_encoding_gzip sign_accept_encoding use_already_exists might_gzip "
    "sdk_log_mode directory_markers use_x_id use_data_integrity_protections object_lock_supported "
    "no_system_metadata"
)
_WEB = word_set("type url headers no_head no_slash no_escape description")
CLIENT_KEY = "encrypts with a key of the client (SSE-C): write its entry by hand, with customer_keys of the store"
HELD_OPTIONS = {
    **dict.fromkeys(word_set("sse_customer_algorithm sse_customer_key sse_customer_key_base64"), CLIENT_KEY),
    "sse_customer_key_md5": CLIENT_KEY,
    **dict.fromkeys(word_set("versions version_at version_deleted"), "copies old versions of objects"),
    "decompress": "stores other bytes than the source has",
}
"""Options without which a command would copy other objects, or store them otherwise."""
_REASONS = {
    "crypt": "it encrypts contents and names, and mirrord stores the bytes as they are",
    "chunker": "it splits files into chunks, and mirrord stores whole objects",
    "compress": "it compresses files, and mirrord stores the bytes as they are",
    "union": "it joins several remotes",
    "combine": "it joins several remotes",
    "hasher": "it keeps checksums of another remote: use that remote itself",
    "cache": "it caches another remote: use that remote itself",
    "b2": "it uses B2's own API: B2 also has an S3 endpoint (provider: b2)",
    "google cloud storage": "it uses Google's own API: GCS also has an S3 endpoint with HMAC keys (provider: gcs)",
}


@frozen
class Remote:
    """One section of an rclone.conf, with its options as they are written, in lower case names."""

    name: str
    options: Mapping[str, str] = field(repr=False)
    where: Where | None = None

    @property
    def type(self) -> str:
        return self.options.get("type", "")

    @property
    def refusal(self) -> str:
        """Why it is neither S3 nor the web nor local."""
        known = self.type if re.fullmatch(r"[a-z0-9 ]{1,30}", self.type) else "unknown"
        return f"the remote is of the type {known}: {_REASONS.get(known, 'mirrord reads http and S3, and writes S3')}"


@dataclass(slots=True)
class Remotes:
    """All known remotes, by name."""

    known: dict[str, Remote] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)

    def add(self, remote: Remote) -> None:
        if remote.name in self.known and remote.where is not None:
            self.remarks.append(Remark(remote.where, "a remote with this name exists already: the first one counts"))
            return
        self.known[remote.name] = remote


def read_remotes(file: str, text: str, remotes: Remotes) -> None:
    """Add the sections of an rclone.conf. Raises ImportRefused for an encrypted one."""
    name: str | None = None
    options: dict[str, str] = {}
    at = 0
    for number, line in enumerate([*text.splitlines(), "["], 1):
        line = line.strip()
        if line.startswith(ENCRYPTED):
            raise ImportRefused(f"{file}: the rclone.conf is encrypted: import the output of `rclone config show`")
        if line.startswith("["):
            if name is not None:
                remotes.add(Remote(name, options, Where(file, at)))
            name, options, at = line.strip("[]").strip(), {}, number
        elif line and line[0] not in "#;":
            key, equals, value = line.partition("=")
            if name is None or not equals:
                remotes.remarks.append(Remark(Where(file, number), "is no option of a remote"))
            else:
                options[key.strip().lower()] = value.strip()


def remotes_of_variables(variables: Mapping[str, str]) -> dict[str, Remote]:
    """Remotes that `RCLONE_CONFIG_NAME_TYPE=…` declare. Values are in the form of a manifest."""
    found: dict[str, dict[str, str]] = {}
    names = {name[14:-5] for name in variables if name.startswith("RCLONE_CONFIG_") and name.endswith("_TYPE")}
    for variable, value in variables.items():
        for name in names:
            if variable.startswith(f"RCLONE_CONFIG_{name}_"):
                found.setdefault(name, {})[variable.removeprefix(f"RCLONE_CONFIG_{name}_").lower()] = value
    return {name.lower(): Remote(name.lower(), options) for name, options in found.items()}


# ── the store of a remote ─────────────────────────────────────────────────────────────────────────
def provider_at(endpoint: str | None, otherwise: str = "generic") -> str:
    """The provider whose host this endpoint has."""
    if not endpoint:
        return "aws"
    try:
        host = urlsplit(endpoint).hostname or ""
    except ValueError:
        host = ""
    return next((name for end, name in _HOSTS.items() if host == end or host.endswith("." + end)), otherwise)


def store_of_remote(remote: Remote) -> ImportedStore:
    """The store of an S3 remote."""
    options = {key: value for key, value in remote.options.items() if value}
    endpoint = options.get("endpoint")
    if endpoint and "://" not in endpoint and not endpoint.startswith("${"):
        endpoint = f"https://{endpoint}"
    said = options.get("provider", "").lower()
    provider = _PROVIDERS.get(said) or provider_at(endpoint)
    if said and said not in _PROVIDERS and provider == "aws":
        provider = "generic"
    comments: list[str] = []
    if provider != "aws" and not endpoint:
        endpoint = variable_of(remote, "endpoint")
        comments.append("the remote has no endpoint: set this variable, or write the URL here")
    fields: dict[str, object] = {
        "endpoint_url": endpoint,
        "region": options.get("region"),
        "ca_file": options.get("ca_cert"),
        "requester_pays": _is_on(options, "requester_pays"),
        "dual_stack": _is_on(options, "use_dual_stack") and endpoint is None,
    }
    if "force_path_style" in options:
        fields["addressing"] = "path" if _is_on(options, "force_path_style") else "virtual"
    if _is_on(options, "use_dual_stack") and endpoint is not None:
        comments.append("use_dual_stack is left out: it has no meaning beside an endpoint; give a dual-stack one")
    credentials, more = _credentials(remote, options)
    return ImportedStore(
        name=store_name(remote.name),
        provider=provider,
        fields=tuple((name, value) for name, value in fields.items() if value),
        credentials=credentials,
        comments=(*comments, *more),
    )


def _is_on(options: Mapping[str, str], name: str) -> bool:
    """The value of a switch, as Go's strconv.ParseBool reads it."""
    return options.get(name, "") in ("1", "t", "T", "true", "True", "TRUE")


def _credentials(remote: Remote, options: Mapping[str, str]) -> tuple[tuple[tuple[str, object], ...], list[str]]:
    if "access_key_id" in options or "secret_access_key" in options:
        names = ["access_key_id", "secret_access_key", *(["session_token"] if "session_token" in options else [])]
        said = "keys are not copied: set these variables to the keys of the remote (`rclone config show` prints them)"
        return tuple((name, variable_of(remote, name)) for name in names), [said]
    if options.get("env_auth", "").lower() == "true" or "profile" in options:
        profile = options.get("profile")
        return ((("profile", profile),) if profile else ()), []
    return (("anonymous", True),), ["the remote has no keys and no env_auth: rclone uses it without credentials"]


def variable_of(remote: Remote, option: str) -> str:
    """The reference to the environment variable by which rclone takes an option of a remote."""
    name = re.sub(r"[^A-Z0-9]", "_", remote.name.upper()) or "REMOTE"
    return f"${{RCLONE_CONFIG_{name}_{option.upper()}}}"


def store_name(text: str) -> str:
    """A valid name for a store."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:63]
    return name if re.fullmatch(r"[A-Za-z0-9_].*", name) else "store"


def object_options(remote: Remote) -> dict[str, object]:
    """The options of objects that a remote sets."""
    options = remote.options
    found: dict[str, object] = {name: options[name] for name in ("acl", "storage_class") if options.get(name)}
    if mode := options.get("server_side_encryption"):
        key = options.get("sse_kms_key_id")
        found["encryption"] = {"mode": mode, **({"kms_key_id": key} if key else {})}
    return found


def unknown_options(remote: Remote) -> list[str]:
    """Options of an S3 remote that are not carried over: known names only."""
    return _without(remote, _CARRIED | _NEEDLESS)


def _without(remote: Remote, known: frozenset[str]) -> list[str]:
    return sorted(
        key if re.fullmatch(r"[a-z0-9_]{1,40}", key) else "another option"
        for key, value in remote.options.items()
        if value and value.lower() != "false" and key not in known
    )


def web_headers_of(remote: Remote) -> dict[str, str]:
    """The headers of requests that a remote for the web sets: one line of CSV, a name before each value (rclone docs,
    "HTTP")."""
    try:
        words = next(csv.reader([remote.options.get("headers", "")]), [])
    except csv.Error:
        return {}
    return dict(zip(words[::2], words[1::2], strict=False))


def unknown_web_options(remote: Remote) -> list[str]:
    """Options of a remote for the web that are not carried over: known names only."""
    return _without(remote, _WEB)


def in_manifest_form(remote: Remote) -> Remote:
    """The remote of a file, with `$` doubled in its values."""
    return Remote(remote.name, {key: literal(value) for key, value in remote.options.items()}, remote.where)
