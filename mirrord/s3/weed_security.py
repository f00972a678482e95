"""The secrets that close SeaweedFS's ports other than S3: signing keys for its HTTP servers, TLS for its gRPC servers.

Owns the certificate and the variables by which weed reads both. They are new at each start and not kept: nothing but
one weed process needs them. `-disableHttp` (see `weed`) removes the HTTP interfaces of filer and master altogether; the
volume server, through which S3 reads and writes, asks for a signed token; all gRPC servers ask for our certificate.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from mirrord.errors import StoreRefused

SIGNED = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
ENCRYPTED = ("master", "volume", "filer", "s3", "admin", "worker", "client")
UNPROTECTED = (
    "objects are served and changed only with its credentials; SeaweedFS cannot close the status pages on its other "
    "loopback ports, which show version, free space and names of buckets to any user of this machine"
)
"""What weed still shows to anyone on this machine, for people."""

_DEADLINE = 30.0
_DAYS = "36500"


def protection(certificate: Path) -> Mapping[str, str]:
    """Variables for one weed process, with fresh secrets; writes its certificate and private key, in one file (0600).

    Raises StoreRefused: openssl, which makes the certificate, is missing or failed.
    """
    _make_certificate(certificate)
    settings = {f"{name}.key": secrets.token_hex(32) for name in SIGNED}
    settings["grpc.ca"] = str(certificate)
    for name in ENCRYPTED:
        settings |= {f"grpc.{name}.cert": str(certificate), f"grpc.{name}.key": str(certificate)}
    return {f"WEED_{name.upper().replace('.', '_')}": value for name, value in settings.items()}


def _make_certificate(file: Path) -> None:
    """A self-signed certificate that is its own authority: a peer must hold this file to be accepted."""
    made = _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", "/CN=mirrord embedded store", "-days", _DAYS, "-keyout", "-", "-out", "-"),
    )
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(made)


def _openssl(*arguments: str) -> bytes:
    program = shutil.which("openssl")
    if program is None:
        raise StoreRefused(
            "provider: embedded needs the command openssl for the store's certificate; "
            "install it (Debian, Ubuntu: apt-get install openssl)"
        )
    try:
        # Without our variables: LD_PRELOAD, OPENSSL_CONF and their like would change what it makes.
        done = subprocess.run(
            [program, *arguments], env={"PATH": os.defpath}, capture_output=True, timeout=_DEADLINE, check=True
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise StoreRefused(f"{program} made no certificate for the embedded store: {' | '.join(said[-2:])}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreRefused(f"{program} made no certificate for the embedded store: {error}") from error
    return done.stdout
