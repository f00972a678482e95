"""What the AWS configuration decides for a store, where the manifest and a few variables show it without the SDK.

Owns the conditions for that: importing the SDK and making its client takes 0.4 s of CPU, which a run over small files
does not need. In all other cases (profiles, configuration files, other variables) `sdk_session` reads the settings.
Tests compare both.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from mirrord.declared import Credentials, StoreOptions
from mirrord.frozen import frozen
from mirrord.s3.wire.signing import AccessKeys

_WITHOUT_EFFECT = frozenset(
    {
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"),
        *("AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_EC2_METADATA_DISABLED", "AWS_PAGER"),
        *("AWS_DEFAULT_OUTPUT", "AWS_EXECUTION_ENV"),
    }
)
"""Variables that are read here, or that the SDK's client of a store does not use."""
_OF_THE_CHAIN = frozenset({"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"})
"""Variables that have no effect on a store that declares its keys or is anonymous."""
_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}
_REGION = re.compile(r"(?!aws-)(?![0-9]+$)(?!-)[a-z0-9-]{1,63}(?<!-)")
_LABEL = "(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_ENDPOINT = re.compile(rf"https?://({_LABEL}\.)*{_LABEL}(:[0-9]{{1,5}})?(/[A-Za-z0-9._~-]+)*/?")
_LONGEST_HOST = 255


@frozen
class AwsSettings:
    """`region` and `ca_bundle` (a path) of the AWS configuration."""

    region: str | None = None
    ca_bundle: str | None = None


def plain_settings(options: StoreOptions, environ: Mapping[str, str]) -> AwsSettings | None:
    """The settings of a store whose frequent calls need no SDK; None: the SDK must read them."""
    if options.requests.wire == "sdk" or not _has_plain_endpoint(options) or not _has_plain_keys(options, environ):
        return None
    region = environ.get("AWS_DEFAULT_REGION")
    if (signed := options.region or region) and not _REGION.fullmatch(signed):
        return None
    return AwsSettings(region, environ.get("AWS_CA_BUNDLE"))


def environment_keys(options: StoreOptions, environ: Mapping[str, str]) -> AccessKeys | None:
    """The keys of the environment for a store without credentials; None: there are none, or the SDK's chain decides."""
    if options.credentials is not None or any(file.exists() for file in aws_files(environ)):
        return None
    if any(name.startswith("AWS_") and name not in _WITHOUT_EFFECT for name in environ):
        return None
    key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    return AccessKeys(key, secret, environ.get("AWS_SESSION_TOKEN")) if key and secret else None


def aws_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The AWS credentials and configuration files, whether or not they exist."""
    names = (environ.get(variable, usual) for variable, usual in _FILES.items())
    return tuple(Path(os.path.expanduser(name)) for name in names if name)


def declares_keys(options: StoreOptions) -> bool:
    """Whether the AWS profile, its files and the AWS chain have no effect on a store."""
    declared = options.credentials or Credentials()
    return declared.anonymous or bool(declared.access_key_id)


def _has_plain_endpoint(options: StoreOptions) -> bool:
    """Whether the requests for a bucket go to the endpoint's host and path, followed by the bucket."""
    endpoint = options.endpoint_url or ""
    host = endpoint.partition("://")[2].partition("/")[0]
    plain = bool(_ENDPOINT.fullmatch(endpoint)) and len(host) <= _LONGEST_HOST and "s3-accelerate" not in host
    return plain and options.requests.addressing != "virtual"


def _has_plain_keys(options: StoreOptions, environ: Mapping[str, str]) -> bool:
    if not declares_keys(options):
        return environment_keys(options, environ) is not None
    known = _WITHOUT_EFFECT | _OF_THE_CHAIN
    return not any(name.startswith("AWS_") and name not in known for name in environ)
