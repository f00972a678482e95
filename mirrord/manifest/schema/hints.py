"""Suggestions for a word that a manifest does not have: a similar word, or the field that another tool calls so.

Owns the tables of such words. Pure. The callers own the messages around the suggestions.
"""

import difflib
from collections.abc import Mapping, Sequence
from types import MappingProxyType

NO_OTHERS: Mapping[str, str] = MappingProxyType({})
PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "amazon": "aws",
        "s3": "aws",
        "backblaze": "b2",
        "cloudflare": "r2",
        "google": "gcs",
        "gcp": "gcs",
        "googlecloudstorage": "gcs",
        "do": "digitalocean",
        "spaces": "digitalocean",
        "digitaloceanspaces": "digitalocean",
        "rgw": "ceph",
        "radosgw": "ceph",
        "rook": "ceph",
        "weed": "seaweedfs",
        "seaweed": "seaweedfs",
        "yandexcloud": "yandex",
        "vkcloud": "vk",
        "mailru": "vk",
        "sbercloud": "cloudru",
        "sber": "cloudru",
        "local": "embedded",
        "other": "generic",
        "custom": "generic",
        "garage": "generic",
        "versitygw": "generic",
        "hetzner": "generic",
        "ovh": "generic",
        "ibm": "generic",
        "idrive": "generic",
        "linode": "generic",
        "oracle": "generic",
    }
)
"""Other names of providers, in lower case without spaces and signs, with the word of the manifest."""
_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "source": ("url", "path"),
        "src": ("url", "path"),
        "uri": ("url",),
        "from": ("url", "path"),
        "link": ("url",),
        "dir": ("path",),
        "directory": ("path",),
        "folder": ("path",),
        "root": ("path",),
        "dest": ("to",),
        "destination": ("to",),
        "dst": ("to",),
        "target": ("to",),
        "bucket": ("to",),
        "prefix": ("to",),
        "interval": ("every",),
        "period": ("every",),
        "refresh": ("every",),
        "schedule": ("cron", "every"),
        "crontab": ("cron",),
        "tz": ("timezone",),
        "hash": ("checksum",),
        "sha256": ("checksum",),
        "digest": ("checksum",),
        "header": ("http.headers",),
        "token": ("http.bearer", "api_token", "read_token"),
        "auth": ("http.basic",),
        "timeout": ("http.idle_timeout",),
        "ignore": ("exclude",),
        "filter": ("include",),
        "glob": ("include",),
        "pattern": ("include",),
        "patterns": ("include",),
        "filters": ("include",),
        "after": ("after_upload",),
        "delete_after": ("after_upload",),
        "delete_after_upload": ("after_upload",),
        "on_success": ("after_upload",),
        "marker": ("ready",),
        "mime_type": ("object.content_type",),
        "mimetype": ("object.content_type",),
        "content-type": ("object.content_type",),
        "cache-control": ("object.cache_control",),
        "sse": ("object.encryption", "encryption"),
        "server_side_encryption": ("object.encryption", "encryption"),
        "sse_kms_key_id": ("object.encryption.kms_key_id", "encryption.kms_key_id", "kms_key_id"),
        "kms_key": ("object.encryption.kms_key_id", "encryption.kms_key_id", "kms_key_id"),
        "object_lock": ("object.lock", "lock"),
        "retention": ("object.lock", "lock", "retain"),
        "days": ("retain",),
        "legalhold": ("object.lock.legal_hold", "lock.legal_hold", "legal_hold"),
        "hold": ("object.lock.legal_hold", "lock.legal_hold", "legal_hold"),
        "object_lock_legal_hold": ("object.lock.legal_hold", "lock.legal_hold", "legal_hold"),
        "request_payer": ("requester_pays",),
        "payer": ("requester_pays",),
        "dualstack": ("dual_stack",),
        "use_dualstack": ("dual_stack",),
        "use_dual_stack": ("dual_stack",),
        "use_dualstack_endpoint": ("dual_stack",),
        "ipv6": ("dual_stack",),
        "canned_acl": ("object.acl", "acl"),
        "enabled": ("suspend",),
        "disabled": ("suspend",),
        "paused": ("suspend",),
        "parallel": ("transfers", "upload.concurrency"),
        "workers": ("transfers",),
        "concurrency": ("transfers", "upload.concurrency"),
        "threads": ("transfers", "upload.concurrency"),
        "memory": ("memory_limit",),
        "port": ("listen",),
        "address": ("listen", "endpoint_url"),
        "bwlimit": ("bandwidth",),
        "rate_limit": ("bandwidth",),
        "type": ("provider",),
        "kind": ("provider",),
        "endpoint": ("endpoint_url",),
        "server": ("endpoint_url",),
        "host": ("endpoint_url",),
        "access_key": ("credentials.access_key_id", "access_key_id"),
        "aws_access_key_id": ("credentials.access_key_id", "access_key_id"),
        "key_id": ("credentials.access_key_id", "access_key_id"),
        "secret_key": ("credentials.secret_access_key", "secret_access_key"),
        "secret": ("credentials.secret_access_key", "secret_access_key"),
        "aws_secret_access_key": ("credentials.secret_access_key", "secret_access_key"),
        "aws_session_token": ("credentials.session_token", "session_token"),
        "path_style": ("addressing",),
        "force_path_style": ("addressing",),
        "ca": ("ca_file",),
        "ca_bundle": ("ca_file",),
        "cacert": ("ca_file",),
        "store": ("stores",),
        "sources": ("mirrors",),
        "items": ("mirrors",),
        "urls": ("mirrors",),
        "sync": ("mirrors",),
        "watch": ("folders",),
        "directories": ("folders",),
        "settings": ("daemon",),
        "state_dir": ("daemon.state", "state"),
    }
)
"""Words of other tools for a field, with the possible fields, the most likely first."""

