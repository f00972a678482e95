"""The credentials of one store: loaded from the manifest or the AWS chain, and loaded again when they were replaced.

Owns when the AWS profile and config files are read: never where the store has keys of its own or none (`anonymous`).
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from aiobotocore.credentials import AioCredentials
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, CredentialRetrievalError, NoCredentialsError, PartialCredentialsError

from mirrord.declared import Credentials, StoreOptions

_NOWHERE = (None, None, os.devnull, None)  # config name, variable, default, conversion: as botocore declares them
_UNREAD: dict[Any, Any] = {
    "profile": (None, None, None, None),
    "config_file": _NOWHERE,
    "credentials_file": _NOWHERE,
}


def aws_session(options: StoreOptions) -> AioSession:
    """A session for a store, which has read nothing yet."""
    if _has_own(options):
        return AioSession(_UNREAD)
    return AioSession(profile=options.credentials.profile if options.credentials else None)


StatFields = tuple[int, int, int] | None
FileStats = Mapping[Path, StatFields]


class StoreCredentials(AioCredentials):
    """What the SDK's signer asks at each call. `load` replaces the keys under clients that are open."""

    def __init__(self, options: StoreOptions) -> None:
        super().__init__("", "")
        self._options = options
        self._loaded: Any = None
        self._frozen: object = None

    async def load_credentials(self) -> Self:
        """For the SDK's session, whose credential provider this is."""
        return self

    def get_frozen_credentials(self) -> Any:
        """An awaitable, as the SDK's own. NoCredentialsError if there are none."""
        return self._current()

    async def _current(self) -> Any:
        if self._loaded is None:
            raise NoCredentialsError
        with _retrieving():
            return await self._loaded.get_frozen_credentials()

    async def load(self) -> bool:
        """Read the keys; True if they differ from those before. Keys that are gone do not replace those in use.

        Raises BotoCoreError: no such profile, a broken file, a failed `credential_process`."""
        asked = self._options.credentials or Credentials()
        if asked.anonymous:
            return False
        with _retrieving():
            loaded = _declared(asked) if asked.access_key_id or asked.secret_access_key else await self._found()
            if loaded is None:
                return False
            frozen = await loaded.get_frozen_credentials()
        changed = frozen != self._frozen
        self._loaded, self._frozen = loaded, frozen
        return changed

    async def _found(self) -> Any:
        session = aws_session(self._options)
        session.get_scoped_config()  # a missing profile is an error even where the environment has keys
        return await session.get_credentials()


@contextmanager
def _retrieving() -> Iterator[None]:
    """What the chain raises beside the SDK's exceptions: a process that does not start or prints no JSON (OSError,
    ValueError), keys that are expired when they come (RuntimeError)."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise CredentialRetrievalError(provider="AWS chain", error_msg=str(error)) from error


def _declared(asked: Credentials) -> AioCredentials:
    if not asked.access_key_id or not asked.secret_access_key:
        missing = "secret_access_key" if asked.access_key_id else "access_key_id"
        raise PartialCredentialsError(provider="credentials", cred_var=missing)
    return AioCredentials(asked.access_key_id, asked.secret_access_key, asked.session_token)


def security_files(options: StoreOptions) -> tuple[Path, ...]:
    """The files that a store's keys and certificates are read from, whether or not they exist."""
    session = aws_session(options)
    chain = () if _has_own(options) else ("credentials_file", "config_file")
    names = [session.get_config_variable(name) for name in chain]
    bundle = options.ca_file or _bundle(session)
    return tuple(Path(os.path.expanduser(name)) for name in (*names, bundle) if name)  # as it is where there is no home


def _bundle(session: AioSession) -> str | None:
    """None where the AWS configuration cannot be read: its files are among those that are watched."""
    try:
        named: str | None = session.get_config_variable("ca_bundle")
    except BotoCoreError:
        return None
    return named


def file_stats(files: Iterable[Path]) -> FileStats:
    """What changes when one of them is replaced or written."""
    return {file: _stat_fields(file) for file in files}


def _stat_fields(file: Path) -> StatFields:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _has_own(options: StoreOptions) -> bool:
    asked = options.credentials or Credentials()
    return asked.anonymous or bool(asked.access_key_id)
