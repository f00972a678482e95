"""The credentials and certificate authorities of one open store, read again when they were replaced.

Owns when they are read: after a change of their files, after an error that new ones may solve, and at a reload. If they
cannot be read, the former ones stay in use. `credentials` and `authorities` own how they are read.
"""

import asyncio
from contextlib import suppress
from logging import getLogger
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from mirrord.s3.answers.error_response import STALE_CREDENTIALS, code_of
from mirrord.s3.answers.transport import is_rejected_certificate
from mirrord.s3.authorities import CertificateAuthorities
from mirrord.s3.credentials import StoreCredentials
from mirrord.s3.file_stats import FileStats, file_stats

_log = getLogger(__name__)

FILE_CHECK_INTERVAL = 1.0
"""Seconds between two checks whether files of keys or certificates changed."""
RELOAD_PAUSE = 5.0
"""Seconds after a reload in which an error causes no other: a `credential_process` may be costly."""


class StoreSecurity:
    """Credentials and authorities, which are read from `files` among others. `name` is the store's, for the log."""

    def __init__(
        self,
        name: str,
        credentials: StoreCredentials,
        authorities: CertificateAuthorities,
        files: tuple[Path, ...] = (),
    ) -> None:
        self.version = 0
        """How many times keys or certificates were replaced."""
        self._name = name
        self.credentials = credentials
        self._authorities = authorities
        self._files = files
        self._file_stats: FileStats = file_stats(())
        self._checked = self._reloaded = float("-inf")
        self._lock = asyncio.Lock()

    async def load(self, *, tls: bool) -> None:
        """Read the credentials, and the authorities if `tls`. Raises BotoCoreError or ValueError."""
        self._file_stats = await self._stat_files()
        await self.credentials.load()
        if tls:
            await self._authorities.load()

    async def reload_changed(self) -> None:
        """Reload if a file changed. The files are checked at most once in FILE_CHECK_INTERVAL."""
        now = asyncio.get_running_loop().time()
        if not self._files or now - self._checked < FILE_CHECK_INTERVAL:
            return
        self._checked = now
        if await self._stat_files() != self._file_stats:
            try:
                await self.reload()
            except (BotoCoreError, ValueError) as error:
                _log.warning("store %r: what it had before stays in use: %s", self._name, error)

    async def reload_after(self, error: Exception, version: int) -> bool:
        """Whether the call that failed with `error` can succeed now, because keys or certificates were replaced.

        `version` is that of the failed call. Reloads if no other call did since, at most once in RELOAD_PAUSE.
        """
        stale = isinstance(error, ClientError) and code_of(error.response) in STALE_CREDENTIALS
        if not stale and not is_rejected_certificate(error):
            return False
        if version != self.version:
            return True
        if asyncio.get_running_loop().time() - self._reloaded < RELOAD_PAUSE:
            return False
        with suppress(BotoCoreError, ValueError):
            await self.reload()
        return version != self.version

    async def reload(self) -> None:
        """Read both again. Raises BotoCoreError or ValueError; then those before stay in use."""
        async with self._lock:
            self._reloaded = asyncio.get_running_loop().time()
            self._file_stats = await self._stat_files()
            changed = await self._authorities.load() if self._authorities.loaded else False
            changed = await self.credentials.load() or changed
            if changed:
                self.version += 1
                _log.info("store %r: its keys or certificates were replaced and are in use", self._name)

    async def _stat_files(self) -> FileStats:
        return await asyncio.to_thread(file_stats, self._files)
