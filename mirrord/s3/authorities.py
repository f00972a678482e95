"""The certificate authorities that verify a store's TLS certificate.

Owns the reading of their file. `session` chooses the file: `ca_file`, else AWS_CA_BUNDLE (or `ca_bundle` of the AWS
config), else REQUESTS_CA_BUNDLE, else the system's trust store, which SSL_CERT_FILE and SSL_CERT_DIR replace, as for
sources. `security` reads it again when it was replaced.
"""

import asyncio
import os
import ssl
from dataclasses import dataclass, field


@dataclass(slots=True)
class CertificateAuthorities:
    """`origin` is the name of the setting in errors. `path` None: the system's trust store. `load` reads the file.

    Get the `context` for each request: connections with a former context are not reused for it.
    """

    origin: str = "the system's trust store"
    path: str | None = None
    _context: ssl.SSLContext | None = field(default=None, init=False)
    _authorities: frozenset[bytes] = field(default=frozenset(), init=False)

    @property
    def loaded(self) -> bool:
        """False for a store with http://, which needs no authorities."""
        return self._context is not None

    async def context(self) -> ssl.SSLContext:
        if self._context is None:
            await self.load()
        assert self._context is not None
        return self._context

    async def load(self) -> bool:
        """Read the certificates; True if they differ from those before. ValueError: the file has none."""
        context = await asyncio.to_thread(self._read)
        authorities = frozenset(context.get_ca_certs(binary_form=True))
        changed = self._context is None or authorities != self._authorities
        if changed:
            self._context, self._authorities = context, authorities
        return changed

    def _read(self) -> ssl.SSLContext:
        if not self.path:
            return ssl.create_default_context()
        try:
            if os.path.isdir(self.path):
                return ssl.create_default_context(capath=self.path)
            if os.path.exists(self.path) and not os.path.isfile(self.path):  # opening a pipe would block
                raise ValueError(f"{self.origin} {self.path} holds no certificate (PEM): it is no regular file")
            context = ssl.create_default_context(cafile=self.path)
        except ssl.SSLError as error:
            raise ValueError(f"{self.origin} {self.path} holds no certificate (PEM)") from error
        except OSError as error:
            raise ValueError(f"{self.origin} {self.path} cannot be read: {error.strerror}") from error
        if not context.cert_store_stats()["x509"]:
            raise ValueError(f"{self.origin} {self.path} holds no certificate (PEM)")
        return context
