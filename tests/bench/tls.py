"""The certificate of the bench's servers, and their TLS settings. Clients trust it by SSL_CERT_FILE."""

import ssl
from pathlib import Path

PEM = Path(__file__).resolve().parents[1] / "support" / "selfsigned.pem"
"""Self-signed certificate for `localhost` with its key."""


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context
