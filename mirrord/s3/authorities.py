"""The certificate authorities that a store's TLS certificate is checked against, read again when their files change.

Owns which file counts: `ca_file`, else AWS_CA_BUNDLE (or `ca_bundle` of the AWS config), else REQUESTS_CA_BUNDLE, else
the system's trust store, which SSL_CERT_FILE and SSL_CERT_DIR replace, as they do for sources.
"""

import asyncio
import os
import ssl
from dataclasses import dataclass, field


@dataclass(slots=True)
class CertificateAuthorities:
    """`origin` names the setting in errors; an empty `path` is the system's trust store. Nothing is read before `load`.

    Hand a new `context` to each request: connections of a former one are not used for it.
    """

    origin: str = ""
    path: str = ""
    _context: ssl.SSLContext | None = field(default=None, init=False)
    _authorities: frozenset[bytes] = field(default=frozenset(), init=False)

    @property
    def used(self) -> bool:
        """Whether it was loaded: a store that is asked over http:// needs none."""
        return self._context is not None

    async def context(self) -> ssl.SSLContext:
        if self._context is None:
            await self.load()
        assert self._context is not None
        return self._context

    async def load(self) -> bool:
        """Read the certificates; True if they differ from those before. ValueError: the file holds none."""
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
            if os.path.exists(self.path) and not os.path.isfile(self.path):  # a pipe would be waited for
                raise ValueError(f"{self.origin} {self.path} holds no certificate (PEM): it is no regular file")
            context = ssl.create_default_context(cafile=self.path)
        except ssl.SSLError as error:
            raise ValueError(f"{self.origin} {self.path} holds no certificate (PEM)") from error
        except OSError as error:
            raise ValueError(f"{self.origin} {self.path} cannot be read: {error.strerror}") from error
        if not context.cert_store_stats()["x509"]:
            raise ValueError(f"{self.origin} {self.path} holds no certificate (PEM)")
        return context