_CUSTOMER_KEYS = "write encryption: {mode: SSE-C, customer_key: NAME}, and the key below customer_keys of the store"
_ACCELERATION = "transfer acceleration is not supported"
_UNSUPPORTED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("sse_c", "sse_c_key", "sse_customer_key", "sse_customer_key_base64"), _CUSTOMER_KEYS),
        **dict.fromkeys(("sse_customer_algorithm", "customer_algorithm"), _CUSTOMER_KEYS),
        **dict.fromkeys(("accelerate", "use_accelerate_endpoint", "transfer_acceleration"), _ACCELERATION),
        **dict.fromkeys(("grants", "grant_read", "grant_full_control"), "only canned ACLs are supported: acl"),
        **dict.fromkeys(("bucket_key", "bucket_key_enabled"), "bucket keys are a setting of the bucket"),
    }
)
"""Features of S3 that mirrord does not have, or that are set elsewhere, by the fields of other tools."""


def unsupported(word: str) -> str:
    """`; … (docs/s3-features.md)` if this is a field of other tools for a feature of S3 that no field of a manifest
    has; else an empty text."""
    why = _UNSUPPORTED.get(word.lower().replace("-", "_"))
    return f"; {why} (docs/s3-features.md)" if why else ""


def suggestion(word: str, words: Sequence[str], others: Mapping[str, str] = NO_OTHERS) -> str:
    """`; did you mean x?` if one of `words` is similar, or if `others` has the word; else an empty text."""
    lower = word.lower()
    meant = others.get("".join(character for character in lower if character.isalnum()))
    near = [meant] if meant in words else difflib.get_close_matches(lower, list(words), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def field(word: str, known: Sequence[str], paths: Sequence[str]) -> str:
    """As `suggestion`, for an unknown field. `known`: the fields of its mapping; `paths`: also those of mappings below
    it.

    First a word of another tool, then the same name in a mapping below, then what is not supported, then a similar
    name.
    """
    name = word.lower()
    candidates = [*_FIELDS.get(name, ()), *_FIELDS.get(name.replace("-", "_"), ())]
    below = [path for path in paths if path.rpartition(".")[2] == name.replace("-", "_")]
    meant = next((path for path in candidates if path in paths), below[0] if below else None)
    return f"; did you mean {meant}?" if meant else unsupported(word) or suggestion(word, known)
