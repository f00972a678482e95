"""The credentials of one store, from the manifest or the AWS chain.

Owns how they are loaded and which files they come from. The AWS profile, the config files and the AWS variables that
have no effect on such a store are not read if the store declares keys or is `anonymous`. `security` loads the
credentials again when they were replaced.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, CredentialRetrievalError, NoCredentialsError, PartialCredentialsError

from mirrord.declared import Credentials, StoreOptions
from mirrord.s3.aws_settings import aws_files, declares_keys, environment_keys
from mirrord.s3.deferred_client import sdk_session
from mirrord.s3.wire.signing import AccessKeys

_FAILURES = (OSError, ValueError, RuntimeError)
"""A process that does not start, or prints no JSON; new keys that are expired already."""


class _FixedKeys(NamedTuple):
    """Keys that do not change, with the interface of the SDK's credentials."""

    keys: AccessKeys

    async def get_frozen_credentials(self) -> AccessKeys:
        return self.keys


class StoreCredentials:
    """The credentials that the signers read at each call. `load` replaces the keys of clients that are open."""

    def __init__(self, options: StoreOptions) -> None:
        self._options = options
        self._loaded: Any = None
        self._frozen: object = None

    async def get_frozen_credentials(self) -> Any:
        """`access_key`, `secret_key` and `token`. NoCredentialsError if there are none."""
        if self._loaded is None:
            raise NoCredentialsError
        try:  # not `with _retrieving()`: each signature needs this, and a generator costs 2 us
            return await self._loaded.get_frozen_credentials()
        except _FAILURES as error:
            raise _retrieval_error(error) from error

    @property
    def until(self) -> float | None:
        """When the loaded keys end, in seconds since the epoch; None: never, or it is not known."""
        ends = getattr(self._loaded, "_expiry_time", None)  # of the SDK's temporary keys; it has no public name
        return ends.timestamp() if ends is not None else None

    async def load(self) -> bool:
        """Read the keys; True if they differ from those before. If there are none now, those before stay in use.

        Raises BotoCoreError: no such profile, a broken file, a failed `credential_process`."""
        declared = self._options.credentials or Credentials()
        if declared.anonymous:
            return False
        with _retrieving():
            has_keys = declared.access_key_id or declared.secret_access_key
            loaded = _from_manifest(declared) if has_keys else await self._from_chain()
            if loaded is None:
                return False
            frozen = await loaded.get_frozen_credentials()
        changed = frozen != self._frozen
        self._loaded, self._frozen = loaded, frozen
        return changed

    async def _from_chain(self) -> Any:
        keys = environment_keys(self._options, os.environ)
        return await (await sdk_session()).chain_keys(self._options) if keys is None else _FixedKeys(keys)


@contextmanager
def _retrieving() -> Iterator[None]:
    """Translate what the chain raises beside the SDK's exceptions."""
    try:
        yield
    except _FAILURES as error:
        raise _retrieval_error(error) from error


def _retrieval_error(error: Exception) -> CredentialRetrievalError:
    return CredentialRetrievalError(provider="AWS chain", error_msg=str(error))


def _from_manifest(declared: Credentials) -> _FixedKeys:
    if not declared.access_key_id or not declared.secret_access_key:
        missing = "secret_access_key" if declared.access_key_id else "access_key_id"
        raise PartialCredentialsError(provider="credentials", cred_var=missing)
    token = declared.session_token
    key, secret = declared.access_key_id.reveal(), declared.secret_access_key.reveal()
    return _FixedKeys(AccessKeys(key, secret, None if token is None else token.reveal()))


_METHODS = {
    "env": "the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "shared-credentials-file": "the file of credentials (~/.aws/credentials, or AWS_SHARED_CREDENTIALS_FILE)",
    "config-file": "the configuration file (~/.aws/config, or AWS_CONFIG_FILE)",
    "custom-process": "credential_process",
    "assume-role": "a role that the profile assumes",
    "assume-role-with-web-identity": "a role by web identity (AWS_ROLE_ARN: IRSA)",
    "sso": "IAM Identity Center (aws sso login)",
    "container-role": "the container's role (AWS_CONTAINER_CREDENTIALS_…)",
    "iam-role": "the machine's role (the metadata service, IMDS)",
}
"""Sources of the AWS chain, by the names that botocore gives them (botocore.credentials, `METHOD`)."""


async def source_of_keys(options: StoreOptions) -> str | None:
    """Where the keys of a store come from, without any part of them; None: there are none.

    Raises BotoCoreError: no such profile, a broken file, a failed `credential_process`."""
    declared = options.credentials or Credentials()
    if declared.anonymous:
        return "none: requests are not signed"
    if declared.access_key_id or declared.secret_access_key:
        return "the manifest"
    if environment_keys(options, os.environ) is not None:
        return _METHODS["env"]
    with _retrieving():
        loaded = await (await sdk_session()).chain_keys(options)
    return None if loaded is None else _METHODS.get(loaded.method, loaded.method)


def security_files(options: StoreOptions) -> tuple[Path, ...]:
    """The files that a store's keys and certificate authorities are read from, whether or not they exist."""
    chain = () if declares_keys(options) else aws_files(os.environ)
    bundle = options.connection.ca_file or os.environ.get("AWS_CA_BUNDLE")
    if bundle is None and any(file.exists() for file in chain):
        bundle = _configured_bundle(options)
    # os.path.expanduser leaves `~` as it is if the user has no home directory.
    paths = [path for path in (bundle, options.connection.client_cert) if path]
    return (*chain, *(Path(os.path.expanduser(path)) for path in paths))


def _configured_bundle(options: StoreOptions) -> str | None:
    """None if the AWS configuration cannot be read; its files are known anyway."""
    from mirrord.s3.sdk_session import aws_settings

    try:
        return aws_settings(options).ca_bundle
    except BotoCoreError:
        return None
