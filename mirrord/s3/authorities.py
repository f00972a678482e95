"""The TLS settings of a store: the certificate authorities that verify its certificate, and our own certificate.

Owns the reading of the files. `session` chooses the file: `ca_file`, else AWS_CA_BUNDLE (or `ca_bundle` of the AWS
config), else REQUESTS_CA_BUNDLE, else the system's trust store, which SSL_CERT_FILE and SSL_CERT_DIR replace, as for
sources. `security` reads it again when it was replaced.
"""

import asyncio
import hashlib
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from mirrord.tls_contexts import client_context


@dataclass(slots=True)
class CertificateAuthorities:
    """`origin` is the name of the setting in errors. `path` None: the system's trust store. `load` reads the file.

    Get the `context` for each request: connections with a former context are not reused for it.
    """

    origin: str = "the system's trust store"
    path: str | None = None
    client_cert: str | None = None
    tls_min: str | None = None
    _context: ssl.SSLContext | None = field(default=None, init=False)
    _content: object = field(default=None, init=False)  # what makes two contexts equal

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
        """Read the files; True if they differ from those before. ValueError: a file has none."""
        context, content = await asyncio.to_thread(self._read)
        changed = self._context is None or content != self._content
        if changed:
            self._context, self._content = context, content
        return changed

    def _read(self) -> tuple[ssl.SSLContext, object]:
        context = client_context(self.path, self.client_cert, self.tls_min, origin=self.origin)
        certificate = Path(self.client_cert).read_bytes() if self.client_cert else b""
        return context, (frozenset(context.get_ca_certs(binary_form=True)), hashlib.sha256(certificate).digest())
