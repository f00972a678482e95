"""The TLS settings of a client's connections: whom it trusts, its own certificate, the oldest version. Reads files.

Owns the errors about these files: ValueErrors that name the setting and the path. Callers decide when to read again.
"""

import os
import ssl


def client_context(
    ca: str | None = None,
    client_cert: str | None = None,
    tls_min: str | None = None,
    *,
    origin: str = "ca_file",
    system: bool = False,
) -> ssl.SSLContext:
    """Verifies with the authorities of `ca` (a file or a directory), named `origin` in errors; None: the system's.

    `system`: also with the system's. `client_cert`: a PEM file with a certificate and its key. Blocks: call it in a
    thread. Raises ValueError.
    """
    context = _trusting(ca, origin, system=system) if ca else ssl.create_default_context()
    if tls_min:
        context.minimum_version = ssl.TLSVersion[f"TLSv{tls_min.replace('.', '_')}"]
    if client_cert:
        _load_certificate(context, client_cert)
    return context


def _trusting(ca: str, origin: str, *, system: bool) -> ssl.SSLContext:
    try:
        if os.path.isdir(ca):
            return _default(system, capath=ca)
        if os.path.exists(ca) and not os.path.isfile(ca):  # opening a pipe would block
            raise ValueError(f"{origin} {ca} holds no certificate (PEM): it is no regular file")
        alone = ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise ValueError(f"{origin} {ca} holds no certificate (PEM)") from error
    except OSError as error:
        raise ValueError(f"{origin} {ca} cannot be read: {error.strerror}") from error
    if not alone.cert_store_stats()["x509"]:
        raise ValueError(f"{origin} {ca} holds no certificate (PEM)")
    return _default(system, cafile=ca) if system else alone


def _default(system: bool, *, cafile: str | None = None, capath: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=cafile, capath=capath)
    if system:
        context.load_default_certs()
    return context


def _load_certificate(context: ssl.SSLContext, path: str) -> None:
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"client_cert {path} is no regular file")
    try:
        context.load_cert_chain(path, password=_no_password)
    except ssl.SSLError as error:
        raise ValueError(f"client_cert {path} holds no certificate (PEM) with its unencrypted key") from error
    except ValueError:
        raise ValueError(f"client_cert {path}: its key is encrypted; mirrord reads unencrypted keys only") from None
    except OSError as error:
        raise ValueError(f"client_cert {path} cannot be read: {error.strerror}") from error


def _no_password() -> str:
    """Without it, OpenSSL would ask on the terminal."""
    raise ValueError
