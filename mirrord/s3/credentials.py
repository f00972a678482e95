"""The credentials of one store, from the manifest or the AWS chain.

Owns how they are loaded and which files they come from. The AWS profile, the config files and the AWS variables that
have no effect on such a store are not read if the store declares keys or is `anonymous`. `security` loads the
credentials again when they were replaced.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from aiobotocore.credentials import AioCredentials
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, CredentialRetrievalError, NoCredentialsError, PartialCredentialsError

from mirrord.declared import Credentials, StoreOptions

_NO_FILE = (None, None, os.devnull, None)  # config name, variable, default, conversion: as botocore declares them
_WITHOUT_EFFECT = (
    *("account_id_endpoint_mode", "defaults_mode", "ec2_metadata_service_endpoint_mode", "max_attempts"),
    *("metadata_service_num_attempts", "metadata_service_timeout", "request_min_compression_size_bytes"),
    *("retry_mode", "sts_regional_endpoints"),
)
"""Settings that mirrord replaces by its own, or only the AWS chain uses. The SDK refuses invalid values of them."""
_DECLARED: dict[Any, Any] = {
    "profile": (None, None, None, None),
    "config_file": _NO_FILE,
    "credentials_file": _NO_FILE,
    **{name: (None, None, AioSession.SESSION_VARIABLES[name][2], None) for name in _WITHOUT_EFFECT},
}


def aws_session(options: StoreOptions) -> AioSession:
    """A session for a store. It has read no file yet."""
    if _is_declared(options):
        session = AioSession(_DECLARED)
        session.get_component("config_store").set_config_variable("s3", None)  # AWS_S3_*: all are set per client
        return session
    return AioSession(profile=options.credentials.profile if options.credentials else None)


_FAILURES = (OSError, ValueError, RuntimeError)
"""A process that does not start, or prints no JSON; new keys that are expired already."""


class StoreCredentials(AioCredentials):
    """The credentials that the SDK's signer reads at each call. `load` replaces the keys of clients that are open."""

    def __init__(self, options: StoreOptions) -> None:
        super().__init__("", "")
        self._options = options
        self._loaded: Any = None
        self._frozen: object = None

    async def load_credentials(self) -> Self:
        """For the SDK's session: this is its credential provider."""
        return self

    def get_frozen_credentials(self) -> Any:
        """An awaitable, as in the SDK's class. NoCredentialsError if there are none."""
        return self._current()

    async def _current(self) -> Any:
        if self._loaded is None:
            raise NoCredentialsError
        try:  # not `with _retrieving()`: each signature needs this, and a generator costs 2 us
            return await self._loaded.get_frozen_credentials()
        except _FAILURES as error:
            raise _retrieval_error(error) from error

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
        session = aws_session(self._options)
        session.get_scoped_config()  # a missing profile is an error even if the environment has keys
        return await session.get_credentials()


@contextmanager
def _retrieving() -> Iterator[None]:
    """Translate what the chain raises beside the SDK's exceptions."""
    try:
        yield
    except _FAILURES as error:
        raise _retrieval_error(error) from error


def _retrieval_error(error: Exception) -> CredentialRetrievalError:
    return CredentialRetrievalError(provider="AWS chain", error_msg=str(error))


def _from_manifest(declared: Credentials) -> AioCredentials:
    if not declared.access_key_id or not declared.secret_access_key:
        missing = "secret_access_key" if declared.access_key_id else "access_key_id"
        raise PartialCredentialsError(provider="credentials", cred_var=missing)
    return AioCredentials(declared.access_key_id, declared.secret_access_key, declared.session_token)


def security_files(options: StoreOptions) -> tuple[Path, ...]:
    """The files that a store's keys and certificate authorities are read from, whether or not they exist."""
    session = aws_session(options)
    chain = () if _is_declared(options) else ("credentials_file", "config_file")
    names = [session.get_config_variable(name) for name in chain]
    bundle = options.ca_file or _bundle(session)
    # os.path.expanduser leaves `~` as it is if the user has no home directory.
    return tuple(Path(os.path.expanduser(name)) for name in (*names, bundle) if name)


def _bundle(session: AioSession) -> str | None:
    """None if the AWS configuration cannot be read; the files of the configuration are returned anyway."""
    try:
        bundle: str | None = session.get_config_variable("ca_bundle")
    except BotoCoreError:
        return None
    return bundle


def _is_declared(options: StoreOptions) -> bool:
    declared = options.credentials or Credentials()
    return declared.anonymous or bool(declared.access_key_id)
