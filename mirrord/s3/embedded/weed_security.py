"""The secrets that protect SeaweedFS's ports other than S3: signing keys for its HTTP servers, TLS for its gRPC.

Owns the certificate and the environment variables of both. They are new at each start: only one weed process needs
them. `-disableHttp` (see `weed`) removes the HTTP interfaces of filer and master; the volume server, through which S3
reads and writes, requires a signed token; all gRPC servers require this certificate.
"""

import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mirrord.errors import StoreRefused

SIGNED = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
ENCRYPTED = ("master", "volume", "filer", "s3", "admin", "worker", "client")
UNPROTECTED = (
    "objects are served and changed only with its credentials; SeaweedFS cannot close the status pages on its other "
    "loopback ports, which show version, free space and names of buckets to any user of this machine"
)
"""What weed still shows to all users of this machine: text for the log and the docs."""

_VALID = timedelta(days=36500)
_SKEW = timedelta(days=1)
"""The clock may be set back by this much while the store runs."""


def protection(certificate: Path) -> Mapping[str, str]:
    """Environment variables for one weed process, with new secrets. Writes its certificate and private key to one file
    (mode 0600).

    Raises StoreRefused: the library that makes the certificate is missing.
    """
    _write(certificate, _certificate())
    settings = {f"{name}.key": secrets.token_hex(32) for name in SIGNED}
    settings["grpc.ca"] = str(certificate)
    for name in ENCRYPTED:
        settings |= {f"grpc.{name}.cert": str(certificate), f"grpc.{name}.key": str(certificate)}
    return {f"WEED_{name.upper().replace('.', '_')}": value for name, value in settings.items()}


def _write(file: Path, content: bytes) -> None:
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)


def _certificate() -> bytes:
    """A private key and a self-signed certificate that is its own authority, as PEM: a peer must have both."""
    try:
        from cryptography import x509  # imported only when an embedded store starts: it is slow
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise StoreRefused(
            "provider: embedded needs the package cryptography for the store's certificate: "
            "pip install 'mirrord[embedded]', or pip install cryptography"
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mirrord embedded store")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
