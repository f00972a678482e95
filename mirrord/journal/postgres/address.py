"""The address of a PostgreSQL journal: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE?…`.

Owns mirrord's own parameter, the defaults of libpq's, and the form that may be shown.
"""

from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from mirrord.errors import JournalError
from mirrord.model import Secret

UNPREPARED = "prepared_statements=off"
"""For PgBouncer in transaction mode, where the next statement may run on another connection."""
_DEFAULTS: dict[str, Any] = {
    "application_name": "mirrord",
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # milliseconds
}


class ServerAddress(NamedTuple):
    parameters: dict[str, Any]
    """Of libpq. May contain the password."""
    prepares: bool
    shown: str
    """Host, port and database, without user and password."""

    def __repr__(self) -> str:
        return self.shown


def address_of(uri: Secret) -> ServerAddress:
    """Parse the address. Raises JournalError with the parameter that libpq does not know."""
    base, _, query = uri.reveal().partition("?")
    given = [one for one in query.split("&") if one]
    known = [one for one in given if one != UNPREPARED]
    try:
        parameters = conninfo_to_dict("?".join([base, "&".join(known)] if known else [base]))
    except psycopg.Error as error:
        raise JournalError(f"the address of the journal is not valid: {_plain(str(error), uri)}") from None
    return ServerAddress(_DEFAULTS | parameters, len(known) == len(given), _shown(parameters))


def _shown(parameters: dict[str, Any]) -> str:
    host, port = parameters.get("host") or "localhost", parameters.get("port")
    return f"postgresql://{host}{f':{port}' if port else ''}/{parameters.get('dbname', '')}"


def _plain(message: str, uri: Secret) -> str:
    """The message without the address, which libpq quotes if it cannot split it."""
    text = message.strip().replace(uri.reveal(), "postgresql://…")
    try:
        password = urlsplit(uri.reveal()).password
    except ValueError:
        password = uri.reveal()
    return "see the form of PostgreSQL's documentation" if password and password in text else text
